"""domain.toml: a new file, the errors of an invalid one, and setting a key without changing the rest."""

import tomllib
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from domain import Domain, DomainError, FinetuneConfig, Settings, set_setting
from domain.settings import AnswerSettings, McpServer, RetrievalSettings, ToolSettings, new_settings_text, read_settings

TABLES = {
    "": Settings,
    "retrieval": RetrievalSettings,
    "answer": AnswerSettings,
    "tools": ToolSettings,
    "finetune": FinetuneConfig,
}


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "domain.toml"


def told(toml: Path, text: str) -> str:
    """What a user is told of a file with this text, without the path."""
    toml.write_text(text, encoding="utf-8")
    with pytest.raises(DomainError) as caught:
        read_settings(toml)
    assert str(caught.value).startswith(str(toml))
    return str(caught.value).removeprefix(str(toml))


def test_an_empty_file_is_the_defaults(toml: Path) -> None:
    toml.write_text("", encoding="utf-8")
    assert read_settings(toml) == Settings()


def test_a_new_file_reads_as_the_defaults(toml: Path) -> None:
    toml.write_text(new_settings_text(), encoding="utf-8")
    assert read_settings(toml) == Settings()


def test_a_new_file_shows_every_key_with_its_default_and_its_help() -> None:
    text = new_settings_text()
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    values = tomllib.loads(uncommented)
    for name, table in TABLES.items():
        shown = values[name] if name else {key: value for key, value in values.items() if key not in TABLES}
        defaults = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in table()
            if key not in TABLES and not isinstance(value, dict)  # the tables themselves
        }
        assert shown == defaults, name
        for key, field in table.model_fields.items():
            if key not in TABLES:
                shown_as = "" if isinstance(field.default, dict) else f"# {key} = "
                assert f"# {field.description}\n{shown_as}" in text


def test_the_chosen_keys_of_a_new_file_are_set(toml: Path) -> None:
    toml.write_text(new_settings_text(base_model="smollm2-135m-instruct", adapter=""), encoding="utf-8")
    assert read_settings(toml) == Settings(base_model="smollm2-135m-instruct", adapter="")
    assert '\nadapter = ""\n' in toml.read_text(encoding="utf-8")


def test_a_chosen_key_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DomainError, match="unknown key 'base_modell'; did you mean 'base_model'"):
        new_settings_text(base_modell="smollm2-135m-instruct")
    with pytest.raises(DomainError, match="language is 'fr', but input should be 'auto', 'en' or 'zh'"):
        new_settings_text(language="fr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"" = 1', ", line 1: unknown key ''; the known keys are base_model"),
        ("base_modell = 'x'", ", line 1: unknown key 'base_modell'; did you mean 'base_model'?"),
        ("\n# k = 1\n[retrieval]\n# kk = 1\nkk = 3", ", line 5: unknown key 'retrieval.kk'; did you mean 'k'?"),
        ("\n[finetune]\nlora_alfa = 3", ", line 3: unknown key 'finetune.lora_alfa'; did you mean 'lora_alpha'?"),
        ("\n\n[retreival]\nk = 3", ", line 3: unknown key 'retreival'; did you mean 'retrieval'?"),
        (
            "[answer]\nxyz = 1",
            ", line 2: unknown key 'answer.xyz'; the known keys are "
            "max_new_tokens, temperature, repetition_penalty, quotes, refusal.",
        ),
        ("k = 3\n[retrieval]\nk = 3", ", line 1: unknown key 'k'; the known keys are base_model"),
        ("'base model' = 'x'", ", line 1: unknown key 'base model'; did you mean 'base_model'?"),
        (
            'adapter = ""\n"语言" = "zh"',
            ", line 2: unknown key '语言'; the known keys are base_model, engine, adapter,",
        ),
        ("[answer.style]\nx = 1", ", line 1: unknown key 'answer.style'; the known keys are"),
        ("adapter = ''\nretrieval.kk = 1", ", line 2: unknown key 'retrieval.kk'; did you mean 'k'?"),
        ("adapter = ''\nretrieval = {kk = 1}", ", line 2: unknown key 'retrieval.kk'; did you mean 'k'?"),
        ("\nanswers.temperature = 1", ", line 2: unknown key 'answers'; did you mean 'answer'?"),
        ("\n[train.lora]\nr = 1", ", line 2: unknown key 'train'"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_key(toml: Path, text: str, message: str) -> None:
    assert told(toml, text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base_model = 3", ", line 1: base_model is 3, but input should be a valid string."),
        ("\nlanguage = 'fr'", ", line 2: language is 'fr', but input should be 'auto', 'en' or 'zh'."),
        ("[finetune]\n\nr = '8'", ", line 3: finetune.r is '8', but input should be a valid integer."),
        ("[finetune]\nlearning_rate = inf", ", line 2: finetune.learning_rate is inf, but input should be a finite"),
        ("[finetune]\nr = 8.5", ", line 2: finetune.r is 8.5, but input should be a valid integer."),
        ("[finetune]\nr = 0", ", line 2: finetune.r is 0, but input should be greater than or equal to 1."),
        (
            "[answer]\ntemperature = 3",
            ", line 2: answer.temperature is 3, but input should be less than or equal to 2.",
        ),
        (
            "[answer]\nrefusal = 'never'",
            ', line 2: answer.refusal is \'never\', but input should be "rare", "balanced", "strict" or a number',
        ),
        ("[answer]\nrefusal = 1.5", ", line 2: answer.refusal is 1.5, but input should be"),
        (
            "[finetune]\ntarget_modules = 'q_proj'",
            ', line 2: finetune.target_modules is \'q_proj\', but input should be a list, like ["q_proj", "v_proj"].',
        ),
        (
            "[finetune]\ntarget_modules = [\n  'q_proj',\n  3,\n]",
            ", line 2: finetune.target_modules is 3, but input should be a valid string.",
        ),
        ("\nretrieval = 3", ", line 2: retrieval is 3, but input should be a table: its name in brackets"),
        ("\n[[retrieval]]\nk = 3", ", line 2: retrieval is ({'k': 3},), but input should be a table:"),
        ("\ufeffadapter = 3", ", line 1: adapter is 3, but input should be a valid string."),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_what_would_be_right(toml: Path, text: str, message: str) -> None:
    assert told(toml, text).startswith(message)


def test_invalid_toml_is_named_with_its_line(toml: Path) -> None:
    assert told(toml, "adapter = ''\nbase model = 'x'").startswith(": not valid TOML: Expected '='")
    assert "at line 2, column 6" in told(toml, "adapter = ''\nbase model = 'x'")


def test_a_file_that_is_not_utf8_is_refused(toml: Path) -> None:
    toml.write_bytes("base_model = '模型'".encode("gb18030"))
    with pytest.raises(DomainError, match="not UTF-8 text; save the file as UTF-8"):
        read_settings(toml)


def test_whole_numbers_and_lists_are_taken_where_the_schema_has_floats_and_tuples(toml: Path) -> None:
    toml.write_text("[finetune]\nlora_alpha = 32\ntarget_modules = ['q_proj', 'v_proj']\n", encoding="utf-8")
    config = read_settings(toml).finetune
    assert config.lora_alpha == 32.0
    assert config.target_modules == ("q_proj", "v_proj")


MINE = """\
# 我的茶店, my own words
language = "zh"   # Chinese only

[answer]
# warm
temperature = 0.3   # tried 0.5

[finetune]
r = 4
# learning_rate = 0.0002
"""


def test_setting_a_key_changes_only_its_value(toml: Path) -> None:
    toml.write_text(MINE, encoding="utf-8")
    set_setting(toml, "answer.temperature", 0.7)
    assert toml.read_text(encoding="utf-8") == MINE.replace("0.3 ", "0.7 ")
    set_setting(toml, "language", "en")
    assert toml.read_text(encoding="utf-8") == MINE.replace("0.3 ", "0.7 ").replace('"zh"', '"en"')


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("adapter", "first"),  # missing in the root
        ("answer.refusal", 0.2),  # missing in a table that is there
        ("retrieval.k", 5),  # the table is missing
        ("finetune.learning_rate", 1e-4),  # there as a comment
        ("finetune.target_modules", ["q_proj"]),
    ],
)
def test_setting_a_missing_key_adds_one_line_and_keeps_the_others_in_order(toml: Path, key: str, value: object) -> None:
    toml.write_text(MINE, encoding="utf-8")
    before = read_settings(toml)
    set_setting(toml, key, value)
    lines = toml.read_text(encoding="utf-8").splitlines()
    added = [line for line in lines if line not in MINE.splitlines()]
    assert [line for line in lines if line and line not in added] == [line for line in MINE.splitlines() if line]
    assert next(line for line in added if not line.startswith("[")).startswith(key.rpartition(".")[2] + " = ")

    changed, table = read_settings(toml).model_dump(), key.rpartition(".")[0]
    now = changed[table] if table else changed
    assert now.pop(key.rpartition(".")[2]) == (tuple(value) if isinstance(value, list) else value)
    old = before.model_dump()[table] if table else before.model_dump()
    del old[key.rpartition(".")[2]]
    assert now == old


def test_every_key_of_a_new_file_can_be_set(toml: Path) -> None:
    maps = {"url": "http://127.0.0.1:8000/mcp"}
    other = {str: "zh", int: 7, float: 0.125, tuple: ["k_proj"], dict: {"maps": maps}}
    toml.write_text(new_settings_text(), encoding="utf-8")
    wanted = {}
    for name, table in TABLES.items():
        for key, default in table():
            if key in TABLES:
                continue
            annotation = table.model_fields[key].annotation
            value: object = not default if isinstance(default, bool) else other[type(default)]
            if get_origin(annotation) is Literal:
                value = get_args(annotation)[-1]
            if key == "report_to":
                value = ["wandb"]
            if key in {"passage_tokens", "context_tokens", "max_length"}:
                value = 99
            if key == "refusal":
                value = "rare"
            if key in {"repetition_penalty", "loraplus_lr_ratio"}:
                value = 1.5
            path = f"{name}.{key}" if name else key
            wanted[path] = tuple(value) if isinstance(value, list) else value
            if path == "tools.mcp":
                wanted[path] = {"maps": McpServer(**maps)}
            set_setting(toml, path, value)
    settings = read_settings(toml)
    for path, value in wanted.items():
        table, _, key = path.rpartition(".")
        assert getattr(getattr(settings, table) if table else settings, key) == value, path
    text = toml.read_text(encoding="utf-8")
    assert all(line in text.splitlines() for line in new_settings_text().splitlines() if line.startswith("#"))


def test_setting_a_wrong_key_or_value_is_refused_and_the_file_stays(toml: Path) -> None:
    toml.write_text(MINE, encoding="utf-8")
    with pytest.raises(DomainError, match=r"unknown key 'answer\.temprature'; did you mean 'temperature'"):
        set_setting(toml, "answer.temprature", 0.5)
    with pytest.raises(DomainError, match=r"answer\.temperature is 9, but input should be less than or equal to 2"):
        set_setting(toml, "answer.temperature", 9)
    assert toml.read_text(encoding="utf-8") == MINE


def test_a_file_that_is_already_wrong_is_not_written(toml: Path) -> None:
    toml.write_text("kk = 1\n", encoding="utf-8")
    with pytest.raises(DomainError, match="line 1: unknown key 'kk'"):
        set_setting(toml, "adapter", "first")
    assert toml.read_text(encoding="utf-8") == "kk = 1\n"


def test_a_file_saved_by_a_windows_editor_can_be_set(toml: Path) -> None:
    toml.write_bytes("\ufeff# 茶\r\nadapter = 'old'\r\n".encode())
    set_setting(toml, "adapter", "new")
    assert read_settings(toml).adapter == "new"
    assert "# 茶" in toml.read_text(encoding="utf-8")


def test_an_opened_domain_has_the_settings_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "domain.toml").write_text('language = "zh"\n', encoding="utf-8")
    assert Domain.open(tmp_path).settings == Settings(language="zh")
    with pytest.raises(Exception, match="frozen"):
        Domain.open(tmp_path).settings.language = "en"
