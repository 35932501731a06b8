"""Tests of language detection, of the words for full-text search, and of sentence splitting."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes import language_of
from indexes.dictionary import Dictionary
from indexes.full_text import AskedWord, look_up
from indexes.search_words import asked_words, indexed_words, words_of
from indexes.sentences import sentences_of


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


def test_what_is_indexed_has_no_accents_and_no_english_endings() -> None:
    assert indexed_words("The cafés were running") == ["the", "cafe", "were", "run"]
    assert indexed_words("Anna's") == ["anna", "s"]
    assert indexed_words("龙井がぎ 한국어 ёлка") == ["龙井", "井が", "がぎ", "한국어", "ёлка", "ぎ"]


def test_words_of_asking_are_not_searched() -> None:
    assert asked_words("What is the rank of LoRA?") == ["rank", "lora"]
    assert asked_words("龙井应该怎么泡?") == ["龙井", "泡"]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What did the IT department do?", "it"),
        ("which museums opened in May", "mai"),
        ("的士多少钱", "的士"),
        ("旅行的目的是什么", "目的"),
        ("在线支付怎么用", "在线"),
    ],
)
def test_names_that_look_like_words_of_grammar_are_searched(question: str, word: str) -> None:
    assert word in asked_words(question)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("May a cat sleep here?", ["cat", "sleep", "here"]),
        ("IS IT OLD?", ["old"]),
        ("项目的负责人是谁", ["项目", "负责", "责人", "谁"]),
        ("数据保存在哪里", ["数据", "据保", "保存"]),
        ("订单的确认时间", ["订单", "确认", "认时", "时间"]),
        ("中国是否加入", ["中国", "加入"]),
        ("为了解决问题", ["为", "解决", "决问", "问题"]),
    ],
)
def test_words_of_grammar_are_cut_where_they_meet_others(question: str, words: list[str]) -> None:
    assert asked_words(question) == words


def test_identifiers_are_words_beside_their_parts_and_thousands_have_no_commas() -> None:
    assert indexed_words("v2.0.1")[:4] == ["v2", "0", "1", "v2x2e0x2e1"]
    assert "x2dx2dnox2dcache" in asked_words("what is --no-cache")
    assert indexed_words("1,999.00 and/or well-known") == ["1", "999", "00", "and", "or", "well", "known", "1999"]


def test_invisible_characters_cut_no_word() -> None:
    assert indexed_words("inter\u00adnational \u200bmap\ufeff") == indexed_words("international map")


def test_sentences_of_a_line_of_dots_take_no_longer_than_its_length() -> None:
    """With a new attempt at each dot this would take hours."""
    assert sentences_of("Contents" + "." * 400_000 + "12") == ["Contents" + "." * 400_000 + "12"]


def test_sentences_of_many_empty_lines_take_no_longer_than_their_length() -> None:
    text = "One.\n" + " \n" * 100_000 + "- Two.\n"
    assert [sentence.strip() for sentence in sentences_of(text)] == ["One.", "- Two."]


@pytest.mark.parametrize(
    "text",
    [
        "It must be paid by Dec. 15 at the latest.",
        "The cake was made by Capt. Lin himself.",
        "See p. 5, art. 3 and no. 7.",
        "The price incl. VAT is nine euros.",
        "Take max. 30 grams.",
        "1. Take the key.",
    ],
)
def test_a_sentence_is_not_cut_at_an_abbreviation_or_a_number_of_a_list(text: str) -> None:
    assert sentences_of(text) == [text]


def test_the_mark_of_a_note_belongs_to_the_sentence_before_it() -> None:
    assert sentences_of("The survey showed it.[12] It was new. 蜜蜂三百万只。[5]养蜂人每月来看。") == [
        "The survey showed it.[12] ",
        "It was new. ",
        "蜜蜂三百万只。[5]",
        "养蜂人每月来看。",
    ]


def test_where_no_abbreviation_is_meant_a_sentence_ends() -> None:
    assert sentences_of("It closes in Dec. The rest is open. Wait 5 min. Then pour.") == [
        "It closes in Dec. ",
        "The rest is open. ",
        "Wait 5 min. ",
        "Then pour.",
    ]


def test_a_question_of_nothing_else_keeps_its_words() -> None:
    assert asked_words("什么是") == ["什么", "么是"]
    assert asked_words("To be or not to be") != []
    assert asked_words("?!…") == []


def test_words_of_the_users_dictionary_stay_whole() -> None:
    dictionary = Dictionary("# terms of our field\n低秩适应\nGradient  Checkpointing  # one term\nrank\n\n!!\n")
    assert dictionary.entries == {"低秩适应", "gradient checkpointing", "rank"}
    assert dictionary.terms_of("低秩适应用 gradient\ncheckpointing; RANK") == [
        "低秩适应",
        "gradientcheckpointing",
        "rank",
    ]
    assert dictionary.terms_of("ranking, prank") == []
    assert dictionary.terms_of("矩阵的rank是") == ["rank"]
    assert indexed_words("低秩适应", dictionary) == ["低秩", "秩适", "适应", "应", "低秩适应"]
    assert asked_words("什么是低秩适应?", dictionary)[-1] == "低秩适应"


def test_words_of_grammar_count_inside_a_term_and_signs_stay() -> None:
    dictionary = Dictionary("rate of return\n在线支付\nC#\nC++ # a language\n")
    assert asked_words("What is the rate of return?", dictionary)[-1] == "rateofreturn"
    assert "在线支付" in asked_words("在线支付怎么用?", dictionary)
    assert dictionary.terms_of("C# or C++, not C") == ["cx23", "cx2bx2b"]


def test_a_dictionary_of_many_thousand_words_finds_the_right_ones() -> None:
    dictionary = Dictionary("\n".join([*(f"word{n} of{n}" for n in range(30_000)), "低秩适应"]))
    assert dictionary.terms_of("a word7 of7 and 低秩适应 and word7 of8") == ["word7of7", "低秩适应"]


def test_of_two_entries_that_overlap_the_longer_is_found() -> None:
    assert Dictionary("低秩\n低秩适应").terms_of("低秩适应和低秩") == ["低秩适应", "低秩"]


@pytest.fixture(scope="module")
def full_text() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE full_text USING fts5 (words, tokenize = 'unicode61 remove_diacritics 0')")
    connection.execute("INSERT INTO full_text VALUES ('some word near 龙井 and not or')")
    return connection


@given(question=st.text() | st.text(alphabet="\"*'()-+^:{}.,\\ANDORNEAR龙井 \0a"))
def test_no_question_is_a_syntax_error(full_text: sqlite3.Connection, question: str) -> None:
    look_up(full_text, asked_words(question))


def test_a_question_of_thousands_of_words(full_text: sqlite3.Connection) -> None:
    asked = look_up(full_text, asked_words(" ".join(f"word{number}" for number in range(5000)) + " 龙井"))
    assert len(asked) == 5001
    assert asked[0] == AskedWord("龙井", 1)
