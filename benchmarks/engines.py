"""Compares the speed of generation: OpenVINO, transformers, LangChain's HuggingFacePipeline and llama.cpp.

    python benchmarks/engines.py [--model NAME] [--peer-python .venv-peer/bin/python] [--rounds 3]

All get the same prompts and decode greedily to a fixed length: a question after passages of the sample domain, then the
next turn of the conversation. OpenVINO also answers eight questions at once, with passages and without. Each subject
runs in its own process; the subjects alternate. Medians are reported. Results go to
benchmarks/results/engines-CAPABILITY.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hardware import hardware

from base_models import CATALOGUE, fetch
from base_models.acquire.fetch import cache_folder
from base_models.loading import load_tokenizer
from domain import write_text

SAMPLE = Path(__file__).parent.parent / "examples" / "peft-handbook" / "documents" / "en"
PASSAGE_CHARACTERS = 2600
"""About 600 tokens."""
OURS = ("transformers", "openvino")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--peer-python", help="an interpreter with langchain-huggingface and xllamacpp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="instead of benchmarks/results/engines-CAPABILITY.json")
    arguments = parser.parse_args()
    pythons = dict.fromkeys(OURS, sys.executable)
    if arguments.peer_python:
        pythons |= dict.fromkeys(("HuggingFacePipeline", "llama.cpp"), arguments.peer_python)
    rounds: dict[str, list[dict[str, float]]] = {subject: [] for subject in pythons}
    for number in range(arguments.rounds):
        for subject, python in pythons.items():
            rounds[subject].append(measure(subject, python, arguments.model))
            told = ", ".join(f"{name} {value:.2f}" for name, value in rounds[subject][-1].items())
            print(f"round {number + 1}, {subject}: {told}", flush=True)
    medians = {
        subject: {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
        for subject, rows in rounds.items()
    }
    facts = hardware()
    result = {
        "format": 1,
        "model": arguments.model,
        "rounds": rounds,
        "medians": medians,
        "hardware": facts,
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "openvino")},
    }
    file = arguments.out or Path(__file__).parent / "results" / f"engines-{facts['cpu_capability']}.json"
    write_text(file, json.dumps(result, indent=1) + "\n")
    print(json.dumps(medians, indent=1))


def measure(subject: str, python: str, model: str) -> dict[str, float]:
    """One round of one subject, in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        given, told = Path(folder) / "in.json", Path(folder) / "out.json"
        given.write_text(json.dumps(work_of(model) | {"subject": subject}), encoding="utf-8")
        peer = Path(__file__).with_name("engines_peer.py")
        subprocess.run([python, str(peer), str(given), str(told)], check=True, stdout=subprocess.DEVNULL, timeout=1800)
        return json.loads(told.read_text(encoding="utf-8"))


def work_of(model: str) -> dict[str, Any]:
    """Prompts as text in the model's chat format, and the location of the weights."""
    tokenizer = load_tokenizer(model)
    pages = [file.read_text(encoding="utf-8")[:PASSAGE_CHARACTERS] for file in sorted(SAMPLE.glob("*.md"))[:9]]
    questions = [f"{page}\n\nWhat does this page recommend, and why?" for page in pages]

    def prompt(messages: list[dict[str, str]]) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    asked = [{"role": "user", "content": questions[0]}]
    entry = CATALOGUE[model]
    return {
        "model": model,
        "folder": str(fetch(model)),
        "gguf": str(cache_folder() / "files" / entry.files[0].sha256) if entry.conversion == "gguf" else "",
        "first": prompt(asked),
        "next_prompt": prompt(
            [*asked, {"role": "assistant", "content": "{answer}"}, {"role": "user", "content": "Say it shorter."}]
        ),
        "users": [prompt([{"role": "user", "content": question}]) for question in questions[1:9]],
        "short_alone": prompt([{"role": "user", "content": pages[0][:150]}]),
        "short": [prompt([{"role": "user", "content": page[:150]}]) for page in pages[1:9]],
    }


if __name__ == "__main__":
    main()
