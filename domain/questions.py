"""Question files: ``questions/train.jsonl`` and ``questions/held_out.jsonl``, one JSON object a line.

.. code-block:: json

    {"id": "en-lora-1", "language": "en", "answerable": true, "document": "en/lora.md",
     "messages": [{"role": "user", "content": "What is r?"}, {"role": "assistant", "content": "The rank."}]}

``messages`` alternate user and assistant (a system message may come first) and end with the assistant's answer.
``document`` is the path under ``documents/`` that holds the answer to the last question (the gold document).
``answerable`` is false where the documents do not hold the answer. ``facts`` is what a correct answer must contain: a
list of facts, each a list of accepted wordings (``[["80 degrees", "80 度"], ["two minutes", "两分钟"]]``); how wordings
are matched is in ``assistant/answering/facts.py``. ``id``, ``language``, ``document`` and ``facts`` may be absent.
"""

import codecs
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import DomainError

KEYS = {"id", "language", "answerable", "document", "messages", "facts"}


@dataclass(frozen=True)
class Question:
    """One conversation with a known answer."""

    id: str
    messages: tuple[dict[str, str], ...]
    answerable: bool = True
    document: str | None = None
    language: str | None = None
    facts: tuple[tuple[str, ...], ...] = ()
    """What a correct answer must contain: for each fact its accepted wordings. Empty where the file has none."""

    @property
    def text(self) -> str:
        """The last question."""
        return self.messages[-2]["content"]

    @property
    def answer(self) -> str:
        """The reference answer to it."""
        return self.messages[-1]["content"]

    @property
    def history(self) -> tuple[dict[str, str], ...]:
        """The turns before the last question."""
        return self.messages[:-2]


def read_questions(path: Path) -> list[Question]:
    """Read a question file, or raise a :class:`DomainError` that names the file and the line."""
    questions: list[Question] = []
    seen: dict[str, int] = {}
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except FileNotFoundError:
        raise DomainError(f"{path} does not exist; write one question per line into it (README shows how).") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = _question(json.loads(line.decode("utf-8-sig")), f"line-{number}")
        except UnicodeDecodeError as error:
            raise DomainError(
                f"{path}, line {number}: not UTF-8 text ({error.reason}); save the file as UTF-8."
            ) from None
        except RecursionError:
            raise DomainError(f"{path}, line {number}: the JSON is nested too deeply for a question.") from None
        except json.JSONDecodeError as error:
            raise DomainError(f"{path}, line {number}, column {error.colno}: not valid JSON ({error.msg}).") from None
        except ValueError as error:
            raise DomainError(f"{path}, line {number}: {error}.") from None
        if question.id in seen:
            raise DomainError(
                f"{path}, line {number}: the id {question.id!r} is already used in line {seen[question.id]}; "
                "choose another."
            )
        seen[question.id] = number
        questions.append(question)
    return questions


def is_text(text: str) -> bool:
    """False for a string with a lone surrogate (half a character), which cannot be encoded as UTF-8.

    Such strings come from command lines that are not UTF-8, and from JSON that was cut within a character.
    """
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _question(record: Any, default_id: str) -> Question:
    """Validate one decoded line; the message of its ValueError has no full stop."""
    if not isinstance(record, dict):
        raise ValueError('must be a JSON object like {"messages": [...]}')
    if unknown := sorted(set(record) - KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}; the keys are {', '.join(sorted(KEYS))}")
    messages = record.get("messages")
    if not isinstance(messages, list) or len(messages) < 2:
        raise ValueError('"messages" must be a list with at least a question and its answer')
    for position, message in enumerate(messages):
        if (
            not isinstance(message, dict)
            or not isinstance(message.get("content"), str)
            or not message["content"].strip()
        ):
            raise ValueError(f'message {position + 1} must be {{"role": ..., "content": ...}} with a non-empty text')
        if unknown := sorted(set(message) - {"role", "content"}):
            raise ValueError(
                f"message {position + 1} has the unknown key {unknown[0]!r}; the keys are role and content"
            )
        if not is_text(message["content"]):
            raise ValueError(f"message {position + 1} contains a lone surrogate (half a character, such as \\ud83d)")
    roles = [message.get("role") for message in messages]
    turns = roles[1:] if roles[0] == "system" else roles
    if turns != ["user", "assistant"] * (len(turns) // 2) or not turns:
        raise ValueError(
            f"roles must alternate user, assistant and end with assistant, not {', '.join(map(str, roles))}"
        )
    answerable = record.get("answerable", True)
    if not isinstance(answerable, bool):
        raise ValueError('"answerable" must be true or false')
    for key in ("id", "language", "document"):
        if not isinstance(record.get(key), str | None):
            raise ValueError(f'"{key}" must be a string')
    facts = record.get("facts", [])
    if not isinstance(facts, list) or not all(_is_fact(fact) for fact in facts):
        raise ValueError('"facts" must be a list of facts, each a list of wordings: [["80 degrees", "80 度"]]')
    if facts and not answerable:
        raise ValueError('"facts" are for answerable questions only; remove them, or set "answerable" to true')
    return Question(
        id=record.get("id") or default_id,
        messages=tuple({"role": message["role"], "content": message["content"]} for message in messages),
        answerable=answerable,
        document=record.get("document"),
        language=record.get("language"),
        facts=tuple(map(tuple, facts)),
    )


def _is_fact(fact: Any) -> bool:
    """Whether a decoded value is a list of at least one wording."""
    return isinstance(fact, list) and bool(fact) and all(isinstance(text, str) and text.strip() for text in fact)
