"""Bounded load: many streams at once, each answer whole and to its own question."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

CLIENTS = 16
STREAMS = 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["base", "domain"])
def test_200_streams_by_16_clients(api, base: str, kind: str, record_property) -> None:
    questions = [f"How hot is the water for cup {number}?" for number in range(10)]
    model = base if kind == "base" else "tea-shop"
    client = api.client()

    def ask(question: str, stream: bool = True) -> tuple[str, str | None]:
        body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 24}
        if not stream:
            choice = client.chat.completions.create(**body).choices[0]
            return choice.message.content, choice.finish_reason
        chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**body, stream=True)]
        return "".join(chunk.delta.content or "" for chunk in chunks), chunks[-1].finish_reason

    expected = {question: ask(question, stream=False) for question in questions}
    if kind == "base":
        assert len(set(expected.values())) > 5, "the answers tell the questions apart"
    asked = [questions[number % len(questions)] for number in range(STREAMS)]
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(ask, asked))
    seconds = time.monotonic() - began
    record_property("seconds", seconds)
    print(f"{kind}: {STREAMS} streams by {CLIENTS} clients in {seconds:.1f} s")
    assert [expected[question] for question in asked] == answers
    assert api.health() == {"status": "ok", "running": 0, "waiting": 0}
