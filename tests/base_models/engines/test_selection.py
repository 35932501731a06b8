"""Which engine answers: measured once, told, and the other one where the faster cannot."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toy_answers import write_adapter

from base_models import ModelError, Sampling, load_openvino
from base_models import engine_selection as selection
from base_models.engine_selection import choose_engine
from base_models.engines.choices import Choice, export_folder, known_choice, store_choice
from base_models.loaded_model import LoadedModel


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_auto_times_both_once_and_keeps_the_choice(
    tiny_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert known_choice(tiny_folder) is None
    choice = choose_engine(tiny_folder)
    assert set(choice.seconds) == {"transformers", "openvino"}
    assert choice.engine == min(choice.seconds, key=lambda engine: choice.seconds[engine])
    assert "of the time of transformers" in choice.reason
    assert "first use: exporting to OpenVINO, tracing" in capfd.readouterr().err
    monkeypatch.setattr(selection, "_time_both", lambda _: pytest.fail("it is timed again"))
    assert choose_engine(tiny_folder) == known_choice(tiny_folder) == choice
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"engine": "transformers"}, "requested"),
        ({"dtype": "float32"}, "dtype float32 was requested"),
        ({"quantization": "nf4"}, "quantization nf4 was requested"),
        ({"device": "cuda"}, "device cuda was requested"),
    ],
)
def test_what_openvino_does_not_do_goes_to_transformers(asked: dict[str, str], reason: str, tiny_folder: Path) -> None:
    assert choose_engine(tiny_folder, **asked) == Choice("transformers", reason, {})  # type: ignore[arg-type]
    if "engine" not in asked:
        with pytest.raises(ModelError, match=reason):
            choose_engine(tiny_folder, "openvino", **asked)  # type: ignore[arg-type]


def test_an_adapter_that_is_more_than_lora_goes_to_transformers(
    tiny: LoadedModel, tiny_folder: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "a", tiny)
    assert choose_engine(tiny_folder, adapter=adapter).seconds
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}), encoding="utf-8")
    assert choose_engine(tiny_folder, adapter=adapter) == Choice("transformers", "adapter a has DoRA", {})
    with pytest.raises(
        ModelError, match=r'the engine "openvino" does not support .*: adapter a has DoRA; use engine "auto"\.'
    ):
        choose_engine(tiny_folder, "openvino", adapter=adapter)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "gpt2"}, "models of type gpt2 are not supported"),
        ({"quantization_config": {"bits": 4}}, "its weights are quantised"),
        ({"model_type": "mistral", "sliding_window": 512}, "it uses sliding-window attention"),
        ({"rope_scaling": {"rope_type": "dynamic"}}, "it scales positions by the length of the text"),
    ],
)
def test_models_that_are_not_exported_say_why(
    changes: dict[str, object], reason: str, tiny_folder: Path, tmp_path: Path
) -> None:
    for file in tiny_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    assert choose_engine(tmp_path) == Choice("transformers", reason, {})


def test_an_export_that_computes_something_else_is_not_used(
    tiny_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def others(loaded: LoadedModel, _prompt: object) -> np.ndarray:
        return np.random.default_rng(0).normal(size=len(loaded.tokenizer))

    monkeypatch.setattr(selection, "_logits", others)
    choice = choose_engine(tiny_folder)
    assert choice.engine == "transformers"
    assert "the exported model differs" in choice.reason


def test_a_failed_export_leaves_transformers_and_its_reason(
    tiny_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from base_models import openvino_export

    def fails(*_: object) -> None:
        raise RuntimeError("no conversion rule for aten::something")

    monkeypatch.setattr(openvino_export, "export", fails)
    choice = choose_engine(tiny_folder)
    assert (choice.engine, choice.reason) == (
        "transformers",
        "the export failed: no conversion rule for aten::something",
    )
    assert not export_folder(tiny_folder).exists()


@pytest.mark.slow
def test_a_killed_export_leaves_nothing_half(tiny_folder: Path, own_cache: Path) -> None:
    program = f"from base_models import load_openvino; load_openvino({str(tiny_folder)!r})"
    command = [sys.executable, "-c", program]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert child.stderr is not None
    for line in child.stderr:
        if "tracing" in line:
            child.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            break
    child.wait()
    child.stderr.close()
    assert not export_folder(tiny_folder).exists()
    assert load_openvino(tiny_folder).generate_ids([[5, 6]], Sampling(max_new_tokens=2))
    assert [path.name for path in export_folder(tiny_folder).parent.iterdir()] == [export_folder(tiny_folder).name]


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"])
def test_answering_imports_no_torch_and_no_telemetry(name: str, real_model: Callable[[str], Path]) -> None:
    real_model(name)
    load_openvino(name)
    program = (
        "import sys; from base_models import Sampling, generate, load_openvino\n"
        f"model = load_openvino({name!r})\n"
        "asked = [[{'role': 'user', 'content': 'What is the capital of France?'}]]\n"
        "print(generate(model, asked, Sampling(20))[0].text)\n"
        "print('torch' in sys.modules, sys.modules['openvino_telemetry'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "The capital of France is Paris.\nFalse None\n"


@pytest.mark.slow
def test_two_processes_export_once(tiny_folder: Path, own_cache: Path) -> None:
    program = f"from base_models import load_openvino; load_openvino({str(tiny_folder)!r}); print('loaded')"
    children = []
    for _ in range(2):
        children.append(
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        time.sleep(0.1)
    said = [child.communicate() for child in children]
    assert [out for out, _ in said] == ["loaded\n"] * 2
    assert sum("writing" in errors for _, errors in said) == 1


def test_what_was_compiled_once_is_read_again_and_made_anew_where_it_is_damaged(
    tiny_folder: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from base_models.engines.openvino_package import import_openvino

    prompt = list(range(5, 60))
    expected = load_openvino(tiny_folder).next_logits(prompt)
    (kept,) = export_folder(tiny_folder).glob("compiled-*.blob")
    core = import_openvino().Core
    with monkeypatch.context() as patched:
        patched.setattr(core, "compile_model", lambda *_: pytest.fail("it is compiled again"))
        assert np.array_equal(load_openvino(tiny_folder).next_logits(prompt), expected)
    whole = kept.read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2]):
        kept.write_bytes(damaged)
        assert np.array_equal(load_openvino(tiny_folder).next_logits(prompt), expected)
        assert len(kept.read_bytes()) == len(whole)


def _shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        pytest.param("openvino_model.bin", _shortened, id="weights shortened"),
        pytest.param("openvino_model.bin", Path.unlink, id="weights missing", marks=pytest.mark.slow),
        pytest.param("openvino_model.xml", _shortened, id="graph shortened", marks=pytest.mark.slow),
        pytest.param("openvino_model.xml", Path.unlink, id="graph missing", marks=pytest.mark.slow),
        pytest.param("export.json", _shortened, id="facts shortened", marks=pytest.mark.slow),
        pytest.param("export.json", Path.unlink, id="facts missing"),
    ],
)
def test_a_damaged_export_is_made_again(
    name: str, damage: Callable[[Path], None], tiny_folder: Path, own_cache: Path
) -> None:
    prompt = list(range(5, 60))
    expected = load_openvino(tiny_folder).next_logits(prompt)
    damage(export_folder(tiny_folder) / name)
    assert np.array_equal(load_openvino(tiny_folder).next_logits(prompt), expected)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"KEY": {"engine": "openvino", "why": "fast"}}', '{"KEY": 3}'])
def test_a_damaged_list_of_choices_is_measured_again(text: str, tiny_folder: Path, own_cache: Path) -> None:
    choice = Choice("transformers", "measured", {})
    store_choice(tiny_folder, choice)
    file = own_cache / "engines.json"
    (key,) = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(text.replace("KEY", key), encoding="utf-8")
    assert known_choice(tiny_folder) is None
    store_choice(tiny_folder, choice)
    assert known_choice(tiny_folder) == choice


@pytest.fixture
def no_export_can_be_written(own_cache: Path) -> None:
    """A file stands where the folders of exports and locks would."""
    own_cache.mkdir()
    for name in ("openvino", "locks"):
        (own_cache / name).write_bytes(b"")


@pytest.mark.usefixtures("no_export_can_be_written")
def test_where_no_export_can_be_written_transformers_answers_and_nothing_is_kept(tiny_folder: Path) -> None:
    choice = choose_engine(tiny_folder)
    assert choice.engine == "transformers"
    assert "could not be exported to" in choice.reason
    assert "LOREWRIGHT_CACHE" in choice.reason
    assert known_choice(tiny_folder) is None
    with pytest.raises(ModelError, match=r"could not be exported to .*; set LOREWRIGHT_CACHE to a writable folder"):
        load_openvino(tiny_folder)


def test_an_export_of_an_earlier_version_goes_when_the_new_one_is_there(tiny_folder: Path, own_cache: Path) -> None:
    target = export_folder(tiny_folder)
    older = target.with_name(target.name.rpartition("-v")[0] + "-v0")
    other = target.with_name("0123456789abcdef-v0")
    for folder in (older, other):
        folder.mkdir(parents=True)
        (folder / "openvino_model.bin").write_bytes(b"weights")
    load_openvino(tiny_folder)
    assert not older.exists()
    assert other.is_dir()
