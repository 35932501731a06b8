"""Classes of texts and tags of words on an encoder: two rows of the matrix, their data, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import pipeline

from base_models import ModelError, load, load_classifier, merge_adapter
from base_models.adapter_manifest import read_manifest
from base_models.classifier import load_encoder
from domain import ClassifierConfig, FinetuneConfig, read_questions
from finetune import FinetuneError, RunReport, finetune, read_labelled, train_classifier
from finetune.data.labelled_files import held_out_of

INTENTS = Path(__file__).parent.parent.parent / "examples" / "peft-handbook" / "questions" / "intents.jsonl"
TEXTS = [
    {"text": text, "label": label}
    for count in range(4)
    for text, label in (
        (f"add {count} and 7", "calculate"),
        (f"{count} 加 7 是多少", "calculate"),
        (f"hello friend {count}", "chat"),
        (f"你好 朋友 {count}", "chat"),
    )
]
WORDS = [
    {"tokens": ["we", "train", name, "with", "rank", rank], "tags": ["O", "O", "B-METHOD", "O", "O", "B-NUMBER"]}
    for name in ("lora", "dora", "adalora", "ia3")
    for rank in ("4", "8", "16")
]
VARIANTS: dict[str, dict[str, Any]] = {
    "lora": {},
    "dora": {"use_dora": True},
    "rslora and lora+": {"use_rslora": True, "loraplus_lr_ratio": 4.0, "lora_dropout": 0.1},
}
DATA = {"SEQ_CLS": TEXTS, "TOKEN_CLS": WORDS}


def config(variant: str = "lora", **settings: Any) -> ClassifierConfig:
    defaults = {"learning_rate": 5e-3, "num_train_epochs": 8.0, "per_device_train_batch_size": 4, "held_out_share": 0.3}
    return ClassifierConfig(**{**defaults, **VARIANTS[variant], **settings})


def written(folder: Path, records: list[Any], name: str = "data.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    return file


def losses(report: RunReport) -> list[float]:
    return [step.loss for step in report.steps]


@pytest.mark.parametrize("task", ["SEQ_CLS", "TOKEN_CLS"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_learns_resumes_saves_loads_and_merges(encoder: str, tmp_path: Path, task: str, variant: str) -> None:
    data = read_labelled(written(tmp_path, DATA[task]))
    report = train_classifier(encoder, data, tmp_path / "whole", config(variant))
    first, last = report.losses()
    assert last < first

    def stop(step: Any) -> None:
        if step.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(encoder, data, tmp_path / "again", config(variant), on_step=stop)
    again = train_classifier(encoder, data, tmp_path / "again", config(variant))
    assert losses(again) == losses(report), "a run that was stopped goes on bit for bit, dropout included"
    weights = "adapter_model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()

    known = load_classifier(tmp_path / "whole")
    assert list(known.labels) == data.names()
    result = merge_adapter(encoder, tmp_path / "whole", tmp_path / "merged", "float32")
    assert result["difference"] <= result["allowed"]
    if task == "SEQ_CLS":
        ours = known.classify([record["text"] for record in TEXTS])
        peers = pipeline("text-classification", str(tmp_path / "merged"), top_k=None)([one["text"] for one in TEXTS])
        for mine, theirs in zip(ours, peers, strict=True):
            assert mine == pytest.approx({row["label"]: row["score"] for row in theirs}, abs=1e-4)
    else:
        ours = known.tag([record["tokens"] for record in WORDS])
        assert [len(tags) for tags in ours] == [6] * len(WORDS)


def test_one_learns_what_is_there_to_learn(encoder: str, tmp_path: Path) -> None:
    """Every text is classified and every word tagged as it was taught."""
    texts, words = read_labelled(written(tmp_path, TEXTS)), read_labelled(written(tmp_path, WORDS, "words.jsonl"))
    whole = config(held_out_share=0.0, num_train_epochs=40.0)
    train_classifier(encoder, texts, tmp_path / "texts", whole)
    train_classifier(encoder, words, tmp_path / "words", whole)
    said = load_classifier(tmp_path / "texts").classify(texts.texts)
    assert [[next(iter(shares))] for shares in said] == texts.labels
    assert all(sum(shares.values()) == pytest.approx(1) for shares in said)
    assert load_classifier(tmp_path / "words").tag(words.texts) == words.labels


def test_pairs_are_classified_by_what_their_texts_share(encoder: str, tmp_path: Path) -> None:
    """Only both texts together tell the class: "7 add" goes with "add 3", not with "hello 3"."""
    kinds = ("add", "你好")
    records = [
        {"text": f"{asked} {number}", "text_pair": said, "label": "yes" if asked == said else "no"}
        for number in range(6)
        for asked in kinds
        for said in kinds
    ]
    data = read_labelled(written(tmp_path, records))
    whole = config(held_out_share=0.0, num_train_epochs=80.0, r=16)
    train_classifier(encoder, data, tmp_path / "pairs", whole)
    known = load_classifier(tmp_path / "pairs")
    said = known.classify([("add 3", "add"), ("add 3", "你好"), ("你好 3", "你好"), ("你好 3", "add")])
    assert [next(iter(shares)) for shares in said] == ["yes", "no", "yes", "no"]


def test_the_pairs_of_one_text_are_held_out_together(tmp_path: Path) -> None:
    records = [
        {"text": f"question {number}", "text_pair": f"passage {other}", "label": "yes" if other else "no"}
        for number in range(30)
        for other in range(3)
    ]
    apart = held_out_of(read_labelled(written(tmp_path, records)), 0.3).texts
    questions = [text[0] for text in apart]
    assert 0 < len(set(questions)) < 30
    assert all(questions.count(question) == 3 for question in questions)


@pytest.mark.slow
def test_intents_are_classified_on_a_real_encoder(real_model: Callable[[str], Path], tmp_path: Path) -> None:
    real_model("multilingual-e5-small")
    data = read_labelled(INTENTS)
    train_classifier("multilingual-e5-small", data, tmp_path / "intents", ClassifierConfig())
    unseen = held_out_of(data, 0.2)
    said = load_classifier(tmp_path / "intents").classify(unseen.texts)
    right = sum([next(iter(shares))] == labels for shares, labels in zip(said, unseen.labels, strict=True))
    assert right >= 0.9 * len(unseen.texts) >= 20
    asked = [question.text for question in read_questions(INTENTS.with_name("held_out.jsonl"))]
    said = load_classifier(tmp_path / "intents").classify(asked)
    about_documents = sum(next(iter(shares)) == "documents" for shares in said)
    print(f"{about_documents} of {len(asked)} held-out questions of the domain are said to be of its documents")
    assert about_documents >= 0.9 * len(asked)


def test_the_encoder_is_left_as_it_was_and_refuses_what_is_not_its_own(
    encoder: str, tmp_path: Path, tiny_folder: Path
) -> None:
    data = read_labelled(written(tmp_path, TEXTS))
    train_classifier(encoder, data, tmp_path / "run", config())
    assert read_manifest(tmp_path / "run")["labels"] == ["calculate", "chat"]
    base = load_encoder(encoder, "SEQ_CLS", data.names())
    ids = torch.tensor([base.tokenizer("add 3").input_ids])
    with torch.no_grad():
        clean = base.model(input_ids=ids).logits
        with base.using(tmp_path / "run") as model:
            assert not torch.equal(model(input_ids=ids).logits, clean)
        with base.using(None) as model:
            assert torch.equal(model(input_ids=ids).logits, clean)
    with pytest.raises(ModelError, match=r"run was trained on .*, not on the loaded model"):
        load(tiny_folder, adapter=tmp_path / "run")
    talk = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]]
    finetune(load(tiny_folder, dtype="float32"), talk, tmp_path / "chat", FinetuneConfig(learning_rate=5e-3))
    with pytest.raises(ModelError, match="chat is an adapter of a chat model, not a classifier"):
        load_classifier(tmp_path / "chat")
    with pytest.raises(ModelError, match="is a chat model; use an encoder, such as multilingual-e5-small"):
        load_encoder(str(tiny_folder), "SEQ_CLS", ["a", "b"])
    with pytest.raises(ModelError, match="is a text classifier; call classify"):
        load_classifier(tmp_path / "run").tag([["add"]])


def test_long_texts_are_cut_to_what_the_encoder_reads(encoder: str, tmp_path: Path) -> None:
    data = read_labelled(written(tmp_path, [{"text": "add " * 200, "label": "calculate"}, *TEXTS]))
    report = train_classifier(encoder, data, tmp_path / "run", config(held_out_share=0.0, num_train_epochs=1.0))
    assert report.shortened == 1
    known = load_classifier(tmp_path / "run")
    assert len(known.classify(["add " * 200, "你好"])) == 2
    words = read_labelled(written(tmp_path, WORDS, "words.jsonl"))
    train_classifier(encoder, words, tmp_path / "words", config(held_out_share=0.0))
    (tags,) = load_classifier(tmp_path / "words").tag([["lora"] * 100])
    assert len(tags) == 100
    assert set(tags[62:]) == {"O"}


WRONG: list[tuple[Any, str]] = [
    ({"text": "Hi"}, 'line 2: the keys must be "text" and "label", or "tokens" and "tags", not text'),
    (
        {"text": "Hi", "text_pair": "you", "label": "chat"},
        "line 2: the record is of another kind than the ones before it",
    ),
    ({"text": "Hi", "text_pair": 3, "label": "chat"}, 'line 2: "text_pair" must be a non-empty string'),
    ({"text": " ", "label": "chat"}, 'line 2: "text" must be a non-empty string'),
    ({"text": "Hi", "label": None}, 'line 2: "label" contains None, which is not a class name'),
    ({"text": "Hi", "label": ["chat"]}, 'line 2: "label" contains'),
    (["Hi", "chat"], "line 2: a record must be an object, not list"),
    ({"tokens": ["Hi", "you"], "tags": ["O"]}, "line 2: 2 tokens but 1 tags; give one tag per token"),
    ({"tokens": ["Hi", 3], "ner_tags": ["O", "O"]}, 'line 2: "tokens" must be non-empty strings'),
    (
        {"tokens": ["Hi"], "ner_tags": ["O"]},
        "line 2: the record is of another kind than the ones before it: texts, pairs",
    ),
]


@pytest.mark.parametrize(("record", "said"), WRONG)
def test_an_invalid_record_is_named_with_its_line(tmp_path: Path, record: Any, said: str) -> None:
    with pytest.raises(FinetuneError, match=said):
        read_labelled(written(tmp_path, [TEXTS[0], record, TEXTS[1]]))


def test_data_that_teaches_nothing_is_refused(encoder: str, tmp_path: Path) -> None:
    with pytest.raises(FinetuneError, match="has no records"):
        read_labelled(written(tmp_path, []))
    same = read_labelled(written(tmp_path, [{"text": "Hi", "label": "chat"}, {"text": "Ho", "label": "chat"}]))
    with pytest.raises(FinetuneError, match=r"every label in .* is 'chat'; a classifier needs at least two classes"):
        train_classifier(encoder, same, tmp_path / "run", config())
    two = read_labelled(written(tmp_path, [TEXTS[0], TEXTS[2]]))
    with pytest.raises(FinetuneError, match=r"held_out_share=.* of the 2 records of"):
        train_classifier(encoder, two, tmp_path / "run", config(held_out_share=0.01))
    with pytest.raises(FinetuneError, match=r"r is 64, but .* is 32 x 32"):
        train_classifier(encoder, two, tmp_path / "run", config(r=64, held_out_share=0.0))
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_half_characters_and_words_that_an_encoder_does_not_read_are_named(
    real_model: Callable[[str], Path], tmp_path: Path
) -> None:
    for record in ({"text": "a\ud800", "label": "chat"}, {"text": "a", "label": "\ud800"}):
        (tmp_path / "half.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
        with pytest.raises(FinetuneError, match="line 1: "):
            read_labelled(tmp_path / "half.jsonl")
    unread = read_labelled(written(tmp_path, [*WORDS, {"tokens": ["\u200b"], "tags": ["O"]}]))
    real_model("all-minilm-l6-v2")  # to which a zero-width space is nothing
    with pytest.raises(FinetuneError, match="record 13: the text has no tokens for this encoder; remove the record"):
        train_classifier("all-minilm-l6-v2", unread, tmp_path / "run", config(held_out_share=0.0))


def test_a_state_before_any_training_is_never_the_best(encoder: str, tmp_path: Path) -> None:
    """The first step of a warm-up has rate 0, and with labels at random no later state need be better."""
    odd = [{"text": f"add {n}", "label": "calculate" if n * 7 % 10 < 5 else "chat"} for n in range(40)]
    data = read_labelled(written(tmp_path, odd))
    report = train_classifier(encoder, data, tmp_path / "run", config(eval_steps=1, learning_rate=1.0))
    looks = [step.held_out_loss for step in report.steps]
    assert looks[0] == min(looks), "the untouched head was the best of all"
    assert load_classifier(tmp_path / "run").classify(["add 3"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "is damaged"),
        ({"labels": ["chat", "chat"]}, "is damaged"),
        ({"labels": "ab"}, "is damaged"),
        ({"task": "foo"}, "is damaged"),
        ({"base_model": None}, r"is damaged \(base_model is missing\)"),
        ({"adapter_sha256": None}, r"is damaged \(adapter_sha256 is missing\)"),
    ],
)
def test_a_damaged_manifest_is_named(encoder: str, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    data = read_labelled(written(tmp_path, TEXTS))
    train_classifier(encoder, data, tmp_path / "run", config(num_train_epochs=1.0))
    file = tmp_path / "run" / "manifest.json"
    file.write_text(json.dumps(read_manifest(tmp_path / "run") | change), encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        load_classifier(tmp_path / "run")


def test_a_run_with_another_held_out_answer_is_another_run(encoder: str, tmp_path: Path) -> None:
    """The best state is chosen by them, so a run must not go on with others."""
    data = read_labelled(written(tmp_path, TEXTS))
    text = held_out_of(data, 0.3).texts[0]
    turned = {"chat": "calculate", "calculate": "chat"}
    other = [row | {"label": turned[row["label"]]} if row["text"] == text else row for row in TEXTS]
    changed = read_labelled(written(tmp_path, other, "other.jsonl"))
    short = config(num_train_epochs=1.0)
    for name, file in (("one", data), ("two", changed)):
        train_classifier(encoder, file, tmp_path / name, short)
    assert read_manifest(tmp_path / "one")["data_sha256"] != read_manifest(tmp_path / "two")["data_sha256"]


def test_what_is_no_list_of_texts_is_refused(encoder: str, tmp_path: Path) -> None:
    train_classifier(encoder, read_labelled(written(tmp_path, TEXTS)), tmp_path / "run", config(num_train_epochs=1.0))
    known = load_classifier(tmp_path / "run")
    with pytest.raises(ModelError, match="pass a list"):
        known.classify("add 3")
    with pytest.raises(ModelError, match="a lone surrogate"):
        known.classify(["add \ud800"])
    assert known.classify([]) == []


def test_tables_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("text,label\n你好,chat\n1+1,calculate\n", encoding="utf-8")
    file = read_labelled(tmp_path / "data.csv")
    assert (file.task, file.texts, file.labels) == ("SEQ_CLS", ["你好", "1+1"], [["chat"], ["calculate"]])
    (tmp_path / "tags.csv").write_text('tokens,tags\n"[""LoRA"", ""小""]","[""B-METHOD"", ""O""]"\n', encoding="utf-8")
    file = read_labelled(tmp_path / "tags.csv")
    assert (file.task, file.texts, file.labels) == ("TOKEN_CLS", [["LoRA", "小"]], [["B-METHOD", "O"]])
    assert file.shares() == {"B-METHOD": 0.5, "O": 0.5}
