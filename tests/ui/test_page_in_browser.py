"""The whole page in a real browser: a small real domain and adapter, real models, the server as a user starts it.

The chat model is smollm2-135m-instruct, for speed: it writes poor Chinese, but what is tested here is the page. With
``LOREWRIGHT_SCREENSHOT=/path.png LOREWRIGHT_SCREENSHOT_DOMAIN=demo/peft-handbook`` the README's picture is made.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import ui
from domain import Domain

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Page, Locator, expect = playwright_api.Page, playwright_api.Locator, playwright_api.expect

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/usr/bin/chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
CHROMIUM = next((found for name in BROWSERS if (found := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium or Chrome found (Debian: apt-get install chromium)"
)

HANDBOOK = Path(__file__).parents[2] / "examples" / "peft-handbook"
PAGES = ("lora.md", "qlora-nf4.md")
WAIT_MS = 90_000
expect.set_options(timeout=WAIT_MS)
MOST_TOKENS = 400

REFUSED_QUESTION = "How do I bake sourdough bread?"


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """Two pages of the handbook in each language, indexed, an adapter of two steps, and a damaged one."""
    from assistant.indexing import update_index
    from base_models import load
    from domain import FinetuneConfig, create_domain, read_questions, set_setting
    from finetune import finetune

    made = create_domain(tmp_path_factory.mktemp("page") / "handbook", base_model="smollm2-135m-instruct")
    for page in (f"{language}/{name}" for language in ("en", "zh") for name in PAGES):
        (made.documents / page).parent.mkdir(exist_ok=True)
        shutil.copy(HANDBOOK / "documents" / page, made.documents / page)
    lines = (HANDBOOK / "questions" / "train.jsonl").read_text("utf-8").splitlines()
    kept = [line for line in lines if '"answerable": false' in line or any(f'/{name}"' in line for name in PAGES)]
    made.train_questions.write_text("\n".join(kept) + "\n", "utf-8")
    update_index(made)
    examples = [question.messages for question in read_questions(made.train_questions)[:4]]
    config = FinetuneConfig(num_train_epochs=1, gradient_accumulation_steps=2, learning_rate=1e-3)
    finetune(load(made.settings.base_model), examples, made.adapter("tiny"), config)
    shutil.copytree(made.adapter("tiny"), made.adapter("damaged"))
    os.truncate(made.adapter("damaged") / "adapter_model.safetensors", 1000)
    set_setting(made.settings_file, "answer.max_new_tokens", MOST_TOKENS)
    return made


class Server:
    """``lorewright ui`` in a process of its own, ended with Ctrl-C."""

    def __init__(self, domain: Path) -> None:
        self.log_file = domain.parent / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.command = [sys.executable, "-m", "assistant.cli", "ui", str(domain), "--port", str(self.port)]
        self.command += ["--no-open-browser"]

    def start(self) -> None:
        self.log = self.log_file.open("w", encoding="utf-8")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT)
        until = time.monotonic() + WAIT_MS / 1000
        while not self._is_healthy():
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the page did not start: {self.log_file.read_text('utf-8')}")
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0
        self.log.close()

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}_stcore/health").is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def server(domain: Domain) -> Iterator[Server]:
    running = Server(domain.path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser():
    with playwright_api.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser) -> Iterator[OpenPage]:
    """Opens the page as a browser of some language and size; at the end, no other machine may have been asked."""
    hosts: set[str | None] = set()
    contexts = []

    def opened(url: str, locale: str = "en-US", width: int = 1280, height: int = 900) -> Page:
        contexts.append(browser.new_context(locale=locale, viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).hostname))
        page.goto(url)
        page.get_by_test_id("stChatInput").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert hosts - {None} == {"127.0.0.1"}  # None: pictures that stand in the page itself, data:...


def ask(page: Page, question: str) -> None:
    field = page.get_by_test_id("stChatInputTextArea")
    expect(field).to_be_enabled()
    field.fill(question)
    field.press("Enter")


def growing(page: Page) -> Locator:
    return page.locator(".st-key-speech .lw-answer")


def answers(page: Page) -> Locator:
    return page.locator("[class*=st-key-answer-] .lw-answer")


def refusal_of(page: Page) -> Locator:
    return page.locator("[class*=st-key-refused-]")


def test_an_english_answer_grows_and_its_source_opens_in_its_place(open_page: OpenPage, server: Server) -> None:
    page = open_page(server.url)
    expect(page.get_by_role("heading", name="handbook")).to_be_visible()
    ask(page, "What does alpha do in LoRA?")
    expect(page.get_by_role("status")).to_contain_text("Loading the model into memory")
    lengths = []
    while answers(page).count() == 0:
        if growing(page).count():
            lengths.append(len(growing(page).evaluate("element => element.innerText")))
        page.wait_for_timeout(100)
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 3
    expect(answers(page)).to_contain_text("[")
    expect(page.get_by_text("Answered by the base model")).to_be_visible()
    source = page.get_by_test_id("stExpander").first
    expect(source).to_contain_text("en/lora.md · LoRA ›")
    expect(page.locator(".lw-source")).to_have_count(0)
    source.locator("summary").click()
    shown = source.get_by_role("region", name="Text of the source")
    passage = shown.locator("mark").inner_text()
    assert "alpha" in passage
    document = (HANDBOOK / "documents" / "en" / "lora.md").read_text("utf-8")
    assert passage in document
    assert len(shown.inner_text()) > len(passage)


def test_a_chinese_answer_goes_on_over_a_reload_and_stops_and_is_kept(
    open_page: OpenPage, server: Server, domain: Domain
) -> None:
    from base_models import load

    page = open_page(server.url, locale="zh-CN")
    expect(page.get_by_test_id("stChatInputTextArea")).to_have_attribute("placeholder", "向文档提问")
    ask(page, "LoRA 的矩阵 B 为什么初始化为零？")
    growing(page).wait_for()
    page.reload()
    growing(page).wait_for()
    said = growing(page).inner_text().strip()
    page.get_by_role("button", name="停止").click()
    answers(page).wait_for()
    kept = answers(page).inner_text()
    assert kept.startswith(said[:10])
    assert len(load(domain.settings.base_model).tokenizer(kept).input_ids) < MOST_TOKENS * 0.8
    page.reload()
    expect(answers(page)).to_have_text(kept, use_inner_text=True)
    expect(page.get_by_text("回答者：基础模型")).to_be_visible()


def choose_adapter(page: Page, name: str) -> None:
    page.locator(".st-key-adapter input").click()
    page.get_by_role("option", name=name).click()


def test_a_damaged_adapter_is_one_sentence_and_the_question_stays(open_page: OpenPage, server: Server) -> None:
    page = open_page(server.url)
    choose_adapter(page, "damaged")
    ask(page, "What does alpha do in LoRA?")
    expect(page.get_by_test_id("stAlert")).to_contain_text("train it again")
    expect(page.get_by_test_id("stChatMessage")).to_contain_text("What does alpha do in LoRA?")


def test_the_adapter_that_is_chosen_answers_and_is_named(open_page: OpenPage, server: Server) -> None:
    page = open_page(server.url)
    choose_adapter(page, "tiny")
    ask(page, "What does alpha do in LoRA?")
    answers(page).wait_for()
    expect(page.get_by_text("Answered by tiny")).to_be_visible()


def test_a_conversation_is_opened_from_the_list_and_deleted_when_that_is_confirmed(
    open_page: OpenPage, server: Server
) -> None:
    page = open_page(server.url)
    ask(page, "Who won the football world cup?")
    refusal_of(page).wait_for()
    page.get_by_role("button", name="New conversation").click()
    expect(refusal_of(page)).to_have_count(0)
    assert "conversation=" not in page.url
    entry = page.get_by_role("button", name="Who won the football world cup?")
    entry.click()
    expect(refusal_of(page)).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(entry).to_have_count(0)
    expect(refusal_of(page)).to_have_count(0)


def test_a_hostile_document_and_answer_load_nothing_and_run_nothing(
    open_page: OpenPage, server: Server, domain: Domain
) -> None:
    from langchain_core.messages import HumanMessage

    from assistant import Assistant, Citation
    from assistant.answers import answer_message
    from indexes import Passage

    attack = "![pixel](http://192.0.2.1/pixel.png) <img src=http://192.0.2.1/x onerror='document.title=1'> [1]"
    name = "![pixel](http:\u2215\u2215192.0.2.1\u2215p.png) **<b>notes</b>**.md"
    passage = Passage(1, attack, name, ("![h](http://192.0.2.1/h.png)",), 3, 1, 0, len(attack))
    assistant = Assistant.open(domain.path)
    assistant.remembering_chain.update_state(
        {"configurable": {"thread_id": "attack"}},
        {"messages": [HumanMessage(attack), answer_message(attack, [passage], [Citation(1, passage)], False, None)]},
        as_node="answer",
    )
    assistant.conversations.touch("attack", attack)
    assistant.close()
    page = open_page(f"{server.url}?conversation=attack", locale="zh-CN")
    expect(answers(page)).to_have_text(attack)
    source = page.get_by_test_id("stExpander")
    expect(source.locator("summary")).to_contain_text(f"[1] {name} · {passage.headings[0]}, 第 3 页")
    source.locator("summary").click()
    expect(source.locator("mark")).to_have_text(attack)
    expect(source).to_contain_text("文档此后已有改动")
    assert page.locator("img").count() == 0
    assert page.title() == "handbook"


def test_the_page_fits_a_phone(open_page: OpenPage, server: Server) -> None:
    page = open_page(server.url, width=360, height=740)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_text("中文", exact=True).click()
    expect(page.get_by_role("button", name="新会话")).to_be_in_viewport()


def test_a_refusal_looks_different_and_is_found_with_its_rating_after_reload_and_restart(
    open_page: OpenPage, server: Server
) -> None:
    page = open_page(server.url)
    ask(page, REFUSED_QUESTION)
    refusal = refusal_of(page)
    expect(refusal).to_contain_text("Not in the documents")
    expect(answers(page)).to_have_count(0)
    assert refusal.evaluate("element => getComputedStyle(element).borderLeftStyle") == "dashed"
    page.get_by_role("radio", name="Thumbs up").click()
    expect(page.get_by_role("radio", name="Thumbs up")).to_be_checked()
    page.get_by_role("radio", name="Thumbs down").click()
    page.reload()
    expect(page.get_by_role("radio", name="Thumbs down")).to_be_checked()
    url = page.url
    server.stop()
    server.start()
    page = open_page(url)
    expect(page.get_by_text(REFUSED_QUESTION).last).to_be_visible()
    expect(refusal_of(page)).to_contain_text("The documents do not answer this question.")
    expect(page.get_by_role("radio", name="Thumbs down")).to_be_checked()


@pytest.mark.skipif(
    not {"LOREWRIGHT_SCREENSHOT", "LOREWRIGHT_SCREENSHOT_DOMAIN"} <= os.environ.keys(),
    reason="LOREWRIGHT_SCREENSHOT and LOREWRIGHT_SCREENSHOT_DOMAIN say where a picture shall go and what it shows",
)
def test_the_picture_of_the_readme_is_made(open_page: OpenPage, tmp_path: Path) -> None:
    shown = Path(os.environ["LOREWRIGHT_SCREENSHOT_DOMAIN"]).resolve()
    shutil.copytree(shown, tmp_path / shown.name, ignore=shutil.ignore_patterns("conversations.sqlite*"))
    server = Server(tmp_path / shown.name)
    server.start()
    page = open_page(server.url)
    for question in (REFUSED_QUESTION, "LoRA 的矩阵 B 为什么初始化为零？", "What does alpha do in LoRA?"):
        page.get_by_role("button", name="New conversation").click()
        expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
        ask(page, question)
        answers(page).or_(refusal_of(page)).first.wait_for()
    page.get_by_test_id("stExpander").first.locator("summary").click()
    page.locator(".lw-source mark").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    page.screenshot(path=os.environ["LOREWRIGHT_SCREENSHOT"])
    server.stop()


def test_ctrl_c_during_an_answer_keeps_what_was_said(open_page: OpenPage, domain: Domain) -> None:
    server = Server(domain.path)
    script = Path(ui.__file__).with_name("serve.py")
    server.command = [sys.executable, "-P", str(script), f"--server.port={server.port}", "--server.headless=true", "--"]
    server.command.append(str(domain.path))
    server.start()
    page = open_page(server.url)
    ask(page, "LoRA 的矩阵 B 为什么初始化为零？")
    growing(page).wait_for()
    said = growing(page).inner_text().strip()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10
    assert "Traceback" not in server.log_file.read_text("utf-8")
    server.start()
    expect(answers(open_page(page.url))).to_contain_text(said[:10])
    server.stop()
