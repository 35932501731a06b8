"""Encoders that say which class a text, or a pair of texts, is of (SEQ_CLS), or which tag each of its words has
(TOKEN_CLS).

The encoder is one of the catalogue's embedders, or any folder of a BERT-like model; what makes it a classifier is an
adapter: a LoRA on its attention, and a head of its own (a linear layer on the first token's vector, through BERT's
pooler; Devlin et al. 2019, section 4.1). The folder of that adapter is all that is needed to ask it, for
its manifest names encoder and classes. Runs in float32: the head learns and decides by small differences.

Not supported: several classes for one text, segment ids (the two texts of a pair have a separator between them),
encoders that bring their own code.
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

from base_models.adapters import read_manifest
from base_models.catalogue import CATALOGUE, find
from base_models.errors import ModelError
from base_models.fetch import fetch, fingerprint, loadable
from base_models.hardware import choose_device
from base_models.loaded_model import LoadedModel
from base_models.loading import ONLY_HERE, no_bar
from base_models.messages import chat_format_hash
from domain import is_text

Task = Literal["SEQ_CLS", "TOKEN_CLS"]
FAMILIES: dict[str, Any] = {
    "CAUSAL_LM": AutoModelForCausalLM,
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
}
BATCH = 32
Text = str | tuple[str, str] | Sequence[str]
"""A text, a pair of texts, or words to tag."""
NO_LABEL = -100
"""Of a token that has no tag of its own: a special token, or a later piece of a word."""


@dataclass(frozen=True)
class Classified:
    """One text as an encoder reads it, with what is to be learnt of it."""

    ids: list[int]
    labels: list[int]
    """One class; or a tag for each id, NO_LABEL where it has none."""

    @property
    def targets(self) -> int:
        return sum(label != NO_LABEL for label in self.labels)


def encode_labelled(
    tokenizer: PreTrainedTokenizerBase, text: Text, max_length: int, labels: Sequence[int] = ()
) -> Classified:
    """A text or a pair with its one class; or words with the tags of all, of which the first piece of each word bears
    its own. What is beyond ``max_length`` tokens is cut off, of a pair from the longer text.

    Without ``labels``, to ask: the labels of the result are then the numbers of the words that bear them, from 0.
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
    """An encoder with a new head for these classes, which is the same each time; an adapter makes it know them."""
    name = str(name_or_path)
    folder = loadable(_encoder_folder(name))
    target = choose_device(device)
    try:
        with no_bar(), _not_told_of_the_head(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = FAMILIES[task].from_pretrained(
                folder,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
                dtype=torch.float32,
                use_safetensors=True,
                **ONLY_HERE,
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, **ONLY_HERE)
    except (OSError, ValueError, SafetensorError) as error:
        said = str(error).strip().splitlines()[0]
        raise ModelError(f"{folder} cannot be loaded as an encoder: {said}") from error
    for part in poolers(model):
        if (
            not part.dense.weight.any()
        ):  # ours of e5, whose published form has none: begin with the first token as it is
            torch.nn.init.eye_(part.dense.weight)
    if tokenizer.chat_template or not tokenizer.is_fast:
        reason = "is a chat model" if tokenizer.chat_template else "has no fast tokenizer (tokenizer.json)"
        raise ModelError(f"{name} {reason}; take an encoder, such as multilingual-e5-small.")
    model.to(target).eval()
    return LoadedModel(
        name, fingerprint(name), model, tokenizer, chat_format_hash(tokenizer), task=task, labels=tuple(labels)
    )


@contextmanager
def _not_told_of_the_head() -> Iterator[None]:
    """Keeps transformers from warning of a new head, which is what is wanted."""
    before = get_verbosity()
    set_verbosity_error()
    try:
        yield
    finally:
        set_verbosity(before)


def poolers(model: torch.nn.Module) -> list[Any]:
    """The layers that make one vector of a text for the head; they learn with it. Of tagging models there are none."""
    return [part for name, part in model.named_modules() if name.endswith("pooler")]


def _encoder_folder(name: str) -> Path:
    if name in CATALOGUE:
        if find(name).kind != "embedder":
            raise ModelError(f"{name} is a chat model; take an encoder, such as multilingual-e5-small.")
        return fetch(name)
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        find(name)  # raises, naming the nearest catalogue names
    return folder


def most_tokens(loaded: LoadedModel) -> int:
    """The length of text that an encoder can read, special tokens included."""
    return int(min(loaded.tokenizer.model_max_length, loaded.model.config.max_position_embeddings))


class Classifier:
    """A trained classifier in memory; make one with :func:`load_classifier`."""

    def __init__(self, loaded: LoadedModel, adapter: Path) -> None:
        self.loaded = loaded
        self.adapter = adapter
        self.task = loaded.task
        self.labels = loaded.labels
        """The classes or tags that it knows."""

    def classify(self, texts: Sequence[str | tuple[str, str]]) -> list[dict[str, float]]:
        """For each text, or pair of texts, the probability of every class, the likeliest first. It is read up to the
        encoder's length."""
        if self.task != "SEQ_CLS":
            raise ModelError(f"{self.adapter} tags words; ask it with tag().")
        rows: list[dict[str, float]] = []
        for start in range(0, len(texts), BATCH):
            for shares in self._logits(self._encoded(texts[start : start + BATCH])).softmax(-1).tolist():
                ranked = sorted(zip(shares, self.labels, strict=True), reverse=True)
                rows.append({label: share for share, label in ranked})
        return rows

    def tag(self, texts: Sequence[Sequence[str]]) -> list[list[str]]:
        """For each list of words (of Chinese: of characters) the likeliest tag of every word; "O" for words beyond the
        encoder's length."""
        if self.task != "TOKEN_CLS":
            raise ModelError(f"{self.adapter} classifies whole texts; ask it with classify().")
        rows: list[list[str]] = []
        for start in range(0, len(texts), BATCH):
            words = texts[start : start + BATCH]
            batch = self._encoded(words)
            likeliest = self._logits(batch).argmax(-1).tolist()
            for text, example, tags in zip(words, batch, likeliest, strict=True):
                row = ["O"] * len(text)
                for word, tag in zip(example.labels, tags, strict=False):
                    if word != NO_LABEL:
                        row[word] = self.labels[tag]
                rows.append(row)
        return rows

    def _encoded(self, texts: Sequence[Text]) -> list[Classified]:
        if isinstance(texts, str) or (self.task == "TOKEN_CLS" and any(isinstance(text, str) for text in texts)):
            raise ModelError("a list is asked for: of texts to classify, or of lists of words to tag.")
        if not all(is_text("".join(text)) for text in texts):
            raise ModelError("a text holds half a character (a surrogate), which no encoder can read; leave it out.")
        room = most_tokens(self.loaded)
        return [encode_labelled(self.loaded.tokenizer, text, room) for text in texts]

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
    """Load a classifier from the folder that its training left; the encoder is fetched first if need be."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.get("task", "CAUSAL_LM") == "CAUSAL_LM":
        raise ModelError(f"{folder} is an adapter of a chat model, not a classifier.")
    labels = manifest.get("labels")
    labels = labels if isinstance(labels, list) and all(isinstance(label, str) for label in labels) else []
    if manifest["task"] not in FAMILIES or len(labels) < 2 or len(set(labels)) != len(labels):
        raise ModelError(
            f"{folder / 'manifest.json'} is damaged (task or labels are not what was written); train again."
        )
    loaded = load_encoder(manifest["base_model"], manifest["task"], manifest["labels"], device)
    classifier = Classifier(loaded, folder)
    with loaded.using(folder):
        return classifier  # fails now, not at the first question, if the adapter does not fit
