"""The reader that is shipped for a base model: it answers by default, runs go on from it, and it can be turned off."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from assistant_samples import QUICK, lorewright

from assistant import Assistant
from assistant.evaluation.promotion import promote
from assistant.evaluation.written_result import evaluate_domain
from base_models.adapter_manifest import read_manifest
from base_models.reader import reader_of
from domain import Domain, set_setting

MODEL = "smollm2-135m-instruct"
QUESTION = "How hot should the water be?"
SHORT = [*QUICK, "--num-train-epochs", "1"]


@pytest.fixture(scope="module")
def read_shop(tea_shop: Path, tmp_path_factory: pytest.TempPathFactory, real_model: Callable[[str], Path]) -> Path:
    """The tea shop with a model of the catalogue and a run of it."""
    real_model(MODEL)
    folder = shutil.copytree(tea_shop, tmp_path_factory.mktemp("read") / "shop")
    shutil.rmtree(folder / "adapters")
    set_setting(folder / "domain.toml", "base_model", MODEL)
    set_setting(folder / "domain.toml", "adapter", "")
    assert lorewright("finetune", folder, *SHORT).status == 0
    return folder


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where readers are looked for; empty."""
    folder = tmp_path / "readers"
    monkeypatch.setattr("base_models.reader.READERS", folder)
    return folder


@pytest.fixture
def shop(read_shop: Path, tmp_path: Path, readers: Path) -> Path:
    """The shop without a run; what it had learnt is the reader now."""
    folder = shutil.copytree(read_shop, tmp_path / "shop")
    shutil.move(folder / "adapters" / "first", readers / MODEL / "reader")
    set_setting(folder / "domain.toml", "adapter", "reader")
    return folder


def test_a_reader_is_known_by_the_name_of_its_base_model_alone(shop: Path, readers: Path) -> None:
    assert reader_of(MODEL) == readers / MODEL / "reader"
    assert reader_of("qwen3-0.6b") is None
    assert reader_of(str(readers / MODEL)) is None, "a folder of the user is no name of the catalogue"
    assert reader_of(f"../readers/{MODEL}") is None


def test_the_reader_answers_by_default_and_can_be_turned_off_and_on(shop: Path) -> None:
    assistant = Assistant.open(shop)
    assert assistant.adapter_names() == ["", "reader"]
    assert assistant.ask(QUESTION).adapter == "reader"
    assert assistant.ask(QUESTION, adapter="").adapter is None
    assistant.close()
    assert lorewright("doctor", shop).out.count("reader, shipped with Lorewright") == 1
    assert lorewright("use", shop, "base").out == (
        f"{shop}: the base model is now active (domain.toml, selected by hand).\n"
    )
    assert Domain.open(shop).settings.adapter == ""
    assert lorewright("use", shop, "reader").out == (
        f"{shop}: the reader is now active (domain.toml, selected by hand).\n"
    )
    assert Domain.open(shop).settings.adapter == "reader"


def test_without_a_reader_the_base_model_answers_and_the_reader_cannot_be_chosen(shop: Path, readers: Path) -> None:
    shutil.rmtree(readers)
    assistant = Assistant.open(shop)
    assert assistant.adapter_names() == [""]
    assert assistant.ask(QUESTION).adapter is None
    assistant.close()
    refused = lorewright("use", shop, "reader")
    assert refused.status == 1
    assert f"there is no reader for {MODEL}" in refused.err


@pytest.mark.slow
def test_a_run_goes_on_from_the_reader_where_it_has_its_shapes(shop: Path) -> None:
    reader = read_manifest(reader_of(MODEL))
    assert lorewright("finetune", shop, *SHORT, "--run", "on").status == 0
    assert read_manifest(shop / "adapters" / "on")["inputs"]["from_adapter"] == reader["adapter_sha256"]
    again = lorewright("finetune", shop, *SHORT, "--run", "on").out
    assert "is finished and its inputs have not changed" in again
    for name, flags in (("anew", ["--from-adapter", "base"]), ("wider", ["--r", "3"]), ("other", ["--use-rslora"])):
        assert lorewright("finetune", shop, *SHORT, *flags, "--run", name).status == 0
        assert "from_adapter" not in read_manifest(shop / "adapters" / name)["inputs"]


@pytest.mark.slow
def test_an_evaluation_has_a_row_of_the_reader_and_compares_with_it(shop: Path) -> None:
    alone = evaluate_domain(Domain.open(shop), None, 0, again=False)
    assert list(alone["compared"].items()) == [("with index", ("reader", "base"))]
    assert {cell.split(",")[0] for cell in alone["answers"]} == {"base", "reader"}
    assert set(alone["likelihood"]) == {"base", "tuned", "rise"}
    assert alone["promotion"] == ""
    assert lorewright("finetune", shop, *SHORT, "--run", "on").status == 0
    result = evaluate_domain(Domain.open(shop), None, 0, again=False)
    assert result["adapter"] == "on"
    assert result["compared"] == {"without index": ("tuned", "base"), "with index": ("tuned", "reader")}
    assert "tuned minus reader, with index" in lorewright("evaluate", shop).out


def test_a_run_that_wins_answers_in_place_of_the_reader(shop: Path) -> None:
    assert lorewright("finetune", shop, *SHORT, "--run", "on").status == 0
    won = {
        "adapter": "on",
        "compared": {"with index": ("tuned", "reader")},
        "gain": {"right_written": {"with index": (0.2, 0.1, 0.3)}, "unsupported": {"with index": (0.0, -0.1, 0.1)}},
        "answers": {"tuned, with index": [{"right": True}] * 40},
        "likelihood": {"rise": {"general_prompts": (0.0, 0.0, 0.0), "general_text": (0.0, 0.0, 0.0)}},
    }
    assert "'on' is better than the reader" in promote(Domain.open(shop), json.loads(json.dumps(won)))
    assert Domain.open(shop).settings.adapter == "on"
