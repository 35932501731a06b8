"""Scans and pictures: read by RapidOCR or tesseract; without either, a message names what is missing."""

import io
import shutil
import sys
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path
from typing import NoReturn

import docx
import numpy as np
import pptx
import pytest
from document_samples import book_sample, saved
from index_samples import bytes_of, pdf_of, picture_of
from PIL import Image
from pypdf import PdfReader, PdfWriter, Transformation

from indexes import IndexingError
from indexes.readers import read_document
from indexes.readers.images.ocr import find_engine
from indexes.readers.images.pictures import read_picture
from indexes.readers.images.rapid_ocr import Line, paragraphs_of
from indexes.readers.images.tesseract import Tesseract, find_tesseract
from indexes.readers.pdf.pdf import read_pdf

Absent = Callable[[str], NoReturn]
ENGLISH = ("Green tea wants water of eighty degrees,", "boiling water makes it bitter.")
ENGLISH_TEXT = " ".join(ENGLISH)
CHINESE = ("低秩适应把权重的更新写成两个矩阵的乘积，", "训练时只更新这两个小矩阵，原来的权重不变。")
CHINESE_TEXT = "".join(CHINESE)


def alike(read: str, written: str) -> bool:
    """Whether nine letters of ten match in order: engines and their versions make different errors."""
    return SequenceMatcher(None, read, written, autojunk=False).ratio() > 0.9


@pytest.fixture(params=["rapidocr", "tesseract"])
def each_engine(request: pytest.FixtureRequest, absent: Absent, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tesseract":
        monkeypatch.setitem(sys.modules, "rapidocr", None)  # simulate that it is not installed
    engine = find_engine()
    languages = engine.languages if isinstance(engine, Tesseract) else ("chi_sim", "eng")
    if not engine or engine.name != request.param or not {"chi_sim", "eng"} <= set(languages):
        absent(f"{request.param} with English and Chinese is not installed")


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("each_engine")
def test_a_scanned_pdf_is_read_page_by_page(absent: Absent) -> None:
    first, second = picture_of(*ENGLISH, absent=absent), picture_of(*CHINESE, absent=absent)
    told: list[tuple[int, int]] = []
    document = read_pdf(bytes_of(first, "PDF", save_all=True, append_images=[second]), lambda *page: told.append(page))
    assert [block.page for block in document.blocks] == [1, 2]
    english, chinese = (document.text[block.start : block.end] for block in document.blocks)
    assert alike(english, ENGLISH_TEXT)
    assert alike(chinese, CHINESE_TEXT)
    assert " " not in chinese
    assert document.warning == ""
    assert not document.needs_ocr
    assert told[-1] == (2, 2)


def test_in_a_mixed_pdf_scans_stand_between_the_pages_that_have_text(absent: Absent) -> None:
    writer = PdfWriter()
    for data in (pdf_of("Before."), bytes_of(picture_of(*ENGLISH, absent=absent), "PDF"), pdf_of("After.", "")):
        writer.append(PdfReader(io.BytesIO(data)))
    stream = io.BytesIO()
    writer.write(stream)
    document = read_pdf(stream.getvalue())
    before, scan, after = document.text.split("\n\n")
    assert (before, after) == ("Before.", "After.")
    assert alike(scan, ENGLISH_TEXT)
    assert document.warning == "has no readable text on page 4 (a scan?)"
    assert not document.needs_ocr


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF"])
def test_the_text_of_a_picture_is_read(kind: str, absent: Absent) -> None:
    document = read_picture(bytes_of(picture_of(*ENGLISH, absent=absent), kind))
    assert alike(document.text, ENGLISH_TEXT)
    assert (document.warning, document.format, document.blocks[0].page) == ("", "picture", None)


@pytest.mark.usefixtures("each_engine")
def test_a_screenshot_with_small_letters_is_read(absent: Absent) -> None:
    document = read_picture(
        bytes_of(picture_of("龙井茶产于杭州西湖", "Open from nine to five.", absent=absent, size=16), "PNG")
    )
    assert alike(document.text.replace("\n\n", " "), "龙井茶产于杭州西湖 Open from nine to five.")


def test_a_tiff_has_pages(absent: Absent) -> None:
    first, second = picture_of(*ENGLISH, absent=absent), picture_of(*CHINESE, absent=absent)
    document = read_picture(bytes_of(first, "TIFF", save_all=True, append_images=[second]))
    assert {block.page for block in document.blocks} == {1, 2}


def test_a_photograph_taken_sideways_is_turned_as_it_says(absent: Absent) -> None:
    image = picture_of(*ENGLISH, absent=absent).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate clockwise
    assert alike(read_picture(bytes_of(image, "JPEG", exif=exif)).text, ENGLISH_TEXT)


@pytest.mark.usefixtures("each_engine")
def test_black_letters_on_nothing_are_read(absent: Absent) -> None:
    letters = picture_of(*ENGLISH, absent=absent)
    image = Image.new("RGBA", letters.size, (0, 0, 0, 0))
    image.putalpha(letters.point(lambda value: 255 - value))
    assert alike(read_picture(bytes_of(image, "PNG")).text, ENGLISH_TEXT)


def test_sixteen_bits_a_pixel_are_read(absent: Absent) -> None:
    gray = np.asarray(picture_of(*ENGLISH, absent=absent)).astype(np.uint16) * 257
    assert alike(read_picture(bytes_of(Image.fromarray(gray), "PNG")).text, ENGLISH_TEXT)


@pytest.mark.usefixtures("each_engine")
def test_noise_icons_and_empty_pictures_show_no_text() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 600), dtype=np.uint8)
    for image in (Image.fromarray(noise), Image.new("L", (32, 32)), Image.new("RGB", (500, 300), "white")):
        document = read_picture(bytes_of(image, "PNG"))
        assert (document.blocks, document.warning, document.needs_ocr) == ([], "contains no readable text", False)


@pytest.mark.usefixtures("without_engine")
def test_without_an_engine_a_picture_waits_for_one() -> None:
    document = read_picture(bytes_of(Image.new("L", (200, 100), 255), "PNG"))
    assert (document.blocks, document.needs_ocr) == ([], True)
    assert document.warning == 'is a picture; to read it, run: pip install "lorewright[ocr]"'


@pytest.mark.usefixtures("without_engine")
def test_damaged_pictures_are_said_to_be() -> None:
    data = bytes_of(Image.new("L", (200, 100), 255), "PNG")
    for damaged in (data[:60], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0\xff\xff\xff\xff"):
        with pytest.raises(IndexingError, match="is a damaged picture"):
            read_picture(damaged)


def test_a_picture_that_would_not_fit_into_memory_is_refused_unopened() -> None:
    data = bytearray(bytes_of(Image.new("1", (8, 8)), "BMP"))
    data[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height, as a bomb declares them
    with pytest.raises(IndexingError, match="is a picture of more than 100 megapixels; scale it down"):
        read_picture(bytes(data))
    with pytest.raises(IndexingError, match="more than 100 megapixels"):
        read_picture(bytes_of(Image.new("1", (10_100, 10_000)), "PNG"))


def test_tesseract_is_asked_for_installed_languages_only(absent: Absent) -> None:
    engine = find_tesseract() or absent("tesseract is not installed")
    assert engine.program == shutil.which("tesseract")
    assert "osd" not in engine.languages


def lines(*boxes: tuple[str, float, float, float]) -> list[Line]:
    """Lines 20 pixels high: text, left, top, width."""
    return [Line(text, left, top, left + width, top + 20) for text, left, top, width in boxes]


def test_lines_become_paragraphs_in_reading_order() -> None:
    columns = lines(
        ("Title", 200, 0, 300),
        *(("left goes", 0, 60, 280), ("right goes", 330, 60, 280)),
        *(("on here", 0, 84, 275), ("on there", 330, 84, 278)),
    )
    assert paragraphs_of(columns[::-1]) == ["Title", "left goes on here", "right goes on there"]
    short = lines(("第一段的", 0, 0, 300), ("末行。", 0, 24, 100), ("第二段。", 0, 48, 290))
    assert paragraphs_of(short) == ["第一段的末行。", "第二段。"]
    table = lines(("龙井", 0, 0, 40), ("12", 300, 0, 30), ("普洱", 0, 40, 40), ("9", 300, 40, 30))
    assert paragraphs_of(table) == ["龙井  12", "普洱  9"]
    assert paragraphs_of([]) == []


def with_picture(absent: Absent) -> dict[str, bytes]:
    """A Word document, a presentation and a book with a picture of two lines."""
    picture = io.BytesIO(bytes_of(picture_of(*ENGLISH, absent=absent), "PNG"))
    document, deck = docx.Document(), pptx.Presentation()
    document.add_paragraph("Manual.")
    document.add_picture(picture)
    deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_picture(picture, 0, 0)
    book = book_sample(
        **{
            "OPS/img/p.png": picture.getvalue(),
            "OPS/text/one.xhtml": "<h2>Tools</h2><ul><li>A stove.<img src='../img/p.png' alt='p1'/></li></ul>",
            "OPS/text/two.xhtml": "<p>A kettle.</p>",
        }
    )
    return {"a.docx": saved(document), "a.pptx": saved(deck), "a.epub": book}


def test_pictures_inside_of_documents_are_read(absent: Absent) -> None:
    for name, data in with_picture(absent).items():
        document = read_document(name, data)
        blocks = [document.text[block.start : block.end] for block in document.blocks]
        assert any(alike(block, ENGLISH_TEXT) for block in blocks), name
        assert document.warning == ""


def test_without_an_engine_pictures_inside_of_documents_are_told(
    absent: Absent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    documents = with_picture(absent)  # needs a program on PATH
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, data in documents.items():
        document = read_document(name, data)
        assert document.needs_ocr
        assert document.warning == "has 1 picture without text, which was left out", name


def test_a_picture_on_a_page_with_text_is_read_below_it(absent: Absent) -> None:
    picture = picture_of(*ENGLISH, absent=absent)
    scan = PdfReader(io.BytesIO(bytes_of(picture, "PDF", resolution=150))).pages[0]
    writer = PdfWriter()
    page = writer.add_page(PdfReader(io.BytesIO(pdf_of("A page with a text of its own."))).pages[0])
    page.merge_transformed_page(scan, Transformation().scale(0.35).translate(60, 300))
    stream = io.BytesIO()
    writer.write(stream)
    document = read_pdf(stream.getvalue())
    first, second = (document.text[block.start : block.end] for block in document.blocks)
    assert first == "A page with a text of its own."
    assert alike(second, ENGLISH_TEXT)
