"""Memory: stores conversations, ratings and facts about users in one SQLite file, ``conversations.sqlite``.

The turns are LangGraph checkpoints (its tables ``checkpoints`` and ``writes``), the facts are in LangGraph's
``SqliteStore`` (``store``, ``store_migrations``). Lorewright adds three small tables: ``conversations`` (id, title),
``owners`` (whose conversation it is) and ``ratings``.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from langchain_core.messages import message_to_dict
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.sqlite import SqliteStore

from assistant.errors import AssistantError
from assistant.user_facts import UserFacts

TITLE_LENGTH = 60
LOCAL_USER = "local"
"""The user of a domain on one's own machine; conversations of older files are theirs."""
WAIT_SECONDS = 30
"""How long to wait while another process writes to the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    changed REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS owners (
    conversation TEXT PRIMARY KEY,
    user TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ratings (
    conversation TEXT NOT NULL,
    message TEXT NOT NULL,
    good INTEGER NOT NULL,
    rated REAL NOT NULL,
    PRIMARY KEY (conversation, message)
);
"""


@dataclass(frozen=True)
class Conversation:
    """An entry in the list of conversations."""

    id: str
    title: str
    """The start of its first question."""


class Conversations:
    """The memory file of a domain; may be used from several threads and processes."""

    def __init__(self, path: Path):
        self.path = path
        give_up = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                connection = sqlite3.connect(path, check_same_thread=False, timeout=WAIT_SECONDS)
                self.saver = SqliteSaver(connection)
                self.saver.setup()
                connection.executescript(f"PRAGMA secure_delete = ON; {SCHEMA}")
                self.store = self._open_store()
                self.facts = UserFacts(self.store)
                return
            except sqlite3.DatabaseError as error:
                # If two processes create the file at once, SQLite reports "locked" to one of them without waiting.
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise AssistantError(
                        f"{path} cannot be opened: {error}; move the file away to start without conversations."
                    ) from None
                time.sleep(0.05)

    def close(self) -> None:
        self.saver.conn.close()
        self.store.conn.close()

    def all(self, user: str = LOCAL_USER) -> list[Conversation]:
        """The conversations of a user, most recently used first."""
        rows = self._rows(
            "SELECT id, title FROM conversations LEFT JOIN owners ON conversation = id WHERE coalesce(user, ?) = ? "
            "ORDER BY changed DESC",
            (LOCAL_USER, user),
        )
        return [Conversation(*row) for row in rows]

    def owner(self, conversation: str) -> str | None:
        """The user of a conversation; None if there is none of this name."""
        sql = "SELECT coalesce(user, ?) FROM conversations LEFT JOIN owners ON conversation = id WHERE id = ?"
        return next((user for (user,) in self._rows(sql, (LOCAL_USER, conversation))), None)

    @contextmanager
    def turn(self, conversation: str) -> Iterator[None]:
        """While one process adds a turn to a conversation, others wait, so that no turn is lost.

        A process that is killed frees the conversation. Raises :class:`AssistantError` after :data:`WAIT_SECONDS`.
        """
        lock = FileLock(self._lock(conversation), timeout=WAIT_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise AssistantError(
                f"the conversation {conversation!r} is answering another question; ask again when that has ended."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def touch(self, conversation: str, question: str, user: str = LOCAL_USER) -> None:
        """Record that a question was asked; the first one sets the conversation's title and user.

        Raises :class:`AssistantError` if the conversation belongs to another user.
        """
        if self.owner(conversation) not in (None, user):
            raise AssistantError(f"the conversation {conversation!r} belongs to another user; choose another name.")
        title = " ".join(question.split())
        if len(title) > TITLE_LENGTH:
            title = title[: TITLE_LENGTH - 1] + "…"
        self._rows(
            "INSERT INTO conversations VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET changed = excluded.changed",
            (conversation, title, time.time()),
        )
        if user != LOCAL_USER:
            self._rows("INSERT OR IGNORE INTO owners VALUES (?, ?)", (conversation, user))

    def delete(self, conversation: str) -> None:
        """Delete a conversation, its turns and its ratings."""
        self.saver.delete_thread(conversation)
        for table, column in (("ratings", "conversation"), ("owners", "conversation"), ("conversations", "id")):
            self._rows(f"DELETE FROM {table} WHERE {column} = ?", (conversation,))
        self._lock(conversation).unlink(missing_ok=True)

    def export(self, user: str) -> dict[str, Any]:
        """Everything that is stored of a user, as JSON values: facts, and conversations with messages and ratings."""
        conversations = []
        for entry in self.all(user):
            stored = self.saver.get({"configurable": {"thread_id": entry.id}})
            messages = stored["channel_values"].get("messages", []) if stored else []
            ratings = self.ratings(entry.id)
            written = [message_to_dict(message) for message in messages]
            conversations.append({"id": entry.id, "title": entry.title, "messages": written, "ratings": ratings})
        facts = [{"id": fact.id, "text": fact.text} for fact in self.facts.all(user)]
        return {"user": user, "facts": facts, "conversations": conversations}

    def delete_user(self, user: str) -> None:
        """Delete everything of a user, so that no byte of it stays in the file or in its write-ahead log.

        Raises :class:`AssistantError` if another process is reading the file: the deleted rows are then gone for every
        reader, but their bytes may stay until the command is repeated.
        """
        for entry in self.all(user):
            with self.turn(entry.id):
                self.delete(entry.id)
        self.facts.delete_all(user)
        with self.saver.lock:
            self.saver.conn.commit()
            try:
                self.saver.conn.execute("VACUUM")
                (busy, *_) = self.saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError:
                busy = True
        if busy:
            raise AssistantError(
                f"{self.path} is in use by another process, so that deleted bytes may stay in it; "
                "close the other programs that use this domain and delete again."
            )

    def rate(self, conversation: str, message: str, good: bool | None) -> None:
        """Store a thumb up (True) or down (False) for the answer with that message id; None removes the rating."""
        if good is None:
            self._rows("DELETE FROM ratings WHERE conversation = ? AND message = ?", (conversation, message))
        else:
            self._rows(
                "INSERT OR REPLACE INTO ratings VALUES (?, ?, ?, ?)", (conversation, message, int(good), time.time())
            )

    def ratings(self, conversation: str) -> dict[str, bool]:
        """The ratings of a conversation, by message id."""
        rows = self._rows("SELECT message, good FROM ratings WHERE conversation = ?", (conversation,))
        return {message: bool(good) for message, good in rows}

    def _open_store(self) -> SqliteStore:
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=WAIT_SECONDS, isolation_level=None)
        connection.execute("PRAGMA secure_delete = ON")
        store = SqliteStore(connection)
        with FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=WAIT_SECONDS):
            store.setup()  # its migrations are not made for two processes at once
        return store

    def _lock(self, conversation: str) -> Path:
        """A lock file beside the memory file; a name that a user chose never becomes a path."""
        return self.path.with_name(f"{self.path.name}.{hashlib.sha256(conversation.encode()).hexdigest()[:16]}.lock")

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple]:
        with self.saver.cursor() as cursor:
            return cursor.execute(sql, values).fetchall()
