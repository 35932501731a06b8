"""One function that loads any causal chat model, and one for its tokenizer alone.

Not supported here: encoder models (see ``embedding.py``), checkpoints that bring their own code; ChatGLM-6B, whose
checkpoint does, is known natively (``base_models/chatglm``). ``.bin`` checkpoints are converted first (``fetch.py``).
The CUDA and MPS branches were written with care but could not be run on the machines of this project.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from base_models.chatglm import ChatGLMTokenizer
from base_models.errors import ModelError
from base_models.fetch import chat_folder, fingerprint, loadable
from base_models.hardware import choose_device, choose_dtype, fits, freeing_at_once
from base_models.loaded_model import LoadedModel
from base_models.messages import chat_format_hash
from base_models.pieces import multiplies_bfloat16, multiply_in_float32

Quantization = Literal["nf4", "int8"]
Model = TypeVar("Model")
ONLY_HERE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""For everything that transformers reads; without the second it would ask at the terminal."""


def load(
    name_or_path: str | Path,
    adapter: str | Path | None = None,
    quantization: Quantization | None = None,
    dtype: str = "auto",
    device: str = "auto",
) -> LoadedModel:
    """Load a chat model by catalogue name (fetched first if need be) or from a folder of safetensors or ``.bin``.

    ``adapter`` is the folder of a finished run; it is checked against the model and refused if it belongs to another.
    ``quantization`` "nf4" or "int8" needs bitsandbytes. ``dtype`` "auto" takes what a short measurement found fastest
    on this processor, or bfloat16 where float32 would not fit into its memory, or on CUDA. ``device`` "auto" takes
    cuda, then mps, then cpu.
    """
    folder = loadable(chat_folder(name_or_path))
    identity = fingerprint(str(name_or_path))
    chosen = choose_device(device)
    packed = _packed_bits(folder)
    if packed and quantization:
        raise ModelError(f"{folder} is packed in {packed} bits already; load it without quantization.")
    torch_dtype = choose_dtype(dtype, chosen)
    quantized: dict[str, Any] = {}
    if quantization:
        quantized = {"quantization_config": _quantization_config(quantization, torch_dtype), "device_map": chosen}
    tokenizer = _tokenizer(folder)
    try:
        # torch's products with packed weights are made for bfloat16; and half the memory is better than none
        if dtype == "auto" and (packed or not (quantization or fits(folder, torch_dtype, chosen))):
            torch_dtype = torch.bfloat16
        with no_bar(), freeing_at_once():
            both: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch_dtype, use_safetensors=True, output_loading_info=True, **quantized, **ONLY_HERE
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise _not_loadable(folder, error) from error
    model, told = both
    if isinstance(tokenizer, ChatGLMTokenizer) and tokenizer.bos_token_id != model.config.bos_token_id:
        raise ModelError(
            f"{folder}: the tokenizer's <sop> is {tokenizer.bos_token_id}, the model's {model.config.bos_token_id}; "
            "num_image_tokens in tokenizer_config.json must be 0 for a vocabulary of 130528, 20000 for one of 150528."
        )
    if told["missing_keys"]:
        missing = sorted(told["missing_keys"])
        raise ModelError(f"{folder} is incomplete: it lacks {len(missing)} tensors of the model, such as {missing[0]}.")
    if quantization:
        _keep_packed(model)
        if chosen == "cpu":
            from base_models.nf4 import multiply_compiled

            multiply_compiled(model)
    else:
        model.to(chosen)
    if chosen == "cpu" and torch_dtype == torch.bfloat16 and not multiplies_bfloat16():
        multiply_in_float32(model)
    model.eval()
    loaded = LoadedModel(str(name_or_path), identity, model, tokenizer, chat_format_hash(tokenizer))
    if adapter is not None:
        loaded.adapter = Path(adapter)
        with loaded.using(loaded.adapter):
            pass  # fails now, not at the first question, if the adapter does not fit
    return loaded


def load_tokenizer(name_or_path: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a chat model, fetched first if need be, without the model."""
    return _tokenizer(chat_folder(name_or_path))


def of_sentence_transformers(kind: Callable[..., Model], folder: Path, device: str, dtype: str = "auto") -> Model:
    """A ``SentenceTransformer`` or ``CrossEncoder`` in memory; on a processor "auto" takes the fastest type."""
    device = choose_device(device)
    chosen = choose_dtype(dtype, device) if device == "cpu" else torch.float32
    with no_bar():
        return kind(str(folder), device=device, model_kwargs={"dtype": chosen, "use_safetensors": True}, **ONLY_HERE)


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **ONLY_HERE)
    except (OSError, ValueError) as error:
        raise _not_loadable(folder, error) from error
    if not tokenizer.chat_template:
        raise ModelError(f"{folder} has no chat template, so it cannot be asked; use an instruct model.")
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


@contextmanager
def no_bar() -> Iterator[None]:
    """Keeps transformers from drawing its own bar, which counts tensors for a second or two."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()


def _quantization_config(quantization: Quantization, dtype: torch.dtype) -> Any:
    if quantization not in ("nf4", "int8"):
        raise ModelError(f"quantization {quantization!r} is unknown; take nf4 or int8.")
    try:
        import bitsandbytes  # noqa: F401 - only to say clearly that it is missing
    except ImportError:
        raise ModelError(f"quantization {quantization} needs bitsandbytes: pip install bitsandbytes") from None
    from transformers import BitsAndBytesConfig

    if quantization == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=True,
        )
    return BitsAndBytesConfig(load_in_8bit=True)


def _keep_packed(model: torch.nn.Module) -> None:
    """Let ``state_dict()`` leave 4-bit weights as they are.

    On a processor with avx512_bf16, bitsandbytes lays them out anew at the first answer, and its ``state_dict()`` turns
    that back with another rounding (0.50). peft calls it for each adapter, and each would change the base a little.
    The price: what ``state_dict()`` returns then is not fit for saving the base; nothing here does that.
    """
    from bitsandbytes.nn import Linear4bit

    for part in model.modules():
        if isinstance(part, Linear4bit):
            part._save_to_state_dict = MethodType(  # type: ignore[method-assign]
                torch.nn.Linear._save_to_state_dict, part
            )
