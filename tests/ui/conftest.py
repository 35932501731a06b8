"""A small real domain, its page served as a user serves it, and a real browser.

The chat model is smollm2-135m-instruct, for speed: it writes poor Chinese, but what is tested here is the page.
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
from playwright.sync_api import expect, sync_playwright

import ui
from domain import Domain

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/usr/bin/chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

HANDBOOK = Path(__file__).parents[2] / "examples" / "peft-handbook"
PAGES = ("lora.md", "qlora-nf4.md")
WAIT_MS = 180_000
MOST_TOKENS = 250


@pytest.fixture(scope="package")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """Two pages of the handbook in each language, indexed, an adapter of two steps, and a damaged one."""
    from assistant.indexing import update_index
    from base_models import load
    from domain import FinetuneConfig, create_domain, read_questions, set_setting
    from finetune import finetune

    made = create_domain(tmp_path_factory.mktemp("page") / "handbook", base_model="smollm2-135m-instruct")
    set_setting(made.settings_file, "answer.max_new_tokens", MOST_TOKENS)
    set_setting(made.settings_file, "engine", "transformers")  # slower, so that a reload finds the answer unfinished
    for page in (f"{language}/{name}" for language in ("en", "zh") for name in PAGES):
        (made.documents / page).parent.mkdir(exist_ok=True)
        shutil.copy(HANDBOOK / "documents" / page, made.documents / page)
    lines = (HANDBOOK / "questions" / "train.jsonl").read_text("utf-8").splitlines()
    kept = [line for line in lines if any(f'/{name}"' in line for name in PAGES)]
    kept += [line for line in lines if '"answerable": false' in line][::3]  # a third, for speed
    made.train_questions.write_text("\n".join(kept) + "\n", "utf-8")
    update_index(made)
    examples = [question.messages for question in read_questions(made.train_questions)[:4]]
    config = FinetuneConfig(num_train_epochs=1, gradient_accumulation_steps=2, learning_rate=1e-3)
    finetune(load(made.settings.base_model), examples, made.adapter("tiny"), config)
    shutil.copytree(made.adapter("tiny"), made.adapter("damaged"))
    os.truncate(made.adapter("damaged") / "adapter_model.safetensors", 1000)
    return made


class Server:
    """The page's server in a process of its own, ended with Ctrl-C."""

    def __init__(self, domain: Path) -> None:
        self.log_file = domain.parent / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.command = [sys.executable, "-P", str(Path(ui.__file__).with_name("serve.py"))]
        self.command += [f"--server.port={self.port}", "--server.headless=true", "--", str(domain)]

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
        assert self.process.wait(120) == 0
        self.log.close()

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}_stcore/health").is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="package")
def start_server() -> Iterator[Callable[[Path], Server]]:
    """Starts a server for a domain folder; all of them are ended with the tests."""
    servers: list[Server] = []

    def started(domain: Path) -> Server:
        servers.append(Server(domain))
        servers[-1].start()
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


@pytest.fixture(scope="package")
def server(browser, start_server, handbook: Domain) -> Server:
    """The page of the handbook; asks for the browser, so that nothing is made where there is none."""
    return start_server(handbook.path)


@pytest.fixture(scope="package")  # while it runs, its event loop would be in the way of other rooms' asynchronous tests
def browser():
    chromium = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium or Chrome found (Debian: apt-get install chromium)")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


class Chat:
    """The page in a browser, with the words of a chat for what stands on it."""

    def __init__(self, page) -> None:
        self.page = page
        self.growing = page.locator(".st-key-speech .lw-answer")
        self.answers = page.locator("[class*=st-key-answer-] .lw-answer")
        self.refusals = page.locator("[class*=st-key-refused-]")
        self.source = page.get_by_test_id("stExpander").first

    def ask(self, question: str) -> None:
        field = self.page.get_by_test_id("stChatInputTextArea").and_(self.page.locator(":enabled"))
        field.fill(question)
        field.press("Enter")

    def choose_adapter(self, name: str) -> None:
        self.page.locator(".st-key-adapter input").click()
        self.page.get_by_role("option", name=name).click()
        self.page.locator('.stApp[data-test-script-state="notRunning"]').wait_for()


@pytest.fixture
def open_chat(browser):
    """Opens the page as a browser of some language and size; at the end, no other machine may have been asked."""
    hosts: set[str | None] = set()
    contexts = []

    def opened(url: str, locale: str = "en-US", width: int = 1280, height: int = 900) -> Chat:
        contexts.append(browser.new_context(locale=locale, viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).hostname))
        page.goto(url)
        page.get_by_test_id("stChatInput").wait_for()
        return Chat(page)

    yield opened
    for context in contexts:
        context.close()
    assert hosts - {None} == {"127.0.0.1"}  # None: pictures that stand in the page itself, data:...
