"""Mail: of several forms of a text the one that says something, and subjects in the encoding that they really have."""

import base64
from email.message import EmailMessage

import pytest
from document_samples import blocks, mail_sample

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


def test_the_plain_form_wins_and_attachments_are_named() -> None:
    document = read_document("a.eml", mail_sample())
    assert "in HTML" not in document.text
    assert document.warning == "has attachments, which were left out: 账单.pdf"
