"""Runs one subject of engines.py in its own process and, for the peers, its own environment: IN.json OUT.json."""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ANSWER = 64
"""Tokens of every answer: generation never ends earlier, because the end token is treated like any other."""

Stream = Callable[[str, int], Iterator[str]]
"""Prompt and number of tokens -> pieces of text, one token each."""


def ours(work: dict[str, Any]) -> Stream:
    """An engine of base_models."""
    from base_models import Sampling, load, load_openvino

    engine = load_openvino(work["model"]) if work["subject"] == "openvino" else load(work["model"])
    tokenizer = engine.tokenizer
    # a reserved token that no answer contains, so that every answer has 64 tokens
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(len(tokenizer) - 1)

    def stream(prompt: str, count: int) -> Iterator[str]:
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
        for token in engine.stream_ids(ids, Sampling(max_new_tokens=count)):
            yield str(tokenizer.decode([token.id]))

    return stream


def huggingface_pipeline(work: dict[str, Any]) -> Stream:
    """LangChain's pipeline for a local model, as in its documentation."""
    from langchain_huggingface import HuggingFacePipeline
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    model = AutoModelForCausalLM.from_pretrained(work["folder"], local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(work["folder"], local_files_only=True)
    model.generation_config.eos_token_id = None
    made = pipeline("text-generation", model=model, tokenizer=tokenizer, return_full_text=False)

    def stream(prompt: str, count: int) -> Iterator[str]:
        arguments = {"max_new_tokens": count, "do_sample": False}
        yield from HuggingFacePipeline(pipeline=made, pipeline_kwargs=arguments).stream(prompt)

    return stream


def llama_cpp(work: dict[str, Any]) -> Stream:
    """llama.cpp from the xllamacpp wheel, on the GGUF file that our weights were converted from."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = work["gguf"]
    parameters.n_ctx = 8192
    parameters.n_parallel = 1
    server = xllamacpp.Server(parameters)

    def stream(prompt: str, count: int) -> Iterator[str]:
        asked = {"prompt": prompt, "n_predict": count, "temperature": 0, "stream": True, "ignore_eos": True}
        asked["cache_prompt"] = True
        pieces: SimpleQueue[str | None] = SimpleQueue()

        def ask() -> None:
            try:
                server.handle_completions(asked, lambda part: pieces.put(part["choices"][0]["text"]))
            finally:
                pieces.put(None)

        threading.Thread(target=ask).start()
        yield from iter(pieces.get, None)

    return stream


SUBJECTS = {
    "transformers": ours,
    "openvino": ours,
    "HuggingFacePipeline": huggingface_pipeline,
    "llama.cpp": llama_cpp,
}


def main() -> None:
    given, told = map(Path, sys.argv[1:])
    work = json.loads(given.read_text(encoding="utf-8"))
    stream = SUBJECTS[work["subject"]](work)
    "".join(stream("Hello", 2))  # loads the weights from disk
    first, whole, answer = timed(stream, work["first"])
    next_first, _, _ = timed(stream, work["next_prompt"].replace("{answer}", answer))
    result = {
        "first token, s": first,
        "whole answer, s": whole,
        "decoded tokens/s": (ANSWER - 1) / (whole - first),
        "next turn's first token, s": next_first,
    }
    if work["subject"] == "openvino":  # transformers does not batch concurrent answers
        result["8 users with passages, tokens of one"] = eight_users(stream, work["users"]) * whole / ANSWER
        _, alone, _ = timed(stream, work["short_alone"])
        result["8 users without, tokens of one"] = eight_users(stream, work["short"]) * alone / ANSWER
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["peak memory, GB"] = peak / (2**30 if sys.platform == "darwin" else 2**20)
    told.write_text(json.dumps(result), encoding="utf-8")


def timed(stream: Stream, prompt: str) -> tuple[float, float, str]:
    """Seconds to the first and to the last of ANSWER tokens, and the answer."""
    start = time.perf_counter()
    first, pieces = 0.0, []
    for piece in stream(prompt, ANSWER):
        first = first or time.perf_counter() - start
        pieces.append(piece)
    return first, time.perf_counter() - start, "".join(pieces)


def eight_users(stream: Stream, prompts: list[str]) -> float:
    """Tokens per second of eight concurrent answers to different prompts."""
    threads = [threading.Thread(target=lambda prompt=prompt: list(stream(prompt, ANSWER))) for prompt in prompts]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(prompts) * ANSWER / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
