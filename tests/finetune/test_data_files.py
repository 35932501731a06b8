"""Data files in every layout that people have: what is read from them, and what is said of those that are wrong."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from base_models.loading import load_tokenizer
from base_models.messages import examples_of
from finetune import FinetuneError, read_data
from finetune.data.data_files import inspect_file

ASKED = [{"role": "user", "content": "龙井用多热的水?"}, {"role": "assistant", "content": "八十度。"}]
FOLLOWED = [*ASKED, {"role": "user", "content": "How long?"}, {"role": "assistant", "content": "Two minutes."}]
SYSTEM = {"role": "system", "content": "你是茶艺师。"}
BEFORE = [["龙井用多热的水?", "八十度。"]]
TALK = [
    {"from": "human", "value": "龙井用多热的水?"},
    {"from": "gpt", "value": "八十度。"},
    {"from": "human", "value": "How long?"},
    {"from": "gpt", "value": "Two minutes."},
]
RECORDS: list[tuple[str, dict[str, Any], list[dict[str, str]]]] = [
    ("messages", {"messages": FOLLOWED}, FOLLOWED),
    ("messages", {"messages": [SYSTEM, *ASKED], "id": 7, "source": "shop"}, [SYSTEM, *ASKED]),
    ("messages", {"messages": [{**SYSTEM, "role": "developer"}, *ASKED]}, [SYSTEM, *ASKED]),
    ("ShareGPT", {"conversations": TALK}, FOLLOWED),
    ("ShareGPT", {"conversations": TALK[:2], "system": "你是茶艺师。"}, [SYSTEM, *ASKED]),
    ("ShareGPT", {"conversations": ASKED}, ASKED),
    ("Alpaca", {"instruction": "龙井用多热的水?", "input": "", "output": "八十度。"}, ASKED),
    ("Alpaca", {"instruction": "翻译", "input": "茶", "output": "tea"}, [("翻译\n茶", "tea")]),
    ("Alpaca", {"instruction": "How long?", "output": "Two minutes.", "history": BEFORE}, FOLLOWED),
    ("Alpaca", {"instruction": "龙井用多热的水?", "output": "八十度。", "system": "你是茶艺师。"}, [SYSTEM, *ASKED]),
    ("prompt/response", {"prompt": "龙井用多热的水?", "response": "八十度。", "history": []}, ASKED),
    ("prompt/response", {"prompt": "How long?", "response": "Two minutes.", "history": BEFORE}, FOLLOWED),
    ("prompt/completion", {"prompt": "龙井用多热的水?", "completion": "八十度。"}, ASKED),
    ("ChatGLM", {"context": "Instruction: 龙井用多热的水?\nAnswer: ", "target": "八十度。"}, ASKED),
    ("ChatGLM", {"context": "Instruction: 翻译\nInput: 茶\nAnswer:", "target": "tea"}, [("翻译\n茶", "tea")]),
    ("ChatGLM", {"context": "龙井用多热的水?", "target": "八十度。"}, ASKED),
    ("content/summary", {"content": "类型#裙*颜色#白", "summary": "一条白裙。"}, [("类型#裙*颜色#白", "一条白裙。")]),
    ("text", {"text": "Tea is a drink.\n\n茶是饮料。"}, [{"role": "text", "content": "Tea is a drink.\n\n茶是饮料。"}]),
]  # fmt: skip


def spoken(expected: list[Any]) -> list[dict[str, str]]:
    """A pair is short for a question and its answer."""
    if not isinstance(expected[0], tuple):
        return expected
    (asked, answer), *_ = expected
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def written(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


@pytest.mark.parametrize(("layout", "record", "expected"), RECORDS)
def test_the_keys_of_a_record_tell_its_layout(tmp_path: Path, layout: str, record: dict, expected: list) -> None:
    found = inspect_file(written(tmp_path / "data.jsonl", record))
    assert found.problems == []
    assert dict(found.layouts) == {layout: 1}
    assert found.conversations == [spoken(expected)]


def test_a_called_tool_is_kept(tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "search", "arguments": {"query": "水温"}}}
    told = [
        ASKED[0],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "80 °C"},
        ASKED[1],
    ]
    messages = read_data(written(tmp_path / "data.jsonl", {"messages": told}))[0]
    assert messages[1] == {"role": "assistant", "content": "", "tool_calls": [call]}
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]


def test_arguments_that_are_json_text_become_an_object(tmp_path: Path) -> None:
    call = {"function": {"name": "search", "arguments": '{"query": "水温"}'}}
    told = [ASKED[0], {"role": "assistant", "tool_calls": [call]}]
    (messages,) = read_data(written(tmp_path / "data.jsonl", {"messages": told}))
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == {"query": "水温"}


def calls(**turn: Any) -> bytes:
    return json.dumps({"messages": [ASKED[0], {"role": "assistant", "content": None, **turn}]}).encode()


WRONG_CALLS: list[tuple[bytes, str]] = [
    (calls(tool_calls="x"), r'messages\[1\]: "tool_calls" must be a list'),
    (calls(tool_calls=["x"]), r"messages\[1\]: a call must be"),
    (calls(tool_calls=[{"function": {"name": "f", "arguments": "{"}}]), r"the arguments of f are not valid JSON"),
    (calls(tool_calls=[{"function": {"name": "f", "arguments": "[1]"}}]), r"the arguments of f must be an object"),
    (calls(tool_calls=[{"function": {"name": "f"}}], content=[{"type": "text"}]), r'"content" must be a string'),
    (calls(content="a", weight=0), r"no answer is left to train on, because"),
    (calls(content="a", weight=0.5), r'messages\[1\]: "weight" must be 0, 1, true or false, not 0.5'),
    (calls(content="a", loss="no"), r'messages\[1\]: "loss" must be 0, 1, true or false'),
    (json.dumps({"messages": ASKED, "tools": [{"name": "f"}]}).encode(), r'training on "tools" is not supported'),
    (b'{"prompt": 1' + b"0" * 5000 + b"}", r"line 2: cannot be read"),
]


@pytest.mark.parametrize(("line", "said"), WRONG_CALLS)
def test_a_wrong_call_or_what_would_be_lost_is_refused(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "a", "response": "b"}\n' + line + b"\n")
    with pytest.raises(FinetuneError, match=said):
        read_data(path)


def test_one_file_may_mix_layouts_and_every_kind_of_file_says_the_same(tmp_path: Path) -> None:
    records = [record for _, record, _ in RECORDS]
    expected = [spoken(messages) for *_, messages in RECORDS]
    assert read_data(written(tmp_path / "a.jsonl", *records)) == expected
    assert read_data(written(tmp_path / "b.json", *records)) == expected, "lines in a file that is called .json"
    (tmp_path / "c.json").write_text(json.dumps(records, indent=2), encoding="utf-8-sig")
    assert read_data(tmp_path / "c.json") == expected
    (tmp_path / "d.json").write_text(json.dumps(records[0], indent=2), encoding="utf-8")
    assert read_data(tmp_path / "d.json") == expected[:1], "one record over many lines"
    crlf = (tmp_path / "a.jsonl").read_bytes().replace(b"\n", b"\r\n\r\n")
    (tmp_path / "e.jsonl").write_bytes(b"\xef\xbb\xbf" + crlf)
    assert read_data(tmp_path / "e.jsonl") == expected
    columns = sorted({key for record in records for key in record})
    rows = [
        {key: json.dumps(value) if isinstance(value, list) else value for key, value in record.items()}
        for record in records
    ]
    for name, delimiter in (("f.csv", ","), ("g.tsv", "\t")):
        with (tmp_path / name).open("w", encoding="utf-8-sig", newline="") as stream:
            table = csv.DictWriter(stream, columns, delimiter=delimiter)
            table.writeheader()
            table.writerows(rows)
        assert read_data(tmp_path / name) == expected, name


def test_parquet_is_read_with_lists_in_its_cells_and_whatever_it_is_called(tmp_path: Path) -> None:
    records = [{"messages": FOLLOWED, "text": None}, {"messages": None, "text": "茶"}]
    for name in ("data.parquet", "data"):
        parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / name)
        assert read_data(tmp_path / name) == [FOLLOWED, [{"role": "text", "content": "茶"}]]
    rows = [{"prompt": "问", "response": f"答{n}"} for n in range(5)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p")
    found = inspect_file(tmp_path / "p")
    assert [messages[-1]["content"] for messages in found.conversations] == [f"答{n}" for n in range(5)]
    assert found.places == [f"row {n}" for n in range(1, 6)]


def test_a_text_file_is_one_text(tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("茶是饮料。\n\nIt is hot.\n", encoding="utf-8")
    assert read_data(tmp_path / "tea.txt") == [[{"role": "text", "content": "茶是饮料。\n\nIt is hot.\n"}]]


def test_a_line_of_2_mb_is_read(tmp_path: Path) -> None:
    long = "茶" * 700_000
    path = written(tmp_path / "data.jsonl", {"prompt": long, "response": "好。"}, {"prompt": "问", "response": "答"})
    assert path.stat().st_size > 2_000_000
    assert [messages[0]["content"] for messages in read_data(path)] == [long, "问"]


WRONG: list[tuple[bytes, str]] = [
    (b'{"messages": [', r"line 2: not valid JSON at column 15"),
    (b'{"prompt": "\xff", "response": "a"}', r"line 2: not UTF-8 text \(invalid start byte\); save the file as UTF-8"),
    (b"[1, 2]", r"line 2: a record must be a JSON object, not list"),
    (b"7", r"line 2: a record must be a JSON object, not int"),
    (b"[" * 5000, r"line 2: (the JSON is nested too deeply for a record|not valid JSON)"),
    (b"{}", r"line 2: no known layout has the keys \(none\)"),
    (b'{"asked": "a", "said": "b"}', r"no known layout has the keys asked, said; the layouts are m"),
    (b'{"instruction": "a", "output": null}', r'line 2: the answer is empty \("output"\)'),
    (b'{"instruction": null, "output": "a"}', r'line 2: the question is empty \("instruction"\)'),
    (b'{"messages": []}', r'line 2: "messages" must be a non-empty list'),
    (b'{"messages": "hello"}', r'"messages" must be a list, or a list as JSON text'),
    (b'{"messages": [{"role": "user"}]}', r'line 2: messages\[0\]: "content" must be a string'),
    (b'{"messages": ["hi"]}', r'messages\[0\] must be an object with the keys "role" and "content"'),
    (b'{"messages": [{"role": "narrator", "content": "a"}]}', r"messages\[0\]: unknown role 'narrator'; the roles"),
    (b'{"conversations": [{"from": "alien", "value": "a"}]}', r"conversations\[0\]: unknown role 'alien'"),
    (b'{"messages": [{"role": "user", "content": "a"}]}', r"must end with an assistant turn, not user"),
    (b'{"messages": [{"role": "assistant", "content": "a"}]}', r"must start with a user turn, not assistant"),
    (b'{"messages": [{"role": "system", "content": "a"}]}', r"the conversation must start with a user turn"),
    (b'{"prompt": "a", "response": "  "}', r"line 2: turn 2 \(assistant\) is empty"),
    (b'{"prompt": "", "response": "a"}', r"line 2: turn 1 \(user\) is empty"),
    (b'{"prompt": 5, "response": "a"}', r'line 2: "prompt" must be a string, not 5'),
    (b'{"prompt": "\\ud83d", "response": "a"}', r"line 2: turn 1 contains a lone surrogate"),
    (b'{"prompt": "a", "response": "b", "history": [["x"]]}', r"history\[0\] must be a list of two strings"),
    (b'{"prompt": "a", "response": "b", "history": {"x": 1}}', r'"history" must be a list\.$'),
    (json.dumps({"messages": [ASKED[0], *ASKED]}).encode(), r"must alternate, but user follows user"),
    (json.dumps({"messages": [*ASKED, ASKED[1]]}).encode(), r"must alternate, but assistant follows assistant"),
    (json.dumps({"messages": [ASKED[0], SYSTEM, ASKED[1]]}).encode(), r"only the first turn may have the role system"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_a_wrong_record_is_refused_with_file_and_line(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "a", "response": "b"}\n' + line + b'\n{"prompt": "c", "response": "d"}\n')
    with pytest.raises(FinetuneError, match=said) as raised:
        read_data(path)
    assert str(raised.value).startswith(f"{path}, line 2: ")
    assert "\n" not in str(raised.value)
    found = inspect_file(path)
    assert found.places == ["line 1", "line 3"], "the records around it are read"
    assert len(found.problems) == 1


def test_many_wrong_records_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "data.jsonl", {"a": 1}, {"b": 2}, {"prompt": "a", "response": "b"})
    with pytest.raises(
        FinetuneError,
        match=r"line 1: .*\(2 records have errors; to see them all, run: lorewright data check .*jsonl\)$",
    ):
        read_data(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", b"", "has no records; add examples to it"),
        ("blank.jsonl", b" \n\n", "has no records"),
        ("empty.json", b"[]", "has no records"),
        ("empty.txt", b" \n", "has no records"),
        ("head.csv", b"prompt,response\n", "has no records"),
        ("broken.json", b'[{"a": 1},\n oops]', r"broken\.json, line 2, column 2: not valid JSON"),
        ("latin.csv", "prompt,response\na,b\nThé,é\n".encode("latin-1"), r"latin\.csv, line 3: not UTF-8 text"),
        (
            "short.csv",
            b"prompt,response\na,b\na\n",
            r"short\.csv, line 3: the row must have 2 cells, like the first line",
        ),
        (
            "long.csv",
            b'prompt,response\n"a\nb",c\na,b,c\n',
            r"long\.csv, line 4: the row must have 2 cells, like the first line",
        ),
        ("open.csv", b'prompt,response\na,b\n"a,b\n', r"open\.csv, line 3: not valid CSV"),
        ("bytes.parquet", b"PAR1" + b"\x15\x04" * 40 + b"PAR1", r"bytes\.parquet: not a readable parquet file"),
        ("bad.parquet", b"PAR1 and no more", r"bad\.parquet: not a readable parquet file"),
        ("none.parquet", b"hello", r"none\.parquet has an unsupported format; use one of: \.jsonl, \.json, "),
        ("data.xlsx", b"PK", r"data\.xlsx has an unsupported format"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FinetuneError, match=said):
        read_data(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FinetuneError, match="is a folder; give one data file"):
        read_data(tmp_path)
    with pytest.raises(FinetuneError, match="does not exist; give one data file"):
        read_data(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("line", "layout", "said"),
    [
        ({"query": "Fee?", "response": "9 EUR"}, "query/response", ["Fee?", "9 EUR"]),
        (
            {"query": "Fee?", "response": "9 EUR", "history": [["a", "b"]]},
            "query/response",
            ["a", "b", "Fee?", "9 EUR"],
        ),
        ({"question": "Fee?", "answer": "9 EUR"}, "question/answer", ["Fee?", "9 EUR"]),
        ({"Question": "Fee?", "Answer": "9 EUR"}, "question/answer", ["Fee?", "9 EUR"]),
        ({"问题": "费用？", "答案": "九元。"}, "问题/答案", ["费用？", "九元。"]),
        ({"问题": "费用？", "回答": "九元。"}, "问题/回答", ["费用？", "九元。"]),
        ({"input": "Fee?", "output": "9 EUR"}, "input/output", ["Fee?", "9 EUR"]),
        (
            {
                "conversation": [
                    {"system": "Clerk.", "input": "Fee?", "output": "9"},
                    {"input": "Boats?", "output": "4"},
                ]
            },
            "XTuner",
            ["Clerk.", "Fee?", "9", "Boats?", "4"],
        ),
    ],
)
def test_layouts_of_other_trainers(tmp_path: Path, line: dict, layout: str, said: list[str]) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps(line), "utf-8")
    found = inspect_file(tmp_path / "data.jsonl")
    assert (list(found.layouts), found.problems) == ([layout], [])
    assert [message["content"] for message in found.conversations[0]] == said


@pytest.mark.parametrize("wrapper", [{"version": 1, "data": []}, {"train": []}, {"数据": [], "note": ["x"]}])
def test_records_under_one_key_are_read_and_named_by_it(tmp_path: Path, wrapper: dict) -> None:
    key = next(key for key, value in wrapper.items() if value == [])
    wrapper[key] = [{"question": "a", "answer": "b"}, {"question": "a", "answer": ""}]
    (tmp_path / "data.json").write_text(json.dumps(wrapper), "utf-8")
    found = inspect_file(tmp_path / "data.json")
    assert len(found.conversations) == 1
    assert f'"{key}", item 2: turn 2 (assistant) is empty' in found.problems[0]


@pytest.mark.parametrize("flag", [{"weight": 0}, {"loss": False}, {"train": False}])
def test_a_turn_excluded_from_the_loss_is_not_labelled(tmp_path: Path, flag: dict) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "first", **flag}]
    turns += [{"role": "user", "content": "b", "weight": 1}, {"role": "assistant", "content": "second", "loss": True}]
    (tmp_path / "data.jsonl").write_text(json.dumps({"messages": turns}), "utf-8")
    (conversation,) = read_data(tmp_path / "data.jsonl")
    tokenizer = load_tokenizer("smollm2-135m-instruct")
    for examples in (examples_of(tokenizer, conversation), examples_of(tokenizer, conversation, max_length=1)):
        learnt = [
            [one for one, label in zip(example.ids, example.labelled, strict=True) if label] for example in examples
        ]
        assert list(map(tokenizer.decode, learnt)) == ["second<|im_end|>"]
