"""Trains a LoRA and a head on an encoder: a class for each text, or a tag for each word."""

from collections.abc import Callable
from pathlib import Path

from base_models.classifier import Classified, encode_labelled, load_encoder, most_tokens
from base_models.loaded_model import LoadedModel
from domain import ClassifierConfig
from finetune.data.examples import TrainingData
from finetune.data.labelled_files import LabelledFile, is_text_held_out
from finetune.errors import FinetuneError
from finetune.methods import check_early_stopping
from finetune.report import RunReport
from finetune.run import Run
from finetune.run_forecast import Forecast
from finetune.runner import train_run
from finetune.steps import Step


def train_classifier(
    encoder: str,
    file: LabelledFile,
    output: Path,
    config: ClassifierConfig,
    on_step: Callable[[Step], None] | None = None,
    on_start: Callable[[Forecast], None] | None = None,
) -> RunReport:
    """Train a LoRA and a head on an encoder and write them to the folder ``output``; a run that was stopped resumes.

    ``config.held_out_share`` of the texts, selected by their hash, are evaluated during the run and not trained on.
    """
    names = file.names()
    if len(names) < 2:
        raise FinetuneError(f"every label in {file.path} is {names[0]!r}; a classifier needs at least two classes.")
    check_early_stopping(config)
    base = load_encoder(encoder, file.task, names)  # type: ignore[arg-type]
    return train_run(Run(base, _encoded(base, file, config), output, config, on_step=on_step, on_start=on_start))


def _encoded(base: LoadedModel, file: LabelledFile, config: ClassifierConfig) -> TrainingData:
    numbers = {name: number for number, name in enumerate(base.labels)}
    length = min(config.max_length, most_tokens(base))
    examples: list[Classified] = []
    held_out: list[Classified] = []
    places: list[int] = []
    shortened = 0
    for place, (text, labels) in enumerate(zip(file.texts, file.labels, strict=True), start=1):
        example = encode_labelled(base.tokenizer, text, length, [numbers[label] for label in labels])
        if not example.targets:
            raise FinetuneError(
                f"{file.path}, record {place}: the text has no tokens for this encoder; remove the record."
            )
        if is_text_held_out(text, config.held_out_share):
            held_out.append(example)
            continue
        examples.append(example)
        places.append(place)
        shortened += len(example.ids) == length
    if not examples or (config.held_out_share and not held_out):
        none = "none" if examples else "every one"
        raise FinetuneError(
            f"held_out_share={config.held_out_share:g} holds out {none} of the {len(file.texts)} records of "
            f"{file.path}; {'raise' if examples else 'lower'} it."
        )
    missing = set(base.labels) - {base.labels[n] for example in examples for n in example.labels if n >= 0}
    if missing:
        raise FinetuneError(
            f"{file.path}: no training example has the label {sorted(missing)[0]!r}, because its records are held out "
            "or beyond max_length; add more of them, or lower held_out_share."
        )
    return TrainingData(examples, places, held_out, shortened=shortened)
