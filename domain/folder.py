"""The layout of a domain folder, drawn in ``docs/design.md``: no other file spells these names."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from domain.errors import DomainError
from domain.files import write_text
from domain.settings import Settings, new_settings_text, read_settings


@dataclass(frozen=True)
class Domain:
    """An open domain folder: its settings and the paths in it."""

    path: Path
    settings: Settings

    @classmethod
    def open(cls, path: str | Path) -> "Domain":
        """Open a domain folder and check its ``domain.toml``; reads nothing else."""
        folder = Path(path)
        remedy = f"lorewright new {shlex.quote(str(folder))}"
        if not folder.is_dir():
            raise DomainError(f"{folder} is not a folder; create a domain with: {remedy}")
        if not (folder / "domain.toml").is_file():
            raise DomainError(f"{folder} is not a domain, because it has no domain.toml; create one with: {remedy}")
        return cls(folder, read_settings(folder / "domain.toml"))

    def command(self, name: str) -> str:
        """The command line of ``lorewright NAME`` for this domain, quoted for a shell, for error messages."""
        return f"lorewright {name} {shlex.quote(str(self.path))}"

    @property
    def settings_file(self) -> Path:
        return self.path / "domain.toml"

    @property
    def documents(self) -> Path:
        return self.path / "documents"

    @property
    def train_questions(self) -> Path:
        return self.path / "questions" / "train.jsonl"

    @property
    def held_out_questions(self) -> Path:
        return self.path / "questions" / "held_out.jsonl"

    @property
    def prompts(self) -> Path:
        """Prompt files that override the built-in ones of the same name, by language; optional."""
        return self.path / "prompts"

    @property
    def dictionary(self) -> Path:
        """The user's own words, one on a line, that full-text search does not split; optional."""
        return self.path / "dictionary.txt"

    def read_dictionary(self) -> str:
        """The text of :attr:`dictionary`; empty where there is none."""
        try:
            return self.dictionary.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            raise DomainError(f"{self.dictionary} cannot be read; save it as UTF-8 text, one word per line.") from None

    @property
    def index(self) -> Path:
        return self.path / "index"

    @property
    def conversations(self) -> Path:
        return self.path / "conversations.sqlite"

    @property
    def workspace(self) -> Path:
        """The only folder that an agent may write to; optional."""
        return self.path / "workspace"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

    @property
    def adapters(self) -> Path:
        return self.path / "adapters"

    def adapter(self, name: str) -> Path:
        """The folder of the run ``name``, which is checked so that the path stays within ``adapters/``."""
        if not re.fullmatch(r"[\w][\w.-]{0,99}", name) or name.endswith((".partial", ".checkpoint")):
            raise DomainError(
                f"{name!r} is not a valid adapter name; use at most 100 letters, digits, '.', '-' and '_'."
            )
        if name == "base":
            raise DomainError("'base' is reserved for the model without an adapter; choose another name for the run.")
        return self.adapters / name

    def adapter_names(self) -> list[str]:
        """The finished runs, the newest last."""
        manifests = sorted(self.adapters.glob("*/manifest.json"), key=lambda manifest: manifest.stat().st_mtime)
        return [manifest.parent.name for manifest in manifests if not manifest.parent.name.endswith(".partial")]


def create_domain(path: str | Path, **settings: str) -> Domain:
    """Create a domain folder with an empty ``documents/`` and a commented ``domain.toml``.

    ``settings`` are root keys of domain.toml to set, for example ``base_model="smollm2-135m-instruct"``.
    """
    folder = Path(path)
    if (folder / "domain.toml").exists():
        raise DomainError(f"{folder} is already a domain; choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise DomainError(f"{folder} is a file; choose another name for the domain.")
    text = new_settings_text(**settings)
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    (folder / "questions").mkdir(exist_ok=True)
    write_text(folder / "domain.toml", text)
    return Domain.open(folder)
