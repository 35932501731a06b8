"""A domain with a CSV file in GBK, workbooks and texts; its index holds names and texts, which needs no chat model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xlsxwriter

from assistant.indexing import update_index
from domain import Domain, create_domain
from indexes import Index

MENU = "名称,产地,价格 (元),库存,编号\n龙井,杭州,128.5,12,00123\n普洱,云南,88,30,00456\n大红袍,福建,320,,00789\n"


@pytest.fixture(scope="package")
def tools_domain(tmp_path_factory: pytest.TempPathFactory, real_model: Callable[[str], Path]) -> Domain:
    real_model("multilingual-e5-small")
    domain = create_domain(tmp_path_factory.mktemp("tools") / "tea-shop")
    (domain.documents / "菜单.csv").write_bytes(MENU.encode("gbk"))
    with xlsxwriter.Workbook(domain.documents / "sales 2026.xlsx") as book:
        for name, rows in {
            "Q1": [["tea", "order", "day"]],
            "客户": [["姓名", "城市"], ["王芳", "杭州"], ["李雷", "北京"]],
        }.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for at, (tea, count, when) in enumerate([("Longjing", 3, 46027), ("Pu'er", 5, 46030)], start=1):
            book.worksheets()[0].write_row(at, 0, [tea, count])
            book.worksheets()[0].write_number(at, 2, when, day)
    (domain.documents / "en").mkdir()
    (domain.documents / "en" / "green-tea.md").write_text(
        "# Green tea\n\nUse water of 80 degrees for green tea.\n", encoding="utf-8"
    )
    long = "".join(f"第{number}条 水温为八十度,泡两分钟,每杯三克茶叶。\n" for number in range(1, 101))
    (domain.documents / "规章.txt").write_text(long, encoding="utf-8")
    update_index(domain)
    return domain


@pytest.fixture(scope="package")
def tools_index(tools_domain: Domain) -> Iterator[Index]:
    with Index.open(tools_domain) as index:
        yield index
