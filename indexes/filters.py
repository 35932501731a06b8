"""Searching only a part of the documents."""

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
"""What ``read_document`` may say that a document is."""

_SUFFIXES = {
    **TEXT_FORMATS,
    **dict.fromkeys([".txt", ".text"], "plain"),
    **dict.fromkeys([".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"], "picture"),
    ".eml": "mail",
}
"""Suffixes by which people name a type."""


@dataclass(frozen=True)
class Filter:
    """Which passages a search may return; every field that is set must hold.

    Of a passage that several documents have, those count that the filter leaves.
    """

    folder: str = ""
    """A folder under ``documents/``, with all below it."""
    types: tuple[str, ...] = ()
    """What documents were read as, any of these: ``pdf``, ``docx``, ``markdown``, ``plain``, ``html``, ``code``...

    The suffix of such a file means its type too: ``md``, ``.txt``, ``JPG``.
    """
    since: date | None = None
    """Documents last changed on this day (of this machine's clock) or later."""
    until: date | None = None
    """Documents last changed on this day or earlier."""
    language: str = ""
    """Language of the passage: ``zh`` or ``en``."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values that a given text's metadata must have; files have none. Types count: 1 is neither ``True`` nor 1.0."""

    def __post_init__(self) -> None:
        if self.language not in ("", "zh", "en"):
            raise IndexingError(f"{self.language!r} is not a language that passages are told by; use zh or en.")
        if isinstance(self.types, str) or not all(isinstance(name, str) for name in self.types):
            raise IndexingError(f"the types of a filter are {self.types!r}; give a tuple, such as ('pdf', 'docx').")
        object.__setattr__(self, "types", tuple(_type(name) for name in self.types))
        for name in ("since", "until"):
            if not isinstance(day := getattr(self, name), date | None):
                raise IndexingError(f"{name} of a filter is {day!r}; give a date, such as date(2026, 1, 31).")
        if not is_text(self.folder):
            raise IndexingError("the folder of a filter is not valid text: it holds half a character.")
        try:
            json.dumps(dict(self.metadata), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise IndexingError(f"the metadata of a filter are not JSON: {error}.") from None

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
    """What an argument ``among`` means; raises :class:`IndexingError` for what is no filter."""
    if not isinstance(among, Filter | None):
        raise IndexingError(f"among is {among!r}; give a filter, such as among=Filter(language='en').")
    return among or Filter()


def has_metadata(stored: str, wanted: str) -> bool:
    """The SQL function: whether metadata (JSON) have all of some values (JSON)."""
    held = json.loads(stored)
    return all(key in held and _exactly(held[key]) == _exactly(value) for key, value in json.loads(wanted).items())


def _exactly(value: Any) -> str:
    """Equal for values of the same type; to Python ``True`` equals 1."""
    return json.dumps(value, sort_keys=True)


def _type(name: str) -> str:
    """The type of documents that a name or a suffix means, in any case, with or without a dot."""
    plain = name.strip().lower().removeprefix(".")
    found = plain if plain in TYPES else _SUFFIXES.get(f".{plain}")
    if not found:
        raise IndexingError(f'there is no type of documents "{name}"; the types are: {", ".join(TYPES)}.')
    return found


def _under_documents(folder: str) -> str:
    """A folder as people and shells write it, as documents' paths have it."""
    parts = [part for part in re.split(r"[/\\]", folder) if part not in ("", ".")]
    return "/".join(parts[1:] if parts[:1] == ["documents"] else parts)


def _nanoseconds(day: date, later: int) -> int:
    """When the day begins here, or the day after it; days beyond the calendar of files are its ends."""
    try:
        begins = datetime.combine(day + timedelta(days=later), time()).timestamp()
    except (OverflowError, ValueError, OSError):
        begins = float("inf") if day.year > 2000 else float("-inf")
    return int(max(-(2.0**62), min(begins * 1e9, 2.0**62)))
