"""Examples become an adapter: a LoRA on any causal chat model, trained by one compact loop.

This room is given conversations (messages) and a base model, and leaves a folder that ``base_models.loading`` accepts.
It knows nothing of documents, passages or prompts: who wants the tuned model to answer from passages renders the
examples with passages before they come here.
"""

from domain import FinetuneConfig
from finetune.errors import FinetuneError
from finetune.run import RunReport, finetune
from finetune.train import Step

__all__ = ["FinetuneConfig", "FinetuneError", "RunReport", "Step", "finetune"]
