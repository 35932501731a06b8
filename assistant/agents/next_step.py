"""Which tool may come next: what the words of a question and the results so far leave possible.

The 0.5B model, asked which of five tools comes next, was right for 14 of 30 questions (docs/design.md). So it is given
the one that can help: a calculator needs numbers, a table must be named, a date must be there. The model writes the
arguments.
"""

import re
from collections.abc import Mapping, Sequence, Set

from langchain_core.messages import ToolMessage

from assistant.answering.pipeline import Found

DATE = r"\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}(?:\s*[日号])?"
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])(?<![A-Za-z]-)\d[\d,]*(?:\.\d+)?(?![\d.]*[A-Za-z_])(?!-[A-Za-z])")
_SIGN = re.compile(r"[-+*/×÷^%]|乘以?|加上?|减去?|除以|plus|minus|times|divided by|百分之", re.IGNORECASE)
_ASKING = re.compile(
    r"what is|what's|how much|calculate|compute|the result|please|of|is|计算|一下|等于|是|多少|几|请|算|的|"
    + _SIGN.pattern,
    re.IGNORECASE,
)
"""Words of a question that is nothing but arithmetic."""
OTHER_LETTERS = 4
"""Letters besides :data:`_ASKING` that such a question may have. Chosen."""
_DAYS = re.compile(r"\bdays?\b|几天|多少天|天数|\bdate\b|哪天|哪一天", re.IGNORECASE)
_TABLE = re.compile(r"\btables?\b|\brows?\b|表格|表[“「『\"'《]|[行列]", re.IGNORECASE)
MOST_QUERIES = 2
"""Queries of the tables for one question: the second one corrects an error of the first."""


def numbers_in(question: str) -> list[str]:
    """The numbers of a question in order, without those inside of names (nf4, GPT-3) and of dates."""
    text = re.sub(DATE, " ", question)
    text = re.sub(r"(?<=\d)\s*[×xX]\s*(?=\d)", " ", text)
    text = re.sub(r"(?i)\b(rank|alpha|size|top|batch|step|layer)s?-(?=\d)", r"\1 ", text)
    found = [number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)]
    return found


def dates_in(question: str) -> list[str]:
    """The dates of a question, as they are written."""
    return re.findall(DATE, question)


def possible_tools(
    question: str, results: Sequence[ToolMessage], offered: Set[str], tables: Mapping[str, Sequence[str]]
) -> list[str]:
    """The names of the offered tools that may come next; none when it is time to answer.

    ``tables`` has the columns of each table.
    """
    used = [result.name for result in results]
    possible: list[str] = []
    if not results:
        if len(dates_in(question)) == 2 and _DAYS.search(question):
            possible.append("days_between")
        elif dates_in(question) and _DAYS.search(question):
            possible.append("add_days")
        elif is_arithmetic(question):
            possible.append("calculator")
        elif asks_a_table(question, tables):
            possible.append("query_table")
    elif used[-1] == "query_table" and not answers(results[-1]):
        possible.append("query_table" if used.count("query_table") < MOST_QUERIES else "search_documents")
    elif used == ["search_documents"] and len(numbers_in(question)) > 1 and answers(results[-1]):
        possible.append("calculator")
    if not results and not any(name in offered for name in possible):
        possible.append("search_documents")
    return [name for name in possible if name in offered and (name == "query_table" or name not in used)]


def is_arithmetic(question: str) -> bool:
    """Whether a question has two numbers, a sign, and nothing else to look up."""
    text = re.sub(DATE, " ", question)
    others = re.findall(r"[A-Za-z\u4e00-\u9fff]", _ASKING.sub("", text))
    return len(re.findall(r"\d+", text)) > 1 and bool(_SIGN.search(text)) and len(others) <= OTHER_LETTERS


def asks_a_table(question: str, tables: Mapping[str, Sequence[str]]) -> bool:
    """Whether a question names a table, or says "table" and names a column."""
    text = question.lower()
    for name, columns in tables.items():
        named = re.search(rf"(?<![a-z0-9_]){re.escape(name.lower())}(?![a-z0-9_])", text)
        columns_named = [column for column in columns if column.lower().replace("_", " ") in text.replace("_", " ")]
        if _TABLE.search(question) and (named or columns_named):
            return True
    return False


def answers(result: ToolMessage) -> bool:
    """Whether a tool returned something to answer from."""
    if result.status == "error":
        return False
    if isinstance(result.artifact, Found):
        return result.artifact.outcome != "refused"
    return result.text != "No row fits."
