"""By every method: killed with -9 twenty times, at any moment and inside writes, a run ends bit for bit as one that
nobody stopped.

Not the adapter alone is compared but the whole state on the disk: parameters, both moments of the optimiser, the
schedule, the random states, the best parameters and the losses of all steps.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

PROGRAM = """
import sys, json
from pathlib import Path
from base_models import load
from domain import ClassifierConfig, FinetuneConfig
from finetune import finetune, read_labelled, train_classifier
model, output, config, last = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4])
def told(step):
    if step.step >= last:
        raise SystemExit("stopped")
if len(sys.argv) > 5:
    train_classifier(model, read_labelled(Path(sys.argv[5])), output, ClassifierConfig(**config), on_step=told)
else:
    talks = [
        [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": f"Answer {n * 7}."}]
        for n in range(40)
    ]
    base = load(model, quantization=config.get("quantization"), dtype="float32", device="cpu")
    finetune(base, talks, output, FinetuneConfig(**config), on_step=told)
print("done")
"""
TEXTS = [{"text": f"{word} {n}", "label": word} for n in range(20) for word in ("add", "hello")]
WORDS = [{"tokens": ["train", f"lora{n}"], "tags": ["O", "B-METHOD"]} for n in range(40)]
STEPS = 24
CONFIG = {
    "learning_rate": 1e-3,
    "max_steps": STEPS + 1,
    "num_train_epochs": 9,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "save_steps": 1,
    "held_out_share": 0.2,
    "eval_steps": 4,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora with dropout": ("llama", {"lora_dropout": 0.3}),
    "rslora and lora+": ("llama", {"use_rslora": True, "loraplus_lr_ratio": 16}),
    "dora": ("llama", {"use_dora": True}),
    "pissa": ("llama", {"init_lora_weights": "pissa"}),
    "adalora": ("llama", {"method": "adalora", "lora_dropout": 0.2}),
    "ia3": ("llama", {"method": "ia3"}),
    "qlora": ("llama", {"quantization": "nf4", "lora_dropout": 0.1}),
    "lora on int8": ("llama", {"quantization": "int8"}),
    "p-tuning v2": ("llama", {"method": "p-tuning-v2"}),
    "p-tuning v2, projected": ("llama", {"method": "p-tuning-v2", "prefix_projection": True}),
    "prefix tuning": ("llama", {"method": "prefix-tuning"}),
    "prompt tuning": ("llama", {"method": "prompt-tuning"}),
    "p-tuning": ("llama", {"method": "p-tuning"}),
    "freeze": ("llama", {"method": "freeze"}),
    "full": ("llama", {"method": "full"}),  # states of 80 MB, in whose writing it can be caught
    "lora with 8-bit adamw": ("llama", {"optim": "adamw_8bit"}),
    "lora on chatglm": ("chatglm", {"lora_dropout": 0.3}),
    "p-tuning v2 of chatglm": ("chatglm", {"method": "p-tuning-v2"}),
    "classes of texts": ("encoder", {"lora_dropout": 0.1}),
    "tags of words": ("encoder", {"lora_dropout": 0.1}),
}
KILLS = 20


def start(folder: Path, output: Path, config: dict[str, Any], last: int, *data: Path) -> subprocess.Popen:
    arguments = [sys.executable, "-c", PROGRAM, str(folder), str(output), json.dumps(config), str(last)]
    arguments += map(str, data)
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen) -> None:
    out, err = process.communicate()
    assert "done" in out or "stopped" in err, err


def state(output: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What lies on the disk after step STEPS, without what a clock has measured."""
    file = output.with_name(f"{output.name}.checkpoint") / f"step-{STEPS:06}.safetensors"
    with safe_open(file, "pt") as opened:
        held = json.loads(opened.metadata()["state"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    for step in held["steps"]:
        del step["tokens_per_second"], step["seconds_left"]
    return held, tensors


def kill_at(process: subprocess.Popen, output: Path, seconds: float, in_a_write: bool) -> bool:
    """Kill the process group after so many seconds, or then inside its next write; whether it was still running."""
    started = time.monotonic()
    folder = output.with_name(f"{output.name}.checkpoint")
    while process.poll() is None:
        writing = any(folder.glob("*.partial*")) if in_a_write else True
        if time.monotonic() - started >= seconds and writing:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        time.sleep(0.001)
    return False


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_is_killed_twenty_times_ends_bit_for_bit_the_same(
    tiny_folder: Path,
    small_chatglm: Path,
    encoder: str,
    tmp_path: Path,
    absent: Callable[[str], Any],
    rounds_of: Callable[[int], int],
    variant: str,
) -> None:
    if not hasattr(os, "killpg"):
        absent("this system has no process groups")
    kind, settings = VARIANTS[variant]
    folder = {"llama": tiny_folder, "chatglm": small_chatglm, "encoder": Path(encoder)}[kind]
    config, drawn, data = CONFIG | settings, random.Random(variant), []
    if kind == "encoder":
        data = [tmp_path / "data.jsonl"]
        records = TEXTS if variant == "classes of texts" else WORDS
        data[0].write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    began = time.monotonic()
    finish(start(folder, tmp_path / "straight", config, STEPS, *data))
    whole = time.monotonic() - began

    killed = inside = 0
    while killed < rounds_of(KILLS):
        process = start(folder, tmp_path / "killed", config, STEPS, *data)
        in_a_write = killed % 2 == 1
        if not kill_at(process, tmp_path / "killed", drawn.uniform(0, 0.8 * whole), in_a_write):
            # it came to its end; what it saved is taken away, and it is begun and killed anew
            finish(process)
            for file in (tmp_path / "killed.checkpoint").iterdir():
                file.unlink()
            continue
        killed += 1
        inside += in_a_write
    assert inside >= rounds_of(KILLS) // 4
    finish(start(folder, tmp_path / "killed", config, STEPS, *data))

    (held, tensors), (other_held, other_tensors) = state(tmp_path / "straight"), state(tmp_path / "killed")
    assert other_held == held
    assert set(other_tensors) == set(tensors)
    assert {name.partition(".")[0] for name in tensors} >= {"parameter", "optimizer", "random"}
    assert [name for name in tensors if not torch.equal(tensors[name], other_tensors[name])] == []

    for name in ("straight", "killed"):
        finish(start(folder, tmp_path / name, config, STEPS + 9, *data))
    adapters = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("straight", "killed")]
    assert adapters[0] == adapters[1]
