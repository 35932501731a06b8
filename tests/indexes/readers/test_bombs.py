"""Small files that expand to huge ones are refused with a message before they use memory."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from document_samples import (
    book_sample,
    computed_workbook,
    read,
    unzipped,
    with_part,
    word,
    word_sample,
    workbook_sample,
    zipped,
)

from indexes import IndexingError
from indexes.readers import limits

LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


def refused(name: str, data: bytes, why: str) -> None:
    """Check the message, and that memory use stays within a few times the size of the file."""
    tracemalloc.start()
    try:
        with pytest.raises(IndexingError, match=why):
            read(name, data)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_zeros_in_an_archive() -> None:
    refused("a.docx", zipped({**unzipped(word_sample()), "word/media/a.bmp": bytes(30_000_000)}), "200 times its size")


def test_too_many_parts() -> None:
    refused("a.docx", zipped({f"word/{number}": b"" for number in range(10_001)}), "more than 10,000 parts")


def test_too_much_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ZIP_BYTES", 10_000)
    refused("a.docx", word_sample(), "expands to more than 0 MB")


def test_an_archive_that_lies_about_its_sizes() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in unzipped(word_sample()).items():
            archive.writestr(name, bytes(100_000_000) if name == "word/document.xml" else data)
    data = bytearray(stream.getvalue())
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        if data[at + 46 :].startswith(b"word/document.xml"):
            data[at + 24 : at + 28] = struct.pack("<I", 5000)
        at += 4
    refused("a.docx", bytes(data), "is a damaged Word document")


def test_entities_are_never_expanded() -> None:
    data = with_part(word_sample(), "word/document.xml", "<w:document ", LAUGHS + "<w:document ")
    refused("a.docx", with_part(data, "word/document.xml", "After the table.", "&j;"), "is a damaged Word document")
    sheet = with_part(workbook_sample(), "xl/worksheets/sheet1.xml", "<worksheet", LAUGHS + "<worksheet")
    sheet = with_part(sheet, "xl/worksheets/sheet1.xml", "<v>12.5</v>", "<v>&j;</v>")
    refused("a.xlsx", sheet, "is a damaged Excel workbook")
    package = unzipped(book_sample())["OPS/book.opf"].decode().replace("茶经", "&j;")
    refused("a.epub", book_sample(**{"OPS/book.opf": LAUGHS + package}), "is a damaged EPUB book")


def test_entities_that_name_files_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password")
    uri = (tmp_path / "secret").as_uri()
    secret = f'<!DOCTYPE x [<!ENTITY secret SYSTEM "{uri}"><!ENTITY % more SYSTEM "{uri}"> %more;]>'
    data = with_part(word_sample(), "word/document.xml", "<w:document ", secret + "<w:document ")
    for place in ("After the table.", "Longjing"):
        assert "password" not in read("a.docx", with_part(data, "word/document.xml", place, "A&secret;B")).text
    page = "<html><body><p>A&secret;B</p></body></html>"
    assert "password" not in read("a.xhtml", f"<?xml version='1.0'?>{secret}{page}").text


def test_nesting_beyond_reason() -> None:
    table = "<w:tbl><w:tr><w:tc>{}</w:tc></w:tr></w:tbl>"
    nested = "<w:p><w:r><w:t>x</w:t></w:r></w:p>"
    for _ in range(60):
        nested = table.format(nested)
    assert read("a.docx", word(nested)).text == "x"
    deep = "<w:sdt>" * 5000 + "</w:sdt>" * 5000
    data = with_part(word_sample(), "word/document.xml", "<w:body>", f"<w:body>{deep}")
    refused("a.docx", data, "is a damaged Word document|nested")


def test_a_number_of_5000_digits_is_no_number() -> None:
    digits = "9" * 5000
    text = "<w:p>{}<w:r><w:t>Tea</w:t></w:r></w:p>"
    outline = f'<w:pPr><w:outlineLvl w:val="{digits}"/></w:pPr>'
    span = f'<w:tcPr><w:gridSpan w:val="{digits}"/></w:tcPr>'
    cells = f"<w:tbl><w:tr><w:tc>{span}{text.format('')}</w:tc><w:tc>{text.format('')}</w:tc></w:tr></w:tbl>"
    assert read("a.docx", word(text.format(outline))).text == "Tea"
    assert read("a.docx", word(cells)).text == "Tea | Tea"
    fonts = with_part(computed_workbook(), "xl/styles.xml", 'fontId="0"', f'fontId="{digits}"')
    strings = with_part(fonts, "xl/worksheets/sheet1.xml", "<v>0</v>", f"<v>{digits}</v>")
    assert "Tea" in read("a.xlsx", strings).text


def test_lists_nested_beyond_reason_end_soon() -> None:
    assert read("a.html", "<ul><li>a" * 200).text.count("- a") == 200
    refused("a.html", b"<ul><li>a" * 1500, "nested too deeply")


def test_more_text_than_a_document_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = with_part(workbook_sample(), "xl/workbook.xml", 'state="hidden"', "")
    for module in ("document", "tables.table_text", "office.xlsx"):
        monkeypatch.setattr(f"indexes.readers.{module}.MAX_CHARACTERS", 100)
    monkeypatch.setattr("indexes.readers.MAX_CHARACTERS", 100)
    for name, data in [
        ("a.docx", word_sample()),
        ("a.xlsx", sheets),
        ("a.txt", b"x" * 101),
        ("a.csv", b"ab,cd\n" * 30),
    ]:
        with pytest.raises(IndexingError, match="contains more than 50 million characters of text; split it"):
            read(name, data)


def test_a_cell_in_the_last_column_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.readers.office.xlsx.MAX_CHARACTERS", 1_000_000)
    rows = "".join(f'<row r="{n}"><c r="XFD{n}" t="str"><v>x</v></c></row>' for n in range(10, 100))
    data = with_part(workbook_sample(), "xl/worksheets/sheet1.xml", "</sheetData>", rows + "</sheetData>")
    with pytest.raises(IndexingError, match="50 million characters"):
        read("a.xlsx", data)


def test_a_chapter_that_is_named_a_thousand_times_is_read_once() -> None:
    package = unzipped(book_sample())["OPS/book.opf"].decode()
    many = package.replace('<itemref idref="one"/>', '<itemref idref="one"/>' * 1000)
    assert read("a.epub", book_sample(**{"OPS/book.opf": many})).text.count("嘉木") == 1
