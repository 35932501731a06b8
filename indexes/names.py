"""Names in a question: product codes, people, methods. A passage that answers the question mostly holds them too."""

import math
import re
import sqlite3
import unicodedata
from collections.abc import Sequence

from indexes.full_text import look_up
from indexes.language import CJK, indexed_words, is_grammar, language_of
from indexes.passages import Passage

_WORD = re.compile(rf"[^\W_{CJK}]+[+#]*")
_QUANTITY = re.compile(r"\d+[A-Za-z]{0,2}")
_CODE = re.compile(r"[a-z][A-Z]|\d|[+#]")
_ACRONYM = re.compile(r"[A-Z]{2}")
_NEW_SENTENCE = re.compile(r"(?:^|[.?!:\"“(\n])\s*$")


def names_in(question: str) -> list[str]:
    """The words of a question that are written like a name, each once.

    In Chinese that is every word of Latin letters; in English ``"QLoRA"``, ``"A100"``, ``"C++"``, and what has a
    capital letter within a sentence, unless words of grammar have one too ("How Do I Pay?"). Quantities (``"16G"``) and
    single letters are none.
    """
    text = unicodedata.normalize("NFKC", question)
    found = list(_WORD.finditer(text))
    words = [(match[0], bool(_NEW_SENTENCE.search(text[: match.start()]))) for match in found]
    if language_of(text) == "zh":
        names = [word for word, _ in words]
    else:
        shouted = text.isupper() or any(_is_title(word) for word, begins in words if not begins)
        names = [
            word
            for word, begins in words
            if _CODE.search(word) or (not shouted and (_ACRONYM.search(word) or (word[0].isupper() and not begins)))
        ]
    return list(dict.fromkeys(name for name in names if len(name) > 1 and not _QUANTITY.fullmatch(name)))


def _is_title(word: str) -> bool:
    """Whether it is a word of grammar with a capital letter; "I", "May" and "Will" have one anyway."""
    return word.istitle() and word not in ("I", "May", "Will") and is_grammar(word)


def missing_name(connection: sqlite3.Connection, question: str, passages: Sequence[Passage], total: int) -> float:
    """Rarity of the rarest name in a question that none of the passages holds; 0 where they hold all, 1 where none of
    the ``total`` passages of the index does."""
    text = "\n".join("\n".join((passage.document, *passage.headings, passage.text)) for passage in passages)
    held, lower = set(indexed_words(text)), text.lower()
    missing, signs = [], False
    for name in names_in(question):
        if not name[-1].isalnum():  # full text knows no signs
            signs |= not re.search(rf"(?<!\w){re.escape(name.lower())}(?![\w+#])", lower)
        elif (word := indexed_words(name)[0]) not in held:
            missing.append(word)
    if signs:
        return 1.0
    rarity = [math.log((total + 1) / (word.passages + 0.5)) for word in look_up(connection, missing)]
    return max(rarity, default=0.0) / math.log((total + 1) / 0.5)
