"""Compares fine-tuning methods on the sample domain: gain on held-out questions, and forgetting.

    python benchmarks/methods.py FOLDER [--max-train-tokens 75000] [--only lora,qlora-replay]

FOLDER is a copy of the sample domain, created or resumed. Every run in it is trained and evaluated with the commands of
the user. Each method is trained twice, without replay and with a tenth of replay, on the same number of tokens.
Finished steps are not repeated. The base model and every adapter answer all 80 held-out questions in all four cells;
adapters of a packed base are loaded on the unpacked one, as in the assistant. Takes more than an hour on two cores.
Results go to benchmarks/results/methods.json.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from hardware import hardware

from domain import write_text

SAMPLE = Path(__file__).parent.parent / "examples" / "peft-handbook"
METHODS = {
    "lora": ["--method", "lora"],
    "qlora": ["--method", "lora", "--quantization", "nf4"],
    "p-tuning-v2": ["--method", "p-tuning-v2", "--learning-rate", "0"],
}
REPLAY = {"": "0", "-replay": "0.1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--max-train-tokens", type=int, default=75000)
    parser.add_argument("--questions", type=int, default=80, help="how many held-out questions are asked")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "methods.json")
    parser.add_argument("--only", default="", help="names of runs, with commas between them; the others are left out")
    arguments = parser.parse_args()
    domain = arguments.folder.resolve()
    if not domain.exists():
        shutil.copytree(SAMPLE, domain)
    lorewright("index", domain)
    rows = {}
    for suffix, share in REPLAY.items():
        for method, flags in METHODS.items():
            run = method + suffix
            if not arguments.only or run in arguments.only.split(","):
                bound = ["--max-train-tokens", str(arguments.max_train_tokens)]
                lorewright("finetune", domain, "--run", run, *flags, *bound, "--replay-share", share)
                lorewright("evaluate", domain, "--adapter", run, "--questions", arguments.questions)
            if (domain / "adapters" / run).exists():
                rows[run] = row(domain, run, arguments.questions)
    result = {
        "format": 1,
        "base_model": next(iter(rows.values()))["base_model"],
        "max_train_tokens": arguments.max_train_tokens,
        "runs": rows,
        "hardware": hardware(),
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "peft", "bitsandbytes")},
    }
    write_text(arguments.out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {arguments.out}")


def lorewright(*arguments: object) -> None:
    """Run the command as a user would."""
    print("lorewright", *arguments, flush=True)
    program = [sys.executable, "-c", "from assistant.cli import main; main()"]
    subprocess.run([*program, *map(str, arguments)], check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})


def row(domain: Path, run: str, questions: int) -> dict[str, object]:
    """The compared values of one run, from its report and its evaluation."""
    report = json.loads((domain / "adapters" / run / "report.json").read_text(encoding="utf-8"))
    manifest = json.loads((domain / "adapters" / run / "manifest.json").read_text(encoding="utf-8"))
    evaluated = json.loads((domain / "evaluations" / f"{run}-{questions}.json").read_text(encoding="utf-8"))
    return {
        "base_model": evaluated["base_model"],
        "config": manifest["config"],
        "examples": report["examples"],
        "tokens": report["tokens"],
        "steps": len(report["steps"]),
        "seconds": report["seconds"],
        "peak_memory_bytes": report["peak_memory_bytes"],
        "trained_parameters": report["trained_parameters"],
        "table": evaluated["table"],
        "gain": evaluated["gain"],
        "likelihood": evaluated["likelihood"],
        "verdict": evaluated["verdict"],
    }


if __name__ == "__main__":
    main()
