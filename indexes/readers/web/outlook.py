"""Read Outlook messages (.msg) with oxmsg like other mail: the plain text, or the HTML if that is empty."""

import io
from typing import Any

from indexes.readers.document import Extracted, TextBuilder
from indexes.readers.limits import DamagedError, damaged
from indexes.readers.omissions import left_out
from indexes.readers.tables.table_text import one_line
from indexes.readers.text.plain import divide_plain
from indexes.readers.web.html import append_html


def read_outlook(data: bytes) -> Extracted:
    """Blocks are paragraphs under the subject, after a block with sender, recipients and date."""
    from oxmsg import Message

    try:
        message = Message.load(io.BytesIO(data))
        subject = one_line(message.subject or "")
        heads = _heads(message)
        body, page, files = message.body or "", message.html_body or "", len(message.attachments)
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError) as error:
        raise damaged("Outlook message", DamagedError(str(error))) from None
    builder = TextBuilder()
    headings = (subject,) if subject else ()
    if subject:
        builder.add_title(subject)
    builder.add_block(heads, headings)
    if body.strip():
        document = divide_plain(body.replace("\r\n", "\n"))
        for block in document.blocks:
            builder.add_block(document.text[block.start : block.end].split("\n"), headings + block.headings)
    else:
        append_html(builder, page.encode(), headings)
    return builder.extracted(left_out({"attachments": files}))


def _heads(message: Any) -> list[str]:
    sent = message.sent_date
    to = ", ".join(f"{one.name} <{one.email_address}>" for one in message.recipients)
    heads = {"From": message.sender or "", "To": to, "Date": sent.isoformat(" ", "minutes") if sent else ""}
    return [f"{name}: {one_line(value)}" for name, value in heads.items() if value.strip()]
