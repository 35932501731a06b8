"""Format numbers of a workbook as it displays them: dates, durations, percentages, 02139, 12.5 kg, words for codes."""

import re
from datetime import datetime, timedelta
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne

from indexes.readers.tables.table_text import one_line

_DIVIDED = re.compile(r'(?:"[^"]*"|\\.|[_*].|\[[^\]]*\]|[^;"\\])+')
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
_HIDES = re.compile(r"(?:\[[^\]]*\])?;+")
"""Formats that display nothing, used to hide cells."""
_COMPARED = {"<": lt, ">": gt, "=": eq, "<=": le, ">=": ge, "<>": ne}
_NO_BRACKETS = str.maketrans("", "", "()")
_TOKEN = re.compile(
    r'"(?P<literal>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[[^\]]*\]|(?P<space>_.)|\*.'
    r"|(?P<sign>General|[0#?]|[.,%/@]|[eE][-+])|(?P<other>[^\"\\])",
    re.IGNORECASE,
)
"""The tokens of a number format; see ECMA-376, part 1, 18.8.31."""
_NOT_CODE = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)
"""Literal parts of a number format: quoted text, escapes, colours and conditions, padding."""
_DATE = re.compile("[ymdhs]|aaa")
"""Letters of dates and times; ``aaa`` is a weekday in East Asia."""
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def number_text(value: str, code: str, epoch: datetime = datetime(1899, 12, 30)) -> str:
    """Format a number: a date as ISO 8601, others with the format's decimals, zeros, units and words.

    Without a format ten digits are kept: more only show the error of binary fractions (3.0000000004 is 3). Thousands
    are not separated, so that a search finds the number as it is typed.
    """
    try:
        number = float(value)
    except ValueError:
        return one_line(value)
    if abs(number) >= 1e15 or number != number:
        return one_line(value)
    if _HIDES.fullmatch(code):
        return ""
    section = _section(code, number)
    first = _NOT_CODE.sub("", section).lower()
    if "[" in first:
        return _elapsed_text(number, first)
    if _DATE.search(first) and "general" not in first:
        return _date_text(number, first, epoch)
    shown = _shown(number, section)
    return shown if number >= 0 or shown.startswith("-") else f"-{shown}"


def text_text(text: str, code: str) -> str:
    """Format a text in a cell whose format may add to it: ``@" kg"``."""
    if code == ";;;":
        return ""
    section = code.split(";")[-1]
    pieces = _tokens(section) if "@" in _NOT_CODE.sub("", section) else []
    return one_line("".join(text if kind == "@" else piece for kind, piece in pieces if kind in "@'")) or text


def _section(code: str, number: float) -> str:
    """The section of a format for a number; see ECMA-376, part 1, 18.8.31."""
    sections = _DIVIDED.findall(code) or [""]
    for section in sections:
        if condition := _CONDITION.search(section):
            sign, bound = condition[1], float(condition[2])
            if _COMPARED[sign](number, bound):
                return section
    plain = [section for section in sections if not _CONDITION.search(section)]
    if len(plain) < len(sections):
        return plain[0] if plain else "General"
    if number < 0 and len(sections) > 1:
        return sections[1].translate(_NO_BRACKETS)
    if number == 0 and len(sections) > 2 and re.search(r"[0#?]|[^\W_]", re.sub(r"[_*].", "", sections[2])):
        return sections[2]
    return sections[0]


def _tokens(section: str) -> list[tuple[str, str]]:
    """The tokens of a format: ``'`` with a literal text, or a sign with itself."""
    pieces: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(section):
        if match["literal"] is not None or match["escaped"] is not None:
            pieces.append(("'", match["literal"] if match["literal"] is not None else match["escaped"]))
        elif match["currency"] is not None:
            pieces.append(("'", match["currency"]))
        elif match["space"]:
            pieces.append(("'", " "))
        elif match["sign"]:
            pieces.append((match["sign"][0].upper(), match["sign"]))
        elif match["other"]:
            pieces.append(("'", match["other"]))
    return pieces


def _shown(number: float, section: str) -> str:
    """Format a number with one section, without separating thousands."""
    pieces = _tokens(section)
    kinds = "".join(kind for kind, _ in pieces)
    number = abs(number) if "'" in kinds or re.search("[0#?]", kinds) else number
    if not re.search("[0#?]", kinds):
        general = f"{number:.10g}" if number != int(number) else str(int(number))
        if not pieces:
            return general
        number_at = {"G", "@"}
        return one_line("".join(general if kind in number_at else piece for kind, piece in pieces if kind in "G@'%"))
    number *= 100 ** kinds.count("%")
    if "E" in kinds:
        return f"{number:.10g}"
    if "/" in kinds:
        return _fraction(number, pieces)
    last = max(match.start() for match in re.finditer("[0#?]", kinds))
    scale = re.match(",*", kinds[last + 1 :])
    whole = kinds.partition(".")[0]
    before_point = re.search(r"(,+)'*$", whole)
    number /= 1000 ** len((scale[0] if scale else "") or (before_point[1] if before_point and "." in kinds else ""))
    decimals = re.findall("[0#?]", kinds.partition(".")[2])
    written = f"{number:.{min(len(decimals), 15)}f}"
    digits, _, behind = written.partition(".")
    while behind and decimals[len(behind) - 1] == "#" and behind.endswith("0"):
        behind = behind[:-1]
    places = len(re.findall("[0#?]", whole))
    needed = len(re.search("[0].*", "".join(re.findall("[0#?]", whole)) or "#")[0]) if "0" in whole else 0  # type: ignore[index]
    digits = (digits.lstrip("0") or "0").rjust(needed, "0")
    return _filled(pieces, digits, behind, places)


def _filled(pieces: list[tuple[str, str]], digits: str, behind: str, places: int) -> str:
    """Fill the digits into the places of a format; surplus digits go to the first place."""
    parts: list[str] = []
    seen, is_behind, left = 0, False, behind
    for kind, piece in pieces:
        if kind == "'" or kind == "%":
            parts.append(piece)
        elif kind == ".":
            is_behind = True
            parts.append("." if behind else "")
        elif kind in "0#?" and is_behind:
            parts.append(left[:1])
            left = left[1:]
        elif kind in "0#?":
            seen += 1
            place = len(digits) - (places - seen) - 1
            parts.append(digits[: max(place + 1, 0)] if seen == 1 else digits[place : place + 1] if place >= 0 else "")
    return one_line("".join(parts))


def _fraction(number: float, pieces: list[tuple[str, str]]) -> str:
    kinds = "".join(kind for kind, _ in pieces)
    stated = re.search(r"/'?(\d+)", "".join(piece for _, piece in pieces))
    most = 10 ** max(1, len(re.findall("[0#?]", kinds.partition("/")[2]))) - 1
    exact = int(stated[1]) if stated and int(stated[1]) else 0
    found = Fraction(round(number * exact), exact) if exact else Fraction(number).limit_denominator(most)
    whole, rest = divmod(found.numerator, found.denominator)
    if "'" not in kinds.partition("/")[0] and " " not in "".join(piece for _, piece in pieces):
        return f"{found.numerator}/{found.denominator}" if found.denominator > 1 else str(found.numerator)
    return " ".join(
        filter(None, [str(whole) if whole or not rest else "", f"{rest}/{found.denominator}" if rest else ""])
    )


def _elapsed_text(days: float, code: str) -> str:
    """``[h]:mm`` counts hours beyond a day: 1.5 is ``36:00``."""
    left = round(abs(days) * 86_400)
    parts: list[str] = []
    for unit in filter(code.__contains__, _SECONDS):
        count, left = divmod(left, _SECONDS[unit])
        parts.append(f"{count:02}" if parts else f"{count}")
    return "-" * (days < 0) + ":".join(parts)


def _date_text(days: float, code: str, epoch: datetime) -> str:
    try:
        moment = epoch + timedelta(seconds=round(days * 86_400))
    except OverflowError:
        return f"{days:.10g}"
    has_date, has_time = bool(re.search("[yd]", code)) or not re.search("[hs]", code), bool(re.search("[hs]", code))
    if not has_date:
        return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
    date = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    return date + moment.strftime(" %H:%M:%S" if moment.second else " %H:%M") if has_time else date
