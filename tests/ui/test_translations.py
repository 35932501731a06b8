"""The interface is complete in both languages."""

import re
import string
from pathlib import Path

import pytest

from ui.translations import LANGUAGES, WORDS, language_of_browser, words

SOURCES = Path(__file__).parents[2] / "ui"


@pytest.mark.parametrize("key", WORDS)
def test_every_word_is_there_in_english_and_in_chinese(key: str) -> None:
    english, chinese = WORDS[key]
    assert english.isascii()
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert _names(english) == _names(chinese)


def test_the_page_says_only_what_is_written_here_and_all_of_it() -> None:
    said = "".join(file.read_text("utf-8") for file in SOURCES.glob("*.py") if file.name != "translations.py")
    used = set(re.findall(r'\bsay\(\s*"(\w+)"', said)) | set(re.findall(r'words\(\w+, "(\w+)"', said))
    chosen = {"refusal_off", "refusal_calibrated", "refusal_uncalibrated"}
    assert all(f'"{key}"' in said for key in chosen)
    assert used | chosen == set(WORDS)


def test_nothing_in_the_sources_is_said_outside_the_table() -> None:
    for file in SOURCES.glob("*.py"):
        if file.name != "translations.py":
            assert not re.search(r"[\u4e00-\u9fff]", file.read_text("utf-8")), file


def test_values_are_filled_in() -> None:
    assert words("en", "page", page=3) == "page 3"
    assert words("zh", "page", page=3) == "第 3 页"


@pytest.mark.parametrize(
    ("locale", "language"), [("zh-CN", "zh"), ("zh-Hant-TW", "zh"), ("en-GB", "en"), ("de", "en"), (None, "en")]
)
def test_the_browser_chooses_the_language(locale: str | None, language: str) -> None:
    assert language_of_browser(locale) == language
    assert language in LANGUAGES


def _names(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
