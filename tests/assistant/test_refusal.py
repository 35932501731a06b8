"""When the assistant says that the documents do not hold an answer."""

import importlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from assistant_samples import write_questions

from assistant.answering.calibration import fit
from assistant.answering.refusal import LEAST, META_KEY, Refusal, default_fits
from assistant.indexing import calibrate, update_index
from domain import Domain, create_domain, read_questions, set_setting
from indexes import Index

UNRELATED = ["Who wrote the music of Swan Lake?", "乙醇的沸点是多少?"]
SHOP = """# 绿茶

绿茶用 80 度的水冲泡，开水会让茶发苦。一杯放三克茶叶，泡两分钟。

# 店

周二到周日上午十点开门，周一闭馆。未开封的茶叶七天内可以退货，请带上小票。
"""
RELATED = ["How many values has nf4?", "LoRA 合并后有没有额外延迟?"]


@pytest.fixture
def folder(copy_of, handbook) -> Path:
    """A copy of the handbook with few questions, so that fitting is quick."""
    copied = copy_of(handbook)
    keep_questions(copied, LEAST)
    return copied


def keep_questions(folder: Path, count: int) -> None:
    """Keep ``count`` questions of each language and kind; none removes the file."""
    rows: dict[tuple, list] = {}
    for question in read_questions(folder / "questions" / "train.jsonl"):
        row = {"messages": list(question.messages), "answerable": question.answerable, "id": question.id}
        rows.setdefault((question.language, question.answerable), []).append(row)
    write_questions(folder / "questions" / "train.jsonl", [row for kind in rows.values() for row in kind[:count]])


def fits(folder: Path) -> dict:
    with Index.open(folder) as index:
        return Refusal.of(index).fits


def made_from(folder: Path) -> str:
    with Index.open(folder) as index:
        return index.meta(META_KEY)["made_from"]


def outcome(index: Index, question: str, passages: list | None = None) -> str:
    found = index.search(question) if passages is None else passages
    (verdict,) = Refusal.of(index).judge([question], [found])
    return verdict.outcome


@pytest.mark.parametrize("question", UNRELATED)
def test_an_unrelated_question_is_refused(assistant, question):
    assert outcome(assistant.index, question) == "refused"


@pytest.mark.parametrize("question", RELATED)
def test_a_question_about_the_documents_is_not_refused(assistant, question):
    assert outcome(assistant.index, question) != "refused"


def test_a_rare_name_that_no_passage_holds_makes_an_uncalibrated_answer_unsure(assistant):
    question = "What is the rank of LoRA?"
    passages = assistant.index.search(question)
    (known,) = assistant.index.evidence([question], [passages])
    near = replace(known, best_sentence=0.99)
    uncalibrated = Refusal(assistant.index, default_fits("multilingual-e5-small"))
    for rarity, outcome in ((0.0, "answered"), (0.3, "answered"), (0.9, "unsure")):
        assert uncalibrated._verdict(question, passages, replace(near, missing_name=rarity)).outcome == outcome


def test_without_passages_everything_is_refused(assistant):
    assert outcome(assistant.index, RELATED[0], []) == "refused"


def test_several_questions_are_judged_as_each_alone(assistant):
    questions = [*UNRELATED, *RELATED, "nothing"]
    found = [*map(assistant.index.search, questions[:-1]), []]
    together = Refusal.of(assistant.index).judge(questions, found)
    assert [verdict.outcome for verdict in together] == [
        outcome(assistant.index, question, passages) for question, passages in zip(questions, found, strict=True)
    ]


def test_a_fit_on_questions_is_calibrated_and_tells_its_error_rates(assistant):
    refusal = Refusal.of(assistant.index)
    for language in ("en", "zh"):
        fit, rates = refusal.fits[language], refusal.rates(language)
        assert refusal.calibrated(language)
        assert fit["questions"] > 2 * LEAST
        assert 0 <= rates["false_refusals"] <= 0.1
        assert 0 <= rates["unsure_answers"] <= rates["false_answers"] < 0.7
        assert f"{language} calibrated on {fit['questions']} training questions" in refusal.describe()
        thresholds = fit["thresholds"]
        assert thresholds["rare"] <= thresholds["balanced"] <= thresholds["strict"]


def test_the_error_rates_are_those_of_the_thresholds_on_questions_that_were_not_learnt():
    rows = [((value / 100 + kind,) * 6, kind) for value in range(40) for kind in (True, False)]
    apart = fit(rows)
    assert apart["rates"]["balanced"]["false_refusals"] == 0.05
    assert apart["rates"]["balanced"]["false_answers"] == 0
    mixed = fit([((value / 40,) * 6, value % 2 == 0) for value in range(40)])
    assert mixed["rates"]["rare"]["false_refusals"] <= 0.05
    assert mixed["rates"]["strict"]["false_answers"] <= 0.2
    assert mixed["rates"]["strict"]["false_refusals"] > 0.5, "nothing tells these apart"
    assert mixed["rates"]["strict"]["unsure_answers"] == 0


@pytest.mark.slow
def test_the_fit_is_kept_with_the_index_and_made_again_only_when_questions_or_documents_change(folder):
    update_index(Domain.open(folder))
    first = made_from(folder)
    assert fits(folder)["en"]["questions"] == 2 * LEAST
    moved = folder.rename(folder.with_name("moved"))
    calls: list[str] = []
    update_index(Domain.open(moved), progress=lambda work, done, total: calls.append(work))
    assert made_from(moved) == first
    assert "calibrating refusal" not in calls

    keep_questions(moved, LEAST - 1)
    update_index(Domain.open(moved))
    second = made_from(moved)
    assert second != first
    assert "en" not in fits(moved)

    page = moved / "documents" / "zh" / "lora.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n## 附记\n\n新写的一段。\n", encoding="utf-8")
    os.utime(page, (time.time() - 60, time.time() - 60))
    update_index(Domain.open(moved))
    assert made_from(moved) != second


def test_the_fit_is_made_again_when_more_passages_are_put_before_the_model(folder):
    update_index(Domain.open(folder))
    before = fits(folder)
    set_setting(folder / "domain.toml", "retrieval.k", 1)
    update_index(Domain.open(folder))
    assert fits(folder) != before


def test_a_domain_without_questions_refuses_only_what_is_far_from_its_documents_and_says_so(folder):
    (folder / "questions" / "train.jsonl").unlink()
    update_index(Domain.open(folder))
    with Index.open(folder) as index:
        refusal = Refusal.of(index)
        assert not refusal.calibrated("en")
        assert refusal.rates("en") is None
        said = "en not calibrated, so only questions far from all documents are refused; "
        assert f"{said}to calibrate, write at least 8 answerable" in refusal.describe()
        for question in UNRELATED:
            assert outcome(index, question) == "refused"
        for question in RELATED:
            assert outcome(index, question) != "refused"


def test_the_smallest_domain_answers_in_other_words_and_in_the_other_language(tmp_path, real_model):
    real_model("multilingual-e5-small")
    domain = create_domain(tmp_path / "tea")
    (domain.documents / "店.md").write_text(SHOP, encoding="utf-8")
    update_index(domain)
    with Index.open(domain) as index:
        for question in (*UNRELATED, "Who won the World Cup in 1998?", "怎么训练一个语言模型?"):
            assert outcome(index, question) == "refused"
        asked = [
            "周一开门吗?",
            "可以退货吗?",
            "买错了能退吗?",
            "礼拜一营业吗?",
            "How hot should water for tea be?",
        ]
        for question in [*asked, "When does the shop open?", "Can I give back unopened tea?"]:
            assert outcome(index, question) != "refused", question


def test_thresholds_are_kept_for_the_embedder_they_were_made_with(folder):
    with Index.open(folder) as index:
        index.set_meta(META_KEY, None)
        assert Refusal.of(index).fits == default_fits("multilingual-e5-small")
        assert default_fits("all-minilm-l6-v2") != default_fits("multilingual-e5-small")
        assert default_fits("/models/another") == {}
        nothing_known = Refusal(index, {})
        (verdict,) = nothing_known.judge(UNRELATED[:1], [index.search(UNRELATED[0])])
        assert (verdict.outcome, verdict.probability) == ("answered", None)
        assert "en has no thresholds for this embedder, so no question is refused" in nothing_known.describe()


def test_questions_that_were_written_after_indexing_are_fitted_when_they_are_used(folder):
    (folder / "questions" / "train.jsonl").rename(folder / "train.jsonl")
    update_index(Domain.open(folder))
    (folder / "train.jsonl").rename(folder / "questions" / "train.jsonl")
    with Index.open(folder) as index:
        assert not Refusal.of(index).calibrated("en")
        calibrate(index)
        assert Refusal.of(index).calibrated("en")


@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["multilingual-e5-small", "all-minilm-l6-v2"])
def test_the_default_thresholds_refuse_few_of_the_sample_and_most_of_everyday_life(embedder, real_model, monkeypatch):
    real_model(embedder)
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    for row in importlib.import_module("refusal_defaults").measure(embedder):
        assert row["refused_answerable"] <= 0.05, row
        assert row["refused_everyday"] >= 0.5, row
