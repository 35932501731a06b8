"""One function that loads any causal chat model, and one for its tokenizer alone.

Not supported: encoders (see ``embedding.py`` and ``classifier.py``), code that comes with a checkpoint (ChatGLM-6B is
implemented in ``base_models/chatglm``). ``.bin`` checkpoints are converted first (``acquire/``). The CUDA and MPS
branches could not be run on the machines of this project.
"""

import json
from pathlib import Path
from types import MethodType
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from base_models.acquire.fetch import chat_folder, fingerprint, loadable
from base_models.chatglm import ChatGLMTokenizer
from base_models.errors import ModelError
from base_models.hardware import choose_device, choose_dtype, fits, returning_freed_memory
from base_models.kernels.blockwise import has_bfloat16, multiply_in_float32
from base_models.loaded_model import LoadedModel
from base_models.local_files import LOCAL_ONLY, no_progress_bar
from base_models.messages import chat_format_hash

Quantization = Literal["nf4", "int8"]


def load(
    name_or_path: str | Path,
    adapter: str | Path | None = None,
    quantization: Quantization | None = None,
    dtype: str = "auto",
    device: str = "auto",
) -> LoadedModel:
    """Load a chat model by catalogue name (fetched first if needed) or from a folder of safetensors or ``.bin``.

    ``adapter`` is the folder of a finished run; an adapter of another model is refused. ``quantization`` "nf4" or
    "int8" needs bitsandbytes. ``dtype`` "auto" is the faster one on this processor, measured once, or bfloat16 if
    float32 would not fit into memory, or on CUDA. ``device`` "auto" takes cuda, then mps, then cpu.
    """
    folder = loadable(chat_folder(name_or_path))
    model_fingerprint = fingerprint(str(name_or_path))
    chosen = choose_device(device)
    packed = _packed_bits(folder)
    if packed and quantization:
        raise ModelError(f"{folder} is already quantised to {packed} bits; load it without quantization.")
    torch_dtype = choose_dtype(dtype, chosen)
    quantized: dict[str, Any] = {}
    if quantization:
        quantized = {"quantization_config": _quantization_config(quantization, torch_dtype), "device_map": chosen}
    tokenizer = _tokenizer(folder)
    try:
        # packed products of torch are fastest in bfloat16; weights that do not fit in float32 may fit in bfloat16
        if dtype == "auto" and (packed or not (quantization or fits(folder, torch_dtype, chosen))):
            torch_dtype = torch.bfloat16
        with no_progress_bar(), returning_freed_memory():
            loaded_with_info: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch_dtype, use_safetensors=True, output_loading_info=True, **quantized, **LOCAL_ONLY
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise _not_loadable(folder, error) from error
    model, info = loaded_with_info
    if isinstance(tokenizer, ChatGLMTokenizer) and tokenizer.bos_token_id != model.config.bos_token_id:
        raise ModelError(
            f"{folder}: the tokenizer's <sop> is {tokenizer.bos_token_id}, but the model's is "
            f"{model.config.bos_token_id}; "
            "set num_image_tokens in tokenizer_config.json to 0 for a vocabulary of 130528, 20000 for one of 150528."
        )
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"{folder} is incomplete: it lacks {len(missing)} tensors, such as {missing[0]}; download it again."
        )
    if quantization:
        _keep_4bit_weights(model)
        if chosen == "cpu":
            from base_models.kernels.nf4 import use_compiled_loops

            use_compiled_loops(model)
    else:
        model.to(chosen)
    if chosen == "cpu" and torch_dtype == torch.bfloat16 and not has_bfloat16():
        multiply_in_float32(model)
    model.eval()
    loaded = LoadedModel(str(name_or_path), model_fingerprint, model, tokenizer, chat_format_hash(tokenizer))
    if adapter is not None:
        loaded.adapter = Path(adapter)
        with loaded.using(loaded.adapter):
            pass  # raises now, not at the first answer, if the adapter does not fit
    return loaded


def load_tokenizer(name_or_path: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a chat model, which is fetched first if needed."""
    return _tokenizer(chat_folder(name_or_path))


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL_ONLY)
    except (OSError, ValueError) as error:
        raise _not_loadable(folder, error) from error
    if not tokenizer.chat_template:
        raise ModelError(f"{folder} is not a chat model, because it has no chat template; use an instruct model.")
    return tokenizer


def _not_loadable(folder: Path, error: Exception) -> ModelError:
    return ModelError(f"{folder} cannot be loaded as a chat model: {str(error).strip().splitlines()[0]}")


def _packed_bits(folder: Path) -> int:
    """4 or 8 for an int4 or int8 release of ChatGLM-6B, else 0."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError:  # transformers will say what is wrong with it
        return 0
    return config.get("quantization_bit") or 0 if config.get("model_type") == "chatglm" else 0


def _quantization_config(quantization: Quantization, dtype: torch.dtype) -> Any:
    if quantization not in ("nf4", "int8"):
        raise ModelError(f"unknown quantization {quantization!r}; use nf4 or int8.")
    try:
        import bitsandbytes  # noqa: F401 - only for a clear error message
    except ImportError:
        raise ModelError(f"quantization {quantization} needs bitsandbytes; run: pip install bitsandbytes") from None
    from transformers import BitsAndBytesConfig

    if quantization == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=True,
        )
    return BitsAndBytesConfig(load_in_8bit=True)


def _keep_4bit_weights(model: torch.nn.Module) -> None:
    """Let ``state_dict()`` leave 4-bit weights unchanged.

    On a processor with avx512_bf16, bitsandbytes 0.50 converts them to another layout at the first forward pass, and
    its ``state_dict()`` converts them back with another rounding. peft calls it for each adapter, so each would change
    the base a little. The price: the base cannot be saved from this ``state_dict()``; nothing here does that.
    """
    from bitsandbytes.nn import Linear4bit

    for part in model.modules():
        if isinstance(part, Linear4bit):
            part._save_to_state_dict = MethodType(  # type: ignore[method-assign]
                torch.nn.Linear._save_to_state_dict, part
            )
