"""Dates: today, the days between two dates, and a date some days later. Reads Chinese and English dates."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated

from langchain_core.tools import BaseTool, ToolException
from pydantic import Field

from assistant.tools.results import make_tool

DAYS = (
    *("Monday 星期一", "Tuesday 星期二", "Wednesday 星期三", "Thursday 星期四", "Friday 星期五", "Saturday 星期六"),
    "Sunday 星期日",
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
RELATIVE = {"today": 0, "今天": 0, "今日": 0, "tomorrow": 1, "明天": 1, "yesterday": -1, "昨天": -1}
"""Words for days near today, and their distance from it."""
_DIGITS = {digit: number for number, digit in enumerate("零一二三四五六七八九")} | {"〇": 0}

DateText = Annotated[str, Field(max_length=40, description="A date, for example 2026-11-30 or 2026年11月30日.")]


def today() -> str:
    """Tell today's date and the time, in the time zone of this machine. 今天的日期。"""
    now = datetime.now().astimezone()
    return f"{_named(now.date())}, {now:%H:%M}, time zone {now.tzname()} (UTC{now:%z})"


def days_between(first: DateText, second: DateText) -> str:
    """Count the days from the first date to the second date. 两个日期相差几天。"""
    start, end = read_date(first), read_date(second)
    return f"From {_named(start)} to {_named(end)}: {(end - start).days} days"


def add_days(
    start: DateText,
    days: Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Number of days; negative is earlier.")],
) -> str:
    """Find the date that is some days after (or, with a negative number, before) a date. 某日期几天后是哪天。"""
    first = read_date(start)
    try:
        return f"{_named(first)} {days:+} days: {_named(first + timedelta(days))}"
    except OverflowError:
        raise ToolException(f"{start} {days:+} days is outside the years 1 to 9999.") from None


DATE_TOOLS: list[BaseTool] = [make_tool(one) for one in (today, days_between, add_days)]


def read_date(text: str) -> date:
    """The date of a text such as 2026-11-30, 2026/11/30, 2026年11月30日, 二〇二六年十一月三十日 or 30 November 2026.

    Raises ``ToolException``, also for 03/04/2026, which is March in one country and April in another.
    """
    words = text.strip().lower()
    if words in RELATIVE:
        return datetime.now().astimezone().date() + timedelta(RELATIVE[words])
    try:
        if found := re.fullmatch(r"(\d{4})\s*([-/.年])\s*(\d{1,2})\s*([-/.月])\s*(\d{1,2})\s*[日号]?", words):
            return date(int(found[1]), int(found[3]), int(found[5]))
        if found := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", words):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := re.fullmatch(
            r"([〇零一二三四五六七八九]{4})年([一二十]{1,2})月([一二三四五六七八九十]{1,3})[日号]", words
        ):
            year = int("".join(str(_DIGITS[digit]) for digit in found[1]))
            return date(year, _below_hundred(found[2]), _below_hundred(found[3]))
        if found := re.fullmatch(rf"(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+(\d{{4}})", words):
            return date(int(found[3]), MONTHS.index(found[2][:3]) + 1, int(found[1]))
        if found := re.fullmatch(rf"{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})", words):
            return date(int(found[3]), MONTHS.index(found[1][:3]) + 1, int(found[2]))
    except ValueError:
        raise ToolException(f"{text!r} is not a day of the calendar; check the year, month and day.") from None
    raise ToolException(f"{text!r} is not a date that this tool reads; write it as 2026-11-30 or 2026年11月30日.")


def _below_hundred(text: str) -> int:
    tens, ten, ones = text.rpartition("十")
    return (_DIGITS[tens] if tens else 1) * 10 * bool(ten) + (_DIGITS[ones] if ones else 0)


def _named(day: date) -> str:
    return f"{day.isoformat()} ({DAYS[day.weekday()]})"
