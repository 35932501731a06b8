"""Compares training speed with transformers' Trainer and peft: same model, same examples, same optimiser steps.

    python benchmarks/training.py [--model smollm2-135m-instruct] [--runs 3]

The examples are training questions of the sample domain after a page of its documents, so that most tokens have no
label, as in real runs. The two loops alternate; the result is the median ratio of paired runs. Results go to
benchmarks/results/training.json.
"""

import argparse
import json
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch
from hardware import hardware
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from base_models import load
from base_models.loaded_model import LoadedModel
from base_models.messages import Encoded, Message
from domain import FinetuneConfig, read_questions, write_text
from finetune.batch_plan import plan_batches
from finetune.batches import IGNORED
from finetune.data.examples import TrainingData, choose_examples
from finetune.methods import learning_rate
from finetune.objectives import answers
from finetune.trainable_model import TrainableModel
from finetune.training_loop import TrainingTask, train

SAMPLE = Path(__file__).parent.parent / "examples" / "peft-handbook"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--examples", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "training.json")
    arguments = parser.parse_args()
    config = FinetuneConfig(
        num_train_epochs=1, gradient_accumulation_steps=4, lr_scheduler_type="constant", warmup_steps=0
    )
    base = load(arguments.model)
    examples = choose_examples(base.tokenizer, conversations(arguments.examples), config).examples
    tokens = sum(len(example.ids) for example in examples)
    labelled = sum(sum(example.labelled) for example in examples)
    rows = []
    for run in range(arguments.runs + 1):  # the first run is a warm-up
        ours, peer = timed(our_loop, base, examples, config), timed(trainer, base, examples, config)
        if run:
            rows.append({"ours": tokens / ours, "trainer": tokens / peer, "ratio": peer / ours})
            print(f"run {run}: ours {tokens / ours:.0f} tokens/s, Trainer {tokens / peer:.0f}, ratio {peer / ours:.2f}")
    result = {
        "format": 1,
        "model": arguments.model,
        "examples": len(examples),
        "tokens": tokens,
        "labelled_tokens": labelled,
        "runs": rows,
        "median_ratio": statistics.median(row["ratio"] for row in rows),
        "hardware": hardware() | {"dtype": str(base.model.dtype)},
        "versions": {name: version(name) for name in ("lorewright", "torch", "transformers", "peft")},
    }
    write_text(arguments.out, json.dumps(result, indent=1) + "\n")
    print(f"median ratio {result['median_ratio']:.2f}; written to {arguments.out}")


def conversations(count: int) -> list[list[Message]]:
    """Training questions after the page that answers them."""
    result: list[list[Message]] = []
    for question in read_questions(SAMPLE / "questions" / "train.jsonl"):
        if question.document and len(question.messages) == 2 and len(result) < count:
            page = (SAMPLE / "documents" / question.document).read_text(encoding="utf-8")[:2000]
            asked = {"role": "user", "content": f"{page}\n\n{question.text}"}
            result.append([asked, {"role": "assistant", "content": question.answer}])
    return result


def timed(function, base: LoadedModel, examples: list[Encoded], config: FinetuneConfig) -> float:  # type: ignore[no-untyped-def]
    """Seconds of training alone, without loading or wrapping."""
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        task_type="CAUSAL_LM", r=config.r, lora_alpha=int(config.lora_alpha), target_modules=base.lora_target_modules
    )
    model = get_peft_model(base.model, lora)
    seconds = function(model, examples, config, base.tokenizer.eos_token_id)
    model.unload()
    return seconds


def our_loop(model, examples: list[Encoded], config: FinetuneConfig, pad: int) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    trainable = TrainableModel(model)
    data = TrainingData(examples, range(1, len(examples) + 1))
    train(TrainingTask(trainable, answers(trainable, pad), data, plan_batches(examples, config), config))
    return time.perf_counter() - start


def trainer(model, examples: list[Encoded], config: FinetuneConfig, pad: int) -> float:  # type: ignore[no-untyped-def]
    class Rows(Dataset):
        def __len__(self) -> int:
            return len(examples)

        def __getitem__(self, index: int) -> dict[str, list[int]]:
            example = examples[index]
            labels = [token if learn else IGNORED for token, learn in zip(example.ids, example.labelled, strict=True)]
            return {"input_ids": example.ids, "attention_mask": [1] * len(example.ids), "labels": labels}

    def stack(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        return {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=config.per_device_train_batch_size,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            num_train_epochs=config.num_train_epochs,
            learning_rate=learning_rate(config),
            lr_scheduler_type=config.lr_scheduler_type,
            max_grad_norm=config.max_grad_norm,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        peer = Trainer(model=model, args=arguments, train_dataset=Rows(), data_collator=stack)
        start = time.perf_counter()
        peer.train()
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
