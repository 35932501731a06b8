"""The loss of a model on known answers and texts, before and after tuning: held-out loss, and forgetting.

The loss of an example is the negative log-likelihood, in nats, summed over its labelled tokens; a mean over examples is
taken over all their tokens, so that rows can be resampled for an interval. Perplexity is exp of that mean.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from peft import PeftModel

from base_models.loaded_model import LoadedModel
from base_models.messages import Encoded, Message, examples_of
from finetune.batches import collate
from finetune.objectives import summed_loss
from finetune.replay import KEPT_BACK, kept_back
from finetune.trainable_model import TrainableModel

TEXTS = [
    text.strip()
    for text in (Path(__file__).parent / "general_texts.txt").read_text(encoding="utf-8").split("\n\n")
    if text.strip()
]
"""Texts of everyday life in both languages, written for this measurement."""
MAX_LENGTH = 2048

Rows = list[tuple[float, int]]
"""Summed loss and labelled tokens of each example."""


def likelihoods(
    base: LoadedModel,
    adapter: Path | None,
    held_out: Sequence[Sequence[Message]],
    general: int = KEPT_BACK,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Rows]:
    """Rows of the base (adapter None) or the tuned model, under "held_out", "general_prompts" and "general_text".

    The general prompts have the base model's own answers, so their loss rises as far as a tuned model answers
    differently. At most ``general`` of them are used.
    """
    sets: dict[str, Sequence[Sequence[Message]]] = {
        "held_out": held_out,
        "general_prompts": kept_back(base, min(general, KEPT_BACK), progress),
        "general_text": [[{"role": "text", "content": text}] for text in TEXTS],
    }
    return {name: losses(base, adapter, conversations) for name, conversations in sets.items()}


def losses(base: LoadedModel, adapter: Path | None, conversations: Sequence[Sequence[Message]]) -> Rows:
    """Summed loss and labelled tokens of each conversation; one that is too long is left out."""
    rows: Rows = []
    with base.using(adapter) as model, torch.inference_mode():
        model.eval()
        trainable = _as_trainable(model, adapter)
        for conversation in conversations:
            examples = examples_of(base.tokenizer, conversation, MAX_LENGTH)
            fitting = [example for example in examples if len(example.ids) <= MAX_LENGTH]
            if fitting:
                summed = sum(_loss(trainable, example) for example in fitting)
                rows.append((summed, sum(example.targets for example in fitting)))
    return rows


def _loss(trainable: TrainableModel, example: Encoded) -> float:
    return float(summed_loss(trainable, **collate([example], 0, trainable.model.device)))


def _as_trainable(model: torch.nn.Module, adapter: Path | None) -> TrainableModel:
    """With what the loss must know of a soft prompt: how many vectors stand before the text, or that it is a cache."""
    if adapter is None or not isinstance(model, PeftModel) or not model.active_peft_config.is_prompt_learning:
        return TrainableModel(model)
    config = model.active_peft_config
    if config.peft_type == "PREFIX_TUNING":
        return TrainableModel(model, use_cache=True)
    return TrainableModel(model, virtual_tokens=config.num_virtual_tokens)
