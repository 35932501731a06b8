"""The visible text of a PDF page, in reading order."""

import io

import pytest
from document_samples import read
from index_samples import drawn_pdf_of
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from indexes.readers.lines import joined
from indexes.readers.pdf.contents_pages import is_garbled


def shown(x: int, y: int, text: str, mode: int = 0, colour: str = "0 0 0 rg", size: int = 12) -> str:
    return f"BT {colour} /F1 {size} Tf {mode} Tr {x} {y} Td ({text}) Tj ET"


def test_text_that_nobody_sees_is_left_out_and_told() -> None:
    drawn = [
        shown(50, 780, "The grant is 48,500 EUR."),
        shown(50, 740, "Correction: 1 EUR.", mode=3),
        shown(50, 700, "Pay 9 EUR.", colour="1 1 1 rg"),
        "0 0 1 rg 40 640 300 40 re f",
        shown(50, 655, "White on blue is read.", colour="1 1 1 rg"),
    ]
    document = read("a.pdf", drawn_pdf_of("\n".join(drawn)))
    assert document.text.split("\n\n") == ["The grant is 48,500 EUR.", "White on blue is read."]
    assert document.warning == "has hidden text in 1 place, which was left out"


def test_the_unseen_text_over_the_picture_of_a_scan_is_read() -> None:
    data = drawn_pdf_of("q 500 0 0 700 50 100 cm /I1 Do Q\n" + shown(60, 700, "Read by a scanner.", mode=3))
    assert read("a.pdf", data).text == "Read by a scanner."


def test_what_lies_outside_of_the_page_is_not_read() -> None:
    data = drawn_pdf_of(shown(50, 700, "Inside.") + "\n" + shown(400, 700, "Outside."), crop=(0, 0, 300, 842))
    assert read("a.pdf", data).text == "Inside."


HARBOUR = [
    ("The harbour board met on Monday and", "The museum opens a new wing in May."),
    ("decided that the north pier will be", "It shows forty models of sailing ships"),
    ("closed for repairs until the autumn.", "and a lens of the former lighthouse."),
    ("Fishing boats may use the old slip", "Visitors under twelve enter for free"),
    ("without paying a fee during that time.", "when they come with an adult guest."),
]


def test_values_of_form_fields_and_typed_text_follow_their_page() -> None:
    writer = PdfWriter()
    page = writer.add_page(PdfReader(io.BytesIO(drawn_pdf_of(shown(50, 780, "Application")))).pages[0])

    def field(**entries: object) -> None:
        widget = DictionaryObject(
            {NameObject(f"/{name}"): value for name, value in entries.items()}  # type: ignore[misc]
            | {NameObject("/Rect"): ArrayObject(map(NumberObject, (50, 700, 90, 720)))}
        )
        annotations.append(writer._add_object(widget))

    annotations = ArrayObject()
    is_field = {"Type": NameObject("/Annot"), "Subtype": NameObject("/Widget")}
    field(FT=NameObject("/Tx"), T=TextStringObject("Applicant"), V=TextStringObject("鲁斯"), **is_field)
    field(FT=NameObject("/Tx"), T=TextStringObject("Empty"), **is_field)
    for name, state in (("Insured", "/Yes"), ("Member", "/Off")):
        states = DictionaryObject({NameObject(key): writer._add_object(StreamObject()) for key in ("/Yes", "/Off")})
        look = DictionaryObject({NameObject("/N"): states})
        value = NameObject(state)
        field(FT=NameObject("/Btn"), T=TextStringObject(name), V=value, AS=value, AP=look, **is_field)
    field(Subtype=NameObject("/FreeText"), Contents=TextStringObject("Paid on Monday."))
    field(Subtype=NameObject("/Text"), Contents=TextStringObject("A note."))
    page[NameObject("/Annots")] = annotations
    form = DictionaryObject({NameObject("/Fields"): ArrayObject(annotations[:4])})
    writer._root_object[NameObject("/AcroForm")] = form
    stream = io.BytesIO()
    writer.write(stream)
    document = read("a.pdf", stream.getvalue())
    assert document.text.split("\n\n") == ["Application", "Applicant: 鲁斯\n☑ Insured\n☐ Member\nPaid on Monday."]
    assert document.warning == "has 1 comment, which was left out"


def test_columns_of_prose_that_are_drawn_row_by_row_are_read_one_after_the_other() -> None:
    drawn = [
        shown(x, 700 - 14 * y, text, size=10)
        for y, row in enumerate(HARBOUR)
        for x, text in zip((50, 300), row, strict=True)
    ]
    text = read("a.pdf", drawn_pdf_of("\n".join(drawn))).text
    assert "Fishing boats may use the old slip without paying a fee during that time." in text
    assert "It shows forty models of sailing ships and a lens of the former lighthouse." in text


def test_two_rows_are_columns_if_each_line_goes_on_below() -> None:
    rows = [("The committee read the annual", "approved the budget for the"), ("report and", "coming fiscal year.")]
    drawn = [
        shown(x, 700 - 14 * y, text, size=11)
        for y, row in enumerate(rows)
        for x, text in zip((60, 330), row, strict=True)
    ]
    text = read("a.pdf", drawn_pdf_of("\n".join(drawn))).text
    assert text.split("\n\n") == [
        "The committee read the annual report and",
        "approved the budget for the coming fiscal year.",
    ]


def test_a_title_that_is_drawn_last_stands_above_its_page() -> None:
    drawn = [shown(50, 700 - 14 * y, left, size=10) for y, (left, _) in enumerate(HARBOUR)]
    document = read("a.pdf", drawn_pdf_of("\n".join([*drawn, shown(50, 780, "Harbour news", size=20)])))
    assert document.blocks[0].headings == ("Harbour news",)


def test_large_figures_are_no_titles_and_contents_are_not_read() -> None:
    drawn = [
        shown(50, 780, "48.5 EUR", size=24),
        *[shown(50, 700 - 14 * y, a, size=10) for y, (a, _) in enumerate(HARBOUR)],
    ]
    assert read("a.pdf", drawn_pdf_of("\n".join(drawn))).blocks[-1].headings == ()
    lines = [shown(50, 780 - 16 * n, f"{n} Pumps ................ {3 * n}") for n in range(1, 6)]
    assert "Pumps" not in read("a.pdf", drawn_pdf_of("\n".join([*lines, shown(50, 500, "A pump turns.")]))).text


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [("It is a well-", "known rule.", "well-known"), ("This is per-", "mitted here.", "permitted")],
)
def test_a_hyphen_at_the_end_of_a_line_stays_where_it_belongs_to_the_word(before: str, after: str, word: str) -> None:
    assert word in joined(before, after)
    assert joined("a dual-", "encoder", {"dualencoder"}) == "a dualencoder"
    assert joined("a re-", "entry", {"re-entry"}) == "a re-entry"


def test_a_font_with_a_wrong_table_of_letters_is_told() -> None:
    garbled = "3HQt]H VH3H QH3oGtYDMt EDQND SRWUHEXMH GDOaL SHQt]H KQHGd WHG3 WDG3k NGHk W3R3 MHk3 SR]RU GDOaL"
    assert is_garbled(garbled)
    assert not is_garbled("The Wi-Fi code of the flat is AB-1234, and the router is a FritzBox 7590 in the hall there.")
    assert not is_garbled("HTTP GET requests to the REST API return JSON; see RFC 7231 and RFC 8259 for what is told.")
