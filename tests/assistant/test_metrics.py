"""Scores of answers, against figures worked out by hand."""

import json
import random

import numpy as np
import pytest

from assistant.evaluation.metrics import bleu4, bootstrap, exact_match, mean, ratio, rouge, token_f1, tokens, words


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


def test_words_are_those_of_both_languages() -> None:
    assert words("用80度的水泡龙井茶, in a Glass!") == ["用", "80", "度", "的", "水泡", "龙井茶", "in", "a", "glass"]


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("Eighty degrees.", "eighty degrees", True),
        ("八十度。", "八十度", True),
        ("80", "eighty", False),
        ("度八十", "八十度", False),
    ],
)
def test_exact_match_looks_at_words_alone(answer: str, gold: str, same: bool) -> None:
    assert exact_match(answer, gold) is same


def test_rouge_by_hand() -> None:
    # six words and five, four of them shared; of the pairs "the cat" and "on the"; longest in order: the cat on the
    scores = rouge("the cat sat on the mat", "the cat lay on the")
    assert scores == pytest.approx({"rouge1": 8 / 11, "rouge2": 4 / 9, "rougeL": 8 / 11})
    assert rouge("茶 热", "热 茶") == pytest.approx({"rouge1": 1, "rouge2": 0, "rougeL": 0.5})
    assert rouge("", "a") == rouge("a", "") == {"rouge1": 0, "rouge2": 0, "rougeL": 0}


def test_bleu_is_one_for_the_same_and_falls_with_what_differs() -> None:
    gold = "use water of eighty degrees and wait for two minutes"
    assert bleu4(gold, gold) == pytest.approx(1)
    near, far = bleu4("use water of ninety degrees and wait for two minutes", gold), bleu4("wait for the water", gold)
    assert 1 > near > far > 0
    assert bleu4("", gold) == bleu4("nothing else", gold) == 0
    assert bleu4("用八十度的水泡龙井茶,等两分钟。", "用八十度的水泡龙井茶,等两分钟") == pytest.approx(1)
