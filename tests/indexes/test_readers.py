"""Tests of the readers: text, blocks, titles, pages, and clear errors for unreadable files."""

import warnings

import pytest
from index_samples import pdf_of, tex_pdf_of

from indexes import IndexingError
from indexes.readers import Extracted, read_document


def blocks(document: Extracted) -> list[tuple[tuple[str, ...], str]]:
    return [(block.headings, document.text[block.start : block.end]) for block in document.blocks]


def read(name: str, source: str) -> Extracted:
    return read_document(name, source.encode())


def test_plain_text_is_divided_at_empty_lines() -> None:
    document = read("a.txt", "First line\nsecond line\n\n  \n　　第二段，\n第二行。\n")
    assert [text for _, text in blocks(document)] == ["First line\nsecond line", "第二段，\n第二行。"]


def test_markdown_titles_become_the_path_and_stay_out_of_the_blocks() -> None:
    source = (
        "Intro.\n\n# LoRA\n\nA.\n\n## The *rank* `r`\n\nB\nb.\n\nTitle below\n===========\n\nC.\n\n### Deep\n\nD.\n"
    )
    assert blocks(read("a.md", source)) == [
        ((), "Intro."),
        (("LoRA",), "A."),
        (("LoRA", "The rank r"), "B\nb."),
        (("Title below",), "C."),
        (("Title below", "Deep"), "D."),
    ]


def test_markdown_lists_tables_and_code_are_one_block_each() -> None:
    source = (
        "- one\n- two\n  - inner\n\n  more of two\n\n1. a\n2. b\n\n"
        "```python\n# not a heading\n\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    document = read("a.md", source)
    assert [text for _, text in blocks(document)] == [
        "- one\n- two\n  - inner\n\n  more of two",
        "1. a\n2. b",
        "```python\n# not a heading\n\nx = 1\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
    ]
    assert [document.text[cut:].split("\n")[0] for cut in document.blocks[0].cuts] == ["- two"]
    assert len(document.blocks[3].cuts) == 2


def test_markdown_front_matter_gives_the_title_and_what_it_says_of_the_document() -> None:
    front = '---\ntitle: "泡茶"\nlayout: page\nvalid_until: 2027\n---\n'
    document = read("a.md", f"{front}Water.\n\n<!-- a note -->\n\n---\n\n## Time\n\nTwo minutes.\n")
    assert blocks(document) == [
        (("泡茶",), "valid_until: 2027"),
        (("泡茶",), "Water."),
        (("泡茶", "Time"), "Two minutes."),
    ]


def test_markdown_loses_comments_and_nothing_else() -> None:
    source = (
        "```xml\n<!-- pom -->\n<project/>\n```\n\n<!-- a --> <!-- b --> Important.\n\n    <!-- indented -->\n\n"
        "<!-- all of it\n\n-->\n\n<div>\n<!-- inside -->\n</div>\n\n<!-- open\n"
    )
    assert [text for _, text in blocks(read("a.md", source))] == [
        "```xml\n<!-- pom -->\n<project/>\n```",
        "Important.",
        "    <!-- indented -->",
        "<div>\n<!-- inside -->\n</div>",
    ]


def test_markdown_text_is_the_file_itself_with_unix_line_ends() -> None:
    document = read_document("a.md", "\ufeff# T\r\n\r\nOne\r\ntwo\r\n".encode())
    assert document.text == "# T\n\nOne\ntwo\n"
    assert blocks(document) == [(("T",), "One\ntwo")]


def test_html_keeps_what_a_reader_sees() -> None:
    page = """<!DOCTYPE html><html><head><title>Shop</title><style>p {}</style></head><body>
    <nav><a href="/">Home</a></nav><div class="toc">Contents</div><script>alert(1)</script><!-- hidden -->
    <h1>Tea <em>shop</em></h1><p>Open   from <b>nine</b><br>to five.</p>
    <h2>茶</h2><div>龙井茶
       很好喝。<p>第二段 &amp; more</p>tail</div>
    <ul><li>one</li><li>two<ul><li>inner</li></ul></li></ul>
    <table><tr><th>Tea</th><th>°C</th></tr><tr><td>green</td><td>80</td></tr></table>
    <pre>  x = 1
  y = 2
</pre></body></html>"""
    document = read("a.html", page)
    assert blocks(document) == [
        (("Tea shop",), "Open from nine\nto five."),
        (("Tea shop", "茶"), "龙井茶很好喝。"),
        (("Tea shop", "茶"), "第二段 & more"),
        (("Tea shop", "茶"), "tail"),
        (("Tea shop", "茶"), "- one\n- two\n  - inner"),
        (("Tea shop", "茶"), "Tea: green; °C: 80"),
        (("Tea shop", "茶"), "  x = 1\n  y = 2"),
    ]
    assert "alert" not in document.text
    assert "Contents" not in document.text


def test_html_main_wins_over_the_frame_of_a_site_and_title_stands_in_for_h1() -> None:
    page = "<html><head><title>Page title</title></head><body><div>Log in</div><main><p>Text.</p></main></body></html>"
    assert blocks(read("a.htm", page)) == [(("Page title",), "Text.")]


def test_xhtml_and_layout_tables_are_read_without_a_warning() -> None:
    page = (
        '<?xml version="1.0" encoding="UTF-8"?><html><body><table><tr><td><h2>In a table</h2><p>Text.</p></td></tr>'
        "</table></body></html>"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert blocks(read("a.xhtml", page)) == [(("In a table",), "Text.")]


@pytest.mark.slow
def test_html_nested_beyond_reason_is_refused_not_a_crash() -> None:
    with pytest.raises(IndexingError, match="nested too deeply"):
        read("a.html", "<div>" * 5000 + "deep" + "</div>" * 5000)


def test_pdf_paragraphs_know_their_page_and_lines_are_joined() -> None:
    document = read_document(
        "a.pdf", pdf_of("Low-rank adap-\ntation of large models.", "低秩适应把更新写成\n两个矩阵的乘积。")
    )
    assert [(block.page, text) for block, (_, text) in zip(document.blocks, blocks(document), strict=True)] == [
        (1, "Low-rank adaptation of large models."),
        (2, "低秩适应把更新写成两个矩阵的乘积。"),
    ]


def test_pdf_from_tex_gets_its_spaces_back() -> None:
    document = read_document("a.pdf", tex_pdf_of("Missing", "spaces", "between", "words"))
    assert document.text == "Missing spaces between words"


def test_scanned_pages_are_named_and_a_wholly_scanned_pdf_is_refused() -> None:
    warning = read_document("a.pdf", pdf_of("Text.", "", "", "More.", "")).warning
    assert warning.startswith("has no readable text on pages 2-3, 5 (a scan")
    with pytest.raises(IndexingError, match=r"has no readable text on its 2 pages \(a scan"):
        read_document("a.pdf", pdf_of("", ""))


def test_pdf_of_glyphs_without_meaning_is_refused() -> None:
    with pytest.raises(IndexingError, match="no readable text"):
        read_document("a.pdf", pdf_of("\ue001\ue002\ue003 \ue004\ue005 a"))


@pytest.mark.parametrize("length", [20, 200, 700])
def test_a_pdf_cut_short_says_so(length: int) -> None:
    with pytest.raises(IndexingError, match=r"damaged PDF|no readable text"):
        read_document("a.pdf", pdf_of("Some text that is long enough.")[:length])


def test_pdf_is_known_by_its_content_not_its_name() -> None:
    assert read_document("a.txt", pdf_of("Really a PDF.")).text == "Really a PDF."
    document = read_document("a.pdf", b"Just text")
    assert (document.text, document.format) == ("Just text", "plain")


def test_empty_documents_are_kept_with_a_warning() -> None:
    assert read_document("a.md", b"---\ntitle: Only this\n---\n").warning == "contains no text"
    assert read_document("a.txt", b"").warning == "contains no text"


def blocks_of(name: str, data: bytes) -> list[str]:
    document = read_document(name, data)
    return [document.text[block.start : block.end] for block in document.blocks]


@pytest.mark.parametrize(
    ("page", "blocks"),
    [
        (b"<form><h1>Prices</h1><p>Tea costs 5.</p><button>Send</button></form>", ["Tea costs 5."]),
        (b"<dl><div><dt>Warranty</dt><dd>Two years.</dd></div></dl>", ["Warranty\n  Two years."]),
        (b"<ul><li>a</li><ul><li>b</li></ul></ul>", ["- a\n  - b"]),
        (b"<table><caption>Opening hours</caption><tr><td>Mo</td><td>9</td></tr></table>", ["Opening hours\nMo | 9"]),
        (b"<main><p>one</p></main><main><p>two</p></main>", ["one", "two"]),
    ],
)
def test_no_text_of_a_page_is_lost(page: bytes, blocks: list[str]) -> None:
    assert blocks_of("a.html", page) == blocks


@pytest.mark.parametrize(
    ("page", "blocks"),
    [
        (b"---\n# Intro\n\nThe price is 5.\n\n---\n\nSecond part.\n", ["The price is 5.", "Second part."]),
        (b"---\nWhat it says: nothing.\n\n---\n\nBody.\n", ["What it says: nothing.", "Body."]),
        (b"---\n# comment\n\ntitle: T\n---\nBody.\n", ["Body."]),
        (b"---\n---\nBody.\n", ["Body."]),
    ],
)
def test_a_page_that_begins_with_a_rule_has_no_front_matter(page: bytes, blocks: list[str]) -> None:
    assert blocks_of("a.md", page) == blocks


@pytest.mark.parametrize(("half", "read"), [("\ud83d", "\ufffd"), ("\U0001f600", "\U0001f600")])
def test_halves_of_characters_in_a_pdf_are_joined_or_replaced(half: str, read: str) -> None:
    assert blocks_of("a.pdf", pdf_of(f"A line of text {half} goes on.")) == [f"A line of text {read} goes on."]


def test_an_encoding_that_yields_half_characters_is_not_believed() -> None:
    page = b'<meta charset="unicode_escape"><p>caf\xe9 \\ud83d</p>'
    read_document("a.html", page).text.encode()
