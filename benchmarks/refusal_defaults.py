"""Measures the default refusal thresholds (``assistant/answering/refusal_defaults.json``) and the cosines behind them.

    python benchmarks/refusal_defaults.py [DOMAIN...]

The thresholds are cosines of the question and the nearest retrieved sentence, by the languages of question and passage.
The program searches the sample's pages of each language alone with questions in both languages, and any other domains
with an index and training questions. It prints the lower percentiles of that cosine over the answerable questions, the
share of these that the thresholds refuse, and the share that they refuse of everyday questions (``everyday/``).

The numbers in the file were chosen by hand, below nearly all answerable questions of these sets: the sample's; 451
passages of Chinese Wikipedia with questions of CMRC 2018 and DRCD, and English ones with questions of SQuAD 2.0;
Debian's reference in Chinese, a shop of twelve passages and one of four, with our own questions, some in the other
language (only the sample is part of the project). ``sure`` is near the fifth percentile of the sample's.
"""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import typer

from assistant.answering.pipeline import Asked, search, search_query
from assistant.answering.refusal import Refusal, default_fits
from domain import Domain, Question, read_questions, set_setting
from indexes import Index, Passage, language_of

SAMPLE = Path(__file__).parents[1] / "examples" / "peft-handbook"
EVERYDAY = Path(__file__).parent / "everyday"
EMBEDDERS = ("multilingual-e5-small", "all-minilm-l6-v2")


def everyday_questions() -> list[str]:
    """Questions in both languages about topics that a domain's documents rarely cover."""
    return [line for file in sorted(EVERYDAY.glob("*.txt")) for line in file.read_text(encoding="utf-8").splitlines()]


def measure(embedder: str, domains: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """One row per set of questions and pair of languages for which the embedder has defaults."""
    rows = []
    # the same dtype on every machine: bfloat16, where it is faster, would change the cosines
    float32 = patch("base_models.hardware._fastest_cpu_dtype", lambda: "float32")
    with float32, tempfile.TemporaryDirectory() as folder:
        for name, index, questions in _sets(embedder, Path(folder), domains):
            good = _judged(index, [Asked.of(question) for question in questions if question.answerable])
            bad = _judged(index, [Asked(line) for line in everyday_questions()])
            for pair, mine in groupby(sorted(good), key=lambda row: row[0]):
                cosines = [row[1:] for row in mine]
                if len(cosines) < 20 or pair not in default_fits(embedder):
                    continue
                far = [refused for other, _, refused in bad if other == pair]
                rows.append(
                    {
                        "set": name,
                        "languages": pair,
                        "questions": len(cosines),
                        "percentiles": np.percentile([cosine for cosine, _ in cosines], [1, 2, 5, 10, 50]).tolist(),
                        "refused_answerable": float(np.mean([refused for _, refused in cosines])),
                        "refused_everyday": float(np.mean(far)) if far else 1.0,
                    }
                )
    return rows


def _sets(embedder: str, folder: Path, domains: tuple[Path, ...]) -> Iterator[tuple[str, Index, list[Question]]]:
    """The sample with the pages of one language only, then the given domains."""
    for language, other in (("en", "zh"), ("zh", "en")):
        domain = Domain.open(shutil.copytree(SAMPLE, folder / f"{embedder}-{language}"))
        shutil.rmtree(domain.documents / other)
        set_setting(domain.settings_file, "embedder", embedder)
        with Index.open(domain.path) as index:
            index.update()
            yield f"sample, pages in {language}", index, read_questions(domain.train_questions)
    for path in domains:
        with Index.open(path) as index:
            yield path.name, index, read_questions(index.domain.train_questions)


def _judged(index: Index, asked: list[Asked]) -> list[tuple[str, float, bool]]:
    """Languages, cosine of the nearest sentence, and whether the defaults refuse, for each question."""
    found: list[list[Passage]] = [passages[: index.domain.settings.retrieval.k] for passages in search(index, asked)]
    queries = [search_query(one) for one in asked]
    evidence = index.evidence(queries, found)
    verdicts = Refusal(index, default_fits(index.domain.settings.embedder)).judge(queries, found)
    return [
        (f"{language_of(query)}-{language_of(passages[0].text)}", what.best_sentence, verdict.outcome == "refused")
        for query, passages, what, verdict in zip(queries, found, evidence, verdicts, strict=True)
    ]


def main(domains: Annotated[list[Path] | None, typer.Argument()] = None) -> None:
    for embedder in EMBEDDERS:
        for row in measure(embedder, tuple(domains or ()) if embedder == EMBEDDERS[0] else ()):
            percentiles = ", ".join(f"{cosine:.3f}" for cosine in row["percentiles"])
            print(f"{embedder}, {row['set']}, {row['languages']}, {row['questions']} questions:")
            print(f"  cosine at 1, 2, 5, 10 and 50 %: {percentiles}")
            print(f"  refused {row['refused_answerable']:.3f}, of everyday life {row['refused_everyday']:.2f}")


if __name__ == "__main__":
    typer.run(main)
