"""Files that are not UTF-8, mainly Chinese ones, are decoded correctly."""

import pytest

from indexes import IndexingError
from indexes.readers import read_document
from indexes.readers.encodings import decode

SIMPLIFIED = "低秩适应（LoRA）把权重的更新写成两个小矩阵的乘积。训练时只更新这两个矩阵，原来的权重保持不变。\n"
TRADITIONAL = "低秩適應（LoRA）把權重的更新寫成兩個小矩陣的乘積。訓練時只更新這兩個矩陣，原來的權重保持不變。\n"
SHORT = [
    "龙井茶",
    "什么是低秩适应?",
    "# LoRA\n\nuse `peft`, r=8, alpha=16, then train.\n\n- 秩 r\n- 学习率\n",
    "春节放假三天。",
    "茶;产地;价格\n毛峰;黄山;12\n普洱;云南;9\n",
    "姓名,部门,电话\n张伟,财务部,138\n王芳,销售部,139\n",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("times", [1, 40])
def test_simplified_chinese(encoding: str, times: int) -> None:
    text = f"LoRA:\n{SIMPLIFIED * times}" if encoding.startswith("utf-16-") else SIMPLIFIED * times
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["big5", "gb18030"])
@pytest.mark.parametrize("times", [1, 40])
def test_traditional_chinese(encoding: str, times: int) -> None:
    assert decode((TRADITIONAL * times).encode(encoding)) == TRADITIONAL * times


@pytest.mark.parametrize("text", SHORT)
def test_a_few_chinese_characters_in_gbk_are_not_taken_for_korean_or_russian(text: str) -> None:
    assert decode(text.encode("gbk")) == text


def test_rare_characters_of_gb18030() -> None:
    text = SIMPLIFIED * 3 + "𠮷野家在㐂街。"
    assert decode(text.encode("gb18030")) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Le café est servi à l'hôtel, où l'été dernier nous étions déjà allés. Ça coûte très cher."),
        ("koi8_r", "Самовар стоит в подвале, чай ещё горячий."),
        ("cp1251", "Низкоранговая адаптация записывает обновление весов как произведение двух малых матриц."),
        (
            "shift_jis",
            "低ランク適応は重みの更新を二つの小さな行列の積として書きます。訓練時にはこの行列だけを更新します。" * 3,
        ),
    ],
)
def test_other_languages(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_utf8_cut_in_the_middle_of_a_character_stays_utf8() -> None:
    assert decode((SIMPLIFIED * 5).encode()[:-2]) == SIMPLIFIED * 4 + SIMPLIFIED[:-2] + "\ufffd"


def test_html_is_read_in_the_encoding_that_it_declares() -> None:
    page = '<html><head><meta charset="gb2312"></head><body><p>镕</p></body></html>'  # in GBK, but not in GB 2312
    assert read_document("a.html", page.encode("gbk")).text == "镕"
    page = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=big5"></head><p>資料</p></html>'
    assert read_document("a.html", page.encode("big5")).text == "資料"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0", "is a program"),
        (bytes(range(256)) * 20, "binary data"),
        (bytes(range(1, 256)) * 20, "binary data"),
        (b"PK\x03\x04\x14\0\0\0\x08\0" * 9, "is a damaged ZIP archive"),
    ],
)
def test_binary_data_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(IndexingError, match=why):
        read_document("a.txt", data)


def test_a_few_zeros_make_no_text_of_another_kind() -> None:
    for data in (b"A log line of the pump\0and the next one\0\0" * 20, b"text" * 30 + bytes(64)):
        with pytest.raises(IndexingError, match="contains binary data"):
            decode(data)
    for encoding in ("utf-16-le", "utf-16-be"):
        for text in ("A plain text in English.\n" * 5, "低秩适应把权重的更新写成两个小矩阵的乘积。\n" * 5):
            assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text", ["Preis: 5 Stück", "Le café coûte cher.", "Prix réduit à 20 %, naïf", "El niño mañana"]
)
def test_a_few_accents_are_no_cyrillic(text: str) -> None:
    assert decode(text.encode("cp1252")) == text
