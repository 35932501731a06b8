"""A small random ChatGLM is fine-tuned by the same command as any model, killed, goes on, and answers."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from chatglm_samples import write_released
from peft import PeftModel
from transformers import AutoModelForCausalLM

from base_models import load
from base_models.acquire.fetch import loadable
from base_models.messages import encode

COLOURS = ["红", "黄", "蓝", "绿", "白"]


@pytest.fixture(scope="module")
def domain(released, real_model, tmp_path_factory) -> Path:
    real_model("all-minilm-l6-v2")
    folder = tmp_path_factory.mktemp("domain")
    write_released(
        folder / "chatglm-6b", released, hidden_size=128, inner_hidden_size=256, num_attention_heads=4, num_layers=3
    )
    run(folder, "new", "flowers", "--embedder", "all-minilm-l6-v2")
    (folder / "flowers" / "documents" / "a.md").write_text("# 花\n\n一号花是红色的。\n", encoding="utf-8")
    drawn = random.Random(0)
    examples = [
        {
            "language": "zh",
            "document": "a.md",
            "messages": [
                {"role": "user", "content": f"{number}号花是什么颜色?"},
                {"role": "assistant", "content": f"{drawn.choice(COLOURS)}色的。"},
            ],
        }
        for number in range(200)
    ]
    lines = [json.dumps(example, ensure_ascii=False) for example in examples]
    (folder / "flowers" / "questions" / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(folder, "index", "flowers")
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    program = Path(sys.executable).parent / "lorewright"
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    return subprocess.Popen(
        [program, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *arguments: str) -> str:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return out


@pytest.mark.slow
def test_two_hundred_examples_and_kill_9(domain):
    command = [
        *("finetune", "flowers", "--base-model", "./chatglm-6b", "--retrieved-share", "0.2", "--replay-share", "0"),
        *("--learning-rate", "5e-3", "--num-train-epochs", "1", "--gradient-accumulation-steps", "4"),
    ]
    state = domain / "flowers" / "adapters" / "first.checkpoint"
    process = start(domain, *command)
    while process.poll() is None:
        if any(int(file.stem.removeprefix("step-")) > 10 for file in state.glob("step-*.safetensors")):
            process.send_signal(signal.SIGKILL)
            break
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err
    assert "chatglm-6b" not in (domain / "flowers" / "domain.toml").read_text(encoding="utf-8")

    printed = run(domain, *command)
    assert "on 200 examples" in printed
    first, last = map(float, re.search(r"loss (\d+\.\d+) -> (\d+\.\d+)", printed).groups())
    assert last < 0.6 * first
    report = json.loads((domain / "flowers" / "adapters" / "first" / "report.json").read_text(encoding="utf-8"))
    assert [step["step"] for step in report["steps"]] == list(range(1, 51))
    run(domain, "use", "flowers", "first")
    assert "chatglm-6b" in (domain / "flowers" / "domain.toml").read_text(encoding="utf-8")
    assert run(domain, "ask", "flowers", "一号花是什么颜色?").strip()

    adapter = domain / "flowers" / "adapters" / "first"
    loaded = load(domain / "chatglm-6b", adapter=adapter, dtype="float32")
    ids = torch.tensor([encode(loaded.tokenizer, [{"role": "user", "content": "3号花是什么颜色?"}]).ids])
    with loaded.using(adapter) as model, torch.no_grad():
        ours = model(input_ids=ids).logits
    plain = AutoModelForCausalLM.from_pretrained(loadable(domain / "chatglm-6b"), dtype=torch.float32)
    with torch.no_grad():
        bare = plain(input_ids=ids).logits
        theirs = PeftModel.from_pretrained(plain, adapter).eval()(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(theirs, bare, atol=0.1)
