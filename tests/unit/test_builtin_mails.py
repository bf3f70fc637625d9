"""Mails whose texts are anybody's: read back by two parsers, they say what was meant and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.tools.builtin import mails
from engine.tools.builtin.addresses import Mailbox, in_ascii
from engine.tools.builtin.mails import Attachment, Mail, ReadsDifferently, check, written

HEADERS = ["content-type", "date", "from", "message-id", "mime-version", "subject", "to"]
BCC = "=?utf-8?q?Engineer=0D=0ABcc=3A_evil=40evil=2Eexample=0D=0AX-Rest=3A?= x"
ENDS_HEADERS = "=?utf-8?q?Engineer=0D=0A=0D=0AHello?= x"
ADDS_A_RECIPIENT = "=?utf-8?q?evil=40evil=2Eexample=2C?= Acme"
LONG = "Acme Consulting, evil@evil.example, Worldwide Headquarters and Subsidiaries, Limited"
MAIL = Mail(
    message_id="<1@lifeos.invalid>",
    date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    sender=Mailbox(name="Ann", address="ann@otter.example"),
    recipient=Mailbox(name="Park", address="jobs@park.example"),
    subject="Hello",
    text="Dear Park,\n",
    attachments=[
        Attachment("cv.md", "text/markdown", "# Änn\n".encode()),
        Attachment("cv.json", "application/json", b"{}"),
    ],
)

SIGNS = ["=?utf-8?q?", "=?utf-8?b?", "=0D=0A", "?=", "=?", "=", "?", *",;:<>()@\"\\'"]
WORDS = [
    " ",
    "  ",
    "evil@evil.example",
    "Bcc:",
    "Á",
    "ñ",
    "日本",
    "🦊",
    "e\u0301",
    "\u00a0",
    "\u200b",
    "\u202e",
    "Acme ",
]
pieces = st.sampled_from(SIGNS + WORDS)
printable = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
lines = st.one_of(
    st.lists(pieces, min_size=1, max_size=30).map("".join), st.text(printable, min_size=1, max_size=120)
).map(lambda text: text[:200])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300)
local_parts = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20})?", fullmatch=True)
domains = st.sampled_from(["otter.example", "bücher.example", "xn--bcher-kva.example", "日本.example", "a.b.c.example"])
addresses = st.builds("{}@{}".format, local_parts.filter(lambda local: "=?" not in local), domains)
mailboxes = st.builds(Mailbox, name=st.none() | lines, address=addresses)


def without_blanks(text: str) -> str:
    return re.sub(r"\s", "", text)


def with_one_end(text: str) -> str:
    """The text with each line's end as Python writes it, the last one's too."""
    lines = re.sub(r"\r\n|\r", "\n", text)
    return lines if lines.endswith("\n") else f"{lines}\n"


def read_by_the_old_parser(mail: Mail, content: bytes) -> None:
    message = message_from_bytes(content)
    assert sorted(name.lower() for name in message) == HEADERS
    for name, mailbox in (("From", mail.sender), ("To", mail.recipient)):
        read = [(str(make_header(decode_header(text))), address) for text, address in getaddresses([message[name]])]
        assert read == [(mailbox.name or "", in_ascii(mailbox.address))]
    assert str(make_header(decode_header(message["Subject"]))) == mail.subject


def read_by_the_new_parser(mail: Mail, content: bytes) -> None:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    assert sorted(name.lower() for name in message) == HEADERS
    for name, mailbox in (("From", mail.sender), ("To", mail.recipient)):
        [read] = message[name].addresses
        assert read.addr_spec == in_ascii(mailbox.address)
        # Before 3.13 it keeps the blanks between encoded words, which are not part of the name.
        assert without_blanks(read.display_name) == without_blanks(mailbox.name or "")
    assert str(message["Subject"]) == mail.subject
    body = message.get_body()
    assert body is not None
    assert with_one_end(body.get_content()) == with_one_end(mail.text)
    files = [(each.get_filename(), each.get_payload(decode=True)) for each in message.iter_attachments()]
    assert files == [(each.name, each.content) for each in mail.attachments]


@given(mailboxes, mailboxes, lines, texts, texts)
@example(Mailbox(address="a@otter.example"), Mailbox(address="a@otter.example"), BCC, "", "")
@example(Mailbox(address="a@otter.example"), Mailbox(address="a@otter.example"), ENDS_HEADERS, "", "")
@example(Mailbox(name=LONG, address="a@otter.example"), Mailbox(name=LONG, address="a@otter.example"), LONG, "", "")
@example(
    Mailbox(name=BCC, address="a@otter.example"), Mailbox(name=ADDS_A_RECIPIENT, address="a@otter.example"), "x", "", ""
)
@example(
    Mailbox(name="Ángel,Núñez", address="a@otter.example"), Mailbox(address="a@otter.example"), "Ángel,Núñez", "", ""
)
def test_a_mail_says_what_was_meant_whatever_that_is(sender, recipient, subject, text, file):
    attachments = [
        Attachment("cv.md", "text/markdown", file.encode()),
        Attachment("cv.json", "application/json", b"{}"),
    ]
    mail = replace(MAIL, sender=sender, recipient=recipient, subject=subject, text=text, attachments=attachments)

    content = written(mail)

    read_by_the_old_parser(mail, content)
    read_by_the_new_parser(mail, content)
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) < 998
    assert b"\n" not in content.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "change",
    [
        (b"To: ", b"Bcc: evil@evil.example\r\nTo: "),
        (b"To: ", b"To: evil@evil.example, "),
        (b"Subject: Hello", b"Subject: =?utf-8?q?Hello=0D=0ABcc=3A_e=40evil=2Eexample?="),
        (b"Subject: Hello", b"Subject: Hallo"),
        (b"Subject: Hello", b"\r\nSubject: Hello"),
        (b'"Ann" <ann@otter.example>', b"ann@otter.example"),
        (b'"Ann"', b"Ann, evil"),
        (b"ann@otter.example", b"ann@evil.example"),
        (b"Dear Park,", b"Dear Bark,"),
        (b'filename="cv.json"', b'filename="cv.exe"'),
        (b"e30=", b"e30K"),
        (b"text/markdown", b"text/html"),
    ],
)
def test_a_mail_that_says_anything_else_is_found_out(change):
    content = written(MAIL)
    assert change[0] in content

    with pytest.raises(ReadsDifferently):
        check(MAIL, content.replace(*change, 1))


def test_it_is_looked_at_before_it_leaves(monkeypatch):
    monkeypatch.setattr(mails, "_literal", lambda text: "Hallo")

    with pytest.raises(ReadsDifferently, match="the subject would read 'Hallo' instead of 'Hello'"):
        written(MAIL)
