"""OCR with the ``tesseract`` program, if it is on PATH.

It runs as a separate process with a time limit per page, on one thread unless ``OMP_THREAD_LIMIT`` is set: with more
threads than free cores it becomes several times slower. It does not read handwriting or vertical text.
"""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from PIL import Image

from indexes.language import CJK
from indexes.readers.lines import joined

MAX_PIXELS = 40_000_000
"""Maximum pixels of a page; larger pages are scaled down first."""
PAGE_SECONDS = 60

_PREFERRED = ("chi_sim", "chi_tra", "eng", "jpn", "kor")
"""Used together if installed, in this order: each one makes the others slower and slightly worse."""
_SMALL = 4_000_000
"""A picture with fewer pixels may be a screenshot with letters too small for the engine; a page has twice that."""
_SURE = 90
"""Confidence in percent below which a small picture is also read at double size. Measured with Chinese letters 12
pixels high: 79 at original size (half of them right), 89 doubled (99%); 40 pixels high: 91 (99%) and 84 (78%)."""
_SURE_LINE = 50
"""Minimum confidence of a line. Single words are not dropped: a sentence with a gap is worse than a wrong letter."""
_SURE_PAGE = 55
"""Minimum confidence of a page. Text has 80 to 96; textures, photographs and upside-down pages have 20 to 50."""
_FEWEST_LETTERS = 4
"""Minimum letters of a text, where a Chinese character counts as two: shorter ones are marks, logos or dirt."""

_CJK_CHARACTER = re.compile(f"[{CJK}]")
_WIDE = f"{CJK}，。、；：！？“”‘’（）《》「」『』…—"
_SPACE_IN_CJK = re.compile(f"(?<=[{_WIDE}]) +(?=[{_WIDE}])")


@dataclass(frozen=True)
class Tesseract:
    """An installed tesseract and its languages."""

    program: str
    languages: tuple[str, ...]
    name = "tesseract"

    def paragraphs(self, image: Image.Image) -> list[str]:
        """See :class:`indexes.readers.images.ocr.Engine`."""
        pixels = max(1, image.width * image.height)
        found, confidence = self._read(image, min(1.0, (MAX_PIXELS / pixels) ** 0.5))
        if confidence < _SURE and pixels < _SMALL:
            found, confidence = max((found, confidence), self._read(image, 2.0), key=lambda read: read[1])
        return found if confidence >= _SURE_PAGE else []

    def _read(self, image: Image.Image, scale: float) -> tuple[list[str], float]:
        """The paragraphs, and their confidence in percent."""
        command = [self.program, "stdin", "stdout", "-l", "+".join(self.languages), "--dpi", "300", "tsv"]
        try:
            done = subprocess.run(
                command,
                input=_png(image, scale),
                capture_output=True,
                timeout=PAGE_SECONDS,
                env={"OMP_THREAD_LIMIT": "1", **os.environ},
            )
        except (subprocess.TimeoutExpired, OSError):
            return [], 0.0
        return _paragraphs(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else ([], 0.0)


def find_tesseract() -> Tesseract | None:
    """The installed tesseract; None if it is missing or has no languages."""
    program = shutil.which("tesseract")
    languages = _languages(program) if program else ()
    return Tesseract(program, languages) if program and languages else None


@cache
def _languages(program: str) -> tuple[str, ...]:
    try:
        listing = subprocess.run([program, "--list-langs"], capture_output=True, timeout=PAGE_SECONDS, text=True)
    except (subprocess.TimeoutExpired, OSError, UnicodeError):
        return ()
    installed = [line.strip() for line in (listing.stdout or listing.stderr).splitlines()[1:]]
    preferred = tuple(language for language in _PREFERRED if language in installed)
    return preferred or tuple(language for language in installed if language not in ("osd", "equ"))[:2]


def _png(image: Image.Image, scale: float) -> bytes:
    if scale != 1.0:
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _paragraphs(tsv: str) -> tuple[list[str], float]:
    """Group the words of tesseract's table, one per row with block, paragraph, line and confidence, into paragraphs."""
    rows = csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE)
    words = [row for row in rows if row["level"] == "5" and (row["text"] or "").strip()]
    text = "".join(row["text"] for row in words)
    if sum(map(str.isalnum, text)) + len(_CJK_CHARACTER.findall(text)) < _FEWEST_LETTERS:
        return [], 0.0
    found = []
    for _, paragraph in groupby(words, key=lambda row: (row["block_num"], row["par_num"])):
        text = ""
        for _, line in groupby(paragraph, key=lambda row: row["line_num"]):
            in_line = list(line)
            if _confidence(in_line) >= _SURE_LINE:
                text = joined(text, _line(row["text"] for row in in_line))
        if text:
            found.append(text)
    return found, _confidence(words)


def _confidence(words: list[dict[str, str]]) -> float:
    return sum(float(row["conf"]) for row in words) / len(words)


def _line(words: Iterable[str]) -> str:
    """Join words with spaces, without those that the engine puts between Chinese characters."""
    return _SPACE_IN_CJK.sub("", " ".join(words))
