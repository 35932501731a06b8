"""Formats of older office programs: workbooks with calamine, the others with LibreOffice if it is installed."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import docx
import pptx
import pytest
from document_samples import blocks, read, saved
from outlook_samples import outlook_message

from indexes import IndexingError
from indexes.readers.office.libreoffice import converted, find_libreoffice

Absent = Callable[[str], NoReturn]
SAMPLES = Path(__file__).with_name("samples")
RTF = rb"{\rtf1\ansi The kettle stands on the shelf.\par}"


@pytest.fixture
def libreoffice() -> None:
    """.ci/run does not install LibreOffice, because it is larger than everything else."""
    if not find_libreoffice():
        pytest.skip("LibreOffice is not installed")


@pytest.mark.parametrize("suffix", ["xls", "ods"])
def test_workbooks_are_read_sheet_by_sheet(suffix: str) -> None:
    data = (SAMPLES / f"prices.{suffix}").read_bytes()
    document = read(f"a.{suffix}", data)
    assert document.format == suffix
    assert blocks(f"a.{suffix}", data) == [
        (("价目",), "茶: 龙井; 价格: 12.5; 日期: 2026-08-04\n茶: 普洱; 价格: 9; 日期: 2026-08-05")
    ]
    assert document.warning == "has hidden sheets, which were left out: Lists"


@pytest.mark.parametrize("suffix", ["xls", "ods"])
def test_a_workbook_that_is_cut_short_is_damaged(suffix: str) -> None:
    data = (SAMPLES / f"prices.{suffix}").read_bytes()
    with pytest.raises(IndexingError, match="is a damaged"):
        read(f"a.{suffix}", data[:-19])


@pytest.mark.usefixtures("libreoffice")
def test_documents_and_presentations_are_read() -> None:
    document, deck = docx.Document(), pptx.Presentation()
    document.add_heading("Tea", 1)
    document.add_paragraph("龙井用 80 度的水。")
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "The kettle"
    old = converted(saved(document), ".docx", "doc")
    assert read("a.doc", old).format == "doc"
    assert blocks("a.doc", old) == [(("Tea",), "龙井用 80 度的水。")]
    slides = converted(saved(deck), ".pptx", "ppt")
    assert "The kettle" in read("a.ppt", slides).text
    assert read("a.rtf", RTF).text == "The kettle stands on the shelf."


def test_without_libreoffice_it_is_said_what_would_read_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("indexes.readers.office.libreoffice.PROGRAMS", ("soffice",))
    with pytest.raises(
        IndexingError, match=r"is in Rich Text Format \(RTF\), which needs LibreOffice; install LibreOffice"
    ):
        read("a.rtf", RTF)


def test_a_message_of_outlook_is_read_as_any_mail() -> None:
    data = outlook_message("春茶到货", "Ruth Berg", "龙井已到。\r\n\r\nThe price is 12 EUR.")
    document = read("a.msg", data)
    assert document.format == "msg"
    assert blocks("a.msg", data) == [
        (("春茶到货",), "From: Ruth Berg"),
        (("春茶到货",), "龙井已到。"),
        (("春茶到货",), "The price is 12 EUR."),
    ]
    with pytest.raises(IndexingError, match="is a damaged Outlook message"):
        read("a.msg", data[:-400])
