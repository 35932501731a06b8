"""Measures answers without the model: refusals, and quotes from the documents.

    python benchmarks/quotes.py measure DOMAIN [QUESTIONS...]
    python benchmarks/quotes.py choose DOMAIN

``measure`` asks questions with facts (``questions/held_out.jsonl``, or other files of the same format) and prints by
language of the question: how often the gold document comes first, and is in the retrieved passages; how many answerable
questions are refused, are answered as unsure, and have all their facts in the quoted sentences; how many unanswerable
ones are answered; and the same with the thresholds of an uncalibrated domain. ``choose`` prints, for the training
questions, the share with all facts in the quotes, for several numbers of quoted sentences and several handicaps of
later passages (``indexes.evidence.LATER_PASSAGE``).

``answers/`` contains our own questions in both languages, with facts: on a small shop (``answers/shop``) and on pages
that Debian packages as debian-faq, debian-faq-zh-cn, debian-handbook (English chapters 1, 4, 5, 6, 8, 9 and 14) and
debian-reference-zh-cn (chapters 1 to 6). The pages keep their own licences and must stay out of the project.
``document`` is the file name of a page, so put the pages of one package directly into ``documents/``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import typer

from assistant.answering.facts import missing_facts
from assistant.answering.pipeline import Asked, Found, decide, find, quotes_of, search, search_query
from assistant.answering.refusal import Refusal, default_fits
from domain import Domain, Question, read_questions
from indexes import Index

COUNTS = (1, 2, 3, 4, 5)
HANDICAPS = (0.0, 0.01, 0.02, 0.03)

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def measure(domain: Path, questions: Annotated[list[Path] | None, typer.Argument()] = None) -> None:
    """Print what is found, refused and quoted."""
    opened = Domain.open(domain)
    asked = [one for file in questions or [opened.held_out_questions] for one in read_questions(file)]
    with Index.open(opened) as index:
        refusal = Refusal.of(index)
        found = find(index, refusal, list(map(Asked.of, asked)))
        defaults = decide(replace(refusal, fits=default_fits(opened.settings.embedder)), found)
        rows = list(zip(asked, found, defaults, strict=True))
        for language in ("all", *sorted({one.language or "?" for one in asked})):
            mine = [row for row in rows if language in ("all", row[0].language or "?")]
            print(f"{language}: {', '.join(_told(index, mine))}")


def _told(index: Index, rows: Sequence[tuple[Question, Found, Found]]) -> Iterator[str]:
    good = [row for row in rows if row[0].answerable]
    bad = [row for row in rows if not row[0].answerable]
    ranks = [[passage.document for passage in found.passages] for _, found, _ in good]
    documents = [one.document for one, _, _ in good]
    yield f"{len(good)} answerable"
    yield f"gold document first {_share([d in r[:1] for d, r in zip(documents, ranks, strict=True)])}"
    yield f"among those found {_share([d in r for d, r in zip(documents, ranks, strict=True)])}"
    for name, calibrated in (("", True), ("not calibrated: ", False)):
        found_good = [(question, one if calibrated else other) for question, one, other in good]
        found_bad = [one if calibrated else other for _, one, other in bad]
        yield f"{name}refused {_share([found.outcome == 'refused' for _, found in found_good])}"
        yield f"unsure {_share([found.outcome == 'unsure' for _, found in found_good])}"
        quoted = [
            found.outcome != "refused"
            and not missing_facts("\n".join(said for said, _ in quotes_of(index, found)), question.facts)
            for question, found in found_good
            if question.facts
        ]
        yield f"right by the quotes alone {_share(quoted)}"
        yield f"of {len(bad)} unanswerable answered {_share([found.outcome != 'refused' for found in found_bad])}"
        yield f"answered unmarked {_share([found.outcome == 'answered' for found in found_bad])}"


def _share(rows: Sequence[bool]) -> str:
    return f"{sum(rows) / len(rows):.2f}" if rows else "-"


@app.command()
def choose(domain: Path) -> None:
    """Print what other numbers of sentences and other handicaps would give on the training questions."""
    opened = Domain.open(domain)
    asked = [question for question in read_questions(opened.train_questions) if question.facts]
    with Index.open(opened) as index:
        found = [passages[: opened.settings.retrieval.k] for passages in search(index, list(map(Asked.of, asked)))]
        for handicap in HANDICAPS:
            for count in COUNTS:
                with patch("indexes.evidence.LATER_PASSAGE", handicap):
                    quoted = [
                        "\n".join(said for said, _ in index.key_sentences(search_query(Asked.of(one)), passages, count))
                        for one, passages in zip(asked, found, strict=True)
                    ]
                right = [not missing_facts(text, one.facts) for one, text in zip(asked, quoted, strict=True)]
                length = sum(map(len, quoted)) // len(quoted)
                print(f"{count} sentences, handicap {handicap}: right {_share(right)}, {length} characters")


if __name__ == "__main__":
    app()
