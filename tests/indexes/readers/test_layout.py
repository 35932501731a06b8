"""PDF layout: titles, rows and short lines stay separate, the lines of a paragraph are joined."""

import pytest
from index_samples import placed_pdf_of

from indexes.readers import read_document

Placed = tuple[float, float, float, str]


def lines(*texts: str, left: float = 50, top: float = 780, size: float = 10) -> list[Placed]:
    """Lines below each other; an empty one is a gap."""
    return [(left, top - 1.4 * size * number, size, text) for number, text in enumerate(texts) if text]


def row(top: float, *cells: str, size: float = 10) -> list[Placed]:
    """Cells with their left edges 150 points apart."""
    return [(50 + 150 * number, top, size, cell) for number, cell in enumerate(cells)]


def read(*pages: list[Placed], turned: int = 0) -> list[str]:
    """The parts of the text, including titles."""
    return read_document("a.pdf", placed_pdf_of(*pages, turned=turned)).text.split("\n\n")


ENGLISH = ["Charge the battery only between five and forty degrees", "Celsius. It takes about four hours."]
CHINESE = [
    "电池首次使用前须连续充电八小时，长期不用时每四十五天补电一次，电量保持在百分之六十左右，冬季存放于室内干燥通",
    "风处，严禁用水枪冲洗。",
]
PROSE = [" ".join(ENGLISH), "".join(CHINESE)]


def test_a_title_is_no_part_of_the_text_under_it() -> None:
    page = [
        *lines("Electric bicycle", top=780, size=18),
        *lines("Charging", top=750, size=18),
        *lines(*ENGLISH, top=725),
        *lines("二、保养", top=690, size=14),
        *lines(*CHINESE, top=670),
    ]
    assert read(page) == ["Electric bicycle", "Charging", PROSE[0], "二、保养", PROSE[1]]


def test_a_short_line_of_the_same_letters_ends_its_paragraph() -> None:
    assert read(lines("Charging", *ENGLISH, "保养", *CHINESE)) == ["Charging", PROSE[0], "保养", PROSE[1]]


def test_a_wrapped_title_is_one() -> None:
    title = ["Charging the battery and", "looking after it in winter"]
    page = [*lines(*title, top=780, size=22), *lines(*ENGLISH, top=720)]
    assert read(page) == [" ".join(title), PROSE[0]]


def test_a_gap_ends_a_paragraph_that_fills_its_last_line() -> None:
    paragraph = [
        "Every line of this paragraph is of the same width here",
        "and the last one of them ends where all the others do",
    ]
    assert read(lines(*paragraph, "", *paragraph)) == [" ".join(paragraph)] * 2


@pytest.mark.parametrize("turned", [0, 1, 2, 3])
def test_each_row_of_a_table_is_a_line_with_its_cells_kept_apart(turned: int) -> None:
    page = [
        *lines(*ENGLISH, top=780),
        *row(740, "Code", "Meaning", "Remedy"),
        *row(725, "E07", "Sensor dirty", "Clean the magnet"),
        *row(710, "F03", "Torque sensor failure", "Visit a dealer"),
        *lines(*ENGLISH, top=690),
    ]
    table = (
        "Code: E07; Meaning: Sensor dirty; Remedy: Clean the magnet\n"
        "Code: F03; Meaning: Torque sensor failure; Remedy: Visit a dealer"
    )
    assert read(page, turned=turned) == [PROSE[0], table, PROSE[0]]


def test_rows_of_chinese_cells_are_lines_too() -> None:
    page = [
        *row(740, "故障码", "含义", "处理办法"),
        *row(725, "F03", "控制器过压", "检查充电器"),
        *lines(*CHINESE, top=700),
    ]
    assert read(page) == ["故障码: F03; 含义: 控制器过压; 处理办法: 检查充电器", PROSE[1]]


def test_cells_close_to_each_other_are_known_by_standing_under_each_other() -> None:
    page = [(50, 780, 10, "Seat clamp"), (115, 780, 10, "6 Nm"), (50, 765, 10, "Crank"), (115, 765, 10, "40 Nm")]
    assert read(page) == ["Seat clamp: 6 Nm\nCrank: 40 Nm"]
    assert read(page[:2]) == ["Seat clamp 6 Nm"]


def test_a_line_that_is_stretched_to_its_margins_is_no_row() -> None:
    page: list[Placed] = []
    for top, words in ((780, ["moderate", "temperatures", "and", "on"]), (766, ["nonflammable", "surfaces", "only"])):
        left = 50.0
        for word in words:
            page.append((left, top, 10, word))
            left += 5 * len(word) + (250 - 5 * sum(map(len, words))) / (len(words) - 1)
    assert read(page) == ["moderate temperatures and on nonflammable surfaces only"]


def test_the_number_of_a_title_is_no_cell() -> None:
    page = [(50, 780, 14, "1.2"), (110, 780, 14, "Storing the battery"), *lines(*ENGLISH, top=755)]
    assert read(page) == ["1.2 Storing the battery", PROSE[0]]


def test_items_are_lines_of_one_block() -> None:
    items = ["• Charge it to sixty percent before a longer pause and", "keep it dry.", "• Clean it.", "• 骑行"]
    assert read(lines("Do this:", *items)) == [f"Do this:\n{items[0]} {items[1]}\n• Clean it.\n• 骑行"]


def test_a_paragraph_goes_on_in_the_next_column() -> None:
    left = ["Charge the battery only between", "five and forty degrees Celsius,", "since it takes harm outside of"]
    right = ["that range, as all batteries of", "lithium do."]
    page = [*lines(*left), *lines(*right, left=300)]
    assert read(page) == [" ".join([*left, *right])]


def test_text_above_two_columns_does_not_make_their_lines_short() -> None:
    wide = ["This is an abstract that runs over the whole width of the page, over both its columns"] * 3
    left = ["Charge the battery only between", "five and forty degrees Celsius,", "since it takes harm outside of"]
    right = ["that range, as all batteries of", "lithium do."]
    page = [*lines(*wide, size=9), *lines(*left, top=720), *lines(*right, top=720, left=300)]
    assert read(page) == [" ".join(wide), " ".join([*left, *right])]


def test_in_text_written_from_right_to_left_the_left_edge_counts() -> None:
    paragraph = ["תה ירוק אוהב מים של שמונים מעלות ולא", "יותר, כי מים רותחים עושים אותו מר."]
    page = lines("שתייה", *paragraph)
    mirrored = [(400 - 5 * len(text), y, size, text[::-1]) for _, y, size, text in page]
    assert read(mirrored) == ["שתייה", " ".join(paragraph)]
