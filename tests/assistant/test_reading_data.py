"""Reading data becomes a domain: paragraphs are documents, spans become sentences, wrong lines are named."""

import json
from pathlib import Path

import pytest

from assistant.errors import AssistantError
from assistant.reader.reading_data import (
    ReadingQuestion,
    of_some_titles,
    read_reading_data,
    sentence_around,
    write_reading_domain,
)
from domain import read_questions
from indexes import Index

TEA = "Green tea is steeped at 80 degrees for two minutes. Black tea takes 100 degrees, and it is stirred."
BREW = "龙井用八十度的水冲泡两分钟。红茶要用一百度的水,时间长一些。"


def record(**changed) -> dict:
    return {
        "language": "en",
        "title": "Tea",
        "context": TEA,
        "question": "How hot is the water for green tea?",
        "answers": ["80 degrees"],
        "answerable": True,
        "source": "own:1",
    } | changed


def question(context: str, asked: str, *answers: str) -> ReadingQuestion:
    return ReadingQuestion("1", "t", context, asked, answers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    records = [
        record(),
        record(question="How hot is oolong?", answers=[], answerable=False),
        record(language="zh", title="../茶", context=BREW, question="龙井泡多久?", answers=["两分钟"]),
    ]
    path.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in records) + "\n\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (question(TEA, "How hot for green tea?", "80 degrees"), "Green tea is steeped at 80 degrees for two minutes."),
        (question(BREW, "龙井泡多久?", "两分钟"), "龙井用八十度的水冲泡两分钟。"),
        (question(BREW, "红茶呢?", "一百度"), "红茶要用一百度的水,时间长一些。"),
        (question(TEA, "Both?", "two minutes. Black tea"), TEA),
        (
            question("It is red. It is dear, red and rare.", "What dear thing is red?", "red"),
            "It is dear, red and rare.",
        ),
        (question(TEA, "Milk?", "Take it without."), "Take it without."),
        (question("标题没有句号", "什么?", "没有"), "标题没有句号。"),
    ],
)
def test_an_answer_is_the_sentence_around_its_span(asked: ReadingQuestion, sentence: str) -> None:
    assert sentence_around(asked) == sentence


def test_a_long_sentence_is_cut_to_the_clauses_around_the_span() -> None:
    long = "他生于一九零一年的一个小村庄里，" + "后来在许多地方工作过，" * 6 + "一九四五年回到家乡办学，直到去世。"
    answer = sentence_around(question(long, "哪年回乡?", "一九四五年"))
    assert answer == "一九四五年回到家乡办学。"
    words = (
        "He was born in a village by the sea, "
        + "worked in many towns as a teacher, " * 8
        + "and left in 1945; he died."
    )
    answer = sentence_around(question(words, "When did he leave?", "1945"))
    assert answer == "worked in many towns as a teacher, and left in 1945."


def test_a_file_is_read_and_each_paragraph_is_a_document(file: Path, tmp_path: Path) -> None:
    questions = read_reading_data(file)
    domain = write_reading_domain(tmp_path / "domain", "smollm2-135m-instruct", questions[1:], questions[:1])
    assert sorted(path.name for path in domain.documents.iterdir()) == ["00001.md", "00002.md"], "no title is a path"
    train, held_out = read_questions(domain.train_questions), read_questions(domain.held_out_questions)
    assert [(one.answerable, one.language) for one in train] == [(False, "en"), (True, "zh")]
    assert (train[1].answer, train[1].facts) == ("龙井用八十度的水冲泡两分钟。", (("两分钟",),))
    assert (domain.documents / held_out[0].document).read_text(encoding="utf-8") == f"# Tea\n\n{TEA}\n"
    with Index.open(domain) as index:
        assert index.update().added == ["00001.md", "00002.md"]
        assert index.search("龙井泡多久?")[0].document == train[1].document


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not a question about a paragraph"),
        ('{"question": "?"}', "line 2: not a question about a paragraph"),
        (json.dumps(record(answers=[])), "line 2: an answerable question needs at least one answer"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(f"{json.dumps(record())}\n{line}\n", encoding="utf-8")
    with pytest.raises(AssistantError, match=said):
        read_reading_data(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xff"])
def test_a_file_without_questions_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssistantError, match=r"data\.jsonl"):
        read_reading_data(path)


def test_questions_are_taken_by_title_each_language_in_its_share_and_the_same_for_a_seed() -> None:
    english = [ReadingQuestion(f"{n:02}", f"title {n // 5}", "c", "q", ()) for n in range(25)]
    questions = english + [ReadingQuestion(f"{n}", f"题{n // 5}", "文", "问", ()) for n in range(25, 100)]
    some = of_some_titles(questions, 40, seed=1)
    assert [one.id for one in some] == sorted(one.id for one in some)
    assert [sum(one in english for one in some), len(some)] == [10, 40]
    assert len({one.title for one in some}) == 8, "all questions of a title"
    assert some == of_some_titles(questions, 40, seed=1) != of_some_titles(questions, 40, seed=2)
    assert len(of_some_titles(questions, 0, seed=1)) == 100
