"""OCR: text in pictures, by the ``tesseract`` program where one is on PATH.

It runs as a process of its own, with a limit of time for each page; it inherits the environment, so that
``OMP_THREAD_LIMIT`` and ``TESSDATA_PREFIX`` mean what its manual says. Handwriting is beyond it, and so is text that
stands upright (Japanese and older Chinese books).
"""

import csv
import io
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
"""Of one page; larger ones are made smaller first."""
PAGE_SECONDS = 60

_PREFERRED = ("chi_sim", "chi_tra", "eng", "jpn", "kor")
"""Used together if installed, in this order: each makes the others slower and a little worse."""
_SMALL = 4_000_000
"""Pixels below which a picture is taken for a screenshot, whose letters are too small for the engine."""
_SURE_WORD = 30
_SURE_PAGE = 55
"""Confidence in percent below which a word is dropped, and that a page's words must have on average. Text comes out
at 85 to 96; textures, photographs and pages upside down at 20 to 50."""

_FEWEST_LETTERS = 4
"""A Chinese character counts as two: what is shorter is a mark, a logo or dirt."""

_CJK_CHARACTER = re.compile(f"[{CJK}]")
_WIDE = f"{CJK}，。、；：！？“”‘’（）《》「」『』…—"
_SPACE_IN_CJK = re.compile(f"(?<=[{_WIDE}]) +(?=[{_WIDE}])")


@dataclass(frozen=True)
class Engine:
    """An installed tesseract, and the languages that it is asked for."""

    program: str
    languages: tuple[str, ...]

    def paragraphs(self, image: Image.Image) -> list[str]:
        """The paragraphs that stand in a picture; none where nothing can be read, or not within the time limit."""
        command = [self.program, "stdin", "stdout", "-l", "+".join(self.languages), "--dpi", "300", "tsv"]
        try:
            done = subprocess.run(command, input=_png(image), capture_output=True, timeout=PAGE_SECONDS)
        except (subprocess.TimeoutExpired, OSError):
            return []
        return _paragraphs(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else []


def find_engine() -> Engine | None:
    """The engine of this machine; None where none is installed, or none of its languages."""
    program = shutil.which("tesseract")
    languages = _languages(program) if program else ()
    return Engine(program, languages) if program and languages else None


@cache
def _languages(program: str) -> tuple[str, ...]:
    try:
        listing = subprocess.run([program, "--list-langs"], capture_output=True, timeout=PAGE_SECONDS, text=True)
    except (subprocess.TimeoutExpired, OSError, UnicodeError):
        return ()
    installed = [line.strip() for line in (listing.stdout or listing.stderr).splitlines()[1:]]
    preferred = tuple(language for language in _PREFERRED if language in installed)
    return preferred or tuple(language for language in installed if language not in ("osd", "equ"))[:2]


def _png(image: Image.Image) -> bytes:
    pixels = max(1, image.width * image.height)
    factor = 2.0 if pixels < _SMALL else min(1.0, (MAX_PIXELS / pixels) ** 0.5)
    if factor != 1.0:
        size = (max(1, int(image.width * factor)), max(1, int(image.height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _paragraphs(tsv: str) -> list[str]:
    """From tesseract's table, a row a word, with block, paragraph, line and confidence."""
    rows = [row for row in csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE) if row["text"]]
    words = [row for row in rows if row["level"] == "5" and row["text"].strip()]
    sure = [row for row in words if float(row["conf"]) >= _SURE_WORD]
    text = "".join(row["text"] for row in sure)
    letters = sum(map(str.isalnum, text)) + len(_CJK_CHARACTER.findall(text))
    if letters < _FEWEST_LETTERS or sum(float(row["conf"]) for row in words) < _SURE_PAGE * len(words):
        return []
    found = []
    for _, paragraph in groupby(sure, key=lambda row: (row["block_num"], row["par_num"])):
        text = ""
        for _, line in groupby(paragraph, key=lambda row: row["line_num"]):
            text = joined(text, _line(row["text"] for row in line))
        found.append(text)
    return found


def _line(words: Iterable[str]) -> str:
    """Words with spaces between them, but for those that the engine puts between Chinese characters."""
    return _SPACE_IN_CJK.sub("", " ".join(words))
