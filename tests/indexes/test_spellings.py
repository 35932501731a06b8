"""All spellings of a day, clause or number map to one word for full-text search; different ones do not."""

from pathlib import Path

import pytest

from base_models.embedding import Embedder
from domain import create_domain
from indexes import Index
from indexes.spellings import date_order, number_of, spellings

DAY = ["2026年8月4日", "2026-08-04", "2026-8-4", "4 August 2026", "August 4, 2026", "Aug 4 2026", "4th of August, 2026"]
DAY += ["二〇二六年八月四日", "2026/08/04", "04.08.2026", "2026年8月4号"]
CLAUSE = [
    "第65条",
    "第六十五条",
    "第 65 條",
    "Article 65",
    "Art. 65",
    "§ 65",
    "§65",
    "clause 65",
    "Section 65",
    "Rule 65",
]


@pytest.mark.parametrize("written", DAY)
def test_a_day_is_one_word(written: str) -> None:
    assert {"2026-08-04", "--08-04"} <= set(spellings(f"… {written} …"))


@pytest.mark.parametrize("written", ["8月4日", "八月四号", "August 4", "4 Aug.", "the 4th of August"])
def test_a_day_of_any_year_is_one_word(written: str) -> None:
    assert "--08-04" in spellings(written)
    assert not any(word.startswith("2") for word in spellings(written))


@pytest.mark.parametrize("written", CLAUSE)
def test_a_clause_is_one_word(written: str) -> None:
    assert "§65" in spellings(f"What does {written} say?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("三百二十元", ["320"]),
        ("1.2万", ["12000"]),
        ("两千零六", ["2006"]),
        ("0555 2217", ["05552217"]),
        ("(0555) 22-17", ["05552217"]),
        ("第三章", ["chapter:3"]),
        ("Chapter IV", ["chapter:4"]),
        ("步骤3", ["step:3"]),
        ("May 2026", ["2026-05"]),
        ("you may 20 times", []),
        ("3/14", []),
        ("万一", []),
        ("千万别去", []),
        ("13/45/2026", []),
        ("192.168.1.10 is up", ["192168110"]),
        ("", []),
    ],
)
def test_numbers_and_what_is_none(text: str, words: list[str]) -> None:
    assert [word for word in spellings(text) if word not in ("3", "4")] == words


def test_the_order_of_day_and_month_is_the_documents() -> None:
    assert date_order("due 23/08/2026, then 04/09/2026") == "day"
    assert date_order("due 08/23/2026") == "month"
    assert date_order("dates are DD/MM/YYYY") == "day"
    assert date_order("23/08/2026 and 08/23/2026") == ""
    assert date_order("04/08/2026") == ""
    assert "2026-08-04" in spellings("04/08/2026", "day")
    assert "2026-04-08" in spellings("04/08/2026", "month")
    assert not any("-" in word for word in spellings("04/08/2026"))


def test_numerals_of_chinese() -> None:
    assert [number_of(one) for one in ("六十五", "一百零五", "三万二千", "二〇二六", "十", "两亿")] == [
        65,
        105,
        32_000,
        2026,
        10,
        200_000_000,
    ]


def test_a_row_is_found_by_its_day_and_an_article_by_its_number(tmp_path: Path, e5: Embedder) -> None:
    domain = create_domain(tmp_path / "duty")
    names = ["朱敏", "胡强", "吴丽", "陈勇"]
    days = [(month, day) for month in (3, 4) for day in range(1, 29)]
    rows = [f"2026-{month:02}-{day:02},{names[day % 4]},{6000 + 31 * day + month}" for month, day in days]
    (domain.documents / "duty.csv").write_text("日期,值班人,电话\n" + "\n".join(rows) + "\n", "utf-8")
    numbers = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "十三", "十四", "十五"]
    articles = [
        f"第{number}条 {names[n % 4]}负责第{n % 3}号仓库，须在{n}日内办结。" for n, number in enumerate(numbers)
    ]
    (domain.documents / "rules.txt").write_text("管理制度\n\n" + "\n".join(articles) + "\n", "utf-8")
    asked = {
        "2026年3月4日谁值班": "2026-03-04",
        "Who is on duty on 17 April 2026?": "2026-04-17",
        "April 9的值班电话": "2026-04-09",
        "3月11日谁值班？": "2026-03-11",
        "第12条规定了什么": "第十二条",
        "第五条由谁负责": "第五条",
        "What does Article 14 say?": "第十四条",
    }
    with Index.open(domain) as index:
        index.update()
        found = index.search_many(list(asked), 1)
    for (question, right), passages in zip(asked.items(), found, strict=True):
        assert right in passages[0].text, question


def test_the_order_of_a_documents_dates_counts_in_search(tmp_path: Path, e5: Embedder) -> None:
    domain = create_domain(tmp_path / "visits")
    days = "".join(f"Visit,{number:02}/08/2026,Hall {number}\n" for number in range(1, 29))
    (domain.documents / "visits.csv").write_text("Kind,Date,Place\n" + days, "utf-8")
    with Index.open(domain) as index:
        index.update()
        assert "04/08/2026" in index.search("Which visit is on 4 August 2026?", k=1, mode="full_text")[0].text
        found = index.search("Which visit is on 8 April 2026?", k=3, mode="full_text")
    assert "04/08/2026" not in found[0].text
