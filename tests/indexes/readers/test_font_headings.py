"""PDFs without bookmarks: separate lines in a larger font are headings."""

import io

import pypdf
import pytest
from document_samples import blocks
from index_samples import placed_pdf_of

Placed = tuple[float, float, float, str]
TEXT = ["Charge the battery only between five and forty degrees of Celsius, for it", "takes harm otherwise."]
WHOLE = " ".join(TEXT)


def page(*texts: tuple[float, str]) -> list[Placed]:
    """Lines below each other, each with its font size."""
    placed, top = [], 800.0
    for size, text in texts:
        top -= 1.4 * size
        placed.append((50, top, size, text))
    return placed


def text(size: float = 10) -> list[tuple[float, str]]:
    return [(size, line) for line in TEXT]


def read(*pages: list[Placed]) -> list[tuple[tuple[str, ...], str]]:
    return blocks("a.pdf", placed_pdf_of(*pages))


def test_larger_lines_are_titles_by_their_size_over_the_pages() -> None:
    first = page((18, "电动车"), *text(), (14, "Charging"), *text())
    assert read(first, page(*text(), (14, "保养"), *text())) == [
        (("电动车",), WHOLE),
        (("电动车", "Charging"), WHOLE),
        (("电动车", "Charging"), WHOLE),
        (("电动车", "保养"), WHOLE),
    ]


def test_a_title_of_two_lines_is_one() -> None:
    title = ["Charging the battery and looking after it", "in winter"]
    assert read(page((18, title[0]), (18, title[1]), *4 * text()))[0][0] == (" ".join(title),)


def test_one_with_nothing_under_it_remains_text() -> None:
    found = read(page((18, "Acme"), (18, "Charging"), *3 * text(), (18, "End")))
    assert [found[0], found[-1]] == [((), "Acme"), (("Charging",), "End")]
    assert {headings for headings, _ in found[1:]} == {("Charging",)}


def test_numbered_titles_stand_under_larger_ones() -> None:
    found = read(page((18, "Acme"), (10, "一、入库"), *2 * text(), (10, "二、出库"), *2 * text()))
    assert {headings for headings, _ in found} == {("Acme", "一、入库"), ("Acme", "二、出库")}


@pytest.mark.parametrize("large", ["This is large.", "1 250,00", "Large print that is a third of all letters " * 2])
def test_sentences_figures_and_what_is_much_of_the_text_are_no_titles(large: str) -> None:
    assert {headings for headings, _ in read(page((18, large), *2 * text()))} == {()}


def test_bookmarks_tell_the_titles_where_there_are_any() -> None:
    writer = pypdf.PdfWriter(io.BytesIO(placed_pdf_of(page((18, "Acme"), (14, "Charging"), *3 * text()))))
    writer.add_outline_item(title="Charging", page_number=0)
    stream = io.BytesIO()
    writer.write(stream)
    found = blocks("a.pdf", stream.getvalue())
    assert found[0] == ((), "Acme")
    assert {headings for headings, _ in found[1:]} == {("Charging",)}
