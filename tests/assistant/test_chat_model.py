"""LocalChatModel as LangChain's own test suites know a chat model, and what they do not ask."""

import asyncio
import threading
import time

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from assistant import AssistantError, LocalChatModel
from assistant.models.messages import template_messages
from assistant.models.tool_calls import call_format
from base_models import ModelError, stream
from base_models.messages import encode

SMOL, QWEN = "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"


class OurModel:
    """What is true of LocalChatModel."""

    @pytest.fixture(autouse=True)
    def _weights(self, real_model, tiny_folder):
        real_model(SMOL)
        real_model(QWEN)
        self.another_model = str(tiny_folder)

    @property
    def chat_model_class(self):
        return LocalChatModel

    @property
    def chat_model_params(self):
        return {"model": SMOL}

    @property
    def standard_chat_model_params(self):
        return super().standard_chat_model_params | {"max_tokens": 12}

    @property
    def model_override_value(self):
        return self.another_model


class TestUnit(OurModel, ChatModelUnitTests):
    """All of them."""


@pytest.mark.slow  # minutes; `TestUnit` and what is below are the main paths
class TestIntegration(OurModel, ChatModelIntegrationTests):
    @pytest.fixture
    def model(self, request):
        """SmolLM2 where quality does not matter, Qwen where a tool must be called."""
        extra = getattr(request, "param", None) or {}
        if "tool" in request.node.name or "agent" in request.node.name:
            return LocalChatModel(model=QWEN, max_tokens=36, **extra)
        return LocalChatModel(**self.standard_chat_model_params, **self.chat_model_params, **extra)


@pytest.fixture(scope="module")
def smol(real_model):
    real_model(SMOL)
    return LocalChatModel(model=SMOL, max_tokens=24)


QUESTION = "Name three colours."


@pytest.fixture(scope="module")
def whole(smol) -> str:
    """What the model answers when nothing stops it."""
    return smol.invoke(QUESTION).text


def test_greedy_answers_are_the_same_however_they_are_asked_for(smol, whole):
    assert len(whole) > 30
    assert "".join(chunk.text for chunk in smol.stream(QUESTION)) == whole
    assert [answer.text for answer in smol.batch([QUESTION, QUESTION])] == [whole, whole]
    (generation,) = smol.answer_many([[{"role": "user", "content": QUESTION}]])
    assert generation.text == whole.strip()


async def test_async_code_can_ask_two_at_once(smol, whole):
    answers = await asyncio.gather(smol.ainvoke(QUESTION), smol.ainvoke(QUESTION))
    assert [answer.text for answer in answers] == [whole, whole]
    assert "".join([chunk.text async for chunk in smol.astream(QUESTION)]) == whole


@pytest.mark.parametrize("cut", [(5, 6), (10, 14), (17, 29), (0, 3)])
def test_no_part_of_a_stop_string_leaks_into_the_stream(smol, whole, cut):
    stop = whole[slice(*cut)]
    pieces = [chunk.text for chunk in smol.stream(QUESTION, stop=["never said", stop])]
    assert "".join(pieces) == whole[: whole.index(stop)]
    answer = LocalChatModel(model=SMOL, max_tokens=24, stop=[stop]).invoke(QUESTION)
    assert answer.text == whole[: whole.index(stop)]
    assert answer.response_metadata["finish_reason"] == "stop"


def test_what_only_looks_like_the_beginning_of_a_stop_string_is_said_in_the_end(smol, whole):
    pieces = [chunk.text for chunk in smol.stream(QUESTION, stop=[whole[-4:] + " and more"])]
    assert "".join(pieces) == whole


def test_usage_counts_the_tokens_of_prompt_and_answer(smol, whole):
    tokenizer = smol.loaded.tokenizer
    messages = [{"role": "user", "content": QUESTION}]
    prompt = len(encode(tokenizer, messages).ids)
    answer = smol.invoke(QUESTION)
    assert answer.usage_metadata == {"input_tokens": prompt, "output_tokens": 24, "total_tokens": prompt + 24}
    stopped = smol.invoke(QUESTION, stop=[whole[20:24]])
    assert stopped.usage_metadata["input_tokens"] == prompt
    (generation,) = (piece for piece in stream(smol.answering, messages, smol.sampling()) if not isinstance(piece, str))
    kept = [token.id for token in generation.tokens[: stopped.usage_metadata["output_tokens"]]]
    assert tokenizer.decode(kept).startswith(stopped.text)
    assert not tokenizer.decode(kept[:-1]).startswith(stopped.text), "the last one was cut"


def test_the_finish_reason_tells_an_answer_from_one_that_was_cut_off(smol):
    assert smol.invoke(QUESTION).response_metadata["finish_reason"] == "length"
    said = smol.invoke("What is the capital of France?", max_tokens=60)
    assert said.response_metadata["finish_reason"] == "stop"
    assert said.usage_metadata["output_tokens"] < 60


def test_every_field_may_be_given_for_one_call(smol, whole):
    assert smol.bind(max_tokens=5).invoke(QUESTION).usage_metadata["output_tokens"] == 5
    assert smol.invoke(QUESTION, temperature=1.5, max_tokens=24).text != whole
    assert smol.invoke(QUESTION).text == whole


def test_callbacks_are_told_each_piece(smol, whole):
    class Heard(BaseCallbackHandler):
        text = ""

        def on_llm_new_token(self, token, **kwargs):
            self.text += token

    heard = Heard()
    list(smol.stream(QUESTION, config={"callbacks": [heard]}))
    assert heard.text == whole


def only_these_threads_remain(count: int) -> bool:
    """Within ten seconds: an engine stops at its next token."""
    deadline = time.monotonic() + 10
    while threading.active_count() > count and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count() == count


def test_closing_a_stream_stops_the_worker(smol):
    before = threading.active_count()
    pieces = smol.stream(QUESTION, max_tokens=100_000)  # would run into the time limit of the test
    next(pieces)
    pieces.close()
    assert only_these_threads_remain(before)


def test_a_stop_string_stops_the_worker(smol, whole):
    before = threading.active_count()
    *_, last = smol.stream(QUESTION, stop=[whole[5:9]], max_tokens=100_000)
    assert last.chunk_position == "last"
    assert only_these_threads_remain(before)


def test_models_of_one_name_share_their_weights_even_when_threads_ask_first_at_once(real_model, tiny_folder):
    LocalChatModel(model=str(tiny_folder)).loaded  # noqa: B018 - so that SmolLM2 is not in memory any more
    models = [LocalChatModel(model=SMOL), LocalChatModel(model=SMOL, temperature=0.5)]
    seen = []
    threads = [threading.Thread(target=lambda model=model: seen.append(model.loaded)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] is seen[1]


def test_an_unknown_model_is_named_with_the_nearest_one():
    with pytest.raises(ModelError, match=r"smollm3.*smollm2-135m-instruct"):
        LocalChatModel(model="smollm3-135m-instruct").invoke("Hello")


def test_an_adapter_of_another_model_is_refused(tuned_handbook, tiny_folder):
    other = LocalChatModel(model=SMOL, adapter=tuned_handbook / "adapters" / "first")
    with pytest.raises(ModelError, match=f"adapter first was trained on {tiny_folder}"):
        other.invoke("Hello")


def test_impossible_settings_are_refused_when_the_model_is_made():
    for wrong in ({"max_tokens": 0}, {"temperature": -1}, {"repetition_penalty": 0.5}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            LocalChatModel(model=SMOL, **wrong)


def test_tool_choice_and_unknown_messages_are_refused_in_one_sentence(smol):
    tool = {"name": "search", "description": "Search.", "parameters": {"type": "object", "properties": {}}}
    with pytest.raises(AssistantError, match="tool_choice is 'find', but the tools are search; or use \"auto\""):
        smol.bind_tools([tool], tool_choice="find")
    with pytest.raises(AssistantError, match="does not accept messages of type 'chat'"):
        smol.invoke([ChatMessage(role="critic", content="Bad.")])


def test_a_conversation_with_tools_is_written_in_the_format_of_the_model(real_model):
    real_model(QWEN)

    @tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return "晴"

    call = {"name": "weather", "args": {"city": "杭州"}, "id": "1", "type": "tool_call"}
    said = [
        SystemMessage("Be brief."),
        HumanMessage("天气?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("晴", tool_call_id="1", name="weather"),
    ]
    tokenizer = LocalChatModel(model=QWEN).loaded.tokenizer
    text = tokenizer.decode(encode(tokenizer, template_messages(said, call_format(tokenizer))).ids)
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "杭州"}}\n</tool_call>' in text
    assert "<tool_response>\n晴\n</tool_response>" in text


def test_a_called_tool_is_no_text_and_its_arguments_come_whole(real_model):
    real_model(QWEN)

    @tool
    def convert_currency(amount: float, currency: str) -> str:
        """Convert an amount of money into a currency."""
        return ""

    llm = LocalChatModel(model=QWEN, max_tokens=48).bind_tools([convert_currency])
    chunks = list(llm.stream("把 25 元换成 EUR。Use the tool."))
    message = sum(chunks[1:], chunks[0])
    assert isinstance(message, AIMessageChunk)
    assert message.text == ""
    (call,) = message.tool_calls
    assert call["name"] == "convert_currency"
    assert call["args"]["currency"] == "EUR"
    assert float(call["args"]["amount"]) == 25
