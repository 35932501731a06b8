"""The 2x2 table: real answers of a small model to four held-out questions, every figure counted again by hand."""

import json
import re
import shutil
from pathlib import Path
from statistics import mean

import pytest
from matplotlib.image import imread
from safetensors.torch import load_file, save_file

from assistant import Assistant
from assistant.answering.facts import facts_of, missing_facts
from assistant.answering.pipeline import Asked, Found, find, search
from assistant.cli.tables import print_evaluation
from assistant.domain_adapters import use
from assistant.evaluation.evaluate import UNCALIBRATED, evaluate
from assistant.evaluation.metrics import token_f1
from assistant.evaluation.promotion import FEWEST, MOST_FORGOTTEN, decide
from assistant.evaluation.sampling import balanced
from assistant.evaluation.scores import WORD_SCORES, summary, trade_off, verdict
from assistant.evaluation.written_result import RESULT_FORMAT, evaluate_domain
from base_models.adapter_manifest import file_hash
from domain import Domain, DomainError, Question, read_questions, set_setting

CELLS = ["base, without index", "base, with index", "tuned, without index", "tuned, with index"]
CALIBRATED_TOO = [
    cell for name in CELLS for cell in ([name, f"{name}, {UNCALIBRATED}"] if "with index" in name else [name])
]


@pytest.fixture(scope="module")
def folder(tuned_handbook, tmp_path_factory) -> Path:
    copied = shutil.copytree(tuned_handbook, tmp_path_factory.mktemp("evaluated") / "handbook")
    set_setting(copied / "domain.toml", "answer.max_new_tokens", 8)
    use(Domain.open(copied), "")
    return copied


@pytest.fixture(scope="module")
def result(folder) -> dict:
    return evaluate_domain(Domain.open(folder), None, 4, False)


@pytest.fixture(scope="module")
def asked(folder) -> list[Question]:
    return balanced(read_questions(folder / "questions" / "held_out.jsonl"), 4)


def test_every_question_is_answered_in_every_cell(result, asked, tiny_folder):
    assert list(result["answers"]) == CALIBRATED_TOO
    assert result["questions"] == 4
    assert (result["base_model"], result["adapter"]) == (str(tiny_folder), "first")
    for rows in result["answers"].values():
        assert [(row["id"], row["gold"], row["gold_document"], row["answerable"]) for row in rows] == [
            (question.id, question.answer, question.document, question.answerable) for question in asked
        ]


def test_the_answers_are_those_that_the_chain_gives(tea_shop):
    assistant = Assistant.open(tea_shop)
    (question,) = read_questions(tea_shop / "questions" / "held_out.jsonl")
    answers = evaluate(assistant, [question], "first")["answers"]
    for cell, adapter in (("base, with index", ""), ("tuned, with index", "first")):
        (row,) = answers[cell]
        answer = assistant.ask(question.text, adapter=adapter)
        assert row["refused"] == answer.refused
        assert [citation.passage.document for citation in answer.citations] == row["cited"]
        assert row["answer"] == answer.text
    assert answers["base, without index"] != answers["tuned, without index"]
    assistant.close()


def test_the_model_is_not_asked_where_the_threshold_refuses_and_always_without_the_index(folder, result, asked):
    assistant = Assistant.open(folder)
    found = find(assistant.index, assistant.refusal, [Asked.of(question) for question in asked])
    rows = {cell: result["answers"][cell] for cell in CALIBRATED_TOO}
    for position, one in enumerate(found):
        row, default, without = (
            rows[f"base, {cell}"][position] for cell in ("with index", f"with index, {UNCALIBRATED}", "without index")
        )
        allowed = {one.outcome, "refused"}  # or the model itself refused
        assert row["outcome"] in (allowed | {"unsure"} if one.outcome == "answered" else allowed)  # or words left out
        assert row["asked_the_model"] == (one.outcome != "refused")
        assert without["asked_the_model"]
        assert without["cited"] == []
        if not row["refused"] and not default["refused"]:
            assert row["answer"] == default["answer"]
    assistant.close()


def test_the_figures_of_a_cell_are_those_of_its_rows(result, asked):
    for cell in CELLS:
        rows, figures = result["answers"][cell], result["table"][cell]["all"]
        answerable = [row for row in rows if row["answerable"]]
        unanswerable = [row for row in rows if not row["answerable"]]
        for row in rows:
            assert row["f1"] == token_f1(row["written"], row["gold"])
        for name in WORD_SCORES:
            assert figures[name][0] == pytest.approx(mean(row[name] for row in answerable))
        value, low, high = figures["token_f1"]
        assert value == pytest.approx(mean(row["f1"] for row in answerable))
        assert low <= value <= high
        assert figures["refused"][0] == mean(row["refused"] for row in answerable)
        judged = [row for row in answerable if row["right"] is not None]
        assert figures["right"][0] == mean(row["right"] for row in judged)
        for row, question in zip(rows, asked, strict=True):
            if row["right"] is not None:
                facts = facts_of(question)
                read = re.sub(r" \[\d+\]", "", row["answer"])
                assert row["right"] == (not row["refused"] and not missing_facts(read, facts))
                assert row["right_written"] == (not row["refused"] and not missing_facts(row["written"], facts))
        assert figures["false_answers"][0] == mean(not row["refused"] for row in unanswerable)
        assert set(result["table"][cell]) == {"all", *(row["language"] for row in rows)}


def test_citation_figures_by_hand():
    def row(gold: str | None, cited: list[str], answerable: bool = True) -> dict:
        common = {
            "language": "en",
            "answerable": answerable,
            "f1": 0.0,
            "refused": not cited,
            "right": bool(cited),
            "right_written": False,
        }
        common |= {"outcome": "answered" if cited else "refused", "unsupported": 1, "sentences": 2}
        scores = dict.fromkeys(WORD_SCORES, 0.0)
        return common | scores | {"gold_document": gold, "cited": cited}

    figures = summary([row("a", ["a", "b"]), row("b", ["c"]), row("c", []), row(None, ["a"], False)])["all"]
    assert figures["citation_precision"][0] == 1 / 4
    assert figures["citation_recall"][0] == 1 / 3
    assert figures["refused"][0] == 1 / 3
    assert (figures["right"][0], figures["wrong"][0], figures["unsupported"][0]) == (2 / 3, 0, 1 / 2)
    assert figures["false_answers"][0] == 1.0


def test_the_loss_of_base_and_tuned_and_its_rise_are_told(result):
    likelihood = result["likelihood"]
    assert set(likelihood) == {"base", "tuned", "rise"}
    # general prompts are those that the base answers to the end, which a random model does not
    assert {likelihood[who]["general_prompts"] for who in likelihood} == {None}
    for name in ("held_out", "general_text"):
        base, tuned, rise = (likelihood[who][name][0] for who in ("base", "tuned", "rise"))
        assert rise == pytest.approx(tuned - base)
        assert base > 0
        low, high = likelihood["rise"][name][1:]
        assert low <= rise <= high


def test_the_gain_is_tuned_minus_base_question_by_question(result):
    for index in ("without", "with"):
        base, tuned = (result["answers"][f"{who}, {index} index"] for who in ("base", "tuned"))
        differences = [b["f1"] - a["f1"] for a, b in zip(base, tuned, strict=True) if a["answerable"]]
        assert result["gain"]["f1"][f"{index} index"][0] == pytest.approx(mean(differences))


def test_the_report_says_whether_tuning_helped_and_what_may_explain_it():
    def row(answerable: bool, asked: bool) -> dict:
        return {"answerable": answerable, "asked_the_model": asked, "right": False if answerable else None}

    rows = [row(True, True), row(True, False), row(False, False)]
    trained = {"examples": 43, "tokens": 15000, "steps": 11}
    assert verdict((0.1, 0.02, 0.2), rows, trained) == "tuned is better than base."
    assert verdict((0.01, -0.03, 0.05), rows, trained) == (
        "tuned is not proven different from base. Possible reasons: with 2 scored questions, a difference below "
        "0.04 may be chance; 1 of these were refused before generation; the adapter was trained "
        "on 43 examples for 11 steps."
    )
    assert verdict((-0.1, -0.2, -0.02), rows[:1], trained) == (
        "tuned is worse than base. Possible reasons: the adapter was trained on 43 examples for 11 steps."
    )
    assert "no answer could be scored" in verdict(None, rows[2:], trained)
    assert verdict((0.0, -0.004, 0.003), rows, trained) == "tuned is right as often as base."


def test_the_verdict_stands_in_the_result(result, folder):
    report = json.loads((folder / "adapters" / "first" / "report.json").read_text(encoding="utf-8"))
    assert result["trained"] == {key: report[key] for key in ("examples", "tokens")} | {"steps": len(report["steps"])}
    for index, gain in result["gain"]["right_written"].items():
        assert result["verdict"][index] == verdict(gain, result["answers"][f"tuned, {index}"], result["trained"])


def test_retrieval_counts_the_rank_of_the_gold_document(folder, result, asked):
    assistant = Assistant.open(folder)
    ranks = []
    for question in asked:
        if question.answerable:
            documents = [passage.document for passage in search(assistant.index, [Asked.of(question)])[0]]
            ranks.append(documents.index(question.document) + 1 if question.document in documents else None)
    assistant.close()
    figures = result["retrieval"]["all"]
    assert figures["questions"] == len(ranks)
    assert figures["hit@1"][0] == mean(rank == 1 for rank in ranks)
    assert figures["mrr"][0] == pytest.approx(mean(1 / rank if rank else 0 for rank in ranks))


def test_the_file_is_strict_json_that_names_what_it_was_made_from(folder, result):
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (folder / "evaluations" / "first-4.json").read_text(encoding="utf-8")
    assert imread(folder / "evaluations" / "first-4.png").shape[:2] == (480, 1800)
    assert json.loads(text, parse_constant=refuse) | {"promotion": result["promotion"]} == json.loads(
        json.dumps(result)
    )
    assert result["format"] == RESULT_FORMAT
    assert set(result["inputs"]) >= {"questions", "index", "refusal", "prompts", "base_model", "adapter", "answer"}
    assert "资料" in text or "\\u" not in text


def test_a_stored_result_is_given_back_while_nothing_changed(folder, result):
    told = []
    again = evaluate_domain(Domain.open(folder), "first", 4, False, lambda *work: told.append(work))
    assert again["created"] == result["created"]
    assert told == []


@pytest.mark.slow
def test_the_questions_are_asked_again_when_a_prompt_a_setting_or_the_adapter_changed(tea_shop, copy_of):
    shop = copy_of(tea_shop)

    def is_asked_again() -> bool:
        told = []
        evaluate_domain(Domain.open(shop), None, 0, False, lambda *work: told.append(work))
        return bool(told)

    assert not is_asked_again()
    (shop / "prompts" / "en").mkdir(parents=True)
    (shop / "prompts" / "en" / "system.txt").write_text("You are brief.", encoding="utf-8")
    assert is_asked_again()
    set_setting(shop / "domain.toml", "answer.max_new_tokens", 2)
    assert is_asked_again()
    retrained(shop / "adapters" / "first")
    assert is_asked_again()
    assert not is_asked_again()
    (shop / "evaluations" / "first-1.json").write_text("<<<<<<< ours", encoding="utf-8")
    assert is_asked_again()


def retrained(adapter: Path) -> None:
    """Change the weights a little, as another training would."""
    weights, manifest = adapter / "adapter_model.safetensors", adapter / "manifest.json"
    save_file({name: tensor * 1.01 for name, tensor in load_file(weights).items()}, weights)
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(facts | {"adapter_sha256": file_hash(weights)}), encoding="utf-8")


def test_a_base_without_an_adapter_has_a_table_of_its_own(tea_shop, copy_of):
    shop = copy_of(tea_shop)
    base = evaluate_domain(Domain.open(shop), "", 0, False)
    assert list(base["answers"]) == CELLS[:2]
    assert base["gain"] == {"right_written": {}, "unsupported": {}, "f1": {}}
    assert base["promotion"] == ""
    assert (shop / "evaluations" / "base-1.json").is_file()
    picture = shop / "evaluations" / "base-1.png"
    assert imread(picture).std() > 0.05, "the base alone is drawn too"
    picture.unlink()
    evaluate_domain(Domain.open(shop), "", 0, False)
    assert picture.is_file(), "nothing is asked again, but the picture is drawn again"


def test_balanced_keeps_the_share_of_each_language_and_kind():
    questions = [
        Question(f"{language}-{answerable}-{number}", ({"role": "user"},), answerable, language=language)
        for language in ("en", "zh")
        for answerable, count in ((True, 32), (False, 8))
        for number in range(count)
    ]
    eight = balanced(questions, 10)
    kinds = [(question.language, question.answerable) for question in eight]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("en", True): 4,
        ("zh", True): 4,
        ("en", False): 1,
        ("zh", False): 1,
    }
    assert balanced(list(reversed(questions)), 10) == eight
    assert balanced(questions, 0) == balanced(questions, 500) == questions


def test_the_tables_show_every_figure_and_say_what_is_proven(result, capsys):
    print_evaluation(result)
    shown = capsys.readouterr().out
    for words in ("the answerable of 4 held-out questions", "base, with index, uncalibrated", "MRR", "token F1"):
        assert words in shown
    assert "Right without quotes, tuned minus base, with index" in shown
    wrong = result["table"]["tuned, with index"]["all"]["wrong"]
    assert f"{wrong[0]:.2f} ({wrong[1]:.2f} to {wrong[2]:.2f})" in shown
    assert "can be scored, and a comparison needs at least 20" in " ".join(shown.split())
    assert "4 questions are too few for a conclusion\n" in shown
    print_evaluation(result, "lorewright evaluate shop")
    assert "4 questions are too few for a conclusion; for all: lorewright evaluate shop\n" in capsys.readouterr().out


def test_without_held_out_questions_it_is_said_which_file_is_missing(copy_of, tuned_handbook):
    folder = copy_of(tuned_handbook)
    (folder / "questions" / "held_out.jsonl").unlink()
    with pytest.raises(DomainError, match=r"held_out\.jsonl does not exist"):
        evaluate_domain(Domain.open(folder), None, 0, False)


def of_probability(probability: float) -> Found:
    return Found(Asked("?"), [], [], "answered", probability)


def test_the_trade_off_counts_both_errors_at_every_threshold():
    message = ({"role": "user", "content": "?"}, {"role": "assistant", "content": "!"})
    questions = [Question(str(n), message, answerable=n < 2) for n in range(4)]
    curve = trade_off(questions, [of_probability(p) for p in (0.9, 0.3, 0.5, 0.1)])
    assert [(p["threshold"], p["false_refusals"], p["false_answers"]) for p in curve] == [
        (0.0, 0, 1),
        (0.1, 0, 1),
        (0.3, 0, 0.5),
        (0.5, 0.5, 0.5),
        (0.9, 0.5, 0),
        (1.0, 1, 0),
    ]
    assert trade_off(questions[:2], [of_probability(0.9), of_probability(0.3)]) == []


def evaluated(right: tuple, unsupported: tuple, rise: float = 0.0, judged: int = FEWEST) -> dict:
    rises = {"general_prompts": (rise, rise, rise), "general_text": (0.0, 0.0, 0.0)}
    return {
        "adapter": "first",
        "compared": {"with index": ("tuned", "base")},
        "gain": {"right_written": {"with index": right}, "unsupported": {"with index": unsupported}},
        "likelihood": {"rise": rises},
        "answers": {"tuned, with index": [{"right": True}] * judged + [{"right": None}]},
    }


@pytest.mark.parametrize(
    ("result", "won"),
    [
        (evaluated((0.1, 0.01, 0.2), (0.0, -0.1, 0.1)), True),
        (evaluated((0.1, -0.01, 0.2), (0.0, -0.1, 0.1)), False),
        (evaluated((0.0, -0.1, 0.1), (-0.2, -0.3, -0.1)), True),
        (evaluated((-0.05, -0.1, 0.1), (-0.2, -0.3, -0.1)), False),
        (evaluated((0.1, 0.01, 0.2), (0.0, -0.1, 0.1), rise=MOST_FORGOTTEN + 0.01), False),
        (evaluated((0.5, 0.4, 0.6), (0.0, -0.1, 0.1), judged=FEWEST - 1), False),
    ],
)
def test_an_adapter_wins_only_if_it_is_shown_to_be_better_and_has_not_forgotten(result, won):
    assert decide(result).won is won


def test_a_winner_answers_from_then_on_and_a_loser_does_not(result, folder, copy_of):
    assert Domain.open(folder).settings.adapter == ""
    assert "stays a candidate" in result["promotion"]
    copied = copy_of(folder)
    file = copied / "evaluations" / "first-4.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    winner = evaluated((0.1, 0.01, 0.2), (0.0, -0.1, 0.1))
    stored["gain"] |= winner["gain"]
    stored["likelihood"]["rise"] |= winner["likelihood"]["rise"]
    stored["answers"] |= winner["answers"]
    file.write_text(json.dumps(stored), encoding="utf-8")
    again = evaluate_domain(Domain.open(copied), None, 4, False)
    assert again["promotion"].startswith("'first' is better than the base model: right +0.10 (+0.01 to +0.20)")
    assert Domain.open(copied).settings.adapter == "first"
