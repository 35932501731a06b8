"""Tests of names in a question, and of names that the passages lack."""

import pytest
from index_samples import TEA, make_domain

from indexes import Index
from indexes.proper_names import names_in


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("用 TIES 合并几个 LoRA 时，density 一般设多少？", ["TIES", "LoRA"]),
        ("16G 的卡跑 6B 的模型够吗？要 3 小时，2.4GHz", []),
        ("ＱＬｏＲＡ 和 C++ 呢？C#怎么写", ["QLoRA", "C++", "C#"]),
        ("支持WiFi+蓝牙吗，18+ 可以吗？email 呢", ["WiFi"]),
        ("我叫Peter，邮箱是 anna@example.com，X200 多少钱", ["X200"]),
        ("DPO 是什么？", ["DPO"]),
        ("What ratio does LoRA+ recommend?", ["LoRA+"]),
        ("How often must the X200 be cleaned? Ask Anna.", ["X200", "Anna"]),
        ("Do I need a visa? Why? How long is it valid?", []),
        ("Is the IT department open in Café Müller on Mondays?", ["IT", "Café", "Müller"]),
        ("I'm Peter. When do you open in December?", []),
        ("How Do I Return A Product?", []),
        ("WHERE IS MY PARCEL?", []),
        ("WHAT IS THE RETURN POLICY FOR TVs?", []),
        ("How Do I Reset The iPhone15?", ["iPhone15"]),
        ("A 7B model on one 80GB card with 5000mAh", []),
        ("Who is Anna Maria Smith?", ["Anna", "Maria", "Smith"]),
        ("Who is Mr. Darcy, and what does Section 3 say?", ["Darcy"]),
        ("Does it have Wi-Fi and GPT-4?", ["Wi-Fi", "GPT-4"]),
        ("", []),
    ],
)
def test_names(question, names):
    assert names_in(question) == names


@pytest.fixture(scope="module")
def index(tmp_path_factory, minilm):
    documents = TEA | {
        "en/shop.md": "# Our shop\n\nAnna sells tea from Darjeeling. She knows C++ too.\n",
        "en/pots.md": "# Pots\n\nThe X200 is a pot of glass.\n",
    }
    domain = make_domain(tmp_path_factory.mktemp("names") / "tea", documents, embedder="all-minilm-l6-v2")
    with Index(domain, minilm) as index:
        index.update()
        yield index


def test_a_name_that_no_passage_holds_is_rare(index):
    everything = {passage.document: passage for passage in index.search("tea", k=20)}

    def missing(question: str, *documents: str) -> float:
        return index.evidence([question], [[everything[name] for name in documents]])[0].missing_name

    assert missing("What does Anna sell?", "en/shop.md") == 0
    assert missing("What does Anna sell, and what is the X200?", "en/shop.md", "en/pots.md") == 0
    assert missing("Is it from Darjeelings?", "en/shop.md") == 0, "a plural is no other name"
    assert missing("那家店的 Anna 卖什么?", "en/shop.md") == 0
    assert missing("Who is Bob?", "en/shop.md") == 1
    assert missing("Who is Bob?", "en/shop.md", "zh/puer.md") == 1
    assert 0.5 < missing("Has the shop an X200?", "en/shop.md") < 1, "another passage holds it"
    assert missing("Does she know C++?", "en/shop.md") == 0
    assert missing("Does she know C#?", "en/shop.md") == 1
    assert missing("Does she know C++17?", "en/shop.md") == 0
    assert missing("她会用C++编程吗?", "en/shop.md") == 0
    assert missing("Is it an X-200?", "en/pots.md") == 0, "written otherwise"
    assert missing("Is there Wi-Fi for Anna?", "en/shop.md") == 1
    assert missing("Is Longjing from Hangzhou?", "zh/longjing.md") == 0, "Chinese writes names in its own script"
    assert missing("Is the X300 from Hangzhou?", "zh/longjing.md") == 1
    assert missing("我要找 puer", "zh/puer.md") == 0, "the name of the file counts"


def test_of_a_long_text_the_beginning_is_looked_through():
    assert names_in("word " * 200_000) == []
    assert names_in("Ask Anna. " + '("' * 500_000 + " Ask Bob.") == ["Anna"]
