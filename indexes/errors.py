"""The exception of this room."""

from domain import DomainError


class IndexingError(DomainError):
    """Documents cannot be read, or an index is missing, damaged or built differently; the message says what to do."""


class UnopenedError(IndexingError):
    """A file could not be opened: it is locked, or its disk is away. What was read of it before may still hold."""
