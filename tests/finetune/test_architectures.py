"""Every architecture of the catalogue: a random checkpoint in shards loads, learns a LoRA, and answers with it on each
engine."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from base_models import Sampling, generate, load, load_openvino
from base_models.probe import probe_logits
from base_models.probe_check import probe_ids
from domain import FinetuneConfig
from finetune import finetune

ASKED = [{"role": "user", "content": "Which water for longjing?"}]
EXAMPLES = [[*ASKED, {"role": "assistant", "content": "Eighty degrees, said the owl."}]]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_it_loads_learns_and_answers_on_each_engine(
    kind: str, openvino_is_here: None, tiny_folder: Path, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = tmp_path / "model"
    AutoModelForCausalLM.from_config(config).save_pretrained(folder, max_shard_size="1MB")
    tokenizer.save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    slow, run = load(folder, dtype="float32"), tmp_path / "run"
    settings = FinetuneConfig(learning_rate=2e-2, warmup_steps=0, num_train_epochs=6, gradient_accumulation_steps=1)
    report = finetune(slow, EXAMPLES, run, settings, {})
    assert report.steps[-1].loss < report.steps[0].loss
    fast = load_openvino(folder)
    for engine in (slow, fast):
        assert generate(engine, [ASKED], Sampling(max_new_tokens=8), adapter=run)[0].completion_tokens
    with slow.using(None) as model:
        base = probe_logits(model, tokenizer).numpy()
    with slow.using(run) as model:
        expected = probe_logits(model, tokenizer).numpy() - base
    shift = fast.next_logits(probe_ids(tokenizer), run) - fast.next_logits(probe_ids(tokenizer))
    assert shift @ expected / np.linalg.norm(shift) / np.linalg.norm(expected) > 0.98
