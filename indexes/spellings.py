"""Maps different spellings of a date, number or clause to one word, which is added to the full-text words.

``2026年8月4日``, ``2026-08-04``, ``4 August 2026`` and ``Aug 4, 2026`` all become ``2026-08-04`` and ``--08-04``, the
ISO 8601 form of a day in any year. ``第六十五条``, ``第65条``, ``Article 65`` and ``§ 65`` become ``§65``; ``三百二十``
becomes ``320``, ``1.2万`` becomes ``12000``; a telephone number becomes its digits without grouping. Matching is exact:
4 August is not 5 August. ``04/08/2026`` is a date only if the document shows whether the day or the month is first, see
:func:`date_order`.
"""

import re
from collections.abc import Iterator

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?(?![\d:.%])"
_DIGITS = "〇零一二三四五六七八九"
_N = rf"(\d{{1,4}}|[{_DIGITS}两十百千]{{1,7}})"
_CHINESE_DATE = re.compile(rf"(?:(\d{{4}}|[{_DIGITS}]{{4}})\s?年)?\s?{_N}\s?月(?:份)?(?:\s?{_N}\s?[日号號])?")
_DAY_MONTH = re.compile(rf"(?<![\d.,:]){_DAY}(?:\s+of)?[\s-]+{_MONTH}(?:,?[\s-]+(\d{{4}})(?!\d))?", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s+{_DAY}(?:,?\s+(\d{{4}})(?!\d))?", re.IGNORECASE)
_MONTH_YEAR = re.compile(rf"\b{_MONTH},?\s+(\d{{4}})(?!\d)", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(?<![\d.,/-])(\d{4})([-/.])(\d{1,2})(?:\2(\d{1,2}))?(?![\d/-])")
_YEAR_LAST = re.compile(r"(?<![\d.,/-])(\d{1,2})([-/.])(\d{1,2})(?:\2(\d{4}|\d{2}))?(?![\d/-])")
_STATED_ORDER = re.compile(
    r"\b(?:(dd?[-/.]mm?)|(mm?[-/.]dd?))(?:[-/.]yy|\b)|(日[-/]月[-/]年)|(月[-/]日[-/]年)", re.IGNORECASE
)
_CLAUSES = (
    (
        "§{}",
        re.compile(
            rf"第\s?{_N}\s?[条條]|(?:\b(?:articles?|art\.|clauses?|rules?|artikel)|§+)\s*(\d{{1,4}}[a-z]?)\b", re.I
        ),
    ),
    ("§{}", re.compile(r"\b(?:sections?|sec\.)\s*(\d{1,4}[a-z]?)\b(?!\.\d)", re.I)),
    ("chapter:{}", re.compile(rf"第\s?{_N}\s?章|\bchapter\s+(\d{{1,3}}|[ivxlc]+)\b", re.I)),
    ("section:{}", re.compile(rf"第\s?{_N}\s?[节節]|\b(?:section|sec\.)\s*(\d{{1,3}})\b", re.I)),
    ("step:{}", re.compile(rf"第\s?{_N}\s?步|步[骤驟]\s?{_N}|\bstep\s+(\d{{1,3}})\b", re.I)),
)
_NUMERAL = re.compile(rf"(?<![{_DIGITS}两十百千万亿])[{_DIGITS}两十][{_DIGITS}两十百千万亿]+")
_SCALED = re.compile(r"(?<![\d.,])(\d{1,6}(?:\.\d{1,4})?)\s?([千万亿])")
_ANY_DIGIT = re.compile(r"\d")
_ANY_MONTH = re.compile(r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_ANY_CLAUSE = re.compile(r"[条條章节節步§]|\b(?:art|clause|rule|sec|chapter|step)", re.IGNORECASE)
_ANY_CHINESE = re.compile(rf"[{_DIGITS}两十百千万亿]")
"""Quick checks: the slower patterns run only if the text matches."""
_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
_TELEPHONE = re.compile(r"(?<![\w.,/+-])[+(]?\d{1,6}(?:[ \u00a0./()-]{1,3}\d{1,8}){1,6}(?![\w/%])")
_BEFORE_MONTH = re.compile(r"\d(?:st|nd|rd|th)?(?:\s+of)?[\s-]+$", re.IGNORECASE)


def spellings(text: str, order: str = "") -> list[str]:
    """The normalised words for the days, clauses and numbers in a text, unordered, without repetition.

    ``order`` is ``"day"`` or ``"month"``, whichever is first in ``04/08/2026``; empty if unknown.
    """
    found: dict[str, None] = {}
    for year, month, day in _days(text, order):
        if not 1 <= month <= 12 or day > 31:
            continue
        if day:
            found[f"--{month:02}-{day:02}"] = None
        if year:
            found[f"{year:04}-{month:02}" + (f"-{day:02}" if day else "")] = None
    for form, pattern in _CLAUSES if _ANY_CLAUSE.search(text) else ():
        for match in pattern.finditer(text):
            found[form.format(_clause(next(filter(None, match.groups()))))] = None
    for match in _NUMERAL.finditer(text) if _ANY_CHINESE.search(text) else ():
        plain = all(sign in _DIGITS for sign in match[0])
        if not plain or len(match[0]) > 2:
            found[str(number_of(match[0]))] = None
    for match in _SCALED.finditer(text) if _ANY_CHINESE.search(text) else ():
        found[f"{float(match[1]) * _SCALES[match[2]]:.0f}"] = None
    for match in _TELEPHONE.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if 6 <= len(digits) <= 15 and not (_YEAR_FIRST.fullmatch(match[0]) or _YEAR_LAST.fullmatch(match[0])):
            found[digits] = None
    return list(found)


def date_order(text: str) -> str:
    """Whether the day or the month is first in dates of a text such as ``04/08/2026``.

    A date with a number over 12 decides, or a stated form (``DD/MM/YYYY``). Empty if there is neither, or if they
    contradict each other.
    """
    told = set()
    for match in _STATED_ORDER.finditer(text):
        told.add("day" if match[1] or match[3] else "month")
    for match in _YEAR_LAST.finditer(text):
        first, second = int(match[1]), int(match[3])
        if match[4] and len(match[4]) == 4 and min(first, second) >= 1 and max(first, second) <= 31:
            told |= {"day"} if first > 12 >= second else {"month"} if second > 12 >= first else set()
    return told.pop() if len(told) == 1 else ""


def number_of(numeral: str) -> int:
    """The value of 65, 六十五, 一百零五, 二〇二六 or 三万二千."""
    if numeral.isascii():
        return int(re.sub(r"\D", "", numeral) or 0)
    if all(sign in _DIGITS for sign in numeral):
        return int("".join(str(_digit(sign)) for sign in numeral))
    total = section = digit = 0
    for sign in numeral:
        if sign in "万亿":
            total = (total + section + digit) * _SCALES[sign]
            section = digit = 0
        elif sign in _SCALES:
            section += max(1, digit) * _SCALES[sign]
            digit = 0
        else:
            digit = _digit(sign)
    return total + section + digit


def _digit(sign: str) -> int:
    return 2 if sign == "两" else max(0, _DIGITS.index(sign) - 1)


def _clause(number: str) -> str:
    if number[0].isdigit():
        return number.lower()
    if number.isascii():
        values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[sign] for sign in number.lower()]
        return str(sum(-one if one < next_one else one for one, next_one in zip(values, [*values[1:], 0], strict=True)))
    return str(number_of(number))


def _days(text: str, order: str) -> Iterator[tuple[int, int, int]]:
    """Year, month and day; 0 for a missing part."""
    for match in _CHINESE_DATE.finditer(text) if "月" in text else ():
        if match[1] or match[3]:
            yield number_of(match[1] or "0"), number_of(match[2]), number_of(match[3] or "0")
    if not _ANY_DIGIT.search(text):
        return
    is_named = _ANY_MONTH.search(text) is not None
    for match in _DAY_MONTH.finditer(text) if is_named else ():
        yield int(match[3] or 0), _month(match[2]), int(match[1])
    for match in _MONTH_DAY.finditer(text) if is_named else ():
        if match[1][0].isupper() or _month(match[1]) not in (3, 5):  # "you may 20 times", "march 5 miles"
            yield int(match[3] or 0), _month(match[1]), int(match[2])
    for match in _MONTH_YEAR.finditer(text) if is_named else ():
        if not _BEFORE_MONTH.search(text[max(0, match.start() - 10) : match.start()]):
            yield int(match[2]), _month(match[1]), 0
    for match in _YEAR_FIRST.finditer(text):
        if match[4] or match[2] == "-":
            yield int(match[1]), int(match[3]), int(match[4] or 0)
    for match in _YEAR_LAST.finditer(text):
        first, second = int(match[1]), int(match[3])
        year = int(match[4]) if match[4] and len(match[4]) == 4 else 0
        if not year and (match[2] != "/" or not order):
            continue
        known = "day" if first > 12 or (match[2] == "." and year) else "month" if second > 12 else order
        if known:
            yield (year, second, first) if known == "day" else (year, first, second)


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1
