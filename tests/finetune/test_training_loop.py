"""The loop: its loss and gradients are those of plain transformers, whatever the batches; it stops on NaN."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from base_models.loaded_model import LoadedModel
from base_models.messages import Encoded, encode
from domain import FinetuneConfig
from finetune import FinetuneError, Step
from finetune import training_loop as loop
from finetune.batch_plan import plan_batches
from finetune.batches import IGNORED, collate
from finetune.data.examples import TrainingData
from finetune.objectives import answers, summed_loss
from finetune.trainable_model import TrainableModel
from finetune.training_loop import TrainingTask

PAD = 0
CPU = torch.device("cpu")


def train(
    model: Any,
    examples: Sequence[Encoded],
    settings: FinetuneConfig,
    on_step: Callable[[Step], None] | None = None,
    numbers: Sequence[int] = (1, 2, 3, 4, 5, 6),
) -> list[Step]:
    """The loop on all parameters of a model, with the objective of answers."""
    trainable = TrainableModel(model)
    data = TrainingData(list(examples), numbers)
    task = TrainingTask(trainable, answers(trainable, PAD), data, plan_batches(examples, settings), settings)
    return loop.train(task, on_step=on_step)


@pytest.fixture
def model(tiny: LoadedModel) -> Any:
    """A copy of the tiny model of which every weight is trained."""
    return copy.deepcopy(tiny.model).requires_grad_(True)


@pytest.fixture
def examples(tiny: LoadedModel) -> list[Encoded]:
    """Conversations of different lengths, with different shares to learn, one of several turns."""
    turns = [
        ["Hi.", "Hello, how can I help you today?"],
        ["What is green tea, in a few words, for a guest who knows only coffee?", "茶。"],
        ["One?", "Two.", "Three?", "Four, and after that five and six and seven."],
    ]
    roles = ["user", "assistant"]
    return [
        encode(tiny.tokenizer, [{"role": roles[n % 2], "content": text} for n, text in enumerate(talk)])
        for talk in turns
    ]


def config(**settings: Any) -> FinetuneConfig:
    defaults: dict[str, Any] = {
        "num_train_epochs": 1,
        "gradient_accumulation_steps": 1,
        "warmup_steps": 0,
        "lr_scheduler_type": "constant",
        "learning_rate": 1e-3,
    }
    return FinetuneConfig(**{**defaults, **settings})


def transformers_loss(model: Any, examples: Sequence[Encoded]) -> torch.Tensor:
    """What transformers itself takes as the loss of these examples: the mean over all labelled tokens."""
    return model(**collate(examples, PAD, CPU)).loss


def gradients_of_training(model: Any, examples: Sequence[Encoded], settings: FinetuneConfig) -> dict[str, torch.Tensor]:
    """The gradient of each weight, summed over the backward passes of one training."""
    sums = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}

    def adds_up(total: torch.Tensor) -> Callable[[torch.Tensor], None]:
        def hook(gradient: torch.Tensor) -> None:
            total.add_(gradient)

        return hook

    for name, parameter in model.named_parameters():
        parameter.register_hook(adds_up(sums[name]))
    assert len(train(model, examples, settings)) == 1
    return sums


def test_the_first_loss_is_that_of_transformers(model: Any, examples: list[Encoded]) -> None:
    for example in examples:
        wanted = transformers_loss(model, [example]).item()
        (step,) = train(copy.deepcopy(model), [example], config())
        assert step.loss == pytest.approx(wanted, rel=1e-5)


def test_the_loss_of_a_step_is_the_mean_over_its_labelled_tokens(model: Any, examples: list[Encoded]) -> None:
    """Not the mean of means: a short answer weighs less than a long one, however they fall into forward passes."""
    wanted = transformers_loss(model, examples).item()
    means = [transformers_loss(model, [example]).item() for example in examples]
    assert sum(means) / 3 != pytest.approx(wanted, rel=1e-4)
    for batch, accumulation in [(3, 1), (1, 3), (2, 2)]:
        settings = config(per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation)
        (step,) = train(copy.deepcopy(model), examples, settings)
        assert step.loss == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("batch", "accumulation"), [(2, 1), (1, 2)])
def test_gradients_are_those_of_transformers_however_batched(
    model: Any, examples: list[Encoded], batch: int, accumulation: int
) -> None:
    pair = examples[:2]
    plain = copy.deepcopy(model)
    transformers_loss(plain, pair).backward()
    settings = config(per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation)
    sums = gradients_of_training(model, pair, settings)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(sums[name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_the_head_runs_only_on_labelled_positions_and_the_loss_is_the_same(model: Any, examples: list[Encoded]) -> None:
    batch = collate(examples, PAD, CPU)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    wanted = cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )
    wanted_gradients = torch.autograd.grad(wanted, list(model.parameters()))
    seen: list[int] = []
    model.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    loss = summed_loss(TrainableModel(model), **batch)
    torch.testing.assert_close(loss, wanted)
    for got, expected in zip(torch.autograd.grad(loss, list(model.parameters())), wanted_gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert seen == [(batch["labels"] != IGNORED).any(dim=0).sum()]
    assert seen[0] < batch["input_ids"].shape[1] * 0.8


def test_the_steps_are_those_of_adamw_by_hand(model: Any, examples: list[Encoded]) -> None:
    """Three steps over all examples: gradients start from zero each time, decay and norm are as set."""
    plain = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3, weight_decay=0.5)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = transformers_loss(plain, examples)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    settings = config(num_train_epochs=3, gradient_accumulation_steps=3, weight_decay=0.5, max_grad_norm=0.5)
    assert [step.loss for step in train(model, examples, settings)] == pytest.approx(losses, rel=1e-4)
    assert losses[0] > losses[1] > losses[2]


def test_training_again_gives_the_same_bits(model: Any, examples: list[Encoded]) -> None:
    other = copy.deepcopy(model)
    settings = config(num_train_epochs=3)
    first, second = (train(m, examples, settings) for m in (model, other))
    assert [step.loss for step in first] == [step.loss for step in second]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def rows_read(model: Any, examples: list[Encoded], settings: FinetuneConfig) -> tuple[list[int], list[Step]]:
    """Which example each forward pass read (batches of one), and the steps."""
    read: list[int] = []
    ids = [example.ids for example in examples]

    def note(_module: Any, _arguments: Any, keywords: dict[str, Any]) -> None:
        read.append(ids.index(keywords["input_ids"][0].tolist()))

    model.register_forward_pre_hook(note, with_kwargs=True)
    return read, train(model, examples, settings)


@pytest.mark.parametrize(("epochs", "count"), [(0.5, 3), (1.0, 6), (1.5, 9), (2.0, 12), (0.01, 1)])
def test_a_fraction_of_an_epoch_reads_that_share_of_the_examples(
    model: Any, tiny: LoadedModel, epochs: float, count: int
) -> None:
    talks = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}] for n in range(6)]
    examples = [encode(tiny.tokenizer, talk) for talk in talks]
    read, steps = rows_read(model, examples, config(num_train_epochs=epochs, gradient_accumulation_steps=2))
    assert len(read) == count
    for start in range(0, count, 6):
        epoch = read[start : start + 6]
        assert len(set(epoch)) == len(epoch), "no example is read twice in an epoch"
    if epochs == 2:
        assert read[:6] != read[6:], "every epoch has an order of its own"
    assert steps[-1].steps == len(steps) == -(-count // 2)
    assert steps[-1].tokens == sum(len(examples[index].ids) for index in read)
    assert (steps[-1].seconds_left, steps[0].seconds_left > 0) == (0, len(steps) > 1)


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({"lr_scheduler_type": "constant"}, [1, 1, 1, 1, 1, 1]),
        ({"lr_scheduler_type": "linear", "warmup_steps": 2}, [0, 0.5, 1, 0.75, 0.5, 0.25]),
        ({"lr_scheduler_type": "linear", "warmup_steps": 0.3}, [0, 0.5, 1, 0.75, 0.5, 0.25]),
        ({"lr_scheduler_type": "cosine"}, [1, 0.933, 0.75, 0.5, 0.25, 0.067]),
    ],
)
def test_the_learning_rate_rises_and_falls_as_set(
    model: Any, examples: list[Encoded], settings: dict[str, Any], shares: list[float]
) -> None:
    live: list[Step] = []
    steps = train(model, examples, config(num_train_epochs=2, learning_rate=1e-4, **settings), live.append)
    assert [step.learning_rate / 1e-4 for step in steps] == pytest.approx(shares, abs=1e-3)
    assert live == steps
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]


def test_a_run_of_one_step_learns_also_with_a_warm_up(model: Any, examples: list[Encoded]) -> None:
    before = transformers_loss(model, examples).item()
    settings = config(gradient_accumulation_steps=8, warmup_steps=0.05, lr_scheduler_type="cosine")
    (step,) = train(model, examples, settings)
    assert step.learning_rate == 1e-3
    assert transformers_loss(model, examples).item() < before


def test_gradients_are_scaled_down_to_their_norm(model: Any, examples: list[Encoded]) -> None:
    seen: list[float] = []
    step = torch.optim.AdamW.step

    def watched(self: torch.optim.AdamW, *arguments: Any) -> Any:
        gradients = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        seen.append(torch.cat(gradients).norm().item())
        return step(self, *arguments)

    for bound in (0.01, 1e9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", watched)
            train(model, examples[:1], config(max_grad_norm=bound))
    assert seen[0] == pytest.approx(0.01, rel=1e-3)
    assert seen[1] > 0.1


def test_an_absurd_learning_rate_stops_the_run_and_says_so(model: Any, examples: list[Encoded]) -> None:
    done: list[Step] = []
    with pytest.raises(
        FinetuneError,
        match=r"the loss became (nan|inf) at step 2 on example (7|8|9); no adapter was saved\. Lower learning_rate",
    ):
        train(model, examples, config(learning_rate=1e30), done.append, numbers=[7, 8, 9])
    assert len(done) == 1


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_are_spoilt(
    model: Any, examples: list[Encoded]
) -> None:
    model.lm_head.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        FinetuneError, match=r"the gradient became (nan|inf) at step 1 on example \d, \d, \d; no adapter"
    ):
        train(model, examples, config(gradient_accumulation_steps=3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
