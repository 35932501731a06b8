"""What several test files of this room write down in the same way."""

import json
from pathlib import Path


def write_questions(path: Path, rows: list[dict]) -> None:
    """Write a question file, one JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
