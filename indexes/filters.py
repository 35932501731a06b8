"""Searching only a part of the documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from indexes.errors import IndexingError


@dataclass(frozen=True)
class Filter:
    """Which passages a search may return; every field that is set must hold."""

    folder: str = ""
    """A folder under ``documents/``, with all below it."""
    types: tuple[str, ...] = ()
    """What documents were read as, one of these: ``pdf``, ``docx``, ``markdown``, ``html``, ``code``..."""
    since: date | None = None
    """Documents last changed on this day (of this machine's clock) or later."""
    until: date | None = None
    """Documents last changed on this day or earlier."""
    language: str = ""
    """Language of the passage: ``zh`` or ``en``."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values that a given text's metadata must have; files of the folder have none."""

    def __post_init__(self) -> None:
        if self.language not in ("", "zh", "en"):
            raise IndexingError(f"{self.language!r} is not a language that passages are told by; use zh or en.")

    def __bool__(self) -> bool:
        return any((self.folder, self.types, self.since, self.until, self.language, self.metadata))

    def sql(self) -> tuple[str, list[str], list[Any]]:
        """A JOIN from passages ``p`` to documents ``d``, conditions for WHERE, and their parameters."""
        conditions: list[str] = []
        parameters: list[Any] = []

        def require(condition: str, *values: Any) -> None:
            conditions.append(condition)
            parameters.extend(values)

        if folder := self.folder.strip("/"):
            require("d.given = 0 AND d.path >= ? AND d.path < ?", f"{folder}/", f"{folder}0")  # "0" follows "/"
        if self.types:
            require(f"d.format IN ({','.join('?' * len(self.types))})", *self.types)
        if self.since:
            require("d.modified_ns >= ?", _nanoseconds(self.since))
        if self.until:
            require("d.modified_ns < ?", _nanoseconds(self.until + timedelta(days=1)))
        if self.language:
            require("p.language = ?", self.language)
        for key, value in self.metadata.items():
            # json_extract gives true as 1; json_each tells types apart, and needs no quoting of keys
            require(
                "EXISTS (SELECT 1 FROM json_each(d.metadata) WHERE key = ? AND json_quote(value) = ?)",
                *(key, json.dumps(int(value) if isinstance(value, bool) else value, ensure_ascii=False)),
            )
        return "JOIN documents d ON d.id = p.document_id", conditions, parameters


def _nanoseconds(day: date) -> int:
    """When the day begins here."""
    return int(datetime.combine(day, time()).timestamp()) * 1_000_000_000
