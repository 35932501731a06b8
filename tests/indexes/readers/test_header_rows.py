"""Header rows: positive and negative cases of header_rows.py, in every format with tables."""

import docx
import openpyxl
import pptx
import pytest
from document_samples import read, saved, texts
from index_samples import placed_pdf_of
from pptx.util import Inches

from indexes.readers.tables.cell_kinds import kind_of

TABLES = {
    "units cn": (
        "样品,深度,温度\n单位,米,℃\nA,4.5,11.2\nB,9.0,8.7\n",
        "样品: A; 深度 米: 4.5; 温度 ℃: 11.2\n样品: B; 深度 米: 9.0; 温度 ℃: 8.7",
    ),
    "units brackets": (
        "Run,Speed,Load\n,[km/h],[kN]\n1,40,3.1\n2,55,2.2\n",
        "Run: 1; Speed [km/h]: 40; Load [kN]: 3.1\nRun: 2; Speed [km/h]: 55; Load [kN]: 2.2",
    ),
    "stacked": (
        "Item,Qty,Price\nNail,10,0.10\nScrew,5,0.20\nPlace,Rooms,Beds\nArlen,4,9\nBrill,7,13\n",
        "Item: Nail; Qty: 10; Price: 0.10\n"
        "Item: Screw; Qty: 5; Price: 0.20\n"
        "Place: Arlen; Rooms: 4; Beds: 9\n"
        "Place: Brill; Rooms: 7; Beds: 13",
    ),
    "stacked blank": (
        "Item,Qty,Price\nNail,10,0.10\n\nPlace,Rooms,Beds\nArlen,4,9\nBrill,7,13\n",
        "Item: Nail; Qty: 10; Price: 0.10\n\nPlace: Arlen; Rooms: 4; Beds: 9\nPlace: Brill; Rooms: 7; Beds: 13",
    ),
    "blank in table": (
        "Item,Qty,Price\nNail,10,0.10\nScrew,5,0.20\n\nBolt,7,0.3\nNut,8,0.4\n",
        "Item: Nail; Qty: 10; Price: 0.10\n"
        "Item: Screw; Qty: 5; Price: 0.20\n"
        "\n"
        "Item: Bolt; Qty: 7; Price: 0.3\n"
        "Item: Nut; Qty: 8; Price: 0.4",
    ),
    "transposed": (
        "Model,A1,A2,A3\n"
        "Weight,12 kg,15 kg,9 kg\n"
        "Price,9 EUR,12 EUR,7 EUR\n"
        "Colour,red,blue,green\n"
        "Built,2019-01-02,2020-03-04,2021-05-06\n",
        "Model: A1; Weight: 12 kg; Price: 9 EUR; Colour: red; Built: 2019-01-02\n"
        "Model: A2; Weight: 15 kg; Price: 12 EUR; Colour: blue; Built: 2020-03-04\n"
        "Model: A3; Weight: 9 kg; Price: 7 EUR; Colour: green; Built: 2021-05-06",
    ),
    "transposed nums": (
        "Model,Kestrel,Heron,Wren\nWeight (kg),12,15,9\nPrice (EUR),900,1200,700\nColour,red,blue,green\n",
        "Model: Weight (kg); Kestrel: 12; Heron: 15; Wren: 9\n"
        "Model: Price (EUR); Kestrel: 900; Heron: 1200; Wren: 700\n"
        "Model: Colour; Kestrel: red; Heron: blue; Wren: green",
    ),
    "side": (
        "Item,Price,,Item,Price\nNail,1,,Bolt,4\nScrew,2,,Nut,5\n",
        "Item: Nail; Price: 1\nItem: Screw; Price: 2\n\nItem: Bolt; Price: 4\nItem: Nut; Price: 5",
    ),
    "side2": (
        "Item,Price,,Place,Rooms\nNail,1,,Arlen,4\nScrew,2,,,\n",
        "Item: Nail; Price: 1; Place: Arlen; Rooms: 4\nItem: Screw; Price: 2",
    ),
    "periodic": (
        "Name,Phone,Name,Phone\nKim,12,Bo,14\nAl,13,Cy,15\n",
        "Name: Kim; Phone: 12\nName: Bo; Phone: 14\nName: Al; Phone: 13\nName: Cy; Phone: 15",
    ),
    "repeat": (
        "Probe,Value,Unit,Value,Unit\nP1,3,m,4,s\nP2,5,m,6,s\n",
        "Probe: P1; Value: 3; Unit: m; Value (2): 4; Unit (2): s\n"
        "Probe: P2; Value: 5; Unit: m; Value (2): 6; Unit (2): s",
    ),
    "years": (
        "Region,2021,2022,2023\nNorth,5,7,9\nSouth,6,8,11\n",
        "Region: North; 2021: 5; 2022: 7; 2023: 9\nRegion: South; 2021: 6; 2022: 8; 2023: 11",
    ),
    "years big": (
        "地区,2021年,2022年,2023年\n华北,1500,1700,1900\n华南,1600,1800,2100\n",
        "地区: 华北; 2021年: 1500; 2022年: 1700; 2023年: 1900\n地区: 华南; 2021年: 1600; 2022年: 1800; 2023年: 2100",
    ),
    "measure": (
        "1.2,3.4,5.5\n1.3,2.2,6.6\n1.1,3.1,6.0\n",
        "1.2 | 3.4 | 5.5\n1.3 | 2.2 | 6.6\n1.1 | 3.1 | 6.0",
    ),
    "measure2": (
        "Rope A,1.2,3.4,5.5\nRope B,1.3,2.2,6.6\nRope C,1.1,3.1,6.0\n",
        "Rope A | 1.2 | 3.4 | 5.5\nRope B | 1.3 | 2.2 | 6.6\nRope C | 1.1 | 3.1 | 6.0",
    ),
    "measure3": (
        "A,1,2,3\nB,4,5,6\nC,7,8,9\n",
        "A | 1 | 2 | 3\nB | 4 | 5 | 6\nC | 7 | 8 | 9",
    ),
    "sizes": (
        "Size,36,38,40\nChest,84,88,92\nWaist,66,70,74\n",
        "Size: Chest; 36: 84; 38: 88; 40: 92\nSize: Waist; 36: 66; 38: 70; 40: 74",
    ),
    "times": (
        "Room,08:00,10:00,12:00\nAttic,Kim,Bo,Al\nCellar,Al,Kim,Bo\n",
        "Room: Attic; 08:00: Kim; 10:00: Bo; 12:00: Al\nRoom: Cellar; 08:00: Al; 10:00: Kim; 12:00: Bo",
    ),
    "timetable": (
        "Stop,Run 1,Run 2\nArlen,08:00,09:00\nBrill,08:10,09:10\n",
        "Stop: Arlen; Run 1: 08:00; Run 2: 09:00\nStop: Brill; Run 1: 08:10; Run 2: 09:10",
    ),
    "times headless": (
        "Arlen,08:00,09:00\nBrill,08:10,09:10\nColm,08:20,09:20\n",
        "Arlen | 08:00 | 09:00\nBrill | 08:10 | 09:10\nColm | 08:20 | 09:20",
    ),
    "dates": (
        "Task,2026-01-01,2026-01-02\nPaint,3,4\nSand,5,6\n",
        "Task: Paint; 2026-01-01: 3; 2026-01-02: 4\nTask: Sand; 2026-01-01: 5; 2026-01-02: 6",
    ),
    "words": (
        "City,Country,Language\nParis,France,French\nRome,Italy,Italian\n",
        "City: Paris; Country: France; Language: French\nCity: Rome; Country: Italy; Language: Italian",
    ),
    "2col num": (
        "Item,Price\nTea,3\nCups,5\nPots,9\n",
        "Item: Tea; Price: 3\nItem: Cups; Price: 5\nItem: Pots; Price: 9",
    ),
    "2col kv": (
        "名称,云溪纺织厂\n电话,0571-2217\n成立,1931\n地址,云溪路4号\n",
        "名称: 云溪纺织厂\n电话: 0571-2217\n成立: 1931\n地址: 云溪路4号",
    ),
    "2col kv2": (
        "Name:,Kim Berg\nAge:,41\nRoom:,B-12\n",
        "Name: Kim Berg\nAge: 41\nRoom: B-12",
    ),
    "preamble same width": (
        "库存表,2026年3月,制表：王\n编号,品名,数量\nK-1,螺丝,40\nK-2,螺母,90\n",
        "库存表 | 2026年3月 | 制表：王\n编号: K-1; 品名: 螺丝; 数量: 40\n编号: K-2; 品名: 螺母; 数量: 90",
    ),
    "preamble single": (
        "Stock list\nPrinted 2026-03-01\nCode,Name,Qty\nK-1,bolt,40\nK-2,nut,90\n",
        "Stock list\n\nPrinted 2026-03-01\n\nCode: K-1; Name: bolt; Qty: 40\nCode: K-2; Name: nut; Qty: 90",
    ),
    "dotcn": (
        "编号。,是否含税？,数量\n1,是,40\n2,否,90\n",
        "编号。: 1; 是否含税？: 是; 数量: 40\n编号。: 2; 是否含税？: 否; 数量: 90",
    ),
    "pct cn": (
        "产品,满10件,满50件\n杯子,9折,8折\n盘子,95折,9折\n",
        "产品: 杯子; 满10件: 9折; 满50件: 8折\n产品: 盘子; 满10件: 95折; 满50件: 9折",
    ),
    "header pct same": (
        "Rope,5%,10%,20%\nManila,31%,27%,19%\nNylon,44%,40%,32%\n",
        "Rope: Manila; 5%: 31%; 10%: 27%; 20%: 19%\nRope: Nylon; 5%: 44%; 10%: 40%; 20%: 32%",
    ),
    "multi table with titles": (
        "Fees\nKind,EUR,Note\nChild,3,x\nAdult,5,y\n\nHours\nDay,Open,Close\nMon,08:00,18:00\nTue,09:00,18:00\n",
        "Fees\n"
        "\n"
        "Kind: Child; EUR: 3; Note: x\n"
        "Kind: Adult; EUR: 5; Note: y\n"
        "\n"
        "Hours\n"
        "\n"
        "Day: Mon; Open: 08:00; Close: 18:00\n"
        "Day: Tue; Open: 09:00; Close: 18:00",
    ),
    "form": (
        "Company,Acme,Phone,0555 22\nCity,Arlen,Fax,0555 23\n",
        "Company: Acme; Phone: 0555 22\nCity: Arlen; Fax: 0555 23",
    ),
    "hash header": (
        "#name,weight,port\nB-1,12,Arlen\nB-2,31,Brill\n",
        "name: B-1; weight: 12; port: Arlen\nname: B-2; weight: 31; port: Brill",
    ),
    "empty first name": (
        ",Mon,Tue\nKim,early,late\nBo,late,early\n",
        "Kim; Mon: early; Tue: late\nBo; Mon: late; Tue: early",
    ),
    "faq": (
        "Question,Answer\nWhat is tea?,A plant.\nHow hot?,80 degrees.\n",
        "Question: What is tea?; Answer: A plant.\nQuestion: How hot?; Answer: 80 degrees.",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_cells_are_named_by_the_row_that_differs_from_those_below_it(name: str) -> None:
    source, expected = TABLES[name]
    assert read("a.csv", source).text == expected


ROWS = [["No.", "Article", "Pets allowed?", "10%"], ["1", "Hinge 55 mm", "no", "2.40"], ["2", "Latch", "yes", "6.10"]]
NAMED = (
    "No.: 1; Article: Hinge 55 mm; Pets allowed?: no; 10%: 2.40\nNo.: 2; Article: Latch; Pets allowed?: yes; 10%: 6.10"
)


def test_every_format_decides_alike() -> None:
    book, document, deck = openpyxl.Workbook(), docx.Document(), pptx.Presentation()
    table = document.add_table(rows=3, cols=4)
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_table(3, 4, *map(Inches, (1, 1, 6, 2)))
    for number, row in enumerate(ROWS):
        book.active.append(row)
        for column, cell in enumerate(row):
            table.cell(number, column).text = frame.table.cell(number, column).text = cell
    html = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in ROWS)
    placed = [(40 + 160 * x, 700 - 20 * y, 10, cell) for y, row in enumerate(ROWS) for x, cell in enumerate(row)]
    placed.insert(0, (40, 760, 10, "The list of the shop, with all that it has in store on this very day of the year."))
    for name, data in (
        ("a.xlsx", saved(book)),
        ("a.docx", saved(document)),
        ("a.pptx", saved(deck)),
        ("a.html", f"<table>{html}</table>"),
        ("a.csv", "".join(",".join(row) + "\n" for row in ROWS)),
        ("a.pdf", placed_pdf_of(placed)),
    ):
        assert texts(name, data)[-1] == NAMED, name


def test_a_row_in_bold_type_is_a_header_whatever_it_says() -> None:
    rows = [["Kim", "Bo"], ["Attic", "Cellar"], ["Ruth", "Olaf"]]
    book, document = openpyxl.Workbook(), docx.Document()
    table = document.add_table(rows=3, cols=2)
    for number, row in enumerate(rows):
        book.active.append(row)
        for column, cell in enumerate(row):
            table.cell(number, column).paragraphs[0].add_run(cell).bold = number == 0
            book.active.cell(number + 1, column + 1).font = openpyxl.styles.Font(bold=number == 0)
    html = "<table><tr><td><b>Kim<td><strong>Bo</strong><tr><td>Attic<td>Cellar<tr><td>Ruth<td>Olaf</table>"
    css = "<table><tr style='font-weight:bold'><td>Kim<td>Bo<tr><td>Attic<td>Cellar<tr><td>Ruth<td>Olaf</table>"
    named = ["Kim: Attic; Bo: Cellar\nKim: Ruth; Bo: Olaf"]
    for name, data in (
        ("a.xlsx", saved(book)),
        ("a.docx", saved(document)),
        ("a.html", html),
        ("a.html", css),
    ):
        assert texts(name, data) == named, name


def test_rows_of_a_single_cell_are_titles_if_several_are() -> None:
    book = openpyxl.Workbook()
    for row in (["Item", "2023", "2024"], ["Assets"], ["Cash", 5, 6], ["Stock", 7, 8], ["Debts"], ["Loans", 1, 2]):
        book.active.append(row)
    assert texts("a.xlsx", saved(book)) == [
        "Assets\nItem: Cash; 2023: 5; 2024: 6\nItem: Stock; 2023: 7; 2024: 8\nDebts\nItem: Loans; 2023: 1; 2024: 2"
    ]


def test_a_table_of_a_pdf_keeps_its_empty_cells_empty_and_goes_on_over_the_page() -> None:
    def page(rows: list[list[str]]) -> list[tuple[float, float, float, str]]:
        return [
            (40 + 160 * x, 700 - 20 * y, 10, cell) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell
        ]

    first = [["Plate", "Model", "Note", "Mileage"], ["KX 41", "Van", "", "120400"], ["KX 57", "", "old", "88900"]]
    data = placed_pdf_of(page(first), page([["KX 60", "Van", "", "4100"], ["KX 61", "Van", "new", "5200"]]))
    assert texts("a.pdf", data) == [
        "Plate: KX 41; Model: Van; Mileage: 120400\nPlate: KX 57; Note: old; Mileage: 88900",
        "Plate: KX 60; Model: Van; Mileage: 4100\nPlate: KX 61; Model: Van; Note: new; Mileage: 5200",
    ]


def test_a_html_table_in_markdown_is_one_of_its_own_with_rows_whole() -> None:
    rows = "".join(f"<tr><td>T-{n}</td><td>oak</td><td>{n} m</td></tr>" for n in range(3))
    source = f"# Trees\n\n<table><tr><td>Tree</td><td>Kind</td><td>Height</td></tr>{rows}</table>\n"
    (block,) = read("a.md", source).blocks
    assert block.header == "| Tree | Kind | Height |"
    assert len(block.cuts) == 4


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("12", "number"),
        ("-1,234.50", "number"),
        ("0555", "code 9"),
        ("5%", "percent"),
        ("2026年8月4日", "date"),
        ("4 Aug 2026", "date"),
        ("08:00", "time"),
        ("9 EUR", "quantity"),
        ("12.5千克", "quantity"),
        ("KX 41", "code a 9"),
        ("Hinge", "words"),
        ("n/a", ""),
        ("无", ""),
    ],
)
def test_kinds_of_cells(cell: str, kind: str) -> None:
    assert kind_of(cell) == kind
