"""Normalises numbers in text: ``3万5千`` becomes 35000, ``三点半`` 3:30, ``twenty-four`` 24, ``两三天`` 2-3天.

For comparing texts (``facts.py``), not for calculating. Fractions, Roman numerals and ordinals are not supported.
"""

import re
from decimal import Decimal, DecimalException

DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
TENS = {"十": 10, "百": 100, "千": 1000}
UNITS = {"百": 100, "千": 1000, "万": 10_000, "百万": 1_000_000, "千万": 10_000_000, "亿": 100_000_000}
UNITS |= {"thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
ENGLISH = {
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50},
    **{"sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
}
ENGLISH_UNITS = {"hundred": 100, "thousand": 1000, "million": 1_000_000}

_HAN = "零〇一二两三四五六七八九十"
_COUNTED = "个分天年月周小人次岁块元位本杯克点日种件米公里倍页章遍"
"""Measure words that may follow "two or three" in Chinese; 二三 alone could also be 23."""
_CLOCK = re.compile(
    rf"(?P<hour>\d{{1,2}}|[{_HAN}]{{1,3}})\s*[点时]\s*(?:(?P<half>半)|(?P<minute>\d{{1,2}}|[{_HAN}]{{1,3}})\s*分"
    r"|(?P<tens>[二三四五]?十[一二三四五六七八九]?)(?![万百千]))"
)
_ABOUT = re.compile(
    rf"(?<![{_HAN[:-1]}\d])(?P<tens>[一二三四五六七八九]?十)?(?P<low>[一二两三四五六七八])(?P<high>[二三四五六七八九])(?P<unit>[十百千万]?)(?=[{_COUNTED}])"
)
_MIXED = re.compile(r"(?P<units>\d+(?:\.\d+)?)\s*万(?P<rest>\d)\s*千")
_BELOW = re.compile(rf"零下\s*(?P<value>\d+(?:\.\d+)?|[{_HAN}百]+)")


def in_digits(text: str) -> str:
    """Convert times of day, "two or three", sums of units and temperatures below zero in a text (NFKC) to digits."""
    text = _BELOW.sub(lambda match: f" -{_plain(match['value'])}", text)
    text = _CLOCK.sub(_time, text)
    text = _ABOUT.sub(_about, text)
    return _MIXED.sub(lambda match: written(Decimal(match["units"]) * 10_000 + int(match["rest"]) * 1000), text)


def value_of(number: str, power: str | None, unit: str | None) -> str:
    """``1,500`` is 1500, ``1e-4`` 0.0001, ``6 万`` 60000; a number too large to write out is returned as it is."""
    try:
        value = Decimal(number.replace(",", ""))
        if max(abs(value.adjusted()), abs(int(power or 0))) > 30:
            return number
        return written(value * (Decimal(10) ** int(power) if power else 1) * (UNITS[unit] if unit else 1))
    except (DecimalException, ValueError):
        return number


def written(value: Decimal) -> str:
    """Format a value without exponent or trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def chinese_number(text: str) -> str | None:
    """``二十四`` is 24, ``一九九八`` 1998, ``三点五`` 3.5, ``三千五`` 3500; None if it is not a number (``万千``)."""
    whole, _, part = text.partition("点")
    if not any(character in TENS or character in UNITS for character in whole):
        value = Decimal("".join(str(DIGITS[character]) for character in whole))
    else:
        total, section, digit, unit = 0, 0, 0, 1
        for character in whole:
            if character in DIGITS:
                digit = DIGITS[character]
                unit = 1 if not digit else unit
            elif character in TENS:
                section += (digit or (1 if not section else 0)) * TENS[character]
                digit, unit = 0, TENS[character]
            else:
                if not section + digit:
                    return None
                total = (total + section + digit) * UNITS[character]
                section, digit, unit = 0, 0, UNITS[character]
        value = Decimal(total + section + digit * (unit // 10 if unit > 10 else 1))
    if part:
        value += Decimal("0." + "".join(str(DIGITS[character]) for character in part))
    return written(value)


def join_english(words: list[str], adjacent: list[bool], numbers: dict[str, int], units: dict[str, int]) -> list[str]:
    """``twenty four`` is 24, ``three hundred and fifty`` 350; ``adjacent`` marks the words separated from the previous
    word only by a space or a hyphen."""
    result: list[str] = []
    open_tens = open_unit = False  # after "twenty" or "hundred", a smaller number may follow
    for position, word in enumerate(words):
        value = numbers.get(word)
        near = adjacent[position] and bool(result)
        if word == "and" and near and open_unit and position + 1 < len(words) and words[position + 1] in numbers:
            continue
        if value is not None and near and ((open_tens and value < 10) or (open_unit and value < 100)):
            result[-1] = str(int(result[-1]) + value)
            open_tens, open_unit = value >= 20, False
        elif word in units:
            counted = near and result[-1].isascii() and result[-1].isdigit() and len(result[-1]) < 16
            if counted:
                result[-1] = str(int(result[-1]) * units[word])
            else:
                result.append(str(units[word]))
            open_tens, open_unit = False, True
        else:
            result.append(word if value is None else str(value))
            open_tens, open_unit = value is not None and value >= 20, False
    return result


def _plain(number: str) -> str:
    return number if number[0].isdigit() and number.isascii() else chinese_number(number) or number


def _time(match: re.Match[str]) -> str:
    hour = _plain(match["hour"])
    minute = "30" if match["half"] else _plain(match["minute"] or match["tens"])
    if not (hour.isdigit() and minute.isdigit() and int(hour) <= 24 and int(minute) < 60):
        return match[0]
    return f"{hour}:{minute}"


def _about(match: re.Match[str]) -> str:
    low, high = DIGITS[match["low"]], DIGITS[match["high"]]
    if high != low + 1:
        return match[0]
    unit = TENS.get(match["unit"], UNITS.get(match["unit"], 1))
    tens = int(chinese_number(match["tens"]) or 0) if match["tens"] else 0
    return f"{tens + low * unit}-{tens + high * unit}"
