"""Chinese or English: which language a text is in, where its sentences end, and into which words it is divided."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from indexes.spellings import spellings

SEGMENTER_VERSION = 4
"""Raised when :func:`indexed_words` gives others for the same text: an index of another version must be rebuilt."""

CJK = "\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han characters and kana, as the inside of a regular expression's brackets: scripts written without spaces."""

_ACCENT = re.compile("[\u0300-\u036f]")
_CJK_CHARACTER = re.compile(f"[{CJK}]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}])[ \t]*\n[ \t\u3000]*(?=[{CJK}])")
_LATIN_INSIDE = re.compile(rf"[^\W{CJK}]")
_LAST_OF_RUN = re.compile(rf"(?<=[{CJK}])[{CJK}](?![{CJK}])")
_ENGLISH = re.compile(
    r"\b(?:a|about|an|and|are|as|at|be|by|can|could|did|do|does|for|from|has|have|how|i|if|in|into|is|it|its|may|me|mean|might|must|my|no|not"
    r"|of|on|or|our|should|so|shall|some|than|that|the|their|them|then|there|these|they|this|to|use|was|we|were|what|when|where"
    r"|which|while|who|why|will|with|would|you|your)\b",
    re.IGNORECASE | re.ASCII,
)
_CHINESE = re.compile(
    "((?<![项题栏科条节名书数账])目的|的士(?![兵气])|的确(?![认定立切保])|了解(?![决除散释答])|是非(?!常)|在线|我国|自我|吧台|酒吧|网吧)"
    "|为什么|什么|怎么|怎样|如何|为何|哪些|哪个|哪种|哪里|哪|多少|是否|可以|应该|需要|请问|吗|呢|吧|么|的|了|是|在|我|你|您|它"
    "|為什麼|什麼|怎麼|怎樣|為何|哪裡|應該|請問|嗎|麼"
)
"""Words of asking and of grammar: they say nothing about what is asked for; the group holds words that look so.

Only what hardly arises by chance: of 现在 or 存在 there would be some in 出现在 and 保存在."""
_NAME = re.compile(r"[A-Z]{2,}|May|Will")
"""What of English words of grammar is a name within a sentence: the IT department, WHO, in May."""
_IDENTIFIER = re.compile(
    r"(?<![a-z0-9])(?<!\d,)(?:--?(?=[a-z]))?[a-z0-9]+(?:[._/:@+-]+[a-z0-9]+)+(?![a-z0-9])|(?<![a-z0-9-])--[a-z0-9]+(?![a-z0-9])"
)
_SIGN = re.compile("x2[0-9a-f]|x3a|x40|x5f|xa7")
_PLACE = re.compile(r"xa7\d|x2dx2d\d|\d{4}x2d\d\d(?!\d)|(?:chapter|section|step)x3a\d")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, spaces without width and marks of direction: they stand within words that they do not change."""

_CLOSING = "\"'”’」』）)\\]】》"
_SENTENCE_END = re.compile(
    rf"(?P<western>(?<![.!?…])[.!?…]++[{_CLOSING}]*+\s++)|[。！？]++[{_CLOSING}]*+\s*+"
    rf"|(?<![!?…])[!?…]++(?=[{CJK}“「『])|\n(?:[^\S\n]*+\n)++|\n(?=\u3000)"
)
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|et al|cf|vs|ca|approx|resp|esp|incl|excl|Figs?|Eqs?|Sec|Ch|Nos?|Vol|pp|Dr|Mr|Mrs|Ms|Prof|St|Mt|Ft"
    r"|Capt|Col|Gen|Gov|Hon|Lt|Maj|Rev|Sen|Sgt|[A-Z])\.\s+$"
)
_BEFORE_NUMBER = re.compile(
    r"\b(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thur?s?|Fri|Sat|Sun|Approx|[Ff]igs?|[Nn]os?|[Pp]|[Aa]rt"
    r"|[Mm]ax|(?<!\d )[Mm]in|[Tt]el|[Ee]xt|[Ee]st|[Pp]ara|[Ss]ec|[Rr]m|[Vv]ol)\.\s+$"
)
"""What a full stop shortens only before a number: "Dec. 15", "no. 5"."""
_LIST_ITEM = re.compile(r"\n(?=[^\S\n]*+(?:(?:[-*•]|\d+[.)、])\s|\|))")
_LIST_NUMBER = re.compile(r"(?:^|\n)[^\S\n]*+\d{1,3}\.\s+$")


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


def is_function_word(word: str) -> bool:
    """Whether an English word is a function word or a question word: it does not tell what is asked for."""
    return bool(_ENGLISH.fullmatch(word))


def words_of(text: str) -> list[str]:
    """The words of a text, in order: lower-cased words, and pairs of neighbours in Chinese.

    ``"LoRA 的秩"`` gives ``["lora", "的秩"]``, ``"低秩适应"`` gives ``["低秩", "秩适", "适应"]``. A single character
    between others of another script stands alone. Overlapping pairs need no dictionary and find what a segmenter would
    (measured: see ``benchmarks/retrieval.py``).
    """
    words: list[str] = []
    for run in _WORD.findall(_normalised(text)):
        if len(run) > 1 and _CJK_CHARACTER.match(run):
            words += [run[position : position + 2] for position in range(len(run) - 1)]
        else:
            words.append(run)
    return words


def indexed_words(text: str, dictionary: "Dictionary | None" = None, order: str = "") -> list[str]:
    """What full-text search knows of a text: its words without accents and English endings, then identifiers and terms.
    ``order`` is that of its dates, see :func:`spellings.date_order`.

    The last character of a run of Chinese is a word too: no pair begins with it, by which a single one is found. Terms
    are words of the user's own :class:`Dictionary`; each occurrence is one word more.
    """
    last = [match[0] for match in _LAST_OF_RUN.finditer(_normalised(text))]
    return [*map(_stem, words_of(text)), *last, *_whole_words(text, dictionary, order)]


def _whole_words(text: str, dictionary: "Dictionary | None", order: str = "") -> list[str]:
    """What stays whole beside its parts: versions, dates, codes and options with signs inside, and the user's terms;
    and days, clauses and numbers in the one form that all their spellings share (``spellings.py``).

    ``"192.168.1.10"``, ``"--no-cache"``; parts alone would take another order of them for the same. Of ``"1,999"``
    it is ``"1999"``.
    """
    normal = _normalised(text)
    identifiers = [_as_one_word(match[0]) for match in _IDENTIFIER.finditer(normal) if _tells_itself(match[0])]
    numbers = [match[0].replace(",", "") for match in _THOUSANDS.finditer(normal)]
    written = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    same = [word for one in spellings(written, order) if (word := _as_one_word(one)) not in identifiers]
    return [*identifiers, *numbers, *same, *(dictionary.terms_of(text) if dictionary else ())]


def _tells_itself(identifier: str) -> bool:
    """Whether signs within are part of a name: of "and/or" and "well-known" they are not."""
    return identifier.startswith("--") or "_" in identifier or any(map(str.isdigit, identifier))


class Dictionary:
    """A domain's own words, which stay whole: ``低秩适应``, ``gradient checkpointing``, ``C++``; one on a line.

    What follows a # at the beginning of a line or after white space is a comment.
    """

    def __init__(self, lines: str) -> None:
        entries = [re.sub(r"(?:^|\s)#.*", "", line) for line in lines.splitlines()]
        self.entries = frozenset(" ".join(_normalised(entry).split()) for entry in entries if _WORD.search(entry))
        self._lengths: dict[str, list[int]] = {}
        """By first character, how long entries are that begin so, the longest first."""
        for length, first in sorted({(len(entry), entry[0]) for entry in self.entries}, reverse=True):
            self._lengths.setdefault(first, []).append(length)

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the entries; empty when there is none."""
        return hashlib.sha256("\n".join(sorted(self.entries)).encode()).hexdigest() if self.entries else ""

    def terms_of(self, text: str) -> list[str]:
        """The entries that occur, in order, each as one word of letters and digits; of two that overlap the longer."""
        return [_as_one_word(entry) for _, entry in self._found(" ".join(_normalised(text).split()))]

    def _found(self, text: str) -> Iterator[tuple[int, str]]:
        position = 0
        while position < len(text):
            for length in self._lengths.get(text[position], ()):
                end = position + length
                if text[position:end] in self.entries and _is_whole(text, position, end):
                    yield position, text[position:end]
                    position = end
                    break
            else:
                position += 1


@lru_cache(maxsize=4)
def dictionary_of(lines: str) -> Dictionary:
    """The dictionary that a text holds; made once, for it may be long."""
    return Dictionary(lines)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether no Latin word goes on at either end: "rank" is not in "ranking"."""
    return not (
        (start and _LATIN_INSIDE.match(text, start - 1) and _LATIN_INSIDE.match(text, start))
        or (end < len(text) and _LATIN_INSIDE.match(text, end - 1) and _LATIN_INSIDE.match(text, end))
    )


def _as_one_word(entry: str) -> str:
    """``"c++"`` becomes ``"cx2bx2b"``: full text knows letters and digits only."""
    return "".join(one if one.isalnum() else f"x{ord(one):x}" for one in entry.replace(" ", ""))


def _normalised(text: str) -> str:
    """One form for each character (NFKC), lower case, nothing invisible, wrapped lines of Chinese joined."""
    return _WRAPPED_CJK.sub("", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).lower()


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    """``"cafés"`` gives ``"cafe"``; words of other scripts than Latin stay as they are."""
    bare = word if word.isascii() else _ACCENT.sub("", unicodedata.normalize("NFD", word))
    return (_stemmer().stemWord(bare) or bare) if bare.isascii() else word  # of a lone "s" nothing would be left


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")


def sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """Positions between ``start`` and ``end`` at which a sentence of ``text`` ends, white space behind it included."""
    for match in _SENTENCE_END.finditer(text, start, end):
        before, after = text[max(start, match.end() - 12) : match.end()], text[match.end() : match.end() + 1]
        shortened = any(pattern.search(before) for pattern in (_ABBREVIATION, _LIST_NUMBER))
        shortened = shortened or (after.isdigit() and bool(_BEFORE_NUMBER.search(before)))
        if not match["western"] or not (shortened or after.islower()):
            yield match.end()


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, in order; joined they are the text again. So are the items of a list and the
    rows of a Markdown table."""
    items = (match.end() for match in _LIST_ITEM.finditer(text))
    borders = sorted({0, len(text), *sentence_ends(text, 0, len(text)), *items})
    return [text[first:last] for first, last in pairwise(borders)]


def asked_words(question: str, dictionary: "Dictionary | None" = None) -> list[str]:
    """The indexed words that tell what ``question`` is about, each once.

    Words of asking and of grammar are left out, unless nothing else was asked: BM25 alone does not make light of them
    where documents of two languages share an index, because there "the" is missing in half of all passages. In terms
    of the dictionary they count ("rate of return").
    """
    return list(dict.fromkeys([*map(_stem, words_of(_telling(question))), *_whole_words(question, dictionary)]))


def shared_words(question: str, text: str) -> list[str]:
    """What of a question stands in a text, as the question has it; pairs in Chinese are put together again."""
    held = set(indexed_words(text))
    shared: list[str] = []
    for run in _WORD.findall(_normalised(_telling(question))):
        if len(run) == 1 or not _CJK_CHARACTER.match(run):
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
    """A question without its words of asking and of grammar; itself where it has no others."""
    normal = unicodedata.normalize("NFKC", question)
    shouted = not any(map(str.islower, normal))

    def but_names(match: re.Match[str]) -> str:
        return match[0] if match.start() and not shouted and _NAME.fullmatch(match[0]) else " "

    telling = _CHINESE.sub(lambda match: match[1] or " ", _ENGLISH.sub(but_names, normal))
    return telling if _WORD.search(telling) else question


def is_whole(word: str) -> bool:
    """Whether a word is an identifier or a term with signs inside, whose parts are words too; so looks "x264"."""
    return bool(_SIGN.search(word))


def is_named_place(word: str) -> bool:
    """Whether a word stands for a day or for a clause of a rule book, however it was written: ``spellings.py``."""
    return bool(_PLACE.match(word))


def is_beginning(word: str) -> bool:
    """Whether an asked word also finds the pairs that begin with it: a single CJK character."""
    return bool(_CJK_CHARACTER.fullmatch(word))
