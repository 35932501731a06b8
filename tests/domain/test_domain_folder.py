"""A domain folder: how it is made and opened, and that names never lead out of it."""

import os
from pathlib import Path

import pytest

from domain import Domain, DomainError, Settings, create_domain


def test_a_new_domain_opens_with_the_defaults(tmp_path: Path) -> None:
    made = create_domain(tmp_path / "茶 shop")
    assert made.documents.is_dir()
    assert made.train_questions.parent == made.held_out_questions.parent
    assert made.train_questions.parent.is_dir()
    opened = Domain.open(str(tmp_path / "茶 shop"))
    assert opened == made
    assert opened.settings == Settings()


def test_a_new_domain_has_what_was_chosen(tmp_path: Path) -> None:
    assert create_domain(tmp_path / "tea", base_model="smollm2-135m-instruct", language="zh").settings == Settings(
        base_model="smollm2-135m-instruct", language="zh"
    )


def test_a_folder_with_documents_becomes_a_domain(tmp_path: Path) -> None:
    (tmp_path / "tea" / "documents").mkdir(parents=True)
    (tmp_path / "tea" / "documents" / "longjing.md").write_text("80 degrees", encoding="utf-8")
    made = create_domain(tmp_path / "tea")
    assert (made.documents / "longjing.md").read_text(encoding="utf-8") == "80 degrees"


def test_making_a_domain_twice_changes_nothing(tmp_path: Path) -> None:
    made = create_domain(tmp_path / "tea")
    made.settings_file.write_text("language = 'zh'\n", encoding="utf-8")
    with pytest.raises(DomainError, match="tea is already a domain; choose another folder"):
        create_domain(tmp_path / "tea")
    assert made.settings_file.read_text(encoding="utf-8") == "language = 'zh'\n"


def test_a_wrong_choice_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="language is 'fr'"):
        create_domain(tmp_path / "tea", language="fr")
    assert not (tmp_path / "tea").exists()


def test_a_file_is_no_place_for_a_domain(tmp_path: Path) -> None:
    (tmp_path / "tea").write_text("x", encoding="utf-8")
    with pytest.raises(DomainError, match="tea is a file; choose another name"):
        create_domain(tmp_path / "tea")


def test_what_is_no_domain_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="nowhere is not a folder; create a domain with: lorewright new"):
        Domain.open(tmp_path / "nowhere")
    with pytest.raises(
        DomainError, match=r"is not a domain, because it has no domain\.toml; create one with: lorewright new"
    ):
        Domain.open(tmp_path)


@pytest.mark.parametrize("name", ["first", "2026-11-21", "茶艺师_2", "a.b", "9", "x" * 100])
def test_an_adapter_lies_in_its_folder(tmp_path: Path, name: str) -> None:
    domain = create_domain(tmp_path / "tea")
    assert domain.adapter(name).parent == domain.adapters


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", "/etc", "C:", "~", ".a", "-r", "a b", "a\n", "a\0", "a.partial"],
)  # fmt: skip
def test_a_name_that_could_lead_out_of_adapters_is_refused(tmp_path: Path, name: str) -> None:
    domain = create_domain(tmp_path / "tea")
    with pytest.raises(DomainError, match="is not a valid adapter name; use at most 100 letters, digits"):
        domain.adapter(name)
    with pytest.raises(DomainError, match="at most 100"):
        domain.adapter("x" * 101)


def test_adapters_are_listed_as_they_were_finished(tmp_path: Path) -> None:
    domain = create_domain(tmp_path / "tea")
    assert domain.adapter_names() == []
    for age, name in enumerate(["newest", "older", "oldest"]):
        domain.adapter(name).mkdir(parents=True)
        manifest = domain.adapter(name) / "manifest.json"
        manifest.write_text("{}", encoding="utf-8")
        os.utime(manifest, (1_700_000_000 - age, 1_700_000_000 - age))
    (domain.adapters / "unfinished").mkdir()
    unfinished = domain.adapters / "killed.1-2.partial"
    unfinished.mkdir()
    (unfinished / "manifest.json").write_text("{}", encoding="utf-8")
    assert domain.adapter_names() == ["oldest", "older", "newest"]
