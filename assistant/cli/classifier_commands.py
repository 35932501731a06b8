"""``lorewright classifier …``: trains an encoder to classify texts or to tag words."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from assistant.cli.training_flags import settings_flags, validated
from assistant.errors import AssistantError
from domain import ClassifierConfig, Settings, write_text

if TYPE_CHECKING:
    import numpy as np

    from finetune.data.labelled_files import LabelledFile

app = typer.Typer(no_args_is_help=True, help="Train an encoder to classify texts or tag words.")
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a trained classifier.")]


@app.callback()
def classifier() -> None:
    """Train an encoder to classify texts or tag words."""


@app.command()
@settings_flags(ClassifierConfig, default="")
def train(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Data file; its records have text and label, or tokens and tags.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the classifier.")],
    config: dict[str, Any],
    encoder: Annotated[str, typer.Option(help="An embedder (see: lorewright models), or a model folder.")] = (
        Settings().embedder
    ),
    held_out: Annotated[
        Path | None, typer.Option(help="Data file to evaluate on. [default: the held-out share of FILE]")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Train again and replace the classifier in FOLDER.")] = False,
) -> None:
    """Train a classifier on labelled texts, and evaluate it on held-out texts."""
    from assistant.cli.progress_bars import Bars
    from assistant.cli.tables import forecast, trained
    from assistant.finetuning import only_trainer
    from base_models import CATALOGUE, load_classifier
    from finetune import read_labelled, train_classifier
    from finetune.data.labelled_files import held_out_of

    settings = validated(ClassifierConfig, config)
    data = read_labelled(file)
    measured = read_labelled(held_out) if held_out else held_out_of(data, settings.held_out_share)
    _check_measured(measured, data, apart=held_out is not None)
    if folder.exists():
        _check_replaceable(folder, again)
    here = Path(encoder).expanduser()
    name = str(here.resolve()) if encoder not in CATALOGUE and here.is_dir() else encoder
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    left = "no classifier was written. Run the same command to resume from the last checkpoint."
    with Bars(left) as bars, only_trainer(folder, "or choose another folder"):
        report = train_classifier(
            name, data, folder, settings, bars.step, lambda told: typer.echo(forecast(told), err=True)
        )
    typer.echo(f"{folder}: {trained(report, shortened='truncated')}")
    if measured.texts:
        with Bars(f"{folder} is trained but not evaluated; --again trains and evaluates it.") as bars:
            bars.update("evaluating", 0, len(measured.texts))
            scores = _scores(load_classifier(folder), measured)
            bars.update("evaluating", len(measured.texts), len(measured.texts))
        scores["chosen_on_these"] = not held_out
        write_text(folder / "scores.json", json.dumps(scores, ensure_ascii=False, indent=1) + "\n")
        typer.echo(_said(scores))


@app.command()
def ask(
    folder: Folder,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts to classify.")],
    pairs: Annotated[bool, typer.Option("--pairs", help="Classify the texts two by two, as pairs.")] = False,
) -> None:
    """Print the most probable classes of each text, or the tag of each word."""
    from base_models import load_classifier

    if pairs and len(texts) % 2:
        raise AssistantError(f"--pairs needs an even number of texts, not {len(texts)}; add the missing text.")
    known = load_classifier(folder)
    if known.task == "TOKEN_CLS":
        for text, tags in zip(texts, known.tag([text.split() for text in texts]), strict=True):
            typer.echo(" ".join(f"{word}/{tag}" for word, tag in zip(text.split(), tags, strict=True)))
        return
    asked = [(text, other) for text, other in zip(texts[::2], texts[1::2], strict=True)] if pairs else texts
    for one, shares in zip(asked, known.classify(asked), strict=True):
        shown = one if isinstance(one, str) else " | ".join(one)
        typer.echo(f"{', '.join(f'{label} {share:.2f}' for label, share in list(shares.items())[:3])}  {shown}")


@app.command()
def merge(
    folder: Folder,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A new folder for the merged model.")],
    dtype: Annotated[
        Literal["bfloat16", "float16", "float32"], typer.Option(help="Data type of the weights.")
    ] = "float32",
) -> None:
    """Merge encoder and adapter into one model, which transformers' pipelines can load."""
    from base_models import merge_adapter
    from base_models.adapter_manifest import read_manifest

    result = merge_adapter(read_manifest(folder)["base_model"], folder, output, dtype)
    typer.echo(
        f"{output}: merged model, safetensors in {dtype}; its logits differ by at most {result['difference']:.2%}."
    )


LEFT = {"adapter_model.safetensors", "adapter_config.json", "manifest.json", "report.json", "report.md"}
LEFT |= {"loss.png", "steps.jsonl", "scores.json", "tensorboard"}
"""The files that training writes; a folder with any other file is not replaced."""


def _check_replaceable(folder: Path, again: bool) -> None:
    from base_models.adapter_manifest import read_manifest

    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "manifest.json" not in names or "task" not in read_manifest(folder):
        raise AssistantError(f"{folder} already exists and is not a classifier; choose a new folder.")
    if not again:
        raise AssistantError(f"{folder} already exists; choose a new folder, or train it again with --again.")
    if strange := sorted(names - LEFT):
        raise AssistantError(
            f"{folder} contains {strange[0]}, which training did not write; move it away, or choose a new folder."
        )


def _check_measured(measured: "LabelledFile", data: "LabelledFile", apart: bool) -> None:
    """Refuse records of another kind or of unknown classes, and, in a file ``apart`` from the data, texts of the
    training data."""
    if measured.texts and measured.task != data.task:
        raise AssistantError(
            f"{measured.path} has records of another kind than {data.path}; give a file for the same task."
        )
    known = {str(text) for text in data.texts}
    same = sum(str(text) in known for text in measured.texts)
    if apart and same:
        raise AssistantError(
            f"{same} of the {len(measured.texts)} texts in {measured.path} are also in the training data {data.path}; "
            "remove them from one of the two files."
        )
    unknown = sorted(set(measured.names()) - set(data.names()))
    if unknown:
        raise AssistantError(
            f"{measured.path} has the label {unknown[0]!r}, which {data.path} does not have; add examples of it."
        )


def _scores(classifier: Any, measured: "LabelledFile") -> dict[str, Any]:
    """Accuracy and macro F1, with 95 % intervals over texts."""
    import numpy as np
    from sklearn.metrics import f1_score

    from assistant.evaluation.metrics import bootstrap, ratio

    if classifier.task == "SEQ_CLS":
        said = [[next(iter(shares))] for shares in classifier.classify(measured.texts)]
    else:
        said = classifier.tag(measured.texts)
    pairs = list(zip(measured.labels, said, strict=True))
    right = [(sum(a == b for a, b in zip(*pair, strict=True)), len(pair[0])) for pair in pairs]

    def macro_f1(samples: "np.ndarray") -> "np.ndarray":
        figures = []
        for rows in samples.astype(int):
            truth = [label for row in rows for label in pairs[row][0]]
            answers = [label for row in rows for label in pairs[row][1]]
            figures.append(f1_score(truth, answers, average="macro", zero_division=0.0))
        return np.array(figures)

    return {
        "format": 1,
        "texts": len(pairs),
        "accuracy": bootstrap(right, ratio),
        "macro_f1": bootstrap(range(len(pairs)), macro_f1),
        "most_frequent": next(iter(measured.shares().items())),
    }


def _said(scores: dict[str, Any]) -> str:
    accuracy, low, high = scores["accuracy"]
    f1, f1_low, f1_high = scores["macro_f1"]
    label, share = scores["most_frequent"]
    chosen = " The weights were selected on these same texts." if scores["chosen_on_these"] else ""
    return (
        f"On {scores['texts']} held-out texts: accuracy {accuracy:.2f} ({low:.2f} to {high:.2f}), macro F1 {f1:.2f} "
        f"({f1_low:.2f} to {f1_high:.2f}); always predicting {label!r} has accuracy {share:.2f}.{chosen}"
    )
