"""Selects the adapter that answers: a run of the domain, or the reader shipped for its base model.

domain.toml names the adapter. A finished run is a candidate until ``evaluation/promotion.py`` promotes it.
"""

from pathlib import Path

from assistant.errors import AssistantError
from base_models import fingerprint
from base_models.adapter_manifest import read_manifest
from base_models.reader import reader_of
from domain import Domain, set_setting

READER = "reader"
"""Name of the adapter that Lorewright ships for a base model. A domain's own run of that name takes precedence."""


def is_shipped(domain: Domain, name: str) -> bool:
    """Whether the name refers to the shipped reader; there may be none for the base model."""
    return name == READER and name not in domain.adapter_names()


def adapter_folder(domain: Domain, name: str, check: bool = True) -> Path | None:
    """The folder of an adapter; None for the base model, and for the reader if none is shipped.

    With ``check``, an unfinished run raises an error.
    """
    if is_shipped(domain, name):
        return reader_of(domain.settings.base_model)
    if not name:
        return None
    return finished_adapter(domain, name) if check else domain.adapter(name)


def finished_adapter(domain: Domain, name: str) -> Path:
    """The folder of a finished run; raises an :class:`AssistantError` that lists the existing ones."""
    folder = domain.adapter(name)
    if name not in domain.adapter_names():
        known = ", ".join(domain.adapter_names()) or "none"
        raise AssistantError(
            f"{domain.path} has no adapter {name!r} (available: {known}); "
            f"train it with: {domain.command('finetune')} --run {name}, or use the base model: --adapter base"
        )
    return folder


def use(domain: Domain, name: str) -> bool:
    """Write an adapter to domain.toml (empty: the base model). Returns whether anything changed."""
    wanted = {"adapter": name}
    if is_shipped(domain, name):
        if not reader_of(domain.settings.base_model):
            raise AssistantError(
                f"there is no reader for {domain.settings.base_model}; docs/readers.md shows how to train one."
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
    """The adapter to evaluate: the newest finished run of the domain's base model; empty if there is none."""
    names = domain.adapter_names()
    base = fingerprint(domain.settings.base_model) if names else ""
    fitting = [name for name in names if read_manifest(domain.adapter(name))["base_fingerprint"] == base]
    return fitting[-1] if fitting else ""
