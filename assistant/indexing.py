"""Indexing a domain as a user means it: follow the folder, then fit the refusal thresholds to what is there now."""

from collections.abc import Callable

from assistant.refusal import fit_refusal
from domain import Domain, read_questions
from indexes import Index, IndexingError, UpdateReport, fetch_page


def fetch_pages(domain: Domain, addresses: list[str], allow_private: bool = False) -> list[str]:
    """Save web pages into the domain's documents; a sentence for each that could not be had, the others are saved."""
    sentences = []
    for address in addresses:
        try:
            fetch_page(address, domain.documents, allow_private)
        except IndexingError as error:
            sentences.append(str(error))
    return sentences


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
