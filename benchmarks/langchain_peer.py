"""Runs LangChain's pipeline for `benchmarks/indexing.py` and `benchmarks/retrieval_peer.py` in its own environment.

    PEER_PYTHON benchmarks/langchain_peer.py INPUT.json OUTPUT.json

Uses RecursiveCharacterTextSplitter and HuggingFaceEmbeddings with their defaults, and the FAISS store of
langchain-community. INPUT contains ``documents`` (name to text), ``model`` (a folder), ``threads``, ``questions`` and
``repeats``. OUTPUT gets the seconds of each repeat (splitting, embedding, storing), the number of chunks, the
characters that the model reads before truncation, and for each question the document names of the retrieved chunks,
best first.
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
