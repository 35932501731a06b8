"""Held-out loss and forgetting are what the loop itself would take as loss, with any kind of adapter on the model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from base_models.loaded_model import LoadedModel
from base_models.messages import encode
from domain import FinetuneConfig
from finetune import finetune, likelihoods
from finetune.likelihood import TEXTS, losses
from finetune.replay import KEPT_BACK, kept_back, replayed

TALKS = [
    [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    for asked, answer in (("Which water?", "Eighty degrees."), ("龙井产自哪里?", "杭州。"))
]


def test_the_loss_is_that_of_transformers(tiny: LoadedModel) -> None:
    rows = losses(tiny, None, TALKS)
    for (summed, count), talk in zip(rows, TALKS, strict=True):
        example = encode(tiny.tokenizer, talk)
        ids = torch.tensor([example.ids])
        labels = ids.masked_fill(~torch.tensor([example.labelled]), -100)
        with torch.no_grad():
            mean = tiny.model(input_ids=ids, labels=labels).loss.item()
        assert count == sum(example.labelled)
        assert summed / count == pytest.approx(mean, rel=1e-5)


LEARNT_BEGINNINGS = [{"method": method, "learning_rate": 0.2} for method in ("prefix-tuning", "prompt-tuning")]


@pytest.mark.parametrize("settings", [{}, {"method": "p-tuning"}, *LEARNT_BEGINNINGS])
def test_the_loss_of_a_tuned_model_is_that_of_its_training(
    tiny: LoadedModel, tmp_path: Path, settings: dict[str, Any]
) -> None:
    defaults = {"learning_rate": 3e-2, "gradient_accumulation_steps": 2, "num_train_epochs": 8}
    config = FinetuneConfig(**{**defaults, **settings})
    report = finetune(tiny, TALKS, tmp_path / "run", config)
    rows = losses(tiny, tmp_path / "run", TALKS)
    after = sum(summed for summed, _ in rows) / sum(count for _, count in rows)
    before = sum(summed for summed, _ in losses(tiny, None, TALKS)) / sum(count for _, count in rows)
    assert after < before - 0.05
    assert after <= report.steps[-1].loss + 0.05, "one step after the last that was told"


def test_what_is_kept_back_is_never_replayed(
    smollm2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.replay.generate", lambda base, asked, sampling, batch_size: [Answer() for _ in asked])
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path))
    kept = {talk[0]["content"] for talk in kept_back(smollm2)}
    assert len(kept) == KEPT_BACK
    assert not kept & {talk[0]["content"] for talk in replayed(smollm2, 1000)}


class Answer:
    """Decoding is not what is tested above, and a hundred answers would take minutes."""

    text, stopped = "Yes.", True


@pytest.mark.slow
def test_forgetting_is_seen(smollm2: LoadedModel, tmp_path: Path) -> None:
    """A model that was trained to say owls only finds its own earlier answers, and other texts, less likely."""
    owls = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "owl owl owl"}] for n in range(4)]
    config = FinetuneConfig(learning_rate=5e-3, num_train_epochs=4, gradient_accumulation_steps=2, warmup_steps=0)
    finetune(smollm2, owls, tmp_path / "run", config)
    base, tuned = (likelihoods(smollm2, adapter, owls) for adapter in (None, tmp_path / "run"))

    def mean(rows: list[tuple[float, int]]) -> float:
        return sum(summed for summed, _ in rows) / sum(count for _, count in rows)

    assert len(base["general_text"]) == len(TEXTS) == 4
    assert mean(tuned["held_out"]) < mean(base["held_out"]) - 1
    assert mean(tuned["general_prompts"]) > mean(base["general_prompts"]) + 0.3
    assert mean(tuned["general_text"]) > mean(base["general_text"])
