"""Examples become an adapter, by any method of the table in methods/, trained by one compact loop.

This room takes conversations (messages) and a base model, and writes a folder that ``base_models.loading`` accepts. It
knows nothing of documents, passages or prompts: a caller whose model shall answer from passages renders the examples
with passages first. Reading, checking and mixing data files is in ``finetune.data``, replay against forgetting in
``finetune.replay``, the checks of flags in ``finetune.methods``.
"""

from domain import FinetuneConfig
from finetune.classification import train_classifier
from finetune.data.data_files import read_data
from finetune.data.examples import choose_examples
from finetune.data.labelled_files import read_labelled
from finetune.errors import FinetuneError
from finetune.likelihood import likelihoods
from finetune.report import RunReport
from finetune.run_forecast import Forecast
from finetune.runner import finetune, load_base
from finetune.steps import Step

__all__ = [
    "FinetuneConfig",
    "FinetuneError",
    "Forecast",
    "RunReport",
    "Step",
    "choose_examples",
    "finetune",
    "likelihoods",
    "load_base",
    "read_data",
    "read_labelled",
    "train_classifier",
]
