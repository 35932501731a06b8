"""Workbooks, CSV and JSON: every row and object makes sense alone, with values as displayed."""

import json
from itertools import pairwise

import openpyxl
import pytest
from document_samples import (
    JSON_SAMPLE,
    JSONL_SAMPLE,
    blocks,
    computed_workbook,
    read,
    saved,
    texts,
    unzipped,
    with_part,
    workbook_sample,
)

from indexes import IndexingError
from indexes.readers.office.number_formats import number_text, text_text
from indexes.readers.tables.merged_header import Merge, with_one_header
from indexes.readers.tables.table_text import row_lines


def test_workbook_rows_name_their_columns_under_sheet_and_title() -> None:
    document = read("a.xlsx", workbook_sample())
    assert [(block.sheet, block.headings, document.text[block.start : block.end]) for block in document.blocks] == [
        (
            "价目",
            ("价目", "Prices of 2024"),
            "茶: 龙井; 价格: 3; 日期: 2024-04-05\n茶: 普洱; 价格: 12.5; 日期: 2024-04-06 13:30",
        ),
        ("价目", ("价目",), "Shop: North; City: 杭州; Open: TRUE"),
    ]
    assert document.warning == "has hidden sheets, which were left out: Lists"


def test_workbook_formulas_are_read_by_their_last_values() -> None:
    assert texts("a.xlsx", computed_workbook()) == [
        "Item: Tea; Net: 10; Share: 12.5%\nItem: Cups; Net: 5.5; Share: 0.5\nItem: Total; Net: 15.5; Share: n/a"
    ]


def test_a_cell_merged_over_all_columns_is_a_title_between_the_rows() -> None:
    book = openpyxl.Workbook()
    for row in (["Tea", "°C", "Price"], ["Puer", 100, 9], ["Green"], ["Longjing", 80, 12], ["Biluochun"]):
        book.active.append(row)
    book.active.merge_cells("A3:C3")
    assert texts("a.xlsx", saved(book)) == [
        "Tea: Puer; °C: 100; Price: 9\nGreen\nTea: Longjing; °C: 80; Price: 12\nTea: Biluochun"
    ]


def test_formulas_that_were_never_computed_are_counted_with_what_to_do() -> None:
    book = openpyxl.Workbook()
    for row in (["Item", "Price", "Total"], ["Tea", 3, "=B2*2"], ["Milk", 4, "=B3*2"]):
        book.active.append(row)
    book.create_sheet("Lists").sheet_state = "hidden"
    document = read("a.xlsx", saved(book))
    assert document.warning == (
        "has hidden sheets, which were left out: Lists; has 2 formulas without a stored result; "
        "open it in Excel, WPS or LibreOffice and save it again"
    )
    assert read("a.xlsx", computed_workbook()).warning == ""


def test_a_cell_merged_over_rows_stands_in_each_of_them() -> None:
    book = openpyxl.Workbook()
    for row in (["类别", "名称", "°C"], ["绿茶", "龙井", 80], [None, "碧螺春", 75]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    assert texts("a.xlsx", saved(book)) == ["类别: 绿茶; 名称: 龙井; °C: 80\n类别: 绿茶; 名称: 碧螺春; °C: 75"]


def test_a_header_of_several_rows_becomes_one_by_its_merged_cells() -> None:
    book = openpyxl.Workbook()
    for row in (
        ["Frames of 2024"],
        ["SKU", "Frame", None, "Price"],
        ["", "Material", "Weight kg", "Retail EUR", "Dealer EUR"],
        ["AB-1001", "steel", 12.4, 499, 349],
        ["AB-1002", "carbon", 8, 1999, 1450],
        [],
        [None, "Region", 2023, None, 2024],
        [None, None, "Plan", "Actual", "Plan", "Actual"],
        [None, "North", 1, 2, 3, 4],
    ):
        book.active.append(row)
    for merged in ("A1:E1", "A2:A3", "B2:C2", "D2:E2", "C7:D7", "E7:F7"):
        book.active.merge_cells(merged)
    document = read("a.xlsx", saved(book))
    assert document.text.split("\n\n") == [
        "Sheet",
        "Frames of 2024",
        "SKU: AB-1001; Frame Material: steel; Frame Weight kg: 12.4; Price Retail EUR: 499; Price Dealer EUR: 349\n"
        "SKU: AB-1002; Frame Material: carbon; Frame Weight kg: 8; Price Retail EUR: 1999; Price Dealer EUR: 1450",
        "Region: North; 2023 Plan: 1; 2023 Actual: 2; 2024 Plan: 3; 2024 Actual: 4",
    ]


def test_merged_cells_tell_a_header_of_three_rows_from_data_that_are_merged() -> None:
    three = [["Tea", "Water", "", ""], ["", "°C", "", "l"], ["", "low", "high", ""], ["Puer", "95", "100", "1"]]
    merges = [Merge(0, 0, 2, 0), Merge(0, 1, 0, 3), Merge(1, 1, 1, 2), Merge(1, 3, 2, 3)]
    assert with_one_header([["Teas"], *three], [Merge(m[0] + 1, m[1], m[2] + 1, m[3]) for m in merges]) == (
        ["Teas"],
        [["Tea", "Water °C low", "Water °C high", "Water l"], three[3]],
    )
    names = [["Name", "", "Age"], ["Ann", "Lee", "30"], ["Bob", "Ray", "40"]]  # first and last name under one header
    form = [["Applicant", "", "Referee", ""], ["Name", "Ann", "Name", "Bob"], ["Age", "30", "Age", "40"]]
    for rows, above in (
        (names, [Merge(0, 0, 0, 1)]),
        (form, [Merge(0, 0, 0, 1), Merge(0, 2, 0, 3)]),
        (three, [Merge(0, 0, 2, 0)]),
        (three[:2], merges),
        (three, [*merges, Merge(2, 1, 9999, 1)]),
    ):
        assert with_one_header(rows, above) is None


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        ("0.30000000000000004", "", "0.3"),
        ("13800138000", "General", "13800138000"),
        ("110101199003071234", "0", "110101199003071234"),
        ("80.5", "#,##0.00", "80.50"),
        ("0.15", "0%", "15%"),
        ("45387", "yyyy/m/d", "2024-04-05"),
        ("45387.5625", 'yyyy"年"m"月"d"日" h:mm', "2024-04-05 13:30"),
        ("0.75", "h:mm", "18:00"),
        ("45387", "[Red]0;[Blue]0", "45387"),
        ("-1e9", "yyyy-mm-dd", "-1000000000"),
        ("nan", "yyyy-mm-dd", "nan"),
        ("1.5208333", "[h]:mm", "36:30"),
        ("1.5208333", "[Red][H]:mm:ss;@", "36:30:00"),
        ("0.0208449", "[mm]:ss", "30:01"),
        ("-0.5", "[h]:mm", "-12:00"),
        ("1", "#%", "100%"),
        ("1", "##.##%", "100%"),
        ("0.125", "##.##%", "12.5%"),
        ("45292", "aaaa", "2024-01-01"),
        ("nonsense", "0", "nonsense"),
        ("2139", "00000", "02139"),
        ("12.5", '0.0" kg"', "12.5 kg"),
        ("1", '[=1]"open";[=2]"closed";General', "open"),
        ("2", '[=1]"open";[=2]"closed";General', "closed"),
        ("3", '[=1]"open";[=2]"closed";General', "3"),
        ("7", '"AB-"000', "AB-007"),
        ("1234.5", "[$€-407] #,##0.00", "€ 1234.50"),
        ("1234.5", "#,##0.00 [$€-407]", "1234.50 €"),
        ("1234.5", "$#,##0.00", "$1234.50"),
        ("-5", "#,##0.00;[Red](#,##0.00)", "-5.00"),
        ("-5", "0;[Red]0", "-5"),
        ("0", '0;-0;"none"', "none"),
        ("0", '0;-0;"-"', "0"),
        ("5551234", "000-0000", "555-1234"),
        ("5551234567", "(000) 000-0000", "(555) 123-4567"),
        ("12345678", '0.0,,"M"', "12.3M"),
        ("12345", '0,"k"', "12k"),
        ("0.5", "# ?/?", "1/2"),
        ("1.75", "# ?/?", "1 3/4"),
        ("3", "General", "3"),
        ("3", 'General" pcs"', "3 pcs"),
        ("12", '0"元"', "12元"),
        ("12", "0.00_);(0.00)", "12.00"),
        ("1.5", "#,##0.00_ ;[Red]-#,##0.00 ", "1.50"),
        ("0.5", "#.##", "0.5"),
        ("12", '"¥"#,##0', "¥12"),
        ("-12", '"¥"#,##0', "-¥12"),
        ("1", '"是";"否";"未填"', "是"),
        ("0", '"是";"否";"未填"', "未填"),
        ("1.5", '_-* #,##0.00 "€"_-;-* #,##0.00 "€"_-', "1.50 €"),
        ("1500000", "0.00E+00", "1500000"),
        ("45", '0 "min"', "45 min"),
        ("3", '[>=10]"many";[<10]"few"', "few"),
        ("100", '0"级"', "100级"),
    ],
)
def test_numbers_are_shown_as_their_format_says(value: str, code: str, shown: str) -> None:
    assert number_text(value, code) == shown


def test_formats_that_excel_knows_by_a_number_only() -> None:
    book = openpyxl.Workbook()
    for row in (["Item", "Share", "Balance"], ["Flour", 0.25, -1234.5], ["Milk", 1.125, 8]):
        book.active.append(row)
    for cell, code in (("B2", "# ?/?"), ("B3", "# ??/??"), ("C2", "#,##0.00_);(#,##0.00)"), ("C3", "#,##0_);(#,##0)")):
        book.active[cell].number_format = code
    assert b"formatCode" not in unzipped(saved(book))["xl/styles.xml"]
    assert texts("a.xlsx", saved(book)) == [
        "Item: Flour; Share: 1/4; Balance: -1234.50\nItem: Milk; Share: 1 1/8; Balance: 8"
    ]


def test_a_format_may_add_to_a_text_or_hide_it() -> None:
    assert text_text("5", '@" kg"') == "5 kg"
    assert text_text("abc", "General") == "abc"
    assert text_text("abc", ";;;") == ""


def test_hidden_columns_are_left_out_and_merged_cells_keep_their_places() -> None:
    book = openpyxl.Workbook()
    for row in (["Item", "Cost", "Price", None], [None, None, "EUR", "USD"], ["Tea", 3, 9, 10], ["Cups", 4, 8, 9]):
        book.active.append(row)
    for merged in ("A1:A2", "B1:B2", "C1:D1"):
        book.active.merge_cells(merged)
    book.active.column_dimensions["B"].hidden = True
    document = read("a.xlsx", saved(book))
    assert document.text == ("Sheet\n\nItem: Tea; Price EUR: 9; Price USD: 10\nItem: Cups; Price EUR: 8; Price USD: 9")
    assert document.warning == "has 1 hidden column, which was left out"


def test_a_damaged_workbook_says_so() -> None:
    data = workbook_sample()
    for damaged in (data[:-200], with_part(data, "xl/worksheets/sheet1.xml", "</row>", "<row>")):
        with pytest.raises(IndexingError, match="is a damaged Excel workbook"):
            read("a.xlsx", damaged)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_csv_of_any_delimiter_and_encoding(delimiter: str, encoding: str) -> None:
    source = '名称,价格,说明\n龙井,12,"绿茶的一种，有\n两行"\n普洱,9,黑茶\n'.replace(",", delimiter)
    document = read("a.csv", source.encode(encoding))
    assert document.format == "csv"
    assert document.text == "名称: 龙井; 价格: 12; 说明: 绿茶的一种，有 两行\n名称: 普洱; 价格: 9; 说明: 黑茶"
    assert len(document.blocks[0].cuts) == 1


@pytest.mark.parametrize("clause", ["with; a comma", "with, two, commas", "with | bars"])
def test_the_delimiter_is_told_by_whole_records_however_long_their_cells_are(clause: str) -> None:
    note = "\n".join(f"line {number}, {clause}" for number in range(40))
    assert texts("a.csv", f'name;note\n1;"{note}"\n2;"b ""quoted"""\n3;c\n') == [
        f'name: 1; note: {" ".join(note.split())}\nname: 2; note: b "quoted"\nname: 3; note: c'
    ]


def test_a_line_that_states_the_delimiter_is_no_row() -> None:
    assert texts("a.csv", "sep=;\r\nname;price;note\r\ntea;1,50;a,b\r\n") == ["name: tea; price: 1,50; note: a,b"]


def test_commas_of_decimals_do_not_divide() -> None:
    rows = "".join(f"Tea {number};{number},50/{number},75\n" for number in range(20))
    assert texts("a.csv", "name;prices\n" + rows)[0].startswith("name: Tea 0; prices: 0,50/0,75\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_line_ends_divide_the_rows_of_csv(end: str) -> None:
    source = end.join(["id,name,note", "1,Ann,first\u2028second", "2,Bob,x\x0by\x85z", '3,Cyd,"a', 'b"', ""])
    assert texts("a.csv", source) == [
        "id: 1; name: Ann; note: first second\nid: 2; name: Bob; note: x y z\nid: 3; name: Cyd; note: a b"
    ]


def test_csv_without_a_header_keeps_every_row() -> None:
    assert texts("a.csv", "What is tea?,A plant.\nHow hot?,80 degrees.\n") == [
        "What is tea? | A plant.\nHow hot? | 80 degrees."
    ]
    assert texts("a.csv", "2024-01-01,5\n2024-01-02,6\n") == ["2024-01-01 | 5\n2024-01-02 | 6"]


def test_a_table_of_properties_has_no_header_and_years_may_be_one() -> None:
    assert row_lines([["Name", "Alice"], ["City", "Paris"]]) == ["Name: Alice", "City: Paris"]
    assert row_lines([["", "2022", "2023"], ["Tea", "5", "6"]]) == ["Tea; 2022: 5; 2023: 6"]
    assert row_lines([["Prices", "", ""], ["Tea", "°C", "€"], ["Puer", "100", "9"]]) == [
        "Prices",
        "Tea: Puer; °C: 100; €: 9",
    ]


def test_json_objects_are_blocks_under_the_keys_that_lead_to_them() -> None:
    assert blocks("a.json", JSON_SAMPLE) == [
        ((), "title: Teas"),
        (("origin",), "country: 中国"),
        (("teas",), "name: 龙井\nwater.celsius: 80\ntags: green, fresh"),
        (("teas",), "name: Puer\nold: true"),
        (("faq",), "How hot?\n80 degrees."),
    ]


def test_json_lines_with_a_broken_line_are_read_without_it() -> None:
    document = read("a.jsonl", JSONL_SAMPLE)
    assert texts("a.jsonl", JSONL_SAMPLE) == ["user: 龙井?\nassistant: 80 度。", "普洱?\n100 度。", "a: NaN"]
    assert document.warning == "has lines that are not valid JSON and were left out: 3"
    assert read("a.json", '{"a": 1}\n{"a": 2}\n').text == "a: 1\n\na: 2"
    with pytest.raises(IndexingError, match="none of its 2 lines is valid JSON"):
        read("a.jsonl", "{\n[\n")


def test_json_keeps_numbers_as_written_and_bears_strange_values() -> None:
    source = '[{"big": %s, "small": 1.10, "none": null, "half": "\\ud83d", "zero": "a\\u0000b"}]' % ("9" * 5000)
    assert texts("a.json", source) == ["big: " + "9" * 5000 + "\nsmall: 1.10\nhalf: \ufffd\nzero: ab"]


def test_instructions_and_lists_of_answers_are_questions_with_answers() -> None:
    data = [
        {"instruction": "Translate", "input": "tea", "output": "茶"},
        {"q": "Hot?", "a": ["Yes", "80"], "source": "x"},
    ]
    assert texts("a.json", json.dumps(data)) == ["Translate\ntea\n茶", "Hot?\nYes\n80\nsource: x"]


def test_json_keeps_all_values_of_a_key_that_comes_again() -> None:
    assert texts("a.json", '{"a": "first", "b": 1, "a": "second"}') == ["a: first, second\nb: 1"]
    assert texts("a.json", '[{"a": {"b": 1}, "a": {"b": 2}}]') == ["a.1.b: 1\na.2.b: 2"]


def test_conversations_keep_the_tools_that_are_called() -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "杭州"}'}}
    messages = [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "tool_calls": [call, {"name": "clock", "arguments": {"zone": "东八"}}]},
        {"role": "assistant", "content": "One moment.", "function_call": {"name": "wait"}},
    ]
    assert texts("a.json", json.dumps({"messages": messages})) == [
        'user: Rain?\nassistant: weather({"city": "杭州"})\nassistant: clock({"zone": "东八"})\n'
        "assistant: One moment.\nassistant: wait({})"
    ]


@pytest.mark.parametrize("depth", [200, 100_000])
def test_json_nested_beyond_reason_is_refused(depth: int) -> None:
    for source in ('{"a":' * depth + "1" + "}" * depth, "[" * depth + "]" * depth + "\n"):
        with pytest.raises(IndexingError, match=r"nested (more than 100 deep|too deeply)"):
            read("a.json", source)


def test_damaged_json_names_the_place() -> None:
    with pytest.raises(IndexingError, match=r"is damaged JSON \(.*line 2 column"):
        read("a.json", '{"a": 1,\n b}')


def test_each_record_of_a_table_or_list_begins_at_a_cut() -> None:
    rows = [("Tea", "Water", "Price"), ("Longjing", 80, 12), ("Puer", 100, 9)]
    book = openpyxl.Workbook()
    book.active.append(["Prices"])
    for row in rows:
        book.active.append(row)
    csv = "Tea,Water,Price\nLongjing,80,12\nDark teas,,\nPuer,100,9\n"
    assert records("a.xlsx", saved(book)) == ["Tea: Longjing; Water: 80; Price: 12", "Tea: Puer; Water: 100; Price: 9"]
    assert records("a.csv", csv) == [
        "Tea: Longjing; Water: 80; Price: 12",
        "Dark teas\nTea: Puer; Water: 100; Price: 9",
    ]
    assert records("a.csv", "Tea,Note\n" + "".join(f"Tea {number},x\n" for number in range(250)))[-1] == (
        "Tea: Tea 249; Note: x"
    )
    data = [{"tea": "Puer", "water": 100}, {"question": "Hot?", "answer": "Yes.\nVery."}]
    expected = ["tea: Puer\nwater: 100", "Hot?\nYes.\nVery."]
    assert records("a.json", json.dumps({"teas": data})) == expected
    assert records("a.jsonl", "\n".join(map(json.dumps, data))) == expected


def test_rows_of_questions_with_answers_are_records_in_a_sheet() -> None:
    faq = [("What is tea?", "A plant."), ("How hot?", "80 degrees.")]
    for header in ([], [("Question", "Answer")]):
        book = openpyxl.Workbook()
        for row in [*header, *faq]:
            book.active.append(row)
        assert records("a.xlsx", saved(book)) == [
            "Question: What is tea?; Answer: A plant." if header else "What is tea? | A plant.",
            "Question: How hot?; Answer: 80 degrees." if header else "How hot? | 80 degrees.",
        ]


def test_lists_of_properties_and_tables_amid_text_are_no_records() -> None:
    table = "<table><tr><th>Tea<th>Water<th>Price<tr><td>Puer<td>100<td>9</table>"
    for name, data in (("a.csv", "Place: Paris,\nCity,Paris\n"), ("a.json", '{"a": 1, "b": 2}'), ("a.html", table)):
        assert not any(block.records for block in read(name, data).blocks)


def records(name: str, data: bytes | str) -> list[str]:
    document = read(name, data)
    found = []
    for block in document.blocks:
        assert block.records
        for start, end in pairwise([block.start, *block.cuts, block.end]):
            found.append(document.text[start:end].removesuffix("\n"))
    return found
