"""Questions for a definition, and the sentences that give one."""

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
    ],
)
def test_what_does_not(sentence, term):
    assert not defines(sentence, term)
