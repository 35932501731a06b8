"""Reading data: converts questions about paragraphs, as in SQuAD, CMRC 2018 and DRCD, to a domain.

One JSON object per line. ``answers`` are spans of ``context``; they are empty if it does not answer the question.

.. code-block:: json

    {"language": "en", "title": "Tea", "context": "Green tea is steeped at 80 degrees, black tea at 100.",
     "question": "How hot for green tea?", "answers": ["80 degrees"], "answerable": true, "source": "squad2:1"}

Each paragraph becomes a document under its title, so that other paragraphs of that title are hard negatives. An
assistant answers in sentences, so a span becomes a sentence that restates the question with it (``restating.py``), or
else the sentence around it. The span itself, if it is short, is the fact that a right answer must state.
"""

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.errors import AssistantError
from assistant.reader.restating import restated
from domain import Domain, create_domain, set_setting, write_text
from indexes import language_of, sentences_of, words_of

LONG = {"zh": 60, "en": 220}
"""Characters above which a sentence is cut to the clauses around the span. Chosen."""
CLAUSE = {"zh": 12, "en": 40}
"""Minimum characters of these clauses. Chosen."""
FACT = {"zh": 20, "en": 60}
"""Maximum characters of a span used as a fact: nobody repeats a whole sentence word for word. Chosen."""
PASSAGE_TOKENS, CONTEXT_TOKENS = 160, 360
"""Shorter than in a user's domain (300 and 600), because reading them is most of the cost of training. Chosen."""
_CLAUSE_END = re.compile(r"(?<=[，；])|(?<=[,;])(?=\s)")


@dataclass(frozen=True)
class ReadingQuestion:
    """One question about one paragraph."""

    id: str
    title: str
    context: str
    question: str
    answers: tuple[str, ...]
    """Spans of ``context``, or the same in other words; empty if it does not answer."""


def read_reading_data(path: Path) -> list[ReadingQuestion]:
    """Read a file in the format above; raises an :class:`AssistantError` that names the line. Records with an empty
    question or paragraph are skipped."""
    questions = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise AssistantError(f"{path} does not exist; give a file of questions about paragraphs.") from None
    except (OSError, UnicodeDecodeError):
        raise AssistantError(f"{path} cannot be read; save it as UTF-8 text.") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            answers = tuple(map(str, record["answers"])) if record["answerable"] else ()
            title, context, question = (str(record[key]) for key in ("title", "context", "question"))
        except (ValueError, KeyError, TypeError) as error:
            raise AssistantError(
                f"{path}, line {number}: not a question about a paragraph ({error}); it needs title, context, "
                "question, answers and answerable."
            ) from None
        if record["answerable"] and not answers:
            raise AssistantError(f"{path}, line {number}: an answerable question needs at least one answer.")
        if context.strip() and question.strip():
            questions.append(ReadingQuestion(f"{number:06}", title, context, question, answers))
    if not questions:
        raise AssistantError(f"{path} has no questions; add some, see docs/readers.md for the format.")
    return questions


def of_some_titles(questions: Sequence[ReadingQuestion], count: int, seed: int) -> list[ReadingQuestion]:
    """About ``count`` of the questions (0: all), each language in proportion, in file order.

    Titles are drawn by ``seed`` and kept together, because the hard negatives are other paragraphs of the same title.
    """
    if not count:
        return list(questions)
    titles = sorted({question.title for question in questions})
    random.Random(seed).shuffle(titles)
    order = {title: place for place, title in enumerate(titles)}
    chosen: list[ReadingQuestion] = []
    for language in ("en", "zh"):
        those = sorted((one for one in questions if language_of(one.context) == language), key=lambda q: order[q.title])
        chosen += those[: round(count * len(those) / len(questions))]
    return sorted(chosen, key=lambda question: question.id)


def write_reading_domain(
    folder: Path, base_model: str, train: Sequence[ReadingQuestion], held_out: Sequence[ReadingQuestion]
) -> Domain:
    """Create a domain from the paragraphs and questions of both sets."""
    domain = create_domain(folder, base_model=base_model)
    set_setting(domain.settings_file, "retrieval.passage_tokens", PASSAGE_TOKENS)
    set_setting(domain.settings_file, "retrieval.context_tokens", CONTEXT_TOKENS)
    headings = {question.context: " ".join(question.title.split()) for question in [*train, *held_out]}
    documents = {text: f"{number:05}.md" for number, text in enumerate(headings, start=1)}
    for text, heading in headings.items():
        write_text(domain.documents / documents[text], f"# {heading}\n\n{text}\n")
    for file, questions in ((domain.train_questions, train), (domain.held_out_questions, held_out)):
        write_text(file, "".join(_line(question, documents[question.context]) for question in questions))
    return Domain.open(folder)


def sentence_around(question: ReadingQuestion) -> str:
    """The sentence of the paragraph that contains the answer; for a long sentence, the clauses around the span.

    If the span occurs in several sentences, the one that shares most words with the question is used. An answer that is
    not a span is returned as it is.
    """
    asked = set(words_of(question.question))
    ends = _places(question.context, sentences_of(question.context))
    spans = [
        (match.start(), match.end())
        for answer in question.answers
        for match in re.finditer(re.escape(answer), question.context)
    ]
    if not spans:
        return question.answers[0]
    sentences = [(_around(ends, start, end), (start, end)) for start, end in spans]
    (first, last), (start, end) = max(
        sentences, key=lambda pair: len(asked & set(words_of(question.context[pair[0][0] : pair[0][1]])))
    )
    language = language_of(question.context)
    if last - first > LONG[language]:
        clauses = _places(question.context[first:last], _CLAUSE_END.split(question.context[first:last]))
        clauses = [(first + one, first + other) for one, other in clauses]
        shorter, last = _around(clauses, start, end)
        before = [one for one, _ in clauses if one < shorter]
        while before and last - shorter < CLAUSE[language]:
            shorter = before.pop()
        first = shorter
    text = question.context[first:last].strip().rstrip("，；,;")
    return text if re.search(r"[.。!！?？]['\"”’」』)）]*$", text) else text + ("。" if language == "zh" else ".")


def _places(text: str, parts: Iterable[str]) -> list[tuple[int, int]]:
    places, start = [], 0
    for part in parts:
        places.append((start, start + len(part)))
        start += len(part)
    return places


def _around(places: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Start of the first and end of the last part that a span overlaps."""
    touched = [(one, other) for one, other in places if one < end and other > start]
    return touched[0][0], touched[-1][1]


def _line(question: ReadingQuestion, document: str) -> str:
    language = language_of(question.question)
    answer = {"zh": "资料里没有。", "en": "Not said."}[language]
    if question.answers:
        answer = restated(question.question, question.answers[0]) or sentence_around(question)
    facts = [fact for fact in dict.fromkeys(question.answers) if len(fact) <= FACT[language]]
    record = {
        "id": question.id,
        "language": language,
        "answerable": bool(question.answers),
        "document": document if question.answers else None,
        "messages": [{"role": "user", "content": question.question}, {"role": "assistant", "content": answer}],
        "facts": [facts] if facts else [],
    }
    return (
        json.dumps({key: value for key, value in record.items() if value not in (None, [])}, ensure_ascii=False) + "\n"
    )
