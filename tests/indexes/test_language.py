"""Which language a text is in, and the words that full-text search sees in it."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes import language_of
from indexes.language import full_text_query, words_of


@pytest.mark.parametrize(
    "text",
    [
        "LoRA 的秩怎么选?",
        "LLaMA-Factory 怎么用?",
        "use_cache 要关吗",
        "茶",
        "用 DeepSpeed ZeRO-3 训练 ChatGLM-6B",
        "這是什麼?",
        "OOM 了",
    ],
)
def test_chinese(text: str) -> None:
    assert language_of(text) == "zh"


@pytest.mark.parametrize(
    "text", ["What is LoRA?", "What does 龙井 mean in English?", "", "r=8, alpha=16", "How do I brew 普洱 tea?"]
)
def test_english(text: str) -> None:
    assert language_of(text) == "en"


def test_words_are_pairs_in_chinese_and_lower_case_elsewhere() -> None:
    assert words_of("LoRA 的秩,低秩适应") == ["lora", "的秩", "低秩", "秩适", "适应"]
    assert words_of("GLM-6B lora_alpha ＡＬＰＨＡ 茶") == ["glm", "6b", "lora", "alpha", "alpha", "茶"]


def test_a_line_break_inside_a_chinese_word_does_not_hide_it() -> None:
    assert "适应" in words_of("低秩适\n应的方法")
    assert "适应" in words_of("低秩适\n\u3000\u3000应")


def test_words_of_asking_are_not_searched() -> None:
    assert full_text_query("What is the rank of LoRA?") == '"rank" OR "lora"'
    assert full_text_query("龙井应该怎么泡?") == '"龙井" OR "泡"*'


def test_a_question_of_nothing_else_keeps_its_words() -> None:
    assert full_text_query("什么是") == '"什么" OR "么是"'
    assert full_text_query("To be or not to be") != ""
    assert full_text_query("?!…") == ""


@pytest.fixture(scope="module")
def full_text() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (words, tokenize = 'porter unicode61 remove_diacritics 2')")
    connection.execute("INSERT INTO t VALUES ('some words near 龙井 and not or')")
    return connection


@given(question=st.text() | st.text(alphabet="\"*'()-+^:{}.,\\ANDORNEAR龙井 \0a"))
def test_no_question_is_a_syntax_error(full_text: sqlite3.Connection, question: str) -> None:
    if expression := full_text_query(question):
        full_text.execute("SELECT rowid FROM t WHERE t MATCH ?", (expression,)).fetchall()


def test_a_question_of_thousands_of_words(full_text: sqlite3.Connection) -> None:
    expression = full_text_query(" ".join(f"word{number}" for number in range(5000)) + " 龙井")
    assert full_text.execute("SELECT rowid FROM t WHERE t MATCH ?", (expression,)).fetchall() == [(1,)]
