"""The real tokenizer of ChatGLM-6B."""

import pytest

from base_models.chatglm import ChatGLMTokenizer


@pytest.fixture(scope="session")
def tokenizer(released) -> ChatGLMTokenizer:
    return ChatGLMTokenizer.from_pretrained(released)
