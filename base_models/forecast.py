"""Memory forecast of a model before it is loaded: for answering, and for one training step of each method.

Weights are counted on the meta device. Activations that a step saves for its backward pass are measured: one layer of
the real width is run, then two, and the bytes that autograd saves are added up; each further layer saves as many as
the second. The weights of this trial are allocated but never written, so they take no memory.

Not counted: other processes, and the system's file cache of the weights, which it drops when memory is short.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from base_models.acquire.fetch import fetch, is_fetched
from base_models.catalogue import CATALOGUE, find
from base_models.chatglm import ChatGLMConfig
from base_models.classifier import FAMILIES
from base_models.errors import ModelError
from base_models.hardware import choose_device, choose_dtype, returning_freed_memory
from base_models.kernels.blockwise import has_bfloat16, multiply_in_float32

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Of a weight in nf4 with double quantisation (QLoRA, arXiv:2305.14314): four bits, and the scales of its block."""
TRAINED_BYTES = 16
"""Of a trained weight: itself, its gradient and AdamW's two moments, in float32."""
PREFIX_TOKENS = 128
"""Length of the P-tuning v2 prefix in the forecast; the default of the released training script."""


@dataclass(frozen=True)
class MemoryNeed:
    """The memory of one use (answering or a training method), in bytes."""

    use: str
    weights: int
    working: int
    """Cache or activations, trained weights with optimizer state, the largest matrix dequantised."""
    libraries: int
    """Python and the libraries, as in this process."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.weights + self.working + self.libraries


def forecast(name_or_path: str, batch: int, length: int, r: int = 8) -> list[MemoryNeed]:
    """The memory of answering and training with ``batch`` rows of ``length`` tokens; in training all are labelled."""
    libraries = psutil.Process().memory_info().rss
    config = config_of(name_or_path)
    dtypes = list(dict.fromkeys([choose_dtype("auto", choose_device()), torch.bfloat16]))
    if _is_packed(config):
        dtypes = [torch.bfloat16]  # the dtype that ``load`` chooses for them
    packed, unpacked = weight_bytes(config, dtypes[0], nf4=True), _largest_matrix(config) * dtypes[0].itemsize
    needs = []
    for dtype in dtypes:
        weights, kind = weight_bytes(config, dtype), str(dtype).removeprefix("torch.")
        answering, lora = _answering(config, dtype, batch, length), _training(config, dtype, batch, length, r)
        needs.append(MemoryNeed(f"answer, {kind}", weights, answering, libraries))
        needs.append(MemoryNeed(f"LoRA, {kind}", weights, lora, libraries))
        if config.model_type == "chatglm":
            prefix = _training(config, dtype, batch, length, None)
            needs.append(MemoryNeed(f"P-tuning v2, {kind}", weights, prefix, libraries))
        if dtype == dtypes[0] and not _is_packed(config):
            needs.append(MemoryNeed("answer, nf4", packed, unpacked + answering, libraries))
            needs.append(MemoryNeed("QLoRA, nf4", packed, unpacked + lora, libraries))
    return needs


def config_of(name_or_path: str) -> Any:
    """The configuration of a downloaded model, or of chatglm-6b, which is known without its files."""
    if name_or_path == "chatglm-6b":
        return ChatGLMConfig()
    if name_or_path in CATALOGUE and not is_fetched(name_or_path):
        raise ModelError(
            f"{name_or_path} is not downloaded yet, so its shape is unknown; run: lorewright pull {name_or_path}"
        )
    folder = fetch(name_or_path) if name_or_path in CATALOGUE else Path(name_or_path).expanduser()
    if not (folder / "config.json").is_file():
        find(name_or_path)  # raises with the nearest names
    return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def weight_bytes(config: Any, dtype: torch.dtype, nf4: bool = False) -> int:
    """Bytes of all weights; with ``nf4`` the linear layers except the head are packed."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    all_weights = sum(parameter.numel() for parameter in model.parameters())  # a tied head is counted once
    released = sum(buffer.nbytes for buffer in model.buffers()) if _is_packed(config) else 0
    packed = sum(layer.weight.numel() for layer in _linears(model)) if nf4 else 0
    return int((all_weights - packed) * dtype.itemsize + packed * NF4_BYTES) + released


def _is_packed(config: Any) -> bool:
    """Whether it is the int8 or int4 release of ChatGLM-6B."""
    return config.model_type == "chatglm" and bool(config.quantization_bit)


def _linears(model: Any) -> list[torch.nn.Linear]:
    head = model.get_output_embeddings()
    return [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]


def _largest_matrix(config: Any) -> int:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(_with_layers(config, 1))
    return max(layer.weight.numel() for layer in _linears(model))


def _answering(config: Any, dtype: torch.dtype, batch: int, length: int) -> int:
    """The cache of keys and values, and the activations of the widest layer for a prompt of that length."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cache = 2 * config.num_hidden_layers * heads * head_dim
    widest = 2 * config.intermediate_size + 8 * config.hidden_size
    return batch * (length * (cache + widest) * dtype.itemsize + 2 * config.vocab_size * 4)


def activation_bytes(
    config: Any, dtype: torch.dtype, batch: int, length: int, checkpointing: bool, task: str = "CAUSAL_LM"
) -> int:
    """Bytes of activations of one adapter training step, and of the gradient of the logits; with gradient checkpointing
    those of one layer, and the inputs of all. Measured on a short row, since they are proportional to its length.

    ``task`` as in :class:`~base_models.loaded_model.LoadedModel`."""
    short = min(length, 256)
    with returning_freed_memory():  # so that the run that follows has it
        (one, _), (two, _) = (_saved_by(config, layers, dtype, 1, short, 1, task) for layers in (1, 2))
    columns = config.vocab_size if task == "CAUSAL_LM" else config.num_labels
    further = config.num_hidden_layers - 1
    layer = short * config.hidden_size * dtype.itemsize if checkpointing else two - one
    return batch * length * ((one + further * layer) // short + 2 * columns * 4)


def _training(config: Any, dtype: torch.dtype, batch: int, length: int, r: int | None) -> int:
    """Trained weights, activations, and the gradient of the logits; ``r`` None is P-tuning v2."""
    (one, trained_in_one), (two, trained_in_two) = (_saved_by(config, n, dtype, batch, length, r) for n in (1, 2))
    further = config.num_hidden_layers - 1
    trained = trained_in_one + further * (trained_in_two - trained_in_one)
    logits = 2 * batch * length * config.vocab_size * 4
    return one + further * (two - one) + trained * TRAINED_BYTES + logits


def _saved_by(
    config: Any, layers: int, dtype: torch.dtype, batch: int, length: int, r: int | None, task: str = "CAUSAL_LM"
) -> tuple[int, int]:
    """Bytes that a forward pass of so many layers saves for its backward pass, and the number of trained weights."""
    shape = _with_layers(config, layers)
    if _is_packed(shape):
        shape.quantization_bit = 0  # frozen layers save the same activations, packed or not
    if r is None:
        shape.pre_seq_len = PREFIX_TOKENS
    with torch.device("meta"):
        empty = FAMILIES[task].from_config(shape, dtype=dtype)
    model = empty.to_empty(device="cpu")
    for buffer in model.buffers():
        buffer.zero_()  # BERT reads its position ids from one
    model.tie_weights()
    if dtype == torch.bfloat16 and not has_bfloat16():
        multiply_in_float32(model)
    if r is None:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = "prefix_encoder" in name
    else:
        model = _with_lora(model, r, task)
    ids = torch.full((batch, length), 5)
    if config.model_type == "chatglm":
        ids[:, 0], ids[:, 1] = config.gmask_token_id, config.bos_token_id
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(count, _unchanged):
        arguments = {"labels": ids, "use_cache": False} if task == "CAUSAL_LM" else {}
        result = model(input_ids=ids, **arguments)  # holds the saved tensors until they are counted
    del result
    return sum(saved.values()), sum(p.numel() for p in model.parameters() if p.requires_grad)


def _unchanged(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _with_lora(model: Any, r: int, task: str) -> Any:
    from peft import LoraConfig, get_peft_model

    from base_models.loaded_model import attention_projections

    targets = attention_projections(model)
    return get_peft_model(model, LoraConfig(task_type=task, r=r, target_modules=targets))


def _with_layers(config: Any, layers: int) -> Any:
    shape = deepcopy(config)
    shape.num_hidden_layers = layers
    if hasattr(shape, "layer_types") and shape.layer_types:
        shape.layer_types = shape.layer_types[:layers]
    return shape
