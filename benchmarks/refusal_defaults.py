"""Fits the refusal thresholds of the smallest domains (``assistant/refusal_defaults.json``) on the sample domain.

    python benchmarks/refusal_defaults.py

They tell the sample's answerable questions from questions of everyday life. Run it again when the figures in
``indexes/evidence.py`` or the sample's questions change; a test compares the file with a new fit.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import assistant
from assistant.refusal import everyday_questions, fit_by_language
from assistant.training import search_text
from domain import Domain, read_questions, set_setting
from indexes import Index

SAMPLE = Path(__file__).parents[1] / "examples" / "peft-handbook"
EMBEDDERS = ("multilingual-e5-small", "all-minilm-l6-v2")


def fit(embedder: str) -> dict[str, dict[str, Any]]:
    """The fits of the sample domain with one embedder, by language."""
    # on every machine in the same type: bfloat16, where it is faster, would fit others
    float32 = patch("base_models.hardware._fastest_cpu_dtype", lambda: "float32")
    with float32, tempfile.TemporaryDirectory() as folder:
        domain = Domain.open(shutil.copytree(SAMPLE, Path(folder) / "sample"))
        set_setting(domain.settings_file, "embedder", embedder)
        with Index.open(domain.path) as index:
            index.update()
            questions = read_questions(domain.train_questions)
            answerable = [(search_text(question), True) for question in questions if question.answerable]
            return fit_by_language(index, [*answerable, *((line, False) for line in everyday_questions())])


def main() -> None:
    written = {}
    for embedder in EMBEDDERS:
        fits = fit(embedder)
        for language, found in fits.items():
            print(
                f"{embedder}, {language}: answers {found['false_answers']:.2f} of everyday life, "
                f"refuses {found['false_refusals']:.2f} of the sample's"
            )
        written[embedder] = {
            language: {
                "weights": [round(weight, 3) for weight in found["weights"]],
                "intercept": round(found["intercept"], 3),
            }
            for language, found in fits.items()
        }
    file = Path(assistant.__file__).with_name("refusal_defaults.json")
    file.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(f"written: {file}")


if __name__ == "__main__":
    main()
