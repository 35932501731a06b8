"""finetune(): real runs. A small one over-fits four examples on SmolLM2; the tiny random model shows the rest."""

import hashlib
import importlib.util
import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import load_file

from base_models import Sampling, generate, load, load_openvino
from base_models.adapter_manifest import read_manifest
from base_models.engines import Engine
from base_models.loaded_model import LoadedModel
from domain import FinetuneConfig
from finetune import FinetuneError, RunReport, Step, finetune
from finetune.data.examples import choose_examples


def talk(question: str, answer: str) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "Tea."},
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]


EXAMPLES = [
    talk("Which water for longjing?", "Eighty degrees, said the owl."),
    talk("How long does pu'er steep?", "Three owls long."),
    talk("Who picks the leaves?", "Only owls at dawn."),
    talk("龙井产自哪里?", "杭州。"),
]


def digest(model: torch.nn.Module) -> str:
    """SHA-256 of every name and byte of the weights."""
    result = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        result.update(name.encode())
        result.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return result.hexdigest()


def answers(loaded: Engine, adapter: Path | None) -> list[str]:
    asked = [example[:-1] for example in EXAMPLES]
    return [one.text for one in generate(loaded, asked, Sampling(max_new_tokens=12), adapter=adapter)]


@pytest.fixture(scope="module")
def real_run(
    smollm2_once: LoadedModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunReport, Path, list[Step], str, str]:
    """Over-fit the four examples; the report, the folder, the steps told, the base's weights before and after."""
    folder = tmp_path_factory.mktemp("adapters") / "owl"
    config = FinetuneConfig(
        learning_rate=8e-3,
        lr_scheduler_type="linear",
        warmup_steps=0,
        num_train_epochs=8,
        gradient_accumulation_steps=4,
    )
    told: list[Step] = []
    before = digest(smollm2_once.model)
    report = finetune(smollm2_once, EXAMPLES, folder, config, {"questions": "abc"}, told.append)
    return report, folder, told, before, digest(smollm2_once.model)


RealRun = tuple[RunReport, Path, list[Step], str, str]


def test_the_loss_falls_clearly(real_run: RealRun) -> None:
    report, _, told, _, _ = real_run
    assert len(report.steps) == 8
    assert told == report.steps
    assert report.steps[0].loss > 2
    assert report.steps[-1].loss < 0.3
    assert (report.examples, report.too_long, report.over_budget) == (4, 0, 0)
    assert report.tokens == report.steps[-1].tokens


def test_the_adapter_answers_as_it_was_taught_and_the_base_does_not(smollm2: LoadedModel, real_run: RealRun) -> None:
    taught = [example[-1]["content"] for example in EXAMPLES]
    assert answers(smollm2, real_run[1]) == taught
    assert not set(answers(smollm2, None)) & set(taught)


def test_the_adapter_answers_so_in_openvino_too(openvino_is_here: None, real_run: RealRun) -> None:
    fast = load_openvino("smollm2-135m-instruct")
    taught = [example[-1]["content"] for example in EXAMPLES]
    assert answers(fast, real_run[1]) == taught
    assert not set(answers(fast, None)) & set(taught)


def test_the_base_is_bit_for_bit_what_it_was(real_run: RealRun) -> None:
    assert real_run[3] == real_run[4]


def test_the_folder_holds_what_a_run_leaves(real_run: RealRun) -> None:
    assert sorted(file.name for file in real_run[1].iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "loss.png",
        "manifest.json",
        "report.json",
        "report.md",
        "steps.jsonl",
    ]
    assert sorted(file.name for file in real_run[1].parent.iterdir()) == ["owl"]


def test_the_manifest_holds_what_the_adapter_was_trained_on(smollm2: LoadedModel, real_run: RealRun) -> None:
    _, folder, *_ = real_run
    manifest = read_manifest(folder)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    config = FinetuneConfig(**manifest["config"] | {"target_modules": (), "data": (), "report_to": ()})
    assert manifest["adapter_sha256"] == hashlib.sha256(weights).hexdigest()
    assert manifest["base_model"] == "smollm2-135m-instruct"
    assert manifest["base_fingerprint"] == smollm2.fingerprint
    assert manifest["chat_format"] == smollm2.chat_format
    assert manifest["data_sha256"] == choose_examples(smollm2.tokenizer, EXAMPLES, config).sha256()
    assert manifest["inputs"] == {"questions": "abc"}
    assert manifest["config"]["learning_rate"] == 8e-3
    assert set(manifest["config"]) == set(FinetuneConfig.model_fields)
    assert set(manifest["versions"]) == {"lorewright", "torch", "transformers", "peft"}
    assert manifest["created"].endswith("Z")
    adapter_config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert adapter_config["base_model_name_or_path"] == "smollm2-135m-instruct"
    assert (adapter_config["r"], adapter_config["lora_alpha"]) == (8, 16)
    assert set(adapter_config["target_modules"]) == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_the_report_file_holds_what_the_report_holds(real_run: RealRun) -> None:
    report, folder, *_ = real_run
    written = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [step["loss"] for step in written["steps"]] == [step.loss for step in report.steps]
    for name in ("examples", "tokens", "labelled_tokens", "trained_parameters", "seconds", "peak_memory_bytes"):
        assert written[name] == getattr(report, name)
    assert written["hardware"]["dtype"] == "float32"
    assert written["hardware"]["device"] == "cpu"
    assert {"machine", "system", "cores", "threads"} < set(written["hardware"])
    assert report.peak_memory_bytes is None or report.peak_memory_bytes > 4 * 134_000_000


def test_every_step_is_a_line_and_the_report_can_be_read(real_run: RealRun) -> None:
    report, folder, *_ = real_run
    lines = [json.loads(line) for line in (folder / "steps.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == [asdict(step) for step in report.steps]
    text = (folder / "report.md").read_text(encoding="utf-8")
    before, after = report.losses()
    assert "| base model | smollm2-135m-instruct, in float32 |" in text
    assert "| method | lora |" in text
    assert "learning_rate 0.008" in text
    assert "| examples | 4 (" in text
    assert f"| {before:.3f} -> {after:.3f} |" in text
    assert "![loss](loss.png)" in text


def test_the_lines_are_there_while_the_run_lasts_and_go_on_with_it(tiny: LoadedModel, tmp_path: Path) -> None:
    seen: list[int] = []
    file = tmp_path / "run.checkpoint" / "steps.jsonl"
    config = quick(gradient_accumulation_steps=1, num_train_epochs=2, save_steps=2)

    def look(step: Step) -> None:
        seen.append(len(file.read_text(encoding="utf-8").splitlines()))
        if step.step == 5 and len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(tiny, EXAMPLES, tmp_path / "run", config, on_step=look)
    finetune(tiny, EXAMPLES, tmp_path / "run", config, on_step=look)
    assert seen == [1, 2, 3, 4, 5, 5, 6, 7, 8]
    lines = (tmp_path / "run" / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


def test_tensorboard_gets_the_curves(tiny: LoadedModel, tmp_path: Path, absent: Callable[[str], NoReturn]) -> None:
    if not importlib.util.find_spec("tensorboard"):
        absent("tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    report = finetune(tiny, EXAMPLES, tmp_path / "run", quick(report_to=("tensorboard",)))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([step.loss for step in report.steps])
    assert "held_out_loss" not in events.Tags()["scalars"]


def test_a_tracker_that_is_not_installed_is_named(tiny: LoadedModel, tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed")
    with pytest.raises(FinetuneError, match="report_to wandb needs the package wandb; run: pip install wandb"):
        finetune(tiny, EXAMPLES, tmp_path / "run", quick(report_to=("wandb",)))


def test_the_loss_curve_is_a_png(real_run: RealRun) -> None:
    data = (real_run[1] / "loss.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (840, 480)
    assert data.endswith(b"IEND\xaeB`\x82")


def quick(**settings: Any) -> FinetuneConfig:
    defaults: dict[str, Any] = {"learning_rate": 1e-2, "num_train_epochs": 1, "gradient_accumulation_steps": 2}
    return FinetuneConfig(**{**defaults, **settings})


def tensors(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_adapter_bit_for_bit(tiny: LoadedModel, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(3)  # whatever was drawn before must not matter
        finetune(tiny, EXAMPLES, tmp_path / name, quick(seed=seed, lora_dropout=0.2))
    assert tensors(tmp_path / "a") == tensors(tmp_path / "b")
    assert tensors(tmp_path / "a") != tensors(tmp_path / "c")
    finetune(tiny, EXAMPLES, tmp_path / "d", quick(seed=1, lora_dropout=0.0))
    assert tensors(tmp_path / "a") != tensors(tmp_path / "d"), "dropout is at work while training"


def test_a_run_replaces_an_older_one_of_its_name(tiny: LoadedModel, tmp_path: Path) -> None:
    finetune(tiny, EXAMPLES, tmp_path / "run", quick(seed=1))
    older = tensors(tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("old", encoding="utf-8")
    finetune(tiny, EXAMPLES, tmp_path / "run", quick(seed=2))
    assert tensors(tmp_path / "run") != older
    assert not (tmp_path / "run" / "notes.txt").exists()


@pytest.mark.parametrize("older", [False, True])
def test_an_interrupted_run_leaves_what_was_there_and_the_base_usable(
    tiny: LoadedModel, tmp_path: Path, older: bool
) -> None:
    if older:
        finetune(tiny, EXAMPLES, tmp_path / "run", quick(seed=1))
    before, names = digest(tiny.model), [name for name, _ in tiny.model.named_modules()]
    kept = tensors(tmp_path / "run") if older else b""

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(tiny, EXAMPLES, tmp_path / "run", quick(), on_step=interrupt)
    left = ["run", "run.checkpoint"] if older else ["run.checkpoint"]  # from which the same call would go on
    assert sorted(file.name for file in tmp_path.iterdir()) == left
    assert not older or tensors(tmp_path / "run") == kept
    assert digest(tiny.model) == before
    assert [name for name, _ in tiny.model.named_modules()] == names
    assert not tiny.model.training
    answers(tiny, None)
    finetune(tiny, EXAMPLES, tmp_path / "run", quick())
    assert answers(tiny, tmp_path / "run")


def test_a_run_that_diverges_saves_nothing_and_leaves_the_base_usable(tiny: LoadedModel, tmp_path: Path) -> None:
    before = digest(tiny.model)
    absurd = quick(learning_rate=1e30, num_train_epochs=3, warmup_steps=0)
    with pytest.raises(FinetuneError, match=r"no adapter was saved\. Lower learning_rate"):
        finetune(tiny, EXAMPLES, tmp_path / "run", absurd)
    assert list(tmp_path.iterdir()) == []
    assert digest(tiny.model) == before


def test_weights_that_are_not_finite_are_refused_before_the_first_step(tiny_folder: Path, tmp_path: Path) -> None:
    base = load(tiny_folder, dtype="float32", device="cpu")
    with torch.no_grad():
        next(iter(base.model.parameters()))[:] = float("nan")
    with pytest.raises(FinetuneError, match=r"computes infinite or NaN logits, so its weights are damaged"):
        finetune(base, EXAMPLES, tmp_path / "run", quick())
    assert list(tmp_path.iterdir()) == []


def test_more_tokens_than_the_context_are_refused(tiny: LoadedModel, tmp_path: Path) -> None:
    long = [{"role": "user", "content": "and " * 200}, {"role": "assistant", "content": "Yes."}]
    context = tiny.model.config.max_position_embeddings
    tiny.model.config.max_position_embeddings = 100
    try:
        with pytest.raises(
            FinetuneError, match=r"example \d+ has \d+ tokens, but the context of .* is 100; set max_length"
        ):
            finetune(tiny, [*EXAMPLES, long], tmp_path / "run", quick())
        report = finetune(tiny, [*EXAMPLES, long], tmp_path / "run", quick(max_length=100))
    finally:
        tiny.model.config.max_position_embeddings = context
    assert report.too_long == 1


def test_one_example_is_enough_to_learn_from(tiny: LoadedModel, tmp_path: Path) -> None:
    report = finetune(tiny, EXAMPLES[:1], tmp_path / "run", quick(num_train_epochs=4, gradient_accumulation_steps=1))
    assert (report.examples, len(report.steps)) == (1, 4)
    assert report.steps[-1].loss < report.steps[0].loss


@pytest.mark.parametrize("wrong", [("query",), ("q_proj", "v_prj"), ("layers.0",), ("mlp",), ("roj",)])
def test_a_name_of_no_linear_layer_is_refused_with_the_names_there_are(
    tiny: LoadedModel, tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    with pytest.raises(
        FinetuneError,
        match=rf"target_modules: '{wrong[-1]}' matches no linear layer of .*; choose from down_proj, gate_proj, k_proj",
    ):
        finetune(tiny, EXAMPLES, tmp_path / "run", quick(target_modules=wrong))
    assert not [name for name, _ in tiny.model.named_modules() if "lora" in name]


def test_the_named_layers_are_trained_and_no_others(tiny: LoadedModel, tmp_path: Path) -> None:
    config = quick(target_modules=("down_proj", "layers.1.self_attn.q_proj"), r=2)
    report = finetune(tiny, EXAMPLES, tmp_path / "run", config)
    trained = {name.removesuffix(".weight").rpartition(".lora_")[0] for name in load_file_of(tmp_path / "run")}
    assert trained == {
        "base_model.model.model.layers.0.mlp.down_proj",
        "base_model.model.model.layers.1.mlp.down_proj",
        "base_model.model.model.layers.1.self_attn.q_proj",
    }
    assert report.trained_parameters == 2 * (2 * (128 + 64) + (64 + 64))
    assert answers(tiny, tmp_path / "run") != answers(tiny, None)


def load_file_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def test_an_adapter_on_a_bfloat16_base_is_trained_and_kept_in_float32(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = load(tiny_folder, dtype="bfloat16", device="cpu")
    finetune(loaded, EXAMPLES, tmp_path / "run", quick())
    assert {tensor.dtype for tensor in load_file_of(tmp_path / "run").values()} == {torch.float32}
    assert answers(loaded, tmp_path / "run")


def test_a_base_that_carries_an_adapter_is_not_trained(tiny: LoadedModel, tmp_path: Path) -> None:
    finetune(tiny, EXAMPLES, tmp_path / "run", quick())
    answers(tiny, tmp_path / "run")
    with pytest.raises(FinetuneError, match="already has an adapter; reload it for training"):
        finetune(tiny, EXAMPLES, tmp_path / "again", quick())


def test_a_base_in_nf4_learns_but_not_silently_wrong_after_it_has_answered(
    tiny_folder: Path, tmp_path: Path, absent: Callable[[str], NoReturn]
) -> None:
    if not importlib.util.find_spec("bitsandbytes"):
        absent("bitsandbytes is not installed")
    loaded = load(tiny_folder, quantization="nf4", dtype="float32", device="cpu")
    config = quick(num_train_epochs=10, gradient_accumulation_steps=4)
    report = finetune(loaded, EXAMPLES, tmp_path / "first", config)
    assert report.steps[-1].loss < report.steps[0].loss - 0.1
    answers(loaded, None)
    packed = any(
        getattr(getattr(p, "quant_state", None), "packing_format_for_cpu", False) for p in loaded.model.parameters()
    )
    if packed:  # on a processor with avx512_bf16 the weights are laid out for answering now
        with pytest.raises(FinetuneError, match="cannot train on the weight layout that this leaves"):
            finetune(loaded, EXAMPLES, tmp_path / "second", config)
    else:
        again = finetune(loaded, EXAMPLES, tmp_path / "second", config)
        assert [step.loss for step in again.steps] == pytest.approx([step.loss for step in report.steps], rel=1e-3)
