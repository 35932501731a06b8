"""The chat page of one domain: ``streamlit run ui/app.py -- DOMAIN``, started by ``lorewright ui DOMAIN``.

Streamlit runs this file from top to bottom after every user action. The only state is shared by all sessions of the
server: the opened assistant, and the answers in progress.
"""

import sys
import uuid
from functools import partial
from pathlib import Path

import streamlit as st

from assistant import Answer, Assistant
from domain import DomainError
from ui.safe_html import label_text
from ui.sidebar import show_sidebar
from ui.speech import Speech
from ui.translations import LANGUAGES, language_of_browser, words
from ui.turns import Say, show_answer, show_failure, show_question, show_speech


@st.cache_resource(show_spinner=False)
def open_assistant(path: Path) -> Assistant:
    """The assistant, opened once per server."""
    return Assistant.open(path)


@st.cache_resource
def speeches() -> dict[str, Speech]:
    """The latest answer of each conversation, finished or in progress, on this server."""
    return {}


def main() -> None:
    domain = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    st.set_page_config(page_title=domain.name if domain else "Lorewright", page_icon="📖")
    st.html(Path(__file__).with_name("style.css"))
    say = partial(words, _choose_language())
    if domain is None:
        st.error(label_text(say("no_domain")))
        return
    try:
        _show_page(open_assistant(domain), say)
    except DomainError as error:
        st.header(label_text(domain.name))
        st.error(label_text(say("cannot_open", reason=error)))
        st.caption(label_text(say("cannot_open_help")))
        st.button(say("try_again"), icon=":material/refresh:", on_click=open_assistant.clear)


def _choose_language() -> str:
    """The language switch; the selection is stored in the URL, and the default is the browser's language."""
    usual = language_of_browser(st.context.locale)
    return st.sidebar.segmented_control(
        words(usual, "language"),
        list(LANGUAGES),
        default=usual,
        required=True,
        format_func=LANGUAGES.__getitem__,
        key="language",
        label_visibility="collapsed",
        bind="query-params",
    )


def _show_page(assistant: Assistant, say: Say) -> None:
    conversation = st.query_params.get("conversation", "")
    speech = speeches().get(conversation)
    speaking = speech is not None and not speech.finished
    show_sidebar(assistant, conversation, speaking, open_assistant.clear, say)
    st.header(label_text(assistant.domain.path.name))
    st.chat_input(say("ask"), key="question", disabled=speaking, on_submit=_ask, args=(assistant, conversation))
    history = assistant.history(conversation) if conversation else []
    ratings = assistant.conversations.ratings(conversation)
    if not history and not speech:
        st.html(f'<p class="lw-hello">{say("hello")}</p>')
    question = ""
    for turn in history:
        if isinstance(turn, Answer):
            last = turn is history[-1] and not speaking
            again = partial(_speak, assistant, question, conversation, True) if last else None
            show_answer(assistant, conversation, turn, ratings.get(turn.id), say, again)
        else:
            question = turn
            show_question(turn)
    if speech and (speaking or speech.failed):
        if history[-1:] != [speech.question]:  # a partly failed question is already in the history
            show_question(speech.question)
        show_speech(speech, say) if speaking else show_failure(speech, say)


def _ask(assistant: Assistant, conversation: str) -> None:
    """Start to answer the typed question, in the open conversation or in a new one."""
    question = st.session_state["question"]
    running = speeches().get(conversation)  # another tab may be waiting for an answer in this conversation
    if question.strip() and (running is None or running.finished):
        conversation = conversation or uuid.uuid4().hex
        st.query_params["conversation"] = conversation
        _speak(assistant, question, conversation)


def _speak(assistant: Assistant, question: str, conversation: str, answer_anyway: bool = False) -> None:
    adapter = st.session_state["adapter"]  # the current selection, which may be newer than the rendered page
    speeches()[conversation] = Speech(assistant, question, conversation, adapter, answer_anyway)


if __name__ == "__main__":
    main()
