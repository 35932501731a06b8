"""Select the engine for a chat model on this machine.

``engine = "auto"`` exports the model for OpenVINO if that supports it, times the same prompt on both engines, and
selects the faster one. The choice is stored in ``<cache>/engines.json`` for this model, processor and versions; the
export in ``<cache>/openvino/``. Without OpenVINO, on a GPU, or with a given dtype or quantisation, transformers runs.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from base_models.acquire.fetch import chat_folder, fingerprint, loadable
from base_models.engines.choices import (
    Choice,
    export_folder,
    export_lock,
    known_choice,
    print_step,
    read_facts,
    remove_older_exports,
    store_choice,
    write_facts,
)
from base_models.engines.openvino_lora import unsupported
from base_models.engines.sampling import Sampling
from base_models.errors import ModelError
from domain import whole_folder

if TYPE_CHECKING:
    from base_models.engines import Engine
    from base_models.engines.openvino import OpenVinoModel
    from base_models.loaded_model import LoadedModel

EngineName = Literal["auto", "transformers", "openvino"]
MODEL_TYPES = ("llama", "qwen2", "qwen3", "mistral")
"""``config.model_type`` of models whose exports were compared with transformers."""
TIMED_PROMPT, TIMED_ANSWER = 256, 24
"""Tokens of the timed prompt and answer, in about the proportion of a question with passages. Chosen."""
LEAST_COSINE = 0.99
"""Least cosine between the logits of both engines after the timed prompt; otherwise the export is not used. Chosen:
8-bit weights reach .9994 with the default model."""


def choose_engine(
    name_or_path: str | Path,
    engine: EngineName = "auto",
    adapter: Path | None = None,
    quantization: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
) -> Choice:
    """The engine for a model on this machine; the first time, "auto" exports and times it, which takes a minute or two.

    Each step of that is printed on stderr. Raises :class:`ModelError` if ``engine`` is "openvino" and it does not
    support the model or the adapter.
    """
    if engine == "transformers":
        return Choice("transformers", "requested", {})
    asked_for = [f"{key} {value}" for key, value in (("quantization", quantization), ("dtype", dtype)) if value]
    asked_for = [what for what in asked_for if what != "dtype auto"]
    reason = f"{asked_for[0]} was requested" if asked_for else _not_exportable(name_or_path, adapter, device)
    if engine == "openvino":
        if reason:
            raise ModelError(f'the engine "openvino" does not support {name_or_path}: {reason}; use engine "auto".')
        return Choice("openvino", "requested", {})
    if reason:
        return Choice("transformers", reason, {})
    return known_choice(name_or_path) or _time_both(name_or_path)


def load_openvino(name_or_path: str | Path) -> "OpenVinoModel":
    """Load the model in OpenVINO; it is exported first if needed. With an existing export, torch is not imported."""
    from base_models.engines.openvino import OpenVinoModel

    exported = export_folder(name_or_path)
    facts = read_facts(exported) or _export(name_or_path, exported)
    folder = loadable(chat_folder(name_or_path))
    if facts["fast_tokenizer"]:
        tokenizer = _fast_tokenizer(folder, facts["special_tokens"])
    else:
        from base_models.loading import load_tokenizer

        tokenizer = load_tokenizer(name_or_path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return OpenVinoModel(
        str(name_or_path),
        fingerprint(name_or_path),
        exported,
        tokenizer,
        facts["chat_format"],
        config.get("max_position_embeddings") or sys.maxsize,
    )


def faster_engine(loaded: "LoadedModel") -> "Engine":
    """The base model in OpenVINO if that was chosen before; otherwise ``loaded`` itself."""
    from base_models.probe import runs_in

    here = runs_in(loaded.model)
    known = known_choice(loaded.name)
    if here["packed"] or here["device"] != "cpu" or known is None or known.engine == "transformers":
        return loaded
    return load_openvino(loaded.name)


def _not_exportable(name_or_path: str | Path, adapter: Path | None, device: str) -> str:
    """Why OpenVINO does not support the model or the adapter; empty if it does."""
    if importlib.util.find_spec("openvino") is None:
        return 'OpenVINO is not installed (pip install "lorewright[openvino]")'
    if adapter is not None and (what := unsupported(adapter)):
        return f"adapter {adapter.name} has {what}"
    config = json.loads((chat_folder(name_or_path) / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") not in MODEL_TYPES:
        return f"models of type {config.get('model_type')} are not supported"
    if config.get("quantization_config"):
        return "its weights are quantised"
    if config.get("use_sliding_window") or (config.get("model_type") == "mistral" and config.get("sliding_window")):
        return "it uses sliding-window attention"
    rope = (config.get("rope_parameters") or {}) | (config.get("rope_scaling") or {})
    if rope.get("rope_type", rope.get("type", "default")) in ("dynamic", "longrope"):
        return "it scales positions by the length of the text"
    if device not in ("auto", "cpu"):
        return f"device {device} was requested"
    if device == "auto" and known_choice(name_or_path) is None:  # otherwise torch is not needed here
        from base_models.hardware import choose_device

        if (present := choose_device()) != "cpu":
            return f"this machine has a GPU ({present})"
    return ""


def _time_both(name_or_path: str | Path) -> Choice:
    """Time one answer on both engines and store the choice."""
    from base_models.loading import load

    loaded = load(name_or_path)
    text: Any = loaded.tokenizer("The documents say: 文件里写着。" * TIMED_PROMPT, add_special_tokens=False)
    prompt = text.input_ids[:TIMED_PROMPT]
    print_step(name_or_path, "timing transformers")
    seconds = {"transformers": _seconds(loaded, prompt)}
    expected = _logits(loaded, prompt)
    del loaded
    try:
        fast = load_openvino(name_or_path)
    except ModelError as error:  # not written; not stored, since it may succeed later
        return Choice("transformers", str(error), seconds)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:  # what tracing can raise
        choice = Choice("transformers", f"the export failed: {str(error).strip().splitlines()[0][:200]}", seconds)
    else:
        logits = fast.next_logits(prompt)
        cosine = float(logits @ expected / np.linalg.norm(logits) / np.linalg.norm(expected))
        print_step(name_or_path, "timing OpenVINO")
        seconds["openvino"] = _seconds(fast, prompt)
        ratio = seconds["openvino"] / seconds["transformers"]
        measured = f"an answer with OpenVINO takes {ratio:.2f} of the time of transformers"
        if cosine < LEAST_COSINE:
            choice = Choice("transformers", f"the exported model differs (cosine of the logits {cosine:.3f})", seconds)
        else:
            choice = Choice("openvino" if ratio < 1 else "transformers", measured, seconds)
    return store_choice(name_or_path, choice)


def _seconds(engine: "Engine", prompt: list[int]) -> float:
    """Seconds for the timed answer, after a short one to warm up; extrapolated if the model stops early."""
    engine.generate_ids([prompt[:16]], Sampling(max_new_tokens=2))
    start = time.perf_counter()
    answer = engine.generate_ids([prompt], Sampling(max_new_tokens=TIMED_ANSWER))[0]
    return round((time.perf_counter() - start) * TIMED_ANSWER / len(answer), 3)


def _logits(loaded: Any, prompt: list[int]) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return loaded.model(input_ids=torch.tensor([prompt], device=loaded.device)).logits[0, -1].float().cpu().numpy()


def _export(name_or_path: str | Path, target: Path) -> dict[str, Any]:
    """Export the model to the folder ``target`` and return what its ``export.json`` says."""
    from base_models.loading import load_tokenizer
    from base_models.messages import chat_format_hash
    from base_models.openvino_export import export

    source = loadable(chat_folder(name_or_path))
    try:
        with export_lock(target):
            if (exported := read_facts(target)) is not None:  # another process exported it meanwhile
                return exported
            tokenizer = load_tokenizer(name_or_path)
            facts = {
                "model": str(name_or_path),
                "chat_format": chat_format_hash(tokenizer),
                "special_tokens": tokenizer.special_tokens_map,
                "fast_tokenizer": _same_ids(source, tokenizer),
            }
            with whole_folder(target) as partial:
                export(source, partial, lambda step: print_step(name_or_path, f"exporting to OpenVINO, {step}"))
                write_facts(partial, facts)
            remove_older_exports(target)
            return facts
    except OSError as error:
        raise ModelError(
            f"{name_or_path} could not be exported to {target.parent} ({error}); set LOREWRIGHT_CACHE to a writable "
            'folder, or set engine = "transformers" in domain.toml.'
        ) from error


def _same_ids(source: Path, tokenizer: Any) -> bool:
    """Whether tokenizer.json alone, which loads without torch, gives the same ids as the model's tokenizer class."""
    from base_models.messages import chat_format_hash

    if not (source / "tokenizer.json").is_file():
        return False
    fast = _fast_tokenizer(source, tokenizer.special_tokens_map)
    texts = ("春眠不觉晓，处处闻啼鸟。", "def f(x):\n    return 12,345.6", " a\tb\u3000c\n\n😀 naïve I'LL <|im_end|>")
    same_ids = all(fast(text).input_ids == tokenizer(text).input_ids for text in texts)
    return same_ids and chat_format_hash(fast) == chat_format_hash(tokenizer)


def _fast_tokenizer(folder: Path, special_tokens: dict[str, Any]) -> Any:
    """The tokenizer of tokenizer.json, with the special tokens that the model's tokenizer class adds."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True, **special_tokens)
