"""What a busy, slow or stopping server does: queue, time-out, hang-up, keys, signals."""

import json
import os
import re
import shutil
import signal
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from assistant_samples import lorewright

from domain import set_setting

LONG_LIST = {"type": "array", "items": {"type": "integer"}, "minItems": 3000}
LONG_OBJECT = {"type": "object", "properties": {"numbers": LONG_LIST}, "required": ["numbers"]}
ENDLESS = {
    "messages": [{"role": "user", "content": "Tell me of tea."}],
    "max_tokens": 100_000,
    "stream": True,
    "response_format": {"type": "json_schema", "json_schema": {"name": "long", "schema": LONG_OBJECT}},
}
"""An answer that cannot end before the context of the random model is full."""


def wait_until(holds, seconds: float = 60) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def narrow(start_api, tea_shop: Path, tmp_path_factory: pytest.TempPathFactory):
    """One answer at a time, as with transformers, and one that waits."""
    shop = shutil.copytree(tea_shop, tmp_path_factory.mktemp("narrow") / "tea-shop")
    set_setting(shop / "domain.toml", "engine", "transformers")
    return start_api(shop, tmp_path_factory.mktemp("keys"), "--waiting", "1")


def endless(server, base: str):
    return httpx.stream("POST", f"{server.url}/chat/completions", json={"model": base, **ENDLESS}, timeout=30)


def is_idle(server) -> bool:
    health = server.health()
    return health["running"] == health["waiting"] == 0


def test_a_client_that_hangs_up_frees_its_place(narrow, base: str) -> None:
    with endless(narrow, base) as response:
        lines = response.iter_lines()
        for _ in range(3):
            next(line for line in lines if line)
        assert narrow.health()["running"] == 1
    wait_until(lambda: is_idle(narrow))


def test_hanging_up_before_the_answer_frees_the_place_too(narrow, base: str) -> None:
    body = {"model": base, **ENDLESS, "stream": False}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{narrow.url}/chat/completions", json=body, timeout=1)
    wait_until(lambda: is_idle(narrow))


def test_a_full_queue_refuses_and_says_when_to_come_back(narrow, base: str) -> None:
    with ThreadPoolExecutor() as threads, endless(narrow, base) as running:
        lines = running.iter_lines()  # kept: the response is closed with it
        next(lines)
        body = {"model": base, **ENDLESS, "max_tokens": 2, "stream": False}
        waiting = threads.submit(httpx.post, f"{narrow.url}/chat/completions", json=body, timeout=30)
        wait_until(lambda: narrow.health()["waiting"] == 1)
        refused = httpx.post(f"{narrow.url}/embeddings", json={"model": "tea-shop", "input": "tea"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert refused.json()["error"]["code"] == "queue_full"
        running.close()
        assert waiting.result().status_code == 200, "what waited is answered"
    wait_until(lambda: is_idle(narrow))


def test_an_answer_that_takes_too_long_ends_with_an_error(start_api, tea_shop: Path, base: str, tmp_path: Path) -> None:
    hasty = start_api(tea_shop, tmp_path, "--timeout", "1")
    with endless(hasty, base) as response:
        events = [line for line in response.iter_lines() if line]
    assert events[-1] == "data: [DONE]"
    assert "longer than 1 seconds" in json.loads(events[-2].removeprefix("data: "))["error"]["message"]
    with pytest.raises(openai.InternalServerError, match="longer than 1 seconds") as late:
        hasty.client().chat.completions.create(model=base, **{**ENDLESS, "stream": False})
    assert late.value.status_code == 504
    wait_until(lambda: is_idle(hasty))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_a_signal_running_answers_end_or_are_cut(start_api, tea_shop, base, tmp_path, number) -> None:
    server = start_api(tea_shop, tmp_path, "--grace", "2")
    with endless(server, base) as response:
        lines = response.iter_lines()
        next(lines)
        printed: list[str] = []
        stopping = threading.Thread(target=lambda: printed.append(server.stop(number)))
        stopping.start()
        events = [line for line in lines if line]
        assert json.loads(events[-2].removeprefix("data: "))["error"]["code"] == "server_stopping"
        stopping.join()
    assert "1 requests are not answered yet; they are cut after 2 seconds" in printed[0]
    assert printed[0].endswith("Stopped.\n")


def test_a_short_answer_ends_after_the_signal(start_api, tea_shop, base, tmp_path) -> None:
    server = start_api(tea_shop, tmp_path)
    body = {"model": base, **ENDLESS, "max_tokens": 300}
    with httpx.stream("POST", f"{server.url}/chat/completions", json=body, timeout=30) as response:
        lines = response.iter_lines()
        next(lines)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        events = [json.loads(line[6:]) for line in lines if line and line != "data: [DONE]"]
        stopping.join()
    assert events[-1]["choices"][0]["finish_reason"] in ("stop", "length")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOREWRIGHT_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def test_keys_are_shown_once_and_stored_as_hashes(config: Path) -> None:
    made = lorewright("keys", "add", "anna")
    key = made.out.strip()
    assert re.fullmatch(r"lw-[\w-]{43}", key)
    file = config / "api-keys.json"
    assert key not in file.read_text("utf-8")
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "already" in lorewright("keys", "add", "anna").err
    assert "not a valid name" in lorewright("keys", "add", "../x").err
    assert lorewright("keys", "add", "李雷").status == 0
    assert [line.split()[0] for line in lorewright("keys", "list").out.splitlines()] == ["anna", "李雷"]
    assert lorewright("keys", "revoke", "anna").out == "The key 'anna' is revoked.\n"
    assert "there is no key 'anna' (known: 李雷)" in lorewright("keys", "revoke", "anna").err


def test_another_address_needs_a_key(config: Path, tea_shop: Path) -> None:
    refused = lorewright("serve", tea_shop, "--host", "0.0.0.0", "--port", "0")
    assert refused.status == 1
    assert "a server on 0.0.0.0 needs an API key; make one with: lorewright keys add NAME" in refused.err


def test_keys_admit_limit_and_revoke(config: Path, start_api, tea_shop: Path) -> None:
    key, other = (lorewright("keys", "add", name).out.strip() for name in ("anna", "ben"))
    server = start_api(tea_shop, config, "--host", "0.0.0.0", "--requests-per-minute", "3")
    assert server.health()["status"] == "ok"
    for path in ("/v1/models", "/metrics", "/openapi.json"):
        assert httpx.get(f"{server.root}{path}").status_code == 401
    with pytest.raises(openai.AuthenticationError) as refused:
        server.client("lw-wrong").models.list()
    assert refused.value.code == "invalid_api_key"
    for _ in range(3):
        assert server.client(key).models.list().data
    with pytest.raises(openai.RateLimitError, match="3 requests a minute") as limited:
        server.client(key).models.list()
    assert 1 <= int(limited.value.response.headers["retry-after"]) <= 61
    assert server.client(other).models.list().data, "each key has a limit of its own"
    lorewright("keys", "revoke", "ben")
    with pytest.raises(openai.AuthenticationError):
        server.client(other).models.list()


def test_a_port_that_is_taken(narrow, tea_shop: Path) -> None:
    port = narrow.root.rpartition(":")[2]
    refused = lorewright("serve", tea_shop, "--port", port)
    assert f"cannot listen on 127.0.0.1, port {port}" in refused.err


def test_two_domains_of_one_name(tea_shop: Path) -> None:
    assert "two models have the name 'tea-shop'" in lorewright("serve", tea_shop, tea_shop, "--port", "0").err
