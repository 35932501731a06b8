"""Tests of questions for a definition, and of sentences that define a term."""

import pytest

from indexes.definitions import asked_term, defines


@pytest.mark.parametrize(
    ("question", "term"),
    [
        ("What is LoRA?", "LoRA"),
        ("what's a warm-up", "warm-up"),
        ("What does nf4 mean?", "nf4"),
        ("Explain gradient checkpointing.", "gradient checkpointing"),
        ("LoRA 是什么？", "LoRA"),
        ("什么是梯度检查点?", "梯度检查点"),
        ("请问普洱是什么意思", "普洱"),
        ("What's our return policy?", "return policy"),
        ("Hello, can you explain the “force majeure” clause?", "force majeure clause"),
        ("不可抗力是指什么？", "不可抗力"),
        ("你好，什么叫年假", "年假"),
        ("LoRA到底是什么？", "LoRA"),
        ("Who is Anna?", "Anna"),
        ("安娜是谁？", "安娜"),
        ("What is it?", ""),
        ("这是什么意思？", ""),
        ("你是谁", ""),
        ("What's new?", ""),
        ("X 是什么时候到的？", ""),
        ("what is" + " " * 5000 + "x,y", ""),
        ("What is DPO" + " " * 200 + ", and how does it work?", ""),
        ("What is " + "very " * 50 + "long?", ""),
        ("How hot should the water be?", ""),
        ("What is the rank of LoRA, and how many values has nf4?", ""),
        ("龙井用多少度的水?", ""),
        ("", ""),
    ],
)
def test_what_is_to_be_explained(question, term):
    assert asked_term(question) == term


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ("LoRA (Hu et al. 2021) freezes the weights.", "LoRA"),
        ("Direct preference optimization (DPO, Rafailov et al. 2023) trains on pairs.", "DPO"),
        ("A warm-up is a short phase in which the rate rises.", "warm-up"),
        ("- **Longjing**: a green tea from Hangzhou.", "longjing"),
        ("DPO（Rafailov 等 2023）直接在偏好对上训练。", "DPO"),
        ("普洱是一种后发酵茶。", "普洱"),
        ("Low-rank adaptation (LoRA) freezes the weights.", "LoRA"),
        ("第二条 本法所称用人单位，是指企业。", "用人单位"),
        ("1.年假是指带薪的假期。", "年假"),
        ("直接偏好优化（Direct Preference Optimization，DPO）是一种方法。", "DPO"),
        ("In this Act, “employee” means any person.", "employee"),
        ("Adapters are the small layers that learn.", "adapter"),
        ("Low-Rank Adaptation, or LoRA, is a method", "Low-Rank Adaptation"),
        ("| LoRA | a low-rank update |", "LoRA"),
    ],
)
def test_what_defines(sentence, term):
    assert defines(sentence, term)


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ("DPO needs no second copy of the model.", "DPO"),
        ("用 LoRA 做 DPO 不必再放一份参考模型。", "DPO"),
        ("rsLoRA (Kalajdzievski 2023) replaces the factor.", "LoRA"),
        ("LoRA is not needed here.", "LoRA"),
        ("普洱是否要洗茶，看个人。", "普洱"),
        ("DPO是什么？", "DPO"),
        ("DPO为什么慢？", "DPO"),
        ("公司指定的医院在城东。", "公司"),
        ("员工指南在柜台。", "员工"),
        ("会员是免费的。", "会员"),
        ("LoRA is enabled by default.", "LoRA"),
        ("Employees are required to wear a badge.", "employee"),
        ("Set the type (lora) first.", "LoRA"),
        ("There are three methods (LoRA, DPO, SFT).", "LoRA"),
    ],
)
def test_what_does_not(sentence, term):
    assert not defines(sentence, term)
