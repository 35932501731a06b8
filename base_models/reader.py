"""Readers: adapters that this project trained to read passages, and ships for some base models of the catalogue.

    base_models/readers/BASE_MODEL/reader/    adapter_model.safetensors and what describes it, as any finished run
                                  LICENSE.md  of the weights, which learnt from texts under CC BY-SA

They answer until a domain's own adapter, which goes on from them, is shown to be better (docs/readers.md).
"""

from pathlib import Path

from base_models.catalogue import CATALOGUE

READERS = Path(__file__).parent / "readers"


def reader_of(base_model: str) -> Path | None:
    """The folder of the reader of a base model; None where there is none, as for every model outside the catalogue."""
    folder = READERS / base_model / "reader"
    return folder if base_model in CATALOGUE and (folder / "manifest.json").is_file() else None
