"""Finds names in a question: product codes, people, methods. A passage that answers it usually contains them."""

import math
import re
import sqlite3
import unicodedata
from collections.abc import Sequence

from indexes.full_text import look_up
from indexes.language import CJK, is_function_word, language_of
from indexes.passages import Passage
from indexes.search_words import indexed_words

_LATIN = rf"[^\W_{CJK}]"
_WORD = re.compile(rf"{_LATIN}+(?:[-.]{_LATIN}+)*(?:(?:\+\+|#)(?![^\W\d_{CJK}])|\+(?![\w+]))?")
"""A word with its hyphens and points; matches ``C++``, ``C#`` and ``LoRA+``, but in ``WiFi+蓝牙`` only ``WiFi``."""
_PART = re.compile(rf"{_LATIN}+(?:\+\+|#|\+)?")
_CODE = re.compile(r"[a-z][A-Z]|\d|[+#]")
_ACRONYM = re.compile(r"[A-Z]{2}")
_NEW_SENTENCE = re.compile(r"[.?!:\"“(\n]\s*$")
_HONORIFIC = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.\s*$")
_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+|(?:https?://|www\.)[^\s，。]+", re.ASCII)
_SELF_INTRODUCTION = re.compile(r"(?:\b(?:I'm|I’m|I am|[Mm]y name is)\s+|我(?:叫|是)\s*)[A-Z]\w*")
_NO_NAME = re.compile(
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|January|February|March|April|June|July|August|September|October"
    r"|November|December|Christmas|Easter|Mr|Mrs|Ms|Dr|Prof|OK|English|Chinese"
)
"""Words written like names that a passage with the answer need not contain."""
_NUMBERED = re.compile(r"(?:Section|Article|Chapter|Step|Page|Table|Figure|Part|Clause|Appendix|No)\.?\s*$")
_LONGEST = 2_000
"""Maximum number of characters of a question that are searched for names. Chosen."""


def names_in(question: str) -> list[str]:
    """The words of a question that are written like a name, without repetition.

    Examples: ``"QLoRA"``, ``"A100"``, ``"C++"``. In a Chinese question, any capitalised word of Latin letters is a name
    too. In English, a capitalised word inside a sentence is one, unless function words are capitalised as well ("How Do
    I Pay?"). Words that begin with a digit are quantities (``"16GB"``). Single letters, days, months, addresses and the
    speaker's own name are excluded.
    """
    text = unicodedata.normalize("NFKC", question)[:_LONGEST]
    text = _SELF_INTRODUCTION.sub(" ", _ADDRESS.sub(" ", text))
    words: list[tuple[str, bool]] = []
    end = 0
    for match in _WORD.finditer(text):
        gap, before = text[end : match.start()], text[max(0, match.start() - 12) : match.start()]
        begins = not words or (bool(_NEW_SENTENCE.search(gap)) and not _HONORIFIC.search(before))
        numbered = bool(re.match(r"\s*\d", text[match.end() : match.end() + 4])) and bool(_NUMBERED.search(match[0]))
        words.append((match[0], begins or numbered))
        end = match.end()
    within = [word for word, begins in words if not begins]
    chinese = language_of(text) == "zh"
    title_case = not chinese and (text.isupper() or sum(map(_is_capitalised_function_word, within)) >= 2)
    names = [
        word
        for word, begins in words
        if _CODE.search(word)
        or (not title_case and (_ACRONYM.search(word) or (word[0].isupper() and (chinese or not begins))))
    ]
    return list(
        dict.fromkeys(
            name for name in names if len(name) > 1 and not name[0].isdigit() and not _NO_NAME.fullmatch(name)
        )
    )


def _is_capitalised_function_word(word: str) -> bool:
    """Whether the word is a capitalised function word; "I", "IT", "US", "May" and "Will" do not count."""
    return word[0].isupper() and word not in ("I", "IT", "US", "May", "Will") and is_function_word(word)


def missing_name(connection: sqlite3.Connection, question: str, passages: Sequence[Passage], total: int) -> float:
    """Rarity of the rarest name in a question that no passage contains, 0 to 1.

    It is 0 if the passages contain all names, and 1 if none of the ``total`` passages of the index contains that name.
    ``"WiFi"`` matches ``"Wi-Fi"``, and ``"GPT 4"`` matches ``"GPT-4"``. If all passages are in another language, which
    may write names in its own script, only codes and acronyms count. Full-text search ignores signs, so the rarity of a
    name with a sign (``"C++"``) is unknown and counts as 1.
    """
    names = names_in(question)
    language = language_of(question)
    if all(language_of(passage.text) != language for passage in passages):
        names = [name for name in names if _CODE.search(name) or _ACRONYM.search(name)]
    if not names:
        return 0.0
    text = "\n".join("\n".join((passage.document, *passage.headings, passage.text)) for passage in passages)
    held, joined, lower = set(indexed_words(text)), _joined(text), unicodedata.normalize("NFKC", text).lower()
    missing: list[str] = []
    for name in names:
        if re.sub(r"[-.]", "", name.lower()) in joined:
            continue
        for part in _PART.findall(name):
            if not part[-1].isalnum():
                if not re.search(rf"(?<![a-z0-9]){re.escape(part.lower())}(?![+#])", lower):
                    return 1.0
            elif len(part) > 1 and not part[0].isdigit() and (part == name or part[0].isupper() or _CODE.search(part)):
                # "Houlsby-style" requires only "Houlsby"
                missing += [word for word in indexed_words(part)[:1] if word not in held]
    rarity = [math.log((total + 1) / (word.passages + 0.5)) for word in look_up(connection, missing)]
    return max(rarity, default=0.0) / math.log((total + 1) / 0.5)


def _joined(text: str) -> set[str]:
    """The lower-cased words of a text, and every two or three adjacent words joined."""
    words = [match[0].lower() for match in re.finditer(rf"{_LATIN}+", unicodedata.normalize("NFKC", text))]
    return {"".join(words[at : at + length]) for at in range(len(words)) for length in (1, 2, 3)}
