"""Who answers: the adapters of a domain, the reader of its base model, and which of them domain.toml names.

A finished run is a candidate; ``promotion.py`` says when it wins.
"""

from pathlib import Path

from assistant.errors import AssistantError
from base_models import fingerprint
from base_models.adapters import read_manifest
from base_models.reader import reader_of
from domain import Domain, set_setting

READER = "reader"
"""The name of the adapter that Lorewright ships for a base model; a domain's own run of that name goes before it."""


def is_shipped(domain: Domain, name: str) -> bool:
    """Whether the name means the reader that Lorewright ships, if there is one."""
    return name == READER and name not in domain.adapter_names()


def adapter_folder(domain: Domain, name: str, check: bool = True) -> Path | None:
    """The folder of an adapter that domain.toml may name; None is the base model, also where that has no reader.

    With ``check`` a run that is not finished is refused.
    """
    if is_shipped(domain, name):
        return reader_of(domain.settings.base_model)
    if not name:
        return None
    return finished_adapter(domain, name) if check else domain.adapter(name)


def finished_adapter(domain: Domain, name: str) -> Path:
    """The folder of a finished run, or an error that names those there are."""
    folder = domain.adapter(name)
    if name not in domain.adapter_names():
        known = ", ".join(domain.adapter_names()) or "none yet"
        raise AssistantError(
            f"{domain.path} has no adapter {name!r} (there are: {known}); "
            f"train one with: {domain.command('finetune')} --run {name}, or ask the base model: --adapter base"
        )
    return folder


def use(domain: Domain, name: str) -> bool:
    """Let an adapter answer (empty: the base model), by writing it to domain.toml; whether that changed anything."""
    wanted = {"adapter": name}
    if is_shipped(domain, name):
        if not reader_of(domain.settings.base_model):
            raise AssistantError(
                f"there is no reader for {domain.settings.base_model}; docs/readers.md: how to train one."
            )
    elif name:
        manifest = read_manifest(finished_adapter(domain, name))
        if manifest["base_fingerprint"] != fingerprint(domain.settings.base_model):
            wanted["base_model"] = manifest["base_model"]
    on_disk = Domain.open(domain.path).settings
    changed = {key: value for key, value in wanted.items() if getattr(on_disk, key) != value}
    for key, value in changed.items():
        set_setting(domain.settings_file, key, value)
    return bool(changed)


def candidate(domain: Domain) -> str:
    """The adapter to evaluate: the newest finished run of the domain's base model; empty where there is none."""
    names = domain.adapter_names()
    base = fingerprint(domain.settings.base_model) if names else ""
    fitting = [name for name in names if read_manifest(domain.adapter(name))["base_fingerprint"] == base]
    return fitting[-1] if fitting else ""
