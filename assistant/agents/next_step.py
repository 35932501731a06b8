"""Which tool comes next: what the words of a question and the results so far leave possible.

The 0.5B model, asked which of five tools comes next, was right for 14 of 30 questions (docs/design.md). So it is given
the one that can help: a calculator needs numbers, a table must be named, a date must be there. The model writes the
arguments.
"""

import re
from collections.abc import Mapping, Sequence, Set

from langchain_core.messages import ToolMessage

from assistant.answering.checks import asks_for_a_number
from assistant.answering.pipeline import Found

DATE = r"\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}(?:\s*[日号])?"
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])(?<![A-Za-z]-)\d[\d,]*(?:\.\d+)?(?![\d.]*[A-Za-z_])(?!-[A-Za-z])")
_SIGN = re.compile(r"[-+*/×÷^%]|乘以?|加上?|减去?|除以|plus|minus|times|divided by|百分之", re.IGNORECASE)
_ARITHMETIC = re.compile(
    r"what is|what's|how much|calculate|compute|the result|please|of|is|计算|一下|等于|是|多少|几|请|算|的|"
    + _SIGN.pattern,
    re.IGNORECASE,
)
"""Words of a question that is nothing but arithmetic."""
_DAYS = re.compile(
    r"how many days|which (?:date|day)|what (?:date|day)|what's|days?|date|there|are|is|it|lie|between|and|from|to|"
    r"until|"
    r"after|before|later|earlier|ago|please|几天|多少天|天数|相差|相隔|间隔|之间|之后|之前|以后|以前|哪一?天|几号|一共|"
    r"请问|计算|多少|天|是|有|从|到|至|和|与|的|后|前|隔|差",
    re.IGNORECASE,
)
"""Words of a question that is about nothing but dates."""
OTHER_LETTERS = 4
"""Letters besides those words that such a question may have. Chosen."""
_ASKS_DAYS = re.compile(r"\bdays?\b|\bdate\b|天|几号", re.IGNORECASE)
_RESULT = re.compile(r"\bfactor\b|calculat|comput|计算|几倍|算", re.IGNORECASE)
_TABLE = re.compile(r"\btables?\b|\brows?\b|\bcolumns?\b|表格|表[“「『\"'《 ]|[几哪多每一]少?[行列]", re.IGNORECASE)
MOST_QUERIES = 2
"""Queries of the tables for one question: the second one corrects an error of the first."""


def numbers_in(question: str) -> list[str]:
    """The numbers of a question in order, without those inside of names (nf4, GPT-3) and of dates."""
    text = re.sub(DATE, " ", question)
    text = re.sub(r"(?<=\d)\s*[×xX]\s*(?=\d)", " ", text)
    text = re.sub(r"(?i)\b(rank|alpha|size|top|batch|step|layer)s?-(?=\d)", r"\1 ", text)
    return [number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)]


def dates_in(question: str) -> list[str]:
    """The dates of a question, as they are written."""
    return re.findall(DATE, question)


def next_tool(
    question: str, results: Sequence[ToolMessage], offered: Set[str], tables: Mapping[str, Sequence[str]]
) -> str:
    """The name of the offered tool that comes next; empty when it is time to answer.

    ``tables`` has the columns of each table.
    """
    used = [result.name for result in results]
    possible = ""
    if not results:
        possible = _first_tool(question, tables)
        possible = possible if possible in offered else "search_documents"
    elif used[-1] == "query_table" and not answers(results[-1]):
        possible = "query_table" if used.count("query_table") < MOST_QUERIES else "search_documents"
    elif used == ["search_documents"] and answers(results[-1]) and asks_for_a_calculation(question):
        possible = "calculator"
    return possible if possible in offered else ""


def _first_tool(question: str, tables: Mapping[str, Sequence[str]]) -> str:
    dates = dates_in(question)
    if dates and _ASKS_DAYS.search(question) and _is_only(question, _DAYS):
        if len(dates) == 2:
            return "days_between"
        if len(dates) == 1 and len(numbers_in(question)) == 1:
            return "add_days"
    if is_arithmetic(question):
        return "calculator"
    return "query_table" if asks_a_table(question, tables) else "search_documents"


def is_arithmetic(question: str) -> bool:
    """Whether a question has two numbers, a sign, and nothing else to look up."""
    text = re.sub(DATE, " ", question)
    return len(re.findall(r"\d+", text)) > 1 and bool(_SIGN.search(text)) and _is_only(question, _ARITHMETIC)


def asks_for_a_calculation(question: str) -> bool:
    """Whether a question asks for an amount and has the numbers to calculate it from."""
    return len(numbers_in(question)) > 1 and bool(asks_for_a_number(question) or _RESULT.search(question))


def _is_only(question: str, words: re.Pattern[str]) -> bool:
    """Whether a question has hardly a letter besides its dates and these words."""
    rest = words.sub(" ", re.sub(DATE, " ", question))
    return len(re.findall(r"[A-Za-z\u4e00-\u9fff]", rest)) <= OTHER_LETTERS


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
