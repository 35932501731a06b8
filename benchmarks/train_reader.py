"""Trains the shipped readers again from their training data.

    python benchmarks/train_reader.py DATA WORK [--base-model NAME] [--questions N] [--seed N] [--ship]

DATA contains ``train.jsonl`` and ``held_out.jsonl``; docs/readers.md describes them, and they are not part of the
project. ``lorewright reader train`` creates a domain from them in WORK and trains, which takes an hour or two on two
cores; after an interruption, the same command resumes. ``--ship`` copies the adapter to base_models/readers/, with its
scores and licence.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from base_models.reader import READERS
from domain import whole_folder, write_text

SHIPPED = ("adapter_model.safetensors", "adapter_config.json", "manifest.json", "report.json", "figures.json")
LICENCE = """# Licence of these weights

CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/). They were trained on questions about passages from

- CMRC 2018 (ymcui/cmrc2018), CC BY-SA 4.0: trial and development set;
- DRCD (DRCKnowledgeTeam/DRCD), CC BY-SA 3.0: development and test set, turned into simplified characters;
- SQuAD 2.0, CC BY-SA 4.0: nine articles of the development set.

The base model keeps its own licence. `benchmarks/train_reader.py` makes them again.
"""


def main(
    data: Path,
    work: Path,
    base_model: Annotated[str, typer.Option(help="A chat model of the catalogue.")] = "qwen2.5-coder-0.5b-instruct",
    questions: Annotated[int, typer.Option(help="Learn from about so many; 0: all.")] = 2400,
    measured: Annotated[int, typer.Option(help="How many held-out questions are asked.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the choice of questions and of the run.")] = 42,
    ship: Annotated[bool, typer.Option("--ship", help="Copy the adapter into base_models/readers/.")] = False,
) -> None:
    command = [sys.executable, "-m", "assistant.cli", "reader", "train", str(data / "train.jsonl"), str(work)]
    command += ["--held-out", str(data / "held_out.jsonl"), "--base-model", base_model, "--seed", str(seed)]
    command += ["--questions", str(questions), "--measured", str(measured)]
    subprocess.run(command, check=True)
    if not ship:
        return
    trained, folder = work / "adapters" / "reader", READERS / base_model / "reader"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as partial:
        for name in SHIPPED:
            shutil.copyfile(trained / name, partial / name)
    write_text(folder.parent / "LICENSE.md", LICENCE)
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    typer.run(main)
