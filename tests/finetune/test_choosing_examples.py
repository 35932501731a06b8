"""Which conversations a run is trained on, and how they are batched."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from base_models.messages import Encoded, encode
from domain import FinetuneConfig
from finetune import FinetuneError
from finetune.batches import IGNORED, collate
from finetune.data.examples import TrainingData, choose_examples

CONVERSATIONS = [
    [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": f"第 {number} 问: what follows {'and ' * number}so on?"},
        {"role": "assistant", "content": f"答案 {number + 1}."},
    ]
    for number in range(12)
]


@pytest.fixture(scope="module")
def tokenizer(tiny_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_folder)


@pytest.fixture(scope="module")
def lengths(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [len(encode(tokenizer, conversation).ids) for conversation in CONVERSATIONS]


def tokens_of(data: TrainingData) -> int:
    """Tokens of one epoch."""
    return sum(len(example.ids) for example in data.examples)


def test_all_are_taken_where_nothing_bounds_them(tokenizer: PreTrainedTokenizerBase, lengths: list[int]) -> None:
    chosen = choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig())
    assert sorted(chosen.numbers) == list(range(1, 13))
    assert (chosen.too_long, chosen.over_budget) == (0, 0)
    assert tokens_of(chosen) == sum(lengths)
    assert chosen.labelled_tokens == sum(
        len(tokenizer(conversation[-1]["content"]).input_ids) + 1 for conversation in CONVERSATIONS
    )


def test_each_is_the_encoded_conversation_of_its_number(tokenizer: PreTrainedTokenizerBase) -> None:
    chosen = choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig(max_train_tokens=600))
    assert len(chosen.numbers) == len(chosen.examples) < 12
    for number, example in zip(chosen.numbers, chosen.examples, strict=True):
        assert example == encode(tokenizer, CONVERSATIONS[number - 1])


def test_the_seed_decides_the_order(tokenizer: PreTrainedTokenizerBase) -> None:
    def numbers(seed: int) -> list[int]:
        return choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig(seed=seed)).numbers

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)
    assert numbers(1) != sorted(numbers(1))


@pytest.mark.parametrize("epochs", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("budget", [300, 700, 2000])
def test_a_budget_counts_all_epochs_and_is_used_up(
    tokenizer: PreTrainedTokenizerBase, lengths: list[int], budget: int, epochs: float
) -> None:
    config = FinetuneConfig(max_train_tokens=budget, num_train_epochs=epochs)
    chosen = choose_examples(tokenizer, CONVERSATIONS, config)
    assert tokens_of(chosen) * epochs <= budget
    assert chosen.over_budget == 12 - len(chosen.examples)
    left_out = [length for number, length in enumerate(lengths, start=1) if number not in chosen.numbers]
    assert all((tokens_of(chosen) + length) * epochs > budget for length in left_out)


def test_one_giant_does_not_keep_the_others_out_of_the_budget(
    tokenizer: PreTrainedTokenizerBase, lengths: list[int]
) -> None:
    giant = [{"role": "user", "content": "and " * 1000}, {"role": "assistant", "content": "Yes."}]
    for seed in range(3):
        config = FinetuneConfig(max_train_tokens=sum(lengths), num_train_epochs=1, seed=seed)
        chosen = choose_examples(tokenizer, [giant, *CONVERSATIONS], config)
        assert sorted(chosen.numbers) == list(range(2, 14))
        assert chosen.over_budget == 1


def test_a_bounded_run_sees_a_sample_not_the_beginning(tokenizer: PreTrainedTokenizerBase) -> None:
    seen = {
        tuple(sorted(choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig(max_train_tokens=500, seed=s)).numbers))
        for s in range(5)
    }
    assert len(seen) > 1


def test_what_is_too_long_is_left_out_and_counted(tokenizer: PreTrainedTokenizerBase, lengths: list[int]) -> None:
    bound = max(sorted(lengths)[8], 64)
    longer = [number for number, length in enumerate(lengths, start=1) if length > bound]
    giant = [{"role": "user", "content": "and " * 100}, {"role": "assistant", "content": "Yes."}]
    chosen = choose_examples(tokenizer, [*CONVERSATIONS, giant], FinetuneConfig(max_length=bound))
    assert chosen.too_long == len(longer) + 1
    assert not set(chosen.numbers) & {*longer, 13}
    assert max(len(example.ids) for example in chosen.examples) <= bound


def test_unusable_examples_are_refused_with_the_reason(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(FinetuneError, match=r"there are no examples to train on; write questions/train\.jsonl first"):
        choose_examples(tokenizer, [], FinetuneConfig())
    long = [[{"role": "user", "content": "and " * 100}, {"role": "assistant", "content": "Yes."}]]
    with pytest.raises(FinetuneError, match="all 1 examples are longer than max_length=64 tokens; raise it"):
        choose_examples(tokenizer, long, FinetuneConfig(max_length=64))
    with pytest.raises(FinetuneError, match=r"max_train_tokens=50 is too low: .* has \d+ tokens, and num_train_"):
        choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig(max_train_tokens=50))
    with pytest.raises(FinetuneError, match="example 13 does not end with an answer of the assistant"):
        choose_examples(tokenizer, [*CONVERSATIONS, CONVERSATIONS[0][:2]], FinetuneConfig())


def test_the_hash_of_the_data_is_that_of_every_id_and_label_in_order(tokenizer: PreTrainedTokenizerBase) -> None:
    def sha256(conversations: list[list[dict[str, str]]], **settings: int) -> str:
        return choose_examples(tokenizer, conversations, FinetuneConfig(**settings)).sha256()

    known = sha256(CONVERSATIONS)
    assert known == sha256([list(conversation) for conversation in CONVERSATIONS])
    assert known != sha256(CONVERSATIONS, seed=1)
    assert known != sha256(CONVERSATIONS[:-1])
    question = {**CONVERSATIONS[-1][1], "content": CONVERSATIONS[-1][1]["content"].replace("?", "!")}
    changed = [*CONVERSATIONS[:-1], [CONVERSATIONS[-1][0], question, CONVERSATIONS[-1][2]]]
    assert known != sha256(changed), "as many tokens, the same labels, one other id"


def test_a_batch_is_padded_on_the_right_and_labels_only_the_answers() -> None:
    short = Encoded([5, 6, 7], [False, True, True])
    long = Encoded([8, 9, 10, 11, 12], [False, True, False, False, True])
    batch = collate([short, long], pad_token_id=0, device=torch.device("cpu"))
    assert batch["input_ids"].tolist() == [[5, 6, 7, 0, 0], [8, 9, 10, 11, 12]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch["labels"].tolist() == [
        [IGNORED, 6, 7, IGNORED, IGNORED],
        [IGNORED, 9, IGNORED, IGNORED, 12],
    ]


GENERAL = [
    [{"role": "user", "content": f"Say {word}."}, {"role": "assistant", "content": f"{word}."}]
    for word in ("red", "blue", "green", "white")
]


def test_general_conversations_are_mixed_with_the_others(tokenizer: PreTrainedTokenizerBase) -> None:
    chosen = choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig(), GENERAL)
    assert sorted(chosen.numbers) == list(range(1, 17))
    assert set(chosen.numbers[-4:]) != {13, 14, 15, 16}
    assert chosen.over_budget == 0


def test_a_general_conversation_that_is_too_long_is_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    long = [{"role": "user", "content": "Say " + "red " * 300}, {"role": "assistant", "content": "red."}]
    chosen = choose_examples(tokenizer, CONVERSATIONS, FinetuneConfig(max_length=128), [long, *GENERAL])
    assert 13 not in chosen.numbers
    assert {14, 15, 16, 17} <= set(chosen.numbers)
    assert max(len(example.ids) for example in chosen.examples) <= 128


@pytest.mark.parametrize(("share", "learnt"), [(0.0, 0), (0.1, 1), (0.9, 4)])
def test_of_a_bounded_run_general_conversations_get_their_share(
    tokenizer: PreTrainedTokenizerBase, lengths: list[int], share: float, learnt: int
) -> None:
    longest = max(len(encode(tokenizer, talk).ids) for talk in GENERAL)
    budget = max(11 * longest, sum(lengths) // 2)
    config = FinetuneConfig(max_train_tokens=budget, num_train_epochs=1, replay_share=share)
    chosen = choose_examples(tokenizer, CONVERSATIONS, config, GENERAL)
    assert tokens_of(chosen) <= budget
    general = [example for example, number in zip(chosen.examples, chosen.numbers, strict=True) if number > 12]
    assert len(general) >= learnt
    assert sum(len(example.ids) for example in general) <= share * budget
    assert chosen.over_budget == 12 - (len(chosen.examples) - len(general))
