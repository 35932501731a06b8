"""OpenAI's own client against a running server."""

import base64
import json
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

QUESTION = "How hot should the water be?"
COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "绿色"]}, "hot": {"type": "boolean"}},
    "required": ["colour", "hot"],
}
BREW = {"type": "function", "function": {"name": "brew", "description": "泡茶", "parameters": COLOUR}}


def ask(client, model: str, text: str, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def test_models_are_the_domain_its_adapters_and_the_base(client, base: str) -> None:
    names = [model.id for model in client.models.list()]
    assert names == ["tea-shop", "tea-shop:base", "tea-shop:first", base]
    assert client.models.retrieve("tea-shop:first").id == "tea-shop:first"


@pytest.mark.parametrize(("model", "adapter"), [("tea-shop", "first"), ("tea-shop:first", "first")])
def test_a_domain_answers_with_citations(client, model: str, adapter: str) -> None:
    answer = ask(client, model, QUESTION)
    message = answer.choices[0].message
    more = message.lorewright
    assert more["outcome"] in ("answered", "unsure")
    assert "[1]" in message.content
    assert more["citations"][0]["document"] == "tea.md"
    assert "80 degrees" in message.content
    assert more["adapter"] == adapter
    assert {source["document"] for source in more["sources"]} == {"tea.md"}
    assert answer.usage.prompt_tokens > 20
    assert answer.choices[0].finish_reason == "stop"


def test_the_base_model_of_a_domain_answers(client) -> None:
    assert ask(client, "tea-shop:base", QUESTION).choices[0].message.lorewright["adapter"] is None


def test_a_refusal_says_so(client) -> None:
    message = ask(client, "tea-shop", "Who was Shakespeare?").choices[0].message
    assert message.lorewright["refused"]
    assert message.lorewright["citations"] == []
    assert message.content


def test_small_talk_needs_no_model(client) -> None:
    message = ask(client, "tea-shop", "你好").choices[0].message
    assert message.lorewright["outcome"] == "small_talk"


def test_a_stream_adds_up_to_the_final_text(client) -> None:
    whole = ask(client, "tea-shop", QUESTION).choices[0].message
    chunks = list(ask(client, "tea-shop", QUESTION, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == whole.content
    extensions = [delta.lorewright for delta in deltas if hasattr(delta, "lorewright")]
    assert len([one for one in extensions if "draft" in one]) > 1, "the draft is streamed beside"
    assert extensions[-1]["citations"] == whole.lorewright["citations"]
    assert chunks[-1].usage.completion_tokens > 0
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_a_follow_up_question_uses_the_conversation(client) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How much tea for a cup?"},
        {"role": "assistant", "content": "Three grams of leaves. [1]"},
        {"role": "user", "content": [{"type": "text", "text": "And how long must it draw?"}]},
    ]
    message = client.chat.completions.create(model="tea-shop", messages=messages).choices[0].message
    assert "two minutes" in message.content


def test_settings_reach_a_domain(client) -> None:
    short = ask(client, "tea-shop", QUESTION, max_completion_tokens=3)
    assert short.usage.completion_tokens == 3
    drawn = [
        ask(client, "tea-shop", QUESTION, temperature=1.5, seed=seed).choices[0].message.lorewright["written"]
        for seed in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    streamed = ask(client, "tea-shop", QUESTION, temperature=1.5, seed=2, stream=True)
    drafts = ["".join(c.choices[0].delta.lorewright.get("draft", "") for c in streamed if _extended(c))]
    again = ask(client, "tea-shop", QUESTION, temperature=1.5, seed=3, stream=True)
    drafts.append("".join(c.choices[0].delta.lorewright.get("draft", "") for c in again if _extended(c)))
    assert drafts[0] != drafts[1]


def _extended(chunk) -> bool:
    return hasattr(chunk.choices[0].delta, "lorewright")


@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_the_base_model(client, base: str, stream: bool) -> None:
    asked = {"tools": [BREW], "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 200}
    if stream:
        chunks = [chunk.choices[0] for chunk in ask(client, base, "泡茶", stream=True, **asked)]
        (call,) = [call for chunk in chunks for call in chunk.delta.tool_calls or ()]
        reason = chunks[-1].finish_reason
    else:
        choice = ask(client, base, "泡茶", **asked).choices[0]
        (call,) = choice.message.tool_calls
        reason = choice.finish_reason
        assert choice.message.content is None
    assert (call.function.name, reason) == ("brew", "tool_calls")
    arguments = json.loads(call.function.arguments)
    assert arguments.keys() == {"colour", "hot"}
    assert arguments["colour"] in ("red", "绿色")


def test_a_conversation_with_tool_results(client, base: str) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "brew", "arguments": '{"hot": true}'}}
    messages = [
        {"role": "user", "content": "Brew tea."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]
    answer = client.chat.completions.create(model=base, messages=messages, tools=[BREW], max_tokens=5)
    assert answer.usage.completion_tokens <= 5


def test_a_json_schema_is_kept(client, base: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "colour", "schema": COLOUR}}
    answer = ask(client, base, "What colour?", response_format=wanted, max_tokens=200)
    assert json.loads(answer.choices[0].message.content)["colour"] in ("red", "绿色")


def test_log_probabilities_stop_and_length(client, base: str) -> None:
    answer = ask(client, base, "Tea?", max_tokens=4, logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens == 4
    assert all(token.top_logprobs[0].logprob == token.logprob for token in tokens), "greedy takes the likeliest"
    assert answer.choices[0].finish_reason == "length"
    text = ask(client, base, "Tea?", max_tokens=12).choices[0].message.content
    stop = text.strip()[3:6]
    stopped = ask(client, base, "Tea?", max_tokens=12, stop=stop).choices[0]
    assert stopped.message.content == text[: text.index(stop)]
    assert stopped.finish_reason == "stop"


def test_completions(client, base: str) -> None:
    whole = client.completions.create(model=base, prompt="Green tea", max_tokens=6, logprobs=2)
    assert whole.usage.completion_tokens == len(whole.choices[0].logprobs.tokens) == 6
    chunks = client.completions.create(model=base, prompt="Green tea", max_tokens=6, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    with pytest.raises(openai.NotFoundError, match=base):
        client.completions.create(model="tea-shop", prompt="Green tea")


def test_embeddings_are_the_index_s(client, api, tea_shop: Path) -> None:
    from indexes import Index

    texts = ["Use water of 80 degrees.", "用 80 度的水。"]
    as_base64 = client.embeddings.create(model="tea-shop", input=texts)  # the client asks for base64 by itself
    floats = client.embeddings.create(model="all-minilm-l6-v2", input=texts, encoding_format="float")
    expected = Index.open(tea_shop).embedder.encode_passages(texts)
    for got in (as_base64, floats):
        assert np.allclose([row.embedding for row in got.data], expected, atol=1e-5)
    body = {"model": "tea-shop", "input": texts[0], "encoding_format": "base64", "input_type": "query"}
    raw = httpx.post(f"{api.url}/embeddings", json=body).json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(raw), "<f4").shape == (384,)
    with pytest.raises(openai.BadRequestError, match="384 dimensions"):
        client.embeddings.create(model="tea-shop", input="tea", dimensions=10)


def test_metrics_count(client, api) -> None:
    ask(client, "tea-shop", "Who was Shakespeare?")
    text = httpx.get(f"{api.root}/metrics").text
    for name in (
        'lorewright_requests_total{endpoint="/v1/chat/completions",status="200"}',
        'lorewright_refusals_total{model="tea-shop"}',
        'lorewright_request_seconds_count{endpoint="/v1/chat/completions"}',
        "lorewright_waiting 0.0",
        "lorewright_tokens_total",
    ):
        assert name in text
    assert httpx.get(f"{api.root}/health").json() == {"status": "ok", "running": 0, "waiting": 0}
