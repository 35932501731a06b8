"""Tools, structured output, log-probabilities, seeds and cancellation of local models; mostly with random weights."""

import asyncio
import json
import math
import threading
import time
from pathlib import Path
from typing import Literal

import pytest
from chatglm_samples import write_released
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from transformers import AutoTokenizer

from assistant import AssistantError, LocalChatModel, LocalLLM
from assistant.models.messages import template_messages
from assistant.models.tool_calls import DESCRIBED, call_format, closed
from base_models import ModelError

QWEN = "qwen2.5-coder-0.5b-instruct"


class Tea(BaseModel):
    """A tea, as a document describes it."""

    name: Literal["龙井", "碧螺春", "Earl Grey"]
    degrees: int = Field(ge=60, le=100, description="temperature of the water")
    minutes: int = Field(ge=0, le=10)


@tool
def steep(name: Literal["龙井", "Earl Grey"], minutes: Literal[1, 2, 3]) -> str:
    """Steep a tea. 泡茶。"""
    return f"{name}: {minutes}"


@tool
def stop_now() -> str:
    """Stop. 停止。"""
    return "stopped"


@pytest.fixture(scope="module")
def folders(tiny_folder: Path, released: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    chatglm = tmp_path_factory.mktemp("small") / "chatglm"
    return {
        "llama": str(tiny_folder),
        "chatglm": str(write_released(chatglm, released, hidden_size=64, inner_hidden_size=128)),
    }


@pytest.fixture(params=[("llama", "transformers"), ("llama", "openvino"), ("chatglm", "transformers")], ids="-".join)
def random_model(request: pytest.FixtureRequest, folders: dict[str, str], openvino_is_here: None) -> LocalChatModel:
    """Random weights, which have learnt neither JSON nor tools."""
    kind, engine = request.param
    return LocalChatModel(model=folders[kind], engine=engine, max_tokens=200, temperature=1.0, seed=5)


def test_a_forced_call_always_parses_and_matches_its_schema(random_model: LocalChatModel) -> None:
    for choice, names in (("any", {"steep", "stop_now"}), ("steep", {"steep"}), (True, {"steep", "stop_now"})):
        llm = random_model.bind_tools([steep, stop_now], tool_choice=choice)
        message = llm.invoke("泡一杯龙井。")
        assert isinstance(message, AIMessage)
        assert message.tool_calls
        assert not message.invalid_tool_calls
        assert message.text == ""
        for call in message.tool_calls:
            assert call["name"] in names
            assert {"steep": steep, "stop_now": stop_now}[call["name"]].invoke(call["args"])
    one = random_model.bind_tools([steep], tool_choice="any", parallel_tool_calls=False).invoke("Tea!")
    assert len(one.tool_calls) == 1


def test_no_call_where_none_may_be(random_model: LocalChatModel) -> None:
    message = random_model.bind_tools([steep], tool_choice="none", max_tokens=8).invoke("泡一杯龙井。")
    assert not message.tool_calls


def test_structured_output_is_an_object_of_the_class(random_model: LocalChatModel) -> None:
    tea = random_model.with_structured_output(Tea).invoke("Earl Grey: 95 °C, four minutes.")
    assert isinstance(tea, Tea)
    called = random_model.with_structured_output(Tea, method="function_calling").invoke("Earl Grey?")
    assert isinstance(called, Tea)
    both = random_model.with_structured_output(Tea, include_raw=True).invoke("龙井？")
    assert both["parsing_error"] is None
    assert both["parsed"] == Tea.model_validate_json(both["raw"].text)


async def test_a_json_schema_gives_a_dict_also_in_async_code_and_in_a_stream(random_model: LocalChatModel) -> None:
    schema = {"title": "yes_or_no", "type": "object", "properties": {"answer": {"enum": ["是", "否"]}}}
    llm = random_model.with_structured_output({**schema, "required": ["answer"]})
    assert (await llm.ainvoke("Is tea green?"))["answer"] in ("是", "否")
    *_, last = llm.stream("Is tea green?")
    assert last["answer"] in ("是", "否")


def test_what_is_cut_off_is_a_parsing_error(folders: dict[str, str]) -> None:
    llm = LocalChatModel(model=folders["llama"], max_tokens=3).with_structured_output(Tea, include_raw=True)
    answer = llm.invoke("龙井？")
    assert answer["parsed"] is None
    assert answer["parsing_error"] is not None


def test_what_is_no_response_format_is_one_sentence(folders: dict[str, str]) -> None:
    llm = LocalChatModel(model=folders["llama"])
    with pytest.raises(AssistantError, match="response_format must be"):
        llm.invoke("Hello", response_format={"type": "json_schema"})
    with pytest.raises(ModelError, match="cannot be enforced"):
        llm.with_structured_output({"title": "a", "type": "object", "properties": {"b": {"type": "c"}}}).invoke("Hello")


def test_only_named_properties_are_written() -> None:
    nested = {"type": "object", "properties": {"properties": {"type": "array", "items": {"properties": {}}}}}
    assert closed(nested) == {
        "type": "object",
        "properties": {
            "properties": {"type": "array", "items": {"properties": {}, "additionalProperties": False}},
        },
        "additionalProperties": False,
    }
    free = {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}
    assert closed(free) == free


def test_the_format_of_calls_is_that_of_the_chat_template(real_model, folders: dict[str, str]) -> None:
    qwen = call_format(AutoTokenizer.from_pretrained(real_model(QWEN)))
    assert qwen.in_template
    assert qwen.write("a", {"b": "龙井"}) == '<tool_call>\n{"name": "a", "arguments": {"b": "龙井"}}\n</tool_call>'
    llama = AutoTokenizer.from_pretrained(folders["llama"])
    assert call_format(llama) == DESCRIBED
    llama.chat_template = (
        "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}{% if m.tool_calls %}"
        '[TOOL_CALLS] [{"name": "{{ m.tool_calls[0].function.name }}", "arguments": '
        "{{ m.tool_calls[0].function.arguments | tojson }}}]{{ eos_token }}"
        "{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    call_format.cache_clear()
    assert call_format(llama).write("a", {}) == '[TOOL_CALLS] [{"name": "a", "arguments": {}}]'
    call_format.cache_clear()


def test_tools_are_described_to_a_model_whose_template_knows_none(folders: dict[str, str]) -> None:
    call = {"name": "steep", "args": {"name": "龙井", "minutes": 2}, "id": "1", "type": "tool_call"}
    messages = [
        SystemMessage("简短回答。"),
        HumanMessage("泡茶。"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("好了", tool_call_id="1", name="steep"),
    ]
    written = template_messages(messages, DESCRIBED, [{"type": "function", "function": {"name": "steep"}}])
    assert [message["role"] for message in written] == ["system", "user", "assistant", "user"]
    assert written[0]["content"].startswith("简短回答。\n\n你可以调用下列函数")
    assert '{"name": "steep", "arguments": {"name": "龙井", "minutes": 2}}' in written[2]["content"]
    assert written[3]["content"] == "<tool_response>\n好了\n</tool_response>"
    chat = LocalChatModel(model=folders["chatglm"], max_tokens=4)
    assert chat.bind_tools([steep]).invoke(messages).usage_metadata["input_tokens"] > 100


def test_text_streams_although_tools_are_offered(real_model) -> None:
    real_model("smollm2-135m-instruct")
    llm = LocalChatModel(model="smollm2-135m-instruct", max_tokens=24).bind_tools([steep])
    pieces = [chunk.text for chunk in llm.stream("What is the capital of France?")]
    assert len([piece for piece in pieces if piece]) > 3


def test_log_probabilities_are_those_of_the_likeliest_tokens(random_model: LocalChatModel) -> None:
    message = random_model.invoke("龙井", logprobs=True, top_logprobs=3, max_tokens=6, temperature=0.0)
    listed = message.response_metadata["logprobs"]["content"]
    assert len(listed) == message.usage_metadata["output_tokens"] == 6
    for entry in listed:
        assert [top["logprob"] for top in entry["top_logprobs"]] == sorted(
            (top["logprob"] for top in entry["top_logprobs"]), reverse=True
        )
        assert entry["logprob"] == entry["top_logprobs"][0]["logprob"]
        assert 0 < sum(math.exp(top["logprob"]) for top in entry["top_logprobs"]) <= 1
    assert "logprobs" not in random_model.invoke("龙井", max_tokens=2).response_metadata


def test_a_seed_gives_the_same_answer_again_and_another_seed_another(random_model: LocalChatModel) -> None:
    said = [random_model.invoke("茶", seed=seed, max_tokens=16, temperature=1.5).text for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_a_wrong_setting_for_one_call_is_one_sentence(folders: dict[str, str], tmp_path: Path) -> None:
    llm = LocalChatModel(model=folders["llama"])
    with pytest.raises(AssistantError, match="temperature is -1: Input should be greater than or equal to 0"):
        llm.invoke("Hello", temperature=-1)
    with pytest.raises(ModelError, match="nowhere"):
        llm.bind(adapter=str(tmp_path / "nowhere")).invoke("Hello")


def at_work() -> list[str]:
    """The threads in which an engine computes."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name == "openvino" or name.endswith("(work)")]


async def test_a_cancelled_task_stops_the_model(random_model: LocalChatModel) -> None:
    asked = asyncio.create_task(random_model.ainvoke("茶", max_tokens=100_000, logprobs=False))
    while not asked.done() and not at_work():
        await asyncio.sleep(0.01)
    assert at_work()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    deadline = time.monotonic() + 10
    while at_work() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not at_work()


def test_tokens_are_counted_with_the_models_own_tokenizer(folders: dict[str, str]) -> None:
    llm = LocalChatModel(model=folders["chatglm"])
    tokenizer = AutoTokenizer.from_pretrained(folders["chatglm"])
    assert llm.get_num_tokens("龙井茶") == len(tokenizer.encode_text("龙井茶"))
    assert llm.get_num_tokens_from_messages([HumanMessage("龙井茶")]) == len(tokenizer.encode_text("龙井茶")) + 2


@pytest.mark.parametrize("kind", ["llama", "chatglm"])
def test_the_text_model_goes_on_from_a_text(folders: dict[str, str], kind: str) -> None:
    llm = LocalLLM(model=folders[kind], max_tokens=8)
    whole = llm.invoke("龙井茶的水温")
    assert whole
    assert "".join(llm.stream("龙井茶的水温")) == whole
    assert llm.batch(["龙井茶的水温", "Tea"])[0] == whole
    stopped = llm.invoke("龙井茶的水温", stop=[whole[2:4]])
    assert stopped == whole[: whole.index(whole[2:4])]
    told = llm.generate(["龙井茶的水温"]).generations[0][0]
    assert told.text == whole


def test_the_answer_of_a_text_model_is_what_the_model_would_write_next(real_model) -> None:
    real_model("smollm2-135m-instruct")
    llm = LocalLLM(model="smollm2-135m-instruct", max_tokens=3)
    assert "Paris" in llm.invoke("The capital of Germany is Berlin. The capital of France is")
    assert json.loads(json.dumps(llm._identifying_params))["model"] == "smollm2-135m-instruct"
