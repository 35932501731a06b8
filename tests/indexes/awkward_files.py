"""Test data: awkward files, each with its name, its content, and what the user sees after an update.

This file has text files, files that are not documents, and awkward names; awkward_documents.py has the rest.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

GARBLED = "is garbled: most characters are invalid; save or convert it again"
BINARY = "contains binary data, not text; remove it, or save it as text"
TOO_DEEP = "is nested too deeply; save it in a simpler form"


class Awkward(NamedTuple):
    """One file. If it has a question, the file is indexed and is the first full-text result, at its place.

    A file without question, refusal and warning is skipped silently.
    """

    name: str
    content: bytes | Callable[[Path], object]
    """Its bytes, or a function that creates it at a path."""
    question: str = ""
    place: str = ""
    refused: str = ""
    warning: str = ""


def make(file: Awkward, folder: Path) -> None:
    """Create the file in a documents folder."""
    path = folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(file.content, bytes):
        path.write_bytes(file.content)
    else:
        file.content(path)


def files() -> list[Awkward]:
    """All files that this system supports: Windows does not allow names with a line break."""
    rows = [*encodings(), *shapes(), *names(), *not_documents()]
    return [*rows, *names_of_posix(), *links_and_pipes()] if os.name == "posix" else rows


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
        Awkward("nul.txt", english("gaiwan").encode() + b"\0", refused=BINARY),
        Awkward("late-nul.log", b"a line of text\n" * 1000 + b"\0", refused=BINARY),
        Awkward("white-space.txt", " \t\n\u3000\n".encode() * 100, warning="contains no text"),
        Awkward("empty.txt", b"", warning="contains no text"),
        Awkward("empty.pdf", b"", warning="contains no text"),
        Awkward("empty.docx", b"", warning="contains no text"),
        Awkward("one-character.txt", "鼎".encode(), "鼎", "line 1"),
        text("one-line.txt", english("tray") * 36_000 + english("brazier"), "brazier"),
        text("empty-lines.txt", "\n" * 100_000 + english("sieve"), "sieve", place="line 100001"),
        text("no-suffix", english("strainer"), "strainer"),
        text("minified.js", "function f(a){return a+1};" * 40_000 + "function g(){return 'porcelain'}", "porcelain"),
        text("源代码.py", f"def 泡茶(水温):\n    '''{chinese('柳州')}'''\n    return 水温\n", "柳州", place="泡茶"),
        Awkward("rtl.txt", "يُحفظ إبريق الشاي في القبو خلف الباب الثالث".encode(), "إبريق", "line 1"),
        Awkward("עברית.txt", "קומקום התה נשמר במרתף מאחורי הדלת השלישית".encode(), "קומקום", "line 1"),
        Awkward("control.txt", b"\x1b[31mred\x1b[0m " + english("thermometer").encode(), "thermometer", "line 1"),
        Awkward("semicolons-gbk.csv", "茶;产地;价格\n毛峰;黄山;12\n滇红;云南;9\n".encode("gbk"), "黄山", "line 1"),
        Awkward("ragged.csv", b"tea,place,price\nlapsang\nsencha,Uji,9,extra,more\n,,\n", "sencha Uji", "line 2"),
        Awkward("open-quote.csv", b'tea,price\n"matcha,9\nhojicha,7\n', "hojicha", "line 1"),
        Awkward(
            *("broken-line.jsonl", b'{"tea": "genmaicha"}\n{"tea": \n{"tea": "kukicha"}\n', "kukicha", "line 3"),
            warning="has lines that are not valid JSON and were left out: 2",
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
        Awkward("sparse.txt", lambda path: sparse(path, 4_000_000_000), refused="is larger than 200 MB; split it"),
        Awkward("sparse-small.txt", lambda path: sparse(path, 190_000_000), refused=BINARY),
    ]
    if sys.platform == "linux":  # macOS and Windows do not allow such names
        name = os.fsdecode(b"caf\xe9.txt")
        rows.append(Awkward(name, b"Tea.", refused="has a file name that is not valid UTF-8; rename it"))
    return rows


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def links_and_pipes() -> list[Awkward]:
    circle = "is a circular link; remove it"
    out = "is a link to a file outside the documents folder; copy the file instead"
    nowhere = "is a broken link; remove it, or copy the file here"
    return [
        Awkward("out.txt", lambda path: path.symlink_to("/etc/hosts"), refused=out),
        Awkward("out-folder", lambda path: path.symlink_to("/etc"), refused=out),
        Awkward("loop.txt", lambda path: path.symlink_to("loop.txt"), refused=circle),
        Awkward("nowhere.txt", lambda path: path.symlink_to("gone.txt"), refused=nowhere),
        Awkward("above", lambda path: path.symlink_to(".")),
        Awkward("inside.txt", lambda path: path.symlink_to("utf-8-bom.txt")),
        Awkward("pipe.txt", lambda path: os.mkfifo(path), refused="is not a regular file"),
    ]


def not_documents() -> list[Awkward]:
    return [
        Awkward("drawing.svg", b"<svg><text>Tea</text></svg>"),
        *(
            Awkward(
                name,
                b"ID3\x04" + bytes(100),
                refused="is an audio recording (MP3); add a transcript instead",
            )
            for name in ("song.mp3", "song.txt")
        ),
        Awkward(
            "program",
            b"\x7fELF\x02\x01\x01" + bytes(100),
            refused="is a program file (ELF), not a document; remove it from the folder",
        ),
        Awkward(
            "program.exe",
            b"MZ\x90\0\3" + bytes(100),
            refused="is a program file (Windows), not a document; remove it from the folder",
        ),
        Awkward("noise.dat", bytes(range(256)) * 40, refused=BINARY),
    ]
