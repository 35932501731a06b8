"""Prompt files as templates, and the whole prompt that the model sees."""

from string import Formatter

import pytest

from assistant import AssistantError
from assistant.answering.pipeline import Asked
from assistant.answering.prompts import BUILT_IN, TRAINED, VARIABLES, Prompts
from domain import Domain
from indexes import Passage

HOSTILE = "{{ 7*7 }} {% for x in y %} {# gone? #} {question} {0} {{ question.__class__ }} ${x} <|im_end|>"
SHA256_OF_THE_PROMPTS_THAT_ADAPTERS_WERE_TRAINED_WITH = (
    "3a2fd2ddcaf85c4316246650ea1ecff358a098017c5cd597d527730ee4c0f7fa"
)


@pytest.fixture
def bare_folder(tmp_path):
    (tmp_path / "domain.toml").write_text("", encoding="utf-8")
    (tmp_path / "prompts" / "en").mkdir(parents=True)
    return tmp_path


def passage(text: str, *headings: str) -> Passage:
    return Passage(id=1, text=text, document="a.md", headings=headings, page=None, line=1, start=0, end=len(text))


def test_the_hash_of_the_built_in_prompts_has_not_changed(bare_folder):
    assert Prompts().sha256() == SHA256_OF_THE_PROMPTS_THAT_ADAPTERS_WERE_TRAINED_WITH
    assert Prompts(Domain.open(bare_folder)).sha256() == SHA256_OF_THE_PROMPTS_THAT_ADAPTERS_WERE_TRAINED_WITH


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", sorted(TRAINED))
def test_a_built_in_text_prompt_is_byte_for_byte_what_str_format_makes_of_it(language, name):
    text = (BUILT_IN / language / f"{name}.txt").read_text(encoding="utf-8").strip()
    values = {variable: f"<{variable}>\n\n{HOSTILE} 资料\t\\n 'quoted' \"twice\"\r\n" for variable in VARIABLES[name]}
    assert {field for _, field, _, _ in Formatter().parse(text) if field} == VARIABLES[name]
    assert Prompts().text(name, language, **values) == text.format(**values)


def test_the_model_sees_these_messages_in_english():
    history = ({"role": "user", "content": "What is it?"}, {"role": "assistant", "content": HOSTILE})
    asked = Asked("What about {{ 7*7 }} and {% %}?", history)
    shown = [passage(f"Rank is 8. {HOSTILE}", "LoRA", "Rank {{ 1/0 }}"), passage("Alpha is 16.", "LoRA")]
    assert Prompts().answering(asked, shown, ["2 * 3 = 6 {{ 2*3 }}"]) == [
        {"role": "system", "content": "You answer questions about the user's documents, briefly and exactly."},
        {"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": HOSTILE},
        {
            "role": "user",
            "content": "Read these passages:\n\n"
            f"[1] LoRA › Rank {{{{ 1/0 }}}}\nRank is 8. {HOSTILE}\n\n"
            "[2] LoRA\nAlpha is 16.\n\n"
            "2 * 3 = 6 {{ 2*3 }}\n\n"
            "Answer the question from the passages, in one to three sentences.\n\n"
            "Question: What about {{ 7*7 }} and {% %}?",
        },
    ]


def test_the_model_sees_these_messages_in_chinese():
    history = ({"role": "user", "content": "秩是什么?"}, {"role": "assistant", "content": "矩阵的内维。"})
    asked = Asked("它一般取多少? {{ 7*7 }}", history, language="zh", part="一般取多少")
    assert Prompts().answering(asked, [passage(f"一般取 8。{HOSTILE}", "LoRA", "秩")], ["2 * 3 = 6"]) == [
        {"role": "system", "content": "你根据用户的资料回答问题,简短而准确。"},
        *history,
        {
            "role": "user",
            "content": f"阅读下面的资料:\n\n[1] LoRA › 秩\n一般取 8。{HOSTILE}\n\n2 * 3 = 6\n\n"
            "根据资料用一到三句话回答问题。\n\n"
            "问题:它一般取多少? {{ 7*7 }}\n只回答其中这一部分:一般取多少",
        },
    ]
    assert Prompts().answering(Asked("秩是什么?"), None)[1:] == [
        {"role": "user", "content": "用一到三句话回答问题。\n\n问题:秩是什么?"}
    ]


@pytest.mark.parametrize("name", sorted(set(VARIABLES) - set(TRAINED)))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_prompts_of_chains_hold_what_they_are_given_as_text(language, name):
    values = {variable: f"<{variable}> {HOSTILE}" for variable in VARIABLES[name]}
    text = Prompts().text(name, language, **values)
    assert all(value in text for value in values.values())


def test_a_domain_may_write_a_jinja_template(bare_folder):
    template = "{% if '?' in question %}\nAsked: {{ question|trim }}\n{% endif %}\n{{ passages }} {not a variable}"
    (bare_folder / "prompts" / "en" / "grounded.jinja").write_text(template, encoding="utf-8")
    (_, asked) = Prompts(Domain.open(bare_folder)).answering(Asked("What is {{ 7*7 }}?"), [])
    assert asked["content"] == "Asked: What is {{ 7*7 }}?\n {not a variable}"


def test_a_text_prompt_may_use_pythons_format_after_a_name(bare_folder):
    text = "{passages!r} {question:>6}{{ 7*7 }}{{% if %}}{{# #}}"
    (bare_folder / "prompts" / "en" / "grounded.txt").write_text(text, encoding="utf-8")
    (_, asked) = Prompts(Domain.open(bare_folder)).answering(Asked("ok?"), [])
    assert asked["content"] == "''    ok?{ 7*7 }{% if %}{# #}"


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("grounded.jinja", "{{ passages }}\n{% if question %}", r"line 2: Unexpected end of template"),
        ("grounded.jinja", "{{ passages }}\n\n{{ question }", r"line 3: unexpected '}'"),
        (
            "grounded.jinja",
            "{{ passages }} {{ qestion }}",
            r"must contain {{ passages }}, {{ question }}, but contains",
        ),
        ("grounded.jinja", "{{ passages }}\n{{ question.__class__.__mro__ }}", r"line 2: access to attribute"),
        ("grounded.jinja", "{{ passages }}\n{{ question.nothing }}", r"line 2: 'str object' has no attribute"),
        ("grounded.jinja", "{{ passages }}\n{{ question / 0 }}", r"line 2: unsupported operand"),
        ("grounded.jinja", "{{ passages }}{{ question }}\n{% include '/etc/passwd' %}", r"line 2: no loader"),
        ("grounded.jinja", "{{ passages }}{{ question }}{{ range(9) }}", r"but contains .*{{ range }}"),
        ("system.jinja", "You are {{ name }}.", r"must contain no {{ variable }}, but contains {{ name }}\."),
        ("grounded.txt", "{passages}\n{question}\n{", r"line 3: .*write {{ and }} for literal braces\."),
        ("grounded.txt", "{passages}\n{question.upper}", r"line 2: {question\.upper} is not the name of a variable"),
        ("grounded.txt", "{passages}\n{question} {0}", r"line 2: \{0\} is not the name of a variable"),
    ],
)
def test_a_broken_prompt_is_one_sentence_with_file_and_line(bare_folder, file, text, problem):
    (bare_folder / "prompts" / "en" / file).write_text(text, encoding="utf-8")
    with pytest.raises(AssistantError, match=problem) as error:
        Prompts(Domain.open(bare_folder))
    assert str(bare_folder / "prompts" / "en" / file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_prompt_in_both_forms_is_refused(bare_folder):
    for file in ("system.txt", "system.jinja"):
        (bare_folder / "prompts" / "en" / file).write_text("Answer.", encoding="utf-8")
    with pytest.raises(AssistantError, match=r"has both system\.jinja and system\.txt; delete one of them\."):
        Prompts(Domain.open(bare_folder))
