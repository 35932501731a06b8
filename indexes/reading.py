"""Files to documents."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from indexes.errors import IndexingError
from indexes.readers import Extracted, read_document


@dataclass(frozen=True)
class ReadFile:
    """A file that was read."""

    document: Extracted
    size: int
    mtime_ns: int
    started_ns: int
    sha256: str


def read_all(documents: Path, paths: Iterable[str]) -> Iterator[tuple[str, ReadFile | IndexingError]]:
    """Each path with what is in the file, or why it could not be read."""
    for path in paths:
        started_ns = time.time_ns()
        try:
            status = (documents / path).stat()
            data = (documents / path).read_bytes()
            document = read_document(path, data)
        except OSError as error:
            yield path, IndexingError(f"cannot be read: {error.strerror}")
        except IndexingError as error:
            yield path, error
        else:
            yield (
                path,
                ReadFile(document, len(data), status.st_mtime_ns, started_ns, hashlib.sha256(data).hexdigest()),
            )


def ocr_is_possible() -> bool:
    return False
