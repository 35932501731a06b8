"""A cross-encoder orders what was found. No such weights could be had, so a small random one is made and saved."""

from pathlib import Path

import pytest

from base_models import ModelError, load_reranker
from domain import Domain, create_domain, set_setting
from indexes import GivenText, Index


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, real_model) -> Path:
    """A BERT of two layers with one output, in the layout of sentence-transformers, with MiniLM's tokenizer."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("reranker")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(real_model("all-minilm-l6-v2")).save_pretrained(folder)
    CrossEncoder(str(folder), local_files_only=True).save_pretrained(str(folder))
    return folder


def test_scores_are_the_models_own_one_for_each_text(folder: Path) -> None:
    from sentence_transformers import CrossEncoder

    reranker = load_reranker(folder)
    texts = ["Water of 80 degrees.", "Opening hours", "普洱茶"]
    own = CrossEncoder(str(folder), local_files_only=True).predict([("green tea", text) for text in texts])
    assert reranker.scores("green tea", texts) == pytest.approx(own.tolist(), abs=0.02)
    assert reranker.scores("green tea", []) == []


def test_the_domains_reranker_orders_what_was_found(folder: Path, tmp_path: Path, real_model) -> None:
    real_model("all-minilm-l6-v2")
    domain = create_domain(tmp_path / "shop", embedder="all-minilm-l6-v2")
    set_setting(domain.settings_file, "retrieval.reranker", str(folder))
    with Index.open(Domain.open(domain.path)) as index:
        index.add([GivenText(str(n), f"Tea number {n} wants water of {n}0 degrees.") for n in range(9)])
        plain = index.search("which tea wants hot water", k=9, rerank=False)
        reranked = index.search("which tea wants hot water", k=9)
    assert {p.id for p in plain} == {p.id for p in reranked}
    scores = load_reranker(folder).scores("which tea wants hot water", ["\n" + p.text for p in plain])
    order = sorted(range(9), key=lambda position: -scores[position])
    assert [p.id for p in reranked] == [plain[position].id for position in order]
    assert [p.rerank_score for p in reranked] == pytest.approx(sorted(scores, reverse=True), abs=0.02)
    assert all(p.rerank_score is None for p in plain)


def test_what_is_no_reranker_is_refused(tmp_path: Path, real_model) -> None:
    with pytest.raises(ModelError, match="is not a reranker, because"):
        load_reranker(tmp_path)
