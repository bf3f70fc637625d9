"""E-mail addresses: which can be written to, and how they stand in a mail. Nothing is looked up in the network."""

from __future__ import annotations

import re
from typing import Annotated, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, Field

from engine.tools.builtin.lines import Line

_MAILTO: Final = re.compile(r"\s*mailto:", re.IGNORECASE)


def in_ascii(address: str) -> str:
    """The address as mail servers know it: an internationalised domain in its ASCII form.

    Raises ValueError, with a text for people, for what is no address.
    """
    if _MAILTO.match(address):
        raise ValueError("should be the address alone, without mailto:")
    if address != address.strip():
        raise ValueError("should be the address alone, without blanks around it")
    if "=?" in address.partition("@")[0]:
        raise ValueError("should have no =? before the @-sign: mail programs take it for an encoding")
    try:
        found = validate_email(address, check_deliverability=False, allow_smtputf8=False).ascii_email
    except EmailNotValidError as error:
        raise ValueError(f"should be an e-mail address: {error}") from error
    assert found is not None  # without SMTPUTF8 there is always one
    return found


def without_wrapping(text: str) -> str:
    """A text out of somebody's file without what people put around addresses: blanks and mailto:."""
    return _MAILTO.sub("", text).strip()


def _checked(address: str) -> str:
    in_ascii(address)
    return address


EmailAddress = Annotated[str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_checked)]
"""An address that may be written to. It stays as it was written: its domain may be an internationalised one."""


class Mailbox(BaseModel):
    """Whom a mail is from, or for."""

    name: Line | None = None
    address: EmailAddress
