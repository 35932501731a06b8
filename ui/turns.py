"""Displays questions, answers and sources."""

import time
from collections.abc import Callable

import streamlit as st

from assistant import Answer, Assistant
from domain import DomainError
from indexes import Passage
from ui.safe_html import answer_html, label_text, plain_html, source_html, unlinked
from ui.speech import Speech

Say = Callable[..., str]
"""``say(key, **values)`` returns an interface text in the selected language."""

TICK_SECONDS = 0.1

QUESTION_ICON, ANSWER_ICON, REFUSAL_ICON = ":material/person:", ":material/menu_book:", ":material/block:"
UNSURE_ICON = ":material/help:"


def show_question(text: str) -> None:
    with st.chat_message("user", avatar=QUESTION_ICON):
        st.html(plain_html(text))


def show_answer(
    assistant: Assistant,
    conversation: str,
    answer: Answer,
    rating: bool | None,
    say: Say,
    answer_anyway: Callable[[], None] | None = None,
) -> None:
    """Display an answer, its sources, the adapter, and the rating buttons.

    ``answer_anyway`` is called when the user asks for an answer despite a refusal; None hides that button.
    """
    kind = "refused" if answer.refused else "answer"
    with (
        st.chat_message("assistant", avatar=REFUSAL_ICON if answer.refused else ANSWER_ICON),
        st.container(key=f"{kind}-{answer.id}", gap="xsmall"),
    ):
        if answer.refused:
            st.badge(say("refused"), icon=REFUSAL_ICON, color="orange")
        if answer.unsure:
            st.badge(say("unsure"), icon=UNSURE_ICON, color="yellow", help=say("unsure_help"))
        st.html(answer_html(answer.text or say("not_said")))
        for citation in answer.citations:
            label = f"[{citation.number}] {citation.passage.document} · {place_of(citation.passage, say)}"
            _show_source(assistant, f"{answer.id}-{citation.number}", label, citation.passage, say)
        _show_remarks(answer, say)
        if answer.refused or answer.unsure:
            for passage in answer.nearest:
                place = f"{passage.document} · {place_of(passage, say)}"
                label = say("also_found", place=place) if answer.unsure else say("nearest", place=place)
                _show_source(assistant, f"{answer.id}-near-{passage.id}", label, passage, say, opened=answer.unsure)
        if answer.refused and answer.passages and answer_anyway:
            st.button(say("answer_anyway"), key=f"anyway-{answer.id}", on_click=answer_anyway)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            # A refusal may come without a model call; then there is no model to name.
            if answer.adapter or answer.outcome in ("answered", "unsure"):
                who = say("answered_by", name=answer.adapter) if answer.adapter else say("answered_by_base")
                st.caption(label_text(who), width="content")
            key = f"rating-{answer.id}"
            st.feedback(
                "thumbs",
                key=key,
                default=None if rating is None else int(rating),
                on_change=lambda: assistant.conversations.rate(conversation, answer.id, _thumb(st.session_state[key])),
            )


def show_speech(speech: Speech, say: Say) -> None:
    """Display an answer as it grows, with a stop button; rerun the page when the answer is complete.

    Any click leaves this loop (Streamlit ends the run at the next line that displays something), and the new run
    re-enters it.
    """
    with st.chat_message("assistant", avatar=ANSWER_ICON), st.container(key="speech", gap="small"):
        said = st.empty()
        st.button(say("stop"), key="stop", icon=":material/stop_circle:", on_click=speech.stop)
        while not speech.finished:
            said.html(answer_html(speech.text) if speech.text else _waiting_html(speech, say))
            time.sleep(TICK_SECONDS)
    st.rerun()


def show_failure(speech: Speech, say: Say) -> None:
    st.error(label_text(say("no_answer", reason=speech.outcome) if speech.outcome else say("broke_off")))


def place_of(passage: Passage, say: Say) -> str:
    """The location of a passage in its document, in the interface language."""
    parts = [" › ".join(passage.headings)] if passage.headings else []
    parts += [say("sheet", sheet=passage.sheet)] if passage.sheet and passage.sheet not in passage.headings else []
    parts += [say("page", page=passage.page)] if passage.page else []
    parts += [say("slide", slide=passage.slide)] if passage.slide else []
    return ", ".join(parts) or say("line", line=passage.line)


def _waiting_html(speech: Speech, say: Say) -> str:
    waiting = say("loading") if speech.loads else say("reading")
    seconds = say("seconds", seconds=speech.seconds)
    return f'<div class="lw-waiting" role="status"><span class="lw-spinner"></span>{waiting} · {seconds}</div>'


def _show_remarks(answer: Answer, say: Say) -> None:
    """Warnings: what the user should check."""
    if answer.unproved:
        st.caption(say("unproved"))
    if answer.unknown_numbers:
        st.caption(label_text(say("check_numbers", numbers=", ".join(answer.unknown_numbers))))
    for sentence in answer.negations:
        st.caption(label_text(say("check_negation", sentence=sentence)))


def _show_source(assistant: Assistant, key: str, label: str, passage: Passage, say: Say, opened: bool = False) -> None:
    """A line with file and location; expanded, the passage with the surrounding text."""
    source = st.expander(label_text(unlinked(label)), expanded=opened, key=f"source-{key}", on_change="rerun")
    if not source.open:
        return
    with source:
        text = _text(assistant, passage)
        start, end = passage.start, passage.end
        if text[start:end] != passage.text:
            st.caption(say("changed_since"))
            text, start, end = passage.text, 0, len(passage.text)
        st.html(source_html(text, start, end, say("source")))


def _text(assistant: Assistant, passage: Passage) -> str:
    """The text of a passage's document; empty if it is no longer in the index."""
    try:
        return assistant.index.text(passage.document, passage.given)
    except DomainError:
        return ""


def _thumb(chosen: int | None) -> bool | None:
    return None if chosen is None else bool(chosen)
