"""Headings: a heading without text below it is a separate passage; the title above text is not repeated."""

import docx
import pptx
import pytest
from document_samples import blocks, book_sample, open_document_with, read, saved

PAGE = "<h1>Shop</h1><h3>Closed on Mondays</h3><h3>Opening hours</h3><p>Nine to five.</p><h2>Ask Ann</h2>"
FOUND = [
    (("Shop",), "Closed on Mondays"),
    (("Shop", "Opening hours"), "Nine to five."),
    (("Shop",), "Ask Ann"),
]


def test_of_a_page() -> None:
    assert blocks("a.html", PAGE) == FOUND


def test_of_markdown_as_written() -> None:
    source = "# Rules\n\n## Dogs are *forbidden*\n\n## Smoking\n\nOutside.\n\nThe door is\nlocked\n---\n"
    assert blocks("a.md", source) == [
        (("Rules",), "## Dogs are *forbidden*"),
        (("Rules", "Smoking"), "Outside."),
        (("Rules",), "The door is\nlocked\n---"),
    ]
    assert blocks("a.md", "# Only a heading with the answer\n") == [((), "# Only a heading with the answer")]


def test_of_a_word_document() -> None:
    document = docx.Document()
    document.add_heading("Prices", 1)
    document.add_heading("Small pot: 20 EUR", 2)
    document.add_heading("Large pot: 30 EUR", 2)
    document.add_paragraph("Ask us.")
    assert blocks("a.docx", saved(document)) == [
        (("Prices",), "Small pot: 20 EUR"),
        (("Prices", "Large pot: 30 EUR"), "Ask us."),
    ]


def test_of_open_document_text() -> None:
    heading = '<text:h text:outline-level="{}">{}</text:h>'
    data = open_document_with(heading.format(1, "Shop") + heading.format(2, "Closed") + heading.format(2, "Ask Ann"))
    assert blocks("a.odt", data) == [(("Shop",), "Closed"), (("Shop",), "Ask Ann")]


@pytest.mark.parametrize("titles", [("Revenue grew twenty percent", "Costs"), ("Costs", "Costs"), ("Costs", "")])
def test_of_a_slide_with_nothing_else(titles: tuple[str, str]) -> None:
    deck = pptx.Presentation()
    for title in titles:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = title
    slide.shapes.add_textbox(0, 3_000_000, 100, 100).text_frame.text = "Rent fell."
    document = read("a.pptx", saved(deck))
    assert [(block.slide, block.headings, document.text[block.start : block.end]) for block in document.blocks] == [
        (1, (), titles[0]),
        (2, titles[1:] if titles[1] else (), "Rent fell."),
    ]


def test_of_a_chapter_that_is_only_a_title() -> None:
    part = "<html><body><h1>Part one: water</h1></body></html>"
    assert blocks("a.epub", book_sample(**{"OPS/text/two.xhtml": part}))[0] == (("茶经",), "Part one: water")


def test_of_a_mail_without_a_text() -> None:
    assert blocks("a.eml", "Subject: The meeting is off\nMIME-Version: 1.0\nContent-Type: text/plain\n\n") == [
        ((), "The meeting is off")
    ]
