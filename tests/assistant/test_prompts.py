"""Prompts: those that are built in, and those that a domain puts in their place."""

from pathlib import Path

import pytest

from assistant import AssistantError
from assistant.answering.pipeline import Asked
from assistant.answering.prompts import Prompts
from domain import Domain


def put_prompt(folder: Path, language: str, name: str, text: bytes | str) -> Domain:
    file = folder / "prompts" / language / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return Domain.open(folder)


@pytest.fixture
def bare_domain(tmp_path: Path) -> Path:
    (tmp_path / "domain.toml").write_text("", encoding="utf-8")
    return tmp_path


def test_a_prompt_in_the_domain_replaces_the_built_in_one(bare_domain):
    before = Prompts(Domain.open(bare_domain))
    prompts = Prompts(put_prompt(bare_domain, "zh", "grounded", "只看这些:{passages}\n问:{question} {{原样}}\n"))
    (_, asked) = prompts.answering(Asked("秩是什么?"), [])
    assert asked["content"] == "只看这些:\n问:秩是什么? {原样}"
    assert prompts.answering(Asked("What is it?"), []) == before.answering(Asked("What is it?"), [])
    assert prompts.sha256() != before.sha256()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{passages} {qestion}", r"must contain {passages}, {question}, but contains {passages}, {qestion}\."),
        ("Nothing.", r"must contain {passages}, {question}, but contains none\."),
        (
            '{passages} {question} {"json": 1}',
            r'line 1: {"json"} is not the name of a variable; write {{ and }} for literal braces\.',
        ),
        ("{passages} {question} {", "literal braces"),
        ("资料 {passages} {question}".encode("gbk"), "not UTF-8"),
    ],
)
def test_a_prompt_that_cannot_be_filled_in_is_an_error_that_names_the_file(bare_domain, text, problem):
    domain = put_prompt(bare_domain, "zh", "grounded", text)
    with pytest.raises(AssistantError, match=problem) as error:
        Prompts(domain)
    assert str(bare_domain / "prompts" / "zh" / "grounded.txt") in str(error.value)


def test_a_domain_may_fix_the_language_of_its_answers(bare_domain):
    (bare_domain / "domain.toml").write_text('language = "zh"\n', encoding="utf-8")
    prompts = Prompts(Domain.open(bare_domain))
    assert prompts.language("What is LoRA?") == "zh"
    assert prompts.is_refusal(prompts.refusal("en"))
    assert prompts.is_refusal(f" {prompts.refusal('zh')}(见第 3 页)")
    assert not prompts.is_refusal("LoRA 是低秩适配。")


def test_a_question_that_leans_on_another_is_shown_from_that_one_on(bare_domain):
    prompts = Prompts(Domain.open(bare_domain))
    said = ["What is the fee of Plus?", "19 EUR.", "And the Premium one?", "39 EUR."]
    history = tuple({"role": role, "content": text} for role, text in zip(["user", "assistant"] * 2, said, strict=True))

    def shown(question: str) -> list[str]:
        return [message["content"] for message in prompts.answering(Asked(question, history), [])][1:-1]

    assert shown("Does it include weekend visits?") == said[2:]
    assert shown("Who repairs the boiler?") == said
    assert len(prompts.answering(Asked("它包括上门吗？"), [])) == 2
