"""Repeated text is kept once, with all its places; text that differs in one word or sign is kept twice."""

from pathlib import Path

import pytest
from index_samples import check_tables, make_domain, put

from base_models.embedding import Embedder
from domain import Domain
from indexes import Index
from indexes.duplicates import folded, saying_of

RULE = "Rinse the pot with hot water before the leaves go in, and pour the first infusion away after ten seconds."
ANNA = "Anna's own way: rinse the pot twice."


@pytest.fixture
def index(tmp_path: Path, minilm: Embedder) -> Index:
    domain = make_domain(
        tmp_path / "tea",
        {
            "a.md": f"# Rules\n\n{RULE}\n",
            "b/copy.md": f"# Rules\n\n{RULE.upper()}\n\n# Own\n\n{ANNA}\n",
            "c.md": f"# Rules\n\n{RULE.replace('ten', 'thirty')}\n",
            "d.md": f"# Other shop\n\n{RULE}\n",
        },
        embedder="all-minilm-l6-v2",
    )
    index = Index.open(domain, minilm)
    index.update()
    return index


def places(index: Index) -> dict[str, tuple[str, ...]]:
    """Maps each document with the rule to the other places of that text."""
    found = index.search("rinse the pot first infusion", k=10)
    return {passage.document: passage.also for passage in found if "infusion" in passage.text.lower()}


def test_a_repeat_is_found_once_with_both_places(index: Index) -> None:
    found = places(index)
    assert found["a.md"] == ("b/copy.md, Rules",)
    assert {"c.md", "d.md"} <= found.keys()  # another number, another title: not the same
    assert [passage.text for passage in index.search("Anna's own way", k=1)] == [ANNA]
    report = index.update()
    assert (report.passages, report.repeated) == (5, 1)
    check_tables(index)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "full_text"])
def test_when_the_one_that_was_kept_is_gone_its_repeat_takes_its_place(index: Index, mode: str) -> None:
    (index.domain.documents / "a.md").unlink()
    index.update()
    found = index.search("first infusion away after ten seconds", k=10, mode=mode)  # type: ignore[arg-type]
    assert next((p.text, p.also) for p in found if p.document == "b/copy.md") == (RULE.upper(), ())
    check_tables(index)


def test_when_a_repeat_is_gone_its_place_is(index: Index) -> None:
    (index.domain.documents / "b/copy.md").unlink()
    index.update()
    assert places(index)["a.md"] == ()
    check_tables(index)


def test_three_of_a_kind_pass_it_on(index: Index) -> None:
    put(index.domain, "e.md", f"# Rules\n\n{RULE}\n")
    index.update()
    assert len(places(index)["a.md"]) == 2
    (index.domain.documents / "a.md").unlink()
    index.update()
    assert places(index)["b/copy.md"] == ("e.md, Rules",)
    (index.domain.documents / "b/copy.md").unlink()
    index.update()
    assert places(index)["e.md"] == ()
    check_tables(index)


def test_the_same_file_twice_is_reported(index: Index) -> None:
    put(index.domain, "z/again.md", (index.domain.documents / "d.md").read_bytes())
    assert index.update().duplicates == [("z/again.md", "d.md")]


def test_a_document_that_repeats_itself(tmp_path: Path, minilm: Embedder) -> None:
    domain: Domain = make_domain(tmp_path / "tea", {"a.md": f"# R\n\n{RULE}\n\n# S\n\nx\n\n# R\n\n{RULE}\n"})
    index = Index.open(domain, minilm)
    assert index.update().repeated == 1
    assert index.search("first infusion", k=1)[0].also == ("a.md, R",)
    (domain.documents / "a.md").write_text("gone", encoding="utf-8")
    index.update()
    check_tables(index)


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("Use 80 degrees.", "Use  80\ndegrees", True),
        ("Ｕｓｅ 80 degrees， not 90", "use 80 degrees, not 90", True),
        ("龙井宜用八十度的水", "龙井宜用八十\n度的水。", True),
        ("龙井，宜用八十度的水", "龙井, 宜用八十度的水", True),
        ("“Green” tea isn’t oxidised", '"Green" tea isn\'t oxidised', True),
        ("Rinse it. Then pour 80 grams in", "RINSE IT. THEN POUR 80 grams IN", True),
        ("Yes, it is. It is not.", "yes, it is. it is not", True),
        ("Use 80 degrees.", "Use 90 degrees.", False),
        ("Use 80 degrees.", "Use -80 degrees.", False),
        ("x <= 5", "x >= 5", False),
        ("a == b", "a != b", False),
        ("$500", "€500", False),
        ("10²", "102", False),
        ("1.5 grams", "15 grams", False),
        ("It was nitrate, in all fifty-three words.", "It was nitrite, in all fifty-three words.", False),
        ("☃", "∑∫", False),
        ("मीठा", "मोठा", False),
        ("龙井宜用八十度的水", "龙井宜用九十度的水", False),
        ("依照第二、十条", "依照第二十条", False),
        ("三 十五", "三十 五", False),
        ("每次加盐.5克", "每次加盐5克", False),
        ("他是“专家”", "他是专家", False),
        ("Let's eat, Grandma", "Let's eat Grandma", False),
        ("A screen of 15” costs much", "A screen of 15’ costs much", False),
        ('A 5" pipe fits', "A 5 pipe fits", False),
        ("Alcohol in Maßen", "Alcohol in Massen", False),
        ("The laser has 5 mW", "The laser has 5 MW", False),
        ("THE LASER OF THE SHOP HAS 5 MW", "the laser of the shop has 5 mw", False),
        ("He wants the Polish one", "He wants the polish one", False),
        ("WHO", "who", False),
        ("我们用的是IT系统", "我们用的是it系统", False),
        ("On the 5.", "On the 5", False),
    ],
)
def test_what_counts_as_the_same(text: str, other: str, same: bool) -> None:
    assert (saying_of("[]", text) == saying_of("[]", other)) is same
    assert saying_of("[]", text) != saying_of('["A title"]', text)


def test_a_long_run_of_signs_is_folded_in_one_pass() -> None:
    """With quadratic running time each of these would take minutes."""
    for sign in (".", ",", '"', "。", " ", "A", "a ", "A b", "十", "十 "):
        assert folded(sign * 400_000 + "a-").endswith("a-")
