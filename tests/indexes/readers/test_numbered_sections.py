"""Numbered titles of plain text, of Word documents without styles, of PDFs without bookmarks; lists are not titles."""

import docx
import pytest
from document_samples import blocks, saved
from index_samples import book_of

RULES = "一、入库\n货物到库后点验。\n\n二、出库\n先进先出。\n"


def test_chinese_numbers_make_titles_of_short_lines() -> None:
    source = f"仓库规定\n\n{RULES}（一）单据\n双签。\n（二）提货\n当面清点。\n\n三、消防\n严禁吸烟。\n"
    assert blocks("a.txt", source) == [
        ((), "仓库规定"),
        (("一、入库",), "货物到库后点验。"),
        (("二、出库",), "先进先出。"),
        (("二、出库", "（一）单据"), "双签。"),
        (("二、出库", "（二）提货"), "当面清点。"),
        (("三、消防",), "严禁吸烟。"),
    ]


def test_they_stand_under_the_chapters_of_a_book_and_begin_anew_in_each() -> None:
    source = f"第一章 总则\n{RULES}第二章 分则\n先读总则。\n{RULES}"
    assert [headings for headings, _ in blocks("a.txt", source)] == [
        ("第一章 总则", "一、入库"),
        ("第一章 总则", "二、出库"),
        ("第二章 分则",),
        ("第二章 分则", "一、入库"),
        ("第二章 分则", "二、出库"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "一、货物到库后点验。\n二、先进先出，双签。\n三、严禁吸烟。\n",
        "出席：\n一、张三\n二、李四\n三、王五\n",
        "一、张三\n\n二、李四\n\n三、王五\n",
        "须知如下\n一、入库\n货物到库后点验。\n",
        "三、入库\n货物到库后点验。\n五、出库\n先进先出。\n",
        "一是入库\n货物到库后点验。\n二是出库\n先进先出。\n",
        "1. Boil water\n2. Pour it\n3. Wait\n",
        "1. Boil water\n\n2. Pour it\n\n3. Wait\n",
        "1. Boil the water.\n\nSlowly.\n\n2. Pour it over the leaves.\n\nCarefully.\n",
        "3. Storage\n\nKeep it dry.\n\n7. Water\n\nSoft water.\n",
        "2.1 Released 2024\n\nText.\n\n2.0 Released 2023\n\nText.\n",
        "1. Tea   80\n\nText.\n\n2. Puer   95\n\nText.\n",
    ],
)
def test_lists_are_not_taken_for_titles(source: str) -> None:
    assert {headings for headings, _ in blocks("a.txt", source)} == {()}


def test_a_table_of_contents_is_not_taken_for_titles() -> None:
    source = f"目录\n一、入库\n二、出库\n\n{RULES}"
    assert blocks("a.txt", source) == [
        ((), "目录\n一、入库\n二、出库"),
        (("一、入库",), "货物到库后点验。"),
        (("二、出库",), "先进先出。"),
    ]


def test_articles_with_their_text_begin_blocks_and_keep_their_numbers() -> None:
    source = (
        "第一章 总则\n第一条 为了规范入库，\n制定本规定。\n第二条 本规定自公布之日起施行。\n第二章 附则\n第三条 无。\n"
    )
    assert blocks("a.txt", source) == [
        (("第一章 总则",), "第一条 为了规范入库，\n制定本规定。"),
        (("第一章 总则",), "第二条 本规定自公布之日起施行。"),
        (("第二章 附则",), "第三条 无。"),
    ]


def test_articles_with_titles_are_titles() -> None:
    source = "第一条 适用范围\n全体员工。\n第二条 住宿标准\n每晚四百元。\n"
    assert blocks("a.txt", source) == [(("第一条 适用范围",), "全体员工。"), (("第二条 住宿标准",), "每晚四百元。")]


def test_numbers_alone_between_empty_lines_make_titles() -> None:
    source = (
        "1. Introduction\n\nTea is old.\n\n1.1 History\n\nVery old.\n\n1.2 Today\n\nSteps:\n\n1. Boil\n2. Pour\n\n"
        "2. 冲泡\n\n水要烫。\n\n4. Storage\n\nKeep it dry.\n"
    )
    assert blocks("a.txt", source) == [
        (("1. Introduction",), "Tea is old."),
        (("1. Introduction", "1.1 History"), "Very old."),
        (("1. Introduction", "1.2 Today"), "Steps:"),
        (("1. Introduction", "1.2 Today"), "1. Boil\n2. Pour"),
        (("2. 冲泡",), "水要烫。"),
        (("4. Storage",), "Keep it dry."),
    ]


def word(*paragraphs: str, heading: str = "") -> bytes:
    document = docx.Document()
    if heading:
        document.add_heading(heading, 1)
    for text in paragraphs:
        document.add_paragraph(text)
    return saved(document)


def test_word_documents_without_styles_have_numbered_titles() -> None:
    paragraphs = ("管理办法", "第一条 适用范围", "全体员工。", "第二条 住宿标准", "每晚四百元。")
    assert blocks("a.docx", word(*paragraphs)) == [
        ((), "管理办法"),
        (("第一条 适用范围",), "全体员工。"),
        (("第二条 住宿标准",), "每晚四百元。"),
    ]
    assert {headings for headings, _ in blocks("a.docx", word(*paragraphs, heading="总则"))} == {("总则",)}


def test_pdfs_without_bookmarks_have_numbered_titles() -> None:
    pages = [["说明书", "一、保养", "电池首次使用前须连续充电八小时。"], ["二、保修", "车架保修五年，电机保修三年。"]]
    assert blocks("a.pdf", book_of(pages)) == [
        ((), "说明书"),
        (("一、保养",), "电池首次使用前须连续充电八小时。"),
        (("二、保修",), "车架保修五年，电机保修三年。"),
    ]
    assert {headings for headings, _ in blocks("a.pdf", book_of(pages, [("说明书", 0, None)]))} == {("说明书",)}
