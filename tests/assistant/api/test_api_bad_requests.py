"""Every bad request is a sentence in OpenAI's form, and never a fault of the server."""

import json

import httpx
import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

DEEP = b'{"model": "tea-shop", "messages": [], "tools": ' + b"[" * 985 + b"]" * 985 + b"}"
HELLO = [{"role": "user", "content": "How hot is the water?"}]


def post(api, path: str, body, **more) -> tuple[int, dict]:
    response = httpx.post(f"{api.url}{path}", json=body, timeout=60, **more)
    return response.status_code, response.json()["error"]


def chat(api, **body) -> tuple[int, dict]:
    return post(api, "/chat/completions", {"messages": HELLO, "model": "tea-shop", **body})


def test_an_unknown_model_names_the_nearest(client) -> None:
    with pytest.raises(openai.NotFoundError, match="tea-shop") as raised:
        client.chat.completions.create(model="tee-shop", messages=HELLO)
    assert raised.value.code == "model_not_found"
    assert raised.value.body["type"] == "invalid_request_error"


def test_an_unknown_adapter_names_the_nearest(client) -> None:
    with pytest.raises(openai.NotFoundError, match="tea-shop:first"):
        client.chat.completions.create(model="tea-shop:frist", messages=HELLO)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "user", "content": " \n"}]}, "the last message is empty"),
        ({"messages": [{"role": "user", "content": "？！"}]}, "the question contains no words"),
        ({"messages": [{"role": "user", "content": None}]}, "the last message is empty"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "80"}]}, "a domain answers the user"),
        ({"messages": [{"role": "robot", "content": "?"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "茶" * 20_001}]}, "20,001 characters"),
        ({"n": 2}, "n: "),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"tools": [{"type": "function", "function": {"name": "brew"}}]}, "a domain does not accept tools"),
        ({"response_format": {"type": "json_object"}}, "a domain does not accept response_format"),
    ],
)
def test_bad_bodies(api, body: dict, says: str) -> None:
    status, error = chat(api, **body)
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]


def test_bad_requests_to_the_base_model(api, base: str) -> None:
    tool = {"type": "function", "function": {"name": "brew"}}
    assert "the tools are brew" in chat(api, model=base, tools=[tool], tool_choice="boil")[1]["message"]
    status, error = chat(
        api, model=base, response_format={"type": "json_schema", "json_schema": {"schema": {"type": "tea"}}}
    )
    assert (status, "tea" in error["message"]) == (400, True), error
    assert chat(api, model=base, response_format={"type": "xml"})[0] == 400
    call = {"id": "1", "function": {"name": "brew", "arguments": "[1"}}
    answered = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "1"},
    ]
    status, error = chat(api, model=base, messages=answered)
    assert (status, "not a JSON object" in error["message"]) == (400, True)


def test_a_schema_that_is_nested_too_deeply(api, base: str) -> None:
    schema: dict = {"type": "boolean"}
    for _ in range(400):
        schema = {"type": "array", "items": schema}
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    status, error = chat(api, model=base, response_format=wanted, max_tokens=1)
    assert (status, "flatter" in error["message"]) == (400, True)


def test_a_prompt_that_is_too_long_says_the_numbers(api, base: str) -> None:
    status, error = chat(api, model=base, messages=[{"role": "user", "content": "hot water " * 5000}])
    assert (status, error["code"]) == (400, "context_length_exceeded")
    assert "tokens, but the context of" in error["message"]


def test_a_message_of_1_mb_is_refused(api) -> None:
    status, error = chat(api, messages=[{"role": "user", "content": "x" * 1_000_000}])
    assert status == 413
    assert "1,000,000 bytes" in error["message"]


def test_half_a_character_is_refused(api) -> None:
    body = json.dumps({"model": "tea-shop", "messages": [{"role": "user", "content": "\ud83d"}]})
    response = httpx.post(f"{api.url}/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, DEEP, b"null", b'{"model": NaN}'])
def test_broken_json_is_refused(api, content: bytes) -> None:
    response = httpx.post(f"{api.url}/chat/completions", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_a_form_of_another_site_is_refused(api) -> None:
    """A web page may send text/plain anywhere without asking; JSON it may not."""
    body = json.dumps({"model": "tea-shop", "messages": HELLO})
    response = httpx.post(f"{api.url}/chat/completions", content=body, headers={"content-type": "text/plain"})
    assert response.status_code == 400


def test_unknown_paths_and_methods(api) -> None:
    assert post(api, "/audio/speech", {})[0] == 404
    response = httpx.get(f"{api.url}/chat/completions")
    assert (response.status_code, response.json()["error"]["type"]) == (405, "invalid_request_error")


def test_there_is_no_reranker(api) -> None:
    status, error = post(api, "/rerank", {"model": "tea-shop", "query": "hot?", "documents": ["tea"]})
    assert (status, "no domain has a reranker" in error["message"]) == (404, True)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "192.168.1.9"])
def test_a_foreign_host_name_is_refused(api, host: str) -> None:
    response = httpx.get(f"{api.url}/models", headers={"host": host})
    assert response.status_code in (400, 421)  # uvicorn refuses some itself
    assert "tea-shop" not in response.text


def test_no_other_site_may_read(api) -> None:
    response = httpx.get(f"{api.url}/models", headers={"origin": "https://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_schemathesis_finds_no_fault_of_the_server(api) -> None:
    schema = schemathesis.openapi.from_url(f"{api.root}/openapi.json")
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank", "/v1/models/{name}"):
        method = "GET" if "{" in path else "POST"
        operation = schema[path][method]
        statuses = set()

        @given(case=operation.as_strategy())
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def sends(case) -> None:
            response = case.call()
            statuses.add(response.status_code)  # noqa: B023
            assert response.status_code < 500, response.text

        sends()
        assert statuses <= {200, 400, 404, 413}, statuses
