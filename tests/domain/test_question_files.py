"""Question files: valid lines, and the errors of malformed ones."""

import json
from pathlib import Path

import pytest

from domain import DomainError, Question, read_questions

GOOD = {"messages": [{"role": "user", "content": "What is r?"}, {"role": "assistant", "content": "The rank."}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def line(**changes: object) -> str:
    return json.dumps(GOOD | changes, ensure_ascii=False)


def talk(*roles: object) -> list[dict[str, object]]:
    return [{"role": role, "content": f"words {place}"} for place, role in enumerate(roles)]


def test_a_question_has_its_text_answer_and_history(file: Path) -> None:
    turns = [
        {"role": "system", "content": "你是茶艺师。"},
        {"role": "user", "content": "龙井用多热的水?"},
        {"role": "assistant", "content": "约 80 度。"},
        {"role": "user", "content": "泡多久?"},
        {"role": "assistant", "content": "两分钟。🍵"},
    ]
    file.write_text(
        line(messages=turns, id="zh-1", language="zh", document="zh/龙井.md", answerable=False) + "\n", encoding="utf-8"
    )
    (question,) = read_questions(file)
    assert question == Question("zh-1", tuple(turns), False, "zh/龙井.md", "zh")
    assert question.text == "泡多久?"
    assert question.answer == "两分钟。🍵"
    assert question.history == tuple(turns[:3])


def test_what_may_be_absent_has_its_default(file: Path) -> None:
    file.write_text(f"\n{line()}\n\n   \n{line(id='', document=None)}", encoding="utf-8")
    first, second = read_questions(file)
    assert (first.id, first.answerable, first.document, first.language) == ("line-2", True, None, None)
    assert second.id == "line-5"
    assert first.history == ()


def test_byte_order_mark_and_windows_line_ends_are_no_trouble(file: Path) -> None:
    file.write_bytes(f"\ufeff{line(id='一')}\r\n{line(id='二')}\r\n".encode())
    assert [question.id for question in read_questions(file)] == ["一", "二"]


def test_separators_inside_a_text_do_not_end_the_line(file: Path) -> None:
    text = "one\u2028two\x85three"
    file.write_text(line(messages=[{"role": "user", "content": text}, GOOD["messages"][1]]), encoding="utf-8")
    assert read_questions(file)[0].text == text


def test_an_empty_file_has_no_questions(file: Path) -> None:
    file.write_text("\n", encoding="utf-8")
    assert read_questions(file) == []
    file.write_bytes(b"\xef\xbb\xbf\n")
    assert read_questions(file) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"messages": [}', ", column 15: not valid JSON (Expecting value)."),
        ("what is r?", ", column 1: not valid JSON (Expecting value)."),
        (line() + ",", ": not valid JSON (Extra data)."),
        ("[1, 2]", ': must be a JSON object like {"messages": [...]}.'),
        (line(answer="8"), ": unknown key 'answer'; the keys are answerable, document, facts, id, language, messages."),
        ("{}", ': "messages" must be a list with at least a question and its answer.'),
        (line(messages="hello"), ': "messages" must be a list with at least a question and its answer.'),
        (line(messages=talk("user")), ': "messages" must be a list with at least a question and its answer.'),
        (line(messages=["a", "b"]), ': message 1 must be {"role": ..., "content": ...} with a non-empty text.'),
        (line(messages=[talk("user")[0], {"role": "assistant", "content": " \n"}]), ": message 2 must be"),
        (line(messages=[talk("user")[0], {"role": "assistant", "content": 3}]), ": message 2 must be"),
        (line(messages=talk("user", "user")), ": roles must alternate user, assistant and end with assistant, not"),
        (line(messages=talk("assistant", "user")), ": roles must alternate"),
        (line(messages=talk("user", "assistant", "user")), ": roles must alternate"),
        (line(messages=talk("system", "user")), ": roles must alternate"),
        (line(messages=talk("system", "system", "user", "assistant")), ": roles must alternate"),
        (line(messages=talk("human", "assistant")), ": roles must alternate"),
        (line(messages=[{"content": "a"}, {"content": "b"}]), ": roles must alternate"),
        (line(answerable="yes"), ': "answerable" must be true or false.'),
        (line(answerable=None), ': "answerable" must be true or false.'),
        (line(id=7), ': "id" must be a string.'),
        (line(language=["zh"]), ': "language" must be a string.'),
        (line(document=1.5), ': "document" must be a string.'),
        (line(facts="80 degrees"), ': "facts" must be a list of facts, each a list of wordings'),
        (line(facts=["80 degrees"]), ': "facts" must be a list of facts, each a list of wordings'),
        (line(facts=[["80 degrees", " "]]), ': "facts" must be a list of facts, each a list of wordings'),
        (line(facts=[["80"]], answerable=False), ': "facts" are for answerable questions only'),
        (line(messages=talk("user", "assistant")).replace("words 0", "\\ud83d"), "1 contains a lone surrogate"),
        ("[" * 100_000, ": the JSON is nested too deeply for a question."),
    ],
)  # fmt: skip
def test_a_malformed_line_is_named_with_file_line_and_what_is_wrong(file: Path, bad: str, message: str) -> None:
    file.write_text(f"{line()}\n\n{bad}\n{line()}\n", encoding="utf-8")
    with pytest.raises(DomainError) as caught:
        read_questions(file)
    told = str(caught.value)
    assert told.startswith(f"{file}, line 3")
    assert message in told.removeprefix(f"{file}, line 3")


def test_an_id_that_stands_twice_is_named_with_both_lines(file: Path) -> None:
    file.write_text(f"{line(id='a')}\n{line(id='b')}\n{line(id='a')}\n", encoding="utf-8")
    with pytest.raises(DomainError, match="line 3: the id 'a' is already used in line 1"):
        read_questions(file)


def test_another_encoding_is_named_with_its_line(file: Path) -> None:
    file.write_bytes(f"{line()}\n".encode() + line(id="龙井").encode("gb18030") + b"\n")
    with pytest.raises(DomainError, match=r"line 2: not UTF-8 text \(.+\); save the file as UTF-8"):
        read_questions(file)


def test_a_missing_file_is_named_with_what_to_do(file: Path) -> None:
    with pytest.raises(DomainError, match="does not exist; write one question per line into it"):
        read_questions(file)
