"""The visible text of a PDF page, in reading order."""

import io

import pytest
from document_samples import read
from index_samples import drawn_pdf_of, pdf_of, placed_pdf_of
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
from indexes.readers.pdf.raised_text import with_superscripts


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


RULES = ["本规章自三月一日起施行。凡入园采茶者，", "须先在管理处登记，领取竹篓与手套，并于", "当日下午五时前归还。"]
FEES = ["第二条，采茶须用手摘，不得使用剪刀，每", "斤鲜叶付工钱四十二元。"]
Placed = list[tuple[float, float, float, str]]


def vertical(lines: list[str], top: float = 780) -> Placed:
    """Vertical lines from right to left."""
    return [(500 - 24 * number, top, 12, line) for number, line in enumerate(lines)]


def letter_by_letter(lines: Placed) -> Placed:
    return [(x, y - 14 * number, size, letter) for x, y, size, line in lines for number, letter in enumerate(line)]


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("tiers", [[RULES], [RULES, FEES]])
def test_vertical_lines_are_read_from_right_to_left(tiers: list[list[str]], step: int) -> None:
    drawn = [line for tier, lines in enumerate(tiers) for line in vertical(lines, 780 - 380 * tier)[::step]]
    expected = ["".join(lines) for lines in tiers]
    assert read("a.pdf", placed_pdf_of(drawn, encoding="UniGB-UCS2-V")).text.split("\n\n") == expected
    by_letter = placed_pdf_of(letter_by_letter(drawn), encoding="UniGB-UCS2-H")
    assert read("a.pdf", by_letter).text.split("\n\n") == expected


def test_short_labels_that_stand_upright_keep_the_order_of_the_file() -> None:
    drawn = letter_by_letter(vertical(["甲方代表", "乙方代表"])[::-1])
    assert read("a.pdf", placed_pdf_of(drawn, encoding="UniGB-UCS2-H")).text.split() == ["乙方代表", "甲方代表"]


def test_superscripts_are_marked_and_end_no_sentence() -> None:
    x, y = 50, 780
    drawn = [
        *((x, y, 12, "It has 25 m"), (x + 66, y + 4, 7, "2"), (x + 71, y, 12, " and 3 x 10"), (x + 137, y + 4, 7, "6")),
        *((x + 142, y, 12, " bees in all;"), (x, y - 15, 12, "on the 1"), (x + 48, y - 11, 7, "st")),
        *((x + 56, y - 15, 12, " they are counted."), (x + 164, y - 11, 7, "12"), (x + 175, y - 15, 12, " Nobody")),
    ]
    expected = "It has 25 m² and 3 x 10^6 bees in all; on the 1st they are counted.[12] Nobody"
    assert read("a.pdf", placed_pdf_of(drawn)).text == expected


@pytest.mark.parametrize(
    ("word", "raised", "expected"),
    [
        ("106", (2,), "10^6"),
        ("106", (), "106"),
        ("10-3", (2, 3), "10^-3"),
        ("km2,", (2,), "km²,"),
        ("hives3", (5,), "hives[3]"),
        ("war3", (3,), "war[3]"),
        ("(2019)3", (6,), "(2019)^3"),
        ("三百万只。5养", (5,), "三百万只。[5]养"),
        ("noon[6]", (5,), "noon[6]"),
        ("2019", (), "2019"),
    ],
)
def test_a_raised_number_is_a_power_or_the_mark_of_a_note(word: str, raised: tuple[int, ...], expected: str) -> None:
    assert with_superscripts(word, lambda index: index in raised) == expected


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (
            "The de\x0cnition is e\x0ecient, e\x0bective, in\x0fuences o\x0ece.",
            "The definition is efficient, effective, influences office.",
        ),
        ("Its de\x1cnition was classi\x1ced.", "Its definition was classified."),
        ("The acƟon and the informaƟon, in wriƩen leƩers", "The action and the information, in written letters"),
        ("Ɛwe, Ɔbɔ and Tōkyō", "Ɛwe, Ɔbɔ and Tōkyō"),
    ],
)
def test_ligatures_that_a_font_does_not_name_are_restored_by_the_words(drawn: str, expected: str) -> None:
    assert read("a.pdf", pdf_of(drawn)).text == expected
