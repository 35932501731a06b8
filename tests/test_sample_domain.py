"""The sample domain keeps its promises: enough pages in both languages, questions that test what was not trained."""

import re
from collections import Counter
from pathlib import Path

import pytest

from base_models import CATALOGUE
from domain import Domain, Question, read_questions

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "peft-handbook"
LANGUAGES = ("en", "zh")
HAN = "\u3400-\u4dbf\u4e00-\u9fff"
WORDS = {"en": (300, 800), "zh": (600, 1200)}
"""By `split()` in English; in Chinese each Han character and each Latin word is one."""


@pytest.fixture(scope="module")
def sample() -> Domain:
    return Domain.open(SAMPLE)


@pytest.fixture(scope="module")
def train(sample: Domain) -> list[Question]:
    return read_questions(sample.train_questions)


@pytest.fixture(scope="module")
def held_out(sample: Domain) -> list[Question]:
    return read_questions(sample.held_out_questions)


def words(text: str, language: str) -> int:
    return len(text.split()) if language == "en" else len(re.findall(rf"[{HAN}]|[A-Za-z0-9][\w.'-]*", text))


def features(text: str) -> set[str]:
    """Its words and its pairs of Chinese characters."""
    runs = re.findall(rf"[{HAN}]+", text)
    return {*re.findall(r"[a-z0-9]+", text.lower()), *(run[n : n + 2] for run in runs for n in range(len(run) - 1))}


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def test_its_settings_name_models_of_the_catalogue_and_no_run(sample: Domain) -> None:
    assert CATALOGUE[sample.settings.base_model].kind == "chat"
    assert CATALOGUE[sample.settings.embedder].kind == "embedder"
    assert sample.settings.adapter == "reader", "nothing in adapters/, and the shipped reader where there is one"


def test_every_topic_has_a_page_in_both_languages(sample: Domain) -> None:
    topics = [{page.name for page in (sample.documents / language).iterdir()} for language in LANGUAGES]
    assert topics[0] == topics[1]
    assert len(topics[0]) >= 16
    assert {folder.name for folder in sample.documents.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_has_a_title_and_a_good_length_in_its_language(sample: Domain, language: str) -> None:
    least, most = WORDS[language]
    for page in (sample.documents / language).iterdir():
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# "), page.name
        assert least <= words(text, language) <= most, page.name
        share = len(re.findall(f"[{HAN}]", text)) / words(text, language)
        assert share < 0.05 if language == "en" else share > 0.6, page.name


def test_there_are_enough_questions_of_each_kind(train: list[Question], held_out: list[Question]) -> None:
    assert len(train) >= 200
    assert len(held_out) >= 80
    assert Counter((question.language, question.answerable) for question in held_out) == {
        ("en", True): 32,
        ("zh", True): 32,
        ("en", False): 8,
        ("zh", False): 8,
    }
    for language in LANGUAGES:
        mine = [question for question in train if question.language == language]
        assert len(mine) >= 80
        assert sum(bool(question.history) for question in mine) >= 10, "some are of several turns"
        assert sum(not question.answerable for question in mine) >= 10, "some must be refused"


def test_an_answerable_question_names_a_page_of_its_language_and_another_none(
    sample: Domain, train: list[Question], held_out: list[Question]
) -> None:
    for question in [*train, *held_out]:
        assert bool(question.document) == question.answerable, question.id
        if question.document:
            assert question.document.startswith(f"{question.language}/"), question.id
            assert (sample.documents / question.document).is_file(), question.id


def test_every_page_is_asked_about(sample: Domain, train: list[Question], held_out: list[Question]) -> None:
    pages = {page.relative_to(sample.documents).as_posix() for page in sample.documents.rglob("*.md")}
    assert {question.document for question in train} == {*pages, None}
    assert {question.document for question in held_out} == {*pages, None}


def test_a_refusal_is_the_sentence_that_the_assistant_says(train: list[Question], held_out: list[Question]) -> None:
    for language in LANGUAGES:
        refusal = (ROOT / "assistant" / "prompts" / language / "refusal.txt").read_text(encoding="utf-8").strip()
        for question in [*train, *held_out]:
            if question.language == language:
                assert (question.answer == refusal) == (not question.answerable), question.id


def test_a_question_is_asked_and_answered_in_its_language(train: list[Question], held_out: list[Question]) -> None:
    for question in [*train, *held_out]:
        for text in (question.text, question.answer):
            assert bool(re.search(f"[{HAN}]", text)) == (question.language == "zh"), question.id


def test_no_held_out_question_is_nearly_one_that_was_trained(train: list[Question], held_out: list[Question]) -> None:
    trained = [
        (question.id, features(message["content"]))
        for question in train
        for message in question.messages
        if message["role"] == "user"
    ]
    near = [
        (question.id, identity)
        for question in held_out
        for identity, known in trained
        if jaccard(features(question.text), known) >= 0.6
    ]
    assert near == []


def test_near_copies_would_be_found() -> None:
    """Of the measure itself: a few words changed are a near-copy, another question about the same is none."""
    assert jaccard(features("What is the rank r in LoRA?"), features("So what is the rank r in LoRA")) >= 0.6
    assert jaccard(features("LoRA 里的秩 r 是什么意思?"), features("LoRA 里的秩 r 是什么?")) >= 0.6
    assert jaccard(features("LoRA 里的秩 r 是什么意思?"), features("怎样选择 LoRA 的秩?")) < 0.6


def test_no_held_out_question_is_asked_twice(held_out: list[Question]) -> None:
    assert [text for text, count in Counter(question.text for question in held_out).items() if count > 1] == []
