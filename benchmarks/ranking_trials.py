"""Compares alternative rankings of an index's passages with the one that `search` uses.

    python benchmarks/ranking_trials.py DOMAIN...

Each domain needs an index and held-out questions with a gold document. Trials use the vectors and words of the index.
Every passage is scored for every question, so nothing is lost by candidate selection. A trial changes the cosines,
which are then fused with BM25 as in `indexes/search.py`. The last row of each domain is not a ranking: it counts a
question as found if the dense or the full-text score alone ranks its document first, an approximate upper bound for
their fusion.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import typer
from hardware import hardware

from assistant.evaluation.metrics import bootstrap, mean
from assistant.evaluation.retrieval import FIGURES
from domain import Domain, read_questions, write_text
from indexes import Index
from indexes.full_text import look_up, weigh
from indexes.search import Scores, fuse
from indexes.search_words import asked_words
from indexes.sentences import sentences_of
from indexes.vectors import read_vectors

SENTENCE = 6
"""Minimum characters of a sentence that is compared."""

Matrix = np.ndarray


class Collection:
    """One domain: vectors of its passages, sentences and questions, and the BM25 score of each passage for each
    question."""

    def __init__(self, domain: Domain) -> None:
        held_out = read_questions(domain.held_out_questions)
        asked = [q for q in held_out if q.answerable and q.document and not q.history]
        self.right = [question.document for question in asked]
        self.dense_weight = domain.settings.retrieval.dense_weight
        questions = [question.text for question in asked]
        with Index.open(domain) as index, index._storage.reading() as connection:
            rows = connection.execute(
                "SELECT p.id, d.path, p.text FROM passages p JOIN documents d ON d.id = p.document_id "
                "WHERE same_as IS NULL ORDER BY p.id"
            ).fetchall()
            ids, paths, texts = zip(*rows, strict=True)
            self.documents = np.array(paths)
            self.passages = read_vectors(connection, np.array(ids))
            words = [look_up(connection, asked_words(text, index._models.dictionary())) for text in questions]
            self.weighed = [weigh(connection, asked_of, list(ids)) for asked_of in words]
            sentences = [
                (number, sentence.strip())
                for number, text in enumerate(texts)
                for sentence in sentences_of(text)
                if len(sentence.strip()) >= SENTENCE
            ]
            self.of_passage = np.array([number for number, _ in sentences])
            embedder = index.embedder
            self.sentences = embedder.encode_passages([sentence for _, sentence in sentences])
            self.sentences_asked = embedder.encode_queries([sentence for _, sentence in sentences])
            self.questions = embedder.encode_queries(questions)
            self.questions_as_passages = embedder.encode_passages(questions)
        self.full_text = np.stack([weighed.bm25 for weighed in self.weighed])
        self.words = [len(asked_of) for asked_of in words]

    def fused(self, cosines: Matrix) -> Matrix:
        """Fuse cosines [questions, passages] with the full-text scores."""
        ids = np.arange(cosines.shape[1])
        return np.stack(
            [
                fuse(Scores(ids, row, weighed, float(row.mean()), float(row.std()), count), self.dense_weight)
                for row, weighed, count in zip(cosines, self.weighed, self.words, strict=True)
            ]
        )

    def ranks(self, scores: Matrix) -> Matrix:
        """Rank of each question's document, by its best passage."""
        ranks = []
        for row, right in zip(scores, self.right, strict=True):
            order = dict.fromkeys(self.documents[np.argsort(-row, kind="stable")].tolist())
            ranks.append(1 + list(order).index(right))
        return np.array(ranks, float)


def unit(rows: Matrix) -> Matrix:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def less_crowded(c: Collection) -> Matrix:
    """Subtract half of the hubness: the mean cosine of a passage to its nearest sentences (CSLS, Conneau et al.
    2018)."""
    cosines = c.sentences_asked @ c.passages.T
    return c.questions @ c.passages.T - 0.5 * np.sort(cosines, axis=0)[-50:].mean(0)


def without_common_directions(c: Collection, directions: int) -> Matrix:
    """Remove the mean and the first principal components from the vectors (Mu and Viswanath 2018)."""
    middle = c.passages.mean(0)
    common = np.linalg.svd(c.passages - middle, full_matrices=False)[2][:directions]

    def rest(rows: Matrix, mean: Matrix) -> Matrix:
        return unit((rows - mean) - (rows - mean) @ common.T @ common)

    return rest(c.questions, c.sentences_asked.mean(0)) @ rest(c.passages, middle).T


def whitened(c: Collection, ridge: float) -> Matrix:
    """Whiten the vectors, with a ridge (Su et al. 2021)."""
    middles = c.sentences_asked.mean(0), c.passages.mean(0)
    rows = np.vstack([c.sentences_asked - middles[0], c.passages - middles[1]])
    spread, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    scale = directions / np.sqrt(spread + ridge * spread.max())
    return unit((c.questions - middles[0]) @ scale) @ unit((c.passages - middles[1]) @ scale).T


def with_feedback(c: Collection) -> Matrix:
    """Add the two best passages to the question's vector (Rocchio 1971)."""
    best = np.argsort(-c.fused(c.questions @ c.passages.T), axis=1)[:, :2]
    return unit(c.questions + 0.2 * c.passages[best].mean(1)) @ c.passages.T


def with_document(c: Collection) -> Matrix:
    """Add a quarter of the cosine with the mean vector of the passage's document."""
    means = {name: unit(c.passages[c.documents == name].mean(0, keepdims=True))[0] for name in set(c.documents)}
    return c.questions @ (c.passages + 0.25 * np.stack([means[name] for name in c.documents])).T


def with_sentence(c: Collection) -> Matrix:
    """Add a fifth of the cosine with the passage's best sentence."""
    cosines = c.questions @ c.passages.T
    best = np.full(cosines.shape, -1.0)
    np.maximum.at(best.T, c.of_passage, (c.questions @ c.sentences.T).T)
    return cosines + 0.2 * np.where(best > -1, best, cosines)


TRIALS = {
    "as it is": lambda c: c.questions @ c.passages.T,
    "crowded passages less": less_crowded,
    "without the mean": lambda c: without_common_directions(c, 0),
    "without the mean and one direction": lambda c: without_common_directions(c, 1),
    "without the mean and two directions": lambda c: without_common_directions(c, 2),
    "whitened, ridge 0.1": lambda c: whitened(c, 0.1),
    "whitened, ridge 0.3": lambda c: whitened(c, 0.3),
    "with feedback": with_feedback,
    "with the document": with_document,
    "with the best sentence": with_sentence,
    "question also as a passage": lambda c: (c.questions + c.questions_as_passages) @ c.passages.T,
}


def compare(domain: Domain) -> dict[str, Any]:
    """Fused scores of every trial in percent, and the gain in hit@1 over the ranking of `search`."""
    collection = Collection(domain)
    own = collection.ranks(collection.fused(TRIALS["as it is"](collection)))
    results: dict[str, Any] = {}
    for name, trial in TRIALS.items():
        ranks = collection.ranks(collection.fused(trial(collection)))
        above = bootstrap((FIGURES["hit@1"](ranks) - FIGURES["hit@1"](own)).tolist(), mean)
        figures = {figure: round(100 * float(FIGURES[figure](ranks).mean()), 1) for figure in ("hit@1", "hit@5", "MRR")}
        results[name] = figures | {"hit@1 above as it is": [round(100 * part, 1) for part in above or (0, 0, 0)]}
    legs = [collection.ranks(scores) for scores in (TRIALS["as it is"](collection), collection.full_text)]
    either = FIGURES["hit@1"](np.minimum(*legs))
    results["first by meaning or by words"] = {"hit@1": round(100 * float(either.mean()), 1)}
    return {"questions": len(own), "trials": results}


def main(domains: list[Path], out: Path = Path("benchmarks/results/ranking_trials.json")) -> None:
    results = {domain.name: compare(Domain.open(domain)) for domain in domains}
    record = {"format": 1, "benchmark": "ranking_trials", "hardware": hardware(), "results": results}
    write_text(out, json.dumps(record, indent=2) + "\n")
    typer.echo(json.dumps(results, indent=2))


if __name__ == "__main__":
    typer.run(main)
