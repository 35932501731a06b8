"""Measures ChatGLM-6B layers at full width against the limits of this machine.

    python benchmarks/chatglm.py [--layers 2] [--runs 3]

A few layers with random weights (4096 wide, the real shapes) are timed in the same run as the machine's limits: the
rate of one matrix product in the same dtype, and of reading memory. Decoding reads every weight once per token, so
memory limits it; prefill and training are limited by matrix products. Results are shares of these limits, medians over
interleaved runs, without the embedding and the head. int8 uses torch's own product on every processor. int4 and nf4 use
compiled loops where those are faster (AVX2 without AVX-512); there the libraries' products are timed too, for
comparison. Results go to benchmarks/results/chatglm-CAPABILITY.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import base_models  # noqa: F401 - before torch, for its threads  # isort: skip
import torch
from hardware import hardware
from peft import LoraConfig, get_peft_model

from base_models.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from base_models.hardware import choose_dtype
from base_models.kernels import compiled_loops
from base_models.kernels.nf4 import use_compiled_loops
from base_models.kernels.packed_integers import PackedLinear, quantize
from domain import write_text

RESULTS = Path(__file__).parent / "results"
PREFILL, TRAIN, CONTEXT = 512, 256, 128
LINEARS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / f"chatglm-{hardware()['cpu_capability']}.json")
    arguments = parser.parse_args()
    dtype = choose_dtype("auto", "cpu")
    work: dict[str, tuple[Callable[[], Any], str, float]] = {"matrix product": matrix_product(dtype)}
    work["memory read"] = memory_read()
    work |= floating(arguments.layers, dtype)
    for bits in (8, 4):
        work[f"int{bits} decode"] = packed_decode(arguments.layers, bits)
    work["nf4 decode"] = nf4_decode(arguments.layers, dtype)
    if compiled_loops.are_faster():  # also time them without compiled loops; int8 always uses torch's product
        decode, unit, units = packed_decode(arguments.layers, 4)
        work["int4, torch's product"] = without_compiled_loops(decode), unit, units
        work["nf4, bitsandbytes'"] = nf4_decode(arguments.layers, dtype, compiled=False)
    rates = timed(work, arguments.runs)
    limits = {"flop": rates["matrix product"], "byte": rates["memory read"]}
    rows: dict[str, dict[str, Any]] = {
        name: {"per_second": rate, "unit": work[name][1], "share_of_limit": rate / limits[work[name][1]]}
        for name, rate in rates.items()
    }
    for name, row in rows.items():
        print(f"{name:22} {row['per_second'] / 1e9:8.1f} G{row['unit']}/s  {row['share_of_limit']:.2f} of the limit")
    result = {
        "format": 1,
        "layers": arguments.layers,
        "prefill_tokens": PREFILL,
        "train_tokens": TRAIN,
        "decode_context": CONTEXT,
        "rows": rows,
        "hardware": hardware() | {"dtype": str(dtype)},
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "bitsandbytes")},
    }
    write_text(arguments.out, json.dumps(result, indent=1) + "\n")
    print(f"written to {arguments.out}")


def timed(work: dict[str, tuple[Callable[[], Any], str, float]], runs: int) -> dict[str, float]:
    """Median units per second of every kind of work, in interleaved runs; the first round is a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for run in range(runs + 1):
        for name, (function, _, _) in work.items():
            start = time.perf_counter()
            function()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return {name: work[name][2] / statistics.median(measured) for name, measured in seconds.items()}


def matrix_product(dtype: torch.dtype) -> tuple[Callable[[], Any], str, float]:
    """The matrix product of a feed-forward layer in prefill, alone."""
    left, right = torch.randn(PREFILL, 4096, dtype=dtype), torch.randn(16384, 4096, dtype=dtype)
    return lambda: [torch.nn.functional.linear(left, right) for _ in range(4)], "flop", 4 * 2 * PREFILL * 4096 * 16384


def memory_read() -> tuple[Callable[[], Any], str, float]:
    """Reading 1 GB once, with the threads that torch uses."""
    data = torch.ones(250_000_000)
    return lambda: data.sum(), "byte", 1e9


def model(layers: int, dtype: torch.dtype) -> ChatGLMForConditionalGeneration:
    config = ChatGLMConfig(
        vocab_size=256, num_layers=layers, mask_token_id=250, gmask_token_id=251, bos_token_id=252, eos_token_id=253
    )
    with torch.device("meta"):
        empty = ChatGLMForConditionalGeneration(config)
    made: ChatGLMForConditionalGeneration = empty.to_empty(device="cpu").to(dtype=dtype)  # type: ignore[call-arg]
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    made.tie_weights()
    return made.eval()


def weights_of(made: torch.nn.Module) -> int:
    """Number of weights of the linear layers inside the blocks."""
    return sum(
        part.in_features * part.out_features
        for name, part in made.named_modules()
        if isinstance(part, torch.nn.Linear) and "layers" in name
    )


def prompt(length: int) -> torch.Tensor:
    return torch.tensor([[*(5 + number % 200 for number in range(length - 2)), 251, 252]])


def floating(layers: int, dtype: torch.dtype) -> dict[str, tuple[Callable[[], Any], str, float]]:
    """Prefill, decoding and one LoRA step in floating point."""
    made = model(layers, dtype)
    weights = weights_of(made)
    ids = prompt(PREFILL)

    @torch.no_grad()
    def prefill() -> None:
        made(input_ids=ids, logits_to_keep=1)

    tuned = get_peft_model(
        model(layers, dtype), LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules=["query_key_value"])
    )
    short = prompt(TRAIN)

    def step() -> None:
        tuned(input_ids=short, labels=short, logits_to_keep=0).loss.backward()
        tuned.zero_grad()

    # forward, and backward to the inputs; frozen weights have no gradient
    training_flop = 2 * 2 * weights * TRAIN
    return {
        f"prefill {PREFILL}": (prefill, "flop", 2 * weights * PREFILL),
        "decode": (decoder(made), "byte", 8 * weights * made.dtype.itemsize),
        f"LoRA step {TRAIN}": (step, "flop", training_flop),
    }


def decoder(made: ChatGLMForConditionalGeneration) -> Callable[[], Any]:
    """Decode eight tokens after a prompt."""

    @torch.no_grad()
    def decode() -> None:
        cache = state["cache"]
        for _ in range(8):
            made(input_ids=torch.tensor([[7]]), past_key_values=cache, use_cache=True)
        cache.crop(CONTEXT - cache.get_seq_length())

    with torch.no_grad():
        state = {"cache": made(input_ids=prompt(CONTEXT), use_cache=True).past_key_values}
    return decode


def without_compiled_loops(function: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> None:
        are_faster = compiled_loops.are_faster
        compiled_loops.are_faster = lambda: False  # type: ignore[assignment]
        try:
            function()
        finally:
            compiled_loops.are_faster = are_faster

    return run


def packed_decode(layers: int, bits: int) -> tuple[Callable[[], Any], str, float]:
    """Decoding with the released int8 or int4 layout, in bfloat16 like ``load``."""
    made = model(layers, torch.bfloat16)
    weights = weights_of(made)
    for block in made.transformer.layers:
        for name in LINEARS:
            parent = block.attention if name in ("query_key_value", "dense") else block.mlp
            old = getattr(parent, name)
            packed = PackedLinear(old.in_features, old.out_features, bits)
            packed.weight, packed.weight_scale = quantize(old.weight.detach().float(), bits)
            packed.bias = old.bias
            setattr(parent, name, packed)
    return decoder(made), "byte", 8 * weights * bits / 8


def nf4_decode(layers: int, dtype: torch.dtype, compiled: bool = True) -> tuple[Callable[[], Any], str, float]:
    """Decoding with bitsandbytes' nf4, like ``load(..., quantization="nf4")``."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    made = model(layers, dtype)
    weights = weights_of(made)
    for block in made.transformer.layers:
        for name in LINEARS:
            parent = block.attention if name in ("query_key_value", "dense") else block.mlp
            old = getattr(parent, name)
            packed = Linear4bit(old.in_features, old.out_features, compute_dtype=dtype, quant_type="nf4")
            packed.weight = Params4bit(old.weight.detach(), requires_grad=False, quant_type="nf4")
            packed.bias = old.bias
            setattr(parent, name, packed.to("cpu"))
    if compiled:
        use_compiled_loops(made)
    made.eval()  # new layers are in training mode, where bitsandbytes does not use its AVX-512 product
    return decoder(made), "byte", 8 * weights * 0.5


if __name__ == "__main__":
    main()
