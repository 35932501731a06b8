"""Chinese or English: which language a text is in, where its sentences end, and into which words it is divided."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

SEGMENTER_VERSION = 1
"""Raised when :func:`words_of` gives other words for the same text: an index of another version must be rebuilt."""

CJK = "\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han characters and kana, as the inside of a regular expression's brackets: scripts written without spaces."""

_CJK_CHARACTER = re.compile(f"[{CJK}]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}])[ \t]*\n[ \t\u3000]*(?=[{CJK}])")
_ENGLISH = re.compile(
    r"\b(?:a|about|an|and|are|as|at|be|by|can|could|did|do|does|for|from|has|have|how|i|if|in|into|is|it|its|may|me|mean|might|must|my|no|not"
    r"|of|on|or|our|should|so|shall|some|than|that|the|their|them|then|there|these|they|this|to|use|was|we|were|what|when|where"
    r"|which|while|who|why|will|with|would|you|your)\b",
    re.IGNORECASE | re.ASCII,
)
_CHINESE = re.compile(
    "为什么|什么|怎么|怎样|如何|为何|哪些|哪个|哪种|哪里|哪|多少|是否|可以|应该|需要|请问|吗|呢|吧|么|的|了|是|在|我|你|您|它"
    "|為什麼|什麼|怎麼|怎樣|為何|哪裡|應該|請問|嗎|麼"
)
"""Words of asking and of grammar: they say nothing about what is asked for."""

_CLOSING = "\"'”’」』）)\\]】》"
_SENTENCE_END = re.compile(
    rf"(?P<western>[.!?…]+[{_CLOSING}]*\s+)|[。！？]+[{_CLOSING}]*\s*|[!?…]+(?=[{CJK}“「『])|\n\s*\n|\n(?=\u3000)"
)
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|et al|cf|vs|ca|approx|resp|Figs?|Eqs?|Sec|Ch|Nos?|Vol|pp|Dr|Mr|Mrs|Ms|Prof|St|[A-Z])\.\s+$"
)
_LIST_ITEM = re.compile(r"\n(?=\s*(?:[-*•]|\d+[.)、])\s)")


def language_of(text: str) -> str:
    """Return ``"zh"`` or ``"en"``.

    Chinese is a text with at least 30 % CJK characters among its letters. Below that a text with any CJK character is
    still Chinese if it holds no common English word: model names are long, so a question such as
    "LLaMA-Factory 怎么用?" is mostly Latin letters.
    """
    cjk = len(_CJK_CHARACTER.findall(text))
    if not cjk:
        return "en"
    if cjk >= 0.3 * len(_LETTER.findall(text)):
        return "zh"
    return "en" if _ENGLISH.search(text) else "zh"


def words_of(text: str) -> list[str]:
    """The words of a text for full-text search, in order: lower-cased words, and pairs of neighbours in Chinese.

    ``"LoRA 的秩"`` gives ``["lora", "的秩"]``, ``"低秩适应"`` gives ``["低秩", "秩适", "适应"]``. A single character
    between others of another script stands alone. Overlapping pairs need no dictionary and find what a segmenter would
    (measured: see ``benchmarks/retrieval.py``). Stemming of English is left to FTS5's porter tokenizer.
    """
    words: list[str] = []
    for run in _WORD.findall(_WRAPPED_CJK.sub("", unicodedata.normalize("NFKC", text)).lower()):
        if len(run) > 1 and _CJK_CHARACTER.match(run):
            words += [run[position : position + 2] for position in range(len(run) - 1)]
        else:
            words.append(run)
    return words


def sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """Positions between ``start`` and ``end`` at which a sentence of ``text`` ends, white space behind it included."""
    for match in _SENTENCE_END.finditer(text, start, end):
        before, after = text[max(start, match.end() - 12) : match.end()], text[match.end() : match.end() + 1]
        if not match["western"] or not (_ABBREVIATION.search(before) or after.islower()):
            yield match.end()


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, in order; joined they are the text again. The items of a list are sentences too."""
    items = (match.end() for match in _LIST_ITEM.finditer(text))
    borders = sorted({0, len(text), *sentence_ends(text, 0, len(text)), *items})
    return [text[first:last] for first, last in pairwise(borders)]


def full_text_query(question: str) -> str:
    """An FTS5 expression that finds passages with any of the :func:`full_text_terms`; empty when there is none."""
    return " OR ".join(full_text_terms(question))


def full_text_terms(question: str) -> list[str]:
    """FTS5 expressions, one for each word that tells what ``question`` is about, each word once.

    Words of asking and of grammar are left out, unless nothing else was asked: BM25 alone does not make light of them
    where documents of two languages share an index, because there "the" is missing in half of all passages. Words are
    quoted and hold only letters and digits, so no question is a syntax error. A single CJK character also finds
    the pairs that begin with it.
    """
    telling = _CHINESE.sub(" ", _ENGLISH.sub(" ", unicodedata.normalize("NFKC", question)))
    terms = dict.fromkeys(words_of(telling) or words_of(question))
    return [f'"{term}"*' if _CJK_CHARACTER.fullmatch(term) else f'"{term}"' for term in terms]
