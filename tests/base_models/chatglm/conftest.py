"""Where the real tokenizer of ChatGLM-6B lies; it has a licence of its own and is not part of the project."""

import os
import shutil
from pathlib import Path

import pytest

from base_models.chatglm import ChatGLMTokenizer


@pytest.fixture(scope="session")
def shared_chatglm(absent) -> Path:
    """The folder with ``assets/`` (the released tokenizer and configuration) and ``golden/tokenizer.json``."""
    beside = Path(__file__).parents[4] / "shared" / "chatglm-6b"
    folder = Path(os.environ.get("LOREWRIGHT_CHATGLM_ASSETS", beside))
    if not (folder / "assets" / "ice_text.model").is_file():
        absent(f"the released tokenizer is not in {folder}; set LOREWRIGHT_CHATGLM_ASSETS")
    return folder


@pytest.fixture(scope="session")
def released(shared_chatglm, tmp_path_factory) -> Path:
    """A folder with the configuration and tokenizer that users have, without weights."""
    folder = tmp_path_factory.mktemp("released") / "chatglm-6b"
    folder.mkdir()
    for name in ("config.json", "tokenizer_config.json", "ice_text.model"):
        shutil.copyfile(shared_chatglm / "assets" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def tokenizer(released) -> ChatGLMTokenizer:
    return ChatGLMTokenizer.from_pretrained(released)
