"""A question in several parts is divided where it asks the next thing."""

import pytest

from assistant.answering.question_parts import (
    MOST_PARTS,
    last_part,
    leaning_on,
    leans,
    parts_of,
    refers_back,
    searched_parts,
)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "How hot must the water be, and how long does the tea draw?",
            ["How hot must the water be", "how long does the tea draw"],
        ),
        ("What does it cost? Can I pay by card?", ["What does it cost", "Can I pay by card"]),
        ("May cats stay overnight, when is breakfast?", ["May cats stay overnight", "when is breakfast"]),
        (
            "How many failed logins lead to a ban, and for how long?",
            ["How many failed logins lead to a ban", "for how long"],
        ),
        ("茶要用多少度的水，泡多久？", ["茶要用多少度的水", "泡多久"]),
        ("店几点开门？周一开吗？", ["店几点开门", "周一开吗"]),
        ("我的订单还没到。怎么查物流，多久能退款？", ["我的订单还没到，怎么查物流", "多久能退款"]),
        ("龙井怎么泡、乌龙怎么泡？", ["龙井怎么泡", "乌龙怎么泡"]),
        ("龍井用什麼水溫，怎麼泡？", ["龍井用什麼水溫", "怎麼泡"]),
        ("乌龙茶用几度的水？几点开门？几点关门？周几休息？", ["乌龙茶用几度的水", "几点开门", "几点关门", "周几休息"]),
        (
            "How hot should the water be, how long does the tea draw, and how much do I take?",
            ["How hot should the water be", "how long does the tea draw", "how much do I take"],
        ),
        (
            "What is the warranty of the kettle and can it be put into the dishwasher?",
            ["What is the warranty of the kettle", "can it be put into the dishwasher"],
        ),
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
        "What can or can't I bring?",
        "If the shop is closed and is dark, who helps?",
        "When it rains, what should I do?",
        "What documents must people who rent and who own a house bring?",
        "What should I do if the kettle leaks and is still under warranty?",
        "哪怕下雨，也开门吗？",
        "无论谁来，都要预约吗？",
        "不管什么茶，水温都一样吗？",
        "周六、周日和节假日几点开门？",
        "",
        "???",
    ],
)
def test_one_question_has_no_parts(question):
    assert parts_of(question) == []


def test_a_part_that_says_too_little_stays_with_the_one_before():
    assert searched_parts("Is the shop open on Monday? Why?") == []
    assert searched_parts("May cats stay overnight? When is breakfast?") == [
        "May cats stay overnight",
        "When is breakfast",
    ]
    assert searched_parts("Who founded the shop, how many people work there, and when?") == [
        "Who founded the shop",
        "how many people work there, when",
    ]
    assert len(searched_parts("How hot must the water be, and how long does the tea draw?")) == 2


def test_nothing_that_is_asked_is_dropped():
    asked = [f"How much does a ticket to town {n} cost" for n in range(9)]
    parts = parts_of("? ".join(asked) + "?")
    assert len(parts) == MOST_PARTS
    assert all(any(one in part for part in parts) for one in asked)


def test_white_space_costs_nothing():
    assert parts_of("a" + " " * 200_000 + "?") == []


@pytest.mark.parametrize(
    "question",
    [
        *("And on Sundays?", "How much does it cost?", "Why?", "What about children?", "Does that include lunch?"),
        *("周日呢？", "它多少钱？", "周日也开吗？", "那英语课呢？", "多少钱？"),
    ],
)
def test_what_leans_on_the_question_before(question):
    assert leans(question)


@pytest.mark.parametrize(
    ("question", "refers"),
    [("Where is the key?", False), ("多少钱？", False), ("Where is it?", True), ("那钥匙呢？", True)],
)
def test_a_short_question_may_lean_without_a_word_that_refers_back(question, refers):
    assert leans(question)
    assert refers_back(question) is refers


@pytest.mark.parametrize(
    "question",
    [
        *("Who bakes the cakes?", "Who is the president of France?", "Which rule applies to dogs that bark?"),
        *("What is DPO?", "DPO 是什么？", "When is breakfast?"),
        *("法国总统是谁？", "去柏林的机票多少钱？", "这家店几点开门？", "图书馆在哪里？"),
    ],
)
def test_what_is_understood_alone(question):
    assert not leans(question)


def test_the_end_of_a_long_text_is_what_is_asked() -> None:
    before = "The pump was bought in 2019. It stands in the hall. " * 200
    assert last_part(before + "How hot may the oil be?").endswith("It stands in the hall. How hot may the oil be?")
    assert len(last_part(before + "How hot may the oil be?")) < 1000
    assert last_part("油温最高多少？") == "油温最高多少？"
    assert len(last_part("没有句号" * 1000)) == 1000


@pytest.mark.parametrize(
    ("earlier", "needed"),
    [
        ([], []),
        (["What does Plus cost?"], ["What does Plus cost?"]),
        (["What does Plus cost?", "And the Premium one?"], ["And the Premium one?"]),
        (
            ["What does Plus cost?", "And the Premium one?", "Does it include weekend visits?"],
            ["And the Premium one?", "Does it include weekend visits?"],
        ),
        (["普通版多少钱？", "那高级版呢？", "它包括上门吗？"], ["那高级版呢？", "它包括上门吗？"]),
    ],
)
def test_a_question_leans_on_those_before_it_back_to_the_one_that_names_its_topic(
    earlier: list[str], needed: list[str]
) -> None:
    assert leaning_on(earlier) == needed
