"""Greetings and questions about the assistant itself are told from questions about the documents."""

import time

import pytest

from assistant.answering.small_talk import SmallTalk, small_talk
from domain import Domain, read_questions

HANDBOOK = "examples/peft-handbook"


@pytest.mark.parametrize(
    ("intent", "messages"),
    [
        (
            "greeting",
            ["hello", "Hi there!", "Good morning", "hey, how are you?", "你好", "您好！", "早上好", "在吗?", "嗨～"],
        ),
        (
            "thanks",
            ["thanks", "Thank you so much!", "ok, thanks", "That was helpful.", "谢谢", "非常感谢！", "好的，谢谢你"],
        ),
        ("greeting", ["👋"]),
        ("thanks", ["No, thanks", "不用了，谢谢", "謝謝", "thank u"]),
        ("abilities", ["Good morning, what can you do?", "are you an AI?", "你是机器人吗"]),
        ("goodbye", ["ok thanks bye", "bye", "Goodbye!", "That's all for now", "再见", "没有问题了", "拜拜~"]),
        (
            "abilities",
            ["What can you do?", "who are you", "hello, what can you do?", "help", "你能做什么？", "你是谁?"],
        ),
        (
            "documents",
            [
                "Which documents do you have?",
                "list the files",
                "How many documents are there?",
                "你有哪些文档？",
                "列出所有资料",
            ],
        ),
    ],
)
def test_small_talk_is_known(intent, messages):
    assert {message: small_talk(message) for message in messages} == dict.fromkeys(messages, SmallTalk(intent))


@pytest.mark.parametrize(
    ("language", "messages"),
    [
        ("en", ["and in English, please", "In English?", "Can you say that in English?", "请用英文回答", "英文呢？"]),
        (
            "zh",
            ["in Chinese please", "answer in Chinese", "用中文再说一遍", "用中文回答我", "能用中文吗？", "翻译成中文"],
        ),
    ],
)
def test_a_wish_for_a_language_is_known(language, messages):
    wanted = SmallTalk("language", language)
    assert {message: small_talk(message) for message in messages} == dict.fromkeys(messages, wanted)


@pytest.mark.parametrize(
    "question",
    [
        "Which documents do I need for a visa?",
        "What files does a run leave?",
        "How does it work?",
        "What does this do?",
        "Help me choose a rank.",
        "Thanks to which trick does LoRA add no latency?",
        "What is the English name of 秩?",
        "Do you have parking?",
        "你们几点开门？",
        "会员有什么用？",
        "退货需要哪些文件？",
        "怎么用 LoRA?",
        "谢谢卡怎么写?",
        "hello world 程序在哪里?",
        "使用说明",
        "What are the materials?",
        "材料有哪些？",
        "What books are there?",
        "hello, how hot should the water be?",
        "谢谢，那周日开门吗？",
        "",
        "?",
        "a" * 100_000,
    ],
)
def test_a_question_about_the_documents_is_not_small_talk(question):
    assert small_talk(question) is None


def test_no_question_of_the_sample_is_taken_for_small_talk_and_it_costs_no_time():
    questions = read_questions(Domain.open(HANDBOOK).train_questions)
    began = time.process_time()
    assert [question.text for question in questions if small_talk(question.text)] == []
    assert time.process_time() - began < 0.03 * len(questions), "30 ms a message are allowed"
