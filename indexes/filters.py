"""Search filters: restrict a search to some of the documents."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from domain import is_text
from indexes.errors import IndexingError
from indexes.readers.file_format import TEXT_FORMATS

TYPES = (
    *("code", "csv", "doc", "docx", "epub", "html", "json", "jsonl", "mail", "markdown", "msg", "odp", "ods", "odt"),
    *("pdf", "picture", "plain", "ppt", "pptx", "rtf", "xls", "xlsb", "xlsx", "xml"),
)
"""The formats that ``read_document`` returns."""

_SUFFIXES = {
    **TEXT_FORMATS,
    **dict.fromkeys([".txt", ".text"], "plain"),
    **dict.fromkeys([".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"], "picture"),
    ".eml": "mail",
}
"""File suffixes accepted as the name of a format."""


@dataclass(frozen=True)
class Filter:
    """Selects the passages that a search may return; all fields that are set must match.

    If several documents contain the same passage, only those that match count.
    """

    folder: str = ""
    """A folder under ``documents/``, including its subfolders."""
    types: tuple[str, ...] = ()
    """Any of these formats: ``pdf``, ``docx``, ``markdown``, ``plain``, ``html``, ``code``...

    A file suffix is accepted too: ``md``, ``.txt``, ``JPG``.
    """
    since: date | None = None
    """Documents last modified on or after this day (local time)."""
    until: date | None = None
    """Documents last modified on or before this day."""
    language: str = ""
    """Language of the passage: ``zh`` or ``en``."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Metadata that an added text must have; files have none. Types matter: 1 is neither ``True`` nor 1.0."""

    def __post_init__(self) -> None:
        if self.language not in ("", "zh", "en"):
            raise IndexingError(f"{self.language!r} is not a supported language; use zh or en.")
        if isinstance(self.types, str) or not all(isinstance(name, str) for name in self.types):
            raise IndexingError(
                f"the types of a filter must be a tuple of names, not {self.types!r}; for example ('pdf', 'docx')."
            )
        object.__setattr__(self, "types", tuple(_type(name) for name in self.types))
        for name in ("since", "until"):
            if not isinstance(day := getattr(self, name), date | None):
                raise IndexingError(f"{name} of a filter must be a date, not {day!r}; for example date(2026, 1, 31).")
        if not is_text(self.folder):
            raise IndexingError("the folder of a filter contains a lone surrogate (half a character).")
        try:
            json.dumps(dict(self.metadata), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise IndexingError(f"the metadata of a filter cannot be written as JSON: {error}.") from None

    def __bool__(self) -> bool:
        return any((self.folder, self.types, self.since, self.until, self.language, self.metadata))

    def condition(self) -> tuple[str, list[Any]]:
        """An SQL condition on passages ``p`` and their documents ``d``, and its parameters."""
        conditions: list[str] = ["1"]
        parameters: list[Any] = []

        def require(condition: str, *values: Any) -> None:
            conditions.append(condition)
            parameters.extend(values)

        if folder := _under_documents(self.folder):
            require("d.given = 0 AND d.path >= ? AND d.path < ?", f"{folder}/", f"{folder}0")  # "0" follows "/"
        if self.types:
            require(f"d.format IN ({','.join('?' * len(self.types))})", *self.types)
        if self.since:
            require("d.modified_ns >= ?", _nanoseconds(self.since, 0))
        if self.until:
            require("d.modified_ns < ?", _nanoseconds(self.until, 1))
        if self.language:
            require("p.language = ?", self.language)
        if self.metadata:
            require("has_metadata(d.metadata, ?)", json.dumps(dict(self.metadata)))
        return " AND ".join(conditions), parameters


def chosen_part(among: Filter | None) -> Filter:
    """The filter of the argument ``among``, by default one that matches everything.

    Raises :class:`IndexingError` if ``among`` is not a filter.
    """
    if not isinstance(among, Filter | None):
        raise IndexingError(f"among must be a Filter, not {among!r}; for example among=Filter(language='en').")
    return among or Filter()


def has_metadata(stored: str, wanted: str) -> bool:
    """SQL function: whether the stored metadata (JSON) contain all the wanted values (JSON)."""
    held = json.loads(stored)
    return all(key in held and _exactly(held[key]) == _exactly(value) for key, value in json.loads(wanted).items())


def _exactly(value: Any) -> str:
    """A string that is equal only for values of the same type, whereas Python has ``True == 1``."""
    return json.dumps(value, sort_keys=True)


def _type(name: str) -> str:
    """The format for a name or file suffix, in any case, with or without a dot."""
    plain = name.strip().lower().removeprefix(".")
    found = plain if plain in TYPES else _SUFFIXES.get(f".{plain}")
    if not found:
        raise IndexingError(f'unknown document type "{name}"; the types are: {", ".join(TYPES)}.')
    return found


def _under_documents(folder: str) -> str:
    """Normalise a folder path to the form of document paths."""
    parts = [part for part in re.split(r"[/\\]", folder) if part not in ("", ".")]
    return "/".join(parts[1:] if parts[:1] == ["documents"] else parts)


def _nanoseconds(day: date, later: int) -> int:
    """Start of the day in local time, ``later`` days on, in nanoseconds; out-of-range dates are clamped."""
    try:
        begins = datetime.combine(day + timedelta(days=later), time()).timestamp()
    except (OverflowError, ValueError, OSError):
        begins = float("inf") if day.year > 2000 else float("-inf")
    return int(max(-(2.0**62), min(begins * 1e9, 2.0**62)))
