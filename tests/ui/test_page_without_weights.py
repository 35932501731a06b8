"""What the page says when something is missing; Streamlit's own test client runs the real script."""

import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from assistant import Assistant
from domain import Domain, create_domain
from indexes import Index

PAGE = Path(__file__).parents[2] / "ui" / "app.py"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch):
    def opened(*arguments: object, **query: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(PAGE), *map(str, arguments)])
        test = AppTest.from_file(PAGE, default_timeout=60)
        test.query_params.update(query)
        return test.run()

    return opened


@pytest.fixture
def tea(tmp_path: Path) -> Domain:
    """A domain with one indexed document."""
    domain = create_domain(tmp_path / "tea *shop*", embedder="all-minilm-l6-v2", base_model="smollm2-135m-instruct")
    (domain.documents / "green.md").write_text("# Green tea\n\nLongjing is brewed with water of 80 degrees.\n", "utf-8")
    with Index.open(domain) as index:
        index.update()
    return domain


def test_without_a_domain_the_page_says_how_it_is_started(page) -> None:
    assert "lorewright ui DOMAIN" in _plain(page().error[0].value)


def test_a_folder_that_is_no_domain_is_named_in_one_sentence(page, tmp_path: Path) -> None:
    shown = page(tmp_path)
    assert _plain(shown.error[0].value).startswith(f"Cannot open the assistant: {tmp_path} is not a domain")
    assert not shown.exception


def test_without_an_index_the_page_names_the_command_and_goes_on_once_it_was_run(page, tmp_path: Path) -> None:
    domain = create_domain(tmp_path / "tea", embedder="all-minilm-l6-v2")
    (domain.documents / "green.md").write_text("Longjing is a green tea.", "utf-8")
    shown = page(domain.path)
    assert f"lorewright index {domain.path}" in _plain(shown.error[0].value)
    assert not shown.chat_input
    with Index.open(domain) as index:
        index.update()
    shown = next(button for button in shown.button if button.label == "Try again").click().run()
    assert not shown.error
    assert shown.chat_input[0].placeholder == "Ask the documents"


def test_the_page_speaks_chinese_when_asked_to(page, tea: Domain) -> None:
    shown = page(tea.path, language="中文")
    assert shown.chat_input[0].placeholder == "向文档提问"
    assert shown.selectbox(key="adapter").label == "适配器"
    assert "文档：1 篇" in _plain(shown.sidebar.caption[-1].value)


def test_the_title_and_facts_of_a_domain_are_shown(page, tea: Domain) -> None:
    shown = page(tea.path)
    assert shown.header[0].value == r"tea \*shop\*"
    facts = _plain(shown.sidebar.caption[-1].value)
    assert "Documents: 1" in facts
    assert "Base model: smollm2-135m-instruct" in facts
    assert "Refusal not calibrated: English, 中文" in facts


def test_what_was_left_out_of_a_document_is_told(page, tea: Domain) -> None:
    (tea.documents / "fees.md").write_text("The fee is ~~40~~ 55 EUR.\n", "utf-8")
    with Index.open(tea) as index:
        index.update()
        assert index.warnings() == {"fees.md": "has struck-out text in 1 place, which was left out"}
    told = [_plain(caption.value) for caption in page(tea.path).sidebar.caption]
    assert "fees.md has struck-out text in 1 place, which was left out" in told


def test_a_model_that_nobody_knows_is_one_sentence(page, tea: Domain) -> None:
    tea.settings_file.write_text(tea.settings_file.read_text("utf-8").replace("smollm2-135m", "smollm3-135m"), "utf-8")
    shown = page(tea.path)
    assert "did you mean 'smollm2-135m-instruct'" in _plain(shown.error[0].value)
    assert not shown.chat_input


def test_a_model_that_cannot_be_loaded_is_one_sentence_below_the_question(page, tea: Domain, tmp_path: Path) -> None:
    (tmp_path / "no-such-model").mkdir()
    text = tea.settings_file.read_text("utf-8").replace("smollm2-135m-instruct", str(tmp_path / "no-such-model"))
    tea.settings_file.write_text(text, "utf-8")
    shown = _answered(page(tea.path).chat_input[0].set_value("How is *Longjing* brewed?").run())
    assert "no-such-model" in _plain(shown.error[0].value)
    assert shown.chat_message[0].avatar == ":material/person:"
    assert not shown.exception


def test_whoever_is_chosen_in_the_moment_of_asking_answers(page, tea: Domain) -> None:
    """A browser may send the choice and the question at once, before the page was drawn with the choice."""
    (tea.adapters / "damaged").mkdir(parents=True)
    (tea.adapters / "damaged" / "manifest.json").write_text("{}", "utf-8")
    shown = page(tea.path)
    shown.selectbox(key="adapter").set_value("damaged")
    shown = _answered(shown.chat_input[0].set_value("How is Longjing brewed?").run())
    assert "damaged" in _plain(shown.error[0].value)


def test_changed_settings_are_read_again_on_request(page, tea: Domain) -> None:
    shown = page(tea.path)
    tea.settings_file.write_text(tea.settings_file.read_text("utf-8") + "\n", "utf-8")
    text = tea.settings_file.read_text("utf-8").replace('# refusal = "balanced"', "refusal = 0")
    tea.settings_file.write_text(text, "utf-8")
    assert "not calibrated" in _plain(shown.run().sidebar.caption[-1].value)
    assert "turned off" in _plain(shown.button(key="reload").click().run().sidebar.caption[-1].value)


def test_conversations_of_the_command_line_are_listed_and_can_be_deleted(page, tea: Domain) -> None:
    assistant = Assistant.open(tea.path)
    for number in range(17):
        assistant.conversations.touch(f"c{number}", f"Question [{number}]")
    shown = page(tea.path)
    titles = [button for button in shown.sidebar.button if str(button.key).startswith("open-")]
    assert [button.key for button in titles[:2]] == ["open-c16", "open-c15"]
    assert len(titles) == 15
    assert titles[0].label == r"Question \[16\]"
    shown = shown.button(key="open-c16").click().run()
    assert shown.query_params["conversation"] == "c16"
    shown = shown.button(key="delete-for-good").click().run()
    assert "conversation" not in shown.query_params
    assert "c16" not in [conversation.id for conversation in assistant.conversations.all()]
    shown = next(button for button in shown.button if button.label == "Show all 16").click().run()
    assert len([button for button in shown.sidebar.button if str(button.key).startswith("open-")]) == 16
    assistant.close()


def _answered(page: AppTest) -> AppTest:
    """Look at the page until an error or an answer is there."""
    until = time.monotonic() + 60
    while not page.error and time.monotonic() < until:
        page.run()
    return page


def _plain(markdown: str) -> str:
    return markdown.replace("\\", "")
