"""PDFs: titles from bookmarks, headers left out, limits, passwords and damage."""

import io
import sys
from pathlib import Path

import pypdf
import pytest
from index_samples import book_of, pdf_of

from indexes import IndexingError
from indexes.readers import Extracted, read_document


def read(data: bytes) -> Extracted:
    return read_document("a.pdf", data)


def blocks(document: Extracted) -> list[tuple[int | None, tuple[str, ...], str]]:
    return [(block.page, block.headings, document.text[block.start : block.end]) for block in document.blocks]


def test_bookmarks_give_the_title_path_of_the_pages_after_them() -> None:
    pages = [["Foreword."], ["Chapter text."], ["水温八十度。"], ["More of it."], ["The end."]]
    outline = [("Tea", 1, None), ("水温", 2, 0), ("Closing", 4, None)]
    assert blocks(read(book_of(pages, outline))) == [
        (1, (), "Foreword."),
        (2, ("Tea",), "Chapter text."),
        (3, ("Tea", "水温"), "水温八十度。"),
        (4, ("Tea", "水温"), "More of it."),
        (5, ("Closing",), "The end."),
    ]


def test_a_bookmark_in_the_middle_of_a_page_begins_at_its_title_which_is_no_text() -> None:
    pages = [["Before it.", "1.2 Storing tea", "Keep it dry.", "1.3 冲泡", "水要烫。"]]
    document = read(book_of(pages, [("Storing  tea", 0, None), ("冲泡", 0, 0)]))
    assert blocks(document) == [
        (1, (), "Before it."),
        (1, ("Storing tea",), "Keep it dry."),
        (1, ("Storing tea", "冲泡"), "水要烫。"),
    ]
    assert "1.2 Storing tea" in document.text


def test_a_bookmark_whose_title_is_not_on_the_page_begins_at_the_height_it_names() -> None:
    # the lines are at 780, 766, 752 points; pdfium counts the emoji and the hyphen differently
    writer = pypdf.PdfWriter(io.BytesIO(pdf_of("Above \U0001f600 it adap-\ntation.\nBelow it.")))
    writer.add_outline_item(title="Elsewhere", page_number=0, fit=pypdf.generic.Fit.xyz(left=50, top=764))
    stream = io.BytesIO()
    writer.write(stream)
    assert blocks(read(stream.getvalue())) == [
        (1, (), "Above \U0001f600 it adaptation."),
        (1, ("Elsewhere",), "Below it."),
    ]


def test_a_header_that_repeats_the_title_is_not_taken_for_it() -> None:
    pages = [["Brewing", f"第{n}段。", "Brewing", f"Pour {n}."] for n in "一二三"]
    writer = pypdf.PdfWriter(io.BytesIO(book_of(pages)))
    writer.add_outline_item(title="Brewing", page_number=0, fit=pypdf.generic.Fit.xyz(left=50, top=762))
    stream = io.BytesIO()
    writer.write(stream)
    assert blocks(read(stream.getvalue()))[:2] == [(1, (), "第一段。"), (1, ("Brewing",), "Pour 一.")]


def test_headers_footers_and_page_numbers_are_left_out() -> None:
    texts = ["Water is hot.", "茶叶要干燥。", "Two minutes.", "Taste it."]
    pages = [["Tea handbook", f"第 {7 + n} 页", texts[n], "Edition 3", f"- {n + 1} / 4 -"] for n in range(4)]
    assert [text for _, _, text in blocks(read(book_of(pages)))] == texts


def test_figures_that_do_not_count_the_pages_are_no_page_numbers() -> None:
    pages = [["Green 80", "x"], ["Black 95", "y"], ["White 70", "z"], ["Red 90", "w"]]
    text = read(book_of(pages)).text
    assert all(line in text for (line, _) in pages)


def test_a_word_that_now_and_then_begins_a_page_is_no_header() -> None:
    pages = [["注意" if n % 5 == 0 else f"Part {chr(97 + n)}", f"Text {chr(97 + n)}"] for n in range(20)]
    assert read(book_of(pages)).text.count("注意") == 4


def test_pages_that_are_wholly_alike_keep_their_text() -> None:
    assert len(read(pdf_of("Notice.", "Notice.", "Notice.")).blocks) == 3


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(pdf_of("Behind a lock.")))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def test_a_pdf_that_only_forbids_printing_is_read() -> None:
    assert read(encrypted("")).text == "Behind a lock."


def test_a_password_is_named_as_the_reason() -> None:
    with pytest.raises(IndexingError, match="is password-protected; save a copy without a password"):
        read(encrypted("secret"))


def test_without_an_engine_scanned_pages_say_what_would_read_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    document = read(pdf_of("Text.", "", "", "More.", ""))
    told = 'has no readable text on pages 2-3, 5 (a scan; to read it, run: pip install "lorewright[ocr]")'
    assert document.warning == told
    assert document.needs_ocr
    assert not read(pdf_of("Text.")).needs_ocr


def test_a_page_of_control_characters_is_reported_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    document = read(pdf_of("Text.", "\ue001\ue002\ue003 \ue004\ue005 a"))
    assert document.warning.startswith("has no readable text on page 2 (")
    assert document.text == "Text."


def test_more_pages_than_anybody_reads_are_refused() -> None:
    writer = pypdf.PdfWriter()
    for _ in range(10_001):
        writer.add_blank_page(10, 10)
    stream = io.BytesIO()
    writer.write(stream)
    with pytest.raises(IndexingError, match="has more than 10,000 pages; split it"):
        read(stream.getvalue())
