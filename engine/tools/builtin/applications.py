"""What an application says, composed from a posting and a CV before anybody is asked about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from engine.tools.builtin.addresses import in_ascii, without_wrapping
from engine.tools.builtin.postings import AddressedPosting
from engine.tools.builtin.resumes import OWN_FILE, Resume, as_markdown
from engine.tools.builtin.words import fold
from engine.tools.errors import ArgsUnfit, Fault
from engine.tools.lenient import SECRET, with_unknowns

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

_COMPOSED: Final = ("sender", "recipient", "subject", "cover_letter", "markdown", "file_names")


class FileNames(BaseModel):
    """What the attached files are called: the CV as text, and as JSON Resume."""

    markdown: FileName
    resume: FileName


def composed(args: dict[str, Any]) -> Mapping[str, Any]:
    """The arguments of an application with all that its mail says; what is given stays as it is."""
    missing = [name for name in _COMPOSED if args[name] is None]
    if not missing:
        return args
    for source in ("job", "resume"):
        if with_unknowns(args[source], {SECRET})[1]:
            message = (
                f"holds a $secret, so {', '.join(missing)} can't be composed from it: give what the mail should say"
            )
            raise ArgsUnfit([Fault((source,), message)])
    job, resume = AddressedPosting.model_validate(args["job"]), Resume.model_validate(args["resume"])
    name = " ".join(resume.basics.name.split())
    made = {
        "sender": lambda: {"name": name or None, "address": _sender(resume)},
        "recipient": lambda: {"name": job.company, "address": job.apply_to},
        "subject": lambda: f"Application for {job.title}: {name}",
        "cover_letter": lambda: _cover_letter(job, name),
        "markdown": lambda: as_markdown(resume),
        "file_names": lambda: {"markdown": f"{slug(name)}.md", "resume": f"{slug(name)}.json"},
    }
    return {**args, **{each: made[each]() for each in missing}}


def slug(text: str) -> str:
    """The text as a part of a file's name: lower-case ASCII words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", fold(text)).strip("-")[:60].strip("-") or "application"


def _sender(resume: Resume) -> str:
    """The applicant's address; nothing is made up if the CV has none that answers could reach."""
    where = ("resume", "basics", "email")
    mend = f"write it into basics.email of your {OWN_FILE}, or give the sender: {{name, address}}"
    address = without_wrapping(resume.basics.email or "")
    if not address:
        raise ArgsUnfit([Fault(where, f"the CV has no address to send from: {mend}")])
    try:
        in_ascii(address)
    except ValueError as error:
        raise ArgsUnfit([Fault(where, f"{str(error).rstrip('.')}; the mail is sent from it: {mend}")]) from error
    return address


def _cover_letter(job: AddressedPosting, name: str) -> str:
    where = f"\n{job.url}" if job.url else ""
    return (
        f"Dear {job.company},\n\n"
        f"I should like to apply for the position of {job.title} (reference {job.id}).{where}\n\n"
        f"My CV is attached, as text and as JSON Resume.\n\nKind regards\n{name}\n"
    )
