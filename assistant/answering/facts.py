"""Facts: what an answer must state to be right, and whether it does.

A question lists facts, each with its accepted wordings (domain/questions.py). An answer is right if it contains every
fact in one of its wordings. Word overlap (token F1) cannot decide this: a refusal shares its function words with any
gold answer.

Answer and wording are normalised, then compared token by token:

- full-width and half-width letters, upper and lower case, punctuation, "a", "an", "the" and 的 make no difference;
- English words are stemmed (Porter 1980), Chinese is compared by characters;
- a number is its value: ``4,096`` = ``4096``, ``二十四`` = ``24`` = ``twenty-four``, ``百分之五十`` = ``50 %``,
  ``1e-4`` = ``0.0001``, ``6 万`` = ``60,000``;
- ``…`` within a wording matches up to 12 other tokens of the same sentence.

A negated wording ("do not use ...", "不应 ...") does not count, unless the wording itself starts with the negation. The
six tokens before it in its clause are checked.

If a question lists no facts, the numbers and names of its gold answer that are not in the question are used instead
(:func:`facts_of`).
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from assistant.answering.numerals import ENGLISH, ENGLISH_UNITS, chinese_number, in_digits, join_english, value_of
from domain import Question
from indexes import sentences_of

GAP = "…"
GAP_TOKENS = 12
"""Maximum number of tokens that ``…`` matches. Chosen."""

Fact = tuple[str, ...]

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("(?<=[0-9])[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_POWER = r"(?:\s*[x×*]\s*10\s*\^\s*\(?(?P<power>[-+]?\d+)\)?)?"
_TOKEN = re.compile(
    rf"(?P<version>(?<![\d.])\d+(?:\.\d+){{2,}}(?![\d.]*\d))|(?P<share>百分之\s*)?(?P<number>(?<![a-z0-9_])[-+]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?![a-z]*\d))"
    rf"{_POWER}(?:\s*(?P<unit>[百千]?万|[亿百]|千(?![克米瓦卡帕伏升焦字])|(?:thousand|million|billion)\b))?(?P<percent>\s*(?:%|per\s?cent\b))?"
    r"|(?P<share_zh>百分之)?(?P<chinese>[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?)"
    r"|(?P<language>(?<![^\W_])[a-z](?:\+\+|\#)(?!\w))|(?P<word>[^\W\d_\u3400-\u9fff][^\W_\u3400-\u9fff]*)|(?P<digits>\d+)|(?P<character>[\u3400-\u9fff])"
)
_ARTICLES = {"a", "an", "the"}
_COUNTS = {*ENGLISH_UNITS, "hundreds", "thousands", "millions"}
"""Not stemmed: "in 2020 thousands came" contains no count."""
_NEGATIONS = {"not", "no", "never", "cannot", "without", "t", "nor", "neither", "nobodi", "noth", "none"}
_NEGATIONS |= {"不", "没", "无", "未", "非", "勿", "别"}
NO_NEGATION = re.compile(
    r"\bnot (?:only|just)\b|\bnot? (?:more|less|fewer|later|earlier) than\b|\bno(?=\s*[,.;:]|\.?\s*\d|\s*$)"
    r"|没[错事]|没关系|没问题|对不起|不好意思|有没有|(\w)不\1|不[仅但只同过少久错断管论锈]|不(?:到|足|止|超过|低于|高于|多于)"
    "|无论|无锡|未来|未成年|[分类级特区性个识鉴告派]别|别[的人名处]",
    re.IGNORECASE,
)
"""Expressions that look like negations but are not: "No, it is open", "No. 5", 特别, 是不是, 不超过."""
_CLAUSE_END = re.compile(
    r"([,;:](?=\s|[\u3400-\u9fff])|[，；：。、]|\b(?:because|but|so|since|if|unless|when)\b|因为|但是?|所以|而(?!且)|如果|的)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(?:instead of|rather than)\b", re.IGNORECASE)
NEGATED_TOKENS = 6
"""Tokens within a clause over which the negation of a verb extends to a wording. Any other negation ("points not used",
"without sugar") covers the next two tokens. Chosen."""
_TRAILING_NEGATION = re.compile(r"(?:不行|不对|不可以|不合适|不够)的?[。！!]*\s*$")
"""A negation at the end of a clause, which negates all of it: "80 度不行"."""
_ABOUT_A_VERB = {"t", "cannot", "nobodi", "neither", "nor", "none", "noth", "不", "没", "未", "勿", "别"}
_AUXILIARIES = {"do", "does", "did", "is", "are", "was", "were", "be", "been", "can", "could", "may", "might", "must"}
_AUXILIARIES |= {"should", "will", "would", "shall", "has", "have", "had", "need", "it", "to"}

DENIED = -1
"""Used in place of a position: the whole clause is negated."""
Read = tuple[list[str], list[int]]
_NAME = re.compile(r"`[^`]+`|\b[A-Za-z]*[A-Z0-9_][A-Za-z0-9_.+-]*\b")


def missing_facts(answer: str, facts: Sequence[Fact]) -> list[Fact]:
    """The facts that an answer states in none of their wordings."""
    sentences = [_read(sentence) for sentence in sentences_of(answer)]
    return [
        fact
        for fact in facts
        if not any(_says(sentence, _parts(wording)) for wording in fact for sentence in sentences)
    ]


def facts_of(question: Question) -> tuple[Fact, ...]:
    """The facts of a question; if it has none, the numbers and names of its gold answer that are not in the question.

    Empty if the gold answer contains neither: then no other answer can be judged.
    """
    if question.facts or not question.answerable:
        return question.facts
    asked = set(tokens(question.text))
    numbers = [token for token in tokens(question.answer) if token[0] in "-0123456789" and token not in asked]
    # the first word of a sentence is capitalised even if it is not a name
    inner = [re.sub(r"^\W*\w+", "", sentence) if sentence.isascii() else sentence for sentence in _plain(question)]
    names = [name.strip("`.") for sentence in inner for name in _NAME.findall(sentence)]
    told = [name for name in names if tokens(name) and not set(tokens(name)) <= asked]
    return tuple((wording,) for wording in dict.fromkeys([*numbers, *told]))


def tokens(text: str) -> list[str]:
    """The tokens used to compare texts: stemmed words, values of numbers, Chinese characters."""
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    normal = unicodedata.normalize("NFKC", text).lower().replace("−", "-")
    normal = in_digits(normal)
    found: list[str] = []
    adjacent: list[bool] = []
    end = 0
    for match in _TOKEN.finditer(normal):
        near, end = not normal[end : match.start()].strip(" -"), match.end()
        if word := match["word"]:
            if word not in _ARTICLES:
                found.append(word if word in _COUNTS else _stem(word))
        elif match["number"] is not None:
            number = match["number"]
            # "4-bit" is not a negative number, and neither is "1-2"
            if number[0] in "-+" and match.start() and normal[match.start() - 1] not in " \t\n(=:,：，（":
                number = number[1:]
            found.append(value_of(number, match["power"], match["unit"]))
            found += ["%"] if match["percent"] or match["share"] else []
        elif match["chinese"]:
            value = chinese_number(match["chinese"])
            found += [*([value] if value is not None else match["chinese"]), *(["%"] if match["share_zh"] else [])]
        else:
            found.append(match[0])
        adjacent += [near] * (len(found) - len(adjacent))
    return _with_percent(join_english(found, adjacent, _STEMMED_NUMBERS, ENGLISH_UNITS))


def _with_percent(found: list[str]) -> list[str]:
    """``["10", "percent"]`` becomes ``["10", "%"]``: "ten percent", "ten per cent"."""
    read: list[str] = []
    for token in found:
        if token == "cent" and read[-1:] == ["per"] and _is_number(read[-2:-1]):
            read[-1] = "%"
        else:
            read.append("%" if token == "percent" and _is_number(read[-1:]) else token)
    return read


def _is_number(tokens: list[str]) -> bool:
    return bool(tokens) and tokens[0][-1:].isdigit()


def _plain(question: Question) -> list[str]:
    return [sentence.strip() for sentence in sentences_of(question.answer)]


def _parts(wording: str) -> list[list[str]]:
    """Split a wording at its gaps into runs of tokens."""
    return [part for piece in wording.replace("...", GAP).split(GAP) if (part := _compared(piece))]


def _compared(text: str) -> list[str]:
    """The tokens of a text without 的, which is optional as often as not: 80度的水, 80度水."""
    return [token for token in tokens(text) if token != "的"]


def _read(sentence: str) -> Read:
    """The tokens of a sentence, and for each the position from which a negation applies to it: the start of its clause,
    or its own position in a clause without negation; :data:`DENIED` if the clause ends with a negation."""
    read: list[str] = []
    since: list[int] = []
    for clause in _CLAUSE_END.split(_INSTEAD.sub("without", sentence)):  # borders are clauses, too
        found = _compared(clause)
        denies = not _NEGATIONS.isdisjoint(tokens(NO_NEGATION.sub(" ", clause)))
        begin = len(read)
        if _TRAILING_NEGATION.search(clause):
            since += [DENIED] * len(found)
            read += found
            continue
        since += [begin if denies else begin + position for position in range(len(found))]
        read += found
    return read, since


def _says(sentence: Read, parts: list[list[str]]) -> bool:
    """Whether the parts occur in a sentence in this order, not negated by a word outside of them."""
    if not parts:
        return False
    read, since = sentence
    own = parts[0][0] in _NEGATIONS
    return any(
        (own or not _is_denied(read, since[start], start)) and _goes_on(read, start + len(parts[0]), parts[1:])
        for start in range(len(read))
        if read[start : start + len(parts[0])] == parts[0]
    )


def _is_denied(read: list[str], since: int, start: int) -> bool:
    """Whether a negation between the positions ``since`` and ``start`` applies to the wording at ``start``."""
    return since == DENIED or any(
        read[at] in _NEGATIONS
        and (start - at <= 2 or read[at] in _ABOUT_A_VERB or at == since or read[at - 1] in _STEMMED_AUXILIARIES)
        for at in range(max(since, start - NEGATED_TOKENS), start)
    )


def _goes_on(sentence: list[str], begin: int, parts: list[list[str]]) -> bool:
    if not parts:
        return True
    first, *rest = parts
    return any(
        sentence[start : start + len(first)] == first and _goes_on(sentence, start + len(first), rest)
        for start in range(begin, begin + GAP_TOKENS + 1)
    )


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word)) if word.isascii() else word


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")


_STEMMED_NUMBERS = {_stem(word): value for word, value in ENGLISH.items()}
_STEMMED_AUXILIARIES = {_stem(word) for word in _AUXILIARIES}
