"""The connector `job_submit`: writes the application, ready to be sent, into the user's outbox.

Everything of one application appears at once, by the renaming of a finished folder that is named after the
execution key: an attempt that died before that left nothing behind that counts, one that died after it has done it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Annotated, Any, Final, cast

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from engine.tools.builtin import phrases
from engine.tools.builtin.folders import keep, locked, make_private, relative, user_folder, write_whole
from engine.tools.builtin.postings import Address as EmailText
from engine.tools.builtin.postings import AddressedPosting
from engine.tools.builtin.resumes import Resume, as_json, as_markdown
from engine.tools.builtin.words import fold
from engine.tools.context import ToolContext
from engine.tools.declaration import tool

LongText = Annotated[str, Field(max_length=50_000)]

_RECEIPT: Final = "receipt.json"
_EMAIL: Final = TypeAdapter(EmailText)


@tool(risk="L3", idempotent=True, phrases=phrases.JOB_SUBMIT)
def job_submit(
    ctx: ToolContext,
    job: AddressedPosting,
    resume: Resume,
    markdown: LongText | None = None,
    cover_letter: LongText | None = None,
) -> dict[str, Any]:
    """Applies for a job: writes the e-mail to the posting's address, with the CV, into your outbox.

    Called again under the same execution key it answers the same and writes nothing.
    """
    outbox = user_folder(ctx) / "outbox"
    make_private(outbox)
    key = hashlib.sha256(ctx.execution_key.encode()).hexdigest()[:32]
    with locked(outbox / ".lock"):
        done = next(outbox.glob(f"[!.]*-{key}"), None)
        if done is not None:
            return cast("dict[str, Any]", orjson.loads((done / _RECEIPT).read_bytes()))
        for left in outbox.glob(f".{key}-*"):  # by an attempt that died: the lock is ours, so it is nobody's
            shutil.rmtree(left)
        package = outbox / f"{_slug(f'{job.company} {job.title}')}-{key}"
        receipt: dict[str, Any] = {
            "submitted": True,
            "job": {"id": job.id, "title": job.title, "company": job.company, "apply_to": job.apply_to},
            "package": relative(ctx, package),
            "message_id": f"<{key}@lifeos.invalid>",
        }
        message = _message(job, resume, markdown or as_markdown(resume), cover_letter, receipt["message_id"])
        contents = {
            "application.eml": message.as_bytes(),
            "resume.json": _pretty(as_json(resume)),
            "posting.json": _pretty(job.model_dump(mode="json", exclude_unset=True)),
            _RECEIPT: _pretty(receipt),
        }
        unfinished = outbox / f".{key}-{secrets.token_hex(4)}"
        make_private(unfinished)
        for name, content in contents.items():
            write_whole(unfinished / name, content)
        _appear(unfinished, package)
    ctx.log.info("application written", package=receipt["package"])
    return receipt


def _appear(unfinished: Path, package: Path) -> None:
    unfinished.rename(package)
    keep(package.parent)


def _message(
    job: AddressedPosting, resume: Resume, markdown: str, cover_letter: str | None, message_id: str
) -> EmailMessage:
    name = " ".join(resume.basics.name.split())
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = message_id
    message["Date"] = datetime.now(UTC)
    message["From"] = Address(name, addr_spec=_sender(resume))
    message["To"] = Address(job.company, addr_spec=job.apply_to)
    message["Subject"] = f"Application for {job.title}: {name}"
    message.set_content(cover_letter or _cover_letter(job, name))
    file_name = _slug(name)
    message.add_attachment(markdown, subtype="markdown", filename=f"{file_name}.md")
    message.add_attachment(
        _pretty(as_json(resume)), maintype="application", subtype="json", filename=f"{file_name}.json"
    )
    return message


def _sender(resume: Resume) -> str:
    """The applicant's address; one that can't exist (RFC 2606) if the CV has none that is usable."""
    try:
        return _EMAIL.validate_python(resume.basics.email)
    except ValidationError:
        return "no-address@lifeos.invalid"


def _cover_letter(job: AddressedPosting, name: str) -> str:
    where = f"\n{job.url}" if job.url else ""
    return (
        f"Dear {job.company},\n\n"
        f"I should like to apply for the position of {job.title} (reference {job.id}).{where}\n\n"
        f"My CV is attached, as text and as JSON Resume.\n\nKind regards\n{name}\n"
    )


def _pretty(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", fold(text)).strip("-")[:60].strip("-") or "application"
