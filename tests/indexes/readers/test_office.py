"""Word, PowerPoint and OpenDocument: the visible content in its visible order."""

import docx
import pptx
import pytest
from document_samples import (
    blocks,
    deck_sample,
    open_document_sample,
    open_document_with,
    read,
    saved,
    texts,
    unzipped,
    with_part,
    word,
    word_sample,
    zipped,
)
from pptx.util import Inches

from indexes import IndexingError


def paragraph(inner: str) -> str:
    return f"<w:p>{inner}</w:p>"


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_word_document_in_order_with_headings_lists_and_named_cells() -> None:
    assert blocks("a.docx", word_sample()) == [
        (("Tea handbook", "绿茶"), "龙井用 80 度的水。"),
        (("Tea handbook", "绿茶"), "- Rinse the pot\n- Add leaves"),
        (("Tea handbook", "绿茶", "Prices"), "Tea: Longjing; °C: 80; Price: 12\nTea: Puer; °C: 100; Price: 9"),
        (("Tea handbook", "绿茶", "Prices"), "After the table."),
    ]
    document = read("a.docx", word_sample())
    assert document.format == "docx"
    assert "header" not in document.text
    assert "footer" not in document.text


def test_word_headings_by_chinese_style_names_and_outline_levels() -> None:
    data = with_part(word_sample(), "word/styles.xml", 'w:val="heading 1"', 'w:val="标题 1"')
    assert blocks("a.docx", data)[0][0] == ("Tea handbook", "绿茶")
    outlined = word(paragraph('<w:pPr><w:outlineLvl w:val="1"/></w:pPr>' + run("Part")), paragraph(run("Text.")))
    assert blocks("a.docx", outlined) == [(("Part",), "Text.")]


def test_word_insertions_are_read_and_deletions_are_not() -> None:
    data = word(
        paragraph(
            run("Water of ")
            + '<w:del w:id="1" w:author="a"><w:r><w:delText>70</w:delText></w:r></w:del>'
            + f'<w:ins w:id="2" w:author="a">{run("80")}</w:ins>'
            + run(" degrees.")
            + f'<w:moveFrom w:id="3">{run("moved")}</w:moveFrom>'
            + "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        )
    )
    assert texts("a.docx", data) == ["Water of 80 degrees."]


def test_word_merged_cells_stand_once_in_a_row_and_nested_tables_are_kept() -> None:
    document = docx.Document()
    table = document.add_table(rows=4, cols=3)
    for row, cells in zip(
        table.rows, [("Kind", "Tea", "°C"), ("Green", "A", "80"), ("", "B", "75"), ("All", "", "9")], strict=True
    ):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(3, 0).merge(table.cell(3, 1))
    inner = table.cell(1, 1).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "x", "y"
    assert texts("a.docx", saved(document)) == [
        "Kind: Green; Tea: A x | y; °C: 80\nKind: Green; Tea: B; °C: 75\nKind: All; °C: 9"
    ]


def test_a_header_of_two_rows_becomes_one_in_word_and_on_slides() -> None:
    document, deck = docx.Document(), pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    frame = slide.shapes.add_table(3, 3, Inches(1), Inches(1), Inches(6), Inches(2))
    for table in (document.add_table(rows=3, cols=3), frame.table):
        for row, texts_of_row in enumerate([("Tea", "Water", ""), ("", "°C", "ml"), ("Puer", "100", "150")]):
            for column, text in enumerate(texts_of_row):
                table.cell(row, column).text = text
        table.cell(0, 0).merge(table.cell(1, 0))
        table.cell(0, 1).merge(table.cell(0, 2))
    assert texts("a.docx", saved(document)) == ["Tea: Puer; Water °C: 100; Water ml: 150"]
    assert texts("a.pptx", saved(deck)) == ["Tea: Puer; Water °C: 100; Water ml: 150"]


def test_word_table_of_one_column_is_a_frame_around_its_contents() -> None:
    document = docx.Document()
    cell = document.add_table(rows=1, cols=1).cell(0, 0)
    cell.paragraphs[0].text = "First."
    cell.add_paragraph("Item", style="List Bullet")
    assert texts("a.docx", saved(document)) == ["First.", "- Item"]


def test_word_text_boxes_are_read_once_and_contents_pages_not_at_all() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    alternate = (
        f"<mc:AlternateContent {mc}><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    )
    contents = docx.Document()
    contents.styles.add_style("toc 1", 1)
    contents.add_paragraph("Chapter 1 ..... 7", style="toc 1")
    contents.add_paragraph("Body.")
    assert texts("a.docx", word(paragraph(run("Around it.") + f"<w:r>{alternate}</w:r>"))) == [
        "Around it.",
        "In the box.",
    ]
    assert texts("a.docx", saved(contents)) == ["Body."]


def test_word_alternatives_around_paragraphs_and_in_cells_are_read_once() -> None:
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    paragraphs = paragraph(run("Either way."))
    alternate = (
        f"<mc:AlternateContent {mc}><mc:Choice>{paragraphs}</mc:Choice><mc:Fallback>{paragraphs}</mc:Fallback>"
        "</mc:AlternateContent>"
    )
    row = f"<w:tr><w:tc>{alternate}</w:tc><w:tc>{paragraph(run('b'))}</w:tc></w:tr>"
    data = word(f"<w:sdt><w:sdtContent>{alternate}</w:sdtContent></w:sdt>", f"<w:tbl>{row}</w:tbl>")
    assert texts("a.docx", data) == ["Either way.", "Either way. | b"]


def test_word_rows_that_leave_columns_free_keep_their_cells_below_the_right_names() -> None:
    rows = ["".join(f"<w:tc>{paragraph(run(cell))}</w:tc>" for cell in cells) for cells in ("TGC", "g38", "45")]
    free = '<w:trPr><w:gridBefore w:val="1"/></w:trPr>'
    table = "".join(f"<w:tr>{before}{row}</w:tr>" for before, row in zip(["", "", free], rows, strict=True))
    assert texts("a.docx", word(f"<w:tbl>{table}</w:tbl>")) == ["T: g; G: 3; C: 8\nG: 4; C: 5"]


def test_powers_are_told_from_digits_in_word_and_on_slides() -> None:
    deck = pptx.Presentation()
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(0, 0, Inches(9), Inches(1)).text_frame
    line = docx.Document()
    for text, is_raised in [("10", 0), ("6", 1), (" of (m)", 0), ("-", 1), ("1", 1), (", the 1", 0), ("st", 1)]:
        run_of_slide = frame.paragraphs[0].add_run()
        run_of_slide.text = text
        run_of_slide.font._element.set("baseline", "30000" if is_raised else "0")
    word_line = line.add_paragraph()
    for text, is_raised in [("10", 0), ("6", 1), ("5", 1), (" of (m)", 0), ("-1", 1), (", the 1", 0), ("st", 1)]:
        word_line.add_run(text).font.superscript = bool(is_raised)
    for text, is_raised in [(", 25 m", 0), ("2", 1), (" of land", 0), ("3", 1)]:
        word_line.add_run(text).font.superscript = bool(is_raised)
    assert texts("a.docx", saved(line)) == ["10^65 of (m)^-1, the 1st, 25 m² of land[3]"]
    assert texts("a.pptx", saved(deck)) == ["10^6 of (m)-1, the 1st"]


def with_footnote(*body: str) -> bytes:
    """A Word document with the footnote ``Proof.``, which the body refers to."""
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    relationship = (
        '<Relationship Id="n1" Target="footnotes.xml"'
        ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    parts = unzipped(with_part(word(*body), "word/_rels/document.xml.rels", "</Relationships>", relationship))
    notes = f'<w:footnotes {w}><w:footnote w:id="2"><w:p><w:r><w:t>Proof.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    return zipped({**parts, "word/footnotes.xml": notes})


def test_word_footnotes_follow_their_paragraph_or_table() -> None:
    claim = paragraph(run("Claim.") + '<w:r><w:footnoteReference w:id="2"/></w:r>')
    table = f"<w:tbl><w:tr><w:tc>{claim}</w:tc><w:tc>{paragraph(run('b'))}</w:tc></w:tr></w:tbl>"
    after = paragraph(run("Next."))
    assert texts("a.docx", with_footnote(claim, after)) == ["Claim.", "Proof.", "Next."]
    assert texts("a.docx", with_footnote(table, after)) == ["Claim. | b", "Proof.", "Next."]


def test_slides_know_their_number_and_are_read_from_top_left_to_bottom_right() -> None:
    document = read("a.pptx", deck_sample())
    assert [(block.slide, block.headings, document.text[block.start : block.end]) for block in document.blocks] == [
        (1, ("Green tea",), "Water of 80 degrees\n  never boiling"),
        (1, ("Green tea",), "Mention the kettle."),
        (2, ("两栏",), "left"),
        (2, ("两栏",), "right"),
        (2, ("两栏",), "lower"),
        (2, ("两栏",), "茶: 龙井; 温度: 80; 价格: 12"),
    ]


def test_a_placeholder_stands_where_the_master_puts_it() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    assert b"a:off" not in unzipped(saved(deck))["ppt/slides/slide1.xml"].partition(b"<p:sp>")[2]
    slide.shapes.title.text, slide.placeholders[1].text = "Tea", "The body."
    slide.shapes.add_textbox(Inches(1), Inches(1.2), Inches(3), Inches(0.3)).text_frame.text = "Above the body."
    assert texts("a.pptx", saved(deck)) == ["Above the body.", "The body."]


def test_groups_on_slides_are_read_and_hidden_slides_are_named() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    for text, top in (("second", 3), ("first", 1)):
        group.shapes.add_textbox(Inches(1), Inches(top), Inches(1), Inches(1)).text_frame.text = text
    hidden = deck.slides.add_slide(deck.slide_layouts[5])
    hidden.shapes.title.text = "Backup"
    hidden._element.set("show", "0")
    document = read("a.pptx", saved(deck))
    assert texts("a.pptx", saved(deck)) == ["first", "second"]
    assert document.warning == "has hidden slides, which were left out: 2"


def test_slides_with_alternatives_keep_their_order_and_a_title_in_a_group_is_the_title() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Tea"
    for text, top in (("first", 2), ("formula", 4), ("second", 3)):
        slide.shapes.add_textbox(Inches(1), Inches(top), Inches(1), Inches(1)).text_frame.text = text
    formula = slide.shapes[2]._element
    alternate, choice = (
        formula.makeelement(f"{{http://schemas.openxmlformats.org/markup-compatibility/2006}}{name}")
        for name in ("AlternateContent", "Choice")
    )
    formula.addprevious(alternate)
    alternate.append(choice)
    choice.append(formula)
    slide.shapes.add_group_shape()._element.append(slide.shapes.title._element)
    assert blocks("a.pptx", saved(deck)) == [(("Tea",), "first"), (("Tea",), "second"), (("Tea",), "formula")]


def test_open_document_text() -> None:
    assert blocks("a.odt", open_document_sample()) == [
        (("绿茶",), "Use water of 80 degrees."),
        (("绿茶",), "- one\n- two"),
        (("绿茶",), "Tea: Longjing; °C: 80; Price: 12"),
    ]


def cell(text: str, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def row(*cells: str) -> str:
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


def test_open_document_tables_inside_of_cells_are_read_once() -> None:
    inner = f"<text:p>x</text:p><table:table>{row(cell('in1'), cell('in2'))}</table:table>"
    header = f"<table:table-header-rows>{row(cell('A'), cell('B'), cell('C'))}</table:table-header-rows>"
    outer = row(cell("1"), f"<table:table-cell>{inner}</table:table-cell>", cell("3"))
    data = open_document_with(f"<table:table>{header}{outer}</table:table>")
    assert texts("a.odt", data) == ["A: 1; B: x in1 | in2; C: 3"]


def test_open_document_cells_that_are_repeated_keep_the_others_in_their_columns() -> None:
    repeated = 'table:number-columns-repeated="{}"'
    rows = [
        row(cell("Tea"), cell("Grams"), cell("Celsius")),
        row(cell("green"), cell("80", repeated.format(2))),
        row(cell("", repeated.format(2)), cell("95"), cell("", repeated.format(16384))),
    ]
    data = open_document_with(f"<table:table>{''.join(rows)}</table:table>")
    assert texts("a.odt", data) == ["Tea: green; Grams: 80; Celsius: 80\nCelsius: 95"]


def test_open_document_headings_in_numbered_lists_and_readings_of_characters() -> None:
    data = open_document_with(
        '<text:list><text:list-item><text:h text:outline-level="1">Brewing</text:h></text:list-item></text:list>'
        "<text:p><text:ruby><text:ruby-base>漢字</text:ruby-base><text:ruby-text>かんじ</text:ruby-text></text:ruby>だ"
        "</text:p>"
    )
    assert blocks("a.odt", data) == [(("Brewing",), "漢字だ")]


@pytest.mark.parametrize(("name", "data"), [("a.docx", word_sample()), ("a.pptx", deck_sample())])
def test_damaged_office_files_say_so(name: str, data: bytes) -> None:
    main = {"a.docx": "word/document.xml", "a.pptx": "ppt/presentation.xml"}[name]
    for damaged in (
        data[: len(data) // 2],
        with_part(data, main, ">", "<"),
        zipped({"word/x": b"", "_rels/.rels": b""}),
    ):
        with pytest.raises(IndexingError, match=r"is a damaged (Word document|PowerPoint presentation)"):
            read(name, damaged)
