"""A question and its answer in one sentence; nothing where no rule makes one."""

import pytest

from assistant.restating import restated


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("大雷克雅维克位于什么地方？", "冰岛西南部", "大雷克雅维克位于冰岛西南部。"),
        ("PukiWiki主要在什么网站上普遍使用？", "日文的Wiki网站", "PukiWiki主要在日文的Wiki网站上普遍使用。"),
        ("哪位政治学者认为，权力的行使方式较容易预测?", "胡安·林兹", "胡安·林兹认为，权力的行使方式较容易预测。"),
        ("围墙是为了和哪一个地区的领土分隔?", "西德", "围墙是为了和西德的领土分隔。"),
        ("希腊作家普鲁塔克以哪一本书留名后世?", "《比较列传》", "希腊作家普鲁塔克以《比较列传》留名后世。"),
        ("谁写了这本书？", "孟郊", "孟郊写了这本书。"),
        ("这座桥有多少公里长？", "36", "这座桥有36公里长。"),
        ("这座桥有多少公里长？", "36公里", "这座桥有36公里长。"),
        ("奥斯陆被提升为主教辖区于西元几年?", "1070年", "奥斯陆被提升为主教辖区于西元1070年。"),
        ("红巨星的形成原因为？", "耗尽了核心的氢燃料", "红巨星的形成原因为耗尽了核心的氢燃料。"),
        ("为什么水会沸腾？", "因为温度高", ""),
        ("水是怎样沸腾的？", "加热", ""),
        ("可不可以带狗？", "可以", ""),
        ("Who wrote this?", "Ann", ""),
        ("他是谁？他在哪里？", "王", ""),
    ],
)
def test_the_words_of_asking_give_way_to_the_answer(question: str, answer: str, sentence: str) -> None:
    assert restated(question, answer) == sentence
