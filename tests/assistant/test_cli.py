"""The command line as a user meets it: what is printed, to the letter, and with which exit status."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from assistant_samples import QUICK, lorewright

from assistant import Assistant
from assistant.cli import app
from assistant.cli.terminal import remarks
from domain import FinetuneConfig

COMMANDS = typer.main.get_command(app).commands


def test_help_names_every_command():
    shown = lorewright("--help")
    assert shown.status == 0
    assert {"new", "index", "finetune", "evaluate", "ask", "chat", "ui", "doctor"} <= set(COMMANDS)
    for command in COMMANDS:
        assert f"\n  {command} " in shown.out
    assert "..." not in shown.out.split("Commands:")[1]  # where click cuts a text off


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    shown = lorewright(command, "--help")
    assert shown.status == 0
    assert " ".join(COMMANDS[command].help.split()) in " ".join(shown.out.split())
    assert lorewright(command, "-h").out == shown.out


def test_every_key_of_the_finetune_table_is_a_flag_with_its_own_explanation():
    shown = "".join(lorewright("finetune", "--help").out.split())
    for name, field in FinetuneConfig.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        assert f"{flag}<" in shown or f"{flag}/--no-{flag[2:]}" in shown
        assert "".join(field.description.split()) in shown


def test_the_version_is_that_of_the_package():
    assert lorewright("--version").out == f"lorewright {version('lorewright')}\n"


LIGHT = """
import sys
from assistant.cli import main
for arguments in {commands!r}:
    sys.argv = ["lorewright", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
print("HEAVY", sorted(sys.modules.keys() & {heavy!r}))
"""


def light(commands: list[list[str]], heavy: set[str]) -> subprocess.CompletedProcess[str]:
    """Run commands in one new process, which tells in the end which of the heavy modules it had to import."""
    script = LIGHT.format(commands=commands, heavy=heavy)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)


def test_help_imports_nothing_heavy():
    heavy = {"torch", "transformers", "langchain", "langchain_core", "langgraph", "faiss", "numpy", "streamlit"}
    shown = light([["--help"]], heavy)
    assert shown.stdout.endswith("HEAVY []\n"), shown.stderr


def test_what_is_finished_is_skipped_without_loading_torch(tea_shop):
    folder = str(tea_shop)
    commands = [["index", folder], ["finetune", folder, *QUICK], ["evaluate", folder]]
    shown = light(commands, {"torch"})
    assert shown.stdout.endswith("HEAVY []\n"), shown.stderr
    assert f"{folder}: 0 added, 0 changed, 0 deleted, 1 unchanged; 2 passages.\n" in shown.stdout
    assert f"{folder}: run 'first' is finished and its inputs have not changed. Adapter: " in shown.stdout
    assert "the answerable of 1 held-out questions" in shown.stdout


def test_a_run_from_before_a_setting_existed_is_still_finished(shop):
    file = shop / "adapters" / "first" / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    for newer in ("unanswerable_share", "distractors_share"):
        del manifest["config"][newer]
    file.write_text(json.dumps(manifest), "utf-8")
    assert "run 'first' is finished and its inputs have not changed" in lorewright("finetune", shop, *QUICK).out


def test_search_shows_passages_with_their_places_and_scores(tea_shop):
    shown = lorewright("search", tea_shop, "How hot is the water?", "--k", 1)
    assert shown.out.startswith("[1] tea.md, Green tea › Water\n    score ")
    assert "; vector 0." in shown.out
    assert "Use water of 80 degrees for green tea." in shown.out
    assert "[2]" not in shown.out


def test_ask_prints_the_answer_and_lists_its_sources(tea_shop):
    question = "How hot should the water be?"
    shown = lorewright("ask", tea_shop, question, "--adapter", "base")
    assert shown.status == 0
    assistant = Assistant.open(tea_shop)
    answer = assistant.ask(question, adapter="")
    assistant.close()
    sources = [f"  [{c.number}] tea.md, {c.passage.place}\n" for c in answer.citations]
    assert sources
    told = [f"  {line}\n" for line in remarks(answer)]
    assert shown.out == f"{answer.text}\n{''.join(sources)}{''.join(told)}"
    assert not (tea_shop / "conversations.sqlite").exists()


def test_chat_goes_on_with_a_named_conversation_until_an_empty_line(shop, monkeypatch):
    lines = iter(["hello", "!", "How hot should the water be?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert lorewright("chat", shop, "--conversation", "mine").status == 0
    assistant = Assistant.open(shop)
    said = assistant.history("mine")
    assert said[::2] == ["hello", "hello", "How hot should the water be?"], "! asks the last question once more"
    assistant.close()


def test_the_agent_can_be_asked(tea_shop):
    shown = lorewright("agent", tea_shop, "What is 6 * 7?")
    assert shown.status == 0
    assert shown.out.strip()


def test_evaluate_prints_the_table_and_again_asks_again(shop):
    stored = shop / "evaluations" / "first-1.json"
    before = stored.stat().st_mtime_ns
    assert "tuned minus base, with index" in lorewright("evaluate", shop).out
    assert stored.stat().st_mtime_ns == before
    assert "tuned minus base, with index" in lorewright("evaluate", shop, "--again").out
    assert stored.stat().st_mtime_ns != before


def test_the_models_and_where_they_lie():
    shown = lorewright("models")
    assert shown.status == 0
    assert "\nall-minilm-l6-v2: embedder, Apache-2.0, downloaded\n" in shown.out
    assert "Cache: " in shown.out
    assert lorewright("pull", "all-minilm-l6-v2").out.startswith("all-minilm-l6-v2: already in ")


def test_an_adapter_of_another_program_is_adopted(shop, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copyfile(shop / "adapters" / "first" / name, elsewhere / name)
    adopted = lorewright("adopt", shop, elsewhere, "--run", "theirs")
    assert adopted.out == f"{shop}: {elsewhere} is imported as the adapter 'theirs' and is active (domain.toml).\n"
    question = "How hot should the water be?"
    answers = [lorewright("ask", shop, question, "--adapter", name).out for name in ("first", "theirs")]
    assert answers[0] == answers[1] != ""
    again = lorewright("adopt", shop, elsewhere, "--run", "theirs")
    assert again.status == 1
    assert "already has an adapter 'theirs'" in again.err
