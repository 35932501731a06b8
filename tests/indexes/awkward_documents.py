"""Test data for awkward_files.py: office documents, PDFs, pictures, pages and mail."""

import io
import struct
import zlib
from pathlib import Path

import docx
import openpyxl
from awkward_files import TOO_DEEP, Awkward, chinese, english, text
from document_samples import (
    book_sample,
    deck_sample,
    mail_sample,
    saved,
    unzipped,
    with_part,
    word_sample,
    workbook_sample,
    zipped,
)
from index_samples import bytes_of, pdf_of
from PIL import Image, ImageDraw, ImageFont
from pypdf import PdfReader, PdfWriter

from indexes.readers.images.ocr import ADVICE, find_engine

BROKEN_PDF = "is a damaged PDF; open it in a PDF program and save it again"
UNFOLDS = "expands to more than 200 times its size, which no document does; save it again"


def files() -> list[Awkward]:
    return [*documents(), *pdfs(), *pictures(), *markup()]


def documents() -> list[Awkward]:
    word, book = word_sample(), workbook_sample()
    laughs = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    laughing = with_part(word, "word/document.xml", "<w:document ", laughs + "]><w:document ")
    laughing = with_part(laughing, "word/document.xml", "After the table.", "&j;")
    encrypted_data = "<EncryptedData><EncryptionMethod Algorithm='aes'/></EncryptedData>"
    rights = {"META-INF/encryption.xml": f"<encryption>{encrypted_data}</encryption>"}
    archive = zipped({"inner.zip": zipped({"inner.zip": zipped({"a.txt": "Tea."})})})
    evil = {"../../evil.txt": "Evil.", "/evil/evil.txt": "Evil.", "word/../../evil.docx": "Evil."}
    return [
        Awkward("word.txt", one_paragraph("dongding"), "dongding", "line 1"),
        Awkward("evil.docx", zipped({**unzipped(one_paragraph("evildoer")), **evil}), "evildoer", "line 1"),
        Awkward("half.docx", word[: len(word) // 2], refused=damaged("Word document", "truncated or overwritten")),
        Awkward("zeros.docx", zipped({**unzipped(word), "word/document.xml": bytes(30_000_000)}), refused=UNFOLDS),
        Awkward("laughs.docx", laughing, refused=damaged("Word document", "broken XML in line 1")),
        Awkward(
            "encrypted.docx", ole2("EncryptedPackage"), refused="is password-protected; save a copy without a password"
        ),
        Awkward(
            "page.xls",
            b"<table><tr><td>Tea<td>Price<td>Year<tr><td>darjeeling<td>9<td>2024</table>",
            "darjeeling",
            "line 1",
        ),
        Awkward(
            "prices.xlsx",
            book,
            "普洱 2024-04-06",
            "价目 › Prices of 2024",
            warning="has hidden sheets, which were left out: Lists",
        ),
        Awkward("million-rows.xlsx", million_rows, "assam", "Rows"),
        Awkward(
            "bomb.xlsx", zipped({**unzipped(book), "xl/worksheets/sheet9.xml": bytes(30_000_000)}), refused=UNFOLDS
        ),
        Awkward("notes.pptx", deck_sample(), "Mention the kettle", "Green tea, slide 1"),
        Awkward(
            "protected.epub",
            book_sample(**rights),
            refused="is protected by digital rights management (DRM); get a copy without DRM",
        ),
        Awkward("deep.zip", archive, refused="is an archive (ZIP); unpack it into the documents folder"),
    ]


def damaged(kind: str, why: str) -> str:
    return f"is a damaged {kind} ({why}); open it in its own program and save it again, or get another copy"


def one_paragraph(word: str) -> bytes:
    document = docx.Document()
    document.add_paragraph(english(word))
    return saved(document)


def ole2(stream: str) -> bytes:
    """The signature of a compound file, and the stream name in its directory that determines its kind."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(1024, b"\0") + stream.encode("utf-16-le").ljust(1024, b"\0")


def million_rows(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Rows"
    book.active.append(["assam", "strong"])
    rows = "".join(f'<row r="{number}"/>' for number in range(2, 1_000_002))
    path.write_bytes(with_part(saved(book), "xl/worksheets/sheet1.xml", "</sheetData>", rows + "</sheetData>"))


def pdfs() -> list[Awkward]:
    plain = pdf_of(english("locked"))
    half = pages(300, {})
    scan = bytes_of(drawn("The lacquer box is kept in the cellar"), "PDF")
    no_text = "has no readable text on its only page (a scan{})"
    return [
        Awkward(
            "5000-pages.pdf",
            lambda path: path.write_bytes(pages(5000, {4321: english("astrolabe")})),
            "astrolabe",
            "page 4321",
        ),
        Awkward("half.pdf", half[: len(half) // 2], refused=BROKEN_PDF),
        Awkward("no-pages.pdf", pages(0, {}), refused=BROKEN_PDF),
        Awkward(
            "password.pdf", encrypted(plain, "secret"), refused="is password-protected; save a copy without a password"
        ),
        Awkward("no-password.pdf", encrypted(pdf_of(english("unlocked")), ""), "unlocked", "page 1"),
        Awkward("form-feeds.pdf", pdf_of(english("sextant") + "\f", "\f", "Last\fpage."), "sextant", "page 1"),
        Awkward("blank.pdf", pdf_of(" "), warning="contains no text"),
        Awkward("grey.pdf", pdf_of(""), refused=no_text.format("?" if find_engine() else f"; {ADVICE}")),
        Awkward("scan.pdf", scan, "lacquer", "page 1")
        if find_engine()
        else Awkward("scan.pdf", scan, refused=no_text.format(f"; {ADVICE}")),
        Awkward("pdf.docx", pdf_of(english("compass")), "compass", "page 1"),
        text("text.pdf", english("parchment"), "parchment"),
        Awkward("only-a-head.pdf", b"%PDF-1.7\n%%EOF", refused=BROKEN_PDF),
    ]


def encrypted(data: bytes, password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def pages(count: int, special: dict[int, str]) -> bytes:
    """A PDF with one line per page; ``special`` maps page numbers, from 1, to other lines."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    for number in range(1, count + 1):
        line = special.get(number, f"Letter {'abcdefghij'[number % 10]} was sent to the tea house by the river.")
        drawing = f"BT /F 12 Tf 50 700 Td ({line}) Tj ET".encode()
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
            % (len(objects) + 2)
        )
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(drawing), drawing))
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects[1] = f"<</Type/Pages/Count {count}/Kids[{kids}]>>".encode()
    data, places = bytearray(b"%PDF-1.7\n"), []
    for number, source in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj%b endobj\n" % (number, source)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return bytes(
        data
    ) + b"xref\n0 %d\n0000000000 65535 f \n%btrailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        size,
        len(data),
    )


def drawn(line: str) -> Image.Image:
    font = ImageFont.load_default(48)
    image = Image.new("L", (int(font.getlength(line)) + 200, 300), 255)
    ImageDraw.Draw(image).text((100, 120), line, fill=0, font=font)
    return image


def pictures() -> list[Awkward]:
    png = bytes_of(drawn("The bronze mirror is kept in the cellar"), "PNG")
    unread = {"warning": "contains no readable text" if find_engine() else f"is a picture; {ADVICE}"}
    return [
        Awkward("picture.md", png, "bronze mirror", "line 1")
        if find_engine()
        else Awkward("picture.md", png, **unread),
        Awkward("dot.png", bytes_of(Image.new("L", (1, 1)), "PNG"), warning="contains no readable text"),
        Awkward("white.png", bytes_of(Image.new("L", (300, 300), 255), "PNG"), **unread),
        Awkward(
            "half.png",
            png[: len(png) // 2],
            refused="is a damaged picture; open it in an image editor and save it again",
        ),
        Awkward("bomb.png", bomb(20_000), refused="is a picture of more than 100 megapixels; scale it down"),
    ]


def bomb(side: int) -> bytes:
    """A black PNG of ``side`` by ``side`` pixels, one bit per pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    lines = zlib.compress(bytes((side // 8 + 1) * side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def markup() -> list[Awkward]:
    page = "Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html; charset=gb2312\n\n"
    page += f"<p>{chinese('台州')}</p>\n--x--\n"
    return [
        Awkward(
            "unclosed.html",
            f"<html><h1>Tea<p>One<li><b>{english('inkstone')}<table><tr><td>".encode(),
            "inkstone",
            "Tea",
        ),
        Awkward("deep.html", b"<div>" * 5000 + b"Tea.", refused=TOO_DEEP),
        Awkward(
            "scripts.html",
            b"<html><script>var kettle = 1;</script><style>p {}</style></html>",
            warning="contains no text",
        ),
        Awkward(
            "frames.html",
            b'<html><frameset cols="1,2"><frame src="a.html"></frameset></html>',
            warning="contains no text",
        ),
        Awkward("quotes.md", ("> " * 1000 + english("abacus")).encode(), "abacus", "line 1"),
        Awkward("brackets.md", b"[" * 50_000 + b"\n\n" + english("hourglass").encode(), "hourglass", "line 3"),
        Awkward(
            "utf-16.html", f"<html><meta charset=gbk><p>{chinese('温州')}</p></html>".encode("utf-16"), "温州", "line 1"
        ),
        Awkward(
            *("mail.eml", mail_sample(), "tea party Friday", "茶会 tea"),
            warning="has attachments, which were left out: 账单.pdf",
        ),
        text("mail-8-bit.eml", f"Subject: 茶\n\n{chinese('永州')}", "永州", "gbk", place="茶"),
        text("page.eml", page, "台州", "gb2312"),
        text("only-text.eml", english("envelope"), "envelope"),
    ]
