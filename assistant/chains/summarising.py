"""A chain that summarises a document of any length: its parts first, then the summaries together (map-reduce)."""

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import patch_config

from assistant.answering.prompts import Prompts
from assistant.chains.prompting import Texts, asking, documents_of
from assistant.errors import AssistantError
from assistant.progress import Progress
from assistant.token_estimate import estimated_tokens
from indexes import sentences_of

AT_ONCE = 4
"""Parts that are summarised at the same time, unless ``config["max_concurrency"]`` says otherwise. Chosen."""


def summarise(
    llm: BaseChatModel,
    prompts: Prompts | None = None,
    part_tokens: int = 900,
    max_parts: int = 40,
    progress: Progress | None = None,
) -> Runnable[Texts, str]:
    """From a text or the passages of a document to its summary; the last model call streams.

    ``part_tokens`` is the estimated size of a part. A text of more than ``max_parts`` parts raises
    :class:`AssistantError`; the model is called less than twice as often as there are parts.
    """

    def parts(given: Texts) -> list[str]:
        found = joined(_pieces(documents_of(given), part_tokens), part_tokens)
        if len(found) > max_parts:
            raise AssistantError(
                f"the text has {len(found)} parts of {part_tokens} tokens, more than max_parts={max_parts}; "
                "raise max_parts, or summarise fewer passages."
            )
        return found

    def reduce(given: Texts, config: RunnableConfig) -> Any:
        asked = [asking(prompts, "summarise", text, text=text) for text in parts(given)]
        while len(asked) > 1:
            summaries = joined(_answers(llm, asked, config, progress), part_tokens, at_least=2)
            asked = [asking(prompts, "combine", texts, texts=texts) for texts in summaries]
        (last,) = asked
        return RunnableLambda(lambda _: last) | llm | StrOutputParser()  # LangChain runs it, and streams its text

    return RunnableLambda(reduce).with_config(run_name="summarise")


def joined(texts: Sequence[str], tokens: int, at_least: int = 1) -> list[str]:
    """Neighbouring texts joined up to an estimated number of tokens; at least ``at_least`` of them in each."""
    groups: list[list[str]] = []
    for text in texts:
        here = groups[-1] if groups else []
        if here and (len(here) < at_least or estimated_tokens("\n\n".join([*here, text])) <= tokens):
            here.append(text)
        else:
            groups.append([text])
    return ["\n\n".join(group) for group in groups]


def _pieces(documents: Sequence[Document], tokens: int) -> list[str]:
    """The texts of the documents; those that are too long for one part are divided between sentences."""
    pieces: list[str] = []
    for document in documents:
        if estimated_tokens(document.page_content) <= tokens:
            pieces.append(document.page_content)
            continue
        piece = ""
        for sentence in sentences_of(document.page_content):
            if piece and estimated_tokens(piece + sentence) > tokens:
                pieces.append(piece)
                piece = ""
            piece += sentence
            while estimated_tokens(piece) > tokens:  # a sentence without an end, such as a long table
                pieces.append(piece[:tokens])
                piece = piece[tokens:]
        pieces.append(piece)
    return [piece for piece in pieces if piece.strip()]


def _answers(
    llm: BaseChatModel, asked: Sequence[list[BaseMessage]], config: RunnableConfig, progress: Progress | None
) -> list[str]:
    """The model's answers in order, several at once, with progress."""
    answers: dict[int, str] = {}
    at_once = patch_config(config, max_concurrency=config.get("max_concurrency") or AT_ONCE)
    for at, answer in (llm | StrOutputParser()).batch_as_completed(list(asked), at_once):
        assert isinstance(answer, str)
        answers[at] = answer
        if progress:
            progress("summarising", len(answers), len(asked))
    return [answers[at] for at in range(len(asked))]
