"""EPUB, plain text and web pages: chapters and titles, questions with their answers, tables in the text."""

import pytest
from document_samples import CONTAINER, blocks, book_sample, read, texts

from indexes import IndexingError


def test_chapters_of_a_book_in_the_order_of_reading() -> None:
    assert blocks("a.epub", book_sample()) == [
        (("茶经", "Tools"), "A stove of bronze."),
        (("茶经", "Origins"), "茶者，南方之嘉木也。"),
    ]
    assert read("a.epub", book_sample()).format == "epub"


def test_a_book_of_the_second_version_takes_titles_from_its_ncx() -> None:
    ncx = (
        '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd"><ncx><navMap>'
        "<navPoint><navLabel><text>器具</text></navLabel><content src='text/two.xhtml'/></navPoint></navMap></ncx>"
    )
    data = book_sample(**{"OPS/toc.ncx": ncx, "OPS/nav.xhtml": "<html/>"})
    assert blocks("a.epub", data)[0] == (("茶经", "器具"), "A stove of bronze.")


def test_protected_books_are_refused_but_obfuscated_fonts_do_no_harm() -> None:
    encryption = '<encryption><EncryptedData><EncryptionMethod Algorithm="{}"/></EncryptedData></encryption>'
    aes = encryption.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    with pytest.raises(IndexingError, match="digital rights management"):
        read("a.epub", book_sample(**{"META-INF/encryption.xml": aes}))
    fonts = encryption.format("http://www.idpf.org/2008/embedding")
    assert len(texts("a.epub", book_sample(**{"META-INF/encryption.xml": fonts}))) == 2


def test_a_book_that_lacks_a_chapter_says_so_and_a_damaged_one_is_refused() -> None:
    package = "<package><manifest>{}</manifest><spine><itemref idref='a'/><itemref idref='b'/></spine></package>"
    item = '<item id="{}" href="{}" media-type="application/xhtml+xml"/>'
    there = package.format(item.format("a", "text/one.xhtml") + item.format("b", "../../etc/passwd"))
    document = read("a.epub", book_sample(**{"OPS/book.opf": there}))
    assert document.warning == "lacks 1 of its 2 chapters"
    assert "嘉木" in document.text
    for broken in ({"META-INF/container.xml": "<x"}, {"OPS/book.opf": "<package"}, {"META-INF/container.xml": "<x/>"}):
        with pytest.raises(IndexingError, match="is a damaged EPUB book"):
            read("a.epub", book_sample(**broken))
    gone = package.format(item.format("a", "x") + item.format("b", "y"))
    with pytest.raises(IndexingError, match="all chapters are missing"):
        read("a.epub", book_sample(**{"OPS/book.opf": gone, "META-INF/container.xml": CONTAINER}))


def test_chapters_of_plain_books_become_headings() -> None:
    source = (
        "ALICE\n\nCHAPTER I.\nDown the Rabbit-Hole\n\nAlice was beginning.\n\nChapter 2: The Pool\n\nCuriouser!\n\n"
        "Chapter 3 shows how\nthe story goes on.\n"
    )
    assert blocks("a.txt", source) == [
        ((), "ALICE"),
        (("CHAPTER I. Down the Rabbit-Hole",), "Alice was beginning."),
        (("Chapter 2: The Pool",), "Curiouser!"),
        (("Chapter 2: The Pool",), "Chapter 3 shows how\nthe story goes on."),
    ]


def test_chapters_of_chinese_books_need_no_empty_lines() -> None:
    source = (
        "第一卷 山中\n第一章 初见\n　　话说有一人。\n　　第一章的事，且听。\n第十二回 风雪\n　　次日。\n第二卷\n终。\n"
    )
    assert blocks("a.txt", source.encode("gbk")) == [
        (("第一卷 山中", "第一章 初见"), "话说有一人。\n　　第一章的事，且听。"),
        (("第一卷 山中", "第十二回 风雪"), "次日。"),
        (("第二卷",), "终。"),
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [("Q: How hot?", "A: 80."), ("问：多热？", "答：80 度。"), ("问题1：多热？", "回答1：80 度。")],
)
def test_a_question_stays_with_its_answer(question: str, answer: str) -> None:
    source = f"{question}\n\n{answer}\n\nMore.\n\n{question}\n{answer}\n{question}\n{answer}\n"
    document = read("a.txt", source)
    assert texts("a.txt", source) == [
        f"{question}\n\n{answer}",
        "More.",
        f"{question}\n{answer}\n{question}\n{answer}",
    ]
    assert [block.records for block in document.blocks] == [True, False, True]  # each one is a separate passage
    assert document.blocks[0].cuts == ()
    assert [document.text[cut:].split("\n")[0] for cut in document.blocks[2].cuts] == [question]


def test_lists_in_plain_text_are_divided_between_items() -> None:
    document = read("a.txt", "Steps:\n1. Boil\n   slowly\n2. Pour\n（三）喝\n")
    assert [document.text[cut:].strip()[:2] for cut in document.blocks[0].cuts] == ["1.", "2.", "（三"]


def test_html_tables_name_their_columns_and_spans_keep_them_apart() -> None:
    page = (
        "<table><caption>Teas</caption><thead><tr><td>Kind<td>Tea<td>°C</thead><tr><td rowspan=2>Green<td>A<td>80"
        "<tr><td>B<td>75<tr><td colspan=2>All<td>9</table>"
    )
    assert texts("a.html", page) == ["Teas\nKind: Green; Tea: A; °C: 80\nKind: Green; Tea: B; °C: 75\nKind: All; °C: 9"]


@pytest.mark.parametrize(
    "page",
    [
        "<table role=presentation><tr><td>One.<td>Two.</table>",
        "<table><tr><td>One.<tr><td>Two.</table>",
        "<table><tr><td><div>One.</div><div>Two.</div><td></table>",
        "<table><tr><td><table><tr><td>One.</table><td>Two.</table>",
    ],
)
def test_html_tables_that_only_arrange_a_page_are_ordinary_text(page: str) -> None:
    assert texts("a.html", page) == ["One.", "Two."]


@pytest.mark.parametrize("before", ["", "<!DOCTYPE html>\r\n"])
def test_a_page_saved_by_a_browser_is_read(before: str) -> None:
    page = (
        f'{before}<!-- saved from url=(0030)https://example.org/tea/hot -->\r\n<html><meta charset="gbk"><p>龙井</html>'
    )
    for name in ("a.html", "a.htm", "a", "a.txt"):
        assert texts(name, page.encode("gbk")) == ["龙井"]


def test_markdown_tables_name_their_header_row() -> None:
    (block,) = read("a.md", "| Tea | °C |\n|---|---|\n| Puer | 100 |\n").blocks
    assert block.header == "| Tea | °C |"
