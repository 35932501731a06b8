"""Vectors in OpenVINO: those of float32, of short and long texts, without torch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from base_models import ModelError, encoder_selection, fingerprint
from base_models.encoder_selection import choose_encoder
from base_models.engines.choices import Choice, export_folder, known_choice
from base_models.engines.openvino_encoder import OpenVinoEncoder, export_encoder
from base_models.engines.sentence_transformers import SentenceTransformersEncoder

TEXTS = [
    "龙井茶要用八十度左右的水冲泡。",
    "",
    "Brew green tea.",
    "适应矩阵的秩。" * 200,
    "a b c " * 300,
    "😀\u200b ＡＢＣ",
]


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", pytest.param("multilingual-e5-small", marks=pytest.mark.slow)])
def test_vectors_are_those_of_float32(name: str, real_model: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_model(name)
    reference = SentenceTransformersEncoder(folder, "cpu", "float32")
    export_encoder(reference.model, tmp_path)
    exported = OpenVinoEncoder(folder, tmp_path)
    assert (exported.prompts, exported.most_tokens) == (reference.prompts, reference.most_tokens)
    for prompt in ("", "passage: "):
        cosines = (exported.encode(TEXTS, prompt) * reference.encode(TEXTS, prompt)).sum(1)
        assert cosines.min() > 0.9999
    for text in TEXTS:
        assert exported.token_offsets(text) == reference.token_offsets(text)
        assert exported.count_tokens(text) == reference.count_tokens(text)
    alone = np.concatenate([exported.encode([text], "") for text in TEXTS])
    assert (alone * exported.encode(TEXTS, "")).sum(1).min() > 0.9999, "padding does not change a vector"


@pytest.mark.slow
def test_a_far_or_slow_export_is_not_used(
    real_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = real_model("all-minilm-l6-v2")
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(encoder_selection, "LEAST_COSINE", 1.1)
    choice = choose_encoder(folder, folder, "cpu")
    assert choice.engine == "transformers"
    assert "differs from float32" in choice.reason
    assert known_choice(folder) == choice
    (tmp_path / "engines.json").unlink()
    monkeypatch.setattr(encoder_selection, "LEAST_COSINE", 0.9999)
    monkeypatch.setattr(encoder_selection, "MOST_SECONDS", 0.0)
    choice = choose_encoder(folder, folder, "cpu")
    assert choice.engine == "transformers"
    assert set(choice.seconds) == {"transformers", "openvino"}
    assert choose_encoder(folder, folder, "cuda") == Choice("transformers", "device cuda was requested", {})
    assert export_folder(folder).name.startswith(fingerprint(folder)[:16])


@pytest.mark.slow
def test_a_damaged_export_is_made_again(
    real_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = real_model("all-minilm-l6-v2")
    monkeypatch.setenv("LOREWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(encoder_selection, "MOST_SECONDS", 1000.0)
    assert choose_encoder(folder, folder, "cpu").engine == "openvino"
    weights = export_folder(folder) / "openvino_model.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(ModelError, match="is an incomplete export of an embedding model"):
        OpenVinoEncoder(folder, export_folder(folder))
    assert choose_encoder(folder, folder, "cpu").engine == "openvino"
    assert weights.read_bytes() == whole


def test_embedding_a_question_imports_no_torch(real_model: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_model("all-minilm-l6-v2")
    export_encoder(SentenceTransformersEncoder(folder, "cpu", "float32").model, tmp_path)
    program = (
        "import sys; from pathlib import Path; from base_models.embedding import Embedder\n"
        "from base_models.engines.openvino_encoder import OpenVinoEncoder\n"
        f"embedder = Embedder('m', '0', OpenVinoEncoder(Path({str(folder)!r}), Path({str(tmp_path)!r})))\n"
        "print(embedder.encode_queries(['tea?']).shape, [m for m in ('torch', 'transformers') if m in sys.modules])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("(1, 384) []\n", "")
