"""How likely a model finds given answers and texts, before and after tuning: held-out loss, and what was forgotten.

The loss of an example is the negative log-likelihood, in nats, summed over its labelled tokens; a mean over examples is
taken over all their tokens, so that rows can be drawn again for an interval. Perplexity is exp of that mean.
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
from finetune.tuned import Tuned

TEXTS = [
    text.strip()
    for text in (Path(__file__).parent / "general_texts.txt").read_text(encoding="utf-8").split("\n\n")
    if text.strip()
]
"""Texts of everyday life in both languages, written for this."""
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

    The general prompts carry the base model's own answers, so a tuned model that still answers as the base did finds
    them as likely as the base does. At most ``general`` of them are asked.
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
        tuned = _as_tuned(model, adapter)
        for conversation in conversations:
            examples = examples_of(base.tokenizer, conversation, MAX_LENGTH)
            fitting = [example for example in examples if len(example.ids) <= MAX_LENGTH]
            if fitting:
                summed = sum(_loss(tuned, example) for example in fitting)
                rows.append((summed, sum(example.targets for example in fitting)))
    return rows


def _loss(tuned: Tuned, example: Encoded) -> float:
    return float(summed_loss(tuned, **collate([example], 0, tuned.model.device)))


def _as_tuned(model: torch.nn.Module, adapter: Path | None) -> Tuned:
    """What of a learnt beginning the loss must know: how many vectors stand before the text, or that it is a cache."""
    if adapter is None or not isinstance(model, PeftModel) or not model.active_peft_config.is_prompt_learning:
        return Tuned(model)
    config = model.active_peft_config
    if config.peft_type == "PREFIX_TUNING":
        return Tuned(model, use_cache=True)
    return Tuned(model, tokens_before=config.num_virtual_tokens)
