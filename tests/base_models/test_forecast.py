"""What is forecast is what is there: weights to the byte, activations as a whole model keeps them."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from base_models import ModelError
from base_models.chatglm import ChatGLMConfig
from base_models.forecast import _saved_by, _training, config_of, forecast, weight_bytes
from base_models.loaded_model import attention_projections


@pytest.fixture
def small() -> ChatGLMConfig:
    return ChatGLMConfig(
        vocab_size=300,
        hidden_size=64,
        inner_hidden_size=256,
        num_attention_heads=4,
        num_layers=5,
        mask_token_id=290,
        gmask_token_id=291,
        bos_token_id=292,
        eos_token_id=293,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_counted_to_the_byte(tiny_folder, dtype: torch.dtype) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=dtype)
    assert weight_bytes(config_of(str(tiny_folder)), dtype) == sum(p.nbytes for p in model.parameters())


@pytest.mark.parametrize("bits", [8, 4])
def test_the_integers_of_a_packed_release_are_counted(small: ChatGLMConfig, bits: int) -> None:
    small.quantization_bit = bits
    model = AutoModelForCausalLM.from_config(small, dtype=torch.bfloat16)
    resident = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    assert weight_bytes(small, torch.bfloat16) == resident
    assert _training(small, torch.bfloat16, 1, 16, 4) > 0


def test_chatglm_has_6_2_billion_weights() -> None:
    assert weight_bytes(config_of("chatglm-6b"), torch.bfloat16) == 2 * 6_173_286_400


@pytest.mark.parametrize("r", [4, None])
def test_a_training_step_of_all_layers_keeps_what_one_and_two_foretell(small: ChatGLMConfig, r: int | None) -> None:
    """Five layers are run here; the forecast has run two at most."""
    saved, learnt = _saved_by(small, 5, torch.float32, 2, 24, r)
    foretold = _training(small, torch.float32, 2, 24, r)
    assert foretold == pytest.approx(saved + 16 * learnt + 2 * 2 * 24 * small.vocab_size * 4, rel=0.01)


def test_a_longer_text_keeps_more_and_a_rank_learns_more(small: ChatGLMConfig) -> None:
    at = {(length, r): _training(small, torch.float32, 1, length, r) for length in (16, 32) for r in (2, 8)}
    assert at[32, 2] > 1.9 * (at[16, 2] - 16 * 2 * 5 * (64 + 192))
    assert at[16, 8] - at[16, 2] >= 16 * 6 * 5 * (64 + 192)


def test_every_use_is_told_and_sums_up(tiny_folder) -> None:
    needs = forecast(str(tiny_folder), 1, 32)
    assert {"answer, nf4", "QLoRA, nf4", "answer, bfloat16", "LoRA, bfloat16"} <= {need.use for need in needs}
    for need in needs:
        assert need.total == need.weights + need.working + need.libraries
        assert min(need.weights, need.working, need.libraries) > 0
    assert attention_projections(AutoModelForCausalLM.from_config(config_of(str(tiny_folder))))


def test_a_model_that_is_not_here_is_not_guessed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="so its shape is unknown; run: lorewright pull smollm2-135m-instruct"):
        forecast("smollm2-135m-instruct", 1, 32)
    with pytest.raises(ModelError, match="There is no model 'smollm' in the catalogue"):
        forecast("smollm", 1, 32)
