"""E-mails whose every text is literal: written with each header encoded on purpose, and read back before they leave.

The standard library folds a header after it has looked for encodings in it, and so an encoded word in a title could
become a header of its own, and a name that lost its quotes a recipient.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import SMTP, compat32
from email.policy import default as modern
from email.utils import format_datetime, getaddresses
from typing import Any, Final, cast

from engine.tools.builtin.addresses import Mailbox, in_ascii

_POLICY: Final = SMTP.clone(cte_type="7bit")
_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_LONGEST_PLAIN: Final = 800
"""Characters of a header line: RFC 5322 allows 998, and what is not folded can't be folded wrongly."""
_BYTES_A_WORD: Final = 39
"""Of text in one encoded word, so that its line stays below 76 characters (RFC 2047)."""
_WORD: Final = re.compile(r"=\?")
_NEWLINE: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside the text; `kind` is its media type."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """All that one mail says."""

    message_id: str
    date: datetime
    sender: Mailbox
    recipient: Mailbox
    subject: str
    text: str
    attachments: Sequence[Attachment]


class ReadsDifferently(Exception):
    """A written mail does not say what it should."""


def written(mail: Mail) -> bytes:
    """The mail as it is sent. Raises ReadsDifferently rather than give back one that says anything else."""
    content = _encoded(mail)
    check(mail, content)
    return content


def check(mail: Mail, content: bytes) -> None:
    """Read a finished mail as two kinds of mail programs do, and compare. Raises ReadsDifferently."""
    for what, found, wanted in _readings(mail, content):
        if found != wanted:
            raise ReadsDifferently(f"{what} would read {found!r:.200} instead of {wanted!r:.200}")


def _encoded(mail: Mail) -> bytes:
    body = EmailMessage(policy=_POLICY)
    body.set_content(_of_lines(mail.text))
    for each in mail.attachments:
        main, _, sub = each.kind.partition("/")
        params = {"charset": "utf-8"} if main == "text" else None
        body.add_attachment(each.content, maintype=main, subtype=sub, filename=each.name, params=params)
    headers = {
        "Message-ID": mail.message_id,
        "Date": format_datetime(mail.date),
        "From": _mailbox(mail.sender),
        "To": _mailbox(mail.recipient),
        "Subject": _literal(mail.subject),
    }
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii") + body.as_bytes()


def _mailbox(mailbox: Mailbox) -> str:
    address = in_ascii(mailbox.address)
    if mailbox.name is None:
        return address
    if _is_plain(mailbox.name):
        quoted = re.sub(r'(["\\])', r"\\\1", mailbox.name)
        return f'"{quoted}" <{address}>'
    return f"{_words(mailbox.name)}\r\n <{address}>"


def _literal(text: str) -> str:
    return text if _is_plain(text) else _words(text)


def _is_plain(text: str) -> bool:
    return len(text) <= _LONGEST_PLAIN and _PLAIN.fullmatch(text) is not None and _WORD.search(text) is None


def _words(text: str) -> str:
    """The text as encoded words (RFC 2047), none of which splits a character; readers drop what is between them."""
    words: list[bytes] = [b""]
    for character in text:
        encoded = character.encode()
        if len(words[-1]) + len(encoded) > _BYTES_A_WORD:
            words.append(b"")
        words[-1] += encoded
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)


def _readings(mail: Mail, content: bytes) -> Iterator[tuple[str, object, object]]:
    """What is read, as it is found and as it should be."""
    old = BytesParser(policy=compat32).parsebytes(content)
    new = BytesParser(policy=modern).parsebytes(content)
    names = ["content-type", "date", "from", "message-id", "mime-version", "subject", "to"]
    yield "the headers", sorted(name.lower() for name in old), names
    yield "the headers", sorted(name.lower() for name in new), names
    for name, mailbox in (("From", mail.sender), ("To", mail.recipient)):
        address = in_ascii(mailbox.address)
        yield name, _mailboxes(old, name), [(mailbox.name or "", address)]
        yield name, [each.addr_spec for each in new[name].addresses], [address]
        # This parser may put blanks between the encoded words of a long name.
        shown = [_without_blanks(each.display_name) for each in new[name].addresses]
        yield name, shown, [_without_blanks(mailbox.name or "")]
    yield "the subject", str(make_header(decode_header(old["Subject"]))), mail.subject
    yield "the subject", str(new["Subject"]), mail.subject
    text, *files = _leaves(old)
    yield "the text", _of_lines(text[2].decode()), _of_lines(mail.text)
    yield "the attachments", files, [(each.name, each.kind, each.content) for each in mail.attachments]
    yield "the attachments", [each.get_filename() for each in new.iter_attachments()], [each[0] for each in files]


def _without_blanks(text: str) -> str:
    return "".join(text.split())


def _mailboxes(message: Message, name: str) -> list[tuple[str, str]]:
    found = getaddresses([str(each) for each in message.get_all(name, [])])
    return [(str(make_header(decode_header(display))), address) for display, address in found]


def _leaves(message: Message) -> list[tuple[str | None, str, bytes]]:
    """Name, kind and content of each part that holds no others."""
    leaves = [part for part in message.walk() if not part.is_multipart()]
    return [
        (part.get_filename(), part.get_content_type(), cast("Any", part.get_payload(decode=True)) or b"")
        for part in leaves
    ]


def _of_lines(text: str) -> str:
    """The text as a mail carries it: in lines, each with its end, whatever that is."""
    lines = _NEWLINE.sub("\n", text)
    return lines if lines.endswith("\n") else f"{lines}\n"
