"""LangChain's own pipeline, run by `benchmarks/indexing.py` and `benchmarks/retrieval.py` in an environment of its own.

    PEER_PYTHON benchmarks/langchain_peer.py INPUT.json OUTPUT.json

RecursiveCharacterTextSplitter and HuggingFaceEmbeddings as they are by default, and the FAISS store of
langchain-community. INPUT holds ``documents`` (name to text), ``model`` (a folder), ``threads``, ``questions`` and
``repeats``; OUTPUT gets the seconds of each repeat (splitting, embedding, storing), the number of chunks, how many of
their characters the model reads before it cuts them off, and for each question the names of the documents of the chunks
found, the best first.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from sentence_transformers import SentenceTransformer

PACKAGES = (
    "langchain-community",
    "langchain-huggingface",
    "langchain-text-splitters",
    "sentence-transformers",
    "torch",
)


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(given["threads"])
    embeddings = HuggingFaceEmbeddings(model_name=given["model"])
    embeddings.embed_query("warm")
    documents = [Document(text, metadata={"name": name}) for name, text in given["documents"].items()]
    seconds = []
    for _ in range(given["repeats"]):
        started = time.perf_counter()
        chunks = RecursiveCharacterTextSplitter().split_documents(documents)
        store = FAISS.from_documents(chunks, embeddings)
        seconds.append(time.perf_counter() - started)
    found = [[chunk.metadata["name"] for chunk in store.similarity_search(asked, 50)] for asked in given["questions"]]
    model = SentenceTransformer(given["model"], device="cpu")
    read = model.tokenizer(
        [chunk.page_content for chunk in chunks],
        truncation=True,
        max_length=model.max_seq_length,
        return_offsets_mapping=True,
    )["offset_mapping"]
    result = {
        "seconds": seconds,
        "chunks": len(chunks),
        "characters_read": sum(max(end for _, end in offsets) for offsets in read),
        "found": found,
        "versions": {package: version(package) for package in PACKAGES},
    }
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
