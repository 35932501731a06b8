"""Which examples a forward pass holds; packed examples do not read each other; the rest of the loop's choices."""

import copy
import importlib.util
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from chatglm_samples import write_released

from base_models import load
from base_models.loaded_model import LoadedModel
from base_models.messages import Encoded, examples_of
from domain import FinetuneConfig
from finetune import FinetuneError, finetune
from finetune.batch_plan import plan_batches, shared_prefixes
from finetune.batches import collate, collate_packed
from finetune.data.data_check import is_held_out
from finetune.data.examples import TrainingData
from finetune.objectives import answers, summed_loss
from finetune.trainable_model import TrainableModel
from finetune.training_loop import TrainingTask, mean_loss, train

DRAWN = random.Random(1)
LENGTHS = [DRAWN.randint(5, 200) for _ in range(57)]
EXAMPLES = [Encoded(list(range(length)), [True] * length) for length in LENGTHS]
TALKS = [
    [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    for asked, answer in (
        ("Hi.", "Hello, how can I help you today?"),
        ("What is green tea, in a few words, for a guest who knows only coffee?", "茶。"),
        ("龙井用多热的水?", "八十度, and not a degree more."),
        ("?", "!"),
    )
]


def passes(config: FinetuneConfig) -> list[list[int]]:
    return plan_batches(EXAMPLES, config).micro_batches


@pytest.mark.parametrize("settings", [{}, {"group_by_length": True}, {"packing": True, "max_length": 256}])
@pytest.mark.parametrize("epochs", [1.0, 2.0, 0.5])
def test_every_example_is_read_once_an_epoch(settings: dict[str, Any], epochs: float) -> None:
    config = FinetuneConfig(num_train_epochs=epochs, per_device_train_batch_size=4, **settings)
    counts = Counter(index for indices in passes(config) for index in indices)
    if epochs >= 1:
        assert counts == dict.fromkeys(range(57), epochs)
    else:
        assert (counts.total(), set(counts.values())) == (28, {1})
    assert passes(config) == passes(config)
    assert passes(config) != passes(config.model_copy(update={"seed": 1}))


def test_batches_of_like_length_have_little_padding() -> None:
    def padding(config: FinetuneConfig) -> float:
        batches = passes(config)
        return sum(len(b) * max(LENGTHS[i] for i in b) for b in batches) / sum(LENGTHS) - 1

    config = FinetuneConfig(num_train_epochs=1, per_device_train_batch_size=4)
    assert padding(config) > 0.4
    grouped = config.model_copy(update={"group_by_length": True})
    assert padding(grouped) < 0.1
    firsts = [LENGTHS[batch[0]] for batch in passes(grouped)]
    assert firsts not in (sorted(firsts), sorted(firsts, reverse=True)), "the batches are shuffled"


def test_packed_rows_are_full_and_never_over() -> None:
    config = FinetuneConfig(num_train_epochs=1, packing=True, max_length=256)
    rows = [sum(LENGTHS[index] for index in indices) for indices in passes(config)]
    assert max(rows) <= 256
    assert len(rows) <= -(-sum(LENGTHS) // 256) + 3
    wide = config.model_copy(update={"per_device_train_batch_size": 2})
    assert max(sum(LENGTHS[i] for i in indices) for indices in passes(wide)) > 256


def test_max_steps_ends_a_run_early() -> None:
    config = FinetuneConfig(num_train_epochs=3, max_steps=4)
    steps = plan_batches(EXAMPLES, config).steps
    assert len(steps) == 4
    assert steps == plan_batches(EXAMPLES, config.model_copy(update={"max_steps": 0})).steps[:4]


@pytest.fixture(scope="module")
def families(tiny_folder: Path, released: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder = write_released(tmp_path_factory.mktemp("small") / "chatglm", released)
    return {"llama": load(tiny_folder, dtype="float32"), "chatglm": load(folder, dtype="float32")}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "chatglm"])
def test_packed_examples_have_the_loss_and_gradients_they_have_alone(
    families: dict[str, LoadedModel], family: str, attention: str
) -> None:
    base = families[family]
    model = copy.deepcopy(base.model).requires_grad_(True)
    model.set_attn_implementation(attention)
    text = [{"role": "text", "content": "茶是饮料。 It is hot."}]
    examples = [example for talk in [*TALKS, text] for example in examples_of(base.tokenizer, talk)]

    def outcome(batches: list[dict[str, torch.Tensor]]) -> tuple[float, list[torch.Tensor]]:
        model.zero_grad()
        loss = sum((summed_loss(TrainableModel(model), **batch) for batch in batches), start=torch.zeros(()))
        loss.backward()
        return loss.item(), [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    alone = outcome([collate([example], 0, model.device) for example in examples])
    packed = outcome([collate_packed(model, examples)])
    assert packed[0] == pytest.approx(alone[0], rel=1e-5)
    for one, other in zip(packed[1], alone[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=5e-5)


PASSAGES = "Read this passage:\n" + "Green tea is steeped at eighty degrees, black tea at a hundred. " * 8
ABOUT_PASSAGES = [
    [{"role": "user", "content": PASSAGES + asked}, {"role": "assistant", "content": answer}]
    for asked, answer in (("Green?", "Eighty."), ("And black tea, how hot?", "A hundred degrees."), ("Milk?", "No."))
]


@pytest.mark.parametrize("family", ["llama", "chatglm"])
def test_examples_with_a_common_prefix_hold_it_once_and_train_the_same(
    families: dict[str, LoadedModel], family: str
) -> None:
    base = families[family]
    model = copy.deepcopy(base.model).requires_grad_(True)
    talks = [ABOUT_PASSAGES[0], TALKS[0], *ABOUT_PASSAGES[1:], TALKS[1]]
    examples = [example for talk in talks for example in examples_of(base.tokenizer, talk)]
    config = FinetuneConfig(num_train_epochs=1, packing=True, max_length=1024)
    ((order,),) = plan_batches(examples, config, share_prefixes=family == "llama").steps
    row = collate_packed(model, [examples[index] for index in order])
    alone = sum(len(example.ids) for example in examples)
    length = row["input_ids"].shape[1]
    assert length == alone if family == "chatglm" else length < 0.6 * alone

    def outcome(batches: list[dict[str, torch.Tensor]]) -> tuple[float, list[torch.Tensor]]:
        model.zero_grad()
        loss = sum((summed_loss(TrainableModel(model), **batch) for batch in batches), start=torch.zeros(()))
        loss.backward()
        return loss.item(), [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    together = outcome([row])
    apart = outcome([collate([example], 0, model.device) for example in examples])
    assert together[0] == pytest.approx(apart[0], rel=1e-5)
    for one, other in zip(together[1], apart[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=5e-5)


def test_after_a_full_row_the_next_one_begins_with_the_same_prefix() -> None:
    beginning = list(range(100))
    examples = [Encoded([*beginning, 100 + number, *[7] * 19], [False] * 101 + [True] * 19) for number in range(9)]
    config = FinetuneConfig(num_train_epochs=1, packing=True, max_length=200)
    rows = plan_batches(examples, config, share_prefixes=True).micro_batches
    assert sorted(index for row in rows for index in row) == list(range(9))
    assert sorted(map(len, rows)) == [4, 5], "100 tokens and five times 20 are 200"
    assert all(shared_prefixes([examples[index] for index in row])[1:] == [100] * (len(row) - 1) for row in rows)


@pytest.mark.parametrize("family", ["llama", "chatglm"])
@torch.no_grad()
def test_nothing_that_one_packed_example_says_reaches_another(families: dict[str, LoadedModel], family: str) -> None:
    base = families[family]
    examples = [example for talk in TALKS for example in examples_of(base.tokenizer, talk)]
    first = len(examples[0].ids)
    kept = ("input_ids", "attention_mask", "position_ids")
    batch = collate_packed(base.model, examples)
    before = base.model(**{name: batch[name] for name in kept}).logits[0]
    batch["input_ids"][0, 1] = 1234
    after = base.model(**{name: batch[name] for name in kept}).logits[0]
    assert not torch.equal(before[:first], after[:first])
    torch.testing.assert_close(before[first:], after[first:])


def quick(**settings: Any) -> FinetuneConfig:
    defaults: dict[str, Any] = {
        "learning_rate": 1e-2,
        "num_train_epochs": 6,
        "gradient_accumulation_steps": 2,
        "lr_scheduler_type": "constant",
    }
    return FinetuneConfig(**{**defaults, **settings})


def losses(base: LoadedModel, output: Path, **settings: Any) -> list[float]:
    return [step.loss for step in finetune(base, TALKS, output, quick(**settings)).steps]


def test_gradient_checkpointing_changes_no_number(families: dict[str, LoadedModel], tmp_path: Path) -> None:
    for family, base in families.items():
        plain = losses(base, tmp_path / "a")
        again = losses(base, tmp_path / "b", gradient_checkpointing=True)
        assert again == pytest.approx(plain, rel=1e-5), family
        assert losses(base, tmp_path / "c") == plain, "and is off again afterwards"


def test_a_packed_run_learns(families: dict[str, LoadedModel], tmp_path: Path) -> None:
    for base in families.values():
        told = losses(base, tmp_path / "a", packing=True, max_length=64, gradient_accumulation_steps=1)
        assert told[-1] < told[0] - 0.1


def test_the_8_bit_optimiser_learns_and_resumes_bit_for_bit(
    families: dict[str, LoadedModel], tmp_path: Path, absent: Callable[[str], Any]
) -> None:
    if not importlib.util.find_spec("bitsandbytes"):
        absent("bitsandbytes is not installed")
    settings: dict[str, Any] = {"optim": "adamw_8bit", "r": 16, "target_modules": ("down_proj", "up_proj", "q_proj")}
    config = quick(**settings, num_train_epochs=12, save_steps=1)
    report = finetune(families["llama"], TALKS, tmp_path / "whole", config)
    assert report.steps[-1].loss < report.steps[0].loss - 0.1

    def stop(step: Any) -> None:
        if step.step == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(families["llama"], TALKS, tmp_path / "again", config, on_step=stop)
    again = finetune(families["llama"], TALKS, tmp_path / "again", config)
    assert [step.loss for step in again.steps] == [step.loss for step in report.steps]


def held_out_run(base: LoadedModel, **settings: Any) -> tuple[list[Any], Any, list[Encoded]]:
    """Steps, the trained model, and the held-out examples, which say the contrary of what is learnt."""
    model = copy.deepcopy(base.model).requires_grad_(True)
    examples = [example for talk in TALKS for example in examples_of(base.tokenizer, talk)]
    contrary = [[talk[0], {"role": "assistant", "content": "Never, said the owl."}] for talk in TALKS]
    held_out = [example for talk in contrary for example in examples_of(base.tokenizer, talk)]
    chosen = quick(learning_rate=3e-3, num_train_epochs=20, **settings)
    trainable = TrainableModel(model)
    data = TrainingData(examples, range(1, len(examples) + 1), held_out)
    task = TrainingTask(trainable, answers(trainable, 0), data, plan_batches(examples, chosen), chosen)
    return train(task), model, held_out


def test_the_state_with_the_lowest_held_out_loss_is_kept(families: dict[str, LoadedModel]) -> None:
    steps, model, held_out = held_out_run(families["llama"], eval_steps=4)
    looked = {step.step: step.held_out_loss for step in steps if step.held_out_loss is not None}
    assert list(looked) == list(range(4, 41, 4))
    best = min(looked.values())
    assert looked[40] > best + 0.1, "it was over-fitted in the end"
    assert mean_loss(model, held_out, answers(TrainableModel(model), 0)) == pytest.approx(best, rel=1e-6)


def test_a_run_stops_early_when_the_held_out_loss_does_not_fall(families: dict[str, LoadedModel]) -> None:
    whole, _, _ = held_out_run(families["llama"], eval_steps=2)
    looked = [(step.step, step.held_out_loss) for step in whole if step.held_out_loss is not None]
    best = min(looked, key=lambda pair: pair[1])[0]
    steps, _, _ = held_out_run(families["llama"], eval_steps=2, early_stopping_patience=3)
    assert steps[-1].step == best + 6 < 40
    assert [step.loss for step in steps] == [step.loss for step in whole[: len(steps)]]


def test_a_run_with_held_out_examples_resumes_bit_for_bit(tiny_folder: Path, tmp_path: Path) -> None:
    talks = [
        [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"Answer {n * 7}."}] for n in range(30)
    ]
    config = quick(held_out_share=0.3, eval_steps=3, num_train_epochs=2, save_steps=1, lora_dropout=0.1)
    report = finetune(load(tiny_folder, dtype="float32"), talks, tmp_path / "whole", config)
    assert 15 < report.examples < 30
    assert report.held_out_examples == 30 - report.examples
    assert any(step.held_out_loss is not None for step in report.steps)
    for steps in (4, 11):

        def stop(step: Any, steps: int = steps) -> None:
            if step.step == steps:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            finetune(load(tiny_folder, dtype="float32"), talks, tmp_path / "again", config, on_step=stop)
    again = finetune(load(tiny_folder, dtype="float32"), talks, tmp_path / "again", config)
    assert [s.held_out_loss for s in again.steps] == [s.held_out_loss for s in report.steps]
    weights = "adapter_model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
    written = json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8"))
    assert written["held_out_examples"] == report.held_out_examples


def test_holding_out_all_is_refused(families: dict[str, LoadedModel], tmp_path: Path) -> None:
    talks = ([{"role": "user", "content": f"{n}?"}, TALKS[0][1]] for n in range(50))
    out = [talk for talk in talks if is_held_out(talk, 0.5)]
    with pytest.raises(FinetuneError, match=rf"held_out_share=0\.5 holds out all {len(out)} examples; lower it"):
        finetune(families["llama"], out, tmp_path / "run", quick(held_out_share=0.5))
