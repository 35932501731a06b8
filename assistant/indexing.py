"""Indexing a domain as a user means it: follow the folder, then fit the refusal thresholds to what is there now."""

from collections.abc import Callable

from assistant.refusal import fit_refusal
from domain import Domain, read_questions
from indexes import Index, UpdateReport


def update_index(
    domain: Domain, rebuild: bool = False, progress: Callable[[str, int, int], None] = lambda *_: None
) -> UpdateReport:
    """Bring the index of the domain up to date and, if documents or training questions changed, the thresholds."""
    questions = read_questions(domain.train_questions) if domain.train_questions.is_file() else []
    with Index.open(domain) as index:
        report = index.update(rebuild, lambda done, total, _: progress("indexing (bytes)", done, total))
        fit_refusal(index, questions, progress)
    return report
