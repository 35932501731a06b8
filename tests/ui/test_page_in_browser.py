"""The chat, as somebody sees it who asks, reads sources, switches adapters, stops, rates and comes back."""

import sys
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from playwright.sync_api import expect

from assistant import Assistant, Citation
from assistant.answering.pipeline import Asked, Finished, Found
from assistant.answers import answer_message
from base_models import load
from domain import Domain
from indexes import Passage

DOCUMENTS = Path(__file__).parents[2] / "examples" / "peft-handbook" / "documents"

QUESTION = "What does alpha do in LoRA?"
LONG_QUESTION = "How does QLoRA store the weights?"
"""The model answers this one with hundreds of tokens, and the next."""
LONG_CHINESE_QUESTION = "QLoRA 如何保存权重？"
REFUSED_QUESTION = "How do I bake sourdough bread?"
WATCH_GROWING = r"""() => {
    window.lengths = []
    new MutationObserver(() => {
        const growing = document.querySelector(".st-key-speech .lw-answer")
        // only letters and digits: Markdown's signs come and go
        if (growing) lengths.push(growing.innerText.replace(/[^\p{L}\p{N}]/gu, "").length)
    }).observe(document.body, {subtree: true, childList: true, characterData: true})
}"""


def test_an_english_answer_names_its_source_which_opens_in_its_place_and_the_next_one_grows(open_chat, server) -> None:
    chat = open_chat(server.url)
    expect(chat.page.get_by_role("heading", name="handbook")).to_be_visible()
    chat.ask(QUESTION)
    expect(chat.page.get_by_role("status")).to_contain_text("Loading the model (first question only)")
    expect(chat.answers).to_contain_text("[")
    expect(chat.page.get_by_text("Answered by the base model")).to_be_visible()
    expect(chat.source).to_contain_text("en/lora.md · LoRA ›")
    expect(chat.page.locator(".lw-source")).to_have_count(0)
    chat.source.locator("summary").click()
    shown = chat.source.get_by_role("region", name="Source text")
    passage = shown.locator("mark").inner_text()
    assert "alpha" in passage
    assert passage in (DOCUMENTS / "en" / "lora.md").read_text("utf-8")
    assert len(shown.inner_text()) > len(passage)
    chat.page.evaluate(WATCH_GROWING)  # polled from here, the browser would have less time to draw
    chat.ask(LONG_QUESTION)
    expect(chat.answers).to_have_count(2)
    lengths = chat.page.evaluate("lengths")
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 3


def test_a_chinese_answer_goes_on_over_a_reload_and_stops_and_is_kept(open_chat, server, handbook: Domain) -> None:
    chat = open_chat(server.url, locale="zh-CN")
    expect(chat.page.get_by_test_id("stChatInputTextArea")).to_have_attribute("placeholder", "向文档提问")
    chat.ask(LONG_CHINESE_QUESTION)
    chat.growing.wait_for()
    chat.page.reload()
    chat.growing.wait_for()
    said = chat.growing.inner_text().strip()
    chat.page.get_by_role("button", name="停止").click()
    chat.answers.wait_for()
    kept = chat.answers.inner_text()
    assert kept.startswith(said[:10])
    tokens = len(load(handbook.settings.base_model).tokenizer(kept).input_ids)
    assert tokens < handbook.settings.answer.max_new_tokens * 0.8
    chat.page.reload()
    expect(chat.answers).to_have_text(kept, use_inner_text=True)
    expect(chat.page.get_by_text("由基础模型回答")).to_be_visible()


@pytest.mark.slow
def test_the_adapter_that_is_chosen_answers_and_is_named(open_chat, server) -> None:
    chat = open_chat(server.url)
    chat.choose_adapter("tiny")
    chat.ask(QUESTION)
    chat.answers.wait_for()
    expect(chat.page.get_by_text("Answered by adapter tiny")).to_be_visible()


def test_a_damaged_adapter_is_one_sentence_and_the_question_stays(open_chat, server) -> None:
    chat = open_chat(server.url)
    chat.choose_adapter("damaged")
    chat.ask(QUESTION)
    expect(chat.page.get_by_test_id("stAlert")).to_contain_text("train it again")
    expect(chat.page.get_by_test_id("stChatMessage")).to_contain_text(QUESTION)


def test_a_conversation_is_opened_from_the_list_and_deleted_when_that_is_confirmed(open_chat, server) -> None:
    chat = open_chat(server.url)
    chat.ask("Who won the football world cup?")
    chat.refusals.wait_for()
    chat.page.get_by_role("button", name="New conversation").click()
    expect(chat.refusals).to_have_count(0)
    assert "conversation=" not in chat.page.url
    entry = chat.page.get_by_role("button", name="Who won the football world cup?")
    entry.click()
    expect(chat.refusals).to_be_visible()
    chat.page.get_by_role("button", name="Delete").click()
    chat.page.get_by_role("button", name="Delete permanently").click()
    expect(entry).to_have_count(0)
    expect(chat.refusals).to_have_count(0)


def test_a_hostile_document_and_answer_load_nothing_and_run_nothing(open_chat, server, handbook: Domain) -> None:
    attack = "![pixel](http://192.0.2.1/pixel.png) <img src=http://192.0.2.1/x onerror='document.title=1'> [1]"
    name = "![pixel](http:\u2215\u2215192.0.2.1\u2215p.png) **<b>notes</b>**.md"
    passage = Passage(1, attack, name, ("![h](http://192.0.2.1/h.png)",), 3, 1, 0, len(attack))
    found, finished = Found(Asked("?"), [passage], [passage]), Finished(attack, attack, [Citation(1, passage)])
    assistant = Assistant.open(handbook.path)
    assistant.remembering_chain.update_state(
        {"configurable": {"thread_id": "attack"}},
        {"messages": [HumanMessage(attack), answer_message(found, finished, None)]},
        as_node="answer",
    )
    assistant.conversations.touch("attack", attack)
    assistant.close()
    chat = open_chat(f"{server.url}?conversation=attack", locale="zh-CN")
    expect(chat.answers).to_have_text(attack)
    expect(chat.source.locator("summary")).to_contain_text(f"[1] {name} · ![h](http:\u2060//192.0.2.1/h.png), 第 3 页")
    chat.source.locator("summary").click()
    expect(chat.source.locator("mark")).to_have_text(attack)
    expect(chat.source).to_contain_text("文档在建立索引后有改动")
    assert chat.page.locator("img, a[href*='192.0.2.1']").count() == 0
    assert chat.page.title() == "handbook"


def test_a_refused_question_is_answered_all_the_same_and_its_nearest_passages_are_there(open_chat, server) -> None:
    chat = open_chat(server.url)
    chat.ask(REFUSED_QUESTION)
    expect(chat.refusals).to_contain_text("Nearest passage: ")
    chat.page.get_by_role("button", name="Answer anyway").click()
    expect(chat.page.locator("[class*=st-key-answer-]")).to_contain_text("Unsure", timeout=120_000)
    expect(chat.refusals).to_have_count(0)
    expect(chat.page.get_by_test_id("stChatMessage")).to_have_count(2)


def test_the_page_fits_a_phone(open_chat, server) -> None:
    page = open_chat(server.url, width=360, height=740).page
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_text("中文", exact=True).click()
    expect(page.get_by_role("button", name="新会话")).to_be_in_viewport()


def test_a_refusal_looks_different_and_its_rating_is_kept(open_chat, server) -> None:
    chat = open_chat(server.url)
    chat.ask(REFUSED_QUESTION)
    expect(chat.refusals).to_contain_text("Not in the documents")
    expect(chat.answers).to_have_count(0)
    assert chat.refusals.evaluate("element => getComputedStyle(element).borderLeftStyle") == "dashed"
    chat.page.get_by_role("radio", name="Thumbs up").click()
    expect(chat.page.get_by_role("radio", name="Thumbs up")).to_be_checked()
    chat.page.get_by_role("radio", name="Thumbs down").click()
    chat.page.reload()
    expect(chat.page.get_by_role("radio", name="Thumbs down")).to_be_checked()


@pytest.mark.slow
def test_conversations_ratings_and_the_answer_that_ctrl_c_broke_off_are_found_after_a_restart(
    open_chat, server, handbook: Domain
) -> None:
    rated = open_chat(server.url)
    rated.ask(REFUSED_QUESTION)
    rated.page.get_by_role("radio", name="Thumbs up").click()
    broken_off = open_chat(server.url)
    broken_off.ask(LONG_CHINESE_QUESTION)
    broken_off.growing.wait_for()
    said = broken_off.growing.inner_text().strip()
    server.stop()
    assert "Traceback" not in server.log_file.read_text("utf-8")
    server.command = [sys.executable, "-m", "assistant.cli", "ui", str(handbook.path), "--no-open-browser"]
    server.command += ["--port", str(server.port)]
    server.start()
    expect(open_chat(broken_off.page.url).answers).to_contain_text(said[:10])
    rated = open_chat(rated.page.url)
    expect(rated.refusals).to_contain_text("The documents do not answer this question.")
    expect(rated.page.get_by_role("radio", name="Thumbs up")).to_be_checked()
