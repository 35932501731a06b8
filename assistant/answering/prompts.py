"""Prompts: text files in ``assistant/prompts/LANGUAGE/``; a domain can override each in its own ``prompts/LANGUAGE/``.

The answering chain and the training examples build their messages with the functions here, so that training uses the
prompts of inference.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.prompts import PromptTemplate

from assistant.answering.question_parts import leaning_on, leans
from assistant.errors import AssistantError
from domain import Domain
from indexes import Passage, language_of

if TYPE_CHECKING:
    from assistant.answering.pipeline import Asked

BUILT_IN = Path(__file__).parents[1] / "prompts"
VARIABLES: dict[str, set[str]] = {
    "system": set(),
    "grounded": {"passages", "question"},
    "ungrounded": {"question"},
    "refusal": set(),
    "part": {"question", "part"},
    "in_language": {"question"},
    "agent": set(),
    "greeting": set(),
    "thanks": set(),
    "goodbye": set(),
    "abilities": {"count", "documents"},
    "documents": {"count", "documents"},
    "language": set(),
}


class Prompts:
    """The prompts of one domain, in every language."""

    def __init__(self, domain: Domain):
        self.domain = domain
        self._texts = {(language, name): self._read(language, name) for language in ("en", "zh") for name in VARIABLES}

    def language(self, question: str) -> str:
        """The language to answer in: the domain's setting, or the language of the question."""
        chosen = self.domain.settings.language
        return language_of(question) if chosen == "auto" else chosen

    def refusal(self, language: str) -> str:
        """The refusal sentence: the documents do not contain the answer."""
        return self._texts[language, "refusal"]

    def is_refusal(self, answer: str) -> bool:
        """Whether an answer is empty or a refusal in either language."""
        said = answer.strip()
        return not said or any(said.startswith(self.refusal(language).rstrip(".。")) for language in ("en", "zh"))

    def text(self, name: str, language: str, **variables: str) -> str:
        """One prompt with its variables filled in."""
        return PromptTemplate.from_template(self._texts[language, name]).format(**variables)

    def answering(
        self, asked: "Asked", passages: Sequence[Passage] | None, results: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        """The messages of the prompt for an answer: with passages, or (None) without an index.

        ``results`` are the outputs of tools other than the search; they follow the passages.
        """
        language = asked.language or self.language(asked.question)
        question = asked.question
        if asked.part:
            question = self.text("part", language, question=question, part=asked.part)
        if asked.language and asked.language != language_of(asked.question):
            question = self.text("in_language", language, question=question)
        if passages is None:
            text = self.text("ungrounded", language, question=question)
        else:
            listed = "\n\n".join([*(f"[{n}] {p.place}\n{p.text}" for n, p in enumerate(passages, start=1)), *results])
            text = self.text("grounded", language, passages=listed, question=question)
        system = {"role": "system", "content": self.text("system", language)}
        return [system, *_needed(asked), {"role": "user", "content": text}]

    def sha256(self) -> str:
        """Hash of all prompts; a run trained with other prompts may not fit."""
        return hashlib.sha256(repr(sorted(self._texts.items())).encode()).hexdigest()

    def _read(self, language: str, name: str) -> str:
        own = self.domain.prompts / language / f"{name}.txt"
        file = own if own.is_file() else BUILT_IN / language / f"{name}.txt"
        try:
            text = file.read_text(encoding="utf-8-sig").strip()
            found = set(PromptTemplate.from_template(text).input_variables)
        except UnicodeDecodeError:
            raise AssistantError(f"{file} is not UTF-8 text; save the file as UTF-8.") from None
        except ValueError as error:
            raise AssistantError(f"{file}: {error}; write {{{{ and }}}} for literal braces.") from None
        if found != VARIABLES[name]:
            wanted = _braced(VARIABLES[name]) or "no {variable}"
            raise AssistantError(f"{file} must contain {wanted}, but contains {_braced(found) or 'none'}.")
        return text


def _needed(asked: "Asked") -> "Sequence[dict[str, str]]":
    """The earlier messages for the prompt. For a follow-up question they start at the question that it refers to,
    because a small model would answer about an earlier topic."""
    questions = [at for at, message in enumerate(asked.history) if message["role"] == "user"]
    if not questions or not leans(asked.question):
        return asked.history
    needed = leaning_on([asked.history[at]["content"] for at in questions])
    return asked.history[questions[-len(needed)] :]


def _braced(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
