"""Files are read by their content, whatever their names; messages name unsupported formats and what to do."""

from pathlib import Path

import pytest
from document_samples import SAMPLES, read, word_sample, zipped

from indexes import IndexingError
from indexes.readers import why_not_read
from indexes.readers.limits import MAX_FILE_BYTES
from indexes.scanning import scan

OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)


@pytest.mark.parametrize("format", ["docx", "pptx", "xlsx", "epub", "odt"])
def test_what_is_in_an_archive_is_known_by_its_parts(format: str) -> None:
    for name in ("a.txt", "a", "a.zip", "a.pdf", "a.docx", "a.md"):
        assert read(name, SAMPLES[format]()).format == format


@pytest.mark.parametrize(
    ("name", "data", "format"),
    [
        ("a.docx", "Just text.", "plain"),
        ("a.docx", "<html><body><p>Text.</p></body></html>", "html"),
        ("a.xls", "<table><tr><td>a<td>b</table>", "html"),
        ("a.xls", "name\tprice\n龙井\t5\n", "csv"),
        ("a.xlsx", "name,price\ntea,5\n", "csv"),
        ("a.doc", "\ufeff<!DOCTYPE html>\n<p>Text.", "html"),
        ("a.json", "<!doctype html><p>Not found.", "html"),
        ("a.log", "2024-01-01 started", "plain"),
        ("a.yaml", "a: 1", "plain"),
        ("a.tex", "\\section{Tea}", "plain"),
        ("README", "Text.", "plain"),
        ("a.MD", "# A\n\nText.", "markdown"),
        ("a.tsv", "a\tb\n", "csv"),
        ("a.vue", "<html><template/></html>", "code"),
        ("a.html", "<p>A fragment.", "html"),
    ],
)
def test_a_wrong_or_unknown_name_does_no_harm(name: str, data: str, format: str) -> None:
    document = read(name, data)
    assert document.format == format
    assert document.blocks


def test_utf16_pages_are_pages() -> None:
    assert read("a.xls", "<html><p>龙井</html>".encode("utf-16")).text == "龙井"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (OLE2 + "WordDocument".encode("utf-16-le"), "save it as docx"),
        (OLE2 + "Workbook".encode("utf-16-le"), "is a damaged workbook"),
        (OLE2 + "PowerPoint Document".encode("utf-16-le"), "save it as pptx"),
        (OLE2 + "EncryptedPackage".encode("utf-16-le"), "is password-protected; save a copy without a password"),
        (OLE2, "is a file of an old office program"),
        (zipped({"a.txt": "text", "inner.zip": zipped({"b": "c"})}), r"is an archive \(ZIP\); unpack it"),
        (b"Rar!\x1a\x07\x01\0", r"is an archive \(RAR\)"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", r"is an archive \(7z\)"),
        (b"ID3\x04\0\0\0", r"is an audio recording \(MP3\); add a transcript"),
        (b"RIFF\x24\0\0\0WAVEfmt ", r"is an audio recording \(WAV\)"),
        (b"\0\0\0\x20ftypisom\0\0", r"is a video \(MP4\)"),
        (b"%!PS-Adobe-3.0\n", "is a PostScript document"),
        (b"OggS\0\2\0\0", r"is an audio recording \(Ogg\)"),
        (b"MZ\x90\0\x03\0\0\0", r"is a program .*Windows"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (b"From: <Saved by Blink>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n", r"MHTML"),
        (b"<?xml version='1.0'?>\n<?mso-application progid=\"Excel.Sheet\"?><Workbook/>", "save it as xlsx"),
        (bytes(range(128, 256)) * 8 + bytes(range(32)), "contains binary data|has an unknown encoding"),
        (
            zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}),
            "is a damaged workbook",
        ),
        (zipped({"mimetype": "x", "Index/Document.iwa": b"x"}), "Pages, Numbers or Keynote"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(data: bytes, why: str) -> None:
    for name in ("a", "a.txt", "a.bin"):
        with pytest.raises(IndexingError, match=why):
            read(name, data)


@pytest.mark.parametrize(
    "text",
    ["The ftyp box stands first.", "OggS is a capture pattern.", "fLaC: a marker", "The ftypmif1 brand", "AT&TFORM, 4"],
)
def test_text_that_begins_like_other_formats_is_text(text: str) -> None:
    assert read("a.txt", text).text == text


def test_a_password_on_an_archive_is_named() -> None:
    data = bytearray(word_sample())
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1  # the encryption flag in the central directory
    with pytest.raises(IndexingError, match="is password-protected; save a copy without a password"):
        read("a.docx", bytes(data))


def test_what_a_browser_saves_beside_a_page_is_no_document(tmp_path: Path) -> None:
    for name in (
        "Tea.html",
        "Tea_files/a.js",
        "Tea_files/b.png",
        "茶.htm",
        "茶_文件/a.js",
        "my_files/a.js",
        "a.min.js",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert sorted(scan(tmp_path).files) == ["Tea.html", "my_files/a.js", "茶.htm"]


def test_only_its_size_refuses_a_file_before_it_is_opened() -> None:
    assert why_not_read("a.anything", MAX_FILE_BYTES) == ""
    assert why_not_read("a.txt", MAX_FILE_BYTES + 1) == "is larger than 200 MB; split it"
