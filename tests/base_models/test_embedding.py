"""The embedders as a user of the index meets them: real models, real sentences."""

import gc
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from base_models import ModelError, fingerprint, load_embedder
from base_models.embedding import Embedder, _in_memory
from base_models.encoder_selection import Encoder
from base_models.engines.sentence_transformers import SentenceTransformersEncoder

PASSAGES = [
    "龙井茶要用八十度左右的水冲泡，水太烫会发苦。",
    "Brew Longjing green tea with water at about 80 degrees; hotter water makes it bitter.",
    "Change the engine oil of the car every ten thousand kilometres.",
    "汽车每行驶一万公里应更换一次机油。",
    "El río pasa por tres provincias.",
]


@pytest.fixture(scope="module")
def e5(real_model: Callable[[str], Path]) -> Embedder:
    real_model("multilingual-e5-small")
    return load_embedder("multilingual-e5-small", device="cpu")


@pytest.fixture(scope="module")
def reference(real_model: Callable[[str], Path]) -> Encoder:
    """e5 in sentence-transformers and float32."""
    return SentenceTransformersEncoder(real_model("multilingual-e5-small"), "cpu", "float32")


@pytest.fixture(scope="module")
def minilm(real_model: Callable[[str], Path]) -> Embedder:
    real_model("all-minilm-l6-v2")
    return load_embedder("all-minilm-l6-v2", device="cpu")


def test_an_embedder_says_what_it_is(e5: Embedder, minilm: Embedder) -> None:
    assert (e5.name, e5.dimension, minilm.dimension) == ("multilingual-e5-small", 384, 384)
    assert e5.fingerprint == fingerprint("multilingual-e5-small") != minilm.fingerprint
    assert minilm.max_tokens == 254  # 256 less the two special tokens
    assert 500 <= e5.max_tokens < 510  # 512 less special tokens and the prefix


def test_meaning_ranks_first_in_chinese_and_english(e5: Embedder) -> None:
    vectors = e5.encode_passages(PASSAGES)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    questions = [
        "怎么泡龙井?",
        "How hot should the water for green tea be?",
        "how often to change engine oil",
        "多久换一次机油?",
    ]
    scores = e5.encode_queries(questions) @ vectors.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_translation_is_the_nearest_in_the_other_language(e5: Embedder) -> None:
    tea_zh, tea_en, oil_en, oil_zh, _ = e5.encode_passages(PASSAGES)
    assert tea_zh @ tea_en > tea_zh @ oil_en
    assert oil_zh @ oil_en > oil_zh @ tea_en


def test_minilm_ranks_english(minilm: Embedder) -> None:
    scores = minilm.encode_queries(["green tea temperature"]) @ minilm.encode_passages(PASSAGES).T
    assert scores.argmax() == 1


def test_questions_and_passages_get_their_own_prefixes(e5: Embedder, reference: Encoder) -> None:
    text = "rank of the matrices"
    assert (e5.encode_queries([text]) @ e5.encode_passages([text]).T).item() < 0.99
    prefixed = reference.encode([f"passage: {text}"], "")[0]
    assert (e5.encode_passages([text]) @ prefixed).item() > 0.9995


def test_many_passages_keep_their_order_and_report_progress(e5: Embedder) -> None:
    texts = [PASSAGES[number % 5][: 5 + number] for number in range(37)]
    done: list[int] = []
    vectors = e5.encode_passages(texts, progress=done.append)
    assert sum(done) == 37
    assert len(done) > 1
    alone = np.concatenate([e5.encode_passages([text]) for text in texts])
    assert (vectors * alone).sum(axis=1).min() > 0.999


def test_nothing_to_embed_is_an_empty_matrix(e5: Embedder) -> None:
    assert e5.encode_passages([]).shape == (0, 384)
    assert e5.encode_queries([]).shape == (0, 384)
    assert e5.token_offsets("") == []


def test_an_interrupt_gets_through(e5: Embedder) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        e5.encode_passages(PASSAGES * 10, progress=stop)


def test_token_offsets_are_places_in_the_text(e5: Embedder, minilm: Embedder) -> None:
    text = "低秩适应 LoRA，ｆｕｌｌ①\n\nweight  decay 😀."
    for embedder in (e5, minilm):
        offsets = embedder.token_offsets(text)
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
        covered = {place for start, end in offsets for place in range(start, end)}
        assert all(place in covered for place, char in enumerate(text) if not char.isspace())
    words = "one two three"
    assert [words[start:end].strip() for start, end in minilm.token_offsets(words)] == words.split()


def test_max_tokens_is_where_reading_ends(e5: Embedder) -> None:
    text = "适应矩阵的秩。" * 200
    end = e5.token_offsets(text)[e5.max_tokens - 1][1]
    inside, over = text[: end - 8] + "苹果很甜很好吃", text[: end + 40]
    whole = e5.encode_passages([text[:end], over + "苹果很甜很好吃", inside])
    assert whole[0] @ whole[1] > 0.9999
    assert whole[0] @ whole[2] < 0.9999


def test_long_texts_are_counted_without_a_warning(e5: Embedder, caplog: pytest.LogCaptureFixture) -> None:
    assert len(e5.token_offsets("秩 " * 3000)) >= 3000
    assert caplog.text == ""


def test_several_threads_take_turns(e5: Embedder) -> None:
    expected = e5.encode_queries(PASSAGES)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: e5.encode_queries(PASSAGES), range(8)))
        counts = list(pool.map(lambda number: len(e5.token_offsets(PASSAGES[0])), range(8)))
    assert all(np.allclose(result, expected, atol=1e-3) for result in results)
    assert len(set(counts)) == 1


def test_bfloat16_and_float32_give_the_same_vectors(real_model: Callable[[str], Path], reference: Encoder) -> None:
    coarse = SentenceTransformersEncoder(real_model("multilingual-e5-small"), "cpu", "bfloat16")
    assert next(coarse.model.parameters()).dtype == torch.bfloat16
    vectors = coarse.encode(PASSAGES, "passage: ")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * reference.encode(PASSAGES, "passage: ")).sum(axis=1).min() > 0.9995


def test_a_folder_of_ones_own_loads_under_its_own_fingerprint(real_model: Callable[[str], Path]) -> None:
    folder = real_model("all-minilm-l6-v2")
    embedder = load_embedder(folder, device="cpu")
    assert embedder.name == str(folder)
    assert embedder.fingerprint == fingerprint(folder) != fingerprint("all-minilm-l6-v2")


def test_an_embedder_is_shared_as_long_as_somebody_holds_it(real_model: Callable[[str], Path]) -> None:
    folder = real_model("all-minilm-l6-v2")
    first = load_embedder(folder, device="cpu")
    assert load_embedder(folder, device="cpu") is first
    assert load_embedder(folder) is not first, "asked for with another device"
    del first
    gc.collect()
    assert str(folder) not in {name for name, _, _ in _in_memory}


def test_what_is_no_embedder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"smollm2-135m-instruct is a chat model, not an embedder; use multilingual-e5-small"
    ):
        load_embedder("smollm2-135m-instruct")
    with pytest.raises(ModelError, match=r"has no modules\.json"):
        load_embedder(tmp_path)
    with pytest.raises(ModelError, match=r"no model 'e5-smal'.*multilingual-e5-small"):
        load_embedder("e5-smal")


def test_a_program_that_loads_an_embedder_is_told_nothing(real_model: Callable[[str], Path]) -> None:
    real_model("all-minilm-l6-v2")
    program = "import base_models; print(base_models.load_embedder('all-minilm-l6-v2').dimension)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("384\n", "")
