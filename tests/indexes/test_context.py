"""Tests of the context around the passages found, of key sentences, and of pages that a question names."""

import numpy as np
import pytest
from index_samples import make_domain

from base_models.embedding import Embedder
from indexes import Index, Passage
from indexes.evidence import telling_sentences
from indexes.reordering import SENTENCE_CANDIDATES, with_sentences

LONG = "\n\n".join(f"Paragraph {n} tells of the harbour and its {n} boats at some length." for n in range(8))
TEA = "# Tea: an overview\n\nTea is a drink.\n\n## Water\n\nUse water of 80 degrees.\n\n## Harbour\n\n"
DOCUMENTS = {
    "en/tea.md": f"{TEA}{LONG}\n",
    "en/green.md": "# Green tea\n\nGreen tea is not oxidised.\n\n## Tea\n\nOf tea for two, take four grams.\n\n"
    "## Kinds\n\nOf sencha take more. Sencha is best fresh. Sencha (steamed leaves) is the most common kind.\n",
    "zh/tea.md": "# Tea\n\n茶是一种饮料。\n\n## 水温\n\n用 80 度的水。水太烫会苦。\n",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, e5: Embedder) -> Index:
    domain = make_domain(tmp_path_factory.mktemp("context") / "tea", DOCUMENTS)
    text = domain.settings_file.read_text("utf-8").replace("# passage_tokens = 300", "passage_tokens = 40")
    domain.settings_file.write_text(text, "utf-8")
    index = Index.open(domain.path, e5)
    index.update()
    return index


def passages_of(index: Index, document: str) -> list[Passage]:
    found = [passage for passage in index.search("tea", k=50) if passage.document == document]
    return sorted(found, key=lambda passage: passage.start)


def test_the_section_of_a_passage_is_shown_from_its_opening_with_its_neighbours(index: Index) -> None:
    harbour = [passage for passage in passages_of(index, "en/tea.md") if passage.headings[-1] == "Harbour"]
    assert len(harbour) > 3
    shown = index.context([harbour[2]], 10_000)
    assert [passage.id for passage in shown] == [passage.id for passage in harbour[:4]]


def test_no_more_is_shown_than_the_budget_allows_but_always_the_best_passage(index: Index) -> None:
    harbour = [passage for passage in passages_of(index, "en/tea.md") if passage.headings[-1] == "Harbour"]
    assert index.context([harbour[2]], 1) == [harbour[2]]
    size = len(index.embedder.token_offsets(harbour[2].text))
    shown = index.context([harbour[2], harbour[0]], 2 * size + 5)
    assert [passage.id for passage in shown] == [harbour[0].id, harbour[2].id], "found ones before what is around them"
    assert index.context([], 100) == []


def test_documents_stand_in_the_order_of_their_best_passage_and_passages_in_that_of_the_text(index: Index) -> None:
    english, chinese = passages_of(index, "en/tea.md"), passages_of(index, "zh/tea.md")
    shown = index.context([chinese[1], english[1], english[0]], 10_000)
    assert shown[0].document == "zh/tea.md"
    for document in ("zh/tea.md", "en/tea.md"):
        starts = [passage.start for passage in shown if passage.document == document]
        assert starts == sorted(starts)


def test_a_page_or_section_named_by_its_title_is_opened_in_the_language_of_the_question(index: Index) -> None:
    found = index.search("tea", k=50)
    (opened,) = index.introductions("What is tea?", [p for p in found if p.document == "en/tea.md"])
    assert opened.text.startswith("Tea is a drink")
    both = index.introductions("What is tea?", found)
    assert {passage.document for passage in both} == {"en/tea.md", "en/green.md"}, "a page and a section"
    assert [passage.document for passage in index.introductions("tea 是什么?", found)] == ["zh/tea.md"]
    assert index.introductions("What is tea for two?", found) == []
    assert index.introductions("What is black tea?", found) == []


def test_what_no_title_names_is_introduced_by_the_passage_that_defines_it(index: Index) -> None:
    found = index.search("oxidised", k=50)
    (defining,) = index.introductions("What is sencha?", found)
    assert "Sencha (" in defining.text
    (first, *_) = index.key_sentences("What is sencha?", found, 1)
    assert first[0].startswith("Sencha (")
    assert index.introductions("How is sencha made?", found) == []
    (in_a_conversation,) = index.key_sentences("Is it fresh? What is sencha?", found, 1, "What is sencha?")
    assert in_a_conversation[0].startswith("Sencha (")


def test_key_sentences_are_those_nearest_to_the_question_each_with_its_passage(index: Index) -> None:
    found = index.search("How hot should the water be?", k=5)
    ((sentence, passage),) = index.key_sentences("How hot should the water be?", found, 1)
    assert "80" in sentence
    assert sentence in passage.text
    three = index.key_sentences("How hot should the water be?", found, 3)
    ranks = [found.index(one) for _, one in three]
    assert ranks == sorted(ranks)
    assert index.key_sentences("?", [], 3) == index.key_sentences("?", found, 0) == []


def test_the_header_of_a_table_is_no_key_sentence() -> None:
    table = "Prices:\n\n| Room | Price |\n|:--|--:|\n| Family | 185 |\n| Single | 90 |"
    assert telling_sentences(table) == ["Prices:", "| Family | 185 |", "| Single | 90 |"]
    assert telling_sentences("| Room | Price |") == ["| Room | Price |"]


def test_likeness_is_that_of_the_nearest_sentence_also_across_languages(index: Index) -> None:
    english, chinese = passages_of(index, "en/tea.md"), passages_of(index, "zh/tea.md")
    water, hot = next(p for p in english if "80" in p.text), next(p for p in chinese if "80" in p.text)
    likeness, _ = index.likeness(["水温应为 80 度。", "The boats lie in the harbour."], [water, hot, english[-1]])
    assert likeness.shape == (2, 3)
    assert likeness[0].argmax() in (0, 1)
    assert likeness[0, 0] > likeness[0, 2]
    assert likeness[1].argmax() == 2
    assert index.likeness([], [water])[0].shape == (0, 1)
    assert index.likeness(["a"], [])[0].shape == (1, 0)


def passage(number: int, score: float) -> Passage:
    return Passage(number, str(number), "a.md", (), None, 1, 0, 1, score=score)


def test_the_first_passages_are_ordered_once_more_by_their_best_sentence() -> None:
    ranked = {n: passage(n, 1.0 - n / 100) for n in range(SENTENCE_CANDIDATES + 2)}
    vectors = {str(n): np.array([[0.0, 1.0]], np.float32) for n in ranked}
    vectors["3"] = np.array([[0.0, 1.0], [0.8, 0.6]], np.float32)  # its second sentence is near
    vectors[str(SENTENCE_CANDIDATES)] = np.array([[1.0, 0.0]], np.float32)  # beyond the passages that are reordered
    query = np.array([1.0, 0.0], np.float32)
    after = with_sentences(ranked, query, 5.0, lambda some: {one.text: vectors[one.text] for one in some})
    assert list(after) == [3, 0, 1, 2, *range(4, SENTENCE_CANDIDATES + 2)]
    scores = [one.score for one in after.values()]
    assert scores == sorted(scores, reverse=True)


def test_searching_with_sentences_changes_the_order_only_in_hybrid_search(index: Index) -> None:
    for mode in ("dense", "full_text"):
        assert index.search("tea", 9, mode) == index.search("tea", 9, mode, rerank=False)
    assert {p.id for p in index.search("tea", 9)} == {p.id for p in index.search("tea", 9, rerank=False)}
