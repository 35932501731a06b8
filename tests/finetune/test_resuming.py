"""A run that is stopped or killed resumes, and ends bit for bit as one that was never stopped."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from base_models import load
from domain import FinetuneConfig
from finetune import finetune

CONVERSATIONS = [
    [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": f"Answer {number * 7}."}]
    for number in range(24)
]
CONFIG = FinetuneConfig(
    r=4,
    lora_dropout=0.2,  # so that random states matter
    learning_rate=1e-2,
    num_train_epochs=2,
    per_device_train_batch_size=2,
    gradient_accumulation_steps=2,
)
EVERY_STEP = CONFIG.model_copy(update={"save_steps": 1})


def result(folder: Path) -> tuple[bytes, list[float]]:
    """The adapter's bytes and the loss of every step."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return (folder / "adapter_model.safetensors").read_bytes(), [step["loss"] for step in report["steps"]]


@pytest.fixture(scope="module")
def whole(tiny_folder, tmp_path_factory):
    """The result of a run that nobody stopped."""
    output = tmp_path_factory.mktemp("adapters") / "whole"
    finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, CONFIG)
    return result(output)


class Stop(Exception):
    pass


def stop_after(steps: int):
    def on_step(step):
        if step.step == steps:
            raise Stop

    return on_step


def test_it_resumes_where_it_was_stopped(tiny_folder, whole, tmp_path):
    output = tmp_path / "first"
    for steps in (1, 5, 9):
        with pytest.raises(Stop):
            finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, CONFIG, on_step=stop_after(steps))
        assert not output.exists()
        assert list((tmp_path / "first.checkpoint").glob("step-*.safetensors"))
    told = []
    finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, CONFIG, on_step=told.append)
    assert told[0].step > 1, "not from the beginning"
    assert result(output) == whole
    assert not (tmp_path / "first.checkpoint").exists()


def test_another_run_does_not_go_on_from_it(tiny_folder, whole, tmp_path):
    output = tmp_path / "first"
    with pytest.raises(Stop):
        finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, CONFIG, on_step=stop_after(6))
    told = []
    other = CONFIG.model_copy(update={"learning_rate": 2e-2})
    finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, other, on_step=told.append)
    assert told[0].step == 1
    assert result(output) != whole


def test_states_of_another_run_of_the_name_do_not_stand_in_the_way(tiny_folder, tmp_path):
    """The new run begins before their steps, and its own states are those that are kept."""
    output, told = tmp_path / "first", []
    for config, steps in ((EVERY_STEP, 9), (EVERY_STEP.model_copy(update={"seed": 7}), 3)):
        with pytest.raises(Stop):
            finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, config, on_step=stop_after(steps))
    names = sorted(state.name for state in (tmp_path / "first.checkpoint").glob("step-*"))
    assert names == ["step-000002.safetensors", "step-000003.safetensors"]
    finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, config, on_step=told.append)
    assert told[0].step == 4


def test_what_a_killed_process_left_half_written_is_cleared_away(tiny_folder, whole, tmp_path):
    output = tmp_path / "first"
    with pytest.raises(Stop):
        finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, EVERY_STEP, on_step=stop_after(4))
    for name in (".tmpAb12", "step-000005.safetensors.123-456.partial"):
        (tmp_path / "first.checkpoint" / name).write_bytes(b"half")
    with pytest.raises(Stop):
        finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, EVERY_STEP, on_step=stop_after(5))
    left = sorted(file.name for file in (tmp_path / "first.checkpoint").iterdir())
    assert left == ["step-000004.safetensors", "step-000005.safetensors", "steps.jsonl"]


@pytest.mark.parametrize("damage", ["cut to 100", "100 cut off", "one bit"])
@pytest.mark.parametrize("which", ["newest", "all"])
def test_a_damaged_state_is_not_gone_on_from(tiny_folder, whole, tmp_path, damage, which):
    """The one before it serves; a run without any whole one begins anew."""
    output = tmp_path / "first"
    with pytest.raises(Stop):
        finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, EVERY_STEP, on_step=stop_after(6))
    states = sorted((tmp_path / "first.checkpoint").glob("step-*"))
    assert [state.name for state in states] == ["step-000005.safetensors", "step-000006.safetensors"]
    for state in states[-1:] if which == "newest" else states:
        data = bytearray(state.read_bytes())
        if damage == "one bit":
            data[-5000] ^= 1
        state.write_bytes({"cut to 100": data[:100], "100 cut off": data[:-100]}.get(damage, data))
    told = []
    finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, EVERY_STEP, on_step=told.append)
    assert told[0].step == (6 if which == "newest" else 1)
    assert result(output) == whole


def test_the_state_holds_optimiser_schedule_and_random_states(tiny_folder, tmp_path):
    """A run that was stopped and one that was not have the same states on the disk after the same step."""
    for name, stops in (("straight", [9]), ("stopped", [2, 5, 9])):
        for steps in stops:
            with pytest.raises(Stop):
                finetune(
                    load(tiny_folder, dtype="float32"),
                    CONVERSATIONS,
                    tmp_path / name,
                    EVERY_STEP,
                    on_step=stop_after(steps),
                )
    straight, stopped = (
        load_file(tmp_path / f"{name}.checkpoint" / "step-000009.safetensors") for name in ("straight", "stopped")
    )
    assert set(straight) == set(stopped)
    kinds = {name.partition(".")[0] for name in straight}
    assert kinds == {"parameter", "optimizer", "random"}
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


def test_the_thread_count_is_part_of_the_state(tiny_folder, whole, tmp_path):
    """Sums differ with it, so a run goes on with the number it began with."""
    output, threads = tmp_path / "first", torch.get_num_threads()
    with pytest.raises(Stop):
        finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, CONFIG, on_step=stop_after(6))
    try:
        torch.set_num_threads(threads + 1)
        finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, CONFIG)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(threads)
    assert result(output) == whole


FULL_DISK = """
import sys, signal, resource
from pathlib import Path
sys.path[:0] = [sys.argv[4]]
from base_models import load
from finetune import finetune
from test_resuming import CONVERSATIONS, EVERY_STEP
folder, output, full_after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def told(step):
    if step.step == full_after:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
finetune(load(folder, dtype="float32"), CONVERSATIONS, output, EVERY_STEP, on_step=told)
"""


@pytest.mark.parametrize(
    "full_after", [pytest.param(1, marks=pytest.mark.slow), 5, pytest.param(12, marks=pytest.mark.slow)]
)
def test_a_run_that_a_full_disk_ended_resumes(tiny_folder, whole, tmp_path, full_after):
    """No file may grow any more after so many steps: the next state fails, or after the last step the adapter."""
    pytest.importorskip("resource", reason="this system has no limit on the size of files")
    output = tmp_path / "first"
    arguments = [sys.executable, "-c", FULL_DISK, tiny_folder, output, full_after, Path(__file__).parent]
    ended = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "OSError" in ended.stderr
    assert not output.exists()
    told = []
    finetune(load(tiny_folder, dtype="float32"), CONVERSATIONS, output, EVERY_STEP, on_step=told.append)
    assert [step.step for step in told] == list(range(min(full_after, 11) + 1, 13))
    adapter, losses = result(output)
    assert losses == whole[1]
    assert adapter == whole[0]
    assert {path.name for path in tmp_path.iterdir()} == {"first"}
