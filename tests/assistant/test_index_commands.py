"""The commands around the index: searching with reasons, measuring how well passages are found, copying a domain."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from assistant_samples import TEA, lorewright, question, write_questions

from assistant.evaluation.retrieval import FIGURES, ranks_of
from domain import Question
from indexes import Passage

PUER = "# 普洱\n\n## 储存\n\n普洱茶饼要放在干燥通风的地方。\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, real_model) -> Path:
    real_model("all-minilm-l6-v2")
    shop = tmp_path_factory.mktemp("commands") / "shop"
    assert lorewright("new", shop, "--embedder", "all-minilm-l6-v2").status == 0
    (shop / "documents" / "zh").mkdir()
    (shop / "documents" / "tea.md").write_text(TEA, encoding="utf-8")
    (shop / "documents" / "zh" / "puer.md").write_text(PUER, encoding="utf-8")
    (shop / "documents" / "copy.md").write_text(TEA, encoding="utf-8")
    return shop


@pytest.fixture(scope="module")
def indexed(shop: Path) -> Path:
    ended = lorewright("index", shop)
    assert ended.status == 0
    assert ended.out == (
        f"{shop}: 3 added, 0 changed, 0 deleted, 0 unchanged; 5 passages.\n"
        "2 passages repeat another passage; each text is stored once, with all its places.\n"
    )
    assert "duplicate of copy.md: tea.md" in ended.err
    return shop


def test_a_search_says_where_and_why(indexed: Path) -> None:
    shown = lorewright("search", indexed, "How hot should water for green tea be?", "--k", 1).out
    first, reasons, same, text, *_ = shown.splitlines()
    assert first == "[1] copy.md, Green tea › Water"
    assert "vector 0." in reasons
    assert reasons.endswith(": water, green, tea")
    assert same == "    also in tea.md, Green tea › Water"
    assert text.startswith("Use water of 80 degrees")


def test_a_search_in_chinese_puts_its_pairs_together(indexed: Path) -> None:
    shown = lorewright("search", indexed, "普洱茶饼怎么存放?", "--k", 1, "--mode", "full_text").out
    assert shown.startswith("[1] zh/puer.md, 普洱 › 储存\n")
    assert ": 普洱茶饼" in shown
    assert "vector" not in shown
    assert "full text" not in lorewright("search", indexed, "普洱茶饼怎么存放?", "--k", 1, "--mode", "dense").out


def test_a_search_of_a_part(indexed: Path) -> None:
    assert "[1] zh/puer.md" in lorewright("search", indexed, "green tea", "--folder", "zh").out
    assert "[1] zh/puer.md" in lorewright("search", indexed, "green tea", "--language", "zh").out
    nothing = lorewright("search", indexed, "green tea", "--until", "2001-01-01").out
    assert nothing.startswith("Nothing was found in the filtered part of ")
    nothing = lorewright("search", indexed, "green tea", "--folder", "ZH").out
    assert nothing.startswith("Nothing was found in the folder ZH; folders with documents: ")
    assert "zh" in nothing.partition(": ")[2]
    wrong = lorewright("search", indexed, "green tea", "--since", "2026-02-01", "--until", "2026-01-01")
    assert wrong.err == "lorewright: --since 2026-02-01 is after --until 2026-01-01, so nothing can be found.\n"
    assert "[1]" in lorewright("search", indexed, "green tea", "--since", "2001-01-01", "--type", "markdown").out
    around = lorewright("search", indexed, "80 degrees", "--k", 1, "--neighbours", 1).out
    assert "\n  found, Green tea › Water:\nUse water of 80 degrees" in around
    assert "three grams" in around.partition("\n  after, ")[2]
    wrong = lorewright("search", indexed, "green tea", "--language", "fr")
    assert wrong.err == "lorewright: 'fr' is not a supported language; use zh or en.\n"


def test_an_empty_document_is_not_said_to_be_read_in_part(indexed: Path) -> None:
    (indexed / "documents" / "empty.txt").touch()
    assert "\nread with a warning: empty.txt: contains no text\n" in lorewright("index", indexed).err
    (indexed / "documents" / "empty.txt").unlink()
    assert lorewright("index", indexed).status == 0


def test_a_moved_file_is_told(indexed: Path) -> None:
    before = lorewright("search", indexed, "普洱", "--k", 1).out
    (indexed / "documents" / "zh" / "puer.md").rename(indexed / "documents" / "zh" / "storage.md")
    assert "0 added, 0 changed, 1 moved, 0 deleted, 2 unchanged" in lorewright("index", indexed).out
    assert lorewright("search", indexed, "普洱", "--k", 1).out == before.replace("puer.md", "storage.md")
    (indexed / "documents" / "zh" / "storage.md").rename(indexed / "documents" / "zh" / "puer.md")
    lorewright("index", indexed)


def test_retrieval_is_measured_in_every_way_by_language(indexed: Path) -> None:
    rows = [
        question("How hot is the water for green tea?", "80 degrees"),
        question("How many grams for a cup?", "three"),
        question("普洱茶饼怎么存放?", "干燥通风", language="zh", document="zh/puer.md"),
        question("Who owns it?", "nobody", answerable=False),
    ]
    write_questions(indexed / "questions" / "held_out.jsonl", rows)
    ended = lorewright("evaluate", indexed, "--retrieval")
    assert ended.status == 0
    assert "gold document, 2 questions (en)" in ended.out
    assert "gold document, 1 questions (zh)" in ended.out
    assert "100.0 (100.0" in ended.out
    (file,) = (indexed / "evaluations").glob("retrieval-*.json")
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert set(stored["results"]) == {"en", "zh", "all"}
    assert set(stored["results"]["all"]["figures"]) == {"dense", "full text", "fused"}
    assert stored["results"]["all"]["questions"] == 3
    assert stored["results"]["en"]["figures"]["fused"]["hit@1"] == [1.0, 1.0, 1.0]
    clash = lorewright("evaluate", indexed, "--retrieval", "--again")
    assert clash.status == 1
    assert clash.err.startswith("lorewright: --retrieval uses all questions and no chat model")


def test_ranks_and_figures_by_hand() -> None:
    def passage(document: str, also: tuple[str, ...] = ()) -> Passage:
        return Passage(1, "", document, (), None, 1, 0, 0, also=also)

    asked = [Question(str(n), (), document="gold.md") for n in range(4)]
    found = [
        [passage("gold.md")],
        [passage("a.md"), passage("b.md"), passage("gold.md")],
        [passage("a.md", also=("gold.md, line 1",))],
        [passage("a.md")] * 20,
    ]
    ranks = ranks_of(found, asked)
    assert ranks.tolist() == [1, 3, 1, float("inf")]
    assert FIGURES["hit@1"](ranks).tolist() == [1, 0, 1, 0]
    assert FIGURES["hit@3"](ranks).tolist() == [1, 1, 1, 0]
    assert FIGURES["MRR"](ranks).tolist() == [1, 1 / 3, 1, 0]
    assert FIGURES["nDCG@10"](ranks).tolist() == [1, 0.5, 1, 0]


HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE documents SET warning = 'half done'")
print("writing", flush=True)
time.sleep(60)
"""


def test_a_domain_is_copied_whole_while_another_process_writes_to_it(indexed: Path, tmp_path: Path) -> None:
    held = [sys.executable, "-c", HOLD, str(indexed / "index" / "passages.sqlite")]
    with subprocess.Popen(held, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"writing\n"
            started = time.monotonic()
            ended = lorewright("export", indexed, tmp_path / "out" / "copy")
            assert time.monotonic() - started < 50
        finally:
            process.kill()
    assert ended.status == 0
    copy = tmp_path / "out" / "copy"
    assert ended.out == f"{indexed} is copied to {copy}, with its index, adapters and conversations.\n"
    with sqlite3.connect(copy / "index" / "passages.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM documents WHERE warning = 'half done'").fetchone() == (0,)
    original = lorewright("search", indexed, "green tea water").out
    assert lorewright("search", copy, "green tea water").out == original
    assert lorewright("index", copy).out.startswith(f"{copy}: 0 added, 0 changed, 0 deleted, 3 unchanged")


def test_a_copy_is_refused_where_it_would_overwrite_or_swallow_itself(indexed: Path, tmp_path: Path) -> None:
    taken = lorewright("export", indexed, tmp_path)
    assert taken.err == f"lorewright: {tmp_path} already exists; choose a new folder.\n"
    inside = lorewright("export", indexed, indexed / "copy")
    assert inside.err == f"lorewright: {indexed / 'copy'} is inside the domain; choose a folder outside it.\n"


def test_the_users_dictionary_needs_a_rebuild_and_is_then_searched(indexed: Path) -> None:
    def score() -> float:
        shown = lorewright("search", indexed, "普洱茶饼", "--k", 1, "--mode", "full_text").out
        return float(shown.split("full text ")[1].split(":")[0])

    before = score()
    (indexed / "dictionary.txt").write_text("# 我们的词\n普洱茶饼\n", encoding="utf-8")
    refused = lorewright("search", indexed, "普洱茶饼")
    assert refused.err == (
        "lorewright: The index was built with a different dictionary.txt; "
        f"rebuild it with: lorewright index {indexed} --rebuild\n"
    )
    assert lorewright("index", indexed, "--rebuild").status == 0
    assert score() > before
    (indexed / "dictionary.txt").write_bytes(b"\xff\xfe\xff")
    broken = lorewright("search", indexed, "普洱")
    assert broken.err.endswith("dictionary.txt cannot be read; save it as UTF-8 text, one word per line.\n")
    (indexed / "dictionary.txt").unlink()
    assert lorewright("index", indexed, "--rebuild").status == 0


def test_documents_and_names_cannot_give_orders_to_the_terminal(indexed: Path) -> None:
    (indexed / "documents" / "odd\n\x1b[31mname.md").write_text("Kettles \x1b]0;owned\x07 whistle.\n", encoding="utf-8")
    (indexed / "documents" / "bad\x1b[2J.pdf").write_bytes(b"%PDF-1.4 cut")
    ended = lorewright("index", indexed)
    assert "not read: bad\ufffd[2J.pdf: is a damaged PDF" in ended.err
    found = lorewright("search", indexed, "kettles whistle", "--k", 1).out
    assert "Kettles \ufffd]0;owned\ufffd whistle." in found
    assert "[1] odd\ufffd\ufffd[31mname.md" in found
    assert "\x1b" not in ended.out + ended.err + found
    for name in ("odd\n\x1b[31mname.md", "bad\x1b[2J.pdf"):
        (indexed / "documents" / name).unlink()
    lorewright("index", indexed)
