"""Which passage each sentence of an answer points to."""

import numpy as np
import pytest

from assistant.answering.citations import (
    LONGEST_QUOTE,
    NEAR,
    Numbers,
    answer_sentences,
    quoted,
    sources_of,
    support,
    without_numbers,
)
from indexes import Passage, sentences_of


def passage(number: int, text: str, *headings: str) -> Passage:
    return Passage(
        id=number, text=text, document=f"{number}.md", headings=headings, page=None, line=1, start=0, end=len(text)
    )


def cite(answer: str, passages: list[Passage], likeness: np.ndarray | None = None):
    sentences, numbers = answer_sentences(answer), Numbers()
    return numbers.cite(sentences, sources_of(sentences, passages, likeness), passages), numbers.citations


B = passage(1, "Matrix B starts at zero, so the product is zero at step 0.", "LoRA")
MEMORY = passage(2, "Gradient checkpointing stores few activations and recomputes the others.", "Checkpointing")
NF4 = passage(3, "nf4 有 16 个固定取值,其中一个恰好是 0。", "量化")
MERGE = passage(4, "LoRA 合并后没有额外延迟,网络结构不变。", "LoRA")


def test_sentences_are_numbered_in_the_order_in_which_they_mention_passages():
    answer = "Gradient checkpointing recomputes activations. Matrix B starts at zero."
    text, citations = cite(answer, [B, MEMORY])
    assert text == "Gradient checkpointing recomputes activations. [1] Matrix B starts at zero. [2]"
    assert [(citation.number, citation.passage) for citation in citations] == [(1, MEMORY), (2, B)]


def test_chinese_sentences_are_cited_too():
    text, citations = cite("nf4 有 16 个固定取值。LoRA 合并后没有额外延迟!", [MERGE, NF4])
    assert text == "nf4 有 16 个固定取值。 [1] LoRA 合并后没有额外延迟! [2]"
    assert [citation.passage for citation in citations] == [NF4, MERGE]


def test_neighbouring_sentences_on_one_passage_share_a_number_and_a_later_one_repeats_it():
    answer = "Matrix B starts at zero. The product is zero. Checkpointing recomputes activations. B starts at zero."
    text, citations = cite(answer, [B, MEMORY])
    assert text == (
        "Matrix B starts at zero. The product is zero. [1] Checkpointing recomputes activations. [2] "
        "B starts at zero. [1]"
    )
    assert len(citations) == 2


def test_a_sentence_that_no_passage_carries_gets_no_number():
    text, citations = cite("Matrix B starts at zero. Bananas are yellow.", [B, MEMORY])
    assert text == "Matrix B starts at zero. [1] Bananas are yellow."
    assert [citation.passage for citation in citations] == [B]


def test_an_answer_that_invents_everything_gets_no_citation():
    assert cite("香蕉是黄色的。", [NF4, MERGE]) == ("香蕉是黄色的。", [])


@pytest.mark.parametrize("written", ["[7]", "【7】", " [ 12 ]", "[1][2]"])
def test_numbers_that_the_model_wrote_itself_are_replaced_by_checked_ones(written):
    text, citations = cite(f"Matrix B starts at zero{written}.", [MEMORY, B])
    assert text == "Matrix B starts at zero. [1]"
    assert [citation.passage for citation in citations] == [B]


def test_an_array_index_of_three_digits_is_no_citation():
    assert "[2048]" in cite("The shape is [2048].", [B])[0]
    assert without_numbers("The first element is rows[0].") == "The first element is rows[0]."


@pytest.mark.parametrize(
    ("answer", "sentences"),
    [
        ("A rate of 0.39 percent is small. So is 1e-4.", ["A rate of 0.39 percent is small. ", "So is 1e-4."]),
        ("大约慢 0.5 倍。见 transformers 4.40 的说明。", ["大约慢 0.5 倍。", "见 transformers 4.40 的说明。"]),
        ("它有“16 个值。”其余为零。", ["它有“16 个值。”", "其余为零。"]),
        ("Is it? Yes! Good", ["Is it? ", "Yes! ", "Good"]),
        ("Use model.eval() first", ["Use model.eval() first"]),
        (
            "LoRA (Hu et al. 2021) adds B, i.e. zeros. See Fig. 2.",
            ["LoRA (Hu et al. 2021) adds B, i.e. zeros. ", "See Fig. 2."],
        ),
    ],
)
def test_an_answer_is_divided_at_the_ends_of_its_sentences_only(answer, sentences):
    assert sentences_of(answer) == sentences


def test_the_lines_of_a_list_stay_lines():
    text, _ = cite("第一点:\n- Matrix B starts at zero.\n- nf4 有 16 个取值。\n\n完", [B, NF4])
    assert text == "第一点:\n- Matrix B starts at zero. [1]\n- nf4 有 16 个取值。 [2]\n\n完"


def test_headings_count_as_words_of_the_passage():
    assert support("量化", NF4) == 1.0
    assert support("", NF4) == 0.0
    assert 0.0 < support("Matrix of bananas", B) < 1.0


def test_no_passages_and_an_answer_of_nothing_but_a_number():
    assert cite("Matrix B starts at zero.", []) == ("Matrix B starts at zero.", [])
    assert cite("[1]", [B]) == ("", [])


def test_a_sentence_in_another_language_points_to_the_passage_that_is_nearest_in_meaning():
    near, far = NEAR["across"] + 0.01, NEAR["across"] - 0.01
    assert cite("矩阵 B 从零开始。", [MEMORY, B], np.array([[far, near]]))[1][0].passage is B
    assert cite("矩阵 B 从零开始。", [MEMORY, B], np.array([[far, far]])) == ("矩阵 B 从零开始。", [])


def test_a_paraphrase_must_be_nearer_than_a_translation():
    said = "At the start this factor vanishes."
    assert cite(said, [MEMORY, B], np.array([[0.5, NEAR["en"] + 0.01]]))[1][0].passage is B
    assert cite(said, [MEMORY, B], np.array([[0.5, NEAR["across"] + 0.01]]))[1] == []


def test_words_decide_before_meaning():
    assert cite("Matrix B starts at zero.", [B, MEMORY], np.array([[0.5, 0.99]]))[1][0].passage is B


def test_quotes_go_on_with_the_numbers_and_stand_together_by_passage():
    numbers = Numbers()
    assert numbers.cite(["Matrix B starts at zero."], [0], [B]) == "Matrix B starts at zero. [1]"
    listing = passage(5, "Set r = 8.\n\nThen train.\n\n```python\ntrain()\n```")
    quotes = [("Set r = 8.", listing), ("Then train.", listing), ("```python\ntrain()\n```", listing), (B.text, B)]
    assert numbers.quote(quotes) == f"> Set r = 8. Then train. train() [2]\n\n> {B.text} [1]"
    assert numbers.quote([("Set r = 8.", listing), ("train()", listing)]) == "> Set r = 8. … train() [2]"
    assert [citation.passage for citation in numbers.citations] == [B, listing]
    assert len(numbers.quote([("a" * 10_000, B)])) < LONGEST_QUOTE + 20


def test_of_two_passages_as_near_the_one_found_first_is_meant():
    near = np.array([[0.87, 0.88]])
    said = ["矩阵 B 从零开始。"]
    assert sources_of(said, [B, MEMORY], near) == [1]
    assert sources_of(said, [B, MEMORY], near, ranks=[0, 1]) == [0]
    assert sources_of(said, [B, MEMORY], np.array([[0.80, 0.88]]), ranks=[0, 1]) == [1]


@pytest.mark.parametrize("code", ["`t[0] > 80`", "x[10] = 5", "```\nreturn rows[0] + t[1]\n```", "f(x)[1] = 2"])
def test_brackets_of_code_are_no_citations(code):
    assert "".join(answer_sentences(f"It is {code} here. [1]")) == f"It is {code} here."


def test_of_a_list_of_steps_all_are_quoted_on_lines_of_their_own():
    text = "To get in:\n\n1. Take the key. It is blue.\n2. Open the door.\n3. Go up.\n\nBreakfast is at 8."
    assert quoted(["2. Open the door."], text) == "1. Take the key. It is blue.\n> 2. Open the door.\n> 3. Go up."
    assert quoted(["Breakfast is at 8."], text) == "Breakfast is at 8."


TWO_LISTS = """In a fire:
1. Press the red button. It is loud.
2. Leave the house.
In a flood do the following instead.
1. Close the valve.
2. Start the pump.
"""


def test_of_two_lists_only_the_one_that_is_meant_is_quoted():
    assert quoted(["2. Start the pump."], TWO_LISTS) == "1. Close the valve.\n> 2. Start the pump."
    fire = "1. Press the red button. It is loud.\n> 2. Leave the house."
    assert quoted(["It is loud."], TWO_LISTS) == fire
    assert quoted(["In a flood do the following instead."], TWO_LISTS) == "In a flood do the following instead."
    assert quoted(["1. 关阀门。"], "1. 按钮。\n2. 离开。\n\n1. 关阀门。\n2. 开水泵。") == "1. 关阀门。\n> 2. 开水泵。"


def test_a_list_that_two_parts_quote_stands_there_once():
    lists = passage(1, TWO_LISTS)
    other = passage(2, "The pump is old.")
    quotes = [("1. Close the valve.", lists), ("The pump is old.", other), ("2. Start the pump.", lists)]
    text = Numbers().quote(quotes)
    assert text == "> 1. Close the valve.\n> 2. Start the pump. [1]\n\n> The pump is old. [2]"


def test_the_number_of_an_item_is_no_word_of_it():
    steps = passage(1, "1. Press the button. 2. Leave. 3. Wait. 4. Return.")
    assert support("3. The answer is tea.", steps) == support("The answer is tea.", steps)


def test_quoted_sentences_stand_as_they_do_in_the_text():
    assert quoted(["急诊 30 元。", "老人免费。"], "急诊 30 元。老人免费。") == "急诊 30 元。老人免费。"
    assert quoted(["急诊 30 元。", "老人免费。"], "急诊 30 元。\n老人免费。") == "急诊 30 元。 老人免费。"
    assert quoted(["It is 30.", "Or free."], "It is 30. Or free.") == "It is 30. Or free."
    assert quoted(["急诊 30 元。", "老人免费。"], "急诊 30 元。孩子 10 元。老人免费。") == "急诊 30 元。 … 老人免费。"


def test_of_a_table_the_row_is_quoted():
    text = "| Room | Price |\n|---|---|\n| Family | 185 |\n| Single | 90 |\n"
    assert "| Family | 185 |\n" in sentences_of(text)
    assert quoted(["| Family | 185 |"], text) == "Room: Family; Price: 185"
    both = quoted(["| Family | 185 |", "| Single | 90 |"], text)
    assert both == "Room: Family; Price: 185  \n> Room: Single; Price: 90"
    assert quoted(["| Family | 185 |"], "| Family | 185 |") == "Family | 185"
    assert quoted([r"| a \| b | 2 |"], "| Name | Count |\n|---|---|\n| a \\| b | 2 |\n") == "Name: a | b; Count: 2"
