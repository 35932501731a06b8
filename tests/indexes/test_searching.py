"""Questions in Chinese and English find the passage with the answer, and its place, in every search mode."""

import dataclasses
import subprocess
import sys
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from index_samples import TEA, make_domain, pdf_of, put

from base_models.embedding import Embedder
from domain import Domain, set_setting
from indexes import Index, IndexingError, Passage, sentences_of
from indexes.full_text import Weighed
from indexes.search import Scores, fuse


@pytest.fixture(scope="module")
def tea(tmp_path_factory: pytest.TempPathFactory, e5: Embedder) -> Domain:
    domain = make_domain(tmp_path_factory.mktemp("search") / "tea", TEA)
    put(
        domain,
        "manual.pdf",
        pdf_of("The kettle holds two litres.", "Descale the kettle once a month with citric acid."),
    )
    put(domain, "notes.txt", "Opening hours\n\nThe shop opens at nine.\n")
    Index.open(domain, e5).update()
    return domain


@pytest.fixture
def index(tea: Domain, e5: Embedder) -> Index:
    return Index.open(tea, e5)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "full_text"])
@pytest.mark.parametrize(
    ("question", "document", "place"),
    [
        ("泡龙井用多少度的水?", "zh/longjing.md", "龙井 › 水温"),
        ("普洱茶饼怎么存放?", "zh/puer.md", "普洱 › 储存"),
        ("How hot should the water for green tea be?", "en/green.md", "Green tea › Water"),
        ("how often must I descale the kettle", "manual.pdf", "page 2"),
        ("When does the shop open?", "notes.txt", "line 1"),
    ],
)
def test_the_passage_that_answers_comes_first(
    index: Index, mode: str, question: str, document: str, place: str
) -> None:
    best = index.search(question, k=3, mode=mode)[0]  # type: ignore[arg-type]
    assert (best.document, best.place) == (document, place)


def test_meaning_is_found_without_a_common_word(index: Index) -> None:
    question = "怎样避免绿茶发苦?"
    assert index.search(question, k=1, mode="dense")[0].document in {"zh/longjing.md", "en/green.md"}
    assert index.search("where is it grown", k=1, mode="full_text") == []


def test_a_passage_can_be_opened_in_its_document(index: Index) -> None:
    for passage in index.search("water 水 kettle shop", k=20):
        assert index.text(passage.document)[passage.start : passage.end] == passage.text
        again = index.passage(passage.id)
        assert again == dataclasses.replace(passage, score=0.0, dense_score=0.0, full_text_score=0.0)
    passage = index.search("龙井的产地", k=1)[0]
    assert passage == dataclasses.replace(
        passage,
        text="龙井产于浙江杭州西湖一带。",
        headings=("龙井", "产地"),
        page=None,
        line=9,
        document="zh/longjing.md",
    )


def test_scores_are_cosine_and_bm25(index: Index, e5: Embedder) -> None:
    question = "泡龙井用多少度的水?"
    vector = e5.encode_queries([question])[0]
    passages = index.search(question, k=20)
    embedded = [
        "\n".join([*([" > ".join(passage.headings)] if passage.headings else []), passage.text]) for passage in passages
    ]
    cosines = e5.encode_passages(embedded) @ vector
    assert [passage.dense_score for passage in passages] == pytest.approx(cosines.tolist(), abs=0.01)
    by_words = {passage.id: passage.full_text_score for passage in index.search(question, k=20, mode="full_text")}
    for passage in index.search(question, k=20):
        assert passage.full_text_score == pytest.approx(by_words.get(passage.id, 0.0), rel=1e-5)
    scores = [passage.score for passage in index.search(question, k=20)]
    assert scores == sorted(scores, reverse=True)


def test_the_weight_of_meaning_is_the_domains(index: Index, tea: Domain, e5: Embedder, tmp_path: Path) -> None:
    def ranked(weight: float) -> list[int]:
        retrieval = tea.settings.retrieval.model_copy(update={"dense_weight": weight})
        domain = Domain(tea.path, tea.settings.model_copy(update={"retrieval": retrieval}))
        return [passage.id for passage in Index.open(domain, e5).search("水温 water", k=20)]

    assert ranked(1.0) == [passage.id for passage in index.search("水温 water", k=20, mode="dense")]
    words = [passage.id for passage in index.search("水温 water", k=20, mode="full_text")]
    assert ranked(0.0)[: len(words)] == words


def scores(dense: list[float], words: list[float], asked: int = 5, rare: list[float] | None = None) -> Scores:
    """Scores for an index whose mean cosine with the question is 0.8."""
    weighed = Weighed(np.array(words), np.array(rare or [0.0] * len(words)), 10.0 * asked)
    return Scores(np.arange(len(dense)), np.array(dense), weighed, 0.8, 0.02, asked)


def test_fusion_goes_by_how_far_a_score_stands_out() -> None:
    both = scores([0.90, 0.80, 0.79, 0.78], [0.0, 30.0, 29.0, 28.0])
    assert np.argmax(fuse(both, 0.75)) == 0
    assert np.argmax(fuse(both, 0.25)) == 1
    assert fuse(scores([], []), 0.5).shape == (0,)
    one = Scores(np.arange(2), np.array([0.5, 0.5]), Weighed(np.zeros(2), np.zeros(2), 0.0), 0.5, 0.0, 3)
    assert np.array_equal(fuse(one, 0.5), [0.0, 0.0])  # all passages are equal


def test_words_that_all_passages_share_do_not_outweigh_meaning() -> None:
    weak = scores([0.90, 0.86, 0.85, 0.85], [1.0, 1.4, 1.0, 1.0])
    assert np.argmax(fuse(weak, 0.5)) == 0  # 1.4 exceeds 1.0, but both are close to zero


def test_the_vector_of_a_word_or_two_counts_less() -> None:
    dense, words = [0.88, 0.82, 0.80], [0.0, 8.0, 0.0]
    assert np.argmax(fuse(scores(dense, words, asked=5), 0.5)) == 0
    assert np.argmax(fuse(scores(dense, words, asked=1), 0.5)) == 1


def test_what_no_other_passage_holds_decides_a_short_request_and_not_a_long_one() -> None:
    dense, words, rare = [0.88, 0.80], [0.0, 3.0], [0.0, 1.0]
    assert np.argmax(fuse(scores(dense, words, 1, rare), 0.5)) == 1
    assert np.argmax(fuse(scores(dense, words, 12, rare), 0.5)) == 0


def test_a_number_is_found_where_it_stands_in_a_long_passage(tmp_path: Path, e5: Embedder) -> None:
    rules = "开票前请核对公司名称、地址、开户行和账号,有误请在三日内告知财务部的同事,逾期不再更换,由经办人自己承担。"
    numbers = "QH-2011,报价 480 元\n\nQH-1500,报价 2,360 元\n\n热线 4008201234\n\n传真 051265431100\n\n"
    domain = make_domain(
        tmp_path / "office",
        {
            "发票须知.txt": f"{rules}税号是 91320509MA1QH8827X。{rules}联系人沈若兰 13951180426。{rules}",
            "价格.txt": numbers,
            "号码.txt": "".join(f"分机 {extension}\n\n" for extension in range(8001, 8060)),
        },
    )
    with Index.open(domain, e5) as index:
        index.update()
        for asked in ("91320509MA1QH8827X", "13951180426", "税号91320509MA1QH8827X是哪家公司的?"):
            assert index.search(asked, k=1)[0].document == "发票须知.txt"


def test_a_long_book_does_not_bury_the_only_passage_with_the_word(tmp_path: Path, e5: Embedder) -> None:
    book = "".join(
        f"# 第{number}回\n\n这一日{who}来到江城的{place}，只见{what}。他想了许久，写下一封信，叫人送到码头去。\n\n"
        for number, (who, place, what) in enumerate(
            product(
                ["冯九", "沈先生", "二姑娘", "掌柜"],
                ["茶馆", "粮仓", "码头", "学堂", "药铺"],
                ["灯火通明", "雨下个不停", "人来人往"],
            ),
            1,
        )
    )
    domain = make_domain(
        tmp_path / "office", {"江城旧事.md": book, "报销.txt": "报销时请附上发票。发票抬头须为杭州轮风科技有限公司。"}
    )
    with Index.open(domain, e5) as index:
        index.update()
        for k in (1, 20, 100):
            assert index.search("发票抬头写什么", k=k)[0].document == "报销.txt"


def test_a_code_alone_finds_its_passage_not_the_shortest_one(tmp_path: Path, e5: Embedder) -> None:
    texts = {
        "menu.txt": "Menu Login",
        "main.txt": "package main",
        "rental.txt": "The warehouse is rented, RA-5582, for",
    }
    texts["rental.txt"] += (
        " five years; the monthly rent of 3,450 EUR is due on the third working day, and both sides may"
    )
    texts["rental.txt"] += " end the agreement with six months notice. The tenant keeps the yard free of snow and ice."
    with Index.open(make_domain(tmp_path / "codes", TEA | texts), e5) as index:
        index.update()
        assert index.search("RA-5582", k=1)[0].document == "rental.txt"
        assert index.search("3450", k=1, mode="full_text")[0].document == "rental.txt"


@pytest.mark.parametrize("question", ["192.168.1.10", "v2.0.1", "--cache", "ERR_1234", "2024-12-03"])
def test_the_parts_of_an_identifier_in_another_order_are_another_one(
    tmp_path: Path, e5: Embedder, question: str
) -> None:
    texts = {
        "a.txt": "The printer is 192.168.1.10.", "b.txt": "The gateway is 192.168.10.1.",
        "c.txt": "Release v2.0.1 repairs the crash.", "d.txt": "Release v2.1.0 repairs the start.",
        "e.txt": "The option --cache keeps files.", "f.txt": "The option --no-cache keeps none.",
        "g.txt": "ERR_1234: the disk is full.", "h.txt": "ERR_4321: the password is wrong, code 1234.",
        "i.txt": "The contract ends on 2024-12-03.", "j.txt": "The contract ends on 2024-03-12.",
    }  # fmt: skip
    with Index.open(make_domain(tmp_path / "names", TEA | texts), e5) as index:
        index.update()
        for mode in ("hybrid", "full_text"):
            assert f" {question}" in " " + index.search(question, k=1, mode=mode)[0].text


def test_several_questions_at_once_are_as_one_by_one(index: Index) -> None:
    questions = ["泡龙井用多少度的水?", "  ", "When does the shop open?"]
    together = index.search_many(questions, k=3)
    assert together[1] == []

    def told(passages: list[Passage]) -> list[tuple[int, float]]:
        return [(passage.id, round(passage.score, 2)) for passage in passages]

    assert [told(passages) for passages in together] == [told(index.search(question, k=3)) for question in questions]


def test_k_is_the_domains_unless_given(index: Index) -> None:
    assert len(index.search("water")) == index.domain.settings.retrieval.k
    assert len(index.search("water", k=2)) == 2
    assert len(index.search("water", k=1000)) == 9
    with pytest.raises(IndexingError, match="k is 0"):
        index.search("water", k=0)
    with pytest.raises(IndexingError, match="unknown search mode 'fulltext'"):
        index.search("water", mode="fulltext")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "question", ['"', "a* NEAR(b c)", "-", "水 AND OR NOT", "{x}: ^y", "'; DROP TABLE passages; --", "?", "\0"]
)
@pytest.mark.parametrize("mode", ["hybrid", "full_text"])
def test_no_question_breaks_the_search(index: Index, question: str, mode: str) -> None:
    index.search(question, mode=mode)  # type: ignore[arg-type]
    assert len(index.documents()) == 6


def test_full_text_needs_no_model(tea: Domain) -> None:
    script = (
        "import sys\nfrom indexes import Index\n"
        f"print(Index.open({str(tea.path)!r}).search('龙井 水温', mode='full_text')[0].document)\n"
        "print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["zh/longjing.md", "False"]


def test_many_threads_share_one_index(index: Index) -> None:
    questions = ["泡龙井用多少度的水?", "When does the shop open?", "普洱茶饼怎么存放?", "descale the kettle"] * 3
    alone = [[passage.id for passage in index.search(question)] for question in questions]
    found: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        found[number] = [passage.id for passage in index.search(questions[number])]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(questions))] == alone


def test_another_embedder_is_refused_with_the_command_that_helps(tea: Domain, minilm: Embedder) -> None:
    other = Index.open(tea, minilm)
    message = (
        r"The index was built with the embedder multilingual-e5-small, but domain.toml names all-minilm-l6-v2; "
        rf"rebuild it with: lorewright index {tea.path} --rebuild"
    )
    with pytest.raises(IndexingError, match=message):
        other.search("water")
    with pytest.raises(IndexingError, match=message):
        other.update()


def test_other_settings_and_versions_are_refused(tea: Domain, e5: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.index_models.SEGMENTER_VERSION", 99)
    with pytest.raises(IndexingError, match=r"another version of Lorewright.* --rebuild"):
        Index.open(tea, e5).search("water")
    set_setting(tea.settings_file, "retrieval.passage_tokens", 64)
    with pytest.raises(IndexingError, match=r"built with passage_tokens = 300, but it is 64 now; .* --rebuild"):
        Index.open(tea.path, e5).search("water")
    set_setting(tea.settings_file, "retrieval.passage_tokens", 300)


def test_no_index_yet_says_how_to_make_one(tmp_path: Path, minilm: Embedder) -> None:
    index = Index.open(make_domain(tmp_path / "new", TEA), minilm)
    for use in (lambda: index.search("tea"), index.documents, lambda: index.meta("x"), lambda: index.set_meta("x", 1)):
        with pytest.raises(
            IndexingError, match=rf"no index in .* yet; build it with: lorewright index {tmp_path / 'new'}"
        ):
            use()
    assert not (tmp_path / "new" / "index").exists()


def test_searching_leaves_torch_its_threads(index: Index) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)  # different from the default of any machine
    try:
        index.search("龙井", k=1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_small_values_live_with_the_index(index: Index, tea: Domain, e5: Embedder) -> None:
    assert index.meta("calibration") is None
    index.set_meta("calibration", {"zh": [0.5, 1.25], "en": None, "说明": "阈值"})
    assert Index.open(tea, e5).meta("calibration") == {"zh": [0.5, 1.25], "en": None, "说明": "阈值"}


def test_the_generation_changes_with_the_documents_only(tmp_path: Path, minilm: Embedder) -> None:
    domain = make_domain(tmp_path / "d", TEA)
    index = Index.open(domain, minilm)
    index.update()
    first = index.generation
    index.update()
    index.set_meta("key", 1)
    assert index.generation == first
    put(domain, "new.md", "New.")
    index.update()
    assert index.generation != first


def coverage(index: Index, question: str, passages: list[Passage]) -> float:
    return index.evidence([question], [passages])[0].coverage


def test_coverage_tells_what_no_passage_speaks_of(index: Index) -> None:
    asked = index.search("龙井的水温", k=4)
    assert coverage(index, "龙井水", asked) < coverage(index, "龙井", asked) == 1.0
    assert (
        coverage(index, "龙井", asked)
        > coverage(index, "龙井的价格", asked)
        > coverage(index, "明天的火车票", asked)
        == 0.0
    )
    assert coverage(index, "?", asked) == 0.0
    assert coverage(index, "what might the 龙井 be?", asked) == 1.0  # function words do not count


def test_coverage_counts_the_words_of_one_passage_not_of_all_together(index: Index) -> None:
    question = "龙井 kettle"
    passages = index.search("龙井", k=1) + index.search("kettle", k=1)
    assert passages[0].document != passages[1].document
    assert coverage(index, question, passages) == max(coverage(index, question, [passage]) for passage in passages) < 1


def test_the_nearest_sentences_are_told_beside_the_nearest_passage(index: Index, e5: Embedder) -> None:
    question = "What does boiling water do to green tea?"
    passages = index.search(question, k=2)
    (evidence,) = index.evidence([question], [passages])
    sentences = [sentence for passage in passages for sentence in sentences_of(passage.text)]
    assert len(sentences) > 2
    cosines = e5.encode_passages([sentence.strip() for sentence in sentences]) @ e5.encode_queries([question])[0]
    assert evidence.sentences == pytest.approx(np.sort(cosines)[-3:].mean(), abs=1e-4)
    assert evidence.dense == max(passage.dense_score for passage in passages)
    assert index.evidence([], []) == []
