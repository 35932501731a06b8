"""The error of this room."""

from domain import DomainError


class FinetuneError(DomainError):
    """A run cannot start or resume; the message says why and what to change."""
