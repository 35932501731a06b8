"""Two processes write and two search, with the index open and caches in memory, while files change."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from index_samples import check_tables, make_domain, put
from index_worker import embedder
from workers import Worker

from indexes import Index

MODES = ("hybrid", "dense", "full_text")


class Folder:
    """A documents folder under random edits, with its current and deleted texts."""

    def __init__(self, domain: Any, chance: random.Random) -> None:
        self.domain, self.chance = domain, chance
        self.live: dict[str, str] = {}
        """Maps a path to the text of its only passage."""
        self.dead: list[str] = []
        """Texts that no file contains any more."""
        self.number = 0

    def new_text(self) -> str:
        self.number += 1
        shape = self.chance.choice(
            ["Kettle {n} holds {m} cups of tea.", "第{n}号茶壶能装{m}杯茶水。", "x = pot{n}({m})"]
        )
        return shape.format(n=self.number, m=self.chance.randint(1, 9))

    def edit(self) -> None:
        path = self.chance.choice(list(self.live)) if self.live else ""
        kind = self.chance.choice(["add", "add", "change", "move", "delete"]) if len(self.live) < 40 else "delete"
        if kind == "add" or not path:
            path = f"{self.chance.choice('abc')}/{self.number}.txt"
            self.live[path] = self.new_text()
            put(self.domain, path, self.live[path], age=9000 - self.number)
        elif kind == "change":
            self.dead.append(self.live[path])
            self.live[path] = self.new_text()
            put(self.domain, path, self.live[path], age=9000 - self.number)
        else:
            text = self.live.pop(path)
            if kind == "move":
                self.number += 1
                other = f"{self.chance.choice('abc')}/{self.number}-moved.txt"
                (self.domain.documents / other).parent.mkdir(exist_ok=True)
                (self.domain.documents / path).rename(self.domain.documents / other)
                self.live[other] = text
            else:
                (self.domain.documents / path).unlink()
                self.dead.append(text)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Worker]]:
    make_domain(tmp_path / "tea", {"first.txt": "The first text of all."})
    started = [Worker(tmp_path / "tea") for _ in range(4)]
    for worker in started:
        assert worker.receive() == {"ready": True}
    yield started
    for worker in started:
        worker.kill()


@pytest.mark.parametrize("rounds", [8, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_no_search_returns_what_is_gone_or_misses_what_is_there(
    workers: list[Worker], tmp_path: Path, rounds: int, rounds_of: Callable[[int], int]
) -> None:
    """Each round: up to five edits, an update by one or both writers, searches during and after it."""
    from domain import Domain

    domain = Domain.open(tmp_path / "tea")
    chance = random.Random(rounds)
    folder = Folder(domain, chance)
    writers, readers = workers[:2], workers[2:]
    writers[0].ask(update=True)
    for number in range(rounds_of(rounds)):
        before = set(folder.live.values())
        for _ in range(chance.randint(1, 5)):
            folder.edit()
        asked = chance.sample(sorted(before), min(2, len(before)))
        at_work = writers if number % 5 == 0 else [chance.choice(writers)]
        for worker in at_work:
            worker.send(update=True)
        for reader in readers:
            reader.send(search=[[text, chance.choice(MODES)] for text in asked])
        now = set(folder.live.values())
        for reader in readers:
            for text, found in zip(asked, reader.receive()["found"], strict=True):
                assert {*found} <= before | now | {"The first text of all."}
                assert text in found or text not in now, "missed while another process was writing"
        for worker in at_work:
            assert worker.receive() == {"done": "update", "failed": []}
        check_searches(readers, folder, chance)
    index = Index.open(domain, embedder())
    assert index.documents() == sorted([*folder.live, "first.txt"])
    check_tables(index)


def check_searches(readers: list[Worker], folder: Folder, chance: random.Random) -> None:
    """Existing texts are found by their own words, first in every mode; deleted texts are never found."""
    live = chance.sample(sorted(folder.live.values()), min(3, len(folder.live)))
    dead = folder.dead[-2:] + chance.sample(folder.dead, min(1, len(folder.dead)))
    for reader in readers:
        asked = [(text, mode) for text in [*live, *dead] for mode in MODES]
        reply = reader.ask(search=asked)["found"]
        for (text, mode), found in zip(asked, reply, strict=True):
            if text in live:
                assert found[0] == text, (mode, text, found)
            assert text in folder.live.values() or text not in found, (mode, "returned although it is gone", text)
