"""``lorewright classifier …``: trains an encoder to classify texts or to tag words."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from assistant.cli.settings_flags import settings_flags, validated
from assistant.errors import AssistantError
from domain import ClassifierConfig, Settings, write_text

if TYPE_CHECKING:
    from finetune.data.labelled_files import LabelledFile

app = typer.Typer(no_args_is_help=True, help="Train an encoder to tell texts apart, or to tag words.")
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that training left.")]


@app.callback()
def classifier() -> None:
    """Train an encoder to tell texts apart, or to tag words."""


@app.command()
@settings_flags(ClassifierConfig, default="")
def train(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Records with text and label, or tokens and tags.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for what is learnt.")],
    config: dict[str, Any],
    encoder: Annotated[str, typer.Option(help="An embedder, see: lorewright models; or a folder.")] = (
        Settings().embedder
    ),
    held_out: Annotated[Path | None, typer.Option(help="Other records to measure on; else those held out.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Train anew into a folder that is finished.")] = False,
) -> None:
    """Train a classifier on a file of labelled texts. Shows how often it is right on texts that it has not learnt."""
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
    left = "no classifier was written. The same command goes on with it where it was last saved."
    with Bars(left) as bars, only_trainer(folder, "or name another folder"):
        report = train_classifier(
            name, data, folder, settings, bars.step, lambda told: typer.echo(forecast(told), err=True)
        )
    typer.echo(f"{folder}: {trained(report, shortened='cut off at the end')}")
    if measured.texts:
        with Bars(f"{folder} is finished, only its figures were not taken; --again trains it and takes them.") as bars:
            bars.update("measuring", 0, len(measured.texts))
            scores = _scores(load_classifier(folder), measured)
            bars.update("measuring", len(measured.texts), len(measured.texts))
        scores["chosen_on_these"] = not held_out
        write_text(folder / "scores.json", json.dumps(scores, ensure_ascii=False, indent=1) + "\n")
        typer.echo(_said(scores))


@app.command()
def ask(
    folder: Folder,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts to look at.")],
    pairs: Annotated[bool, typer.Option("--pairs", help="Every two texts are a pair of one class.")] = False,
) -> None:
    """Say which class each text is of, with its probability; or the tag of each word."""
    from base_models import load_classifier

    if pairs and len(texts) % 2:
        raise AssistantError(f"--pairs reads texts two by two, and {len(texts)} were given; add the other one.")
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
    dtype: Annotated[Literal["bfloat16", "float16", "float32"], typer.Option(help="Type of its weights.")] = "float32",
) -> None:
    """Write encoder and adapter as one model. transformers' pipelines read the folder."""
    from base_models import merge_adapter
    from base_models.adapter_manifest import read_manifest

    result = merge_adapter(read_manifest(folder)["base_model"], folder, output, dtype)
    typer.echo(f"{output}: as safetensors in {dtype}; its logits differ by at most {result['difference']:.2%}.")


LEFT = {"adapter_model.safetensors", "adapter_config.json", "manifest.json", "report.json", "report.md"}
LEFT |= {"loss.png", "steps.jsonl", "scores.json", "tensorboard"}
"""The files that training writes; a folder with any other file is not replaced."""


def _check_replaceable(folder: Path, again: bool) -> None:
    from base_models.adapter_manifest import read_manifest

    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "manifest.json" not in names or "task" not in read_manifest(folder):
        raise AssistantError(f"{folder} exists already and is no classifier; name a new folder.")
    if not again:
        raise AssistantError(f"{folder} exists already; name a new folder, or train it anew: --again")
    if strange := sorted(names - LEFT):
        raise AssistantError(
            f"{folder} holds {strange[0]}, which no training left; move it away first, or name a new folder."
        )


def _check_measured(measured: "LabelledFile", data: "LabelledFile", apart: bool) -> None:
    """Refuse records of another kind or of unknown classes, and, in a file ``apart`` from the data, texts of the
    training data."""
    if measured.texts and measured.task != data.task:
        raise AssistantError(f"{measured.path} holds records of another kind than {data.path}.")
    known = {str(text) for text in data.texts}
    same = sum(str(text) in known for text in measured.texts)
    if apart and same:
        raise AssistantError(
            f"{same} of the {len(measured.texts)} texts of {measured.path} stand in {data.path} too, so they tell "
            "nothing of new ones; take them out of one of the two."
        )
    unknown = sorted(set(measured.names()) - set(data.names()))
    if unknown:
        raise AssistantError(f"{measured.path} has the label {unknown[0]!r}, which {data.path} does not teach.")


def _scores(classifier: Any, measured: "LabelledFile") -> dict[str, Any]:
    """Accuracy and macro F1, with 95 % intervals over texts."""
    from sklearn.metrics import f1_score

    from assistant.evaluation.metrics import bootstrap, ratio

    if classifier.task == "SEQ_CLS":
        said = [[next(iter(shares))] for shares in classifier.classify(measured.texts)]
    else:
        said = classifier.tag(measured.texts)
    pairs = list(zip(measured.labels, said, strict=True))
    right = [(sum(a == b for a, b in zip(*pair, strict=True)), len(pair[0])) for pair in pairs]

    def macro_f1(rows: Any) -> float:
        drawn = [pairs[int(row)] for row in rows]
        truth = [label for labels, _ in drawn for label in labels]
        answers = [label for _, labels in drawn for label in labels]
        return float(f1_score(truth, answers, average="macro", zero_division=0.0))

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
    chosen = " The state that was kept is the best one on these very texts." if scores["chosen_on_these"] else ""
    return (
        f"On {scores['texts']} texts that it has not learnt: accuracy {accuracy:.2f} ({low:.2f} to {high:.2f}), macro "
        f"F1 {f1:.2f} ({f1_low:.2f} to {f1_high:.2f}); always saying {label!r} would be right in {share:.2f}.{chosen}"
    )
