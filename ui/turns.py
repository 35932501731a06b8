"""How a question, an answer and its sources look."""

from collections.abc import Callable

import streamlit as st

from assistant import Answer, Assistant, Citation
from domain import DomainError
from ui.safe_html import answer_html, label_text, plain_html, source_html
from ui.speech import Speech

Say = Callable[..., str]
"""``say(key, **values)`` gives the words of the interface in the chosen language."""

TICK_SECONDS = 0.25


def show_question(text: str) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.html(plain_html(text))


def show_answer(assistant: Assistant, conversation: str, answer: Answer, rating: bool | None, say: Say) -> None:
    """An answer, its sources, who spoke, and the thumbs by which it is rated."""
    kind = "refused" if answer.refused else "answer"
    with (
        st.chat_message("assistant", avatar=":material/block:" if answer.refused else ":material/menu_book:"),
        st.container(key=f"{kind}-{answer.id}", gap="xsmall"),
    ):
        if answer.refused:
            st.badge(say("refused"), icon=":material/block:", color="orange")
        st.html(answer_html(answer.text or say("not_said")))
        for citation in answer.citations:
            _show_source(assistant, answer.id, citation, say)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            # A refusal may come without asking any model; then there is nobody to name.
            if answer.adapter or not answer.refused:
                st.caption(label_text(say("answered_by", name=answer.adapter or say("base_model"))), width="content")
            key = f"rating-{answer.id}"
            st.feedback(
                "thumbs",
                key=key,
                default=None if rating is None else int(rating),
                on_change=lambda: assistant.conversations.rate(conversation, answer.id, _thumb(st.session_state[key])),
            )


@st.fragment(run_every=TICK_SECONDS)
def show_speech(speech: Speech, say: Say) -> None:
    """An answer that grows, with a button that stops it."""
    if speech.finished:
        st.rerun()
    with st.chat_message("assistant", avatar=":material/menu_book:"), st.container(key="speech", gap="xsmall"):
        if speech.text:
            st.html(answer_html(speech.text))
        else:
            waiting = say("loading") if speech.loading else say("reading")
            seconds = say("seconds", seconds=speech.seconds)
            st.html(f'<div class="lw-waiting" role="status"><span class="lw-spinner"></span>{waiting} · {seconds}</div>')
        st.button(say("stop"), key="stop", icon=":material/stop_circle:", on_click=speech.stop)


def show_failure(speech: Speech, say: Say) -> None:
    """The question that got no answer, and why."""
    show_question(speech.question)
    st.error(label_text(str(speech.outcome or say("broke_off"))))


def place_of(citation: Citation, say: Say) -> str:
    """Where a passage stands in its document, in the words of the interface."""
    passage = citation.passage
    parts = [" › ".join(passage.headings)] if passage.headings else []
    parts += [say("page", page=passage.page)] if passage.page else []
    return ", ".join(parts) or say("line", line=passage.line)


def _show_source(assistant: Assistant, answer: str, citation: Citation, say: Say) -> None:
    """A closed line with file and place; opened, the passage within its surroundings."""
    passage = citation.passage
    label = label_text(f"[{citation.number}] {passage.document} · {place_of(citation, say)}")
    source = st.expander(label, key=f"source-{answer}-{citation.number}", on_change="rerun")
    if not source.open:
        return
    with source:
        text, start, end = _surroundings(assistant, citation)
        if text == passage.text:
            st.caption(say("changed_since"))
        st.html(source_html(text, start, end, say("source")))


def _surroundings(assistant: Assistant, citation: Citation) -> tuple[str, int, int]:
    """The document's text and where the passage stands in it; the passage alone if the document is another one now."""
    passage = citation.passage
    try:
        text = assistant.index.text(passage.document)
    except DomainError:
        text = ""
    if text[passage.start : passage.end] == passage.text:
        return text, passage.start, passage.end
    return passage.text, 0, len(passage.text)


def _thumb(chosen: int | None) -> bool | None:
    return None if chosen is None else bool(chosen)
