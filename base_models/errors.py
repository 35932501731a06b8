"""The exception of base_models."""

from domain import DomainError


class ModelError(DomainError):
    """A model is unknown, cannot be had, or does not fit; the message says what to do."""
