"""Sample documents of every format, created with the usual libraries; also the seeds of tests/fuzz_readers.py."""

import io
import json
import zipfile
from datetime import date, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import xlsxwriter
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from index_samples import book_of, bytes_of
from outlook_samples import outlook_message
from PIL import Image
from pptx.util import Inches

from indexes.readers import Extracted, read_document

PRICES = Path(__file__).with_name("samples")
BULLETS = {"List Bullet": 0, "List Number": 0, "List Bullet 2": 1}


def blocks(name: str, data: bytes | str) -> list[tuple[tuple[str, ...], str]]:
    """Headings and text of each block of a file."""
    document = read(name, data)
    return [(block.headings, document.text[block.start : block.end]) for block in document.blocks]


def read(name: str, data: bytes | str) -> Extracted:
    return read_document(name, data.encode() if isinstance(data, str) else data)


def texts(name: str, data: bytes | str) -> list[str]:
    return [text for _, text in blocks(name, data)]


def saved(document: Any) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def zipped(parts: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_part(data: bytes, name: str, old: str, new: str) -> bytes:
    """The archive with one text replaced in one part."""
    parts = unzipped(data)
    text = parts[name].decode()
    assert old in text
    return zipped({**parts, name: text.replace(old, new)})


def word(*xml: str) -> bytes:
    """A Word document whose body is the given WordprocessingML."""
    document = docx.Document()
    for source in reversed(xml):
        tag, _, rest = source.partition(">")
        document.element.body.insert(0, parse_xml(f"{tag} {nsdecls('w')}>{rest}"))
    return saved(document)


def word_sample() -> bytes:
    document = docx.Document()
    document.add_heading("Tea handbook", 0)
    document.add_heading("绿茶", 1)
    document.add_paragraph("龙井用 80 度的水。")
    document.add_paragraph("Rinse the pot", style="List Bullet")
    document.add_paragraph("Add leaves", style="List Bullet")
    document.add_heading("Prices", 2)
    table = document.add_table(rows=3, cols=3)
    for row, cells in zip(
        table.rows, [("Tea", "°C", "Price"), ("Longjing", "80", "12"), ("Puer", "100", "9")], strict=True
    ):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("After the table.")
    document.sections[0].header.paragraphs[0].text = "Company header"
    document.sections[0].footer.paragraphs[0].text = "Page footer"
    return saved(document)


def deck_sample() -> bytes:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Green tea"
    frame = slide.placeholders[1].text_frame
    frame.text = "Water of 80 degrees"
    inner = frame.add_paragraph()
    inner.text, inner.level = "never boiling", 1
    slide.notes_slide.notes_text_frame.text = "Mention the kettle."
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "两栏"
    for text, left, top in (("lower", 1, 5), ("right", 5, 2.1), ("left", 1, 2)):
        slide.shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(1)).text_frame.text = text
    table = slide.shapes.add_table(2, 3, Inches(1), Inches(6), Inches(6), Inches(1)).table
    for column, (name, value) in enumerate([("茶", "龙井"), ("温度", "80"), ("价格", "12")]):
        table.cell(0, column).text, table.cell(1, column).text = name, value
    return saved(deck)


def workbook_sample() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "价目"
    sheet.append(["Prices of 2024"])
    sheet.merge_cells("A1:C1")
    sheet.append(["茶", "价格", "日期"])
    sheet.append(["龙井", 3.0000000004, date(2024, 4, 5)])
    sheet.append(["普洱", 12.5, datetime(2024, 4, 6, 13, 30)])
    sheet.append([])
    sheet.append(["Shop", "City", "Open"])
    sheet.append(["North", "杭州", True])
    book.create_sheet("Empty")
    secret = book.create_sheet("Lists")
    secret.append(["hidden"])
    secret.sheet_state = "hidden"
    return saved(book)


def computed_workbook() -> bytes:
    """A workbook with formulas and their cached values, as Excel saves it."""
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream)
    sheet = book.add_worksheet("Sums")
    for row, cells in enumerate([("Item", "Net", "Share"), ("Tea", 10, 0.125), ("Cups", 5.5, 0.5)]):
        sheet.write_row(row, 0, cells)
    sheet.write(1, 2, 0.125, book.add_format({"num_format": "0.0%"}))
    sheet.write_row(3, 0, ["Total"])
    sheet.write_formula(3, 1, "=B2+B3", None, 15.5)
    sheet.write_formula(3, 2, '="n/"&"a"', None, "n/a")
    book.close()
    return stream.getvalue()


CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>茶经</dc:title></metadata><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="two" href="text/tw%6F.xhtml" media-type="application/xhtml+xml"/>
<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
<item id="cover" href="cover.png" media-type="image/png"/></manifest>
<spine><itemref idref="nav"/><itemref idref="two"/><itemref idref="one"/><itemref idref="two"/></spine></package>"""
NAVIGATION = (
    '<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><a href="text/two.xhtml#top">Tools</a></nav></body></html>'
)


def book_sample(**parts: str | bytes) -> bytes:
    """An EPUB of two chapters; parts are replaced or added by name."""
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/nav.xhtml": NAVIGATION,
        "OPS/text/one.xhtml": "<html><title>x</title><h1>Origins</h1><p>茶者，南方之嘉木也。</p></html>",
        "OPS/text/two.xhtml": "<?xml version='1.0'?><html><body><p>A stove of bronze.</p></body></html>",
    }
    return zipped({**files, **parts})


def mail_sample() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["Date"] = "茶会 tea", "陆羽 <lu@b.example>", "Mon, 6 May 2024 10:00:00"
    message.set_content("The tea party is on Friday.\n\n龙井用八十度的水。")
    message.add_alternative("<p>The tea party in HTML.</p>", subtype="html")
    message.add_attachment(bytes(range(256)), maintype="application", subtype="pdf", filename="账单.pdf")
    return message.as_bytes()


def open_document_with(text: str) -> bytes:
    """An OpenDocument text whose body is the given XML."""
    namespaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "draw")
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {namespaces}><office:body><office:text>{text}</office:text>"
            "</office:body></office:document-content>",
        }
    )


def open_document_sample() -> bytes:
    return open_document_with("""<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>
    <text:h text:outline-level="1">绿茶</text:h><text:p>Use<text:s/>water of 80 <text:span>degrees</text:span>.</text:p>
    <text:list><text:list-item><text:p>one</text:p></text:list-item><text:list-item><text:p>two</text:p></text:list-item>
    </text:list><table:table><table:table-row><table:table-cell><text:p>Tea</text:p></table:table-cell><table:table-cell>
    <text:p>°C</text:p></table:table-cell><table:table-cell><text:p>Price</text:p></table:table-cell></table:table-row>
    <table:table-row><table:table-cell><text:p>Longjing</text:p></table:table-cell><table:table-cell>
    <text:p>80</text:p></table:table-cell><table:table-cell><text:p>12</text:p></table:table-cell></table:table-row>
    </table:table>""")


JSON_SAMPLE = json.dumps(
    {
        "title": "Teas",
        "origin": {"country": "中国"},
        "teas": [{"name": "龙井", "water": {"celsius": 80}, "tags": ["green", "fresh"]}, {"name": "Puer", "old": True}],
        "faq": [{"question": "How hot?", "answer": "80 degrees."}],
    },
    ensure_ascii=False,
)
JSONL_SAMPLE = (
    '{"messages": [{"role": "user", "content": "龙井?"}, {"role": "assistant", "content": "80 度。"}]}\n'
    '{"问题": "普洱?", "答案": "100 度。"}\n{"broken": \n\n{"a": NaN}\n'
)
CODE_SAMPLE = '''#!/usr/bin/env python
"""A shop."""

import os

LIMIT = 3


# Sells tea.
@cached
def sell(tea):
    """Take the money."""
    return tea


class Shop:
    """Where tea is sold."""

    def open(self):
        return True

    async def close(self):
        return False


print(sell("tea"))
'''
SAMPLES: dict[str, Any] = {
    "docx": word_sample,
    "pptx": deck_sample,
    "xlsx": workbook_sample,
    "epub": book_sample,
    "eml": mail_sample,
    "odt": open_document_sample,
    "pdf": lambda: book_of([["Green tea", "Water of 80 degrees."], ["普洱"], [""]], [("Tea", 0, None), ("茶", 1, 0)]),
    "picture": lambda: bytes_of(Image.linear_gradient("L").resize((80, 80)), "PNG", icc_profile=b"x" * 9),
    "scan": lambda: bytes_of(
        Image.new("RGB", (80, 80)), "TIFF", save_all=True, append_images=[Image.new("1", (70, 9))]
    ),
    "xls": (PRICES / "prices.xls").read_bytes,
    "ods": (PRICES / "prices.ods").read_bytes,
    "msg": lambda: outlook_message("春茶到货", "Ruth Berg", "龙井已到。\r\n\r\nThe price is 12 EUR."),
    "rss": lambda: (
        b"<rss><channel><title>Club</title><item><title>Regatta</title><pubDate>4 May</pubDate><category term='a'/>"
        b"<description>&lt;p&gt;At &lt;b&gt;8&lt;/b&gt;.</description></item></channel></rss>"
    ),
    "xml": lambda: b"<books a='1'><book id='b1'><title>Tea</title></book><book>x<i>y</i>z</book><n>2</n></books>",
    "csv": lambda: "name;price\n龙井;12\nPuer;9\n".encode(),
    "json": JSON_SAMPLE.encode,
    "jsonl": JSONL_SAMPLE.encode,
    "code": CODE_SAMPLE.encode,
    "markdown": lambda: (
        b"---\ntitle: T\n---\n# A\n\ntext\n\n- a\n- b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx\n```\n"
    ),
    "html": lambda: (
        b"<!doctype html><title>T</title><h1>A</h1><p>x<table><tr><th>a<th>b<tr><td rowspan=2>1<td>2</table><ul>"
        b"<li>a<ul><li>b</ul></ul><dl><dt>c<dd>d</dl><pre>e</pre>"
    ),
    "plain": lambda: "CHAPTER I.\nThe Kettle\n\nText.\n\n第一章 水\n\n1. a\n2. b\n\nQ: why?\n\nA: so.\n".encode(
        "gb18030"
    ),
}
"""Format to a function that creates a document."""
