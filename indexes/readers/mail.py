"""E-mail (.eml): the text below its subject, with who wrote to whom and when; of two forms the plain one.

Attachments and pictures are left out, a warning names them. Of a forwarded message the text is read, not its heads.
"""

import email
import re
from collections.abc import Iterator
from contextlib import suppress
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode, superset
from indexes.readers.html import append_html
from indexes.readers.tables import one_line

_SHOWN = ("From", "To", "Cc", "Date")
_NAMED = 10
"""Attachments that a warning names."""
_MAX_HEAD = 5_000
"""Characters of a head that are looked at: a head can hold more encoded words than anybody can wait for."""


def read_mail(data: bytes) -> Extracted:
    """Blocks are paragraphs; a file without the heads of a message is all text."""
    message = email.message_from_bytes(data)  # its older policy, which takes every head as it comes
    builder = TextBuilder()
    subject = _head(message, "Subject")
    headings = (subject,) if subject else ()
    if subject:
        builder.add_title(subject)
    builder.add_block([f"{name}: {value}" for name in _SHOWN if (value := _head(message, name))], headings)
    left_out = []
    for part in _parts(message):
        name = part.get_filename()
        kind = part.get_content_maintype()
        if name or kind != "text" or not _add(builder, part, headings):
            left_out.append(_readable(name or "")[:80] or part.get_content_type()[:80])
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    named = ", ".join(left_out[:_NAMED]) + more
    return builder.extracted(f"has attachments, which were left out: {named}" if left_out else "")


def _parts(message: Message) -> Iterator[Message]:
    """What holds content, in order; of the forms of one text the plain one, else the last, which is the richest.

    A plain one may be blank, and the last be an entry for a calendar.
    """
    if not message.is_multipart():
        yield message
        return
    inner = [part for part in message.get_payload() if isinstance(part, Message)]
    if message.get_content_type() == "multipart/alternative":
        plain = [part for part in inner if part.get_content_type() == "text/plain" and (_text(part) or "").strip()]
        rich = [part for part in inner if part.is_multipart() or part.get_content_type() == "text/html"]
        inner = plain[:1] or rich[-1:] or inner[-1:]
    for part in inner:
        yield from _parts(part)


def _add(builder: TextBuilder, part: Message, headings: tuple[str, ...]) -> bool:
    """Append a text; False where it is in an encoding that is not recognised."""
    text = _text(part)
    if text is None:
        return False
    if part.get_content_subtype() == "html":
        append_html(builder, text.encode(), headings)
    else:
        for paragraph in re.split(r"\n\s*\n", text):
            builder.add_block(paragraph.strip("\n").split("\n"), headings)
    return True


def _text(part: Message) -> str | None:
    content = part.get_payload(decode=True)
    try:
        return decode(content if isinstance(content, bytes) else b"", part.get_content_charset())
    except IndexingError:
        return None


def _head(message: Message, name: str) -> str:
    raw = next((str(value) for head, value in message.raw_items() if head.lower() == name.lower()), "")
    try:
        return _readable(decode(raw.encode("utf-8", "surrogateescape")))
    except IndexingError:
        return ""


def _readable(text: str) -> str:
    """What ``=?gbk?B?...?=`` stands for."""
    text = text[:_MAX_HEAD]
    with suppress(MessageError, LookupError, ValueError):  # then it stays as it is written
        text = str(make_header([(words, superset(charset)) for words, charset in decode_header(text)]))
    return one_line(text)
