"""Facts that a user asked to remember: "Remember that I am in Hamburg", "记住我在汉堡".

They are in LangGraph's ``SqliteStore``, one namespace a user. Nothing is remembered that was not said in this form.
"""

import re
import time
import uuid
from dataclasses import dataclass

from langgraph.store.base import BaseStore

from assistant.errors import AssistantError

LONGEST_FACT = 300
"""Characters. Chosen."""
MOST_FACTS = 30
"""Facts of one user; all of them are in every prompt. Chosen."""

_REQUEST = re.compile(
    r"(?:please,? )?remember(?: that\b|:)\s*(?P<en>.+)|请?(?:你|帮我)?记住(?!了)[:：,，]?\s*(?P<zh>.+)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Fact:
    """A fact about a user."""

    id: str
    text: str


def fact_to_remember(message: str) -> str | None:
    """What a message asks to remember; None for any other message, also for a question."""
    said = message.strip()
    found = _REQUEST.fullmatch(said)
    if not found or said.endswith(("?", "？")):
        return None
    return " ".join((found["en"] or found["zh"]).split())


class UserFacts:
    """The facts of all users in a store."""

    def __init__(self, store: BaseStore):
        self.store = store

    def all(self, user: str) -> list[Fact]:
        """The facts of a user, oldest first."""
        found = self.store.search(_namespace(user), limit=MOST_FACTS)
        found.sort(key=lambda item: item.value["added"])  # the store's own time has whole seconds
        return [Fact(item.key, item.value["text"]) for item in found]

    def add(self, user: str, text: str) -> Fact:
        """Remember a fact; the same text is stored once."""
        text = _checked(text)
        known = self.all(user)
        if same := [fact for fact in known if fact.text == text]:
            return same[0]
        if len(known) >= MOST_FACTS:
            raise AssistantError(f"{MOST_FACTS} facts are remembered already; delete one first.")
        fact = Fact(uuid.uuid4().hex[:8], text)
        self.store.put(_namespace(user), fact.id, {"text": text, "added": time.time()})
        return fact

    def correct(self, user: str, fact: str, text: str) -> None:
        """Replace the text of a fact, named by its id."""
        self._require(user, fact)
        item = self.store.get(_namespace(user), fact)
        assert item is not None
        self.store.put(_namespace(user), fact, {**item.value, "text": _checked(text)})

    def delete(self, user: str, fact: str) -> None:
        """Forget a fact, named by its id."""
        self._require(user, fact)
        self.store.delete(_namespace(user), fact)

    def delete_all(self, user: str) -> None:
        """Forget all facts of a user."""
        for fact in self.all(user):
            self.store.delete(_namespace(user), fact.id)

    def _require(self, user: str, fact: str) -> None:
        if fact not in [known.id for known in self.all(user)]:
            raise AssistantError(f"there is no fact {fact!r} of the user {user!r}; list the facts for their ids.")


def _checked(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise AssistantError("the fact is empty; say what to remember.")
    if len(text) > LONGEST_FACT:
        raise AssistantError(f"the fact has {len(text)} characters, more than {LONGEST_FACT}; say it shorter.")
    return text


def _namespace(user: str) -> tuple[str, str]:
    """The namespace of a user; LangGraph separates its parts by dots."""
    if not user.strip():
        raise AssistantError("the name of the user is empty.")
    return "facts", user.replace("%", "%25").replace(".", "%2E")
