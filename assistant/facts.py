"""Facts: what an answer must say to be right, and whether it says it.

A question names facts, each with its accepted wordings (domain/questions.py). An answer is right when every fact stands
in it in one of its wordings. Overlap of words (token F1) cannot tell that: a refusal shares the words of grammar with
any gold answer.

Answer and wording are brought to one form before they are compared, token by token:

- full-width and half-width letters, upper and lower case, punctuation, "a", "an" and "the" make no difference;
- English words are stemmed (Porter 1980), Chinese is compared by characters;
- a number is its value: ``4,096`` = ``4096``, ``二十四`` = ``24`` = ``twenty-four``, ``百分之五十`` = ``50 %``,
  ``1e-4`` = ``0.0001``, ``6 万`` = ``60,000``;
- ``…`` within a wording stands for up to 12 other tokens of the same sentence.

A wording with a negation ("not", "不" ...) among the two tokens before it is not said, unless it begins with one.

Where a question names no facts, the numbers and names of its gold answer that the question does not hold stand in for
them (:func:`facts_of`).
"""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from domain import Question
from indexes import sentences_of

GAP = "…"
GAP_TOKENS = 12
"""The most tokens that a ``…`` stands for. Chosen."""

Fact = tuple[str, ...]

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("(?<=[0-9])[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_UNITS = {"万": 10_000, "亿": 100_000_000, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_ENGLISH_NUMBERS = {
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50},
    **{"sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
}
_POWER = r"(?:\s*[x×*]\s*10\s*\^\s*\(?(?P<power>[-+]?\d+)\)?)?"
_TOKEN = re.compile(
    rf"(?P<share>百分之\s*)?(?P<number>(?<![a-z0-9_])[-+]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?![a-z]*\d))"
    rf"{_POWER}(?:\s*(?P<unit>万|亿|(?:thousand|million|billion)\b))?(?P<percent>\s*(?:%|per\s?cent\b))?"
    r"|(?P<share_zh>百分之)?(?P<chinese>[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?)"
    r"|(?P<word>[^\W\d_\u3400-\u9fff][^\W_\u3400-\u9fff]*)|(?P<digits>\d+)|(?P<character>[\u3400-\u9fff])"
)
_ARTICLES = {"a", "an", "the"}
_NEGATIONS = {"not", "no", "never", "cannot", "without", "t", "不", "没", "无", "未", "非", "勿", "别"}
_NAME = re.compile(r"`[^`]+`|\b[A-Za-z]*[A-Z0-9_][A-Za-z0-9_.+-]*\b")


def missing_facts(answer: str, facts: Sequence[Fact]) -> list[Fact]:
    """The facts that an answer does not say in any of their wordings."""
    sentences = [tokens(sentence) for sentence in sentences_of(answer)]
    return [
        fact
        for fact in facts
        if not any(_says(sentence, _parts(wording)) for wording in fact for sentence in sentences)
    ]


def facts_of(question: Question) -> tuple[Fact, ...]:
    """The facts of a question; without any, the numbers and names of its gold answer that the question does not hold.

    Empty where the gold answer holds neither: then nobody can say whether another answer is right.
    """
    if question.facts or not question.answerable:
        return question.facts
    asked = set(tokens(question.text))
    numbers = [token for token in tokens(question.answer) if token[0] in "-0123456789" and token not in asked]
    # the first word of a sentence is written large for no reason
    inner = [re.sub(r"^\W*\w+", "", sentence) if sentence.isascii() else sentence for sentence in _plain(question)]
    names = [name.strip("`.") for sentence in inner for name in _NAME.findall(sentence)]
    told = [name for name in names if tokens(name) and not set(tokens(name)) <= asked]
    return tuple((wording,) for wording in dict.fromkeys([*numbers, *told]))


def tokens(text: str) -> list[str]:
    """The tokens by which texts are compared: stemmed words, values of numbers, Chinese characters."""
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    normal = unicodedata.normalize("NFKC", text).lower().replace("−", "-")
    found: list[str] = []
    for match in _TOKEN.finditer(normal):
        if word := match["word"]:
            if word not in _ARTICLES:
                found.append(_stem(word))
        elif match["number"] is not None:
            number = match["number"]
            # "4-bit" is no negative number, and neither is "1-2"
            if number[0] in "-+" and match.start() and normal[match.start() - 1] not in " \t\n(=:,：，（":
                number = number[1:]
            found.append(_value(number, match["power"], match["unit"]))
            found += ["%"] if match["percent"] or match["share"] else []
        elif match["chinese"]:
            value = _chinese_number(match["chinese"])
            found += [*([value] if value is not None else match["chinese"]), *(["%"] if match["share_zh"] else [])]
        else:
            found.append(match[0])
    return _with_english_numbers(found)


def _plain(question: Question) -> list[str]:
    return [sentence.strip() for sentence in sentences_of(question.answer)]


def _parts(wording: str) -> list[list[str]]:
    """A wording as runs of tokens, between which others may stand."""
    return [part for piece in wording.replace("...", GAP).split(GAP) if (part := tokens(piece))]


def _says(sentence: list[str], parts: list[list[str]]) -> bool:
    """Whether the parts stand in a sentence in this order, with no negation before that is not part of them."""
    if not parts:
        return False
    own = parts[0][0] in _NEGATIONS
    return any(
        (own or _NEGATIONS.isdisjoint(sentence[max(0, start - 2) : start]))
        and _goes_on(sentence, start + len(parts[0]), parts[1:])
        for start in range(len(sentence))
        if sentence[start : start + len(parts[0])] == parts[0]
    )


def _goes_on(sentence: list[str], begin: int, parts: list[list[str]]) -> bool:
    if not parts:
        return True
    first, *rest = parts
    return any(
        sentence[start : start + len(first)] == first and _goes_on(sentence, start + len(first), rest)
        for start in range(begin, begin + GAP_TOKENS + 1)
    )


def _value(number: str, power: str | None, unit: str | None) -> str:
    try:
        value = Decimal(number.replace(",", "")) * (Decimal(10) ** int(power) if power else 1)
        value *= _UNITS[unit] if unit else 1
        return _written(value)
    except (InvalidOperation, OverflowError):  # 1e999999999
        return number


def _written(value: Decimal) -> str:
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _chinese_number(text: str) -> str | None:
    """``二十四`` is 24, ``一九九八`` 1998, ``三点五`` 3.5; None where the characters make no number (``万千``)."""
    whole, _, part = text.partition("点")
    if not any(character in _TENS or character in _UNITS for character in whole):
        value = Decimal("".join(str(_DIGITS[character]) for character in whole))
    else:
        total, section, digit = 0, 0, 0
        for character in whole:
            if character in _DIGITS:
                digit = _DIGITS[character]
            elif character in _TENS:
                section += (digit or (1 if not section else 0)) * _TENS[character]
                digit = 0
            else:
                if not section + digit:
                    return None
                total = (total + section + digit) * _UNITS[character]
                section = digit = 0
        value = Decimal(total + section + digit)
    if part:
        value += Decimal("0." + "".join(str(_DIGITS[character]) for character in part))
    return _written(value)


def _with_english_numbers(found: list[str]) -> list[str]:
    """``twenty four`` is 24, ``four`` 4, ``three hundred`` 300."""
    result: list[str] = []
    tens = False
    for token in found:
        value = _STEMMED_NUMBERS.get(token)
        if value is not None and tens and value < 10:
            result[-1] = str(int(result[-1]) + value)
        elif token in _STEMMED_UNITS and result and result[-1].isdigit():
            result[-1] = str(int(result[-1]) * _STEMMED_UNITS[token])
        else:
            result.append(token if value is None else str(value))
        tens = value is not None and value >= 20
    return result


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word)) if word.isascii() else word


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")


_STEMMED_NUMBERS = {_stem(word): value for word, value in _ENGLISH_NUMBERS.items()}
_STEMMED_UNITS = {
    _stem(word): value for word, value in {"hundred": 100, "thousand": 1000, "million": 1_000_000}.items()
}
