"""The exception of the assistant package."""

from domain import DomainError


class AssistantError(DomainError):
    """A question cannot be answered, or a page or port cannot be opened; the message explains why and what to do."""
