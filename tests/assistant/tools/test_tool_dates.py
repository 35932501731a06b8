"""Dates: Chinese and English forms, differences, the calendar's edges, and texts that are no dates."""

from datetime import datetime

import pytest

from assistant.tools.dates import DATE_TOOLS

today, days_between, add_days = DATE_TOOLS


@pytest.mark.parametrize(
    "text",
    ["2026-11-30", "2026/11/30", "2026.11.30", "20261130", "2026年11月30日", "2026 年 11 月 30 号",
     "二〇二六年十一月三十日", "30 November 2026", "30th of Nov 2026", "Nov. 30, 2026", "november 30 2026"],
)  # fmt: skip
def test_forms_of_one_date(text):
    said = days_between.invoke({"first": text, "second": "2026-12-01"})
    assert said == "From 2026-11-30 (Monday 星期一) to 2026-12-01 (Tuesday 星期二): 1 days"


def test_differences_over_a_leap_day_and_backwards():
    assert days_between.invoke({"first": "2024-02-28", "second": "2024年3月1日"}).endswith(": 2 days")
    assert days_between.invoke({"first": "2026-03-01", "second": "2026-02-28"}).endswith(": -1 days")
    assert days_between.invoke({"first": "today", "second": "明天"}).endswith(": 1 days")


def test_adding_days():
    added = add_days.invoke({"start": "2026年2月27日", "days": 2})
    assert added == "2026-02-27 (Friday 星期五) +2 days: 2026-03-01 (Sunday 星期日)"
    assert "-1 days: 2023-12-31" in add_days.invoke({"start": "1 January 2024", "days": -1})
    assert "outside the years" in add_days.invoke({"start": "9999-12-31", "days": 1})


def test_today_says_its_time_zone():
    now = datetime.now().astimezone()
    said = today.invoke({})
    assert f"(UTC{now:%z})" in said
    assert str(now.tzname()) in said
    assert said[:4].isdigit()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-02-30", "not a day of the calendar"),
        ("二〇二六年二月三十日", "not a day of the calendar"),
        ("03/04/2026", "write it as 2026-11-30 or 2026年11月30日"),
        ("next Tuesday", "write it as"),
        ("", "write it as"),
        ("x" * 41, "Wrong argument first"),
        ("٢٠٢٦-١١-٣٠", "2026-11-30 (Monday"),
    ],
)
def test_what_is_no_date(text, reason):
    assert reason in days_between.invoke({"first": text, "second": "2026-01-01"})
