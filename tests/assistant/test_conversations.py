"""The memory file: conversations, titles, ratings, from several threads and processes at once."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from assistant import AssistantError
from assistant.conversations import TITLE_LENGTH, Conversations

MANY = 20


@pytest.fixture
def conversations(tmp_path: Path):
    opened = Conversations(tmp_path / "conversations.sqlite")
    yield opened
    opened.close()


def echo_chain(conversations: Conversations):
    """A chain that remembers and needs no model: it repeats the question."""
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [AIMessage(state["messages"][-1].text)]})
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=conversations.saver)


def say(conversations: Conversations, conversation: str, question: str) -> list[str]:
    conversations.touch(conversation, question)
    config = {"configurable": {"thread_id": conversation}}
    state = echo_chain(conversations).invoke({"messages": [HumanMessage(question)]}, config)
    return [message.text for message in state["messages"]]


def test_a_conversation_is_called_by_the_beginning_of_its_first_question(conversations):
    conversations.touch("a", "What is\n  LoRA?")
    conversations.touch("a", "And QLoRA?")
    conversations.touch("b", "长" * 100)
    titles = {entry.id: entry.title for entry in conversations.all()}
    assert titles["a"] == "What is LoRA?"
    assert titles["b"] == "长" * (TITLE_LENGTH - 1) + "…"


def test_the_one_last_spoken_in_stands_first(conversations):
    for name in ("a", "b", "a"):
        conversations.touch(name, "?")
    assert [entry.id for entry in conversations.all()] == ["a", "b"]


def test_conversations_do_not_mix_and_survive_a_restart(conversations, tmp_path):
    say(conversations, "a", "one")
    say(conversations, "b", "two")
    conversations.close()
    again = Conversations(tmp_path / "conversations.sqlite")
    assert say(again, "a", "three") == ["one", "one", "three", "three"]
    assert {entry.id for entry in again.all()} == {"a", "b"}
    again.close()


def test_a_thumb_can_be_given_turned_and_taken_back(conversations):
    conversations.rate("a", "m1", True)
    conversations.rate("a", "m2", False)
    conversations.rate("b", "m1", False)
    assert conversations.ratings("a") == {"m1": True, "m2": False}
    conversations.rate("a", "m1", False)
    conversations.rate("a", "m2", None)
    assert conversations.ratings("a") == {"m1": False}
    assert conversations.ratings("b") == {"m1": False}


def test_a_deleted_conversation_leaves_nothing_in_the_file(conversations, tmp_path):
    say(conversations, "a", "a secret question")
    say(conversations, "b", "two")
    conversations.rate("a", "m", True)
    conversations.delete("a")
    conversations.delete("never there")
    assert [entry.id for entry in conversations.all()] == ["b"]
    assert conversations.ratings("a") == {}
    with sqlite3.connect(tmp_path / "conversations.sqlite") as connection:
        for table in ("checkpoints", "writes"):
            assert connection.execute(f"SELECT count(*) FROM {table} WHERE thread_id = 'a'").fetchone() == (0,)
    assert say(conversations, "b", "three") == ["two", "two", "three", "three"]


def test_many_threads_write_at_once_and_nothing_is_lost(conversations):
    errors = []

    def work(name: str) -> None:
        try:
            for number in range(MANY):
                say(conversations, name, f"{name}{number}")
                conversations.rate(name, str(number), True)
        except sqlite3.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for name in "abcd":
        assert len(conversations.ratings(name)) == MANY
        assert say(conversations, name, "end")[: 2 * MANY : 2] == [f"{name}{number}" for number in range(MANY)]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_conversations import Conversations, say
ready = sys.stdin.readline()
conversations = Conversations(Path(sys.argv[2]))
for number in range(int(sys.argv[4])):
    say(conversations, sys.argv[3], f"{sys.argv[3]}{number}")
conversations.close()
"""


def test_processes_may_make_the_file_and_write_to_it_at_once(tmp_path):
    file = tmp_path / "conversations.sqlite"
    arguments = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(file)]
    writers = [
        subprocess.Popen([*arguments, name, str(MANY)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.communicate(timeout=120)[1] == ""
        assert writer.returncode == 0
    conversations = Conversations(file)
    for name in "ab":
        assert len(say(conversations, name, "end")) == 2 * MANY + 2
    conversations.close()


def test_opening_waits_for_another_process_that_is_just_making_the_file(tmp_path):
    file = tmp_path / "conversations.sqlite"
    with sqlite3.connect(file, check_same_thread=False, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, other.execute, ("ROLLBACK",)).start()
        Conversations(file).close()


def test_a_file_that_is_no_memory_is_named(tmp_path):
    file = tmp_path / "conversations.sqlite"
    file.write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(AssistantError, match=r"conversations\.sqlite cannot be opened: file is not a database; move"):
        Conversations(file)
