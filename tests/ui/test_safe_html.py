"""Nothing that a document or a model says can run or load anything in the page."""

from bs4 import BeautifulSoup
from hypothesis import example, given
from hypothesis import strategies as st

from ui.safe_html import AFTER, BEFORE, answer_html, label_text, plain_html, source_html, unlinked

MARKUP = "div p br hr strong em s code pre ul ol li blockquote table thead tbody tr th td h1 h2 h3 h4 h5 h6"
TAGS = set(MARKUP.split())
ATTRIBUTES = {"class", "style", "start"}

HOSTILE = [
    "![pixel](http://192.0.2.1/pixel.png)",
    "![pixel][p]\n\n[p]: http://192.0.2.1/pixel.png",
    "[click](javascript:alert(1)) <http://192.0.2.1> http://192.0.2.1",
    "<img src=http://192.0.2.1/x onerror=alert(1)>",
    "<script>alert(1)</script>\n\n<style>@import 'http://192.0.2.1/x.css'</style>",
    '```html" onclick="alert(1)\n<b>\n```',
    "> <details open ontoggle=alert(1)>\n\n| <svg onload=alert(1)> |\n|---|\n| x |",
    "&lt;img src=x&gt; &#60;img src=x&#62;",
]
PIECES = st.sampled_from(
    [*HOSTILE, "<", ">", "&", '"', "`", "```", "![", "](", "\n\n", "|", "- ", "# ", "a", "龙井", "[1]"]
)


def hostile(test):
    for text in HOSTILE:
        test = example([text])(test)
    return given(st.lists(PIECES, max_size=12))(test)


@hostile
def test_an_answer_becomes_paragraphs_lists_tables_and_code_and_nothing_else(pieces: list[str]) -> None:
    for tag in BeautifulSoup(answer_html("".join(pieces)), "html.parser").find_all(True):
        assert tag.name in TAGS
        assert set(tag.attrs) <= ATTRIBUTES
        assert "url" not in tag.get("style", "")


@hostile
def test_a_passage_and_a_question_are_shown_letter_by_letter(pieces: list[str]) -> None:
    text = "".join(["said: ", *pieces])
    question = BeautifulSoup(plain_html(text), "html.parser")
    assert [tag.name for tag in question.find_all(True)] == ["div"]
    assert question.get_text() == text
    source = BeautifulSoup(source_html(f"before {text} after", 7, 7 + len(text), text), "html.parser")
    assert [tag.name for tag in source.find_all(True)] == ["div", "mark"]
    assert set(source.div.attrs) == {"class", "tabindex", "role", "aria-label"}
    assert source.mark.get_text() == text
    assert source.get_text() == f"before {text} after"


def test_markdown_of_an_answer_is_rendered() -> None:
    html = answer_html("**LoRA**:\n\n1. `r`\n2. alpha [1]\n\n```python\nx[1] < y\n```")
    page = BeautifulSoup(html, "html.parser")
    assert page.strong.get_text() == "LoRA"
    assert [item.get_text() for item in page.find_all("li")] == ["r", "alpha [1]"]
    assert page.pre.get_text() == "x[1] < y\n"


def test_a_source_shows_some_of_what_stands_around_the_passage_in_whole_words() -> None:
    text = "early " * 500 + "龙井用八十度的水" + " later" * 500
    start = text.index("龙")
    shown = BeautifulSoup(source_html(text, start, start + 8, "source"), "html.parser")
    assert shown.mark.get_text() == "龙井用八十度的水"
    before, after = shown.get_text().split("龙井用八十度的水")
    assert before.startswith("… early")
    assert BEFORE - 10 < len(before) <= BEFORE + 1
    assert after.endswith("later …")
    assert AFTER - 10 < len(after) <= AFTER + 1


def test_labels_cannot_hold_markdown() -> None:
    assert label_text("![x](y)") == r"\!\[x\]\(y\)"
    assert label_text("a\n# b  *c*") == r"a \# b \*c\*"
    assert label_text("龙井 › 水温") == "龙井 › 水温"


def test_addresses_in_labels_are_no_links() -> None:
    assert unlinked("HTTPS://a.b www.a.b a@b.c en/lora.md http:") == (
        "HTTPS:\u2060//a.b www\u2060.a.b a\u2060@b.c en/lora.md http:"
    )
