"""Answers of random models, which no training has taught anything, always match what is asked for."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chatglm_samples import write_released
from transformers import AutoTokenizer

from base_models import ModelError, Sampling, generate, load, load_openvino, stream
from base_models.constraints import Constraint, json_grammar, lark_grammar, regex_grammar

SCHEMA = {
    "type": "object",
    "properties": {
        "茶": {"enum": ["龙井", "碧螺春", "Earl Grey"]},
        "degrees": {"type": "integer", "minimum": 60, "maximum": 100},
        "note": {"type": "string", "maxLength": 12},
        "steps": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["茶", "degrees", "note", "steps"],
    "additionalProperties": False,
}
ASKED = [
    [{"role": "user", "content": "What is tea?"}],
    [{"role": "user", "content": "龙井茶应该怎么泡，用多少度的水？"}],
    [{"role": "user", "content": "Why?"}],
]


@pytest.fixture(scope="module")
def engines(
    tiny_folder: Path, released: Path, tmp_path_factory: pytest.TempPathFactory, openvino_is_here: None
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("small") / "chatglm"
    chatglm = write_released(folder, released, hidden_size=64, inner_hidden_size=128)
    return {
        "llama": load(tiny_folder, dtype="float32"),
        "llama in OpenVINO": load_openvino(tiny_folder),
        "chatglm": load(chatglm, dtype="float32"),
    }


def check(text: str) -> None:
    value = json.loads(text)
    assert [*value] == SCHEMA["required"]
    assert value["茶"] in ("龙井", "碧螺春", "Earl Grey")
    assert 60 <= value["degrees"] <= 100
    assert len(value["note"]) <= 12
    assert 1 <= len(value["steps"]) <= 3


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("engine", ["llama", "llama in OpenVINO", "chatglm"])
def test_a_random_model_fills_in_a_schema(engines: dict[str, Any], engine: str, temperature: float) -> None:
    sampling = Sampling(200, temperature, grammar=json_grammar(SCHEMA))
    for answer in generate(engines[engine], ASKED, sampling):
        assert answer.stopped, "the end of the object is the end of the answer"
        check(answer.text)
    *_, last = stream(engines[engine], ASKED[1], sampling)
    check(last.text)


@pytest.mark.parametrize("engine", ["llama", "llama in OpenVINO", "chatglm"])
def test_regular_expressions_and_lark_grammars(engines: dict[str, Any], engine: str) -> None:
    (answer,) = generate(engines[engine], ASKED[:1], Sampling(60, grammar=regex_grammar(r"[龙井茶]{2,5}: \d{2} °C\n")))
    assert re.fullmatch(r"[龙井茶]{2,5}: \d{2} °C", answer.text)
    calls = lark_grammar('start: ("<call>" %json {"type": "integer", "minimum": 0, "maximum": 999} "</call>\\n")~2')
    (answer,) = generate(engines[engine], ASKED[:1], Sampling(90, grammar=calls))
    assert re.fullmatch(r"<call>\d+</call>\n<call>\d+</call>", answer.text)


def test_beside_a_constrained_answer_a_free_one_is_free(engines: dict[str, Any]) -> None:
    """Both are rows of one batch of the same engine."""
    fast = engines["llama in OpenVINO"]
    (alone,) = generate(fast, ASKED[:1], Sampling(30))
    free = stream(fast, ASKED[0], Sampling(30))
    first = next(free)
    (bound,) = generate(fast, ASKED[1:2], Sampling(200, grammar=json_grammar(SCHEMA)))
    *_, last = free
    check(bound.text)
    assert isinstance(first, str)
    assert last.text == alone.text


def test_the_mask_allows_what_the_grammar_does(tiny_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    constraint = Constraint(tokenizer, regex_grammar("yes|yet"))
    shown = {tokenizer.decode([token]) for token in np.flatnonzero(constraint.allowed(len(tokenizer) + 8))}
    assert shown <= {"y", "ye", "yes", "yet"}
    for token in tokenizer("yes", add_special_tokens=False).input_ids:
        constraint.add(token)
    assert np.flatnonzero(constraint.allowed(len(tokenizer))).tolist() == [tokenizer.eos_token_id]
    constraint.add(tokenizer.eos_token_id)
    assert constraint.allowed(len(tokenizer)).all()


def test_the_bytes_of_chatglms_tokens_are_those_of_its_texts(released: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(released)
    known = tokenizer.token_bytes()
    assert len(known) == tokenizer.vocab_size
    for text in ("龙井茶 80 °C", "a\n\tb   c", "𠀀 🍵 ﬁ", '{"x": [1, 2]}'):
        written = b"".join(known[number] for number in tokenizer.encode_text(text)).decode()
        assert written.strip() == tokenizer.decode(tokenizer.encode_text(text)).strip()


@pytest.mark.parametrize(
    ("make", "given"),
    [(json_grammar, {"type": "nothing"}), (regex_grammar, "(a"), (lark_grammar, "start: nowhere")],
)
def test_what_cannot_be_enforced_is_one_sentence(make: Callable[[Any], str], given: Any) -> None:
    with pytest.raises(ModelError, match="cannot be enforced: ") as raised:
        make(given)
    assert "\n" not in str(raised.value)
