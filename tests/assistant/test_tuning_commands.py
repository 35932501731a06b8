"""Every way to train from the command line: methods, further data, replay, going on from a run, merging."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from assistant_samples import QUICK, lorewright
from transformers import AutoModelForCausalLM

from assistant import Assistant
from base_models.adapter_manifest import read_manifest
from domain import Domain, set_setting


def manifest(shop: Path, run: str) -> dict:
    return read_manifest(Domain.open(shop).adapter(run))


@pytest.mark.parametrize("method", ["ia3", "prefix-tuning", "freeze"])
def test_another_method_is_one_flag_and_its_adapter_answers(shop: Path, method: str) -> None:
    command = ["finetune", shop, "--run", method, "--method", method, "--num-train-epochs", "1", "--replay-share", "0"]
    trained = lorewright(*command)
    assert trained.status == 0, trained.err
    assert manifest(shop, method)["config"]["method"] == method
    assert lorewright("ask", shop, "How hot should the water be?", "--adapter", method).status == 0
    again = lorewright(*command)
    assert f"{shop}: run {method!r} is finished and its inputs have not changed. Adapter: " in again.out


def test_a_method_that_does_not_fit_the_model_is_refused_at_once(shop: Path) -> None:
    ended = lorewright("finetune", shop, "--run", "x", "--method", "ia3", "--use-dora")
    assert (ended.status, ended.out) == (1, "")
    assert "use_dora is for method lora and has no effect with ia3; leave it out" in ended.err
    assert not (shop / "adapters" / "x").exists()
    unread = lorewright("finetune", shop, "--run", "x", "--method", "freeze", "--r", "4")
    assert (unread.status, unread.out) == (1, "")
    assert "r has no effect with method freeze, only with lora, adalora; leave it out." in unread.err


@pytest.mark.slow
def test_further_data_and_replay_are_learnt_and_a_change_of_them_is_noticed(
    shop: Path, real_model: Callable[[str], Path]
) -> None:
    real_model("smollm2-135m-instruct")  # replayed are answers that the base ends, which a random model does not
    set_setting(shop / "domain.toml", "base_model", "smollm2-135m-instruct")
    set_setting(shop / "domain.toml", "adapter", "")
    extra = shop / "chats.jsonl"
    extra.write_text('{"prompt": "Hi?", "response": "Hello."}\n' * 4, encoding="utf-8")
    command = ["finetune", shop, *QUICK, "--run", "mixed", "--data", "chats.jsonl=0.5", "--replay-share", "0.25"]
    plain = json.loads((shop / "adapters" / "first" / "report.json").read_text(encoding="utf-8"))
    trained = lorewright(*command)
    assert trained.status == 0, trained.err
    report = json.loads((shop / "adapters" / "mixed" / "report.json").read_text(encoding="utf-8"))
    assert report["examples"] == plain["examples"] + 2 + round((plain["examples"] + 2) / 3)
    assert "its inputs have not changed." in lorewright(*command).out
    extra.write_text('{"prompt": "Hi?", "response": "Good day."}\n' * 4, encoding="utf-8")
    assert "trained" in lorewright(*command).out
    extra.write_text('{"prompt": "Hi?"}\n', encoding="utf-8")
    wrong = lorewright(*command)
    assert wrong.status == 1
    assert "chats.jsonl, line 1: no known layout has the keys prompt" in wrong.err


def test_a_run_is_a_candidate_until_it_is_chosen_and_is_not_trained_twice(shop: Path) -> None:
    assert Domain.open(shop).settings.adapter == "first"
    trained = lorewright("finetune", shop, *QUICK, "--run", "other", "--max-steps", "1")
    assert f"{shop}/adapters/other, a candidate: " in trained.out
    assert Domain.open(shop).settings.adapter == "first"
    assert lorewright("use", shop, "other").out == (
        f"{shop}: the adapter 'other' is now active (domain.toml, selected by hand).\n"
    )
    assert Domain.open(shop).settings.adapter == "other"
    assert "already" in lorewright("use", shop, "other").out
    again = lorewright("finetune", shop, *QUICK)
    assert f"its inputs have not changed. Adapter: {shop}/adapters/first, a candidate: " in again.out
    assert "the base model is now active" in lorewright("use", shop, "base").out
    assert Domain.open(shop).settings.adapter == ""
    unknown = lorewright("use", shop, "frist")
    assert unknown.status == 1
    assert "has no adapter 'frist' (available: first, other)" in unknown.err


def test_everyday_questions_alone_are_not_learnt(shop: Path) -> None:
    command = ["finetune", shop, *QUICK, "--run", "alone", "--replay-share", "0.9", "--max-train-tokens"]
    ended = lorewright(*command, "40")
    assert ended.status == 1
    assert "max_train_tokens=40 is too low: the shortest example has" in ended.err
    assert not (shop / "adapters" / "alone").exists()


def test_a_run_goes_on_from_another_and_not_from_itself(shop: Path) -> None:
    trained = lorewright("finetune", shop, *QUICK, "--run", "second", "--from-adapter", "first")
    assert trained.status == 0, trained.err
    assert manifest(shop, "second")["inputs"]["from_adapter"] == manifest(shop, "first")["adapter_sha256"]
    itself = lorewright("finetune", shop, *QUICK, "--run", "second", "--from-adapter", "second")
    assert "the run 'second' cannot continue from itself; name the new run with --run NAME" in itself.err
    unknown = lorewright("finetune", shop, *QUICK, "--run", "third", "--from-adapter", "nobody")
    assert "has no adapter 'nobody' (available: first, second)" in unknown.err


def test_a_merged_model_answers_as_base_and_adapter_did(shop: Path, tmp_path: Path) -> None:
    merged = lorewright("merge", shop, tmp_path / "merged", "--dtype", "float32")
    assert merged.status == 0, merged.err
    assert merged.out.startswith(f"{tmp_path / 'merged'}: merged model, safetensors in float32; its logits")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").dtype == torch.float32
    assistant = Assistant.open(shop)
    before = assistant.ask("How hot should the water be?", adapter="first").text
    assistant.close()
    text = (shop / "domain.toml").read_text(encoding="utf-8")
    text = text.replace('base_model = "smollm2-135m-instruct"', f"base_model = '{tmp_path / 'merged'}'")
    (shop / "domain.toml").write_text(text, encoding="utf-8")
    assistant = Assistant.open(shop)
    assert assistant.ask("How hot should the water be?", adapter="").text == before
    assistant.close()


def test_what_cannot_be_merged_is_said(shop: Path, tmp_path: Path) -> None:
    there = lorewright("merge", shop, shop)
    assert f"{shop} already exists; choose a new folder" in there.err
    unknown = lorewright("merge", shop, tmp_path / "merged", "--adapter", "nobody")
    assert "has no adapter 'nobody' (available: first)" in unknown.err
    short = ["--num-train-epochs", "1", "--replay-share", "0"]
    lorewright("finetune", shop, "--run", "p", "--method", "prompt-tuning", *short)
    learnt = lorewright("merge", shop, tmp_path / "merged", "--adapter", "p")
    assert "adapter p is a soft prompt, which cannot be merged into weights" in learnt.err
    assert not (tmp_path / "merged").exists()
