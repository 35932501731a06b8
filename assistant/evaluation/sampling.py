"""Selects the questions of an evaluation that does not ask all of them."""

from collections.abc import Sequence
from itertools import groupby

from assistant.inputs import sha256_of
from domain import Question


def balanced(questions: Sequence[Question], count: int) -> list[Question]:
    """``count`` of the questions (0: all), always the same ones, with each language and kind (answerable or not) in the
    same proportion as in the file."""
    if not count or count >= len(questions):
        return list(questions)

    def kind(question: Question) -> tuple[str, bool]:
        return question.language or "", question.answerable

    placed: list[tuple[float, Question]] = []
    for _, group in groupby(sorted(questions, key=lambda q: (kind(q), sha256_of([q.id]))), key=kind):
        members = list(group)
        placed += [((position + 0.5) / len(members), question) for position, question in enumerate(members)]
    return [question for _, question in sorted(placed, key=lambda pair: pair[0])[:count]]
