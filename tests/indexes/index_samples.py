"""Helpers for the tests of this package: sample domains, consistency checks, pictures, and small PDFs."""

import io
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image, ImageDraw, ImageFont
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, RectangleObject, StreamObject

from domain import Domain, create_domain
from indexes import Index
from indexes.storage import read_built_with

TEA = {
    "en/green.md": """# Green tea

Green tea is not oxidised.

## Water

Use water of 80 degrees. Boiling water makes it bitter.
""",
    "en/black.md": """# Black tea

## Water

Pour boiling water, 95 degrees or hotter, over black tea.
""",
    "zh/longjing.md": """# 龙井

## 水温

冲泡龙井宜用八十度左右的水,水太烫茶汤会苦涩。

## 产地

龙井产于浙江杭州西湖一带。
""",
    "zh/puer.md": """# 普洱

## 储存

普洱茶饼要放在干燥通风、没有异味的地方,可以存放很多年。
""",
}


def make_domain(folder: Path, documents: dict[str, str], **settings: str) -> Domain:
    """A domain with these documents, modified some time ago, as usual for documents."""
    domain = create_domain(folder, **settings)
    for name, text in documents.items():
        put(domain, name, text)
    return domain


def put(domain: Domain, name: str, content: str | bytes, age: float = 60.0) -> Path:
    """Write one document that was last modified ``age`` seconds ago."""
    path = domain.documents / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    changed = time.time() - age
    os.utime(path, (changed, changed))
    return path


def check_tables(index: Index) -> None:
    """Check that documents, passages, full-text rows and vectors are consistent."""
    with index._storage.reading() as connection:

        def column(sql: str) -> list[Any]:
            return [row[0] for row in connection.execute(sql)]

        assert column("PRAGMA integrity_check") == ["ok"]
        connection.execute("PRAGMA query_only = OFF")
        passages = column("SELECT id FROM passages ORDER BY id")
        kept = column("SELECT id FROM passages WHERE same_as IS NULL ORDER BY id")
        assert column("SELECT passage_id FROM vectors ORDER BY passage_id") == passages
        assert len({*column("SELECT length(vector) FROM vectors")}) <= 1
        assert column("SELECT rowid FROM full_text ORDER BY rowid") == kept
        sayings = column("SELECT saying FROM passages WHERE same_as IS NULL")
        assert len({*sayings}) == len(sayings)
        assert {*column("SELECT same_as FROM passages WHERE same_as IS NOT NULL")} <= {*kept}
        assert {*column("SELECT document_id FROM passages")} <= {*column("SELECT id FROM documents")}
        words = sum(len(words.split()) for words in column("SELECT words FROM full_text"))
        built = read_built_with(connection)
        assert (built["rows"], built["words"]) == (len(kept), words)


def pdf_of(*pages: str) -> bytes:
    """A PDF with one text line per line; an empty page gets only a picture, like a scan."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(595, 842)
        lines = [f"<{line.encode('utf-16-be', 'surrogatepass').hex()}> Tj T*" for line in text.split("\n") if line]
        content = (
            "\n".join(["BT /F1 12 Tf 14 TL 50 780 Td", *lines, "ET"]) if lines else "q 500 0 0 700 50 50 cm /I1 Do Q"
        )
        page[NameObject("/Contents")] = writer._add_object(_stream(content.encode()))
        page[NameObject("/Resources")] = _dictionary(
            Font=_dictionary(F1=writer._add_object(_unicode_font())),
            XObject=_dictionary(I1=writer._add_object(_picture())),
        )
        if lines:
            del page["/Resources"]["/XObject"]
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def placed_pdf_of(
    *pages: list[tuple[float, float, float, str]], turned: int = 0, encoding: str = "Identity-H"
) -> bytes:
    """A PDF of placed texts, each with x, y, font size and text; letters are half as wide as high.

    The text is rotated left by ``turned`` quarter turns and the pages are rotated back, as in landscape pages. With the
    encodings ``"UniGB-UCS2-H"`` and ``"UniGB-UCS2-V"`` the font is one of Adobe's for Chinese; V draws downwards.
    """
    writer = PdfWriter()
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turned]
    for texts in pages:
        page = writer.add_blank_page(842, 842).rotate(90 * turned)
        shown = [
            f"{cos} {sin} {-sin} {cos} {421 + cos * x - sin * y} {421 + sin * x + cos * y} Tm"
            f" /F1 {size} Tf <{text.encode('utf-16-be').hex()}> Tj"
            for x, y, size, text in ((x - 421, y - 421, size, text) for x, y, size, text in texts)
        ]
        page[NameObject("/Contents")] = writer._add_object(_stream("\n".join(["BT", *shown, "ET"]).encode()))
        font = _unicode_font() if encoding == "Identity-H" else _chinese_font(encoding)
        page[NameObject("/Resources")] = _dictionary(Font=_dictionary(F1=writer._add_object(font)))
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def drawn_pdf_of(content: str, crop: tuple[float, float, float, float] | None = None) -> bytes:
    """A PDF with one page drawn by these operators; /F1 is an ASCII font, /I1 a picture."""
    writer = PdfWriter()
    page = writer.add_blank_page(595, 842)
    if crop:
        page.cropbox = RectangleObject(crop)
    font = _parsed("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>")
    page[NameObject("/Contents")] = writer._add_object(_stream(content.encode()))
    page[NameObject("/Resources")] = _dictionary(
        Font=_dictionary(F1=writer._add_object(font)), XObject=_dictionary(I1=writer._add_object(_picture()))
    )
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def tex_pdf_of(*words: str) -> bytes:
    """A PDF in the style of TeX: a wide glyph instead of a space, and the pen moved between words."""
    writer = PdfWriter()
    page = writer.add_blank_page(595, 842)
    shown = " -333 ".join(f"({word})" for word in words)
    page[NameObject("/Contents")] = writer._add_object(_stream(f"BT /F1 12 Tf 50 780 Td [{shown}] TJ ET".encode()))
    widths = " ".join(["1200", *["500"] * 95])
    font = f"/Type/Font/Subtype/Type1/BaseFont/CMR10/FirstChar 32/LastChar 127/Widths[{widths}]"
    encoding = "/Encoding<</Type/Encoding/Differences[32/Q]>>"
    page[NameObject("/Resources")] = _dictionary(Font=_dictionary(F1=_parsed(f"<<{font}{encoding}>>")))
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def picture_of(*lines: str, absent: Callable[[str], NoReturn], size: int = 40) -> Image.Image:
    """Black text on white, font size ``size`` pixels, in a font with Chinese characters."""
    try:
        command = ["fc-match", "-f", "%{family}|%{file}|%{index}", "Noto Sans CJK SC"]
        family, file, index = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("|")
    except FileNotFoundError:
        absent("fontconfig is not installed")
    if "CJK" not in family:
        absent("the font Noto Sans CJK is not installed")
    font = ImageFont.truetype(file, size, index=int(index))
    width = int(max(font.getlength(line) for line in lines)) + 4 * size
    image = Image.new("L", (width, 3 * size // 2 * (len(lines) + 2)), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((2 * size, 3 * size // 2 * (number + 1)), line, fill=0, font=font)
    return image


def bytes_of(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image; ``kind`` is a Pillow format name, also ``"PDF"``, a scan at 300 dpi."""
    stream = io.BytesIO()
    image.save(stream, kind, **({"resolution": 300.0, **options} if kind == "PDF" else options))
    return stream.getvalue()


def book_of(pages: list[list[str]], outline: list[tuple[str, int, int | None]] = []) -> bytes:  # noqa: B006
    """A PDF with bookmarks, each with its title, its page from 0, and the number of its parent bookmark."""
    writer = PdfWriter(io.BytesIO(pdf_of(*("\n".join(lines) for lines in pages))))
    items: list[object] = []
    for title, page, parent in outline:
        items.append(
            writer.add_outline_item(title=title, page_number=page, parent=None if parent is None else items[parent])
        )
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def _dictionary(**entries: object) -> DictionaryObject:
    return DictionaryObject({NameObject(f"/{key}"): value for key, value in entries.items()})


def _parsed(source: str) -> DictionaryObject:
    from pypdf.generic import read_object

    parsed = read_object(io.BytesIO(source.encode()), None)
    assert isinstance(parsed, DictionaryObject)
    return parsed


def _stream(data: bytes, **entries: object) -> StreamObject:
    stream = StreamObject()
    stream.set_data(data)
    stream.update(_dictionary(**entries))
    return stream


def _unicode_font() -> DictionaryObject:
    """A font whose character codes are UTF-16, as its ToUnicode map declares."""
    cmap = (
        "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange "
        "255 beginbfrange "
        + " ".join(f"<{high:02x}00> <{high:02x}FF> <{high:02x}00>" for high in range(255))
        + " endbfrange endcmap end"
    )
    font = _parsed(
        "<</Type/Font/Subtype/Type0/BaseFont/Test/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType2"
        "/BaseFont/Test/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/DW 500>>]>>"
    )
    font[NameObject("/ToUnicode")] = _stream(cmap.encode())
    return font


def _chinese_font(encoding: str) -> DictionaryObject:
    system = "<</Registry(Adobe)/Ordering(GB1)/Supplement 4>>"
    return _parsed(
        f"<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/{encoding}/DescendantFonts[<</Type/Font"
        f"/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo{system}/DW 1000>>]>>"
    )


def _picture() -> StreamObject:
    parsed = _parsed("<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8>>")
    picture = StreamObject()
    picture.update(parsed)
    picture.set_data(b"\x80")
    return picture
