"""Small random models of the kinds that are trained."""

from pathlib import Path

import pytest
import torch
from chatglm_samples import write_released
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small random BERT that reads letters, digits and a few Chinese characters."""
    folder = tmp_path_factory.mktemp("bert")
    pieces = [*"abcdefghijklmnopqrstuvwxyz0123456789加是多少你好朋友"]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces, *(f"##{piece}" for piece in pieces)]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocab)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special).save_pretrained(folder)
    torch.manual_seed(3)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocab), max_position_embeddings=64, **shape)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def small_chatglm(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ChatGLM of two narrow layers."""
    folder = tmp_path_factory.mktemp("small") / "chatglm"
    return write_released(folder, released, hidden_size=64, inner_hidden_size=128)
