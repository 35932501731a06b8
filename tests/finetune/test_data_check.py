"""What ``lorewright data check`` tells of a file, and which conversations a split by hash holds out."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from typer.testing import CliRunner

from assistant.cli import app
from base_models.messages import encode
from domain import FinetuneConfig
from finetune.data.data_check import check_data, is_held_out, near_copies

Turn = dict[str, str]


def talk(asked: str, answer: str = "好。") -> list[Turn]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


@pytest.fixture(scope="module")
def tokenizer(tiny_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_folder)


def test_everything_is_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    short, long = talk("茶?"), [*talk("第一问 " * 20, "答一"), *talk("第二问 " * 20, "答二")]
    giant = talk("and " * 300)
    ids = [len(encode(tokenizer, messages).ids) for messages in (short, long)]
    report = check_data(tokenizer, [short, short, long, giant], FinetuneConfig(max_length=ids[1] + 10))
    assert (report.conversations, report.examples, report.duplicates) == (4, 4, 1)
    assert report.turns == {1: 3, 2: 1}
    assert (report.too_long, report.shortened) == (1, 0)
    assert report.lengths["longest"] == len(encode(tokenizer, giant).ids)
    assert report.tokens == 2 * ids[0] + ids[1] + report.lengths["longest"]
    assert report.labelled_tokens == sum(sum(encode(tokenizer, m).labelled) for m in (short, short, long, giant))
    assert report.shown == encode(tokenizer, long)
    divided = check_data(tokenizer, [short, short, long, giant], FinetuneConfig(max_length=ids[1] - 10))
    assert (divided.examples, divided.shortened, divided.too_long) == (5, 1, 1)
    last = check_data(tokenizer, [long], FinetuneConfig(labels="last"))
    assert last.labelled_tokens == sum(encode(tokenizer, talk("x", "答二")).labelled)


def test_a_split_by_hash_does_not_move_what_was_there() -> None:
    questions = [talk(f"问题 {number}: how?") for number in range(2000)]
    held_out = {messages[0]["content"] for messages in questions if is_held_out(messages, 0.1)}
    assert 150 < len(held_out) < 250
    more = [talk(f"another {number}") for number in range(500)]
    again = {messages[0]["content"] for messages in [*more, *questions[::-1]] if is_held_out(messages, 0.1)}
    assert again & {messages[0]["content"] for messages in questions} == held_out
    wider = {messages[0]["content"] for messages in questions if is_held_out(messages, 0.2)}
    assert held_out < wider
    assert not any(is_held_out(messages, 0.0) for messages in questions)
    assert all(is_held_out(messages, 1.0) for messages in questions)


def test_the_same_question_with_another_answer_is_on_the_same_side() -> None:
    for number in range(50):
        assert is_held_out(talk(f"{number}?", "a"), 0.5) == is_held_out(talk(f"{number}?", "b"), 0.5)


def test_near_copies_are_found_across_case_and_blanks_in_both_languages() -> None:
    train = [
        talk("What is the rank r in LoRA?"),
        talk("怎样选择 LoRA 的秩?"),
        talk("How hot is the water for longjing?"),
    ]
    held_out = [
        talk("what is  the rank r in lora"),
        talk("怎样选择 LoRA 的秩呢?"),
        talk("How long does longjing steep?"),
        talk("秩是什么?"),
    ]
    assert [(one, other) for one, other, _ in near_copies(held_out, train)] == [(0, 0), (1, 1)]
    assert near_copies([talk("How hot?")], [talk("How hot?")]) == [(0, 0, 1.0)]
    assert near_copies([], train) == near_copies(held_out, []) == []
    assert near_copies([talk("?")], [talk("?")]) == [(0, 0, 1.0)]


def written(path: Path, *conversations: list[Turn]) -> Path:
    lines = [json.dumps({"messages": messages}, ensure_ascii=False) + "\n" for messages in conversations]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_the_command_shows_counts_an_example_and_what_is_wrong(tmp_path: Path, tiny_folder: Path) -> None:
    file = written(tmp_path / "train.jsonl", *(talk(f"第 {number} 种茶用什么水?", "八十度。") for number in range(9)))
    arguments = ["data", "check", str(file), "--base-model", str(tiny_folder)]
    right = CliRunner().invoke(app, arguments)
    assert right.exit_code == 0, right.output
    assert f"{file}: 9 conversations (9 messages)" in right.output
    assert "9 with 1; exact duplicates: 0" in right.output
    assert "种茶用什么水?<|im_end|>\n<|im_start|>assistant\n八十度。<|im_end|>" in right.output
    near = written(tmp_path / "near.jsonl", talk("第 3 种茶用什么水呢?"))
    compared = CliRunner().invoke(app, [*arguments, "--held-out", str(near)])
    assert f"1 of the 1 questions in {near} are near-duplicates of training questions" in compared.output
    assert f"{near}, 1 and line 4 share " in compared.output
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "a"}\n' * 12)
    wrong = CliRunner().invoke(app, arguments)
    assert wrong.exit_code == 3
    assert wrong.stderr.count("no known layout has the keys prompt") == 10
    assert wrong.stderr.splitlines()[-1] == "and 2 more problems"
    assert f"{file}: 9 conversations" in wrong.stdout


def test_the_labelled_tokens_are_in_colour(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = written(tmp_path / "train.jsonl", talk("水?", "八十度。"))
    shown = CliRunner().invoke(app, ["data", "check", str(file), "--base-model", str(tiny_folder)], color=True).output
    assert "\x1b[1;32m八十度。<|im_end|>\x1b[0m" in shown
    assert "\x1b[1;32m水" not in shown


def test_a_file_without_records_and_calls_that_a_model_cannot_say_are_refused(
    tmp_path: Path, tiny_folder: Path
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n", encoding="utf-8")
    shown = CliRunner().invoke(app, ["data", "check", str(empty), "--base-model", str(tiny_folder)])
    assert shown.exit_code == 3
    assert "has no records; add examples to it" in shown.output
    call = {"function": {"name": "search", "arguments": {}}}
    calling = tmp_path / "calls.jsonl"
    calling.write_text(
        json.dumps({"messages": [talk("?")[0], {"role": "assistant", "tool_calls": [call]}]}), encoding="utf-8"
    )
    shown = CliRunner().invoke(app, ["data", "check", str(calling), "--base-model", str(tiny_folder)])
    assert "does not support tool calls" in str(shown.exception)
