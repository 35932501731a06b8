"""Export a causal chat model of transformers to an OpenVINO graph with 8-bit weights.

    input_ids [b, q], attention_mask [b, k], beam_idx [b], output_positions [n], LoRA matrices
        ->  logits [b, n, vocabulary]

The keys and values of earlier tokens are state inside the graph, so k = (tokens in the state) + q; ``beam_idx`` selects
the rows of the state that continue. Every linear layer of the decoder has a LoRA update (Hu et al. 2021,
arXiv:2106.09685) whose matrices ``<layer>.lora_A`` [r, in] and ``<layer>.lora_B`` [out, r] are inputs: one graph runs
the base model and every LoRA adapter, and switching copies no weights.

Weights are quantised to 8 bits, asymmetric, one scale per output channel. ``openvino.convert_model`` reads the model in
memory; optimum-intel is not needed (it pins an older transformers), nor nncf.

Not supported: models other than decoders of the Llama and Qwen families (``engine_selection.MODEL_TYPES``), GPUs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache, DynamicLayer

from base_models.engines.openvino_package import import_openvino, trace
from base_models.local_files import LOCAL_ONLY, no_progress_bar

EMBEDDING, HEAD = "embedding", "head"
ROWS = 8192
"""Weight rows that are quantised at once, to bound the float32 copy. Chosen."""


def quantised(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``weight`` [out, in] as uint8, with scale [out, 1] (float32) and zero point [out, 1] (uint8) per row."""
    codes = torch.empty(weight.shape, dtype=torch.uint8)
    scale, zero = torch.empty(len(weight), 1), torch.empty(len(weight), 1, dtype=torch.uint8)
    for start in range(0, len(weight), ROWS):
        rows = weight[start : start + ROWS].float()
        low = rows.amin(1, keepdim=True).clamp(max=0)
        step = ((rows.amax(1, keepdim=True).clamp(min=0) - low) / 255).clamp(min=1e-12)
        offset = (-low / step).round()
        codes[start : start + ROWS] = ((rows / step).round() + offset).clamp(0, 255)
        scale[start : start + ROWS], zero[start : start + ROWS] = step, offset
    return codes, scale, zero


class _Embedding(torch.nn.Module):
    def __init__(self, codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> None:
        super().__init__()
        self.codes, self.scale, self.zero = codes, scale, zero

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return (self.codes[ids].float() - self.zero[ids].float()) * self.scale[ids]


class _Linear(torch.nn.Module):
    """A linear layer for tracing: with the first column of its weight only, which is set before each call like the LoRA
    matrices, so that tracing needs no memory; :func:`_set_weight` puts the whole weight into the graph."""

    column: torch.Tensor
    lora_A: torch.Tensor
    lora_B: torch.Tensor

    def __init__(self, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.bias = None if bias is None else bias.detach().float()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        update = (hidden @ self.lora_A.T) @ self.lora_B.T
        return torch.nn.functional.linear(hidden[..., :1], self.column, self.bias) + update


class _Traceable(torch.nn.Module):
    """The model with weights, key-value cache and LoRA matrices as arguments: the trace contains none of them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder, self.layers = model.model, model.config.num_hidden_layers
        self.head_bias = None if model.lm_head.bias is None else model.lm_head.bias.detach().float()
        self.quantised = {EMBEDDING: quantised(model.get_input_embeddings().weight)}
        tied = model.lm_head.weight is model.get_input_embeddings().weight
        self.quantised[HEAD] = self.quantised[EMBEDDING] if tied else quantised(model.lm_head.weight)
        self.decoder.embed_tokens = _Embedding(*self.quantised[EMBEDDING])
        del model.lm_head
        self.linear: dict[str, _Linear] = {}
        for name in [name for name, part in self.decoder.named_modules() if isinstance(part, torch.nn.Linear)]:
            part = self.decoder.get_submodule(name)
            self.quantised[f"model.{name}"] = quantised(part.weight)
            self.linear[f"model.{name}"] = _Linear(part.bias)
            self.decoder.set_submodule(name, self.linear[f"model.{name}"])
        self.decoder.float()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        output_positions: torch.Tensor,
        head: torch.Tensor,
        *more: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        past, matrices = more[: 2 * self.layers], more[2 * self.layers :]
        for layer, *three in zip(self.linear.values(), matrices[::3], matrices[1::3], matrices[2::3], strict=True):
            layer.column, layer.lora_A, layer.lora_B = three
        cache = DynamicCache()
        cache.layers = [_cache_layer(keys, values) for keys, values in zip(past[::2], past[1::2], strict=True)]
        new, total = input_ids.shape[1], attention_mask.shape[1]
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, total - new :]
        rows, columns = torch.arange(new)[:, None] + (total - new), torch.arange(total)[None, :]
        visible = (columns <= rows)[None, None] & (attention_mask[:, None, None, :] > 0)
        mask = torch.where(visible, 0.0, torch.finfo(torch.float32).min)
        hidden = self.decoder(
            input_ids=input_ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state
        logits = torch.nn.functional.linear(hidden.index_select(1, output_positions)[..., :1], head, self.head_bias)
        filled: list[Any] = cache.layers
        return logits, *(tensor for layer in filled for tensor in (layer.keys, layer.values))


def _cache_layer(keys: torch.Tensor, values: torch.Tensor) -> DynamicLayer:
    layer = DynamicLayer()
    layer.dtype, layer.device = keys.dtype, keys.device
    layer.keys, layer.values, layer.is_initialized = keys, values, True
    return layer


def export(source: Path, target: Path, progress: Callable[[str], object] = lambda _: None) -> None:
    """Write the chat model in the folder ``source`` to ``target``/openvino_model.xml and .bin.

    ``progress`` is called with the name of each step. The model is in memory in 16 bits and then in 8 bits, at the peak
    about 1.5 times the former.
    """
    ov = import_openvino()
    progress("reading the weights")
    with no_progress_bar():
        model: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.bfloat16, use_safetensors=True, **LOCAL_ONLY
        ).eval()
    config = model.config
    heads = config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    with torch.no_grad():
        progress("quantising to 8 bits")
        traceable = _Traceable(model)
        del model
        progress("tracing")
        past = [torch.zeros(1, heads, 3, width) for _ in range(2 * traceable.layers)]
        ids, mask, last = torch.ones(1, 4, dtype=torch.long), torch.ones(1, 7, dtype=torch.long), torch.tensor([3])
        rows = len(traceable.quantised[HEAD][0])
        arguments = [ids, mask, last, torch.zeros(rows, 1), *past]
        shapes = {"input_ids": [-1, -1], "attention_mask": [-1, -1], "output_positions": [-1], HEAD: [rows, 1]}
        shapes |= {f"past.{number}": [-1, heads, -1, width] for number in range(len(past))}
        for name in traceable.linear:
            out, size = traceable.quantised[name][0].shape
            arguments += [torch.zeros(out, 1), torch.zeros(2, size), torch.zeros(out, 2)]
            shapes |= {name: [out, 1], f"{name}.lora_A": [-1, size], f"{name}.lora_B": [out, -1]}
        graph = trace(traceable, tuple(arguments))
    for port, (name, shape) in zip(graph.inputs, shapes.items(), strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
        port.get_node().set_partial_shape(ov.PartialShape(shape))
    for port, name in zip(graph.outputs, ["logits", *(f"present.{n}" for n in range(len(past)))], strict=True):
        port.get_tensor().set_names({name})
    for name in (HEAD, *traceable.linear):
        _set_weight(graph, name, *traceable.quantised[name])
    _make_stateful(graph, heads, width, len(past))
    progress("writing")
    ov.save_model(graph, target / "openvino_model.xml", compress_to_fp16=False)


def _set_weight(graph: Any, name: str, codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> None:
    """Replace the product with the input ``name`` by that of the whole layer input and the whole weight, in the form
    that the CPU plugin recognises and multiplies in 8 bits."""
    from openvino import opset13 as ops

    parameter = graph.input(name).get_node()
    (second,) = parameter.output(0).get_target_inputs()
    product = second.get_node()
    first_column = product.input_value(0).get_node()
    centred = ops.subtract(ops.convert(_constant(codes), "f32"), ops.convert(_constant(zero), "f32"))
    product.input(0).replace_source_output(first_column.input_value(0))
    second.replace_source_output(ops.multiply(centred, _constant(scale)).output(0))
    graph.remove_parameter(parameter)


def _constant(tensor: torch.Tensor) -> Any:
    from openvino import opset13 as ops

    return ops.constant(tensor.numpy(), shared_memory=True)


def _make_stateful(graph: Any, heads: int, width: int, past: int) -> None:
    """Turn the key-value cache into state that is initially empty and whose rows ``beam_idx`` selects."""
    import numpy as np

    ov = import_openvino()
    from openvino import opset13 as ops
    from openvino._offline_transformations import apply_make_stateful_transformation

    beam = ops.parameter(name="beam_idx", dtype=ov.Type.i32, shape=ov.PartialShape([-1]))
    beam.output(0).get_tensor().add_names({"beam_idx"})
    graph.add_parameters([beam])
    for number in range(past):
        port = graph.input(f"past.{number}")
        readers = port.get_target_inputs()
        selected = ops.gather(port, beam, ops.constant(np.int64(0)))
        for reader in readers:
            reader.replace_source_output(selected.output(0))
    graph.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(graph, {f"past.{n}": f"present.{n}" for n in range(past)})
    shape = ops.shape_of(graph.input("input_ids"), output_type="i64")
    batch = ops.gather(shape, ops.constant(np.array([0], np.int64)), ops.constant(np.int64(0)))
    for node in graph.get_ops():
        if node.get_type_name() == "ReadValue":
            rest = [ops.constant(np.array([size], np.int64)) for size in (heads, 0, width)]
            node.set_arguments([ops.broadcast(ops.constant(np.float32(0)), ops.concat([batch, *rest], axis=0))])
    graph.validate_nodes_and_infer_types()
