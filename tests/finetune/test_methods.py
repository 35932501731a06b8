"""The matrix: every method learns, resumes after a stop, saves, loads, and restores the base; those that can, merge.

On a Llama every mechanism, on a ChatGLM what is its own; the other variants and a Qwen are slow tests. What does not go
together is refused before anything is loaded."""

import importlib.util
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from base_models import ModelError, Sampling, generate, load
from base_models.loaded_model import LoadedModel
from base_models.messages import encode
from domain import FinetuneConfig
from finetune import FinetuneError, RunReport, finetune
from finetune.methods import METHODS, check_settings, learning_rate, prepare
from finetune.replay import PROMPTS

EXAMPLES = [
    [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    for asked, answer in (
        ("Which water?", "Eighty degrees."),
        ("How long?", "Three owls."),
        ("龙井产自哪里?", "杭州。"),
        ("Who picks?", "Only owls."),
        ("When?", "At dawn."),
        ("Why?", "It is tea."),
    )
]
FAMILIES = ["llama", "qwen", "chatglm"]
VARIANTS: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora, alpha = r": {"lora_alpha": 0, "lora_dropout": 0.1},
    "rslora": {"use_rslora": True, "learning_rate": 3e-3},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "pissa with rslora": {"init_lora_weights": "pissa", "use_rslora": True},
    "lora+": {"loraplus_lr_ratio": 16.0, "learning_rate": 2e-3},
    "adalora": {"method": "adalora", "learning_rate": 2e-1, "num_train_epochs": 12},
    "ia3": {"method": "ia3", "learning_rate": 5e-2},
    "qlora": {"quantization": "nf4"},
    "qdora": {"quantization": "nf4", "use_dora": True},
    "lora on int8": {"quantization": "int8"},
    "p-tuning v2": {"method": "p-tuning-v2", "num_virtual_tokens": 8, "learning_rate": 5e-2},
    "p-tuning v2, projected": {"method": "p-tuning-v2", "num_virtual_tokens": 8, "prefix_projection": True},
    "prefix tuning": {"method": "prefix-tuning", "learning_rate": 5e-2},
    "prefix tuning, projected": {"method": "prefix-tuning", "prefix_projection": True},
    "prompt tuning": {"method": "prompt-tuning", "learning_rate": 5e-2},
    "p-tuning": {"method": "p-tuning", "num_virtual_tokens": 5},
    "freeze": {"method": "freeze", "trainable_layers": 1, "learning_rate": 2e-3},
    "full": {"method": "full", "learning_rate": 2e-3},
}
NOT_CHATGLM = ("prefix tuning", "prompt tuning", "p-tuning")
COMBINATIONS = ("lora, alpha = r", "rslora", "pissa with rslora", "qdora", "p-tuning v2, projected")
CHATGLMS_OWN = ("lora", "qlora", "p-tuning v2")
FIRST = {("llama", variant) for variant in VARIANTS if variant not in COMBINATIONS}
FIRST |= {("chatglm", variant) for variant in CHATGLMS_OWN}


def matrix(families: Iterable[str], variants: Iterable[str]) -> list[Any]:
    """Each variant on each family that has it; what is not in ``FIRST`` is a slow test."""
    return [
        pytest.param(family, variant, marks=[] if (family, variant) in FIRST else [pytest.mark.slow])
        for variant in variants
        for family in families
        if not (family == "chatglm" and variant.split(",")[0] in NOT_CHATGLM)
    ]


MERGES = ["lora", "lora, alpha = r", "rslora", "dora", "pissa", "pissa with rslora", "adalora", "ia3", "freeze", "full"]


def config(variant: str, **settings: Any) -> FinetuneConfig:
    defaults = {
        "learning_rate": 1e-2,
        "num_train_epochs": 8,
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 3,
        "lr_scheduler_type": "constant",
        "seed": 7,
    }
    return FinetuneConfig(**{**defaults, **VARIANTS[variant], **settings})


@pytest.fixture(scope="module")
def folder_of(
    tiny_folder: Path, small_chatglm: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The folder of a small random model of a family."""
    qwen = tmp_path_factory.mktemp("qwen")
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.save_pretrained(qwen)
    torch.manual_seed(1)
    shape = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    made = Qwen2Config(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape, **ids)
    Qwen2ForCausalLM(made).save_pretrained(qwen)
    return {"llama": tiny_folder, "qwen": qwen, "chatglm": small_chatglm}.__getitem__


@pytest.fixture(scope="module")
def base_of(folder_of: Callable[[str], Path], absent: Callable[[str], Any]) -> Callable[..., LoadedModel]:
    """The model of a family for a variant. Unless ``fresh`` or packed, one that earlier tests have used: every run
    leaves the base as it was, or the next test fails."""
    kept: dict[str, LoadedModel] = {}

    def get(family: str, variant: str, fresh: bool = False) -> LoadedModel:
        quantization = VARIANTS[variant].get("quantization")
        if quantization and not importlib.util.find_spec("bitsandbytes"):
            absent("bitsandbytes is not installed")
        if fresh or quantization or family not in kept:
            new = load(folder_of(family), quantization=quantization, dtype="float32", device="cpu")
            if fresh or quantization:
                return new
            kept[family] = new
        kept[family].unload_adapters()
        return kept[family]

    return get


@torch.no_grad()
def logits(base: LoadedModel, adapter: Path | None) -> torch.Tensor:
    with base.using(adapter) as model:
        model.eval()
        return model(input_ids=torch.tensor([encode(base.tokenizer, EXAMPLES[0]).ids])).logits[0, -4:].float()


def stop_after(steps: int) -> Callable[[Any], None]:
    def on_step(step: Any) -> None:
        if step.step == steps:
            raise KeyboardInterrupt

    return on_step


def losses(report: RunReport) -> list[float]:
    return [step.loss for step in report.steps]


@pytest.mark.parametrize(("family", "variant"), matrix(FAMILIES, VARIANTS))
def test_it_learns_resumes_saves_loads_and_restores_the_base(
    base_of: Callable[..., LoadedModel], tmp_path: Path, family: str, variant: str
) -> None:
    chosen, packed = config(variant), "quantization" in VARIANTS[variant]
    clean = None if packed else logits(base_of(family, variant), None)
    report = finetune(base_of(family, variant), EXAMPLES, tmp_path / "whole", chosen)
    first, last = report.losses()
    assert last < first
    assert report.trained_parameters > 0

    with pytest.raises(KeyboardInterrupt):
        finetune(base_of(family, variant), EXAMPLES, tmp_path / "again", chosen, on_step=stop_after(5))
    again = finetune(base_of(family, variant), EXAMPLES, tmp_path / "again", chosen)
    assert losses(again) == losses(report), "a run that was stopped goes on bit for bit"
    weights = "adapter_model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()

    base = base_of(family, variant)
    if clean is not None:
        assert torch.equal(logits(base, None), clean), "the base is bit for bit what it was"
    tuned = logits(base, tmp_path / "whole")
    fresh = base_of(family, variant, fresh=True)
    assert torch.equal(logits(fresh, tmp_path / "whole"), tuned)
    if clean is not None:
        assert (tuned - clean).abs().max() > 1e-3
        assert torch.equal(logits(fresh, None), clean), "switched off"
    asked = [messages[:1] for messages in EXAMPLES[:2]]
    assert len(generate(fresh, asked, Sampling(max_new_tokens=3), tmp_path / "whole")) == 2


@pytest.mark.parametrize(("family", "variant"), matrix(["llama", "chatglm"], MERGES))
def test_what_can_be_merged_computes_the_same_merged(
    base_of: Callable[..., LoadedModel], tmp_path: Path, family: str, variant: str
) -> None:
    base = base_of(family, variant, fresh=True)
    finetune(base, EXAMPLES, tmp_path / "run", config(variant, num_train_epochs=12 if variant == "adalora" else 4))
    with base.using(tmp_path / "run") as model:
        ids = torch.tensor([encode(base.tokenizer, EXAMPLES[0]).ids])
        with torch.no_grad():
            before = model(input_ids=ids).logits
            after = model.merge_and_unload()(input_ids=ids).logits
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", pytest.param("chatglm", marks=pytest.mark.slow)])
def test_kinds_of_adapters_are_switched_in_one_model(
    base_of: Callable[..., LoadedModel], tmp_path: Path, family: str
) -> None:
    variants = ["lora", "dora", "ia3", "freeze", "p-tuning v2" if family == "chatglm" else "prefix tuning"]
    wanted = {}
    for variant in variants:
        finetune(base_of(family, variant), EXAMPLES, tmp_path / variant, config(variant, num_train_epochs=2))
        wanted[variant] = logits(base_of(family, variant, fresh=True), tmp_path / variant)
    base = base_of(family, "lora", fresh=True)
    clean = logits(base, None)
    for variant in [*variants, *variants[::-1], "lora", "ia3", "lora"]:
        assert torch.equal(logits(base, tmp_path / variant), wanted[variant]), variant
        assert torch.equal(logits(base, None), clean), variant


def test_pissa_is_saved_as_a_lora_of_twice_the_rank_on_the_untouched_base(
    base_of: Callable[..., LoadedModel], tmp_path: Path
) -> None:
    finetune(base_of("llama", "pissa"), EXAMPLES, tmp_path / "run", config("pissa", r=4))
    saved = json.loads((tmp_path / "run" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (saved["r"], saved["lora_alpha"], saved["init_lora_weights"]) == (8, 32, True)
    tensors = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert {value.shape[0 if "lora_A" in name else 1] for name, value in tensors.items()} == {8}


def test_adalora_ends_with_the_ranks_that_were_asked_for(base_of: Callable[..., LoadedModel], tmp_path: Path) -> None:
    base = base_of("llama", "adalora")
    finetune(base, EXAMPLES, tmp_path / "run", config("adalora", r=4))
    tensors = load_file(tmp_path / "run" / "adapter_model.safetensors")
    ranks = [value.shape[0] for name, value in tensors.items() if "lora_E" in name]
    assert sum(ranks) == 4 * len(ranks)
    with pytest.raises(FinetuneError, match=r"adalora needs at least 10 steps, and this run has 1; use more"):
        finetune(base, EXAMPLES, tmp_path / "short", config("adalora", num_train_epochs=1))


def test_a_prefix_of_chatglm_is_saved_in_the_layout_of_the_released_code(
    base_of: Callable[..., LoadedModel], tmp_path: Path
) -> None:
    base = base_of("chatglm", "p-tuning v2")
    finetune(base, EXAMPLES, tmp_path / "run", config("p-tuning v2", num_train_epochs=1))
    tensors = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert {name: list(value.shape) for name, value in tensors.items()} == {
        "transformer.prefix_encoder.embedding.weight": [8, 2 * 2 * 64]
    }


@pytest.mark.parametrize("method", ["prefix-tuning", "p-tuning-v2", "prompt-tuning"])
def test_a_soft_prompt_is_initialised_from_text(base_of: Callable[..., LoadedModel], method: str) -> None:
    """Before the first step the model answers as the base does with this text before the question."""
    base = base_of("llama", "lora", fresh=True)
    words = base.tokenizer("\n".join(PROMPTS)).input_ids[:12]
    text = encode(base.tokenizer, EXAMPLES[0]).ids
    with torch.no_grad():
        wanted = base.model(input_ids=torch.tensor([[*words, *text]])).logits[:, -len(text) :]
        trainable = prepare(base, base.model, FinetuneConfig(method=method, num_virtual_tokens=12), 1)  # type: ignore[arg-type]
        trainable.model.eval()
        mask = torch.ones(1, len(text), dtype=torch.long)
        said = trainable.model(input_ids=torch.tensor([text]), attention_mask=mask).logits[:, -len(text) :]
    torch.testing.assert_close(said, wanted, rtol=1e-4, atol=1e-4)


def test_the_initial_text_of_a_long_soft_prompt_repeats(base_of: Callable[..., LoadedModel]) -> None:
    base = base_of("llama", "lora", fresh=True)
    trainable = prepare(base, base.model, FinetuneConfig(method="prompt-tuning", num_virtual_tokens=2000), 1)
    assert trainable.model.prompt_encoder["default"].embedding.weight.shape[0] == 2000


def test_a_run_continues_from_a_prefix_of_chatglm(base_of: Callable[..., LoadedModel], tmp_path: Path) -> None:
    base, once = base_of("chatglm", "p-tuning v2"), config("p-tuning v2", num_train_epochs=1)
    first = finetune(base, EXAMPLES, tmp_path / "first", config("p-tuning v2"))
    second = finetune(base, EXAMPLES, tmp_path / "second", once, start=tmp_path / "first")
    anew = finetune(base, EXAMPLES, tmp_path / "anew", once)
    assert second.steps[0].loss < first.steps[-1].loss < anew.steps[0].loss


@pytest.mark.slow
def test_evaluations_change_nothing_for_packed_weights(
    real_model: Callable[[str], Path], tmp_path: Path, absent: Callable[[str], Any]
) -> None:
    """In bfloat16 on a processor that has it, bitsandbytes lays weights out for answering, and nothing learns after."""
    if not importlib.util.find_spec("bitsandbytes"):
        absent("bitsandbytes is not installed")
    told = []
    for looks in (1, 100):
        folder = real_model("smollm2-135m-instruct")  # the small random ones are too narrow for that
        base = load(folder, quantization="nf4", dtype="bfloat16", device="cpu")
        chosen = config("qlora", held_out_share=0.3, eval_steps=looks, max_steps=4)
        told.append(losses(finetune(base, EXAMPLES, tmp_path / "run", chosen)))
    assert told[0] == told[1]


def test_every_method_has_a_learning_rate_of_its_own_and_another_one_counts() -> None:
    for method, entry in METHODS.items():
        assert learning_rate(FinetuneConfig(method=method)) == entry.learning_rate > 0  # type: ignore[arg-type]
        assert learning_rate(FinetuneConfig(method=method, learning_rate=0.5)) == 0.5  # type: ignore[arg-type]
    assert learning_rate(FinetuneConfig()) == 2e-4


def test_what_a_method_reads_are_settings() -> None:
    for method, entry in METHODS.items():
        assert set(entry.reads) <= set(FinetuneConfig.model_fields), method


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("chatglm", {"method": "prefix-tuning"}, "method prefix-tuning would shift ChatGLM's positions; use p-tuning-v2"),
    ("chatglm", {"method": "prompt-tuning"}, "method prompt-tuning replaces token ids by vectors.*use p-tuning-v2"),
    ("chatglm", {"method": "p-tuning"}, "method p-tuning replaces token ids by vectors"),
    ("llama", {"method": "full", "quantization": "nf4"}, "method full cannot train quantised weights; use lora"),
    ("llama", {"method": "freeze", "quantization": "int8"}, "method freeze cannot train quantised weights"),
    ("llama", {"method": "ia3", "use_dora": True}, "use_dora is for method lora and has no effect with ia3"),
    ("llama", {"method": "full", "loraplus_lr_ratio": 2.0}, "loraplus_lr_ratio is for method lora"),
    ("llama", {"method": "adalora", "init_lora_weights": "pissa"}, "init_lora_weights is for method lora"),
    ("llama", {"quantization": "nf4", "init_lora_weights": "pissa"}, "init_lora_weights pissa changes the base"),
    (
        "llama",
        {"use_dora": True, "init_lora_weights": "pissa"},
        "use_dora and init_lora_weights pissa cannot be combined",
    ),
    ("llama", {"method": "ia3", "quantization": "nf4"}, "ia3 does not work with quantised weights"),
    ("llama", {"method": "adalora", "quantization": "int8"}, "adalora does not work with bitsandbytes' int8 weights"),
    ("llama", {"use_dora": True, "quantization": "int8"}, "use_dora does not work with bitsandbytes' int8 weights"),
    ("llama", {"early_stopping_patience": 2}, "early_stopping_patience needs held-out examples; set held_out_share"),
    ("llama", {"method": "p-tuning", "from_adapter": "first"}, "from_adapter does not work with p-tuning"),
    (
        "llama",
        {"prefix_projection": True},
        "prefix_projection is for method p-tuning-v2 or prefix-tuning and",
    ),
    ("llama", {"method": "prefix-tuning", "packing": True}, "packing puts several examples into a row"),
    ("llama", {"method": "prefix-tuning", "gradient_checkpointing": True}, "gradient_checkpointing with prefix-tuning"),
    ("llama", {"method": "p-tuning-v2", "gradient_checkpointing": True}, "gradient_checkpointing with p-tuning-v2"),
]


@pytest.mark.parametrize(("family", "settings", "said"), REFUSED)
def test_what_does_not_go_together_is_refused_from_the_configuration_alone(
    folder_of: Callable[[str], Path], family: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(FinetuneError, match=said):
        check_settings(FinetuneConfig(**settings), AutoConfig.from_pretrained(folder_of(family)))


def test_more_than_the_model_has_is_refused(base_of: Callable[..., LoadedModel], tmp_path: Path) -> None:
    base = base_of("llama", "lora")
    with pytest.raises(FinetuneError, match=r"r is 33, but model\.layers\.0\.self_attn\.k_proj of .* is 32 x 64"):
        finetune(base, EXAMPLES, tmp_path / "run", config("lora", r=33))
    with pytest.raises(FinetuneError, match=r"trainable_layers is 3, but .* has 2 layers; lower it, or use method f"):
        finetune(base, EXAMPLES, tmp_path / "run", config("freeze", trainable_layers=3))
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_whose_tensors_were_changed_is_refused(base_of: Callable[..., LoadedModel], tmp_path: Path) -> None:
    base = base_of("llama", "prompt tuning")
    finetune(base, EXAMPLES, tmp_path / "run", config("prompt tuning", num_train_epochs=1))
    weights = tmp_path / "run" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(ModelError, match="missing or damaged"), base.using(tmp_path / "run"):
        pass
