"""Against forgetting: general questions, answered by the base model itself, are learnt beside the domain's.

What a run changes most is what it never sees. A model that also learns to answer everyday questions as it answered them
before keeps doing so (rehearsal with the model's own answers, arXiv:2403.01244). The prompts are in
general_prompts.txt; the answers of each base are made once and kept in the user's cache, where they can be deleted.
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
"""A longer answer is cut off and not learnt: it would teach to stop in the middle."""
BATCH = 32
"""Prompts that are decoded together. Chosen."""
KEPT_BACK = 16
"""The last prompts of both languages are never learnt from, so that forgetting can be measured on them."""


def replayed(
    base: LoadedModel, count: int, progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[list[Message]]:
    """As many conversations as asked for, or as there are; the same ones each time for the same base model.

    ``progress`` is told of answers that are not known yet.
    """
    return _answered(base, _in_turns()[:-KEPT_BACK], count, progress)


def kept_back(
    base: LoadedModel, count: int = KEPT_BACK, progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[list[Message]]:
    """So many of the conversations that are never replayed: what a run does to them is forgetting."""
    return _answered(base, _in_turns()[-KEPT_BACK:], count, progress)


def _in_turns() -> list[str]:
    """The prompts, English and Chinese in turns."""
    half = len(PROMPTS) // 2
    return [prompt for pair in zip(PROMPTS[:half], PROMPTS[half:], strict=True) for prompt in pair]


def _answered(
    base: LoadedModel, prompts: Sequence[str], count: int, progress: Callable[[str, int, int], None]
) -> list[list[Message]]:
    """The first ``count`` of the prompts that the base answers to an end, with its answers."""
    file = cache_folder() / "replay" / f"{base.fingerprint[:16]}-{base.chat_format[:16]}.jsonl"
    answers = known_answers(file)
    chosen: list[list[Message]] = []
    engine: Engine | None = None
    start = 0
    while len(chosen) < count and start < len(prompts):
        wanted = count - len(chosen)
        batch = prompts[start : start + min(BATCH, wanted + wanted // 2)]  # about a third is not answered to an end
        start += len(batch)
        unknown = [prompt for prompt in batch if prompt not in answers]
        if unknown:
            progress("answering general questions", len(chosen), count)
            asked = [[{"role": "user", "content": prompt}] for prompt in unknown]
            engine = engine or faster_engine(base)
            made = generate(engine, asked, Sampling(max_new_tokens=MAX_NEW_TOKENS), batch_size=BATCH)
            answers |= {prompt: one.text if one.stopped else "" for prompt, one in zip(unknown, made, strict=True)}
            lines = (json.dumps({"prompt": key, "answer": text}, ensure_ascii=False) for key, text in answers.items())
            write_text(file, "\n".join(lines) + "\n")
        chosen += [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": answers[prompt]}]
            for prompt in batch
            if answers[prompt].strip()
        ]
    progress("answering general questions", min(len(chosen), count), count)
    return chosen[:count]


def known_answers(file: Path) -> dict[str, str]:
    """What the base has answered before; nothing where the file is damaged."""
    try:
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return {record["prompt"]: record["answer"] for record in records}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
