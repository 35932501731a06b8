"""Converts, loads, prompts and trains ChatGLM-6B at full size with random weights on this machine.

    python benchmarks/chatglm_full_size.py TOKENIZER [--folder build/chatglm-6b] [--length 256] [--layers 28]

TOKENIZER is a folder with the released ice_text.model, tokenizer_config.json, config.json and
pytorch_model.bin.index.json; no released weights are needed. Eight fp16 shards of random numbers are written in the
released layout (13.4 GB), converted (the same size again), and loaded in bfloat16 and in nf4. Each generates an answer
and takes two LoRA steps over ``--length`` tokens. Every stage is a separate process, like ``ask`` and ``finetune``. Its
memory is the peak of its private pages, because pages mapped from files are dropped when memory is short. The forecast
of ``lorewright doctor --model`` is reported too. Results go to benchmarks/results/chatglm_full_size.json.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import base_models  # noqa: F401 - before torch, for its threads  # isort: skip
import psutil
import torch
from hardware import hardware

from base_models import ModelError, Sampling, fingerprint, generate, load
from base_models.acquire.convert_bin import INDEX
from base_models.acquire.fetch import loadable
from base_models.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from base_models.forecast import forecast
from base_models.loaded_model import LoadedModel
from base_models.messages import Encoded
from domain import FinetuneConfig, write_text
from finetune.batch_plan import plan_batches
from finetune.data.examples import TrainingData
from finetune.methods import prepare
from finetune.objectives import answers
from finetune.training_loop import TrainingTask, train

PROMPT, ANSWER, STEPS, LAYERS = 128, 16, 2, 28
ROOM_ON_DISK, ROOM_IN_MEMORY = 30e9, 18e9
USES: dict[str, dict[str, Any]] = {
    "answer, bfloat16": {"dtype": "bfloat16"},
    "LoRA, bfloat16": {"dtype": "bfloat16"},
    "answer, nf4": {"quantization": "nf4"},
    "QLoRA, nf4": {"quantization": "nf4"},
}
"""The uses that ``lorewright doctor`` forecasts, and how the model is loaded for each."""
STAGES = ("convert", *USES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("build/chatglm-6b"))
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--layers", type=int, default=LAYERS, help="fewer, to try the program")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "chatglm_full_size.json")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.stage:
        print(json.dumps(watched(arguments.stage, folder, arguments.length)))
        return
    lacking = room(folder, arguments.layers / LAYERS)
    if lacking:
        sys.exit(f"not run: {lacking}")
    seconds = write_shards(arguments.tokenizer, folder, arguments.layers)
    needs = {need.use: need.total for need in forecast(str(folder), 1, arguments.length)}
    stages: dict[str, Any] = {"write": {"seconds": seconds}}
    for stage in STAGES:
        command = [sys.executable, __file__, str(arguments.tokenizer), "--folder", str(folder), "--stage", stage]
        command += ["--length", str(arguments.length)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        stages[stage] = json.loads(done.stdout.splitlines()[-1])
        print(stage, json.dumps(stages[stage], indent=1), flush=True)
    for use in USES:
        measured = stages[use]["work"]["peak_bytes"]
        stages[use]["work"]["forecast_bytes"] = needs[use]
        print(f"{use}: {measured / 1e9:.2f} GB, forecast {needs[use] / measured - 1:+.1%}")
    result = {"format": 2, "length": arguments.length, "layers": arguments.layers, "stages": stages}
    write_text(arguments.out, json.dumps(result | {"hardware": hardware()}, indent=1) + "\n")
    print(f"written to {arguments.out}")


def room(folder: Path, share: float) -> str:
    """The resources that this machine lacks for this share of the layers; empty if none."""
    free = shutil.disk_usage(next(path for path in [folder, *folder.parents] if path.exists())).free
    needed = share * ROOM_ON_DISK - 2 * sum(shard.stat().st_size for shard in folder.glob("*.bin"))
    if free < needed:
        return f"{needed / 1e9:.0f} GB of disk are needed, {free / 1e9:.0f} GB are free"
    memory = psutil.virtual_memory().available
    needed = share * ROOM_IN_MEMORY
    return f"{needed / 1e9:.0f} GB of memory are needed, {memory / 1e9:.0f} GB are free" if memory < needed else ""


def write_shards(tokenizer: Path, folder: Path, layers: int = LAYERS) -> float:
    """Write the released layout with random numbers; returns the seconds it took. Existing files are kept."""
    start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ice_text.model", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    with torch.device("meta"):
        state = ChatGLMForConditionalGeneration(ChatGLMConfig(num_layers=layers)).state_dict()
    config = json.loads((tokenizer / "config.json").read_text(encoding="utf-8"))
    write_text(folder / "config.json", json.dumps(config | {"num_layers": layers}))
    index = json.loads((tokenizer / INDEX).read_text(encoding="utf-8"))
    index["weight_map"] = {
        name: shard
        for name, shard in index["weight_map"].items()
        if name in state or (name.endswith("rotary_emb.inv_freq") and int(name.split(".")[2]) < layers)
    }
    write_text(folder / INDEX, json.dumps(index))
    shapes = {name: value.shape for name, value in state.items()}
    where: dict[str, list[str]] = {}
    for name, shard in index["weight_map"].items():
        where.setdefault(shard, []).append(name)
    noise = torch.randn(2**24, generator=torch.Generator().manual_seed(0)).mul_(0.02).half()
    for number, (shard, names) in enumerate(sorted(where.items())):
        if (folder / shard).exists():
            continue
        tensors = {name: random_tensor(name, shapes, noise, number) for name in names}
        torch.save(tensors, folder / f"{shard}.partial")
        (folder / f"{shard}.partial").rename(folder / shard)
    return time.perf_counter() - start


def random_tensor(name: str, shapes: dict[str, torch.Size], noise: torch.Tensor, shift: int) -> torch.Tensor:
    """Values of an untrained model: normal ones in matrices, ones and zeros in layer norms and biases."""
    if name.endswith("rotary_emb.inv_freq"):
        return torch.ones(32).half()
    shape = shapes[name]
    if len(shape) == 1:
        return torch.full(shape, float("layernorm.weight" in name)).half()
    if name == "lm_head.weight":
        name, shift = "transformer.word_embeddings.weight", 0  # tied, as in the release
    elif name == "transformer.word_embeddings.weight":
        shift = 0
    count = shape.numel()
    copies = noise.roll(7919 * shift + len(name)).repeat(-(-count // len(noise)))
    return copies[:count].view(shape)


def watched(stage: str, folder: Path, length: int) -> dict[str, Any]:
    """Run one stage; returns seconds, speeds, and the peak private memory of each of its parts."""
    watch = Watch()
    if stage == "convert":
        with watch.part() as convert:
            loadable(folder, progress=False)
        return convert
    identity = fingerprint(folder)  # reads all files once; not part of the timing
    with watch.part() as loading:
        loaded = load(folder, **USES[stage])
    assert loaded.fingerprint == identity
    with watch.part() as work:
        figures = answer(loaded) if stage.startswith("answer") else train_steps(loaded, length)
    return {"load": loading, "work": work | figures}


def answer(loaded: LoadedModel) -> dict[str, Any]:
    """Answer a prompt of PROMPT tokens with ANSWER tokens; returns the speed of prefill and of decoding."""
    conversation = [[{"role": "user", "content": "好" * (PROMPT - 8)}]]
    generate(loaded, conversation, Sampling(max_new_tokens=1))  # loads the weights from disk
    begun = time.perf_counter()
    generate(loaded, conversation, Sampling(max_new_tokens=1))
    first = time.perf_counter()
    generation = generate(loaded, conversation, Sampling(max_new_tokens=ANSWER))[0]
    decoding = (time.perf_counter() - first) - (first - begun)
    return {
        "prefill_tokens_per_second": generation.prompt_tokens / (first - begun),
        "decode_tokens_per_second": (generation.completion_tokens - 1) / decoding,
    }


def train_steps(loaded: LoadedModel, length: int) -> dict[str, Any]:
    """Take STEPS optimiser steps of LoRA on one example of ``length`` tokens; returns seconds per step and the
    losses."""
    config = loaded.model.config
    ids = [config.gmask_token_id, config.bos_token_id, *(1000 + number % 5000 for number in range(length - 2))]
    example = Encoded(ids, [False, False, *[True] * (length - 2)])
    chosen = FinetuneConfig(num_train_epochs=STEPS, gradient_accumulation_steps=1, warmup_steps=0)
    trainable = prepare(loaded, loaded.model, chosen, STEPS)
    objective = answers(trainable, loaded.tokenizer.pad_token_id)
    task = TrainingTask(trainable, objective, TrainingData([example], [1]), plan_batches([example], chosen), chosen)
    start = time.perf_counter()
    steps = train(task)
    return {
        "losses": [step.loss for step in steps],
        "seconds_per_step": (time.perf_counter() - start) / STEPS,
    }


class Watch:
    """Samples the private memory of this process."""

    def __init__(self) -> None:
        self.highest = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.highest = max(self.highest, private_bytes())
            time.sleep(0.02)

    @contextmanager
    def part(self) -> Iterator[dict[str, Any]]:
        """Yields a dict that, after the context ends, holds its seconds and the peak memory within it."""
        figures: dict[str, Any] = {}
        self.highest, start = 0, time.perf_counter()
        yield figures
        figures |= {"seconds": time.perf_counter() - start, "peak_bytes": max(self.highest, private_bytes())}


def private_bytes() -> int:
    """Memory of this process that is not mapped from files: RssAnon on Linux, elsewhere all resident memory."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if "RssAnon" in line)
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        sys.exit(str(error))
