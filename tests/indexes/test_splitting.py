"""Tests of splitting: exact offsets, no loss, the token limit, and natural boundaries."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base_models.embedding import Embedder
from indexes.readers import Block, Extracted, read_document
from indexes.readers.document import storable
from indexes.splitting import Piece, split


def word_offsets(text: str) -> list[tuple[int, int]]:
    """Simple tokens: a Chinese character, a word, or a punctuation mark."""
    return [match.span() for match in re.finditer(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text)]


def texts(source: str, tokens: int, name: str = "a.md") -> list[str]:
    document = read_document(name, source.encode())
    return [document.text[piece.start : piece.end] for piece in split(document, word_offsets, tokens, 500)]


def check(document: Extracted, pieces: list[Piece], limit: int, offsets: object = word_offsets) -> None:
    """Check the invariants of every split."""
    covered = [False] * len(document.text)
    last = 0
    for piece in pieces:
        text = document.text[piece.start : piece.end]
        assert text == text.strip()
        assert text
        assert last <= piece.start < piece.end
        assert len(offsets(text)) <= limit  # type: ignore[operator]
        assert piece.embedded.endswith(text)
        last = piece.end
        covered[piece.start : piece.end] = [True] * (piece.end - piece.start)
    for block in document.blocks:
        for position in range(block.start, block.end):
            assert covered[position] or document.text[position].isspace()


SENTENCES = st.sampled_from(
    ["Short one. ", "A longer sentence, with a comma, e.g. this one, goes on. ", "这是一句话。"]
)
CLAUSES = st.sampled_from(
    ["参数少，显存也省，训练更快！", "没有标点的很长的一句话" * 8, "x" * 60 + " ", "🍵", " ", "\u3000\u3000"]
)
MARKUP = st.sampled_from(["ok\n", "\n\n", "# T\n\n", "- item one\n- item two\n\n", "```\ncode line\nmore\n```\n\n"])
SOURCES = st.lists(SENTENCES | CLAUSES | MARKUP, max_size=40).map("".join)


@settings(max_examples=300, deadline=None)
@given(
    source=st.lists(SENTENCES, max_size=40).map("".join),
    limit=st.integers(4, 60),
    name=st.sampled_from(["a.md", "a.txt"]),
)
def test_offsets_are_exact_and_nothing_is_lost(source: str, limit: int, name: str) -> None:
    document = read_document(name, source.encode())
    check(document, split(document, word_offsets, limit, 500), limit)


@settings(max_examples=100, deadline=None)
@given(source=st.text(max_size=400), limit=st.integers(1, 20))
def test_any_text_at_all(source: str, limit: int) -> None:
    document = Extracted(source, [Block(0, len(source))] if source.strip() else [])
    check(document, split(document, word_offsets, limit, 500), limit)


SCRIPTS = st.sampled_from(
    [
        "word",
        "低秩适应",
        "แบบทดสอบภาษา",
        "Überprüfung",
        "नमस्ते",
        "🍵🫖",
        "ẞ",
        "123456",
        "\u0301",
        "a_b-c",
        "،مرحبا",
        "𠀀",
    ]
)
JOINTS = st.sampled_from(["", " ", "  ", "\u00a0", "\n", "\t", "-"])
ANY_TEXT = st.lists(st.tuples(SCRIPTS | st.text(max_size=6), JOINTS), max_size=150).map(
    lambda parts: "".join(map("".join, parts))
)


@pytest.mark.parametrize("embedder", ["e5", "minilm"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=ANY_TEXT, times=st.integers(1, 20), limit=st.integers(2, 60), title=st.sampled_from([(), ("标题 title",)])
)
def test_no_passage_has_more_of_the_embedders_tokens_than_allowed(
    request: pytest.FixtureRequest, embedder: str, source: str, times: int, limit: int, title: tuple[str, ...]
) -> None:
    offsets = request.getfixturevalue(embedder).token_offsets
    text = storable(source * times)
    document = Extracted(text, [Block(0, len(text), title)] if text.strip() else [])
    pieces = split(document, offsets, limit, 100)
    check(document, pieces, limit, offsets)
    assert all(len(offsets(piece.embedded)) <= 100 for piece in pieces)


@pytest.mark.parametrize("source", ["x" * 100_000, "word " * 20_000, "低秩" * 20_000, "0,1;" * 20_000])
def test_a_text_without_any_place_to_cut_is_cut_all_the_same(e5: Embedder, source: str) -> None:
    document = Extracted(source, [Block(0, len(source))])
    pieces = split(document, e5.token_offsets, 300, e5.max_tokens)
    check(document, pieces, 300, e5.token_offsets)
    assert min(len(e5.token_offsets(piece.embedded)) for piece in pieces[:-2]) > 140


def test_a_section_that_fits_is_one_passage_and_sections_are_never_mixed() -> None:
    assert texts("# A\n\nOne. Two.\n\nThree.\n\n## B\n\nFour.\n", 50) == ["One. Two.\n\nThree.", "Four."]


def test_paragraphs_stay_whole_where_they_fit() -> None:
    assert texts("one two three four\n\nfive six seven\n\neight nine ten\n", 8) == [
        "one two three four\n\nfive six seven",
        "eight nine ten",
    ]


def test_chinese_and_english_sentences_are_not_cut() -> None:
    source = "龙井是绿茶。它产自杭州！水温多少合适?八十度。Mr. Li drinks it, e.g. at 3.5 bar, daily. He likes it."
    assert texts(source, 18, "a.txt") == [
        "龙井是绿茶。它产自杭州！",
        "水温多少合适?八十度。",
        "Mr. Li drinks it, e.g. at 3.5 bar, daily.",
        "He likes it.",
    ]


def test_a_quotation_mark_stays_with_its_sentence() -> None:
    assert texts("他说：“水太烫了。”我又等了一会儿。", 11, "a.txt") == ["他说：“水太烫了。”", "我又等了一会儿。"]


def test_a_long_list_is_cut_between_its_items() -> None:
    source = "".join(f"- item {number} is about tea. Really so.\n" for number in range(6))
    assert all(text.startswith("- item") and text.endswith("so.") for text in texts(source, 25))


def test_a_sentence_that_is_too_long_is_cut_at_commas_then_anywhere() -> None:
    assert texts("红茶要用沸水，绿茶要用温水，白茶随意。", 8, "a.txt") == [
        "红茶要用沸水，",
        "绿茶要用温水，",
        "白茶随意。",
    ]
    assert texts("春" * 25, 10, "a.txt") == ["春" * 10, "春" * 10, "春" * 5]


def test_a_small_rest_shares_with_its_neighbour() -> None:
    sentences = [f"这是第{number}句。" for number in "一二三四五六七八九"]  # six tokens each
    parts = texts("".join(sentences), 48, "a.txt")
    assert "".join(parts) == "".join(sentences)
    assert [len(part) for part in parts] == [30, 24]


def test_a_title_path_that_is_too_long_leaves_room_for_text() -> None:
    source = f"# {'very ' * 300}long\n\n## Inner\n\n{'word ' * 200}\n"
    pieces = split(read_document("a.md", source.encode()), word_offsets, 200, 100)
    assert all(len(word_offsets(piece.embedded)) <= 100 for piece in pieces)
    assert all("Inner\n" in piece.embedded for piece in pieces)


@pytest.mark.parametrize("name", ["a.md", "a.txt"])
def test_a_megabyte_without_a_line_break_is_split_in_seconds(name: str) -> None:
    document = read_document(name, ("茶" * 250_000 + "," + "x y " * 100_000).encode())
    assert len(split(document, word_offsets, 200, 500)) > 2000


def test_each_row_and_record_is_a_passage_and_a_long_one_is_divided_at_its_fields() -> None:
    assert texts("name,city\nAnna,Kiel\nBob,Bonn\n", 300, "a.csv") == [
        "name: Anna; city: Kiel",
        "name: Bob; city: Bonn",
    ]
    records = '[{"question": "Open?", "answer": "Yes."}, {"question": "Far?", "answer": "No."}]'
    assert texts(records, 300, "a.json") == ["Open?\nYes.", "Far?\nNo."]
    long = '[{"a": "one two three four", "b": "five six seven"}, {"a": "eight"}]'
    assert texts(long, 8, "a.json") == ["a: one two three four", "b: five six seven", "a: eight"]
