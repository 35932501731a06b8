"""Worker process for the multi-process and kill tests: one JSON object per line, in and out.

    {"update": true}                      -> {"done": "update"}
    {"add": {"id": "text", ...}}          -> {"done": "add"}
    {"delete": ["id", ...]}               -> {"done": "delete"}
    {"search": [["question", "mode"], ...]} -> {"found": [[text, ...], ...]}

Vectors are LangChain's deterministic random numbers, equal for equal texts: the tests check storage, and a real
embedder takes seconds to load.
"""

import json
import sys
from pathlib import Path
from typing import Any

import indexes.update
from indexes import GivenText, Index, IndexingError
from indexes.langchain_embeddings import EmbedderOfLangChain


def embedder() -> Any:
    from langchain_core.embeddings import DeterministicFakeEmbedding

    return EmbedderOfLangChain(DeterministicFakeEmbedding(size=16))


def answer(index: Index, request: dict[str, Any]) -> dict[str, Any]:
    if "update" in request:
        report = index.update()
        return {"done": "update", "failed": report.failed}
    if "add" in request:
        index.add([GivenText(id_, text) for id_, text in request["add"].items()])
        return {"done": "add"}
    if "delete" in request:
        index.delete(request["delete"])
        return {"done": "delete"}
    found = [index.search(question, 5, mode) for question, mode in request["search"]]
    return {"found": [[passage.text for passage in passages] for passages in found]}


def main() -> None:
    indexes.update.GROUP_PASSAGES = 4  # so that an update has many steps at which it can be killed
    index = Index.open(Path(sys.argv[1]), embedder())
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(index, json.loads(line))
        except IndexingError as error:
            reply = {"error": str(error)}
        print(json.dumps(reply, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
