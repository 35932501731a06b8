"""Awkward files: what each is named, how it is made, and what a user sees of it after an update."""

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import docx
import openpyxl
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

from indexes.readers.ocr import find_engine

GARBLED = "is garbled: its characters stand for none; save or convert it anew"
BROKEN_PDF = "is a damaged PDF; open it in a PDF program and save it anew"
TOO_DEEP = "is nested too deeply to be read"
UNFOLDS = "unfolds to more than 200 times its size, as no document does; save it anew"


class Awkward(NamedTuple):
    """One file. With a question it is read, and is the first that full-text search finds, at its place.

    Without question, refusal and warning it is passed over in silence.
    """

    name: str
    content: bytes | Callable[[Path], object]
    """Its bytes, or what makes it at a path."""
    question: str = ""
    place: str = ""
    refused: str = ""
    warning: str = ""


def make(file: Awkward, folder: Path) -> None:
    """Put the file into a documents folder."""
    path = folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(file.content, bytes):
        path.write_bytes(file.content)
    else:
        file.content(path)


def files() -> list[Awkward]:
    """All that this system can have: names with a line break are not for Windows."""
    rows = [*encodings(), *shapes(), *names(), *documents(), *pdfs(), *pictures(), *markup(), *not_documents()]
    if os.name == "posix":
        rows += [*names_of_posix(), *links_and_pipes()]
    return rows


def english(word: str) -> str:
    return f"The {word} is kept in the cellar, behind the third door."


def chinese(place: str) -> str:
    return f"{place}的茶叶放在地窖里面，有客人来的时候才拿出来喝。"


def text(name: str, words: str, question: str, encoding: str = "utf-8", place: str = "line 1") -> Awkward:
    return Awkward(name, words.encode(encoding), question, place)


def encodings() -> list[Awkward]:
    return [
        text("utf-8-bom.txt", chinese("池州"), "池州", "utf-8-sig"),
        text("utf-16-le-bom.txt", "\ufeff" + chinese("苏州"), "苏州", "utf-16-le"),
        text("utf-16-be-bom.txt", "\ufeff" + chinese("扬州"), "扬州", "utf-16-be"),
        text("utf-16-le.txt", english("teapot") + "\n" + chinese("徐州"), "teapot", "utf-16-le"),
        text("utf-16-be.txt", english("cauldron") + "\n" + chinese("常州"), "cauldron", "utf-16-be"),
        text("utf-16-le-no-ascii.txt", chinese("兰州") * 3, "兰州", "utf-16-le"),
        text("utf-32.txt", chinese("广州"), "广州", "utf-32"),
        text("gbk.txt", chinese("郑州"), "郑州", "gbk"),
        text("gb18030-four-bytes.txt", chinese("𠮷林㐂福州"), "福州", "gb18030"),
        text("big5.txt", "臺灣的茶葉放在地窖裡面，有客人來的時候才拿出來喝。", "臺灣", "big5"),
        text("shift-jis.txt", "お茶は京都の地下室にあります。お客さんが来る時だけ出します。", "京都", "shift-jis"),
        text(
            "cp1252.txt", "Le thé d’été est gardé à la cave, derrière la troisième porte.", "troisième porte", "cp1252"
        ),
        text("cp1251.txt", "Самовар стоит в подвале за третьей дверью, и чай в нём ещё горячий.", "Самовар", "cp1251"),
        text("euc-kr.txt", "녹차는 지하실에 보관하고 손님이 올 때만 꺼내어 마시는 것이 좋다.", "지하실에", "euc-kr"),
        Awkward("broken-utf-8.txt", chinese("惠州").encode() * 3 + b"\xe8\x8c", "惠州", "line 1"),
        Awkward("mojibake.txt", ("é".encode().decode("cp1252") * 50).encode(), refused=GARBLED),
    ]


def shapes() -> list[Awkward]:
    lines = b"one\r\ntwo\rthree\n\r\n\r\n" + english("samovar").encode() + b"\r"
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    return [
        Awkward("line-ends.txt", lines, "samovar", "line 1"),
        Awkward("nul.txt", english("gaiwan").encode() + b"\0", refused="holds binary data, not text"),
        Awkward("late-nul.log", b"a line of text\n" * 1000 + b"\0", refused="holds binary data, not text"),
        Awkward("white-space.txt", " \t\n\u3000\n".encode() * 100, warning="holds no text"),
        Awkward("empty.txt", b"", warning="holds no text"),
        Awkward("empty.pdf", b"", warning="holds no text"),
        Awkward("empty.docx", b"", warning="holds no text"),
        Awkward("one-character.txt", "鼎".encode(), "鼎", "line 1"),
        text("one-line.txt", english("tray") * 36_000 + english("brazier"), "brazier"),
        text("empty-lines.txt", "\n" * 100_000 + english("sieve"), "sieve", place="line 100001"),
        text("no-suffix", english("strainer"), "strainer"),
        text("minified.js", "function f(a){return a+1};" * 40_000 + "function g(){return 'porcelain'}", "porcelain"),
        text("源代码.py", f"def 泡茶(水温):\n    '''{chinese('柳州')}'''\n    return 水温\n", "柳州", place="泡茶"),
        Awkward("rtl.txt", "يُحفظ إبريق الشاي في القبو خلف الباب الثالث".encode(), "إبريق", "line 1"),
        Awkward("עברית.txt", "קומקום התה נשמר במרתף מאחורי הדלת השלישית".encode(), "קומקום", "line 1"),
        Awkward("control.txt", b"\x1b[31mred\x1b[0m " + english("thermometer").encode(), "thermometer", "line 1"),
        Awkward("semicolons-gbk.csv", "茶;产地;价格\n毛峰;黄山;12\n普洱;云南;9\n".encode("gbk"), "黄山", "line 1"),
        Awkward("ragged.csv", b"tea,place,price\nlapsang\nsencha,Uji,9,extra,more\n,,\n", "sencha Uji", "line 1"),
        Awkward("open-quote.csv", b'tea,price\n"matcha,9\nhojicha,7\n', "hojicha", "line 1"),
        Awkward(
            *("broken-line.jsonl", b'{"tea": "genmaicha"}\n{"tea": \n{"tea": "kukicha"}\n', "kukicha", "line 1"),
            warning="has lines that are not JSON and were left out: 2",
        ),
        Awkward("deep.json", deep.encode(), refused=TOO_DEEP),
        Awkward(
            "cut.json",
            b'{"tea": "gyokuro',
            refused="is damaged JSON (Unterminated string starting at: line 1 column 9 (char 8))",
        ),
    ]


def names() -> list[Awkward]:
    return [
        text("😀🍵.txt", english("whisk"), "whisk"),
        text("龙井 说明（最终版）.txt", chinese("湖州"), "湖州"),
        text("مرحبا.txt", english("saucer"), "saucer"),
        text("n" * 200 + ".txt", english("ladle"), "ladle"),
        text("茶" * 70 + ".txt", english("teaspoon"), "teaspoon"),
        text("100% %s %(x)d {y} %2e%2e.txt", english("caddy"), "caddy"),
        text("-rf.md", english("tongs"), "tongs"),
        text("it's a 'name' & $HOME; `id`.txt", english("needle"), "needle"),
        text("Cafe\u0301.txt", english("espresso"), "espresso"),
        text("x.pdf/y.docx/note.txt", english("folder"), "folder"),
        Awkward(".hidden.txt", b"Hidden."),
        Awkward("~$lock.docx", b"\x05Owner"),
        Awkward("sub/Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        Awkward("download.pdf.partial", b"%PDF-1.7"),
    ]


def names_of_posix() -> list[Awkward]:
    rows = [
        text("two\nlines.txt", english("ribbon"), "ribbon"),
        text('"quoted" <b>|?*:.txt', english("cushion"), "cushion"),
        text("back\\slash.txt", english("napkin"), "napkin"),
        text("dots...", english("coaster"), "coaster"),
        text(" spaces .txt ", english("tablecloth"), "tablecloth"),
        text("CON.txt", english("console"), "console"),
        text("nul", english("nothing"), "nothing"),
        Awkward("sparse.txt", lambda path: sparse(path, 4_000_000_000), refused="is larger than 200 MB; divide it"),
        Awkward("sparse-small.txt", lambda path: sparse(path, 190_000_000), refused="holds binary data, not text"),
    ]
    if sys.platform == "linux":  # macOS and Windows have no such names
        name = os.fsdecode(b"caf\xe9.txt")
        rows.append(Awkward(name, b"Tea.", refused="has a name that is not valid UTF-8; rename it"))
    return rows


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def links_and_pipes() -> list[Awkward]:
    circle = "is a link that leads in a circle; remove it"
    out = "is a link that leads out of the documents folder; copy the file instead"
    nowhere = "is a link to what is not there; remove it, or copy the file here"
    return [
        Awkward("out.txt", lambda path: path.symlink_to("/etc/hosts"), refused=out),
        Awkward("out-folder", lambda path: path.symlink_to("/etc"), refused=out),
        Awkward("loop.txt", lambda path: path.symlink_to("loop.txt"), refused=circle),
        Awkward("nowhere.txt", lambda path: path.symlink_to("gone.txt"), refused=nowhere),
        Awkward("above", lambda path: path.symlink_to(".")),
        Awkward("inside.txt", lambda path: path.symlink_to("utf-8-bom.txt")),
        Awkward("pipe.txt", lambda path: os.mkfifo(path), refused="is not a regular file"),
    ]


def documents() -> list[Awkward]:
    word, book = word_sample(), workbook_sample()
    laughs = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    laughing = with_part(word, "word/document.xml", "<w:document ", laughs + "]><w:document ")
    laughing = with_part(laughing, "word/document.xml", "After the table.", "&j;")
    rights = {
        "META-INF/encryption.xml": "<encryption><EncryptedData><EncryptionMethod Algorithm='aes256'/></EncryptedData></encryption>"
    }
    archive = zipped({"inner.zip": zipped({"inner.zip": zipped({"a.txt": "Tea."})})})
    evil = {"../../evil.txt": "Evil.", "/tmp/evil.txt": "Evil.", "word/../../evil.docx": "Evil."}
    return [
        Awkward("word.txt", one_paragraph("dongding"), "dongding", "line 1"),
        Awkward("evil.docx", zipped({**unzipped(one_paragraph("evildoer")), **evil}), "evildoer", "line 1"),
        Awkward("half.docx", word[: len(word) // 2], refused=damaged("Word document", "cut short or overwritten")),
        Awkward("zeros.docx", zipped({**unzipped(word), "word/document.xml": bytes(30_000_000)}), refused=UNFOLDS),
        Awkward("laughs.docx", laughing, refused=damaged("Word document", "broken XML in line 1")),
        Awkward(
            "encrypted.docx", ole2("EncryptedPackage"), refused="is protected by a password; save a copy without one"
        ),
        Awkward(
            "old.doc",
            ole2("WordDocument"),
            refused="is a Word document of before 2007 (.doc), which is not read; save it as docx",
        ),
        Awkward(
            "old.xls",
            ole2("Workbook"),
            refused="is an Excel workbook of before 2007 (.xls), which is not read; save it as xlsx",
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
            "普洱",
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
            refused="is protected by digital rights management; only its reading program can open it",
        ),
        Awkward("deep.zip", archive, refused="is an archive (ZIP); unpack it into the documents folder"),
        Awkward(
            "book.rtf", b"{\\rtf1 Tea.}", refused="is in Rich Text Format (RTF), which is not read; save it as docx"
        ),
    ]


def damaged(kind: str, why: str) -> str:
    return f"is a damaged {kind} ({why}); open it in its own program and save it anew, or get another copy"


def one_paragraph(word: str) -> bytes:
    document = docx.Document()
    document.add_paragraph(english(word))
    return saved(document)


def ole2(stream: str) -> bytes:
    """What tells a compound file's kind: its head, and the name of a stream in its directory."""
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
            "password.pdf", encrypted(plain, "secret"), refused="is protected by a password; save a copy without one"
        ),
        Awkward("no-password.pdf", encrypted(pdf_of(english("unlocked")), ""), "unlocked", "page 1"),
        Awkward("form-feeds.pdf", pdf_of(english("sextant") + "\f", "\f", "Last\fpage."), "sextant", "page 1"),
        Awkward("blank.pdf", pdf_of(" "), warning="holds no text"),
        Awkward(
            "grey.pdf", pdf_of(""), refused=no_text.format("?" if find_engine() else "; install tesseract to read it")
        ),
        Awkward("scan.pdf", scan, "lacquer", "page 1")
        if find_engine()
        else Awkward("scan.pdf", scan, refused=no_text.format("; install tesseract to read it")),
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
    """A PDF of many pages with a line each; page numbers, from 1, to the lines that are not like others."""
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
    unread = {"warning": "shows no text" if find_engine() else "is a picture; install tesseract to read it"}
    return [
        Awkward("picture.md", png, "bronze mirror", "line 1")
        if find_engine()
        else Awkward("picture.md", png, **unread),
        Awkward("dot.png", bytes_of(Image.new("L", (1, 1)), "PNG"), warning="shows no text"),
        Awkward("white.png", bytes_of(Image.new("L", (300, 300), 255), "PNG"), **unread),
        Awkward(
            "half.png",
            png[: len(png) // 2],
            refused="is a damaged picture; open it in a picture program and save it anew",
        ),
        Awkward("bomb.png", bomb(20_000), refused="is a picture of more than 100 megapixels; make it smaller"),
    ]


def bomb(side: int) -> bytes:
    """A black PNG of so many pixels a side, a bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    lines = zlib.compress(bytes((side // 8 + 1) * side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def markup() -> list[Awkward]:
    return [
        Awkward(
            "unclosed.html",
            f"<html><h1>Tea<p>One<li><b>{english('inkstone')}<table><tr><td>".encode(),
            "inkstone",
            "Tea",
        ),
        Awkward("deep.html", b"<div>" * 5000 + b"Tea.", refused=TOO_DEEP),
        Awkward(
            "scripts.html", b"<html><script>var kettle = 1;</script><style>p {}</style></html>", warning="holds no text"
        ),
        Awkward(
            "frames.html", b'<html><frameset cols="1,2"><frame src="a.html"></frameset></html>', warning="holds no text"
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
        text("only-text.eml", english("envelope"), "envelope"),
    ]


def not_documents() -> list[Awkward]:
    return [
        Awkward("drawing.svg", b"<svg><text>Tea</text></svg>"),
        Awkward("song.mp3", b"ID3\x04" + bytes(100)),
        Awkward(
            "song.txt",
            b"ID3\x04" + bytes(100),
            refused="is a recording (MP3), and recordings are not heard; put what is said in it into a text file",
        ),
        Awkward(
            "program",
            b"\x7fELF\x02\x01\x01" + bytes(100),
            refused="is a program or a part of one (ELF), not a document; take it out of the folder",
        ),
        Awkward(
            "program.exe",
            b"MZ\x90\0\3" + bytes(100),
            refused="is a program or a part of one (Windows), not a document; take it out of the folder",
        ),
        Awkward("noise.dat", bytes(range(256)) * 40, refused="holds binary data, not text"),
    ]
