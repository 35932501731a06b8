"""The error of this room."""

from domain import DomainError


class AssistantError(DomainError):
    """A question cannot be answered, a page or port cannot be opened; the message says why and what to do."""
