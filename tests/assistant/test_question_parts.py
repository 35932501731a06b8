"""A question in several parts is divided where it asks the next thing."""

import pytest

from assistant.question_parts import parts_of, searched_parts


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "How hot must the water be, and how long does the tea draw?",
            ["How hot must the water be", "how long does the tea draw"],
        ),
        ("What does it cost? Can I pay by card?", ["What does it cost", "Can I pay by card"]),
        (
            "How many failed logins lead to a ban, and for how long?",
            ["How many failed logins lead to a ban", "for how long"],
        ),
        ("茶要用多少度的水，泡多久？", ["茶要用多少度的水", "泡多久"]),
        ("店几点开门？周一开吗？", ["店几点开门", "周一开吗"]),
        ("我的订单还没到。怎么查物流，多久能退款？", ["我的订单还没到，怎么查物流", "多久能退款"]),
    ],
)
def test_parts(question, parts):
    assert parts_of(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "What is LoRA?",
        "Does it work for tea and coffee?",
        "I bought a kettle and it broke. Can I return it?",
        "LoRA 的秩是什么？",
        "周六、周日和节假日几点开门？",
        "",
        "???",
    ],
)
def test_one_question_has_no_parts(question):
    assert parts_of(question) == []


def test_a_part_that_says_too_little_is_not_searched_for_alone():
    assert searched_parts("Is the shop open on Monday? Why?") == ["Is the shop open on Monday"]
    assert len(searched_parts("How hot must the water be, and how long does the tea draw?")) == 2
