"""Small talk: answers greetings, thanks and questions about the assistant itself, without search or model.

A message is small talk only if all of it matches a pattern (``small_talk.txt``), so questions about the documents are
never mistaken for it: "Which documents do I need for a visa?" is searched for, "Which documents do you have?" is not.
Matching takes well under a millisecond. The replies are prompt files, which a domain can override.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from assistant.answering.prompts import Prompts
from indexes import Index, language_of

SHOWN = 12
"""Maximum number of documents that the reply names. Chosen."""
LONGEST = 120
"""Maximum characters of a message that is checked. Chosen."""

_LANGUAGES: dict[str, Literal["en", "zh"]] = {"english": "en", "英文": "en", "英语": "en"}
_OPENING = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks|thank you|ok|okay)(?: there)? "
    r"|(?:你好|您好|谢谢|嗨|请问|好的)[呀啊]? ?"
)
_FILLER = re.compile(r"\b(?:please|pls|then|just)\b")
_NOT_A_WORD = re.compile(r"[\W_]+")
_SPACE_BESIDE_CJK = re.compile(r"(?<=[\u3400-\u9fff]) | (?=[\u3400-\u9fff])")


@dataclass(frozen=True)
class SmallTalk:
    """The intent of a message that is not a question about the documents."""

    intent: str
    """A section of ``small_talk.txt``; the reply is the prompt of this name."""
    language: Literal["", "en", "zh"] = ""
    """The requested language; only set for the intent "language"."""


def small_talk(message: str) -> SmallTalk | None:
    """The intent of a message; None if it may be a question about the documents."""
    if len(message) > LONGEST:
        return None
    said = _FILLER.sub(" ", _NOT_A_WORD.sub(" ", unicodedata.normalize("NFKC", message).lower()))
    said = _SPACE_BESIDE_CJK.sub("", " ".join(said.split()))
    if not said and any(unicodedata.category(character) == "So" for character in message):  # a waving hand
        return SmallTalk("greeting")
    for text in (said, _OPENING.sub("", said, count=1)):  # "hello, what can you do?"
        for intent, pattern in _patterns():
            if match := pattern.fullmatch(text):
                wanted = match.groupdict().get("language")
                return SmallTalk(intent, _LANGUAGES.get(wanted, "zh") if wanted else "")
    return None


def reply(talk: SmallTalk, message: str, prompts: Prompts, index: Index) -> str:
    """The reply in the language of the message; for the intent "language", in the requested one."""
    language = talk.language or language_of(message)
    if talk.intent not in ("documents", "abilities"):
        return prompts.text(talk.intent, language)
    names = index.documents()
    listed = ("、" if language == "zh" else ", ").join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
    return prompts.text(talk.intent, language, count=str(len(names)), documents=listed)


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """The patterns of ``small_talk.txt``, each with the section that contains it."""
    names: dict[str, str] = {}
    patterns = []
    intent = ""
    for line in Path(__file__).with_name("small_talk.txt").read_text(encoding="utf-8").splitlines():
        for name, expression in names.items():
            line = line.replace(f"{{{name}}}", f"(?:{expression})")
        if section := re.fullmatch(r"\[(\w+)\]", line):
            intent = section[1]
        elif not intent and (named := re.fullmatch(r"(\w+) = (.+)", line)):
            names[named[1]] = named[2]
        elif line and not line.startswith("#"):
            patterns.append((intent, re.compile(line)))
    return patterns
