"""Checks of an adapter folder before a model uses it.

A run writes ``adapter_model.safetensors``, ``adapter_config.json`` (both peft's) and ``manifest.json`` (ours): the
hashes of base model, chat format and files. Elsewhere an adapter of another base model or chat format loads without an
error and answers nonsense; here it is refused with the reason.
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
    """The manifest of an adapter folder; raises :class:`ModelError` if it is missing or damaged."""
    file = folder / "manifest.json"
    if not folder.is_dir():
        raise ModelError(f"{folder} does not exist; give the folder of a finished adapter.")
    if not file.is_file():
        raise ModelError(f"{folder} is not a finished adapter, because it has no manifest.json; give another folder.")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is damaged ({error}); train again.") from None
    if not isinstance(manifest, dict):
        raise ModelError(f"{file} is damaged (not a JSON object); train again.")
    if manifest.get("format") != MANIFEST_FORMAT:
        raise ModelError(
            f"{file} has format {manifest.get('format')!r}, but this version reads {MANIFEST_FORMAT}; train again."
        )
    for key in ("base_model", "base_fingerprint", "chat_format", "adapter_sha256"):
        if not isinstance(manifest.get(key), str):
            raise ModelError(f"{file} is damaged ({key} is missing); train again.")
    return manifest


def check_adapter(folder: Path, base_fingerprint: str, chat_format: str) -> dict[str, Any]:
    """Refuse an adapter of other weights or another chat format, a modified one, and one that training did not change.

    Returns the manifest.
    """
    manifest = read_manifest(folder)
    if manifest["base_fingerprint"] != base_fingerprint:
        raise ModelError(
            f"adapter {folder.name} was trained on {manifest['base_model']} "
            f"(weights {manifest['base_fingerprint'][:12]}), not on the loaded model "
            f"(weights {base_fingerprint[:12]}); load the former, or train again."
        )
    if manifest["chat_format"] != chat_format:
        raise ModelError(f"adapter {folder.name} was trained with another chat format or vocabulary; train it again.")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file() or file_hash(weights) != manifest["adapter_sha256"]:
        raise ModelError(f"{weights} is missing or damaged (its hash differs from manifest.json); train it again.")
    config = folder / "adapter_config.json"
    if not config.is_file() or file_hash(config) != manifest.get("config_sha256", file_hash(config)):
        raise ModelError(f"{config} is missing or modified (its hash differs from manifest.json); train it again.")
    check_trained(weights)
    return manifest


def seal_adapter(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``manifest.json`` into a folder with peft's two files; refuse an adapter that training did not change.

    ``facts`` must hold base_model, base_fingerprint and chat_format; other keys are for people and for reports.
    """
    weights = folder / "adapter_model.safetensors"
    check_trained(weights)
    hashes = {"adapter_sha256": file_hash(weights), "config_sha256": file_hash(folder / "adapter_config.json")}
    manifest = {"format": MANIFEST_FORMAT, **facts, **hashes}
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def check_trained(weights: Path) -> None:
    """Refuse an adapter whose lora_B are all zero, as peft initialises them, and one that holds NaN or infinity."""
    nonzero = []
    for name, tensor in read_tensors(weights):
        if not np.isfinite(tensor).all():
            raise ModelError(f"{weights} contains NaN or infinite values; train again with a lower learning_rate.")
        if "lora_B" in name:
            nonzero.append(tensor.any())
    if nonzero and not any(nonzero):
        raise ModelError(f"{weights} is untrained: every lora_B is zero; train longer.")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
