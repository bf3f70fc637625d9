"""The connector `job_submit`: writes the application, ready to be sent, into the user's outbox.

Everything of one application appears at once, by the renaming of a finished folder that is named after the
execution key: an attempt that died before that left nothing behind that counts, one that died after it has done it.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from engine.tools.builtin import phrases
from engine.tools.builtin.addresses import Mailbox
from engine.tools.builtin.applications import FileNames, composed, slug
from engine.tools.builtin.folders import keep, locked, make_private, relative, user_folder, write_whole
from engine.tools.builtin.lines import OfOneLine
from engine.tools.builtin.mails import Attachment, Mail, ReadsDifferently, written
from engine.tools.builtin.postings import AddressedPosting
from engine.tools.builtin.resumes import Resume, as_json
from engine.tools.context import ToolContext
from engine.tools.declaration import tool
from engine.tools.errors import ToolError
from engine.tools.labels import Destination

LongText = Annotated[str, Field(max_length=50_000)]

_RECEIPT: Final = "receipt.json"
_INCOMPLETE: Final = "the mail is not complete: its arguments must be fitted before they are called with"


class AppliedJob(TypedDict):
    """The posting that was applied for, in short."""

    id: str
    title: str
    company: str
    apply_to: str


class Receipt(TypedDict):
    """What was written, for whom, and where it is."""

    submitted: bool
    job: AppliedJob
    recipient: str
    package: str
    message_id: str


@tool(risk="L3", idempotent=True, phrases=phrases.JOB_SUBMIT, prepare=composed, outward=True)
def job_submit(
    ctx: ToolContext,
    job: AddressedPosting,
    resume: Resume,
    markdown: LongText | None = None,
    cover_letter: LongText | None = None,
    *,
    sender: Mailbox | None = None,
    recipient: Annotated[Mailbox, Destination] | None = None,
    subject: Annotated[OfOneLine, Field(max_length=500)] | None = None,
    file_names: FileNames | None = None,
) -> Receipt:
    """Applies for a job: writes the e-mail to the posting's address, with the CV, into your outbox.

    What is not given of the mail is composed from the posting and the CV before anybody is asked: `sender`,
    `recipient`, `subject`, `cover_letter`, the CV as text (`markdown`) and the attachments' names. The mail says what
    these say, and nothing else. Called again under the same execution key it answers the same and writes nothing.
    """
    if sender is None or recipient is None or subject is None or cover_letter is None or markdown is None:
        raise ToolError(_INCOMPLETE, retryable=False)
    if file_names is None:
        raise ToolError(_INCOMPLETE, retryable=False)
    outbox = user_folder(ctx) / "outbox"
    make_private(outbox)
    key = hashlib.sha256(ctx.execution_key.encode()).hexdigest()[:32]
    with locked(outbox / ".lock"):
        done = next(outbox.glob(f"[!.]*-{key}"), None)
        if done is not None:
            return cast("Receipt", orjson.loads((done / _RECEIPT).read_bytes()))
        for left in outbox.glob(f".{key}-*"):  # by an attempt that died: the lock is ours, so it is nobody's
            shutil.rmtree(left)
        package = outbox / f"{slug(f'{job.company} {job.title}')}-{key}"
        receipt: Receipt = {
            "submitted": True,
            "job": {"id": job.id, "title": job.title, "company": job.company, "apply_to": job.apply_to},
            "recipient": recipient.address,
            "package": relative(ctx, package),
            "message_id": f"<{key}@lifeos.invalid>",
        }
        cv = _pretty(as_json(resume))
        mail = Mail(
            message_id=receipt["message_id"],
            date=datetime.now(UTC),
            sender=sender,
            recipient=recipient,
            subject=subject,
            text=cover_letter,
            attachments=[
                Attachment(file_names.markdown, "text/markdown", markdown.encode()),
                Attachment(file_names.resume, "application/json", cv),
            ],
        )
        contents = {
            "application.eml": _message(mail),
            "resume.json": cv,
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


def _message(mail: Mail) -> bytes:
    try:
        return written(mail)
    except ReadsDifferently as error:
        raise ToolError(
            f"the mail would not say what was approved, so nothing was written: {error}", retryable=False
        ) from error


def _pretty(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
