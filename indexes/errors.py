"""The exceptions that the indexes package raises."""

from domain import DomainError


class IndexingError(DomainError):
    """Unreadable documents, or an index that is missing, damaged or built differently; the message says what to do."""


class UnopenedError(IndexingError):
    """A file could not be opened (it is locked, or its disk is missing), so the stored content may still be valid."""
