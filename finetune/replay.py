"""Replay against forgetting: a run also trains on general questions with the base model's own answers.

A run changes most what it does not train on. A model that is also trained on everyday questions, with the answers it
gave before, keeps giving them (rehearsal with the model's own answers, arXiv:2403.01244). The prompts are in
general_prompts.txt; the answers of each base are generated once and cached in the user's cache folder, where they can
be deleted.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from base_models import Sampling, generate
from base_models.acquire.fetch import cache_folder
from base_models.engine_selection import faster_engine
from base_models.engines import Engine
from base_models.loaded_model import LoadedModel
from base_models.messages import Message
from domain import write_text

PROMPTS = (Path(__file__).parent / "general_prompts.txt").read_text(encoding="utf-8").splitlines()
MAX_NEW_TOKENS = 160
"""A longer answer is cut off and not used: it would teach the model to stop in the middle."""
BATCH = 32
"""Prompts that are decoded together. Chosen."""
KEPT_BACK = 16
"""The last prompts of both languages are never trained on, so that forgetting can be measured on them."""


def replayed(
    base: LoadedModel, count: int, progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[list[Message]]:
    """Up to ``count`` conversations; the same ones each time for the same base model.

    ``progress`` is called while answers that are not cached are generated.
    """
    return _answered(base, _alternating()[:-KEPT_BACK], count, progress)


def kept_back(
    base: LoadedModel, count: int = KEPT_BACK, progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[list[Message]]:
    """Up to ``count`` conversations that are never trained on: their rise in loss is forgetting."""
    return _answered(base, _alternating()[-KEPT_BACK:], count, progress)


def _alternating() -> list[str]:
    """The prompts, alternating between English and Chinese."""
    half = len(PROMPTS) // 2
    return [prompt for pair in zip(PROMPTS[:half], PROMPTS[half:], strict=True) for prompt in pair]


def _answered(
    base: LoadedModel, prompts: Sequence[str], count: int, progress: Callable[[str, int, int], None]
) -> list[list[Message]]:
    """The first ``count`` of the prompts whose answer the base model finishes, with its answers."""
    file = cache_folder() / "replay" / f"{base.fingerprint[:16]}-{base.chat_format[:16]}.jsonl"
    answers = known_answers(file)
    selected: list[list[Message]] = []
    engine: Engine | None = None
    start = 0
    while len(selected) < count and start < len(prompts):
        wanted = count - len(selected)
        batch = prompts[start : start + min(BATCH, wanted + wanted // 2)]  # a third of the answers is not finished
        start += len(batch)
        unknown = [prompt for prompt in batch if prompt not in answers]
        if unknown:
            progress("answering general questions", len(selected), count)
            asked = [[{"role": "user", "content": prompt}] for prompt in unknown]
            engine = engine or faster_engine(base)
            generated = generate(engine, asked, Sampling(max_new_tokens=MAX_NEW_TOKENS), batch_size=BATCH)
            answers |= {prompt: one.text if one.stopped else "" for prompt, one in zip(unknown, generated, strict=True)}
            lines = (json.dumps({"prompt": key, "answer": text}, ensure_ascii=False) for key, text in answers.items())
            write_text(file, "\n".join(lines) + "\n")
        selected += [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": answers[prompt]}]
            for prompt in batch
            if answers[prompt].strip()
        ]
    progress("answering general questions", min(len(selected), count), count)
    return selected[:count]


def known_answers(file: Path) -> dict[str, str]:
    """The cached answers of a base model; none where the file is damaged."""
    try:
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return {record["prompt"]: record["answer"] for record in records}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
