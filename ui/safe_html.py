"""Converts untrusted text to HTML that can neither run nor load anything.

Documents come from anywhere, and answers repeat them. So passages are escaped, and the Markdown of answers is rendered
by a parser without HTML, links and images: its output is paragraphs, lists, tables, emphasis and code.
"""

import re
from html import escape

from markdown_it import MarkdownIt

BEFORE = 300
AFTER = 700
"""Number of characters shown before and after a passage."""

MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False, "breaks": True})
MARKDOWN.disable(["html_block", "html_inline", "link", "image", "autolink", "reference", "linkify"])


def answer_html(text: str) -> str:
    """Render the Markdown of an answer."""
    return f'<div class="lw-answer">{MARKDOWN.render(text)}</div>'


def plain_html(text: str) -> str:
    """Plain text with its line breaks."""
    return f'<div class="lw-plain">{escape(text)}</div>'


def source_html(text: str, start: int, end: int, label: str) -> str:
    """``text[start:end]`` highlighted, with some surrounding text; ``label`` is for screen readers."""
    before, after = text[max(0, start - BEFORE) : start], text[end : end + AFTER]
    if start > BEFORE:
        before = "…" + re.sub(r"^\w{1,20}\b", "", before)  # a partial word
    if end + AFTER < len(text):
        after = re.sub(r"\b\w{1,20}$", "", after) + "…"
    return (
        f'<div class="lw-source" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"{escape(before)}<mark>{escape(text[start:end])}</mark>{escape(after)}</div>"
    )


def label_text(text: str) -> str:
    """Text for a widget label or an error: Streamlit renders those as Markdown, so punctuation is escaped."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def unlinked(text: str) -> str:
    """Stop Streamlit from turning addresses into links: inserts an invisible character (word joiner) into each."""
    return re.sub(r"(https?:(?=//)|www(?=\.)|(?=@))", "\\1\u2060", text, flags=re.IGNORECASE)
