"""How often the agent succeeds: 30 tasks over the sample domain and two tables, in Chinese and English.

    python benchmarks/agent_tasks.py examples/peft-handbook [--model NAME] [--adapter FOLDER]

A task is done if what the model wrote (or, where its text was left out, the quotes) matches every regular expression of
the task; where nothing needs to be looked up, without a search; an impossible task is done if it is refused. Results:
``results/agent.json``, with the tool calls of each task.
"""

import argparse
import json
import re
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from hardware import hardware

from assistant import Assistant
from assistant.answers import KEY, outcome_of
from assistant.indexing import update_index
from domain import Domain, set_setting

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", type=Path, help="the sample domain; it is copied, and the tables are added")
    parser.add_argument("--model", help="another chat model than the domain's")
    parser.add_argument("--adapter", default="", help="the adapter that answers")
    parser.add_argument("--only", default="", help="only tasks whose kind or question contains this text")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "agent.json")
    arguments = parser.parse_args()
    tasks = [json.loads(line) for line in (HERE / "agent" / "tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    tasks = [task for task in tasks if arguments.only in task["kind"] + task["question"]]
    with tempfile.TemporaryDirectory() as work:
        folder = shutil.copytree(arguments.domain, Path(work) / "domain")
        for table in (HERE / "agent").glob("*.csv"):
            shutil.copy(table, folder / "documents")
        if arguments.model:
            set_setting(folder / "domain.toml", "base_model", arguments.model)
        domain = Domain.open(folder)
        update_index(domain)
        assistant = Assistant.open(folder)
        done = [run(assistant, task) for task in tasks]
        model = domain.settings.base_model
        assistant.close()
    rates: dict[str, list[bool]] = defaultdict(list)
    for task in done:
        rates[task["kind"]].append(task["done"])
    by_kind = {kind: f"{sum(rate)}/{len(rate)}" for kind, rate in rates.items()}
    total = sum(task["done"] for task in done)
    result = {
        "version": 1,
        "hardware": hardware(),
        "model": model,
        "table": by_kind,
        "done": total,
        "tasks": done,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(by_kind, ensure_ascii=False), f"{total} of {len(done)}")


def run(assistant: Assistant, task: dict[str, Any]) -> dict[str, Any]:
    """One task: what the agent called and said, and whether that is right."""
    started = time.monotonic()
    messages = assistant.agent.invoke({"messages": [("user", task["question"])]})["messages"]
    last = messages[-1]
    calls = [
        [call["name"], call["args"]] for message in messages for call in getattr(message, "tool_calls", None) or []
    ]
    kept = last.additional_kwargs.get(KEY)
    refused = bool(kept) and outcome_of(kept) == "refused"
    own = (kept or {}).get("written") or last.text
    matched = all(re.search(pattern, own) for pattern in task["answer"]) and not refused
    searched = any(name == "search_documents" for name, _ in calls)
    done = refused if task["kind"] == "impossible" else matched and not (searched and task["kind"] == "no search")
    print(f"{'done' if done else 'MISS'}  {task['question']}\n      {calls}\n      {last.text[:200]!r}", flush=True)
    return {**task, "done": done, "calls": calls, "said": last.text, "seconds": round(time.monotonic() - started, 1)}


if __name__ == "__main__":
    main()
