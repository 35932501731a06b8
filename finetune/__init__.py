"""Examples become an adapter, by any method of the table in methods.py, trained by one compact loop.

This room is given conversations (messages) and a base model, and leaves a folder that ``base_models.loading`` accepts.
It knows nothing of documents, passages or prompts: who wants the tuned model to answer from passages renders the
examples with passages before they come here.
"""

from domain import FinetuneConfig
from finetune.check import DataReport, check, is_held_out, near_copies
from finetune.classification import LabelledFile, held_out_of, read_labelled, train_classifier
from finetune.data import choose_examples
from finetune.errors import FinetuneError
from finetune.forecast import Forecast
from finetune.likelihood import likelihoods
from finetune.methods import refuse_unread
from finetune.mix import mixed, named_source
from finetune.read import DataFile, look_at, read_data
from finetune.replay import replayed
from finetune.run import RunReport, finetune, load_base
from finetune.steps import Step

__all__ = [
    "DataFile",
    "DataReport",
    "FinetuneConfig",
    "FinetuneError",
    "Forecast",
    "LabelledFile",
    "RunReport",
    "Step",
    "check",
    "choose_examples",
    "finetune",
    "held_out_of",
    "is_held_out",
    "likelihoods",
    "load_base",
    "look_at",
    "mixed",
    "named_source",
    "near_copies",
    "read_data",
    "read_labelled",
    "refuse_unread",
    "replayed",
    "train_classifier",
]
