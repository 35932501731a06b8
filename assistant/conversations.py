"""Memory: stores conversations and ratings in one SQLite file, ``conversations.sqlite``.

The turns are LangGraph checkpoints (its tables ``checkpoints`` and ``writes``). Lorewright adds two small tables:
``conversations`` (id, title) and ``ratings``.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from assistant.errors import AssistantError

TITLE_LENGTH = 60
WAIT_SECONDS = 30
"""How long to wait while another process writes to the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    changed REAL NOT NULL
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
        give_up = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                connection = sqlite3.connect(path, check_same_thread=False, timeout=WAIT_SECONDS)
                self.saver = SqliteSaver(connection)
                self.saver.setup()
                connection.executescript(SCHEMA)
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

    def all(self) -> list[Conversation]:
        """All conversations, most recently used first."""
        return [Conversation(*row) for row in self._rows("SELECT id, title FROM conversations ORDER BY changed DESC")]

    def touch(self, conversation: str, question: str) -> None:
        """Record that a question was asked; the first one sets the conversation's title."""
        title = " ".join(question.split())
        if len(title) > TITLE_LENGTH:
            title = title[: TITLE_LENGTH - 1] + "…"
        self._rows(
            "INSERT INTO conversations VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET changed = excluded.changed",
            (conversation, title, time.time()),
        )

    def delete(self, conversation: str) -> None:
        """Delete a conversation, its turns and its ratings."""
        self.saver.delete_thread(conversation)
        self._rows("DELETE FROM ratings WHERE conversation = ?", (conversation,))
        self._rows("DELETE FROM conversations WHERE id = ?", (conversation,))

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

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple]:
        with self.saver.cursor() as cursor:
            return cursor.execute(sql, values).fetchall()
