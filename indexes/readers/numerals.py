"""The automatic numbers of word processors, browsers and presentation programs: iv, c, 第三条, ③."""

_DIGITS = "〇一二三四五六七八九"
_LEGAL = "零壹贰叁肆伍陆柒捌玖"
_STEMS, _BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
_ROMAN = {1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl", 10: "x", 9: "ix"} | {
    5: "v",
    4: "iv",
    1: "i",
}


def numeral(number: int, kind: str) -> str:
    """Format a number as ``kind``: ``"1"``, ``"01"``, ``"a"``, ``"A"``, ``"i"``, ``"I"``, ``"一"``, ``"壹"``, ``"甲"``,
    ``"子"``, ``"①"``, ``"1st"``; as digits where the kind has no sign for the number."""
    match kind:
        case "01":
            return f"{number:02}"
        case "a" | "A" if number > 0:  # like Word: y, z, aa, bb
            letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
            return letters.upper() if kind == "A" else letters
        case "i" | "I" if 0 < number < 4000:
            return _roman(number).upper() if kind == "I" else _roman(number)
        case "一" | "壹" if 0 <= number < 10_000:
            return _chinese(number, kind == "壹")
        case "甲" | "子" if 0 < number <= len(_STEMS if kind == "甲" else _BRANCHES):
            return (_STEMS if kind == "甲" else _BRANCHES)[number - 1]
        case "①" if 0 < number <= 20:
            return chr(ord("①") + number - 1)
        case "1st":
            ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
            return f"{number}{ending}"
    return str(number)


def _roman(number: int) -> str:
    written = ""
    for value, letters in _ROMAN.items():
        written += letters * (number // value)
        number %= value
    return written


def _chinese(number: int, legal: bool) -> str:
    """十二, 一百零五; 壹拾贰 in documents that must not be altered."""
    digits, units = (_LEGAL, ("仟", "佰", "拾", "")) if legal else (_DIGITS, ("千", "百", "十", ""))
    written, gap = "", False
    for digit, unit in zip(map(int, f"{number:04}"), units, strict=True):
        if digit:
            written += ("零" if gap and written else "") + digits[digit] + unit
        gap = not digit
    if not legal and written.startswith("一十"):
        written = written[1:]
    return written or "零"
