"""Mail: the version of a text that has content is read, and subjects are decoded with their real encoding."""

import base64
from email.message import EmailMessage

import pytest
from document_samples import blocks, mail_sample, texts

from indexes.readers import read_document

HTML = ("html", "<p style='display:none'>Preheader</p><p>The party is on Friday.</p>")
CALENDAR = ("calendar", "BEGIN:VCALENDAR\nEND:VCALENDAR\n")


def mail(*forms: tuple[str, str]) -> bytes:
    message = EmailMessage()
    message["Subject"] = "Tea"
    message.make_alternative()
    for subtype, content in forms:
        message.add_alternative(content, subtype=subtype)
    return message.as_bytes()


@pytest.mark.parametrize(
    "forms",
    [
        [("plain", " \u00a0\n\n"), HTML],
        [HTML, CALENDAR],
        [("plain", "\n"), HTML, CALENDAR],
        [("plain", "The party is on Friday."), HTML],
    ],
)
def test_of_the_forms_of_a_text_one_that_says_something(forms: list[tuple[str, str]]) -> None:
    assert blocks("a.eml", mail(*forms)) == [(("Tea",), "The party is on Friday.")]


def test_a_blank_plain_form_gives_way_to_a_page_with_its_pictures() -> None:
    message = EmailMessage()
    message["Subject"] = "Tea"
    message.set_content(" \n")
    message.add_alternative(HTML[1], subtype="html")
    message.get_payload()[1].add_related(b"GIF89a", "image", "gif", cid="<a>")
    assert blocks("a.eml", message.as_bytes()) == [(("Tea",), "The party is on Friday.")]


def test_an_invitation_that_is_nothing_else_is_read() -> None:
    assert blocks("a.eml", mail(("plain", " "), CALENDAR)) == [(("Tea",), "BEGIN:VCALENDAR\nEND:VCALENDAR")]


def test_a_subject_with_characters_of_gbk_that_says_gb2312() -> None:
    word = base64.b64encode("朱镕基囍".encode("gb18030")).decode()
    data = f"Subject: Re: =?gb2312?B?{word}?=\nContent-Type: text/plain\n\nText.\n".encode()
    assert blocks("a.eml", data) == [(("Re: 朱镕基囍",), "Text.")]


def test_what_is_struck_out_in_a_mail_is_told() -> None:
    document = read_document("a.eml", mail(("html", "<p><s>At 7.</s> The party is at 8.</p>")))
    assert "At 7" not in document.text
    assert document.warning == "has struck-out text in 1 place, which was left out"


def test_the_plain_form_wins_and_attachments_are_named() -> None:
    document = read_document("a.eml", mail_sample())
    assert "in HTML" not in document.text
    assert document.warning == "has attachments, which were left out: 账单.pdf"


def test_a_stub_gives_way_to_the_form_that_says_something() -> None:
    def both(plain: str, page: str) -> list[str]:
        message = EmailMessage()
        message["Subject"] = "Club"
        message.set_content(plain)
        message.add_alternative(page, subtype="html")
        return texts("a.eml", message.as_bytes())

    page = "<h1>Regatta</h1><p>It starts on 17 May at 8:20 at the red jetty.</p><p>Entry costs 26 EUR.</p>"
    stub = "Your mail program cannot show this message. Open it in a browser."
    assert "It starts on 17 May at 8:20 at the red jetty." in both(stub, page)
    plain = "Regatta\n\nIt starts on 17 May at 8:20 at the red jetty.\n\nEntry costs 26 EUR."
    assert both(plain, page + "<p>Unsubscribe.</p>")[-1] == "Entry costs 26 EUR."


def test_the_heads_of_a_message_inside_of_another_are_read() -> None:
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"], inner["From"], inner["Date"] = "Keys", "ruth@b.example", "Mon, 4 May 2026 08:00:00 +0000"
    inner.set_content("The keys hang behind the door.")
    outer["Subject"] = "Fwd"
    outer.set_content("See below.")
    outer.add_attachment(inner)
    found = texts("a.eml", outer.as_bytes())
    assert "Subject: Keys\nFrom: ruth@b.example\nDate: Mon, 04 May 2026 08:00:00 +0000" in found
    assert "The keys hang behind the door." in found


def test_attached_documents_and_messages_are_read_under_their_names() -> None:
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"], inner["From"] = "Gate", "ruth@b.example"
    inner.set_content("<table><tr><td><p>The gate opens at nine.</p></td></tr></table>", subtype="html")
    outer["Subject"] = "Fwd"
    outer.set_content("See the files.")
    outer.add_attachment(b"Item,EUR,No\nPump,90,1\n", maintype="text", subtype="csv", filename="invoice.csv")
    outer.add_attachment(inner.as_bytes(), maintype="application", subtype="octet-stream", filename="gate.eml")
    outer.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename="x.bin")
    document = read_document("a.eml", outer.as_bytes())
    assert blocks("a.eml", outer.as_bytes())[1:] == [
        (("Fwd", "invoice.csv"), "Item: Pump; EUR: 90; No: 1"),
        (("Fwd", "gate.eml"), "Subject: Gate\nFrom: ruth@b.example"),
        (("Fwd", "gate.eml"), "The gate opens at nine."),
    ]
    assert document.warning == "has attachments, which were left out: x.bin"
