"""Read the text layer of PDF pages with pypdfium2; pages without one are read by OCR if an engine is installed.

Text keeps the order in which the file draws it, except where ``columns.py`` corrects it. Text typed into form fields
and onto the page, and text in pictures, follows the text of the page. Contents pages and text outside the visible page
are left out; so are invisible text, notes and attachments, which a warning reports.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from itertools import islice

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, PageProgress, TextBuilder, no_progress
from indexes.readers.images.ocr import ADVICE, Engine, find_engine
from indexes.readers.images.pictures import PicturesInside
from indexes.readers.images.tesseract import MAX_PIXELS
from indexes.readers.lines import After, paragraphs, words_in
from indexes.readers.numbered_sections import under_titles
from indexes.readers.omissions import left_out
from indexes.readers.pdf.contents_pages import is_contents, is_garbled, without_contents
from indexes.readers.pdf.font_headings import titles_by_size
from indexes.readers.pdf.forms import filled_in
from indexes.readers.pdf.layout import PageText, page_text
from indexes.readers.pdf.ligatures import ligatures_in, restored, without_controls
from indexes.readers.pdf.outline import Start, title_starts, titles_by_page
from indexes.readers.pdf.running_lines import running_lines
from indexes.readers.pdf.table_rows import with_named_cells
from indexes.readers.pdf.visible import Visible
from indexes.readers.tables.table_text import Header

MAX_PAGES = 10_000
MAX_CHARACTERS = 50_000_000

_NOT_TEXT = re.compile("[\ufffd\ue000-\ue008\ue00e-\uf8ff\x00-\x08\x0e-\x1f]|\\(cid:\\d+\\)")
"""Characters without a meaning; U+E009 to U+E00D are line breaks, moved there by ``without_controls``."""
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_SMALL_SHARE = 0.005
"""Largest share of the page that a picture covers if it is a mark or a rule."""
_MANY_OBJECTS = 100
"""A page without text but with this many objects shows outlined letters or a drawing; fewer are a frame or a rule."""


def read_pdf(data: bytes, progress: PageProgress = no_progress) -> Extracted:
    """Blocks are paragraphs with their page, under the path of the last bookmark or under numbered titles.

    Lines broken by the layout are joined; headers, footers and page numbers are left out.
    """
    pdf = _opened(data)
    try:
        return _read(pdf, progress)
    finally:
        pdf.close()


def _opened(data: bytes) -> pdfium.PdfDocument:
    try:
        pdf = pdfium.PdfDocument(data)
        pdf.init_forms()
        return pdf
    except pdfium.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise IndexingError("is password-protected; save a copy without a password") from None
        if error.err_code == raw.FPDF_ERR_SECURITY:
            why = "has an unsupported encryption; save a copy without a password"
            raise IndexingError(why) from None
        raise IndexingError("is a damaged PDF; open it in a PDF program and save it again") from None


def _read(pdf: pdfium.PdfDocument, progress: PageProgress) -> Extracted:
    if len(pdf) > MAX_PAGES:
        raise IndexingError(f"has more than {MAX_PAGES:,} pages; split it")
    titles = titles_by_page(pdf)
    pages: list[PageText] = []
    starts: list[list[Start]] = []
    damaged: list[int] = []
    characters = 0
    for index in range(len(pdf)):
        progress(index + 1, len(pdf))
        try:
            page, begun = _lines(pdf, index, titles.get(index, []))
        except pdfium.PdfiumError:
            damaged.append(index + 1)
            page, begun = PageText([], [], [], [], []), [(0, path, False) for path, _ in titles.get(index, [])]
        characters += sum(map(len, page.lines))
        if characters > MAX_CHARACTERS:
            raise IndexingError(f"contains more than {MAX_CHARACTERS:,} characters; split it")
        pages.append(page)
        starts.append(begun)
    return _Pages(pdf, progress, damaged).extracted(pages, starts)


def _lines(
    pdf: pdfium.PdfDocument, index: int, titles: list[tuple[tuple[str, ...], float | None]]
) -> tuple[PageText, list[Start]]:
    """The lines of a page, and the lines at which its bookmarks start."""
    page = pdf[index]
    try:
        textpage = page.get_textpage()
        # U+FFFE is a hyphen at the end of a line together with the line break
        text = without_controls(textpage.get_text_range(errors="replace"))
        text = text.replace("\ufffe", "-\n").replace("\0", "")
        filled, notes = filled_in(pdf, page)
        visible = Visible(page, textpage)
        found = page_text(textpage, text, visible.word)
        begun = title_starts(textpage, text, titles) if titles else []
        begun = [(found.drawn[at] if at < len(found.drawn) else at, path, is_title) for at, path, is_title in begun]
        lines = [_without_ligatures(line) for line in found.lines]
        found = replace(found, lines=lines, hidden=visible.hidden, filled=filled, notes=notes)
        return found, sorted(begun, key=lambda start: start[0])
    finally:
        page.close()


class _Pages:
    """The second pass: turns the lines of all pages into blocks, with OCR for pages without text."""

    def __init__(self, pdf: pdfium.PdfDocument, progress: PageProgress, damaged: list[int]) -> None:
        self.pdf = pdf
        self.progress = progress
        self.damaged = damaged
        self.scanned: list[int] = []
        self.engine: Engine | None = None
        self.builder = TextBuilder()
        self.path: tuple[str, ...] = ()
        self.pictures = PicturesInside(lambda *_: progress(len(pdf), len(pdf)))
        self.left_out: Counter[str] = Counter(attachments=max(0, pdf.count_attachments()))

    def extracted(self, pages: list[PageText], starts: list[list[Start]]) -> Extracted:
        has_bookmarks = any(starts)
        pages = _with_ligatures(pages)
        without = [
            [line if number not in running else "" for number, line in enumerate(page.lines)]
            for page, running in zip(pages, running_lines([page.lines for page in pages]), strict=True)
        ]
        if not has_bookmarks:
            starts = titles_by_size([replace(page, lines=lines) for page, lines in zip(pages, without, strict=True)])
        known = words_in([line for lines in without for line in lines])
        table: Header | None = None
        for index, (page, kept, begun) in enumerate(zip(pages, without, starts, strict=True)):
            after = page.after
            kept, table = with_named_cells(without_contents(kept), page.cells, table)
            text = "".join(kept)
            self.left_out.update(hidden=bool(page.hidden), comments=page.notes)
            if index + 1 in self.damaged:
                kept, after = [], []
            elif _is_noise(text) or is_garbled(text) or (not text and self.shows_something(index)):
                kept = self.seen_by_ocr(index)
                after = [After.PARAGRAPH] * len(kept)
                begun = [(0, path, False) for _, path, _ in begun]
            elif not text and not any(map(is_contents, page.lines)):
                kept = page.lines
            self.add_page(index + 1, kept, after, begun, known)
            self.builder.add_block(page.filled, self.path, page=index + 1)
            for paragraph in self.in_pictures(index) if text and index + 1 not in self.damaged else ():
                self.builder.add_block([paragraph], self.path, page=index + 1)
        warning = self.warning()
        if not self.builder.blocks and warning:
            raise IndexingError(warning)
        document = self.builder.extracted(warning, needs_ocr=bool(self.scanned) and not self.engine)
        return document if has_bookmarks else under_titles(document)

    def add_page(
        self, number: int, lines: list[str], after: list[After], starts: list[Start], known: Collection[str]
    ) -> None:
        """Append the blocks of a page, split where bookmarks start; a line that is a title itself is not a block."""
        done = 0
        for line, path, is_title in [*starts, (len(lines), (), False)]:
            until = max(done, line)
            for paragraph in paragraphs(lines[done:until], after[done:until], known):
                self.builder.add_block(paragraph, self.path, page=number)
            done = until
            if path:
                self.path = path
            if is_title:
                if lines[done]:
                    self.builder.add(lines[done])
                done += 1

    def shows_something(self, index: int) -> bool:
        page = self.pdf[index]
        try:
            objects = list(islice(page.get_objects(max_depth=3), _MANY_OBJECTS))
            return len(objects) == _MANY_OBJECTS or any(shown.type == raw.FPDF_PAGEOBJ_IMAGE for shown in objects)
        finally:
            page.close()

    def in_pictures(self, index: int) -> list[str]:
        """The text in the pictures of a page that has text; a picture that fills the page is a scan and is skipped."""
        page = self.pdf[index]
        found: list[str] = []
        try:
            whole = page.get_width() * page.get_height()
            for picture in islice(page.get_objects([raw.FPDF_PAGEOBJ_IMAGE], max_depth=3), _MANY_OBJECTS):
                left, bottom, right, top = picture.get_bounds()
                if _SMALL_SHARE * whole < (right - left) * (top - bottom) < whole / 2:
                    found += self.pictures.seen(picture.get_bitmap(render=True).to_pil())
        except pdfium.PdfiumError:  # a picture that pdfium cannot draw
            self.left_out["pictures"] += 1
        finally:
            page.close()
        return found

    def seen_by_ocr(self, index: int) -> list[str]:
        """Paragraphs that OCR reads on a page without a text layer; empty if it finds none."""
        if not self.scanned and not self.engine:
            self.engine = find_engine()
        if self.engine:
            self.progress(index + 1, len(self.pdf))
            page = self.pdf[index]
            try:
                scale = min(300 / 72, (MAX_PIXELS / max(1, page.get_width() * page.get_height())) ** 0.5)
                bitmap = page.render(scale=scale, grayscale=True)
                found = self.engine.paragraphs(bitmap.to_pil())
            except pdfium.PdfiumError:
                found = []
            finally:
                page.close()
            if found:
                return found
        self.scanned.append(index + 1)
        return []

    def warning(self) -> str:
        parts = []
        if self.scanned:
            why = "a scan?" if self.engine else f"a scan; {ADVICE}"
            where = _named(self.scanned)
            if len(self.scanned) == len(self.pdf):
                where = f"its {len(self.pdf)} pages" if len(self.pdf) > 1 else "its only page"
            parts.append(f"has no readable text on {where} ({why})")
        if self.damaged:
            parts.append(f"is damaged on {_named(self.damaged)}")
        return "; ".join(filter(None, [*parts, left_out(self.left_out)]))


def _is_noise(text: str) -> bool:
    """Whether more than a tenth of the characters are invalid, because a font has no character table."""
    return 10 * sum(len(match) for match in _NOT_TEXT.findall(text)) > len(text)


def _with_ligatures(pages: list[PageText]) -> list[PageText]:
    """Restore the ligatures that the fonts of a document do not name, on the pages that are not noise."""
    readable = [not _is_noise("".join(page.lines)) for page in pages]
    lines = [line for page, is_readable in zip(pages, readable, strict=True) if is_readable for line in page.lines]
    ligatures = ligatures_in(lines, words_in(lines))
    if not ligatures:
        return pages
    return [
        replace(
            page,
            lines=[restored(line, ligatures).strip() for line in page.lines],
            cells=[[(start, end, restored(text, ligatures)) for start, end, text in row] for row in page.cells],
        )
        if is_readable
        else page
        for page, is_readable in zip(pages, readable, strict=True)
    ]


def _without_ligatures(line: str) -> str:
    return _LIGATURE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), line)


def _named(numbers: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``"pages 1-3, 7"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    ranges = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"page {ranges}" if len(numbers) == 1 else f"pages {ranges}"
