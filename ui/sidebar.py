"""The sidebar: conversations, adapter selection, and information about the domain."""

from collections.abc import Callable

import streamlit as st

from assistant import Assistant
from ui.safe_html import label_text
from ui.translations import LANGUAGES
from ui.turns import Say

SHOWN = 15
"""Number of conversations listed until the user asks for all."""


def show_sidebar(assistant: Assistant, conversation: str, speaking: bool, reload: Callable[[], None], say: Say) -> None:
    """Draw the sidebar. The session state ``adapter`` holds the selected adapter, empty for the base model."""
    with st.sidebar:
        st.button(
            say("new_conversation"),
            key="new-conversation",
            icon=":material/add:",
            width="stretch",
            on_click=_open,
            args=("",),
        )
        _choose_adapter(assistant, say)
        _list_conversations(assistant, conversation, speaking, say)
        st.divider()
        _show_facts(assistant, say)
        st.button(
            say("reload"),
            key="reload",
            icon=":material/refresh:",
            type="tertiary",
            help=say("reload_help"),
            on_click=reload,
        )


def _choose_adapter(assistant: Assistant, say: Say) -> None:
    usual = assistant.domain.settings.adapter
    names = assistant.adapter_names()
    st.selectbox(
        say("adapter_label"),
        names,
        index=names.index(usual) if usual in names else 0,
        format_func=lambda name: {"": say("base_model"), "reader": say("reader")}.get(name, name),
        key="adapter",
        help=say("adapter_help"),
    )


def _list_conversations(assistant: Assistant, opened: str, speaking: bool, say: Say) -> None:
    """The conversations, the most recent first; the open one can be deleted."""
    conversations = assistant.conversations.all()
    if not conversations:
        return
    st.caption(say("conversations"))
    everything = st.session_state.get("everything", False) or len(conversations) <= SHOWN
    with st.container(key="conversations", gap=None):
        for conversation in conversations if everything else conversations[:SHOWN]:
            with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center", wrap=False):
                is_open = conversation.id == opened
                st.button(
                    label_text(conversation.title),
                    key=f"open-{conversation.id}",
                    type="secondary" if is_open else "tertiary",
                    width="stretch",
                    wrap=False,
                    on_click=_open,
                    args=(conversation.id,),
                )
                if is_open and not speaking:
                    _offer_deletion(assistant, conversation.id, say)
    if not everything:
        st.button(
            say("everything", count=len(conversations)),
            type="tertiary",
            on_click=lambda: st.session_state.update(everything=True),
        )


def _offer_deletion(assistant: Assistant, conversation: str, say: Say) -> None:
    with st.popover(say("delete"), type="tertiary", key="delete"):
        st.write(say("delete_question"))
        st.button(
            say("delete_for_good"),
            key="delete-for-good",
            icon=":material/delete_forever:",
            type="primary",
            on_click=_delete,
            args=(assistant, conversation),
        )


def _show_facts(assistant: Assistant, say: Say) -> None:
    """The contents of the domain, and the error rates of its refusal."""
    settings = assistant.domain.settings
    lines = [say("documents", count=len(assistant.index.documents())), say("model", name=settings.base_model)]
    rates = None
    if settings.answer.refusal == 0:
        lines.append(say("refusal_off"))
    else:
        refusal = assistant.refusal
        for calibrated in (True, False):
            named = [LANGUAGES[language] for language in LANGUAGES if refusal.calibrated(language) is calibrated]
            key = "refusal_calibrated" if calibrated else "refusal_uncalibrated"
            lines += [say(key, languages=", ".join(named))] if named else []
        rates = "\n\n".join(_error_rates(LANGUAGES[key], refusal.rates(key), say) for key in LANGUAGES)
    st.caption("  \n".join(map(label_text, lines)), help=rates)
    if warnings := assistant.index.warnings():
        with st.popover(say("read_but", count=len(warnings)), type="tertiary", key="read-but"):
            for document, warning in warnings.items():
                st.caption(label_text(f"{document} {warning}"))


def _error_rates(language: str, rates: dict[str, float] | None, say: Say) -> str:
    if rates is None:
        return say("refusal_unknown_rates", language=language)
    shown = {key: f"{rates[key]:.0%}" for key in ("false_answers", "false_refusals", "unsure_answers")}
    return say("refusal_rates", language=language, questions=int(rates["questions"]), **shown)


def _open(conversation: str) -> None:
    if conversation:
        st.query_params["conversation"] = conversation
    else:
        st.query_params.pop("conversation", None)


def _delete(assistant: Assistant, conversation: str) -> None:
    assistant.conversations.delete(conversation)
    _open("")
