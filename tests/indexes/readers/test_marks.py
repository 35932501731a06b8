"""Markup with a meaning reaches the text: computed numbers, struck and hidden text, formulas, links, notes."""

import docx
import openpyxl
import pptx
import pytest
from document_samples import (
    blocks,
    open_document_with,
    read,
    saved,
    texts,
    unzipped,
    word,
    zipped,
)
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from lxml import etree
from openpyxl.comments import Comment
from openpyxl.styles import Font
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from indexes.readers.numerals import numeral
from indexes.readers.office.office_math import formula_text
from indexes.readers.office.symbols import symbol

HYPERLINK = RELATIONSHIP_TYPE.HYPERLINK
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def paragraph(inner: str) -> str:
    return f"<w:p>{inner}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def numbered_word(levels: list[tuple[str, str]], *items: tuple[int, str]) -> bytes:
    """A Word document with items at levels of one list; each level has a format and a text."""
    document = docx.Document()
    numbering = document.part.numbering_part.element
    made = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for level, (kind, text) in enumerate(levels)
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{made}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
    for level, text in items:
        properties = document.add_paragraph(text)._p.get_or_add_pPr()
        listed = f'<w:ilvl w:val="{level}"/><w:numId w:val="77"/>'
        properties.append(parse_xml(f"<w:numPr {nsdecls('w')}>{listed}</w:numPr>"))
    return saved(document)


def test_word_writes_the_numbers_of_a_list_and_of_its_levels() -> None:
    data = numbered_word(
        [("decimal", "%1."), ("lowerLetter", "(%2)"), ("decimal", "%1.%3")],
        *[(0, "Open."), (1, "Left."), (1, "Right."), (2, "Deep."), (0, "Close."), (1, "Again.")],
    )
    assert texts("a.docx", data) == ["1. Open.\n  (a) Left.\n  (b) Right.\n    1.1 Deep.\n2. Close.\n  (a) Again."]


def test_a_number_that_also_stands_in_the_text_is_written_once() -> None:
    data = numbered_word([("decimal", "%1.")], (0, "1. Open."), (0, "2. Close."))
    assert texts("a.docx", data) == ["1. Open.\n2. Close."]


def test_articles_that_word_numbers_are_passages_by_themselves() -> None:
    data = numbered_word([("chineseCounting", "第%1条")], *[(0, f"规定{n}。") for n in range(12)])
    document = read("a.docx", data)
    assert [document.text[b.start : b.end] for b in document.blocks][9:] == [
        "第十条 规定9。",
        "第十一条 规定10。",
        "第十二条 规定11。",
    ]
    assert all(block.records for block in document.blocks)


def test_numbered_headings_stand_with_their_numbers_in_the_path() -> None:
    document = docx.Document()
    numbering = document.part.numbering_part.element
    levels = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
        f'<w:pStyle w:val="Heading{level + 1}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for level, text in enumerate(["%1", "%1.%2"])
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
    for level in (1, 2):
        properties = document.styles[f"Heading {level}"].element.get_or_add_pPr()
        properties.append(parse_xml(f'<w:numPr {nsdecls("w")}><w:numId w:val="77"/></w:numPr>'))
    for title, level in (("Scope", 1), ("Keys", 1), ("Loss", 2)):
        document.add_heading(title, level)
        document.add_paragraph(f"About {title}.")
    assert [path for path, _ in blocks("a.docx", saved(document))] == [
        ("1 Scope",),
        ("2 Keys",),
        ("2 Keys", "2.1 Loss"),
    ]


def test_browsers_and_presentations_number_too() -> None:
    page = (
        "<ol><li>Open<li value=7>Wait<li>Close</ol><ol start=4 type=a><li>Late<li>Lost</ol>"
        "<ol reversed><li>Two<li>One</ol><ol style='list-style-type:upper-roman'><li>A<li>B</ol>"
    )
    assert texts("a.html", page) == [
        "1. Open\n7. Wait\n8. Close",
        "d. Late\ne. Lost",
        "2. Two\n1. One",
        "I. A\nII. B",
    ]
    deck = pptx.Presentation()
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(*map(Inches, (1, 1, 4, 4))).text_frame
    for text, kind, start in (("Open", "arabicPeriod", ""), ("Wait", "arabicPeriod", ""), ("Late", "ea1ChsPlain", "3")):
        properties = (frame.paragraphs[0] if text == "Open" else frame.add_paragraph())._p
        properties.add_r().text = text
        mark = etree.SubElement(properties.get_or_add_pPr(), f"{DRAWING}buAutoNum", type=kind)
        if start:
            mark.set("startAt", start)
    assert texts("a.pptx", saved(deck)) == ["1. Open\n2. Wait\n三 Late"]
    assert texts("a.md", "1. Open\n1. Wait\n1. Close\n") == ["1. Open\n2. Wait\n3. Close"]


ODT_STYLES = """<office:automatic-styles>
<style:style style:name="S" style:family="text">
<style:text-properties style:text-line-through-style="solid"/></style:style>
<style:style style:name="H" style:family="text"><style:text-properties text:display="none"/></style:style>
<style:style style:name="P" style:family="text"><style:text-properties style:text-position="super 58%"/></style:style>
<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/></text:list-style>
<text:list-style style:name="A"><text:list-level-style-number text:level="1" style:num-format="一, 二, 三, ..."
 style:num-prefix="第" style:num-suffix="条"/></text:list-style></office:automatic-styles>"""


def odt(body: str) -> bytes:
    data = open_document_with(body)
    source = unzipped(data)["content.xml"].decode()
    begin = source.index("<office:body")
    known = {
        "style": "urn:oasis:names:tc:opendocument:xmlns:style:1.0",
        "xlink": "http://www.w3.org/1999/xlink",
    }
    namespaces = "".join(f'xmlns:{name}="{uri}" ' for name, uri in known.items() if f"xmlns:{name}=" not in source)
    root = source.index("<office:document-content ") + len("<office:document-content ")
    whole = source[:root] + namespaces + source[root:begin] + ODT_STYLES + source[begin:]
    return zipped({**unzipped(data), "content.xml": whole})


def test_open_document_numbers_lists_and_leaves_out_what_is_struck_or_hidden() -> None:
    listed = "".join(f"<text:list-item><text:p>{text}</text:p></text:list-item>" for text in ("甲。", "乙。"))
    data = odt(
        '<text:p>The fee is <text:span text:style-name="S">40</text:span> 55 EUR'
        '<text:span text:style-name="H"> secret</text:span>; 10<text:span text:style-name="P">6</text:span> times.'
        '</text:p><text:list text:style-name="L"><text:list-item><text:p>Open</text:p><text:list><text:list-item>'
        "<text:p>x</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>Close</text:p>"
        f'</text:list-item></text:list><text:list text:style-name="A">{listed}</text:list>'
        '<text:p>Ask <text:a xlink:href="mailto:a@b.example">us</text:a>.</text:p>'
    )
    document = read("a.odt", data)
    assert texts("a.odt", data)[:3] == ["The fee is 55 EUR; 10^6 times.", "1. Open\n  a) x\n2. Close", "第一条 甲。"]
    assert "us (a@b.example)" in document.text
    assert document.warning == "has struck-out text in 1 place and hidden text in 1 place, which were left out"


def test_struck_out_text_is_left_out_and_told_in_every_format() -> None:
    deck, book = pptx.Presentation(), openpyxl.Workbook()
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(*map(Inches, (1, 1, 4, 4))).text_frame
    for text, struck in (("The fee is ", False), ("40", True), (" 55 EUR.", False)):
        piece = frame.paragraphs[0].add_run()
        piece.text = text
        if struck:
            piece._r.get_or_add_rPr().set("strike", "sngStrike")
    for row in (["Item", "Fee", "Note"], ["Boat", 40, "old"], ["Punt", 55, "new"]):
        book.active.append(row)
    book.active["B2"].font = Font(strike=True)
    for name, data, expected in (
        (
            "a.docx",
            word(paragraph(run("The fee is ") + run("40", "<w:strike/>") + run(" 55 EUR.", '<w:strike w:val="0"/>'))),
            "The fee is 55 EUR.",
        ),
        ("a.html", "<p>The fee is <del>40</del> 55 EUR.", "The fee is 55 EUR."),
        ("a.html", "<style>.o{text-decoration:line-through}</style><p>The fee is <i class=o>40</i> 55 EUR.", "The fee"),
        ("a.md", "The fee is ~~40~~ 55 EUR.", "The fee is 55 EUR."),
        ("a.pptx", saved(deck), "The fee is 55 EUR."),
        ("a.xlsx", saved(book), "Item: Boat; Note: old"),
    ):
        document = read(name, data)
        assert expected in document.text, name
        assert "40" not in document.text, name
        assert document.warning == "has struck-out text in 1 place, which was left out", name
    assert texts("a.md", "Use `~~x~~` to strike.\n\n```\n~~kept~~\n```\n")[0] == "Use `~~x~~` to strike."


def test_text_that_a_style_hides_is_left_out_and_told() -> None:
    document = docx.Document()
    ghost = document.styles.add_style("Ghost", docx.enum.style.WD_STYLE_TYPE.CHARACTER)
    ghost.font.hidden = True
    text = document.add_paragraph("A ticket costs 14 EUR.")
    text.add_run(" The purchase price is 9 EUR.", style="Ghost")
    found = read("a.docx", saved(document))
    assert found.text == "A ticket costs 14 EUR."
    assert found.warning == "has hidden text in 1 place, which was left out"
    page = "<style>.ghost{display:none}</style><p>14 EUR.<p class=ghost>9 EUR."
    assert texts("a.html", page) == ["14 EUR."]
    assert read("a.md", "14 EUR. <!-- 9 EUR --> Or so.\n").text == "14 EUR. Or so.\n"


def test_what_excel_and_powerpoint_hide_is_left_out() -> None:
    book, deck = openpyxl.Workbook(), pptx.Presentation()
    for row in (["Item", "Fee", "Cost"], ["Boat", 40, 9], ["Punt", 55, 8]):
        book.active.append(row)
    for cell in ("C2", "C3"):
        book.active[cell].number_format = ";;;"
    assert read("a.xlsx", saved(book)).text == "Sheet\n\nItem: Boat; Fee: 40\nItem: Punt; Fee: 55"
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    for text in ("Shown.", "Hidden."):
        shapes.add_textbox(*map(Inches, (1, 1, 4, 4))).text_frame.text = text
    shapes[1]._element.nvSpPr.cNvPr.set("hidden", "1")
    document = read("a.pptx", saved(deck))
    assert document.text == "Shown."
    assert document.warning == "has hidden text in 1 place, which was left out"


@pytest.mark.parametrize(
    "page",
    [
        "<div class=q>How?</div><div class=a style='display:none'>So.</div><script>$('.q').click(show)</script>",
        "<p class=q>How?</p><p class=a hidden>So.</p><p class=q>Where?</p><p class=a hidden>There.</p>",
        "<style>.a{display:none}.a.open{display:block}</style><div class=q>How?</div><div class=a>So.</div>",
    ],
)
def test_what_a_click_unfolds_is_read(page: str) -> None:
    assert "So." in texts("a.html", page)


def test_formulas_symbols_and_forms_of_word() -> None:
    fraction = (
        "<m:oMath><m:f><m:num><m:r><m:t>3</m:t></m:r></m:num><m:den><m:r><m:t>14</m:t></m:r></m:den></m:f></m:oMath>"
    )
    power = (
        "<m:oMath><m:sSup><m:e><m:r><m:t>10</m:t></m:r></m:e><m:sup><m:r><m:t>6</m:t></m:r></m:sup></m:sSup></m:oMath>"
    )
    root = (
        '<m:oMath><m:rad><m:radPr><m:degHide m:val="1"/></m:radPr><m:deg/><m:e><m:r><m:t>2h</m:t></m:r></m:e></m:rad>'
        "</m:oMath>"
    )
    form = (
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="{}"/></w:checkBox></w:ffData>'
        "</w:fldChar></w:r>"
    )
    chosen = (
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="red"/>'
        '<w:listEntry w:val="blue"/></w:ddList></w:ffData></w:fldChar></w:r>'
    )
    sign = '<w:r><w:sym w:font="Symbol" w:char="F0B1"/></w:r>'
    namespace = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    inner = "".join([fraction, run(" and "), power, run(" and "), root, run(" and "), sign, run("2")])
    data = word(f"<w:p {namespace}>{inner}</w:p>", paragraph(form.format(1) + run("paid")))
    assert texts("a.docx", data) == ["3/14 and 10^6 and √(2h) and ±2", "☑ paid"]
    data = word(paragraph(form.format(0) + run("paid")), paragraph(run("Colour: ") + chosen))
    assert texts("a.docx", data) == ["☐ paid", "Colour: blue"]
    assert texts(
        "a.html", "<p><math><msqrt><mi>x</mi></msqrt></math> of <math><mroot><mi>y</mi><mn>3</mn></mroot></math>"
    ) == ["√x of ∛y"]
    assert "10^6 cycles" in read("a.md", "10<sup>6</sup> cycles").text


def test_a_formula_on_a_slide() -> None:
    deck = pptx.Presentation()
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(*map(Inches, (1, 1, 4, 4))).text_frame
    frame.text = "A share of "
    formula = (
        '<a14:m xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"'
        ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:oMathPara><m:oMath><m:f>'
        "<m:num><m:r><m:t>3</m:t></m:r></m:num><m:den><m:r><m:t>14</m:t></m:r></m:den></m:f></m:oMath></m:oMathPara>"
        "</a14:m>"
    )
    frame.paragraphs[0]._p.append(etree.fromstring(formula))
    assert texts("a.pptx", saved(deck)) == ["A share of 3/14"]


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (
            "<nary><naryPr><chr val='∑'/></naryPr><sub><r><t>i=1</t></r></sub><sup><r><t>n</t></r></sup>"
            "<e><r><t>x</t></r></e></nary>",
            "∑_(i=1)^n x",
        ),
        ("<d><e><r><t>a</t></r></e><e><r><t>b</t></r></e></d>", "(a|b)"),
        ("<func><fName><r><t>sin</t></r></fName><e><r><t>2x</t></r></e></func>", "sin (2x)"),
        ("<m><mr><e><r><t>1</t></r></e><e><r><t>2</t></r></e></mr></m>", "[1, 2]"),
        ("<f><num><r><t>a+b</t></r></num><den><r><t>2</t></r></den></f>", "(a+b)/2"),
        ("<sSub><e><r><t>x</t></r></e><sub><r><t>i</t></r></sub></sSub>", "x_i"),
        ("<rad><deg><r><t>3</t></r></deg><e><r><t>y</t></r></e></rad>", "∛y"),
    ],
)
def test_formulas_stand_in_one_line(formula: str, text: str) -> None:
    assert formula_text(etree.fromstring(f"<oMath>{formula}</oMath>")) == text


def test_a_formula_of_open_document_and_a_link_of_word() -> None:
    math = "<math:math><math:mfrac><math:mn>3</math:mn><math:mn>14</math:mn></math:mfrac></math:math>"
    frame = (
        f'<draw:frame><draw:object xmlns:math="http://www.w3.org/1998/Math/MathML">{math}</draw:object></draw:frame>'
    )
    assert texts("a.odt", odt(f"<text:p>A share of {frame} of it.</text:p>")) == ["A share of 3/14 of it."]
    document = docx.Document()
    target = document.part.relate_to("mailto:bins@town.example", HYPERLINK, is_external=True)
    link = f'<w:hyperlink {nsdecls("w", "r")} r:id="{target}"><w:r><w:t>the office</w:t></w:r></w:hyperlink>'
    document.add_paragraph("Write to ")._p.append(parse_xml(link))
    assert texts("a.docx", saved(document)) == ["Write to the office (bins@town.example)"]


def test_navigation_of_a_wiki_is_left_out() -> None:
    languages = "".join(
        f'<li><a hreflang="{code}" href="/{code}">{code}</a>' for code in ("de", "fr", "it", "pl", "zh")
    )
    page = f'<ul>{languages}</ul><p>Tea is a drink.<div id="catlinks">Drinks</div><ul><li><a href="/a">Puer</a></ul>'
    assert texts("a.html", page) == ["Tea is a drink.", "- Puer"]


def test_a_paragraph_whose_end_was_deleted_goes_on_in_the_next() -> None:
    deleted = '<w:pPr><w:rPr><w:del w:id="1" w:author="a"/></w:rPr></w:pPr>'
    assert texts("a.docx", word(paragraph(deleted + run("One ")), paragraph(run("sentence.")))) == ["One sentence."]


def test_links_say_where_they_lead_if_their_text_does_not() -> None:
    page = (
        '<p>Write to <a href="mailto:bins@town.example">the bin office</a>; the form is '
        '<a href="https://town.example/bin.pdf">here</a>; see <a href="https://town.example/">the town</a>.</p>'
    )
    assert texts("a.html", page) == [
        "Write to the bin office (bins@town.example); the form is here (https://town.example/bin.pdf); see the town."
    ]


def test_charts_and_alternative_texts_are_read_and_bare_pictures_told() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    figures = CategoryChartData()
    figures.categories = ["2021", "2022"]
    figures.add_series("North", (5, 7))
    figures.add_series("South", (6, 8))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *map(Inches, (1, 1, 4, 3)), figures)
    assert texts("a.pptx", saved(deck)) == ["2021; North: 5; South: 6\n2022; North: 7; South: 8"]
    picture = (
        '<w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        '<wp:docPr id="1" name="Picture 1" descr="{}"/><pic:pic '
        'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"/></wp:inline></w:drawing></w:r>'
    )
    assert texts("a.docx", word(paragraph(picture.format("A red valve with two handles")))) == [
        "A red valve with two handles"
    ]
    document = read("a.docx", word(paragraph(run("Text.") + picture.format(""))))
    assert document.warning == "has 1 picture without text, which was left out"


def test_notes_links_and_hidden_rows_of_a_sheet() -> None:
    book = openpyxl.Workbook()
    for row in (
        ["Machine", "Oil", "Torque"],
        ["Press 4", "V46", "88 Nm"],
        ["Press 5", "V46", "90 Nm"],
        ["X", "Y", "9 Nm"],
    ):
        book.active.append(row)
    book.active["C2"].comment = Comment("Only with the long lever: 95 Nm.", "x")
    book.active["B3"].hyperlink = "mailto:oil@shop.example"
    book.active.row_dimensions[4].hidden = True
    document = read("a.xlsx", saved(book))
    assert document.text.split("\n\n")[1] == (
        "Machine: Press 4; Oil: V46; Torque: 88 Nm (Only with the long lever: 95 Nm.)\n"
        "Machine: Press 5; Oil: V46 (oil@shop.example); Torque: 90 Nm"
    )
    assert document.warning == "has 1 hidden row, which was left out"


def test_rows_that_a_filter_or_a_closed_group_hides_are_read() -> None:
    for group in (True, False):
        book = openpyxl.Workbook()
        for row in (["Item", "Fee", "Note"], ["Boat", 40, "x"], ["Punt", 55, "y"]):
            book.active.append(row)
        book.active.row_dimensions[2].hidden = True
        if group:
            book.active.row_dimensions[2].outlineLevel = 1
        else:
            book.active.auto_filter.ref = "A1:C3"
            book.active.auto_filter.add_filter_column(2, ["y"])
        assert "Boat" in read("a.xlsx", saved(book)).text


def test_the_front_matter_of_markdown_is_searched_and_pictures_as_letters_are_not() -> None:
    picture = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4"
    source = (
        f"---\ntitle: Rules\nowner: Team Blue\nlayout: page\n---\n\n![photo](data:image/png;base64,{picture}) stays.\n"
    )
    document = read("a.md", source)
    assert blocks("a.md", source) == [(("Rules",), "owner: Team Blue"), (("Rules",), "photo stays.")]
    assert document.warning == "has 1 picture encoded as text, which was left out"
    toml = "+++\ntitle = 'Rules'\nowner = 'Team Blue'\n+++\nText.\n"
    assert blocks("a.md", toml) == [(("Rules",), "owner = 'Team Blue'"), (("Rules",), "Text.")]
    letters = "".join(chr(ord("a") + n % 26) + "AB7" for n in range(150))
    assert letters not in read("a.txt", f"Before.\n\n{letters}\n\nAfter.").text
    assert "z" * 500 in read("a.txt", "z" * 500).text
    assert picture not in read("a.txt", f"A text with data:image/png;base64,{picture} in it.").text


@pytest.mark.parametrize(
    ("number", "kind", "written"),
    [
        (4, "a", "d"),
        (28, "A", "BB"),
        (14, "i", "xiv"),
        (105, "一", "一百零五"),
        (12, "一", "十二"),
        (1010, "一", "一千零一十"),
        (3, "甲", "丙"),
        (3, "①", "③"),
        (22, "1st", "22nd"),
        (0, "a", "0"),
        (12, "壹", "壹拾贰"),
    ],
)
def test_numerals(number: int, kind: str, written: str) -> None:
    assert numeral(number, kind) == written


def test_characters_of_the_symbol_fonts() -> None:
    assert [symbol(code, "Symbol") for code in (0xF0B1, 0xF0A3, 0xF0B3, 0xF0E5, 0xF061, 0xF0DE)] == list("±≤≥∑α⇒")
    assert symbol(0xF0FE, "Wingdings") == "☑"
