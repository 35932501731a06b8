"""What the chains share: their prompts, and texts from what they are given."""

from collections.abc import Sequence
from functools import lru_cache

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, HumanMessage

from assistant.answering.prompts import Prompts
from assistant.errors import AssistantError

Texts = str | Document | Sequence[Document]
"""What chains read: a text, a passage, or the passages of a document."""


@lru_cache(maxsize=1)
def built_in_prompts() -> Prompts:
    return Prompts()


def asking(prompts: Prompts | None, name: str, sample: str, **variables: str) -> list[BaseMessage]:
    """The message to the model: a prompt in the language of ``sample``."""
    chosen = prompts or built_in_prompts()
    return [HumanMessage(chosen.text(name, chosen.language(sample), **variables))]


def documents_of(given: Texts) -> list[Document]:
    """The passages that a chain was given; raises :class:`AssistantError` if they contain no text."""
    if isinstance(given, str):
        given = Document(given)
    documents = [given] if isinstance(given, Document) else list(given)
    documents = [document for document in documents if document.page_content.strip()]
    if not documents:
        raise AssistantError("there is no text; give a text, or passages that are not empty.")
    return documents


def text_of(given: Texts) -> str:
    """The text of what a chain was given."""
    return "\n\n".join(document.page_content for document in documents_of(given))
