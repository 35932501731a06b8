"""The arguments of a tool: read from the question if they stand there, else written by the model within a grammar."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.agents.next_step import dates_in, numbers_in
from assistant.agents.sql_grammar import sql_grammar
from assistant.answering.pipeline import Found
from base_models.constraints import lark_grammar

FORMULA_PASSAGES = 2
"""Passages that the model reads for a formula. Chosen: with more, the 0.5B model takes a formula of another one."""

CALCULATE = [
    (
        "system",
        "Write the arithmetic expression whose value answers the question. Use the formula in the passage, if there is "
        "one, with the numbers of the question.",
    ),
    (
        "user",
        "Passage: The area of a ring is 3.14159 · (R·R − r·r).\n\nQuestion: What is the area of a ring with R = 5 and "
        "r = 3?",
    ),
    ("assistant", "3.14159 * (5 * 5 - 3 * 3)"),
    (
        "user",
        "Passage: A frame with a border b around a picture of w × h takes b·(w + h) of wood; for 3 × 4 and b = 2 that "
        "is 14.\n\nQuestion: How much wood does a frame with border 5 take for a 6 x 7 picture?",
    ),
    ("assistant", "5 * (6 + 7)"),
    ("user", "Passage: 总价 = 单价 × 数量 + 运费。\n\nQuestion: 单价 12 元，数量 30，运费 8 元，总价是多少？"),
    ("assistant", "12 * 30 + 8"),
    ("user", "Question: What is 5 % of 80?"),
    ("assistant", "5 / 100 * 80"),
]
QUERY = [
    (
        "system",
        "Write one DuckDB SELECT that answers the question. The tables:\n{tables}",
    ),
    ("user", "In the table {table}, what are all rows?"),
    ("assistant", "SELECT * FROM {table}"),
]


@dataclass(frozen=True)
class Written:
    """A request to the model for the arguments of a tool."""

    messages: list[tuple[str, str]]
    grammar: str
    max_tokens: int
    read: Callable[[str], dict[str, Any]]
    """The arguments in what the model wrote."""


def fixed_arguments(name: str, question: str) -> dict[str, Any] | None:
    """The arguments that stand in the question: its dates, and a number of days."""
    if name == "days_between":
        first, second = dates_in(question)
        return {"first": first, "second": second}
    if name == "add_days":
        (day, *_), days = dates_in(question), numbers_in(question)
        earlier = re.search(r"\bbefore\b|\bago\b|\bearlier\b|之前|以前|前", question)
        return {"start": day, "days": (-1 if earlier else 1) * int(days[0])} if days and days[0].isdigit() else None
    return None


def written_arguments(
    name: str,
    question: str,
    found: Found | None,
    tables: str,
    columns: Mapping[str, Sequence[str]],
    failures: Sequence[str],
) -> Written:
    """What to ask the model for the arguments of ``calculator`` or ``query_table``.

    ``found`` has the passages with a formula, ``tables`` the text of ``list_tables``, ``columns`` the columns of
    each table; ``failures`` are what the tool
    said of earlier attempts.
    """
    if name == "query_table":
        table = tables.split(" ", 1)[0]
        messages = [(role, text.replace("{tables}", tables).replace("{table}", table)) for role, text in QUERY]
        wrong = "".join(f"\n\nAn earlier attempt failed: {failure}" for failure in failures)
        messages.append(("user", question + wrong))
        return Written(messages, sql_grammar(columns), 120, lambda said: {"sql": said})
    passages = found.shown[:FORMULA_PASSAGES] if found else []
    read = "".join(f"Passage: {passage.text}\n\n" for passage in passages)
    numbers = numbers_in(question)
    numbers += ["100"] if "%" in question or "百分" in question else []
    listed = " | ".join(json.dumps(number) for number in sorted(set(numbers), key=len, reverse=True))
    grammar = lark_grammar(
        f'start: sum\nsum: item (" " /[-+*\\/]/ " " item){{0,{len(numbers) - 1}}}\n'
        f'item: number | "(" sum ")"\nnumber: {listed}'
    )
    asked = ("user", f"{read}Question: {question}")
    return Written([*CALCULATE, asked], grammar, 60, lambda said: {"expression": said})
