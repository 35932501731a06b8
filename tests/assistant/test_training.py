"""Questions become training examples: what is trained is what will be asked."""

import random
import shutil
from collections import Counter
from dataclasses import replace

import pytest

from assistant.answering.citations import support
from assistant.answering.pipeline import Asked, search, search_query, show
from assistant.answering.prompts import Prompts
from assistant.training_examples import SUPPORTS, training_conversations
from domain import FinetuneConfig, Question, read_questions, set_setting
from indexes import Index

ALL_GROUNDED = FinetuneConfig(retrieved_share=1.0)


@pytest.fixture(scope="module")
def prompts(assistant) -> Prompts:
    return assistant.prompts


@pytest.fixture(scope="module")
def questions(assistant) -> list[Question]:
    return read_questions(assistant.domain.train_questions)


@pytest.fixture(scope="module")
def passages(assistant):
    """All passages of the domain, by their text."""
    return {passage.text: passage for passage in assistant.index.search("LoRA", k=100)}


def shown_in(conversation, passages) -> list:
    """The passages that stand in the last question of an example, in the order of its numbers."""
    asked = conversation[-2]["content"]
    found = [passage for text, passage in passages.items() if text in asked]
    return sorted(found, key=lambda passage: asked.index(passage.text))


def is_grounded(conversation) -> bool:
    return "[1]" in conversation[-2]["content"]


def is_refusal(conversation, prompts) -> bool:
    return conversation[-1]["content"] in {prompts.refusal("en"), prompts.refusal("zh")}


def test_about_the_chosen_share_is_shown_with_passages(assistant, prompts, questions):
    answerable = [question for question in questions if question.answerable]
    for share in (0.0, 0.5, 1.0):
        examples = training_conversations(
            assistant.index, prompts, answerable, FinetuneConfig(retrieved_share=share, seed=3)
        )
        assert len(examples) == len(answerable)
        assert sum(map(is_grounded, examples)) / len(examples) == pytest.approx(share, abs=0.2)


def test_an_example_without_passages_asks_for_the_answer_by_heart(assistant, prompts, questions):
    (question,) = [question for question in questions if question.id == "train-en-lora-1"]
    (example,) = training_conversations(assistant.index, prompts, [question], FinetuneConfig(retrieved_share=0.0))
    assert example == [
        *prompts.answering(Asked(question.text), None),
        {"role": "assistant", "content": question.answer},
    ]


def test_the_right_passage_is_among_those_shown_and_the_answer_is_the_gold_one(assistant, prompts, questions, passages):
    answerable = [question for question in questions if question.answerable]
    examples = training_conversations(assistant.index, prompts, answerable, ALL_GROUNDED)
    refused = 0
    for question, example in zip(answerable, examples, strict=True):
        shown = shown_in(example, passages)
        if is_refusal(example, prompts):
            refused += 1
            continue
        assert example[-1]["content"] == question.answer
        found = search(assistant.index, [Asked.of(question)])[0]
        of_its_page = [passage for passage in found if passage.document == question.document]
        right = max(of_its_page, key=lambda passage: support(question.answer, passage))
        assert right.id in {passage.id for passage in shown}
        if len(shown) < assistant.domain.settings.retrieval.k:  # only where no more of those found would have fitted
            used = sum(len(assistant.index.embedder.token_offsets(passage.text)) for passage in shown)
            longest = max(len(assistant.index.embedder.token_offsets(passage.text)) for passage in found)
            assert used + longest > assistant.domain.settings.retrieval.context_tokens
    assert refused < 0.3 * len(examples)


def test_the_shares_of_refusals_are_settings(assistant, prompts, questions):
    answerable = [question for question in questions if question.answerable]

    def refusals(asked: list[Question], **shares: float) -> int:
        config = FinetuneConfig(retrieved_share=1.0, **shares)
        return sum(is_refusal(one, prompts) for one in training_conversations(assistant.index, prompts, asked, config))

    assert refusals(answerable, distractors_share=1.0) == len(answerable)
    none = refusals(answerable, distractors_share=0.0)  # but where the search did not find the page at all
    assert none < 0.05 * len(answerable)
    allowed = min(len(answerable), len(questions) - len(answerable))
    assert refusals(questions, distractors_share=0.0, unanswerable_share=0.0) == none
    assert refusals(questions, distractors_share=0.0, unanswerable_share=1.0) == none + allowed


def test_with_shared_passages_questions_about_the_same_passages_are_shown_the_same_ones(
    assistant, prompts, questions, passages
):
    config = FinetuneConfig(retrieved_share=1.0, shared_passages=True)
    apart = training_conversations(assistant.index, prompts, questions, ALL_GROUNDED)
    shared = training_conversations(assistant.index, prompts, questions, config)
    assert [example[-1] for example in shared] == [example[-1] for example in apart], "the answers are the same"

    def sets(examples) -> int:
        return len({tuple(passage.id for passage in shown_in(example, passages)) for example in examples})

    assert sets(shared) < 0.8 * sets(apart)
    by_text = {question.text: question for question in questions}
    for example in shared:
        question = next(q for text, q in by_text.items() if example[-2]["content"].endswith(text))
        documents = {passage.document for passage in shown_in(example, passages)}
        assert is_refusal(example, prompts) != (question.document in documents)


def test_the_right_passage_is_shown_where_only_one_fits(handbook, questions, tmp_path):
    folder = shutil.copytree(handbook, tmp_path / "handbook")
    set_setting(folder / "domain.toml", "retrieval.context_tokens", 64)
    answerable = [question for question in questions if question.answerable and question.document]
    with Index.open(folder) as index:
        prompts = Prompts(index.domain)
        found = search(index, list(map(Asked.of, answerable)))
        late = [q for q, passages in zip(answerable, found, strict=True) if passages[0].document != q.document]
        assert late, "questions whose page does not come first"
        by_text = {passage.text: passage for passages in found for passage in passages}
        for question, example in zip(late, training_conversations(index, prompts, late, ALL_GROUNDED), strict=True):
            shown = [passage for text, passage in by_text.items() if text in example[-2]["content"]]
            assert is_refusal(example, prompts) or question.document in {passage.document for passage in shown}


def test_examples_are_what_the_chain_would_ask(assistant, prompts, questions):
    (question,) = [question for question in questions if question.id == "train-zh-qlora-nf4-2"]
    for seed in range(20):
        config = FinetuneConfig(retrieved_share=1.0, seed=seed)
        (example,) = training_conversations(assistant.index, prompts, [question], config)
        found = show(assistant.index, assistant.index.search(question.text))
        if example[:-1] == prompts.answering(Asked(question.text), found):
            return
    pytest.fail("no seed renders the question as the chain does")


def test_where_no_passage_answers_the_answer_is_the_refusal(assistant, prompts, questions, passages):
    answerable = [question for question in questions if question.answerable]
    distracted = 0
    for seed in range(6):
        config = FinetuneConfig(retrieved_share=1.0, seed=seed)
        examples = training_conversations(assistant.index, prompts, answerable, config)
        for question, example in zip(answerable, examples, strict=True):
            if is_refusal(example, prompts):
                distracted += 1
                shown = shown_in(example, passages)
                assert question.document not in {passage.document for passage in shown}
                assert all(support(question.answer, passage) < SUPPORTS for passage in shown)
                assert example[-1]["content"] == prompts.refusal(prompts.language(question.text))
    assert 0 < distracted < 0.3 * 6 * len(answerable)


def test_unanswerable_questions_are_few_always_grounded_and_refused_in_their_language(assistant, prompts, questions):
    answerable = {question.text for question in questions if question.answerable}
    examples = training_conversations(assistant.index, prompts, questions, ALL_GROUNDED)
    unanswerable = [example for example in examples if not any(text in example[-2]["content"] for text in answerable)]
    assert 1 <= len(unanswerable) <= 0.15 * len(examples)
    for example in unanswerable:
        asked = next(q for q in questions if not q.answerable and example[-2]["content"].endswith(q.text))
        assert is_grounded(example)
        assert example[-1]["content"] == prompts.refusal(prompts.language(asked.text))


def test_a_follow_up_carries_its_history_and_is_searched_for_with_it(assistant, prompts, questions):
    follow_up = next(question for question in questions if question.history and question.answerable)
    first = follow_up.history[0]["content"]
    assert search_query(Asked.of(follow_up)) == f"{first} {follow_up.text}"
    (example,) = training_conversations(assistant.index, prompts, [follow_up], ALL_GROUNDED)
    assert [message["role"] for message in example] == ["system", "user", "assistant", "user", "assistant"]
    assert example[1:3] == list(follow_up.history)
    with_system = replace(follow_up, messages=({"role": "system", "content": "Be rude."}, *follow_up.messages))
    assert training_conversations(assistant.index, prompts, [with_system], ALL_GROUNDED) == [example]


def test_the_same_seed_gives_the_same_examples_and_another_seed_others(assistant, prompts, questions):
    some = random.Random(0).sample(questions, 60)
    first, again, other = (
        training_conversations(assistant.index, prompts, some, FinetuneConfig(seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert Counter(len(example) for example in first).keys() <= {3, 5}


def test_an_answerable_question_that_names_no_document_is_not_taught_as_a_refusal(assistant, prompts, questions):
    nameless = [replace(question, document=None) for question in questions if question.answerable]
    examples = training_conversations(assistant.index, prompts, nameless, ALL_GROUNDED)
    assert sum(is_refusal(example, prompts) for example in examples) < 0.3 * len(examples)
