"""Scores of answers, against figures worked out by hand."""

import json
import random

import numpy as np
import pytest

from assistant.metrics import bootstrap, mean, ratio, token_f1, tokens


def test_tokens_are_words_and_numbers_in_english_and_characters_in_chinese():
    assert tokens("LoRA's rank: 0.39, r=8!") == ["lora", "s", "rank", "0.39", "r", "8"]
    assert tokens("秩 r 取 8。") == ["秩", "r", "取", "8"]
    assert tokens("。,!") == []


@pytest.mark.parametrize(
    ("answer", "gold", "f1"),
    [
        ("the rank is 8", "rank 8", 2 * 2 / (4 + 2)),  # both gold words of four said
        ("rank rank rank", "rank", 2 * 1 / (3 + 1)),  # repeating a word earns it once
        ("秩是八", "秩为八", 2 * 2 / (3 + 3)),
        ("r 的秩是 8", "秩是 8", 2 * 3 / (5 + 3)),
        ("Rank 8", "RANK 8!", 1.0),
        ("bananas", "rank", 0.0),
        ("", "rank", 0.0),
        ("", "", 0.0),
    ],
)
def test_token_f1_by_hand(answer, gold, f1):
    assert token_f1(answer, gold) == pytest.approx(f1)


def test_the_interval_of_a_mean_is_that_of_theory():
    rows = [0.0] * 200 + [1.0] * 200
    value, low, high = bootstrap(rows, mean)
    error = 1.96 * 0.5 / np.sqrt(400)
    assert value == 0.5
    assert low == pytest.approx(0.5 - error, abs=0.01)
    assert high == pytest.approx(0.5 + error, abs=0.01)


def test_the_interval_covers_the_truth_about_as_often_as_it_promises():
    chance = random.Random(1)
    samples = [[float(chance.random() < 0.3) for _ in range(60)] for _ in range(100)]
    covered = sum(low <= 0.3 <= high for _, low, high in (bootstrap(sample, mean) for sample in samples))
    assert covered >= 88


def test_a_ratio_counts_all_questions_together():
    rows = [(1, 1), (0, 3), (2, 2)]
    value, low, high = bootstrap(rows, ratio)
    assert value == pytest.approx(3 / 6)
    assert low < value < high


def test_the_same_rows_give_the_same_interval():
    rows = [0.1, 0.9, 0.4]
    assert bootstrap(rows, mean) == bootstrap(rows, mean)


@pytest.mark.parametrize(("rows", "statistic"), [([], mean), ([(0, 0), (0, 0)], ratio)])
def test_without_anything_to_count_there_is_no_figure(rows, statistic):
    assert bootstrap(rows, statistic) is None
    assert json.dumps(bootstrap(rows, statistic), allow_nan=False) == "null"
