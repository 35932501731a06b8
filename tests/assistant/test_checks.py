"""Numbers that no passage holds, and sentences that say the opposite of their source, are marked."""

import numpy as np
import pytest

from assistant.answering.checks import differs_in_negation, holds, is_supported, lacks_number, unknown_numbers
from indexes import Passage


def passage(text: str, *headings: str) -> Passage:
    return Passage(id=1, text=text, document="a.md", headings=headings, page=None, line=1, start=0, end=len(text))


@pytest.mark.parametrize(
    ("answer", "source", "unknown"),
    [
        ("Use water of 80 degrees.", "Use water of 80 degrees.", []),
        ("用 80 度的水。", "水温八十度。", []),
        ("It holds 4096 rows.", "4,096 rows", []),
        ("It takes 0.39 percent.", "or 0.39%", []),
        ("Use water of 90 degrees.", "Use water of 80 degrees.", ["90"]),
        ("At 1e-4.", "a rate of 0.0001", []),
        ("1. Heat the water.\n2. Wait.\n3. Pour.", "Heat, wait, pour.", []),
        ("One of them.", "several", []),
    ],
)
def test_a_number_that_stands_in_no_passage_is_told(answer, source, unknown):
    assert unknown_numbers(answer, "?", [passage(source)]) == unknown


def test_numbers_of_the_question_and_of_titles_are_known():
    assert unknown_numbers("Debian 12 has 30 packages.", "What of Debian 12?", [passage("many", "30 packages")]) == []


@pytest.mark.parametrize(
    ("sentence", "source", "differs"),
    [
        ("You may use a hair dryer.", "Do not use a hair dryer.", True),
        ("You may not use a hair dryer.", "You may use a hair dryer.", True),
        ("Yes, guests may use a hair dryer in the sauna.", "Hair dryers must not be used in the sauna.", True),
        ("Do not use a hair dryer.", "Never use a hair dryer. Use a towel.", False),
        ("退货需要小票。", "退货不需要小票。", True),
        ("退货不需要小票。", "退货不需要小票,换货需要。", False),
        ("营业时间是周一到周五。", "营业时间是周一到周五,不休息。", False),
        ("不仅可以退货，还可以换货。", "可以退货，还可以换货。", False),
        ("Bananas are yellow.", "Do not use a hair dryer.", False),
        ("Don’t boil the water.", "Boil the water.", True),
        ("Don’t boil the water.", "Do not boil the water.", False),
        ("You couldn't boil the water.", "You could boil the water.", True),
        ("No, the kettle has a warranty of 3 years.", "The kettle has a warranty of 3 years.", False),
        ("Ask for No. 5 of the list.", "Ask for 5 of the list.", False),
        ("未成年人禁止入内。", "未成年人可以入内。", True),
        ("没错，茶馆周日开门。", "茶馆周日开门。", False),
        ("茶叶分别装在两个罐里。", "茶叶装在两个罐里。", False),
    ],
)
def test_a_sentence_that_differs_from_its_source_in_a_negation_is_told(sentence, source, differs):
    assert differs_in_negation(sentence, passage(source)) is differs


@pytest.mark.parametrize(
    ("question", "answer", "quote", "lacks"),
    [
        ("龙井用多少度的水泡?", "龙井茶产于杭州。", "龙井用 80 度左右的水泡。", True),
        ("龙井用多少度的水泡?", "用八十度的水。", "龙井用 80 度左右的水泡。", False),
        ("银行几点关门?", "银行周日关门。", "银行下午五点关门。", True),
        ("几乎没有人知道的路在哪里?", "在山上。", "路长 3 公里。", False),
        ("How long does parking take?", "Parking is in the garage.", "Parking takes two hours.", True),
        ("How much is parking?", "Parking is free.", "Parking is free for all.", False),
        ("How do I park?", "In the garage.", "The garage has 200 places.", False),
    ],
)
def test_an_answer_without_the_number_that_is_asked_for_answers_something_else(question, answer, quote, lacks):
    assert lacks_number(answer, question, [quote]) is lacks


ASKED = "How hot should the water for green tea be?"
SOURCE = passage("Green tea is brewed with water of 80 degrees; boiling water makes it bitter.")
TRANSLATION = passage("绿茶用 80 度的水冲泡，沸水会使它发苦。")


@pytest.mark.parametrize(
    ("sentences", "supported"),
    [
        (["80 degrees."], True),
        (["It is brewed with 80 degrees, ", "and boiling water makes it bitter."], True),
        (["The water for green tea should be hot."], False),
        (["Yes."], False),
        (["Green tea needs cold water from a mountain spring."], False),
        ([], False),
    ],
)
def test_words_of_the_question_alone_make_no_answer(sentences, supported):
    likeness = np.full((len(sentences), 1), 0.99, np.float32)
    assert is_supported(sentences, ASKED, [SOURCE], likeness, [0] * len(sentences)) == supported


def test_across_languages_meaning_decides_where_the_nearest_passage_is_in_the_other_one():
    said = ["It takes cool water, never boiling."]
    far, near, nearer = np.float32([[0.8]]), np.float32([[0.9]]), np.float32([[0.91, 0.9]])
    assert is_supported(said, ASKED, [TRANSLATION], near, [0])
    assert not is_supported(said, ASKED, [TRANSLATION], far, [0])
    assert not is_supported(["Wrong in every word."], ASKED, [SOURCE, TRANSLATION], nearer, [0])
    assert is_supported(said, ASKED, [SOURCE, TRANSLATION], nearer, [1]), "nearest when language is left aside"
    assert not is_supported(said, ASKED, [], np.empty((1, 0), np.float32), [])


def test_a_quote_that_contradicts_the_answer_is_not_held_by_it():
    assert holds("Boil the water. Then wait.", "Boil the water.")
    assert not holds("Do not boil the water.", "Boil the water.")
    assert not holds(
        "Goods may be returned within 30 days of delivery.", "Goods may be returned within 14 days of delivery."
    )
    assert not holds("未成年人不可以入内。", "未成年人可以入内。")
    assert not holds("A family room costs 185 euros.", "| Family | 185 euros |")
