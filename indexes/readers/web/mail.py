"""Read e-mail (.eml): the text under its subject, with sender, recipients and date; of two versions the plain one.

Attached documents follow under their names; a warning lists those that cannot be read. The plain version may be a stub
("open it in a browser"): if the HTML version has more, different text, that is read. A nested message is read below its
own headers.
"""

import email
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from pathlib import PurePath

from indexes.errors import IndexingError
from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.encodings import decode, superset
from indexes.readers.omissions import left_out
from indexes.readers.tables.table_text import one_line
from indexes.readers.web.html import append_html

_SHOWN = ("From", "To", "Cc", "Date")
_NAMED = 10
"""Maximum attachments that a warning lists."""
_MAX_HEAD = 5_000
"""Maximum characters of a header to decode: more encoded words than this would take too long."""


def read_mail(data: bytes) -> Extracted:
    """Blocks are paragraphs; a file without message headers is all text."""
    message = email.message_from_bytes(data)  # its older policy accepts any header
    builder = TextBuilder()
    subject = _head(message, "Subject")
    headings = (subject,) if subject else ()
    if subject:
        builder.add_title(subject)
    _add_heads(builder, message, headings)
    attachments = []
    not_read: Counter[str] = Counter()
    for part in _parts(message):
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                _add_heads(builder, inner[0], headings, ("Subject", *_SHOWN))
            continue
        name = _readable(part.get_filename() or "")
        read = _add_file(builder, part, name, headings, not_read) if name else part.get_content_maintype() == "text"
        if not read or not (name or _add(builder, part, headings, not_read)):
            attachments.append(name[:80] or part.get_content_type()[:80])
    more = f" and {len(attachments) - _NAMED} more" if len(attachments) > _NAMED else ""
    named = ", ".join(attachments[:_NAMED]) + more
    told = f"has attachments, which were left out: {named}" if attachments else ""
    return builder.extracted("; ".join(filter(None, [told, left_out(not_read)])))


def _add_heads(
    builder: TextBuilder, message: Message, headings: tuple[str, ...], names: tuple[str, ...] = _SHOWN
) -> None:
    builder.add_block([f"{name}: {value}" for name in names if (value := _head(message, name))], headings)


def _parts(message: Message) -> Iterator[Message]:
    """The parts with content, in order; of alternatives the plain one, else the last one, which is the richest.

    The plain one may be blank, and the last one may be a calendar entry.
    """
    if not message.is_multipart():
        yield message
        return
    inner = [part for part in message.get_payload() if isinstance(part, Message)]
    if message.get_content_type() == "multipart/alternative":
        plain = [part for part in inner if part.get_content_type() == "text/plain" and (_text(part) or "").strip()]
        rich = [part for part in inner if part.is_multipart() or part.get_content_type() == "text/html"]
        inner = rich[-1:] if plain and rich and _is_stub(plain[0], rich[-1]) else plain[:1] or rich[-1:] or inner[-1:]
    if message.get_content_type() == "message/rfc822":
        yield message
    for part in inner:
        yield from _parts(part)


def _is_stub(plain: Message, rich: Message) -> bool:
    """Whether the plain version is shorter and mostly has words that the HTML version lacks."""
    page = next((part for part in rich.walk() if part.get_content_type() == "text/html"), None)
    builder = TextBuilder()
    append_html(builder, ((_text(page) if page else None) or "").encode())
    shown, said = "".join(builder.parts), (_text(plain) or "")
    words = re.findall(r"\w+", said)
    return len(shown) > len(said) and 2 * sum(word in shown for word in words) < len(words)


def _add_file(
    builder: TextBuilder, part: Message, name: str, headings: tuple[str, ...], not_read: Counter[str]
) -> bool:
    """Append an attached document under its name; False if it cannot be read. An attached mail is read without its own
    attachments."""
    from indexes.readers import read_document

    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return False
    if name.lower().endswith(".eml"):
        inner = email.message_from_bytes(content)
        _add_heads(builder, inner, (*headings, name), ("Subject", *_SHOWN))
        texts = [text for text in _parts(inner) if text.get_content_maintype() == "text" and not text.get_filename()]
        added = [_add(builder, text, (*headings, name), not_read) for text in texts]
        return all(added)
    try:
        document = read_document(PurePath(name).name, content)
    except IndexingError:
        return False
    builder.add_document(document, (*headings, name))
    return bool(document.blocks)


def _add(builder: TextBuilder, part: Message, headings: tuple[str, ...], not_read: Counter[str]) -> bool:
    """Append a text; False if its encoding is not recognised. ``not_read`` counts what is left out."""
    text = _text(part)
    if text is None:
        return False
    if part.get_content_subtype() == "html":
        not_read.update(append_html(builder, text.encode(), headings))
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
    """Decode encoded words such as ``=?gbk?B?...?=``."""
    text = text[:_MAX_HEAD]
    with suppress(MessageError, LookupError, ValueError):  # undecodable text stays as it is
        text = str(make_header([(words, superset(charset)) for words, charset in decode_header(text)]))
    return one_line(text)
