"""A folder of ``.bin`` checkpoints, as models were released in 2023 -> the same tensors in safetensors.

One shard is in memory at a time. Pickles are read with ``weights_only=True``, which runs no code of the file. Not
copied: code that came with the model, and rotary frequencies, which the model classes compute.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from base_models.errors import ModelError

VERSION = 1
"""Part of the name of the converted folder; bump when its content changes."""
COPIED_SUFFIXES = {".json", ".model", ".txt", ".jinja"}
INDEX = "pytorch_model.bin.index.json"


def shards_of(folder: Path) -> list[Path]:
    """The ``.bin`` files of a model folder, in order; empty if it has none. Raises if some are missing."""
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{index} is damaged ({error!r}); download it again.") from None
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                f"{folder} lacks {len(missing)} of the {len(names)} shards listed in {INDEX}: "
                f"{', '.join(missing)}; download them into this folder."
            )
        return [folder / name for name in names]
    single = folder / "pytorch_model.bin"
    return [single] if single.is_file() else []


def convert_bin(source: Path, folder: Path, report: Callable[[int, int], None]) -> None:
    """Write the model of ``source`` into the existing ``folder``; ``report(done, total)`` counts bytes.

    Raises :class:`ModelError` that names a missing or damaged shard.
    """
    from safetensors.torch import save_file

    shards = shards_of(source)
    total, done = sum(shard.stat().st_size for shard in shards), 0
    shard_of: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = read_bin(shard)
        shard_of |= dict.fromkeys(tensors, name)
        save_file(tensors, folder / name, metadata={"format": "pt"})
        del tensors
        done += shard.stat().st_size
        report(done, total)
    index = {"metadata": {}, "weight_map": shard_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    for file in source.iterdir():
        if file.suffix in COPIED_SUFFIXES and file.name != INDEX:
            shutil.copyfile(file, folder / file.name)


def read_bin(shard: Path) -> dict[str, Any]:
    """The tensors of one ``.bin`` file by name, without rotary frequencies; no code in it is run."""
    import torch

    try:
        with shard.open("rb") as file:
            zipped = file.read(2) == b"PK"  # files written before torch 1.6 are not, and cannot be memory-mapped
        tensors = torch.load(shard, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # of torch, zipfile or pickle, which is not imported here
        raise ModelError(
            f"{shard} is damaged or not a checkpoint ({str(error).strip().splitlines()[0]}); download it again."
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ModelError(f"{shard} is not a model checkpoint, because it is not a dict of tensors; download it again.")
    seen: set[int] = set()
    kept = {}
    for name, tensor in tensors.items():
        if name.endswith("rotary_emb.inv_freq"):
            continue
        storage = tensor.untyped_storage().data_ptr()
        kept[name] = tensor.clone() if storage in seen else tensor.contiguous()  # safetensors refuses shared memory
        seen.add(storage)
    return kept
