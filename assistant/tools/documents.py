"""Tools that search, read and list the documents of the domain, all from its index."""

import difflib
import unicodedata
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated

from langchain_core.tools import BaseTool, ToolException
from langgraph.prebuilt import InjectedState
from pydantic import Field

from assistant.answering.pipeline import Asked, Found, find
from assistant.answering.refusal import Refusal
from assistant.chain import asked_in
from assistant.tools.results import make_tool, part_of
from indexes import Index

LISTED = 60
"""Maximum documents that are listed. Chosen."""


def search_tool(index: Index, refusal: Refusal) -> BaseTool:
    """A tool that searches the user's documents as the answering chain does.

    The model reads the text; the artifact of the tool message is a :class:`assistant.answering.pipeline.Found`.
    """

    def search_documents(query: str, messages: Annotated[list, InjectedState("messages")]) -> tuple[str, Found]:
        """Search the user's documents and return the passages that fit best, each with the place it stands in."""
        last = max((number for number, message in enumerate(messages) if message.type == "human"), default=None)
        before = asked_in(messages[: last + 1]) if last is not None else Asked(query)
        (found,) = find(index, refusal, [replace(before, question=query)])
        listed = "\n\n".join(f"[{n}] {p.document}, {p.place}\n{p.text}" for n, p in enumerate(found.shown, start=1))
        return listed or "Nothing was found.", replace(found, asked=before)

    return make_tool(search_documents, with_artifact=True)


def read_tool(index: Index) -> BaseTool:
    """A tool that reads a document part by part."""

    def read_document(
        name: Annotated[str, Field(max_length=300, description="Name of the document, for example tea.md.")],
        part: Annotated[int, Field(ge=1, le=10_000, description="Which part to read; 1 is the beginning.")] = 1,
    ) -> str:
        """Read the text of one of the user's documents. A long document has several parts."""
        found = document_of(index.documents(), name)
        return part_of(index.text(found), part, found)

    return make_tool(read_document)


def list_tool(index: Index) -> BaseTool:
    """A tool that lists the documents of the index."""

    def list_documents(
        filter: Annotated[str, Field(max_length=100, description="Only names with this text; empty for all.")] = "",
    ) -> str:
        """List the names of the user's documents."""
        names = [name for name in index.documents() if _folded(filter.strip()) in _folded(name)]
        if not names:
            raise ToolException(f"No document has {filter!r} in its name; list them all with an empty filter.")
        more = f"\n(and {len(names) - LISTED} more; use a filter)" if len(names) > LISTED else ""
        return f"{len(names)} document{'s' * (len(names) > 1)}:\n" + "\n".join(names[:LISTED]) + more

    return make_tool(list_documents)


def document_of(documents: list[str], name: str) -> str:
    """The document that a model means by ``name``: its path, or its file name with or without the suffix.

    Raises ``ToolException`` that names the nearest documents, or those that the name fits.
    """
    wanted = _folded(name.strip())
    fits: list[str] = []
    for form in (lambda path: path, lambda path: PurePosixPath(path).name, lambda path: PurePosixPath(path).stem):
        fits = [one for one in documents if _folded(form(one)) == wanted]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise ToolException(f"{name!r} is the name of several documents: {', '.join(fits[:5])}; give the path.")
    near = difflib.get_close_matches(wanted, [_folded(one) for one in documents], n=3, cutoff=0.3)
    shown = [one for one in documents if _folded(one) in near]
    hint = f"; did you mean {' or '.join(shown)}?" if shown else "; list the documents to see their names."
    raise ToolException(f"There is no document {name!r}{hint}")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
