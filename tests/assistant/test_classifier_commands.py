"""``lorewright classifier``: from a file of labelled texts to a class for a new one, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from assistant_samples import lorewright

QUICK = ["--encoder", "all-minilm-l6-v2", "--num-train-epochs", "6", "--learning-rate", "3e-3"]
CSV = "text,label\n" + "".join(
    f"{text},{label}\n"
    for n in range(8)
    for text, label in ((f"what is {n} plus {n + 3}", "calculate"), (f"good morning to all {n} of you", "chat"))
)


@pytest.fixture(scope="module")
def trained(real_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier in intents/."""
    real_model("all-minilm-l6-v2")
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "intents.csv").write_text(CSV, encoding="utf-8")
    ended = lorewright("classifier", "train", folder / "intents.csv", folder / "intents", *QUICK)
    assert ended.status == 0, ended.err
    assert "On 6 held-out texts: accuracy" in ended.out
    assert "The weights were selected on these same texts." in ended.out
    return folder


def test_it_says_which_class_a_new_text_is_of(trained: Path) -> None:
    ended = lorewright("classifier", "ask", trained / "intents", "what is 60 plus 7", "good morning, dear friends")
    first, second = ended.out.splitlines()
    assert first.startswith("calculate 0.")
    assert first.endswith("what is 60 plus 7")
    assert second.startswith("chat 0.")
    scores = json.loads((trained / "intents" / "scores.json").read_text(encoding="utf-8"))
    assert scores["texts"] == 6
    assert 0.5 < scores["accuracy"][0] <= 1


def test_pairs_are_asked_two_by_two(trained: Path) -> None:
    ended = lorewright("classifier", "ask", trained / "intents", "--pairs", "what is 60", "plus 7")
    assert ended.out.startswith("calculate 0.")
    assert ended.out.strip().endswith("what is 60 | plus 7")
    ended = lorewright("classifier", "ask", trained / "intents", "--pairs", "what is 60")
    assert (ended.status, ended.out) == (1, "")
    assert "--pairs needs an even number of texts, not 1; add the missing text." in ended.err


@pytest.mark.slow
def test_other_texts_can_be_measured_on_and_training_anew_is_asked_for(trained: Path) -> None:
    other = trained / "other.csv"
    other.write_text("text,label\nhow much is 5 plus 5,calculate\ngood morning,chat\n", encoding="utf-8")
    command = ["classifier", "train", trained / "intents.csv", trained / "second", *QUICK, "--held-out", other]
    ended = lorewright(*command)
    assert "On 2 held-out texts" in ended.out
    assert "these same texts" not in ended.out
    again = lorewright(*command)
    assert (again.status, again.out) == (1, "")
    assert "second already exists; choose a new folder, or train it again with --again." in again.err
    assert lorewright(*command, "--again").status == 0
    other.write_text("text,label\nhow much,money\n", encoding="utf-8")
    assert "has the label 'money', which" in lorewright(*command, "--again").err


def test_a_folder_of_other_things_is_not_replaced(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    ended = lorewright("classifier", "train", trained / "intents.csv", tmp_path, *QUICK, "--again")
    assert ended.status == 1
    assert "already exists and is not a classifier; choose a new folder" in ended.err
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_file_of_the_users_in_the_folder_keeps_it(trained: Path) -> None:
    folder = trained / "third"
    command = ["classifier", "train", trained / "intents.csv", folder, *QUICK, "--max-steps", "2", "--again"]
    assert lorewright(*command[:-1]).status == 0
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    ended = lorewright(*command)
    assert ended.status == 1
    assert "contains notes.txt, which training did not write; move it away" in ended.err
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_texts_that_are_learnt_are_not_measured_on(trained: Path) -> None:
    command = ["classifier", "train", trained / "intents.csv", trained / "x", *QUICK, "--held-out"]
    other = trained / "copy.csv"
    other.write_text(CSV, encoding="utf-8")
    ended = lorewright(*command, other)
    assert ended.status == 1
    assert "16 of the 16 texts in" in ended.err
    assert "16 of the 16 texts in" in lorewright(*command, trained / "intents.csv").err, "nor on the file itself"
    assert not (trained / "x").exists()


@pytest.mark.slow
def test_an_encoder_of_a_folder_is_found_from_everywhere(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lorewright("classifier", "merge", trained / "intents", trained / "encoder").status == 0
    monkeypatch.chdir(trained)
    command = ["classifier", "train", "intents.csv", "fourth", "--encoder", "encoder", "--max-steps", "2"]
    assert lorewright(*command).status == 0
    monkeypatch.chdir(tmp_path)
    assert lorewright("classifier", "ask", trained / "fourth", "what is 60 plus 7").status == 0
    gone = lorewright("classifier", "ask", trained / "nowhere", "what is 60 plus 7")
    assert "nowhere does not exist; give the folder of a finished adapter" in gone.err


def test_it_becomes_one_model(trained: Path) -> None:
    ended = lorewright("classifier", "merge", trained / "intents", trained / "merged")
    assert ended.status == 0, ended.err
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in (trained / "merged").iterdir()}


def test_words_are_tagged(trained: Path) -> None:
    lines = [
        {"tokens": ["we", "train", name, "today"], "tags": ["O", "O", "B-METHOD", "O"]}
        for name in ("LoRA", "DoRA", "AdaLoRA", "IA3", "PiSSA", "QLoRA")
    ]
    file = trained / "tags.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    ended = lorewright("classifier", "train", file, trained / "tags", *QUICK, "--held-out-share", "0")
    assert ended.status == 0, ended.err
    asked = lorewright("classifier", "ask", trained / "tags", "we train LoRA today")
    assert [pair.rsplit("/", 1)[0] for pair in asked.out.split()] == ["we", "train", "LoRA", "today"]
    assert all(pair.rsplit("/", 1)[1] in ("O", "B-METHOD") for pair in asked.out.split())


def test_help_names_no_key_that_has_one_value(trained: Path) -> None:
    told = lorewright("classifier", "train", "--help").out
    assert "--per-device-train-batch-size" in told
    assert "--quantization" not in told
    assert "--data " not in told
    assert "domain.toml" not in told
