"""What the command line says when something is wrong or stops it: to the letter, and with which exit status."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from assistant_samples import QUICK, TEA, lorewright, question

from assistant import AssistantError
from assistant.cli import page
from domain import DomainError, set_setting


def test_what_is_no_domain_is_told_how_to_become_one(tmp_path):
    absent = tmp_path / "absent"
    for command in (["index"], ["finetune"], ["evaluate"], ["search", "x"], ["ask", "x"], ["agent", "x"], ["ui"]):
        ended = lorewright(command[0], absent, *command[1:])
        assert ended.status == 1
        assert ended.out == ""
        assert ended.err == (f"lorewright: {absent} is not a folder; create a domain with: lorewright new {absent}\n")
    assert lorewright("index", tmp_path).err == (
        f"lorewright: {tmp_path} is not a domain, because it has no domain.toml; "
        f"create one with: lorewright new {tmp_path}\n"
    )


def test_a_question_may_begin_with_a_dash(tmp_path):
    for asked in ("-20℃ 能用吗？", "-20 degrees: does it start?"):
        ended = lorewright("ask", tmp_path / "absent", asked)
        assert "is not a folder" in ended.err
    assert "No such option" in lorewright("ask", tmp_path, "x", "--adaptor").err


def test_an_existing_domain_is_not_made_again(shop):
    before = (shop / "domain.toml").read_bytes()
    ended = lorewright("new", shop)
    assert (ended.status, ended.err) == (1, f"lorewright: {shop} is already a domain; choose another folder.\n")
    assert (shop / "domain.toml").read_bytes() == before


def test_a_domain_is_not_made_inside_another_one(shop):
    for inside in (shop / "documents" / "foo", shop / "documents" / "a" / ".." / "foo"):
        ended = lorewright("new", inside)
        assert ended.status == 1
        assert ended.err == f"lorewright: {inside} is inside the domain {shop}; choose a folder outside it.\n"
    assert list((shop / "documents").rglob("domain.toml")) == []


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(shop):
    (shop / "domain.toml").write_text('# mine\nembeder = "x"\n', encoding="utf-8")
    ended = lorewright("index", shop)
    assert ended.status == 1
    assert ended.err == f"lorewright: {shop}/domain.toml, line 2: unknown key 'embeder'; did you mean 'embedder'?\n"


@pytest.mark.parametrize("command", ["index", "finetune", "evaluate"])
def test_a_malformed_line_of_questions_is_named(shop, command):
    file = shop / "questions" / ("held_out.jsonl" if command == "evaluate" else "train.jsonl")
    file.write_text(f"{json.dumps(question('a', 'b'))}\n{{oops}}\n", encoding="utf-8")
    ended = lorewright(command, shop)
    assert ended.status == 1
    assert ended.err.splitlines()[-1] == (
        f"lorewright: {file}, line 2, column 2: not valid JSON (Expecting property name enclosed in double quotes)."
    )


def test_an_empty_and_a_missing_documents_folder(tmp_path):
    folder = tmp_path / "empty"
    lorewright("new", folder)
    ended = lorewright("index", folder)
    assert ended.status == 1
    assert ended.err == (
        f"lorewright: {folder}/documents contains no documents; put files into it (txt, md, pdf, docx...).\n"
    )
    (folder / "documents").rmdir()
    assert lorewright("index", folder).err == (
        f"lorewright: {folder}/documents does not exist; create the folder and put your documents into it.\n"
    )


def test_a_file_that_cannot_be_read_is_named_and_skipped_and_the_status_says_so(shop):
    (shop / "documents" / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    (shop / "documents" / "more.md").write_text("# Black tea\n\nUse boiling water.\n", encoding="utf-8")
    ended = lorewright("index", shop)
    assert ended.status == 3
    assert ended.out == f"{shop}: 1 added, 0 changed, 0 deleted, 1 unchanged; 3 passages.\n"
    assert ended.err.splitlines()[-1].startswith("not read: torn.pdf: ")
    assert "more.md" in lorewright("search", shop, "boiling water for black tea").out


def test_an_index_is_asked_for_before_it_is_searched(tmp_path):
    folder = tmp_path / "new"
    lorewright("new", folder)
    ended = lorewright("search", folder, "x")
    assert ended.status == 1
    assert f"lorewright index {folder}" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_empty_index_is_told_from_a_question_that_is_refused(tmp_path):
    folder = tmp_path / "tea & more"
    lorewright("new", folder, "--embedder", "all-minilm-l6-v2")
    (folder / "documents" / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    assert lorewright("index", folder).status == 3
    ended = lorewright("ask", folder, "How hot?")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == (
        f"lorewright: {folder} has no documents in its index; put documents into {folder}/documents, "
        f"then run: lorewright index '{folder}'\n"
    )


@pytest.mark.parametrize(("command", "name"), [("finetune", "train"), ("evaluate", "held_out")])
def test_a_gold_document_that_is_not_there_is_named(shop, command, name):
    row = question("How hot?", "80 degrees.", id="q7") | {"document": "green/tea.md"}
    (shop / "questions" / f"{name}.jsonl").write_text(f"{json.dumps(row)}\n", encoding="utf-8")
    ended = lorewright(command, shop)
    assert ended.status == 1
    assert "the question 'q7' names the document 'green/tea.md', which is not in the index; did you mean 'tea.md'?" in (
        ended.err
    )


def test_training_on_nothing_but_unanswerable_questions_is_refused(shop):
    row = question("Who was Shakespeare?", "The documents do not answer this question.", answerable=False)
    (shop / "questions" / "train.jsonl").write_text(f"{json.dumps(row)}\n", encoding="utf-8")
    ended = lorewright("finetune", shop)
    assert ended.status == 1
    assert "train.jsonl has no answerable questions to train on" in ended.err


@pytest.mark.slow
def test_two_processes_do_not_train_one_run(shop):
    first = begin("finetune", shop, *QUICK, "--num-train-epochs", "4000")
    wait_for(first.stderr, "training: ")
    second = lorewright("finetune", shop, *QUICK, "--num-train-epochs", "4001")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert second.status == 1
    assert "another process is training the run 'first'; wait until it ends" in second.err


def test_held_out_questions_that_are_none_are_an_error(shop):
    (shop / "questions" / "held_out.jsonl").write_text("\n", encoding="utf-8")
    ended = lorewright("evaluate", shop)
    assert ended.status == 1
    assert "held_out.jsonl has no questions; write held-out questions into it" in ended.err


def test_a_new_domain_of_a_model_that_is_unknown_is_not_made(tmp_path):
    ended = lorewright("new", tmp_path / "shop", "--base-model", "qwen")
    assert ended.status == 1
    assert "qwen" in ended.err
    assert not (tmp_path / "shop").exists()


def test_an_empty_search_is_an_error(shop):
    assert lorewright("search", shop, " ").err == "lorewright: the question is empty.\n"


@pytest.mark.parametrize("command", [["ask", "How hot?"], ["evaluate"]])
def test_an_unknown_adapter_is_named(tea_shop, command):
    ended = lorewright(command[0], tea_shop, *command[1:], "--adapter", "frist")
    assert ended.status == 1
    assert ended.err == (
        f"lorewright: {tea_shop} has no adapter 'frist' (available: first); "
        f"train it with: lorewright finetune {tea_shop} --run frist, or use the base model: --adapter base\n"
    )


def test_a_name_that_would_lead_out_of_the_domain_is_refused(tea_shop):
    ended = lorewright("ask", tea_shop, "x", "--adapter", "../../secrets")
    assert ended.status == 1
    assert "'../../secrets' is not a valid adapter name" in ended.err


def test_an_adapter_that_is_gone_can_be_trained_again(shop):
    shutil.rmtree(shop / "adapters" / "first")
    assert "has no adapter 'first'" in lorewright("ask", shop, "How hot?").err
    assert lorewright("ask", shop, "How hot must the water be?", "--adapter", "base").status == 0
    assert lorewright("finetune", shop, *QUICK).status == 0
    assert (shop / "adapters" / "first" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        ("--r", "0", "--r 0: input should be greater than or equal to 1."),
        ("--lora-dropout", "1.0", "--lora-dropout 1.0: input should be less than 1."),
        ("--retrieved-share", "2", "--retrieved-share 2.0: input should be less than or equal to 1."),
        ("--learning-rate", "-1", "--learning-rate -1.0: input should be greater than or equal to 0."),
        ("--num-train-epochs", "inf", "--num-train-epochs inf: input should be a finite number."),
        ("--seed", "-1", "--seed -1: input should be greater than or equal to 0."),
    ],
)
def test_a_flag_out_of_range_is_named_with_its_bound(tea_shop, flag, value, problem):
    ended = lorewright("finetune", tea_shop, flag, value)
    assert (ended.status, ended.err) == (1, f"lorewright: {problem}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--questions", "-1"],
        ["search", "tea", "--k", "0"],
        ["search", "tea", "--k", "100000000000000000000"],
        ["ui", "--port", "0"],
        ["ui", "--port", "-1"],
        ["ui", "--port", "70000"],
    ],
)
def test_a_number_out_of_range_is_a_usage_error(tea_shop, arguments):
    command, *rest = arguments
    ended = lorewright(command, tea_shop, *rest)
    assert ended.status == 2
    assert f"Invalid value for '{rest[-2]}': Input should be" in ended.err


def test_a_question_that_is_no_text_is_refused(tea_shop):
    broken = b"\xc4\xe3".decode("utf-8", "surrogateescape")  # what Python makes of GBK on the command line
    assert lorewright("ask", tea_shop, broken).err == (
        "lorewright: the question is not valid text; is the terminal set to UTF-8?\n"
    )
    assert "not valid text" in lorewright("search", tea_shop, broken).err


def test_no_run_may_be_called_base(tea_shop):
    ended = lorewright("finetune", tea_shop, "--run", "base")
    assert (ended.status, ended.err) == (
        1,
        "lorewright: 'base' is reserved for the model without an adapter; choose another name for the run.\n",
    )


@pytest.mark.parametrize("arguments", [["--r", "eight"], ["--lr-scheduler-type", "wavy"], ["--rank", "8"]])
def test_a_flag_that_does_not_exist_or_has_another_type_is_a_usage_error(tea_shop, arguments):
    ended = lorewright("finetune", tea_shop, *arguments)
    assert ended.status == 2
    assert arguments[0] in ended.err


def test_an_empty_question_is_refused(tea_shop):
    assert lorewright("ask", tea_shop, " ").err == "lorewright: the question is empty.\n"


def test_an_error_of_the_system_is_one_sentence_too(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    ended = lorewright("new", tmp_path / "file" / "below")
    assert ended.status == 1
    assert ended.err.startswith("lorewright: Not a directory: ")
    assert len(ended.err.splitlines()) == 1


def test_debug_shows_where_an_error_came_from(tmp_path):
    with pytest.raises(DomainError, match="is not a folder"):
        lorewright("index", tmp_path / "absent", "--debug")


TELLS_EVERY_STEP = "from assistant import cli, progress; progress.LOG_SECONDS = 0; cli.main()"
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # `nohup make test &` does not


def begin(*arguments: object, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"{HEARS_CTRL_C}; {TELLS_EVERY_STEP}", *map(str, arguments)]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


def wait_for(stream, words: str) -> str:
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never said")


@pytest.mark.slow
def test_ctrl_c_while_training_leaves_no_adapter_and_says_so(shop):
    settings = (shop / "domain.toml").read_bytes()
    shutil.rmtree(shop / "adapters")
    process = begin("finetune", shop, *QUICK, "--num-train-epochs", "400")
    wait_for(process.stderr, "reading questions: 3/3")
    wait_for(process.stderr, "training: ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("\nStopped; no adapter was written. Run the same command to resume from the last checkpoint.\n")
    assert "Traceback" not in err
    assert sorted(left.name for left in (shop / "adapters").glob("*")) == ["first.checkpoint", "first.lock"]
    assert (shop / "domain.toml").read_bytes() == settings


def test_ctrl_c_while_indexing_says_what_is_kept(shop):
    for number in range(400):
        (shop / "documents" / f"{number}.md").write_text(TEA.replace("80", str(number)), encoding="utf-8")
    process = begin("index", shop)
    wait_for(process.stderr, "indexing (bytes): ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("Stopped; the documents read so far are kept. Run the same command to read the rest.\n")


def test_ctrl_c_stops_an_answer_at_its_next_word(shop):
    set_setting(shop / "domain.toml", "answer.max_new_tokens", 2000)
    set_setting(shop / "domain.toml", "answer.refusal", 0.0)
    ours, its = os.openpty()  # words are shown as they come on a terminal alone
    process = begin("ask", shop, "How hot should the water be?", "--adapter", "base", stdout=its)
    os.close(its)
    said = os.read(ours, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    with contextlib.suppress(OSError):  # so Linux says that the other end was closed
        while more := os.read(ours, 4096):
            said += more
    os.close(ours)
    assert process.returncode == 130
    assert err == "\nStopping at the next token; press Ctrl-C again to quit at once.\n"
    assert 0 < len(said) < 4000


def answers(port: int, seconds: float = 60) -> bool:
    """Whether somebody listens on a port within that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def listening(process: subprocess.Popen[str]) -> set[str]:
    """The addresses on which a process or its children listen."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    sockets = [connection for member in family for connection in member.net_connections("tcp")]
    return {connection.laddr.ip for connection in sockets if connection.status == psutil.CONN_LISTEN}


def test_a_taken_port_is_passed_over_and_said(shop, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")  # must not open the page to the network
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = begin("ui", shop, "--port", port, "--no-open-browser")
        said = wait_for(process.stdout, "is taken")
        used = int(said.removesuffix(".\n").split()[-1])
        url = wait_for(process.stdout, "The page of")
        assert answers(used)
        assert listening(process) == {"127.0.0.1"}
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert said == f"Port {port} is taken; using {used}.\n"
    assert used > port
    assert f"http://127.0.0.1:{used} " in url
    assert process.returncode == 0
    assert out.endswith("Stopped; conversations are saved.\n")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", used)) != 0


def test_no_free_port_is_an_error(monkeypatch):
    monkeypatch.setattr(page, "PORTS_TRIED", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssistantError, match=f"no free port from {port} to {port}; choose another with --port"):
            page.free_port(port)
