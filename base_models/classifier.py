"""Classifiers of texts or pairs of texts (SEQ_CLS), and taggers of words (TOKEN_CLS).

A classifier is an encoder (an embedder of the catalogue, or a folder of a BERT-like model) with an adapter: a LoRA on
its attention and a trained head, a linear layer on the first token's vector after BERT's pooler (Devlin et al. 2019,
section 4.1). The adapter folder is enough to load it, since its manifest names encoder and classes. Runs in float32.

Not supported: several classes for one text, segment ids (a separator stands between the two texts of a pair),
encoders with their own code.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import get_verbosity, set_verbosity, set_verbosity_error

from base_models.acquire.fetch import fetch, fingerprint, loadable
from base_models.adapter_manifest import read_manifest
from base_models.catalogue import CATALOGUE, find
from base_models.errors import ModelError
from base_models.hardware import choose_device
from base_models.loaded_model import LoadedModel
from base_models.local_files import LOCAL_ONLY, no_progress_bar
from base_models.messages import chat_format_hash
from domain import is_text

Task = Literal["SEQ_CLS", "TOKEN_CLS"]
FAMILIES: dict[str, Any] = {
    "CAUSAL_LM": AutoModelForCausalLM,
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
}
BATCH = 32
"""Texts that are classified together. Chosen."""
Text = str | tuple[str, str] | Sequence[str]
"""A text, a pair of texts, or words to tag."""
NO_LABEL = -100
"""The label of tokens without a tag: special tokens, and all but the first token of a word."""


@dataclass(frozen=True)
class Classified:
    """One tokenised text with its labels."""

    ids: list[int]
    labels: list[int]
    """One class, or one tag per id (NO_LABEL for none)."""

    @property
    def targets(self) -> int:
        return sum(label != NO_LABEL for label in self.labels)


def encode_labelled(
    tokenizer: PreTrainedTokenizerBase, text: Text, max_length: int, labels: Sequence[int] = ()
) -> Classified:
    """Tokenise a text or a pair with its class, or words with their tags; the first token of a word gets its tag.

    Longer inputs are truncated to ``max_length`` tokens, of a pair the longer text. Without ``labels``, for inference,
    the label of a word's first token is the index of the word.
    """
    cut = {"truncation": True, "max_length": max_length}
    if isinstance(text, str | tuple):
        texts = (text,) if isinstance(text, str) else text
        return Classified(tokenizer(*texts, **cut).input_ids, list(labels))
    encoded = tokenizer(list(text), is_split_into_words=True, **cut)
    words = encoded.word_ids()
    first = [word is not None and word not in words[:place] for place, word in enumerate(words)]
    numbers = labels or range(len(text))
    tags = [numbers[word] if bears else NO_LABEL for word, bears in zip(words, first, strict=True)]  # type: ignore[index]
    return Classified(encoded.input_ids, tags)


def load_encoder(name_or_path: str | Path, task: Task, labels: Sequence[str], device: str = "auto") -> LoadedModel:
    """An encoder with a new head for these classes, always with the same initial weights; an adapter trains it."""
    name = str(name_or_path)
    folder = loadable(_encoder_folder(name))
    target = choose_device(device)
    try:
        with no_progress_bar(), _no_warning_about_the_head(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = FAMILIES[task].from_pretrained(
                folder,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
                dtype=torch.float32,
                use_safetensors=True,
                **LOCAL_ONLY,
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL_ONLY)
    except (OSError, ValueError, SafetensorError) as error:
        said = str(error).strip().splitlines()[0]
        raise ModelError(f"{folder} cannot be loaded as an encoder: {said}") from error
    for part in poolers(model):
        if not part.dense.weight.any():  # e5 was published without a pooler: start from the identity
            torch.nn.init.eye_(part.dense.weight)
    if tokenizer.chat_template or not tokenizer.is_fast:
        reason = "is a chat model" if tokenizer.chat_template else "has no fast tokenizer (tokenizer.json)"
        raise ModelError(f"{name} {reason}; use an encoder, such as multilingual-e5-small.")
    model.to(target).eval()
    return LoadedModel(
        name, fingerprint(name), model, tokenizer, chat_format_hash(tokenizer), task=task, labels=tuple(labels)
    )


@contextmanager
def _no_warning_about_the_head() -> Iterator[None]:
    """Silence transformers' warning about a newly initialised head."""
    before = get_verbosity()
    set_verbosity_error()
    try:
        yield
    finally:
        set_verbosity(before)


def poolers(model: torch.nn.Module) -> list[Any]:
    """The pooling layers before the head, which are trained with it; taggers have none."""
    return [part for name, part in model.named_modules() if name.endswith("pooler")]


def _encoder_folder(name: str) -> Path:
    if name in CATALOGUE:
        if find(name).kind != "embedder":
            raise ModelError(f"{name} is a {find(name).kind} model; use an encoder, such as multilingual-e5-small.")
        return fetch(name)
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        find(name)  # raises, naming the nearest catalogue names
    return folder


def most_tokens(loaded: LoadedModel) -> int:
    """The most tokens that an encoder reads, special tokens included."""
    return int(min(loaded.tokenizer.model_max_length, loaded.model.config.max_position_embeddings))


class Classifier:
    """A trained classifier in memory; see :func:`load_classifier`."""

    def __init__(self, loaded: LoadedModel, adapter: Path) -> None:
        self.loaded = loaded
        self.adapter = adapter
        self.task = loaded.task
        self.labels = loaded.labels
        """The classes or tags."""

    def classify(self, texts: Sequence[str | tuple[str, str]]) -> list[dict[str, float]]:
        """For each text, or pair of texts, the probability of every class, the most likely first.

        A text is truncated to the length of the encoder."""
        if self.task != "SEQ_CLS":
            raise ModelError(f"{self.adapter} is a tagger; call tag() instead.")
        rows: list[dict[str, float]] = []
        for start in range(0, len(texts), BATCH):
            for shares in self._logits(self._encoded(texts[start : start + BATCH])).softmax(-1).tolist():
                ranked = sorted(zip(shares, self.labels, strict=True), reverse=True)
                rows.append({label: share for share, label in ranked})
        return rows

    def tag(self, texts: Sequence[Sequence[str]]) -> list[list[str]]:
        """For each list of words (in Chinese: characters) the most likely tag of every word.

        Words beyond the length of the encoder get "O"."""
        if self.task != "TOKEN_CLS":
            raise ModelError(f"{self.adapter} is a text classifier; call classify() instead.")
        rows: list[list[str]] = []
        for start in range(0, len(texts), BATCH):
            words = texts[start : start + BATCH]
            batch = self._encoded(words)
            predicted = self._logits(batch).argmax(-1).tolist()
            for text, example, tags in zip(words, batch, predicted, strict=True):
                row = ["O"] * len(text)
                for word, tag in zip(example.labels, tags, strict=False):
                    if word != NO_LABEL:
                        row[word] = self.labels[tag]
                rows.append(row)
        return rows

    def _encoded(self, texts: Sequence[Text]) -> list[Classified]:
        if isinstance(texts, str) or (self.task == "TOKEN_CLS" and any(isinstance(text, str) for text in texts)):
            raise ModelError("pass a list: of texts for classify(), or of lists of words for tag().")
        if not all(is_text("".join(text)) for text in texts):
            raise ModelError("a text contains a lone surrogate (half a character), which cannot be encoded; remove it.")
        max_length = most_tokens(self.loaded)
        return [encode_labelled(self.loaded.tokenizer, text, max_length) for text in texts]

    @torch.inference_mode()
    def _logits(self, batch: Sequence[Classified]) -> torch.Tensor:
        """Logits [batch, classes] or [batch, tokens, classes], in float32 on the CPU."""
        longest = max(len(example.ids) for example in batch)
        pad = self.loaded.tokenizer.pad_token_id
        ids = [example.ids + [pad] * (longest - len(example.ids)) for example in batch]
        mask = [[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in batch]
        with self.loaded.using(self.adapter) as model:
            tensors = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
            here = {name: tensor.to(self.loaded.device) for name, tensor in tensors.items()}
            return model(**here).logits.float().cpu()


def load_classifier(folder: str | Path, device: str = "auto") -> Classifier:
    """Load a classifier from the folder that its training left; the encoder is fetched first if needed."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.get("task", "CAUSAL_LM") == "CAUSAL_LM":
        raise ModelError(f"{folder} is an adapter of a chat model, not a classifier; give the folder of a classifier.")
    labels = manifest.get("labels")
    labels = labels if isinstance(labels, list) and all(isinstance(label, str) for label in labels) else []
    if manifest["task"] not in FAMILIES or len(labels) < 2 or len(set(labels)) != len(labels):
        raise ModelError(f"{folder / 'manifest.json'} is damaged (invalid task or labels); train again.")
    loaded = load_encoder(manifest["base_model"], manifest["task"], manifest["labels"], device)
    classifier = Classifier(loaded, folder)
    with loaded.using(folder):
        return classifier  # raises now, not at the first call, if the adapter does not fit
