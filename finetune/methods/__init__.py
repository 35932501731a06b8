"""The methods of fine-tuning: the table of them all, and how each makes a base model trainable."""

from finetune.methods.table import (
    METHODS,
    Method,
    check_early_stopping,
    check_settings,
    learning_rate,
    prepare,
    refuse_unread,
)

__all__ = ["METHODS", "Method", "check_early_stopping", "check_settings", "learning_rate", "prepare", "refuse_unread"]
