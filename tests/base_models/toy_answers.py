"""Small models made to order: one that answers with a given text, and adapters that need no training."""

from itertools import pairwise
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from base_models.adapter_manifest import seal_adapter
from base_models.loaded_model import LoadedModel


def write_parrot(folder: Path, tokenizer: PreTrainedTokenizerBase, text: str, after: str = "\n") -> None:
    """Write a model that answers everything with ``text``: each of its tokens makes the next one the likeliest.
    ``after`` ends in the last token of the prompt.

    The layers add nothing, so what the head sees is the embedding of the last token, and the head's row of a token is
    the embedding of the one before it. So no token may stand twice in ``text``.
    """
    before_it = tokenizer(after).input_ids[-1]
    chain = [before_it, *tokenizer(text).input_ids, tokenizer.eos_token_id]
    assert len(set(chain)) == len(chain), "a token stands twice in the text"
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for token, following in pairwise(chain):
            model.lm_head.weight[following] = model.model.embed_tokens.weight[token]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_adapter(folder: Path, loaded: LoadedModel, seed: int = 0, size: float = 0.1) -> Path:
    """Write a sealed adapter for ``loaded`` whose lora_B is random; ``size`` 0 makes an untrained one."""
    torch.manual_seed(seed)
    tuned = get_peft_model(loaded.model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * size
    tuned.save_pretrained(str(folder))
    loaded.model = tuned.unload()
    seal_adapter(
        folder,
        {
            "base_model": loaded.name,
            "base_fingerprint": loaded.fingerprint,
            "chat_format": loaded.chat_format,
        },
    )
    return folder
