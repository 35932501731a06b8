"""A small real domain, indexed once: three pages of the handbook in each language; a tea shop; an adapter of each."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from assistant_samples import QUICK, TEA, lorewright, question, write_questions

from assistant import Assistant
from domain import Domain, FinetuneConfig, set_setting

HANDBOOK = Path(__file__).parents[2] / "examples" / "peft-handbook"
PAGES = ["gradient-checkpointing.md", "lora.md", "qlora-nf4.md"]
TINY_RUN = FinetuneConfig(
    r=2,
    num_train_epochs=1,
    max_train_tokens=1000,
    retrieved_share=0.0,
    replay_share=0.0,
    gradient_accumulation_steps=1,
    warmup_steps=0,
    learning_rate=2e-2,
)


@pytest.fixture(scope="session")
def handbook(tmp_path_factory: pytest.TempPathFactory, real_model: Callable[[str], Path]) -> Path:
    """The domain, answered by the default model; tests must not change it."""
    from assistant.indexing import update_index

    real_model("qwen2.5-coder-0.5b-instruct")
    real_model("multilingual-e5-small")
    folder = tmp_path_factory.mktemp("domains") / "handbook"
    for language in ("en", "zh"):
        (folder / "documents" / language).mkdir(parents=True)
        for page in PAGES:
            shutil.copy(HANDBOOK / "documents" / language / page, folder / "documents" / language)
    (folder / "questions").mkdir()
    known = [f"{language}/{page}" for language in ("en", "zh") for page in PAGES]
    for name in ("train", "held_out"):
        lines = (HANDBOOK / "questions" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        kept = [row for row in rows if row["answerable"] and row["document"] in known]
        kept += [row for row in rows if not row["answerable"]][:: 2 if name == "train" else 1]  # half, for speed
        write_questions(folder / "questions" / f"{name}.jsonl", kept)
    settings = "[answer]\nmax_new_tokens = 40\n[retrieval]\ncontext_tokens = 400\n"  # short prompts, for speed
    (folder / "domain.toml").write_text(settings, encoding="utf-8")
    update_index(Domain.open(folder))
    return folder


@pytest.fixture(scope="package")
def assistant(handbook: Path) -> Iterator[Assistant]:
    """The assistant of ``handbook``; questions asked without a conversation leave no trace in it."""
    opened = Assistant.open(handbook)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tuned_handbook(handbook: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same documents with a random model, for where it does not matter what it says, and its adapter ``first``."""
    from assistant.domain_adapters import use
    from assistant.finetuning import tune

    folder = tmp_path_factory.mktemp("tuned") / "handbook"
    shutil.copytree(handbook, folder)
    set_setting(folder / "domain.toml", "base_model", str(tiny_folder))
    set_setting(folder / "domain.toml", "answer.max_new_tokens", 16)
    tune(Domain.open(folder), "first", TINY_RUN)
    use(Domain.open(folder), "first")
    return folder


@pytest.fixture(scope="package")
def small_assistant(tuned_handbook: Path) -> Iterator[Assistant]:
    """The assistant of ``tuned_handbook``, for where it does not matter what the model says."""
    opened = Assistant.open(tuned_handbook)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tea_shop(tmp_path_factory: pytest.TempPathFactory, real_model: Callable[[str], Path], tiny_folder: Path) -> Path:
    """A domain that the command line made, indexed, trained and evaluated; tests that change it copy it.

    Its model is a random one of two layers, for where it does not matter what it says.
    """
    real_model("all-minilm-l6-v2")
    folder = tmp_path_factory.mktemp("shops") / "tea-shop"
    models = ["--base-model", tiny_folder, "--embedder", "all-minilm-l6-v2"]
    made = lorewright("new", folder, *models)
    first, second = made.out.splitlines()
    assert first == f"Created {folder}. Put documents into {folder}/documents, then run: lorewright index {folder}"
    assert second.startswith("The chat model is ")
    (folder / "documents" / "tea.md").write_text(TEA, encoding="utf-8")
    write_questions(
        folder / "questions" / "train.jsonl",
        [
            question("How hot should the water be?", "80 degrees."),
            question("How much tea for a cup?", "Three grams."),
            question("Who was Shakespeare?", "The documents do not answer this question.", answerable=False),
        ],
    )
    held_out = [question("How long must it draw?", "Two minutes.", id="q1")]
    write_questions(folder / "questions" / "held_out.jsonl", held_out)
    set_setting(folder / "domain.toml", "answer.max_new_tokens", 24)
    indexed = lorewright("index", folder)
    assert indexed.out == f"{folder}: 1 added, 0 changed, 0 deleted, 0 unchanged; 2 passages.\n"
    trained = lorewright("finetune", folder, *QUICK)
    assert trained.status == 0, trained.err
    assert trained.out.startswith(f"{folder}: trained ")
    assert f"Adapter: {folder}/adapters/first, a candidate: `lorewright evaluate {folder}` activates it" in trained.out
    evaluated = lorewright("evaluate", folder)
    assert evaluated.status == 0, evaluated.err
    assert "the answerable of 1 held-out questions" in evaluated.out
    chosen = lorewright("use", folder, "first")
    assert chosen.out == f"{folder}: the adapter 'first' is now active (domain.toml, selected by hand).\n"
    return folder


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a domain, for a test that changes it: the folder is all there is."""

    def copy(folder: Path) -> Path:
        return shutil.copytree(folder, tmp_path / folder.name)

    return copy


@pytest.fixture
def shop(copy_of: Callable[[Path], Path], tea_shop: Path) -> Path:
    """A copy of ``tea_shop`` for one test."""
    return copy_of(tea_shop)
