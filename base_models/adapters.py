"""What an adapter folder must be before a model answers with it.

A run leaves ``adapter_model.safetensors``, ``adapter_config.json`` (both peft's) and ``manifest.json`` (ours): the
hashes of what it was trained on and with. An adapter that is put on another base model or chat format than its own
loads without a word elsewhere and answers nonsense; here it is refused with the reason.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from base_models.errors import ModelError
from base_models.tensors import read_tensors

MANIFEST_FORMAT = 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an adapter folder, or a :class:`ModelError` that says what is missing."""
    file = folder / "manifest.json"
    if not folder.is_dir():
        raise ModelError(f"{folder} does not exist; name the folder of a finished adapter.")
    if not file.is_file():
        raise ModelError(f"{folder} is not a finished adapter: it has no manifest.json.")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is damaged ({error}); train again.") from None
    if not isinstance(manifest, dict):
        raise ModelError(f"{file} is damaged (it is no object); train again.")
    if manifest.get("format") != MANIFEST_FORMAT:
        raise ModelError(
            f"{file} has format {manifest.get('format')!r}, this version reads {MANIFEST_FORMAT}; train again."
        )
    for key in ("base_model", "base_fingerprint", "chat_format", "adapter_sha256"):
        if not isinstance(manifest.get(key), str):
            raise ModelError(f"{file} is damaged ({key} is missing); train again.")
    return manifest


def check_adapter(folder: Path, base_fingerprint: str, chat_format: str) -> dict[str, Any]:
    """Refuse an adapter that was made for other weights or another chat format, that was changed, or learnt nothing.

    Returns the manifest of one that fits.
    """
    manifest = read_manifest(folder)
    if manifest["base_fingerprint"] != base_fingerprint:
        raise ModelError(
            f"adapter {folder.name} was trained on {manifest['base_model']} "
            f"(weights {manifest['base_fingerprint'][:12]}), not on the model that is loaded "
            f"(weights {base_fingerprint[:12]}); load that one or train again."
        )
    if manifest["chat_format"] != chat_format:
        raise ModelError(f"adapter {folder.name} was trained with another chat format or vocabulary; train it again.")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file() or file_hash(weights) != manifest["adapter_sha256"]:
        raise ModelError(f"{weights} is missing or damaged (its hash differs from manifest.json); train it again.")
    config = folder / "adapter_config.json"
    if not config.is_file() or file_hash(config) != manifest.get("config_sha256", file_hash(config)):
        raise ModelError(f"{config} is missing or was changed (its hash differs from manifest.json); train it again.")
    check_learnt(weights)
    return manifest


def seal_adapter(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``manifest.json`` into a folder that holds peft's two files, or refuse an adapter that learnt nothing.

    ``facts`` must hold base_model, base_fingerprint and chat_format; the rest is kept for people and for reports.
    """
    weights = folder / "adapter_model.safetensors"
    check_learnt(weights)
    hashes = {"adapter_sha256": file_hash(weights), "config_sha256": file_hash(folder / "adapter_config.json")}
    manifest = {"format": MANIFEST_FORMAT, **facts, **hashes}
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def check_learnt(weights: Path) -> None:
    """Refuse an adapter whose lora_B is all zero, which would change nothing (peft initialises B to zero), and one
    that holds NaN or infinity, with which no answer can be computed."""
    learnt = []
    for name, tensor in read_tensors(weights):
        if not np.isfinite(tensor).all():
            raise ModelError(f"{weights} holds numbers that are not finite; train again with a lower learning_rate.")
        if "lora_B" in name:
            learnt.append(tensor.any())
    if learnt and not any(learnt):
        raise ModelError(f"{weights} has learnt nothing: every lora_B is zero; train longer.")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
