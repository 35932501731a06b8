"""Readers: adapters, trained to answer from passages, that are shipped for some base models of the catalogue.

    base_models/readers/BASE_MODEL/reader/    adapter_model.safetensors and what describes it, as any finished run
                                  LICENSE.md  of the weights, which were trained on texts under CC BY-SA

A reader answers until the domain's own adapter, which is trained from it, is measured to be better (docs/readers.md).
"""

from pathlib import Path

from base_models.catalogue import CATALOGUE

READERS = Path(__file__).parent / "readers"


def reader_of(base_model: str) -> Path | None:
    """The folder of the reader of a base model; None if it has none, as every model outside the catalogue."""
    folder = READERS / base_model / "reader"
    return folder if base_model in CATALOGUE and (folder / "manifest.json").is_file() else None
