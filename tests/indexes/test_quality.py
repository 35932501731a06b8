"""Garbled text is reported and skipped; text that only looks unusual is kept."""

import pytest

from indexes import IndexingError
from indexes.quality import checked, is_enciphered, is_garbled
from indexes.readers import Extracted, read_document
from indexes.readers.document import Block

ENGLISH = "Rinse the pot with hot water before the leaves go in, and pour the first infusion away. " * 5
CHINESE = "冲泡龙井宜用八十度左右的水,水太烫茶汤会苦涩,存放时要放在干燥通风没有异味的地方。" * 6


def shifted(text: str) -> str:
    """Letters shifted by three, as from a wrong font table."""
    return "".join(chr((ord(c.lower()) - 97 + 3) % 26 + 97) if c.isascii() and c.isalpha() else c for c in text)


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        CHINESE,
        "naïve café – “quoted” … 5 €",
        "Ã is a letter",
        "x = [1, 2]\n" * 9,
        "",
        "The café’s menu",
        "Il est passé…",
        "« Une soirée d’été\u00a0»",
        "„Gruß“, „Spaß“, „Fuß“",
        "‘Le thé’…",
        "CAFÉ™",
        "Why does my page show Ã© where é should be?",
        "KX-4417 BRTZ 12 mm\nTR-88-PLVNGD QRT BTRX\n" * 20,
    ],
)
def test_sound_text(text: str) -> None:
    assert not is_garbled(text)
    assert not is_enciphered(text)


@pytest.mark.parametrize(
    "text",
    [
        "\ue012\ue013\ue014 \ue015",
        "(cid:12)(cid:13) (cid:99)",
        "���� abc ����",
        CHINESE.encode().decode("cp1252", "replace"),
        "茶叶".encode().decode("cp1252", "ignore"),
        "锟斤拷锟斤拷 tea",
        "Le café est fermé, l’été à la plage".encode().decode("cp1252", "replace"),
        "“Quoted” – it’s".encode().decode("cp1252", "replace"),
        "Привет".encode().decode("latin-1"),
    ],
)
def test_garbled_text(text: str) -> None:
    assert is_garbled(text)


def test_letters_that_stand_for_others() -> None:
    assert is_enciphered(shifted(ENGLISH))
    assert is_enciphered("".join(chr(ord(c) + 5000) if c > "\u4e00" else c for c in CHINESE))


def test_garbled_paragraphs_are_left_out_and_told() -> None:
    text = ENGLISH + "\n\n" + "\ufffd" * 50
    document = Extracted(text, [Block(0, len(ENGLISH)), Block(len(ENGLISH) + 2, len(text))])
    kept = checked(document)
    assert kept.blocks == document.blocks[:1]
    assert kept.warning == "1 of its 2 paragraphs are garbled and were left out"


def test_a_document_of_nothing_else_is_refused() -> None:
    with pytest.raises(IndexingError, match="is garbled: most characters are invalid"):
        checked(read_document("a.txt", CHINESE.encode().decode("cp1252", "replace").encode()))
    pdf = Extracted(shifted(ENGLISH), [Block(0, len(ENGLISH))], format="pdf")
    with pytest.raises(IndexingError, match="is garbled: its fonts map to the wrong letters"):
        checked(pdf)
