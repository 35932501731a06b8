"""Compares the two OCR engines on Chinese and English scans: correct characters, and seconds per page.

    python benchmarks/ocr.py [--pages 6] [--out FILE]

Pages are rendered in Noto Sans CJK from the documents of the sample domain, then degraded as by a scanner: rotated by
up to half a degree, blurred, with noise. "sharp" has letters of 40 pixels (300 dots per inch), "coarse" of 18. The
share of correct characters is what difflib matches between page and text; only letters and digits count, because the
engines write full-width punctuation differently. Both engines run on one thread and alternate on the same pages; the
first page, which loads the models, is not timed.
"""

import json
import random
import statistics
import subprocess
import time
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from hardware import hardware
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from domain import write_text
from indexes.readers.images.ocr import Engine
from indexes.readers.images.rapid_ocr import RapidOcr
from indexes.readers.images.tesseract import find_tesseract

SAMPLE = Path(__file__).parents[1] / "examples" / "peft-handbook" / "documents"
SIZES = {"sharp": 40, "coarse": 18}
LINES = 20
CHARACTERS = {"en": 64, "zh": 34}


def page_texts(language: str, pages: int) -> Iterator[list[str]]:
    """Lines of prose from the documents, one list per page."""
    lines = []
    for file in sorted((SAMPLE / language).glob("*.md")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if len(line) > CHARACTERS[language] and not line.startswith(("#", "|", "`", "-")):
                lines.append(line[: CHARACTERS[language]].rstrip())
    for page in range(pages):
        yield lines[page * LINES : (page + 1) * LINES]


def scan_of(lines: list[str], size: int, dice: random.Random) -> Image.Image:
    """Render a page as a scanned image."""
    command = ["fc-match", "-f", "%{file}|%{index}", "Noto Sans CJK SC"]
    file, index = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("|")
    font = ImageFont.truetype(file, size, index=int(index))
    width = int(max(map(font.getlength, lines))) + 4 * size
    image = Image.new("L", (width, 3 * size // 2 * (len(lines) + 2)), 250)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((2 * size, 3 * size // 2 * (number + 1)), line, fill=20, font=font)
    turned = image.rotate(dice.uniform(-0.5, 0.5), Image.Resampling.BICUBIC, fillcolor=250)
    blurred = np.asarray(turned.filter(ImageFilter.GaussianBlur(size / 50)), dtype=np.float32)
    noise = np.random.default_rng(dice.randrange(2**32)).normal(0, 12, blurred.shape)
    return Image.fromarray((blurred + noise).clip(0, 255).astype(np.uint8))


def correct(read: str, written: str) -> float:
    """Share of the written letters and digits that were recognised."""
    read, written = ("".join(filter(str.isalnum, text)) for text in (read, written))
    blocks = SequenceMatcher(None, read, written, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(written)


def main(
    pages: Annotated[int, typer.Option(min=1, help="Of each language and size.")] = 6,
    out: Path = Path("benchmarks/results/ocr.json"),
) -> None:
    tesseract = find_tesseract()
    engines: list[Engine] = [RapidOcr(), *([tesseract] if tesseract else [])]
    for engine in engines:
        engine.paragraphs(scan_of(["warm up"], 40, random.Random(0)))
    rows = {}
    for language in CHARACTERS:
        for name, size in SIZES.items():
            dice = random.Random(f"{language} {name}")
            scans = [(scan_of(lines, size, dice), "".join(lines)) for lines in page_texts(language, pages)]
            seconds: dict[str, list[float]] = {engine.name: [] for engine in engines}
            shares: dict[str, list[float]] = {engine.name: [] for engine in engines}
            for scan, written in scans:
                for engine in engines:
                    started = time.perf_counter()
                    read = "".join(engine.paragraphs(scan))
                    seconds[engine.name].append(time.perf_counter() - started)
                    shares[engine.name].append(correct(read, written))
            rows[f"{language}, {name}"] = {
                engine: {
                    "correct characters": round(statistics.mean(shares[engine]), 4),
                    "seconds a page": round(statistics.median(seconds[engine]), 2),
                }
                for engine in seconds
            }
            typer.echo(f"{language}, {name}: {rows[f'{language}, {name}']}")
    record = {"format": 1, "benchmark": "ocr", "hardware": hardware(), "pages": pages, "scans": rows}
    write_text(out, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
