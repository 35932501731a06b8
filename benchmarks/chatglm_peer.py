"""Compares this project with chatglm-cpp on ChatGLM-6B at full size in 4 bits, in one run on one machine.

    python benchmarks/chatglm_peer.py TOKENIZER PEER_PYTHON [--folder build/chatglm-6b] [--rounds 2]

TOKENIZER is as in chatglm_full_size.py, which also writes the random weights. PEER_PYTHON is the interpreter of a
virtual environment with chatglm-cpp 0.4.2, built from its source package (apt: libsentencepiece-dev, libre2-dev; with
CMake 4: CMAKE_POLICY_VERSION_MINIMUM=3.5). The fp16 shards are converted to the released int4 layout (4 bits, one scale
per row; embedding and head in half precision) and to the peer's q4_0 file (4 bits, one scale per 32 weights, including
embedding and head). The two sides alternate in separate processes. Each reads a prompt and decodes greedily, after one
warm-up. Medians go to benchmarks/results/chatglm_peer-CAPABILITY.json.
"""

import argparse
import json
import shutil
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import base_models  # noqa: F401 - before torch, for its threads  # isort: skip
import torch
from chatglm_full_size import write_shards
from hardware import hardware
from safetensors.torch import save_file

from base_models.kernels.packed_integers import quantize
from domain import write_text

PROMPT, TOKENS = 128, 16
PACKED = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
FLOAT32, Q4_0 = 0, 2
"""Type numbers in ggml's file format."""
BLOCK = 32

PEER = """
import json, sys, time
from chatglm_cpp import _C
path, prompt, tokens = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
model = _C.Pipeline(path).model
greedy = _C.GenerationConfig(do_sample=False)
for measured in (False, True):
    ids = list(prompt)
    start = time.perf_counter()
    ids.append(model.generate_next_token(ids, None, greedy, 0, len(prompt)))
    first = time.perf_counter()
    for _ in range(tokens):
        ids.append(model.generate_next_token(ids, None, greedy, len(ids) - 1, len(prompt)))
    end = time.perf_counter()
print(json.dumps({"prefill": len(prompt) / (first - start), "decode": tokens / (end - first)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("peer_python", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("build/chatglm-6b"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    ours, theirs = folder.with_name(f"{folder.name}-int4"), folder.with_name(f"{folder.name}-q4_0.bin")
    if arguments.ours:
        print(json.dumps(measure(ours)))
        return
    write_shards(arguments.tokenizer, folder)
    if not ours.exists():
        write_int4(folder, ours)
    if not theirs.exists():
        write_q4_0(folder, theirs)
    commands = {
        "lorewright, int4": [sys.executable, __file__, *sys.argv[1:], "--ours"],
        "chatglm-cpp, q4_0": [str(arguments.peer_python), "-c", PEER, str(theirs), json.dumps(prompt()), str(TOKENS)],
    }
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(name, rows[name][-1], flush=True)
    medians = {
        name: {part: statistics.median(row[part] for row in runs) for part in runs[0]} for name, runs in rows.items()
    }
    result = {
        "format": 1,
        "prompt_tokens": PROMPT,
        "tokens": TOKENS,
        "tokens_per_second": medians,
        "hardware": hardware(),
    }
    file = Path(__file__).parent / "results" / f"chatglm_peer-{hardware()['cpu_capability']}.json"
    write_text(file, json.dumps(result, indent=1) + "\n")
    print(f"written to {file}")


def prompt() -> list[int]:
    return [*(5000 + number * 37 % 20000 for number in range(PROMPT - 2)), 130001, 130004]


@torch.no_grad()
def measure(folder: Path) -> dict[str, float]:
    from base_models import load

    model = load(folder).model
    figures: dict[str, float] = {}
    for _ in range(2):
        ids = torch.tensor([prompt()])
        start = time.perf_counter()
        output = model(input_ids=ids, use_cache=True, logits_to_keep=1)
        first = time.perf_counter()
        for _ in range(TOKENS):
            token = output.logits[:, -1:].argmax(-1)
            output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)
        end = time.perf_counter()
        figures = {"prefill": PROMPT / (first - start), "decode": TOKENS / (end - first)}
    return figures


def weights(folder: Path) -> Any:
    """Every tensor of the shards with its name; one shard is in memory at a time."""
    for shard in sorted(folder.glob("*.bin")):
        yield from torch.load(shard, weights_only=True).items()


def is_packed(name: str) -> bool:
    return name.endswith(".weight") and name.split(".")[-2] in PACKED


def write_int4(folder: Path, out: Path) -> None:
    """Write the released int4 layout to one safetensors file."""
    partial = out.with_name(f"{out.name}.partial")
    partial.mkdir(exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, value in weights(folder):
        if is_packed(name):
            tensors[name], tensors[f"{name}_scale"] = quantize(value.float(), 4)
        else:
            tensors[name] = value.contiguous()
    save_file({name: value.clone() for name, value in tensors.items()}, partial / "model.safetensors", {"format": "pt"})
    for name in ("ice_text.model", "tokenizer_config.json"):
        shutil.copyfile(folder / name, partial / name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"quantization_bit": 4}
    (partial / "config.json").write_text(json.dumps(config), encoding="utf-8")
    partial.rename(out)


def write_q4_0(folder: Path, out: Path) -> None:
    """Write the peer's file: header, settings, tokenizer, then each tensor with name, shape and type, aligned to 16
    bytes."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = config["hidden_size"]
    tokenizer = (folder / "ice_text.model").read_bytes()
    partial = out.with_name(f"{out.name}.partial")
    found = dict(weights(folder))
    layers = [name for name in found if name.startswith("transformer.layers.") and "inv_freq" not in name]
    parts = ["input_layernorm", "attention.query_key_value", "attention.dense", "post_attention_layernorm"]
    parts += ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]
    names = ["transformer.word_embeddings.weight"]
    for layer in range(config["num_layers"]):
        names += [f"transformer.layers.{layer}.{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    names += ["transformer.final_layernorm.weight", "transformer.final_layernorm.bias"]
    assert set(layers) < set(names)
    with partial.open("wb") as file:
        file.write(b"ggml" + struct.pack("i", 1))
        heads = config["num_attention_heads"]
        settings = (Q4_0, config["vocab_size"], size, heads, heads, config["num_layers"], config["inner_hidden_size"])
        ends = (config["max_sequence_length"], config["eos_token_id"], config["pad_token_id"])
        file.write(struct.pack("iiiiiiiififiii", 2, *settings, config["layernorm_epsilon"], 0, 10000.0, *ends))
        file.write(struct.pack("i", len(tokenizer)) + tokenizer)
        for name in names:
            coarse = is_packed(name) or name == names[0]
            write_tensor(file, name, found[name].float(), Q4_0 if coarse else FLOAT32)
    partial.rename(out)


def write_tensor(file: BinaryIO, name: str, value: torch.Tensor, kind: int) -> None:
    file.write(struct.pack("i", len(name)) + name.encode())
    file.write(struct.pack("i" * (value.ndim + 2), value.ndim, *value.shape, kind))
    file.write(bytes(-file.tell() % 16))
    file.write((q4_0(value) if kind == Q4_0 else value.contiguous()).numpy().tobytes())


def q4_0(value: torch.Tensor) -> torch.Tensor:
    """ggml's q4_0: blocks of 32 with a half-precision scale that maps the largest value to -8; first half in the low
    bits."""
    blocks = value.reshape(-1, BLOCK)
    largest = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    scale = largest / -8
    numbers = (blocks / scale + 8.5).clamp(0, 15).to(torch.uint8)
    packed = numbers[:, : BLOCK // 2] | (numbers[:, BLOCK // 2 :] << 4)
    return torch.cat((scale.half().view(torch.uint8), packed), 1)


if __name__ == "__main__":
    main()
