"""A reader is trained by one command, and is the same bytes each time."""

import json
from pathlib import Path

import pytest
from assistant_samples import lorewright
from test_reading_data import BREW, record

from domain import Domain

OOLONG = "Oolong is half fermented. It comes from Fujian, and a pot of it can be filled five times."
RECORDS = [
    record(),
    record(question="How hot is the water for black tea?", answers=["100 degrees"]),
    record(question="How long does white tea take?", answers=[], answerable=False),
    record(title="Oolong", context=OOLONG, question="Where does oolong come from?", answers=["Fujian"]),
    record(title="Oolong", context=OOLONG, question="How often can the pot be filled?", answers=["five times"]),
    record(language="zh", title="茶", context=BREW, question="龙井泡多久?", answers=["两分钟"]),
    record(language="zh", title="茶", context=BREW, question="红茶用多少度的水?", answers=["一百度"]),
]
HELD_OUT = [
    record(
        title="Mate",
        context="Mate is drunk from a gourd. Its water has 70 degrees.",
        question="How hot is the water of mate?",
        answers=["70 degrees"],
    ),
    record(title="Mate", context="Mate is drunk from a gourd.", question="Who sells it?", answers=[], answerable=False),
]


def write(path: Path, records: list[dict]) -> str:
    path.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in records), encoding="utf-8")
    return str(path)


@pytest.mark.slow
def test_a_reader_is_trained_measured_and_made_again_to_the_byte(tmp_path: Path) -> None:
    data, held_out = write(tmp_path / "train.jsonl", RECORDS), write(tmp_path / "held_out.jsonl", HELD_OUT)
    weights = []
    for name in ("one", "other"):
        folder = tmp_path / name
        command = ["reader", "train", data, str(folder), "--held-out", held_out, "--measured", "2"]
        command += ["--base-model", "smollm2-135m-instruct", "--replay-share", "0", "--learning-rate", "1e-3"]
        ended = lorewright(*command)
        assert ended.status == 0, ended.err
        assert "trained" in ended.out
        assert "reader: right" in ended.out
        adapter = Domain.open(folder).adapter("reader")
        weights.append((adapter / "adapter_model.safetensors").read_bytes())
        figures = json.loads((adapter / "figures.json").read_text(encoding="utf-8"))
        assert set(figures) == {"base", "reader"}
        assert all(0 <= low <= value <= high <= 1 for value, low, high in figures["reader"].values())
    assert weights[0] == weights[1]


def test_a_wrong_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    data = write(tmp_path / "train.jsonl", [{"question": "?"}])
    ended = lorewright("reader", "train", data, tmp_path / "reader", "--held-out", data)
    assert ended.status == 1
    assert "line 1: not a question about a paragraph" in ended.err
    assert not (tmp_path / "reader").exists()
