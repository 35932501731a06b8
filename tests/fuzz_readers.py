"""Damages documents at random and reads them: every reader must end with a text or an IndexingError, and soon.

    python tests/fuzz_readers.py --seconds 60 [--reader docx] [--seed 1]

What a reader does otherwise is printed with the seed that makes it happen again, and the document is saved. Where a
library ends the process itself, the last document that was begun lies there too. Pictures are read without OCR.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "indexes"), str(TESTS / "indexes" / "readers")]

from document_samples import SAMPLES, unzipped, zipped  # noqa: E402

from indexes import IndexingError  # noqa: E402
from indexes.readers import read_document  # noqa: E402

SUFFIXES = {"code": "py", "markdown": "md", "plain": "txt"}
SLOW_SECONDS = 20
WORTH_INSERTING = [
    *(b"<", b">", b"&", b'"', b"\0", b"\xff", b"{", b"[", b"|", b"\n", b"-", b"99999999999", b"-1", b"NaN", b"\\ud800"),
    *(
        b"<!DOCTYPE a [",
        b"<![CDATA[",
        b"<!--",
        b"<table><tr><td>",
        b"<ul><li>",
        b"</p>",
        b"- ",
        b"> ",
        b"&#0;",
        b"&lt;",
    ),
    *("第一章 ".encode(), "问：".encode("gbk"), b"def f(", b"class A:", b"```", b"|-|-|\n", b"w:", b'r:id="rId1"'),
]


def damaged(data: bytes, dice: random.Random) -> bytes:
    """A few random changes: bits, cuts, repetitions, numbers, and pieces of markup in wrong places."""
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4, 16])):
        at = dice.randrange(len(changed) + 1)
        end = min(len(changed), at + dice.choice([1, 4, 30, 300]))
        match dice.randrange(8):
            case 0 if changed:
                changed[min(at, len(changed) - 1)] ^= 1 << dice.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = changed[at:end] * dice.choice([1, 2, 50])
            case 3:
                changed[at:at] = dice.choice(WORTH_INSERTING) * dice.choice([1, 1, 1, 3, 400])
            case 4:
                changed[at:end] = dice.randbytes(end - at)
            case 5 if len(changed) > 10:
                other = dice.randrange(len(changed))
                changed[at:end] = changed[other : other + dice.choice([1, 10, 200])]
            case 6 if dice.random() < 0.2:
                del changed[at:]
            case _:
                digits = [place for place, byte in enumerate(changed) if 48 <= byte <= 57]
                if digits:
                    place = dice.choice(digits)
                    changed[place : place + 1] = dice.choice([b"0", b"9", b"-", b"4294967296", b"x", b""])
    return bytes(changed)


def mutated(seed: bytes, dice: random.Random) -> bytes:
    """Of an archive mostly one part inside, so that the damage comes as far as the reader itself."""
    if not seed.startswith(b"PK") or dice.random() < 0.15:
        return damaged(seed, dice)
    parts = unzipped(seed)
    for name in dice.choices(
        [name for name in parts if not name.endswith((".jpeg", ".png"))], k=dice.choice([1, 2, 4])
    ):
        parts[name] = damaged(parts[name], dice)
    if dice.random() < 0.05:
        parts.pop(dice.choice(list(parts)))
    return zipped(dict(parts), zipfile.ZIP_STORED)


def fuzz(reader: str, seconds: float, first_seed: int, findings: Path) -> tuple[int, int]:
    """Read damaged documents of one format for so long; how many were read, and how often it went wrong."""
    make: Callable[[], bytes] = SAMPLES[reader]
    sample = make()
    findings.mkdir(parents=True, exist_ok=True)
    begun = findings / f"{reader}-begun"
    number, found = first_seed, 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        data = mutated(sample, random.Random(f"{reader} {number}"))
        begun.write_bytes(data)
        started = time.monotonic()
        try:
            document = read_document(f"a.{SUFFIXES.get(reader, reader)}", data)
            document.text.encode()
            for block in document.blocks:
                assert 0 <= block.start < block.end <= len(document.text), "a block lies outside of the text"
                assert all(block.start < cut < block.end for cut in block.cuts), "a cut lies outside of its block"
            why = ""
        except IndexingError as error:
            why = "" if len(str(error)) < 500 else "a sentence of more than 500 characters"
        except Exception:
            why = traceback.format_exc()
        if time.monotonic() - started > SLOW_SECONDS:
            why += f"\nit took {time.monotonic() - started:.0f} seconds"
        if why:
            found += 1
            saved = findings / f"{reader}-{number}"
            saved.write_bytes(data)
            print(f"{reader} --seed {number}, saved as {saved}:\n{why}", flush=True)
        number += 1
    begun.unlink(missing_ok=True)
    return number - first_seed, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each reader")
    parser.add_argument("--reader", choices=sorted(SAMPLES), help="only this one")
    parser.add_argument("--seed", type=int, default=0, help="number of the first damaged document")
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()) / "lorewright-fuzz")
    options = parser.parse_args()
    os.environ["PATH"] = ""  # where OCR would be found
    failed = 0
    for reader in [options.reader] if options.reader else SAMPLES:
        read, found = fuzz(reader, options.seconds, options.seed, options.findings)
        print(f"{reader}: {read:,} documents read, {found} findings", flush=True)
        failed += found
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
