"""Import an adapter that another program trained: check it against the model, and write its manifest.

Lorewright uses an adapter only if its manifest names the base model by hash. An adapter of another program has no
manifest; whoever adopts it vouches that it was trained on this model, and the manifest says so.
"""

import json
from pathlib import Path
from typing import Any

from base_models.acquire.convert_bin import read_bin
from base_models.adapter_manifest import seal_adapter
from base_models.errors import ModelError
from base_models.loaded_model import LoadedModel
from domain import whole_folder


def adopt_adapter(source: Path, output: Path, base: LoadedModel) -> None:
    """Copy the peft LoRA in ``source`` to the folder ``output``, as safetensors with a manifest.

    ``adapter_model.bin`` is read without running code, and adapters of peft <= 0.2 (``MergedLinear``) are converted.
    Raises :class:`ModelError`, and writes no folder, if the adapter does not fit the model.
    """
    from safetensors.torch import load_file, save_file

    from base_models.chatglm.adapters_of_2023 import convert_merged_linear

    config_file = source / "adapter_config.json"
    if not config_file.is_file():
        raise ModelError(
            f"{source} is not an adapter saved by peft, because it has no adapter_config.json; give another folder."
        )
    try:
        config: dict[str, Any] = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{config_file} is damaged: {error}; get another copy.") from None
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{config_file} has peft_type {config.get('peft_type')}; only LORA adapters can be adopted.")
    safe, old = source / "adapter_model.safetensors", source / "adapter_model.bin"
    if not safe.is_file() and not old.is_file():
        raise ModelError(
            f"{source} has neither adapter_model.safetensors nor adapter_model.bin; copy one of them into it."
        )
    tensors = load_file(safe) if safe.is_file() else read_bin(old)
    config = convert_merged_linear(tensors, config) | {"base_model_name_or_path": base.name, "inference_mode": True}
    facts = {
        "base_model": base.name,
        "base_fingerprint": base.fingerprint,
        "chat_format": base.chat_format,
        "inputs": {},
        "config": {},
        "adopted": "trained elsewhere; whoever adopted it vouches for the base model",
    }
    with whole_folder(output) as folder:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        seal_adapter(folder, facts)
        with base.using(folder):
            pass  # raises if its tensors are not those of the model
