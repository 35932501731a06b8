"""Messages in, text out: batched or streamed, the answer is the same; stopping stops."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from toy_answers import write_adapter, write_parrot
from transformers import AutoTokenizer

from base_models import ModelError, Sampling, generate, load, stream
from base_models.generation import Generation
from base_models.loaded_model import LoadedModel
from base_models.messages import encode

Conversation = list[dict[str, str]]


def ask(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


CONVERSATIONS = [
    ask("What is the capital of France?"),
    [*ask("Hi."), {"role": "assistant", "content": "Hello! How can I help?"}, {"role": "user", "content": "Tea?"}],
    ask("Say tea again and again: tea tea tea tea tea tea tea tea tea tea"),
    ask("1+1?"),
]


@pytest.fixture(scope="module")
def answers(smollm2_once: LoadedModel) -> list[Generation]:
    """Each conversation answered alone."""
    sampling = Sampling(max_new_tokens=16)
    return [generate(smollm2_once, [conversation], sampling)[0] for conversation in CONVERSATIONS]


def test_a_prompt_that_the_model_cannot_read_whole_is_refused(tiny: LoadedModel, tiny_folder: Path) -> None:
    most = tiny.context_length
    assert most == tiny.model.config.max_position_embeddings
    for call in (
        lambda: generate(tiny, [ask("?"), ask("tea " * most)], Sampling(max_new_tokens=1)),
        lambda: list(stream(tiny, ask("tea " * most), Sampling(max_new_tokens=1))),
    ):
        with pytest.raises(
            ModelError, match=rf"the prompt has [\d,]+ tokens, but the context of .* is {most:,}; shorten the prompt"
        ):
            call()


@pytest.mark.parametrize("batch_size", [2, 4])
def test_a_batch_answers_as_each_alone(smollm2: LoadedModel, answers: list[Generation], batch_size: int) -> None:
    """Greedy, in float32, prompts of different lengths, in the order in which they were asked."""
    done: list[int] = []
    together = generate(
        smollm2, CONVERSATIONS, Sampling(max_new_tokens=16), batch_size=batch_size, progress=done.append
    )
    assert together == answers
    assert done == [batch_size] * (4 // batch_size)
    assert "Paris" in answers[0].text


def test_a_stream_answers_as_a_batch(smollm2: LoadedModel, answers: list[Generation]) -> None:
    *pieces, last = stream(smollm2, CONVERSATIONS[1], Sampling(max_new_tokens=16))
    assert last == answers[1]
    assert "".join(map(str, pieces)).strip() == answers[1].text
    assert len(pieces) > 3


def test_an_answer_that_ends_itself_has_stopped(smollm2: LoadedModel) -> None:
    (whole,) = generate(smollm2, [ask("What is the capital of France?")], Sampling(max_new_tokens=30))
    assert whole.stopped
    assert whole.text == "The capital of France is Paris."
    assert whole.completion_tokens == len(smollm2.tokenizer(whole.text).input_ids) + 1
    assert whole.prompt_tokens == len(encode(smollm2.tokenizer, ask("What is the capital of France?")).ids)


@pytest.mark.parametrize("limit", [1, 3])
def test_an_answer_is_cut_at_max_new_tokens(smollm2: LoadedModel, limit: int) -> None:
    (cut,) = generate(smollm2, [ask("What is the capital of France?")], Sampling(max_new_tokens=limit))
    assert not cut.stopped
    assert cut.completion_tokens == limit
    assert "The capital of France is Paris.".startswith(cut.text)


def penalised(loaded: LoadedModel, conversation: Sequence[dict[str, str]], penalty: float, count: int) -> list[int]:
    """Keskar et al. 2019 by hand, on the tokens of the answer only."""
    output, answer = None, []
    new = encode(loaded.tokenizer, conversation).ids
    with torch.inference_mode():
        while len(answer) < count and answer[-1:] != [loaded.tokenizer.eos_token_id]:
            output = loaded.model(torch.tensor([new]), past_key_values=output.past_key_values if output else None)
            scores = output.logits[0, -1]
            for token in set(answer):
                scores[token] = scores[token] / penalty if scores[token] > 0 else scores[token] * penalty
            new = [int(scores.argmax())]
            answer += new
    return answer


def test_the_repetition_penalty_counts_the_tokens_of_the_answer_only(smollm2: LoadedModel) -> None:
    asked = CONVERSATIONS[2:]
    wanted = [smollm2.tokenizer.decode(penalised(smollm2, c, 1.5, 10), skip_special_tokens=True) for c in asked]
    got = generate(smollm2, asked, Sampling(max_new_tokens=10, repetition_penalty=1.5))
    assert [generation.text for generation in got] == [text.strip() for text in wanted]
    free = generate(smollm2, asked, Sampling(max_new_tokens=10))
    assert got[0].text != free[0].text, "a penalty must change an answer that repeats itself"


def test_a_temperature_varies_the_answer_by_the_seed(tiny: LoadedModel) -> None:
    def answer(seed: int) -> str:
        torch.manual_seed(seed)
        return generate(tiny, [ask("Tell me a story.")], Sampling(max_new_tokens=8, temperature=1.5))[0].text

    assert answer(1) == answer(1)
    assert len({answer(seed) for seed in (1, 2, 3)}) > 1


MIXED = "龙井茶😀很好喝。 Taste (it) now!"


@pytest.fixture(scope="module")
def parrot(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("parrot")
    write_parrot(folder, AutoTokenizer.from_pretrained(tiny_folder), MIXED)
    return load(folder, dtype="float32")


def test_streamed_pieces_never_hold_half_a_character(parrot: LoadedModel) -> None:
    """The tokenizer splits each of these characters into several tokens of bytes."""
    *pieces, last = stream(parrot, ask("?"), Sampling(max_new_tokens=60))
    assert isinstance(last, Generation)
    assert (last.text, last.stopped) == (MIXED, True)
    assert "".join(map(str, pieces)) == MIXED
    assert not any("\ufffd" in str(piece) for piece in pieces)
    assert len(pieces) >= 8
    assert pieces[0] == "龙", "a Chinese character is shown as soon as it is whole"


def test_an_answer_cut_inside_a_character_leaves_the_half_out(parrot: LoadedModel) -> None:
    *_, whole = stream(parrot, ask("?"), Sampling(max_new_tokens=60))
    assert isinstance(whole, Generation)
    for limit in range(1, whole.completion_tokens):
        *pieces, last = stream(parrot, ask("?"), Sampling(max_new_tokens=limit))
        assert isinstance(last, Generation)
        assert not last.stopped or limit == whole.completion_tokens
        assert "".join(map(str, pieces)).strip() == last.text
        assert MIXED.startswith(last.text)
        assert generate(parrot, [ask("?")], Sampling(max_new_tokens=limit)) == [last]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<think>The pot is empty</think> No tea.", "No tea."),
        (" <think></think>No tea.", "No tea."),
        ("<think>The pot is", ""),
        ("< 5 cups", "< 5 cups"),
    ],
)
@pytest.mark.parametrize("begun_in_the_prompt", [False, True])
def test_thoughts_are_neither_shown_nor_returned(
    begun_in_the_prompt: bool, said: str, shown: str, tiny_folder: Path, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.add_tokens(["<think>", "</think>"])
    if begun_in_the_prompt and "<think>" in said:  # as the templates of models do that always think
        said = said.partition("<think>")[2]
        tokenizer.chat_template += "{{ '<think>' }}"
    write_parrot(tmp_path, tokenizer, said, after="<think>" if "{{ '<think>' }}" in tokenizer.chat_template else "\n")
    loaded = load(tmp_path, dtype="float32")
    *pieces, last = stream(loaded, ask("?"), Sampling(max_new_tokens=30))
    assert isinstance(last, Generation)
    assert ["".join(map(str, pieces)).strip(), last.text] == [shown, shown]
    assert generate(loaded, [ask("?")], Sampling(max_new_tokens=30)) == [last]


def test_closing_a_stream_stops_the_model(smollm2: LoadedModel) -> None:
    threads = threading.active_count()
    pieces = stream(smollm2, ask("Write a very long story."), Sampling(max_new_tokens=40_000, temperature=0.7))
    assert next(pieces)
    assert threading.active_count() == threads + 1
    pieces.close()  # type: ignore[attr-defined]  # else 40,000 tokens run into the time limit of the test
    assert threading.active_count() == threads
    assert generate(smollm2, [ask("1+1?")], Sampling(max_new_tokens=2))


def test_a_stream_that_nobody_reads_does_nothing(smollm2: LoadedModel) -> None:
    threads = threading.active_count()
    stream(smollm2, ask("Write a very long story."), Sampling(max_new_tokens=40_000))
    assert threading.active_count() == threads


def test_an_error_while_streaming_reaches_the_reader(tiny: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a finished adapter"):
        list(stream(tiny, ask("?"), Sampling(), adapter=tmp_path))


def test_two_threads_with_two_adapters_do_not_mix(tiny: LoadedModel, tmp_path: Path) -> None:
    adapters: list[Path | None] = [None, *(write_adapter(tmp_path / str(n), tiny, seed=n, size=1.0) for n in (1, 2))]
    sampling = Sampling(max_new_tokens=12)
    alone = [generate(tiny, [ask("tea")], sampling, adapter=adapter) for adapter in adapters]
    assert len({generations[0].text for generations in alone}) == 3
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(8):
            *_, last = stream(tiny, ask("tea"), sampling, adapter=adapters[which])
            if last != alone[which][0]:
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_asked_is_nothing_answered(tiny: LoadedModel) -> None:
    assert generate(tiny, [], Sampling()) == []


def test_tools_reach_the_prompt(real_model: Callable[[str], Path], tiny: LoadedModel) -> None:
    """By the count of the prompt's tokens, with a template that knows tools."""
    qwen = AutoTokenizer.from_pretrained(real_model("qwen2.5-coder-0.5b-instruct"))
    tool = {"type": "function", "function": {"name": "search", "description": "Find.", "parameters": {}}}
    template = tiny.tokenizer.chat_template
    tiny.tokenizer.chat_template = qwen.chat_template
    try:
        (with_tool,) = generate(tiny, [ask("?")], Sampling(max_new_tokens=1), tools=[tool])
        (without,) = generate(tiny, [ask("?")], Sampling(max_new_tokens=1))
        *_, streamed = stream(tiny, ask("?"), Sampling(max_new_tokens=1), tools=[tool])
    finally:
        tiny.tokenizer.chat_template = template
    assert with_tool.prompt_tokens > without.prompt_tokens + 20
    assert streamed == with_tool
