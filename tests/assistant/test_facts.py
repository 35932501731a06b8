"""Whether an answer says the facts that make it right."""

import pytest

from assistant.answering.facts import facts_of, missing_facts, tokens
from domain import Question


def says(answer: str, *wordings: str) -> bool:
    return not missing_facts(answer, [wordings])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4,096", "4096"),
        ("二十四", "24"),
        ("twenty-four", "24"),
        ("Twenty four steps", "24 step"),
        ("三百", "three hundred"),
        ("一九九八", "1998"),
        ("三点五", "3.5"),
        ("百分之五十", "50 percent"),
        ("50％", "50 per cent"),
        ("百分之 12.5", "12.5%"),
        ("1e-4", "0.0001"),
        ("10⁻⁴".replace("10", "1×10"), "0.0001"),
        ("6 万", "60,000"),
        ("6.2 billion", "62 亿"),
        ("１６ Bit", "16-bit"),
        ("3.50", "3.5"),
        ("两分钟", "2 分钟"),
        ("the `q_proj` layers", "q_proj layer"),
        ("停用词。", "停用词"),
        ("三点三十分", "3:30"),
        ("下午五点半", "下午 5:30"),
        ("三点二十", "3:20"),
        ("9 点 15 分", "9:15"),
        ("三千五", "3500"),
        ("两百五", "250"),
        ("一千零五", "1005"),
        ("5千元", "5000元"),
        ("2百万", "2,000,000"),
        ("3万5千", "35000"),
        ("one hundred and fifty", "150"),
        ("two hundred thirty-one", "231"),
        ("a hundred", "100"),
        ("零下五度", "-5度"),
        ("两三天", "2-3天"),
        ("十五六岁", "15-16岁"),
        ("二零二三年", "2023 年"),
        ("一九三四年", "1934 年"),
        ("3千克", "3 千克"),
        ("ten percent", "10 %"),
        ("twenty-five per cent", "百分之二十五"),
    ],
)
def test_two_ways_to_write_the_same_have_the_same_tokens(one, other):
    assert tokens(one) == tokens(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("1.5", "15"), ("nf4", "4"), ("-100", "100"), ("二十", "2 10"), ("万千", "千万")),
        *(("In 2020 millions came", "2020000000"), ("Of twenty, five left", "of 25 left")),
        *(("1.2.3", "1.2"), ("C++", "C#"), ("3 千克", "3000 克"), ("5 千米", "5000 米")),
    ],
)
def test_other_values_are_other_tokens(one, other):
    assert tokens(one) != tokens(other)


def test_a_fact_is_said_in_any_of_its_wordings():
    assert says("Steep it for two minutes at 80 ℃.", "两分钟", "2 minutes")
    assert says("水温 80 度即可。", "80 degrees", "80 度")
    assert not says("Steep it for three minutes.", "2 minutes")


@pytest.mark.parametrize(
    ("answer", "wording"),
    [
        ("因为外面的温度比核心的低。", "外面的温度比核心的低"),
        ("要用80度的水。", "80度水"),
        ("要用80度水。", "80度的水"),
        ("It closes because it rains.", "closes because it rains"),
        ("它小而轻，所以便宜。", "小而轻"),
    ],
)
def test_a_wording_may_hold_the_words_between_two_clauses(answer, wording):
    assert says(answer, wording)


def test_a_gap_stands_for_other_words_of_the_same_sentence():
    assert says("It is scaled by the factor sqrt(56).", "scaled … sqrt 56")
    assert says("scaled sqrt(56)", "scaled … sqrt 56")
    assert not says("It is scaled. The factor is sqrt(56).", "scaled … sqrt 56")
    assert not says("scaled" + " very" * 13 + " sqrt 56", "scaled … sqrt 56")


@pytest.mark.parametrize(
    ("answer", "wording"),
    [
        ("You do not need a receipt.", "need a receipt"),
        ("退货不需要小票。", "需要小票"),
        ("It can't return goods", "return goods"),
        ("没有折扣", "折扣"),
        ("Do not use water of 80 degrees.", "80 degrees"),
        ("It should never be as hot as 80 degrees.", "80 degrees"),
        ("水温不应达到 80 度。", "80 度"),
        ("It is neither green tea nor black tea.", "black tea"),
        ("Nobody uses green tea.", "green tea"),
        ("Take black tea instead of green tea.", "green tea"),
    ],
)
def test_a_negated_wording_is_not_said(answer, wording):
    assert not says(answer, wording)


@pytest.mark.parametrize(
    ("answer", "wording"),
    [
        ("No, 80 degrees.", "80 degrees"),
        ("Ask for No. 5.", "5"),
        ("Don't boil it: 80 degrees.", "80 degrees"),
        ("Without sugar, 80 degrees.", "80 degrees"),
        ("Not only green tea.", "green tea"),
        ("It is not boiled because 80 degrees suffice.", "80 degrees"),
        ("没错，80 度。", "80 度"),
        ("不过 80 度就够了。", "80 度"),
        ("这茶特别好喝。", "好喝"),
        ("无锡绿茶。", "绿茶"),
    ],
)
def test_a_negation_of_something_else_denies_nothing(answer, wording):
    assert says(answer, wording)


def test_what_is_no_number_that_can_be_written_out_is_no_error():
    for text in ("2E1000001", "1e-999999999", "1" * 5000 + " hundred", "፩ hundred", "3 × 10^99999"):
        assert tokens(f"number {text}")[0] == "number"


def test_a_wording_may_be_a_negation_itself():
    assert says("You do not need a receipt.", "not need a receipt")
    assert says("退货不需要小票。", "不需要小票")


def test_every_fact_must_be_said():
    facts = [("80 degrees",), ("2 minutes",)]
    assert missing_facts("80 degrees.", facts) == [("2 minutes",)]
    assert missing_facts("80 degrees for two minutes.", facts) == []


def question(asked: str, answer: str, **more) -> Question:
    messages = ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
    return Question("q", messages, **more)


def test_without_facts_numbers_and_names_of_the_gold_answer_stand_in():
    stand_in = facts_of(
        question("How are the 3 matrices of QLoRA kept?", "They are kept in NF4, 4 bits each, by QLoRA.")
    )
    assert stand_in == (("4",), ("NF4",))
    assert facts_of(question("用什么优化器?", "用 AdamW，学习率二十。")) == (("20",), ("AdamW",))
    assert facts_of(question("Is it open?", "Yes, always.")) == ()
    assert facts_of(question("Is it open?", "From 8.", facts=(("eight",),))) == (("eight",),)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("80 度不行,要 95 度。", False),
        ("80 度肯定不够。", False),
        ("用 80 度,不要更热。", True),
        ("先试 80 度,不行就升温。", True),
        ("80 度不对外人说。", True),
    ],
)
def test_a_denial_may_stand_behind(answer, said):
    assert (not missing_facts(answer, [("80 度",)])) == said
