"""Prompts: files in ``assistant/prompts/LANGUAGE/``; a domain can override each in its own ``prompts/LANGUAGE/``.

A file is ``NAME.jinja`` or ``NAME.txt`` (prompt_files.py); either form overrides a built-in prompt of that name. The
answering chain and the training examples build their messages with the functions here, so that training uses the
prompts of inference.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Template

from assistant.answering.prompt_files import prompt_file, read_prompt
from assistant.answering.question_parts import leaning_on, leans
from domain import Domain
from indexes import Passage, language_of

if TYPE_CHECKING:
    from assistant.answering.pipeline import Asked

BUILT_IN = Path(__file__).parents[1] / "prompts"
TRAINED: dict[str, set[str]] = {
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
"""The prompts of :meth:`Prompts.sha256`, with their variables; adapters are trained with some of them."""
CHAINS: dict[str, set[str]] = {
    "standalone": {"conversation", "question"},
    "queries": {"question", "count"},
    "translate": {"text"},
    "summarise": {"text"},
    "combine": {"texts"},
    "extract": {"text", "columns"},
    "compare": {"first", "second", "about"},
    "classify": {"text", "labels"},
}
"""The prompts of ``assistant/chains/``."""
FACTS: dict[str, set[str]] = {"facts": {"facts", "prompt"}, "remembered": {"fact"}}
"""The prompts for facts about the user."""
VARIABLES = TRAINED | CHAINS | FACTS


class Prompts:
    """The prompts of one domain, in every language."""

    def __init__(self, domain: Domain | None = None):
        """Read the prompts of a domain; without one, the built-in prompts."""
        self.domain = domain
        read = {(language, name): self._read(language, name) for language in ("en", "zh") for name in VARIABLES}
        self._texts = {key: text for key, (text, _) in read.items()}
        self._templates = {key: template for key, (_, template) in read.items()}

    def language(self, question: str) -> str:
        """The language to answer in: the domain's setting, or the language of the question."""
        chosen = self.domain.settings.language if self.domain else "auto"
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
        return self._templates[language, name].render(variables)

    def answering(
        self, asked: "Asked", passages: Sequence[Passage] | None, results: Sequence[str] = (), facts: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        """The messages of the prompt for an answer: with passages, or (None) without an index.

        ``results`` are the outputs of tools other than the search; they follow the passages. ``facts`` are
        what the user asked to remember; they stand before the question's message, as data.
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
        if facts:
            text = self.text("facts", language, facts="\n".join(f"- {fact}" for fact in facts), prompt=text)
        system = {"role": "system", "content": self.text("system", language)}
        return [system, *_needed(asked), {"role": "user", "content": text}]

    def sha256(self) -> str:
        """Hash of the prompts for answering; a run trained with other prompts may not fit."""
        texts = {(language, name): text for (language, name), text in self._texts.items() if name in TRAINED}
        return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()

    def _read(self, language: str, name: str) -> tuple[str, Template]:
        own = prompt_file(self.domain.prompts / language, name) if self.domain else None
        file = own or prompt_file(BUILT_IN / language, name)
        assert file is not None
        return read_prompt(file, VARIABLES[name])


def _needed(asked: "Asked") -> "Sequence[dict[str, str]]":
    """The earlier messages for the prompt. For a follow-up question they start at the question that it refers to,
    because a small model would answer about an earlier topic."""
    questions = [at for at, message in enumerate(asked.history) if message["role"] == "user"]
    if not questions or not leans(asked.question):
        return asked.history
    needed = leaning_on([asked.history[at]["content"] for at in questions])
    return asked.history[questions[-len(needed)] :]
