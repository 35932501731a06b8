"""Updates the index of a domain, then fits the refusal thresholds to its current training questions."""

from collections.abc import Callable

from assistant.answering.calibration import fit_refusal
from domain import Domain, read_questions
from indexes import Index, UpdateReport


def update_index(
    domain: Domain, rebuild: bool = False, progress: Callable[[str, int, int], None] = lambda *_: None
) -> UpdateReport:
    """Update the index and, if documents or training questions changed, the refusal thresholds."""
    with Index.open(domain) as index:
        report = index.update(rebuild, lambda done, total, _: progress("indexing (bytes)", done, total))
        calibrate(index, progress)
    return report


def calibrate(index: Index, progress: Callable[[str, int, int], None] = lambda *_: None) -> None:
    """Fit the refusal thresholds to the current training questions of the index's domain, if they changed."""
    file = index.domain.train_questions
    fit_refusal(index, read_questions(file) if file.is_file() else [], progress)
