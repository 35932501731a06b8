"""The words of full-text search: of documents (:func:`indexed_words`) and of questions (:func:`asked_words`)."""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from indexes.dictionary import Dictionary
from indexes.language import CJK, CJK_CHARACTER, FUNCTION_WORD
from indexes.spellings import spellings
from indexes.text_normalisation import INVISIBLE, WORD, as_one_word, normalised

SEGMENTER_VERSION = 4
"""Bump when :func:`indexed_words` returns different words for the same text; older indexes must be rebuilt."""
_ACCENT = re.compile("[\u0300-\u036f]")
_LAST_OF_RUN = re.compile(rf"(?<=[{CJK}])[{CJK}](?![{CJK}])")
_CHINESE = re.compile(
    "((?<![项题栏科条节名书数账])目的|的士(?![兵气])|的确(?![认定立切保])|了解(?![决除散释答])|是非(?!常)|在线|我国|自我|吧台|酒吧|网吧)"
    "|为什么|什么|怎么|怎样|如何|为何|哪些|哪个|哪种|哪里|哪|多少|是否|可以|应该|需要|请问|吗|呢|吧|么|的|了|是|在|我|你|您|它"
    "|為什麼|什麼|怎麼|怎樣|為何|哪裡|應該|請問|嗎|麼"
)
"""Question words and function words, which do not describe the topic; the group matches lookalikes that do.

Only alternatives that rarely match by chance: 现在 or 存在 would also match in 出现在 and 保存在.
"""
_NAME = re.compile(r"[A-Z]{2,}|May|Will")
"""English function words that are names inside a sentence: the IT department, WHO, in May."""
_IDENTIFIER = re.compile(
    r"(?<![a-z0-9])(?<!\d,)(?:--?(?=[a-z]))?[a-z0-9]+(?:[._/:@+-]+[a-z0-9]+)+(?![a-z0-9])|(?<![a-z0-9-])--[a-z0-9]+(?![a-z0-9])"
)
_SIGN = re.compile("x2[0-9a-f]|x3a|x40|x5f|xa7")
_PLACE = re.compile(r"xa7\d|x2dx2d\d|\d{4}x2d\d\d(?!\d)|(?:chapter|section|step)x3a\d")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")


def words_of(text: str) -> list[str]:
    """The words of a text, in order: lower-cased words, and character bigrams in Chinese.

    ``"LoRA 的秩"`` becomes ``["lora", "的秩"]``, ``"低秩适应"`` becomes ``["低秩", "秩适", "适应"]``. A single Chinese
    character between other scripts is a word. Overlapping bigrams need no dictionary and find what a segmenter would
    (measured: see ``benchmarks/retrieval.py``).
    """
    words: list[str] = []
    for run in WORD.findall(normalised(text)):
        if len(run) > 1 and CJK_CHARACTER.match(run):
            words += [run[position : position + 2] for position in range(len(run) - 1)]
        else:
            words.append(run)
    return words


def indexed_words(text: str, dictionary: "Dictionary | None" = None, order: str = "") -> list[str]:
    """The words of a text that full-text search stores: stemmed words without accents, then identifiers and terms.

    The last character of a run of Chinese is a word too: no bigram starts with it, so a search for that character alone
    would miss it. Terms come from the custom :class:`Dictionary`; each occurrence adds one word. ``order`` is the date
    order of the text, see :func:`spellings.date_order`.
    """
    last = [match[0] for match in _LAST_OF_RUN.finditer(normalised(text))]
    return [*map(_stem, words_of(text)), *last, *_whole_words(text, dictionary, order)]


def _whole_words(text: str, dictionary: "Dictionary | None", order: str = "") -> list[str]:
    """Words that are kept whole in addition to their parts.

    These are versions, dates, codes and options with signs (``"192.168.1.10"``, ``"--no-cache"``), whose parts also
    match in another order; terms of the dictionary; and days, clauses and numbers in the form that all their spellings
    share (``spellings.py``). ``"1,999"`` becomes ``"1999"``.
    """
    normal = normalised(text)
    identifiers = [as_one_word(match[0]) for match in _IDENTIFIER.finditer(normal) if _tells_itself(match[0])]
    numbers = [match[0].replace(",", "") for match in _THOUSANDS.finditer(normal)]
    written = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    same = [word for one in spellings(written, order) if (word := as_one_word(one)) not in identifiers]
    return [*identifiers, *numbers, *same, *(dictionary.terms_of(text) if dictionary else ())]


def _tells_itself(identifier: str) -> bool:
    """Whether the signs are part of a name; in "and/or" and "well-known" they are not."""
    return identifier.startswith("--") or "_" in identifier or any(map(str.isdigit, identifier))


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    """Remove accents and apply the Porter stemmer; words in other scripts than Latin do not change."""
    bare = word if word.isascii() else _ACCENT.sub("", unicodedata.normalize("NFD", word))
    return (_stemmer().stemWord(bare) or bare) if bare.isascii() else word  # a lone "s" would become empty


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")


def asked_words(question: str, dictionary: "Dictionary | None" = None) -> list[str]:
    """The indexed words that describe the topic of ``question``, without repetition.

    Question words and function words are omitted unless the question has no others. BM25 alone does not give them a low
    weight if documents of two languages share an index, because half of all passages lack "the". Inside terms of the
    dictionary they count ("rate of return").
    """
    return list(dict.fromkeys([*map(_stem, words_of(_telling(question))), *_whole_words(question, dictionary)]))


def shared_words(question: str, text: str) -> list[str]:
    """The words of a question that occur in a text, as written in the question; adjacent Chinese bigrams are merged."""
    held = set(indexed_words(text))
    shared: list[str] = []
    for run in WORD.findall(normalised(_telling(question))):
        if len(run) == 1 or not CJK_CHARACTER.match(run):
            shared += [run] if _stem(run) in held or (is_beginning(run) and run in text) else []
            continue
        end = 0
        for position in range(len(run) - 1):
            if run[position : position + 2] in held:
                if position < end:
                    shared[-1] += run[position + 1]
                else:
                    shared.append(run[position : position + 2])
                end = position + 2
    return list(dict.fromkeys(shared))


def _telling(question: str) -> str:
    """A question without question words and function words; unchanged if nothing else remains."""
    normal = unicodedata.normalize("NFKC", question)
    shouted = not any(map(str.islower, normal))

    def but_names(match: re.Match[str]) -> str:
        return match[0] if match.start() and not shouted and _NAME.fullmatch(match[0]) else " "

    telling = _CHINESE.sub(lambda match: match[1] or " ", FUNCTION_WORD.sub(but_names, normal))
    return telling if WORD.search(telling) else question


def is_whole(word: str) -> bool:
    """Whether a word is an identifier or term with signs inside, whose parts are words too; also true for "x264"."""
    return bool(_SIGN.search(word))


def is_named_place(word: str) -> bool:
    """Whether a word is a normalised day or clause of a rule book: see ``spellings.py``."""
    return bool(_PLACE.match(word))


def is_beginning(word: str) -> bool:
    """Whether the query word also matches bigrams that start with it: a single CJK character."""
    return bool(CJK_CHARACTER.fullmatch(word))
