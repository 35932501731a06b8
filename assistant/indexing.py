"""Indexing a domain as a user means it: follow the folder, then fit the refusal thresholds to what is there now."""

from collections.abc import Callable

from assistant.answering.calibration import fit_refusal
from domain import Domain, read_questions
from indexes import Index, UpdateReport


def update_index(
    domain: Domain, rebuild: bool = False, progress: Callable[[str, int, int], None] = lambda *_: None
) -> UpdateReport:
    """Bring the index of the domain up to date and, if documents or training questions changed, the thresholds."""
    with Index.open(domain) as index:
        report = index.update(rebuild, lambda done, total, _: progress("indexing (bytes)", done, total))
        calibrate(index, progress)
    return report


def calibrate(index: Index, progress: Callable[[str, int, int], None] = lambda *_: None) -> None:
    """Fit the refusal thresholds to the training questions that the index's domain has now, if they changed."""
    file = index.domain.train_questions
    fit_refusal(index, read_questions(file) if file.is_file() else [], progress)
