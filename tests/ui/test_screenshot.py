"""The README's picture, made on request from a finished domain (``make demo`` leaves one)::

export LOREWRIGHT_SCREENSHOT=docs/pictures/page.png LOREWRIGHT_SCREENSHOT_DOMAIN=demo/peft-handbook
pytest tests/ui/test_screenshot.py
"""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

WANTED = ("LOREWRIGHT_SCREENSHOT", "LOREWRIGHT_SCREENSHOT_DOMAIN")
QUESTIONS = ("How do I bake sourdough bread?", "LoRA 的矩阵 B 为什么初始化为零？", "What does alpha do in LoRA?")


@pytest.mark.skipif(not set(WANTED) <= os.environ.keys(), reason=f"made only when {' and '.join(WANTED)} are set")
def test_the_picture_of_the_readme_is_made(open_chat, start_server, tmp_path: Path) -> None:
    domain = Path(os.environ["LOREWRIGHT_SCREENSHOT_DOMAIN"]).resolve()
    shutil.copytree(domain, tmp_path / domain.name, ignore=shutil.ignore_patterns("conversations.sqlite*"))
    chat = open_chat(start_server(tmp_path / domain.name).url)
    for question in QUESTIONS:
        chat.page.get_by_role("button", name="New conversation").click()
        expect(chat.page.get_by_test_id("stChatMessage")).to_have_count(0)
        chat.ask(question)
        chat.answers.or_(chat.refusals).first.wait_for()
    chat.source.locator("summary").click()
    chat.page.locator(".lw-source mark").wait_for()
    chat.page.mouse.move(0, 0)
    chat.page.wait_for_timeout(1000)  # the source unfolds
    chat.page.screenshot(path=os.environ["LOREWRIGHT_SCREENSHOT"])
