"""Numbers of a workbook as their formats show them: dates, durations, shares, decimals."""

import re
from datetime import datetime, timedelta

from lxml import etree

from indexes.readers.ooxml import attribute, child
from indexes.readers.tables import one_line

_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_BUILT_IN = {1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 18: "h:mm", 19: "h:mm", 20: "h:mm"}
_BUILT_IN |= {
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    32: "h:mm",
    33: "h:mm:ss",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss",
}
_NOT_CODE = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)
"""What is literal in a number format: quoted text, escapes, colours and conditions, padding."""
_DATE = re.compile("[ymdhs]|aaa")
"""Letters of dates and times; ``aaa`` is a day of the week in East Asia."""
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def formats_of(styles: etree._Element | None) -> list[str]:
    """Number format of each cell style, in the order in which cells refer to them."""
    custom = {}
    for entry in _below(styles, "numFmts"):
        custom[attribute(entry, "numFmtId")] = attribute(entry, "formatCode")
    formats = []
    for entry in _below(styles, "cellXfs"):
        identity = attribute(entry, "numFmtId", "0")
        number = int(identity) if identity.isdecimal() and len(identity) < 6 else 0
        formats.append(
            custom.get(identity) or _BUILT_IN.get(number) or ("yyyy-mm-dd" if number in _DATE_FORMATS else "")
        )
    return formats


def number_text(value: str, code: str, epoch: datetime = datetime(1899, 12, 30)) -> str:
    """A number as its format shows it: a date as ISO 8601, a share in percent, else rounded to the format's decimals.

    Without a format ten digits are kept: what lies beyond is how binary fractions come out (3.0000000004 is 3).
    Thousands are not divided, so that a number is found as it is typed.
    """
    try:
        number = float(value)
    except ValueError:
        return one_line(value)
    if abs(number) >= 1e15 or number != number:
        return one_line(value)
    first = _NOT_CODE.sub("", code).split(";")[0].lower()
    if "[" in first:
        return _elapsed_text(number, first)
    if _DATE.search(first) and "general" not in first:
        return _date_text(number, first, epoch)
    percent = "%" if "%" in first else ""
    number *= 100 if percent else 1
    if "0" in first and "e" not in first and "/" not in first:
        decimals = len(re.match("[0#?]*", first.partition(".")[2])[0])  # type: ignore[index]
        return f"{number:.{min(decimals, 15)}f}{percent}"
    return (str(int(number)) if number == int(number) else f"{number:.10g}") + percent


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


def _below(parent: etree._Element | None, name: str) -> list[etree._Element]:
    element = child(parent, name)
    return list(element) if element is not None else []
