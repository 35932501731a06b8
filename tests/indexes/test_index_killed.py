"""Kills the index with SIGKILL at random times: acknowledged changes persist, others are complete or absent.

The oracle is the test's own log, written and fsynced before each request and after each acknowledgement.
"""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from index_samples import check_tables, make_domain, put
from index_worker import embedder
from workers import Worker

from domain import Domain
from indexes import Index

WORDS = ["kettle", "cup", "pot", "leaf", "water", "茶壶", "茶叶", "热水", "杯子", "steam"]


def long_text(chance: random.Random, name: str) -> str:
    """A document of several passages, each of which contains the name."""
    paragraphs = [f"{name} part {n}: " + " ".join(chance.choices(WORDS, k=60)) for n in range(6)]
    return "\n\n".join(paragraphs)


class Log:
    """A log whose lines are on the disk when :meth:`write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **entry: object) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


def states(log: Log) -> tuple[dict[str, str], dict[str, set[str | None]]]:
    """The text of each acknowledged id, and the possible states of each id that was in progress at the kill."""
    acknowledged: dict[str, str] = {}
    at_work: dict[str, set[str | None]] = {}
    asked: dict = {}
    for entry in log.entries():
        if "asked" in entry:
            asked = entry["asked"]
            at_work = {id_: {acknowledged.get(id_), text} for id_, text in asked.items()}
        else:
            at_work = {}
            for id_, text in asked.items():
                acknowledged.pop(id_, None)
                if text is not None:
                    acknowledged[id_] = text
    return acknowledged, at_work


def one_life(worker: Worker, log: Log, chance: random.Random, domain: Domain, seconds: float) -> None:
    """Random requests until the process is killed at a random time."""
    assert worker.receive() == {"ready": True}
    end = time.monotonic() + seconds
    while True:
        ids = [f"id-{chance.randint(0, 30)}" for _ in range(chance.randint(1, 4))]
        kind = chance.choice(["add", "add", "delete", "update"])
        texts = {id_: long_text(chance, f"{id_}-{chance.random():.9f}") if kind == "add" else None for id_ in ids}
        if kind == "update":
            texts = {}
            put(domain, f"{chance.randint(0, 8)}.txt", long_text(chance, f"file-{chance.random():.9f}"), age=60)
        log.write(asked=texts)
        worker.send(**{"add": texts} if kind == "add" else {kind: ids if kind == "delete" else True})
        while not _has_answer(worker, min(0.01, max(0.0, end - time.monotonic()))):
            if time.monotonic() >= end:
                worker.kill()
                return
        assert "done" in worker.receive()
        log.write(done=True)


def _has_answer(worker: Worker, seconds: float) -> bool:
    import select

    return bool(select.select([worker.process.stdout], [], [], seconds)[0])


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(
    tmp_path: Path, kills: int, rounds_of: Callable[[int], int]
) -> None:
    chance = random.Random(kills)
    domain = make_domain(tmp_path / "tea", {"a.txt": "A first text."})
    log = Log(tmp_path / "log.jsonl")
    log.path.touch()
    for kill in range(rounds_of(kills)):
        one_life(Worker(domain.path), log, chance, domain, 0.05 + 1.5 * chance.random())
        damage(domain, chance)
        index = Index.open(domain, embedder())
        if not index.exists():
            assert not states(log)[0]
            continue
        acknowledged, at_work = states(log)
        check_tables(index)
        kept = {given.id: given.text for given in index.given([f"id-{n}" for n in range(31)])}
        for id_ in {*kept, *acknowledged, *at_work}:
            assert kept.get(id_) in at_work.get(id_, {acknowledged.get(id_)}), f"kill {kill}: {id_}"
        for id_ in kept:
            for passage in passages_of(index, id_):
                assert index.search(passage, 1, "dense")[0].text == passage, f"kill {kill}: {id_} by meaning"
                found = [found.text for found in index.search(passage, 10, "full_text")]
                assert passage in found, f"kill {kill}: {id_} by words"
        # the next run starts from the current state
        log.write(asked={id_: kept.get(id_) for id_ in {*kept, *acknowledged, *at_work}})
        log.write(done=True)
    index.update()
    for path in domain.documents.iterdir():
        assert index.text(path.name) == path.read_text(encoding="utf-8")
    check_tables(index)


def passages_of(index: Index, id_: str) -> list[str]:
    with index._storage.reading() as connection:
        rows = connection.execute(
            "SELECT p.text FROM passages p JOIN documents d ON d.id = document_id WHERE given = 1 AND path = ?", (id_,)
        ).fetchall()
    assert rows
    return [text for (text,) in rows]


def damage(domain: Domain, chance: random.Random) -> None:
    """Occasionally delete the vector cache too."""
    cache = domain.index / "vectors.faiss"
    if cache.exists() and chance.random() < 0.3:
        content = cache.read_bytes()
        cache.write_bytes(content[: chance.randrange(len(content))])
