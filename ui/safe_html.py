"""Text that nobody vouches for, as HTML that can neither run nor load anything.

Documents come from anywhere, and answers repeat them. So a passage is escaped, and an answer's Markdown is rendered by
a parser that knows no HTML, no links and no images: what it writes are paragraphs, lists, tables, emphasis and code.
"""

import re
from html import escape

from markdown_it import MarkdownIt

BEFORE = 300
AFTER = 700
"""How many characters around a passage are shown."""

MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False, "breaks": True})
MARKDOWN.disable(["html_block", "html_inline", "link", "image", "autolink", "reference", "linkify"])


def answer_html(text: str) -> str:
    """An answer's Markdown."""
    return f'<div class="lw-answer">{MARKDOWN.render(text)}</div>'


def plain_html(text: str) -> str:
    """Text as it is, line ends kept."""
    return f'<div class="lw-plain">{escape(text)}</div>'


def source_html(text: str, start: int, end: int, label: str) -> str:
    """``text[start:end]`` highlighted, and some of what stands around it; ``label`` is read out by screen readers."""
    before, after = text[max(0, start - BEFORE) : start], text[end : end + AFTER]
    if start > BEFORE:
        before = "…" + re.sub(r"^\w{1,20}\b", "", before)  # half a word
    if end + AFTER < len(text):
        after = re.sub(r"\b\w{1,20}$", "", after) + "…"
    return (
        f'<div class="lw-source" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"{escape(before)}<mark>{escape(text[start:end])}</mark>{escape(after)}</div>"
    )


def label_text(text: str) -> str:
    """Text for the label of a widget, or an error: Streamlit reads those as Markdown, so its signs are escaped."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def unlinked(text: str) -> str:
    """Text in which Streamlit finds no address to make a link of: an invisible sign (word joiner) stands in each."""
    return re.sub(r"(https?:(?=//)|www(?=\.)|(?=@))", "\\1\u2060", text, flags=re.IGNORECASE)
