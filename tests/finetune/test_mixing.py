"""Further data files, replay, and the adapter that a run continues from."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from base_models import ModelError
from base_models.loaded_model import LoadedModel
from domain import FinetuneConfig
from finetune import FinetuneError, finetune
from finetune.data.mixing import mixed, named_source
from finetune.replay import PROMPTS, replayed

TALKS = [
    [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": f"{number}!"}] for number in range(10)
]


def written(path: Path, count: int) -> Path:
    lines = (json.dumps({"prompt": f"q{n}", "response": f"a{n}"}) + "\n" for n in range(count))
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("entry", "name", "weight"),
    [
        ("chats.jsonl", "chats.jsonl", 1),
        ("chats.jsonl=0.5", "chats.jsonl", 0.5),
        ("more/a=b.jsonl", "more/a=b.jsonl", 1),
        ("a=b.jsonl=2", "a=b.jsonl", 2),
        ("/elsewhere/x.csv=3", "/elsewhere/x.csv", 3),
    ],
)
def test_an_entry_names_a_file_and_its_weight(tmp_path: Path, entry: str, name: str, weight: float) -> None:
    assert named_source(entry, tmp_path) == (tmp_path / name, weight)


@pytest.mark.parametrize("entry", ["a.jsonl=0", "a.jsonl=-1", "a.jsonl=1001", "a.jsonl=nan"])
def test_a_weight_out_of_range_is_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(FinetuneError, match=r"data: the weight in 'a\.jsonl=.*' must be above 0 and at most 1000"):
        named_source(entry, tmp_path)


@pytest.mark.parametrize(("weight", "counts"), [(1, {1: 8}), (2, {2: 8}), (0.5, {1: 4}), (1.25, {1: 6, 2: 2})])
def test_a_weight_says_how_often_each_is_there(tmp_path: Path, weight: float, counts: dict[int, int]) -> None:
    file = written(tmp_path / "more.jsonl", 8)
    both = mixed(TALKS, [(file, weight)], seed=3)
    assert both[:10] == TALKS
    seen = Counter(messages[0]["content"] for messages in both[10:])
    assert Counter(seen.values()) == counts
    assert mixed(TALKS, [(file, weight)], seed=3) == both
    assert mixed(TALKS, [], seed=3) == TALKS


def test_a_weight_that_takes_nothing_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "more.jsonl", 3)
    with pytest.raises(
        FinetuneError, match=r"data: the weight 0\.1 takes none of the 3 examples in .*more\.jsonl; raise it"
    ):
        mixed(TALKS, [(file, 0.1)], seed=1)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FinetuneError, match=r"more\.jsonl does not exist; give one data file"):
        mixed(TALKS, [(tmp_path / "more.jsonl", 1)], seed=1)


@pytest.mark.slow
def test_general_questions_are_answered_by_the_base_itself_once(
    smollm2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path))
    told: list[tuple[str, int, int]] = []
    first = replayed(smollm2, 5, lambda *progress: told.append(progress))
    assert len(first) == 5
    assert told[0] == ("answering general questions", 0, 5)
    assert told[-1] == ("answering general questions", 5, 5)
    half = len(PROMPTS) // 2
    assert all(messages[0]["content"] in PROMPTS for messages in first)
    assert {messages[0]["content"] in PROMPTS[:half] for messages in first} == {True, False}, "both languages"
    assert all(messages[-1]["content"].strip() for messages in first)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("they are known")

    with monkeypatch.context() as patch:
        patch.setattr("finetune.replay.generate", never)
        assert replayed(smollm2, 5) == first
        assert replayed(smollm2, 2) == first[:2]
    (cached,) = (tmp_path / "replay").iterdir()
    cached.write_text("{broken", encoding="utf-8")
    assert replayed(smollm2, 2) == first[:2], "a damaged cache is made again"


def test_the_prompts_are_as_many_in_both_languages_and_all_different() -> None:
    chinese = [prompt for prompt in PROMPTS if any("一" <= character <= "鿿" for character in prompt)]
    assert len(PROMPTS) == len(set(PROMPTS)) == 2 * len(chinese) >= 100
    assert PROMPTS[len(PROMPTS) // 2 :] == chinese


def config(**settings: Any) -> FinetuneConfig:
    defaults: dict[str, Any] = {
        "learning_rate": 1e-2,
        "gradient_accumulation_steps": 5,
        "lr_scheduler_type": "constant",
    }
    return FinetuneConfig(**{**defaults, **settings})


@pytest.mark.parametrize("settings", [{}, {"method": "ia3", "learning_rate": 5e-2}, {"use_dora": True}])
def test_a_run_continues_from_the_weights_of_another(
    tiny: LoadedModel, tmp_path: Path, settings: dict[str, Any]
) -> None:
    settings = settings | {"gradient_accumulation_steps": len(TALKS)}  # all in each step, so that losses compare
    first = finetune(tiny, TALKS, tmp_path / "first", config(**settings, num_train_epochs=12))
    second = finetune(tiny, TALKS, tmp_path / "second", config(**settings), start=tmp_path / "first")
    anew = finetune(tiny, TALKS, tmp_path / "anew", config(**settings))
    assert second.steps[0].loss < first.steps[-1].loss < anew.steps[0].loss
    before, after = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("first", "second"))
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_what_cannot_be_gone_on_from_says_why(tiny: LoadedModel, tmp_path: Path) -> None:
    finetune(tiny, TALKS, tmp_path / "first", config(num_train_epochs=1))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"r": 4}, "first was trained with r 8, but the new run has 4; use the r, lora_alpha and use_rslora"),
        ({"target_modules": ("q_proj",)}, "the run cannot continue from first: only it has .*k_proj"),
        ({"method": "ia3"}, "the run cannot continue from first: only"),
        ({"lora_alpha": 32.0}, r"first was trained with lora_alpha 16(\.0)?, but the new run has 32"),
        ({"use_rslora": True}, "first was trained with use_rslora False, but the new run has True"),
        ({"from_adapter": "first", "init_lora_weights": "pissa"}, "from_adapter cannot be combined with pissa"),
        ({"from_adapter": "first", "method": "adalora"}, "from_adapter cannot be combined with adalora"),
    ]
    for settings, said in cases:
        with pytest.raises(FinetuneError, match=said):
            finetune(tiny, TALKS, tmp_path / "second", config(**settings), start=tmp_path / "first")
    with pytest.raises(ModelError, match="is not a finished adapter"):
        finetune(tiny, TALKS, tmp_path / "second", config(), start=tmp_path)
    assert not (tmp_path / "second").exists()
