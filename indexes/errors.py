"""The exception of this room."""

from domain import DomainError


class IndexingError(DomainError):
    """Documents cannot be read, or an index is missing, damaged or built differently; the message says what to do."""
