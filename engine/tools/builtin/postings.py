"""Job postings: their form, the catalogue that is shipped, and a user's own."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError

from engine.tools.builtin.addresses import EmailAddress
from engine.tools.builtin.folders import decoded, read_own, shipped
from engine.tools.builtin.lines import Line
from engine.tools.errors import ToolError
from engine.tools.labels import Destination
from engine.values import dotted

Seniority = Literal["junior", "mid", "senior", "lead"]

Checked = TypeVar("Checked")

_WEB: Final = TypeAdapter(HttpUrl)
_BLANK: Final = re.compile(r"[\s\x00-\x1f\x7f]")


def _web_address(text: str) -> str:
    try:
        _WEB.validate_python(text)
    except ValidationError:
        pass
    else:
        if not _BLANK.search(text):
            return text
    raise ValueError("should be a web address: http:// or https://, a host, and no blanks")


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


WebAddress = Annotated[str, Field(max_length=2_000, json_schema_extra={"format": "uri"}), AfterValidator(_web_address)]
"""Where something is on the web, as it was written."""
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]
"""A day of the calendar, such as 2026-01-31."""


class Salary(BaseModel):
    """A year's pay, in the posting's own currency."""

    min: int = Field(ge=0, le=10**9)
    max: int = Field(ge=0, le=10**9)
    currency: str = Field(pattern="^[A-Z]{3}$")


class Posting(BaseModel):
    """One job on offer. More may be said of it than is read here, as a search does with its score."""

    model_config = ConfigDict(extra="allow")

    id: Line
    title: Line
    company: Line
    location: Line | None = None
    remote: bool = False
    category: Line | None = None
    seniority: Seniority | None = None
    salary: Salary | None = None
    skills: list[Line] = Field(default=[], max_length=100)
    description: str = Field(default="", max_length=20_000)
    url: WebAddress | None = None
    apply_to: EmailAddress | None = None
    posted_at: Day | None = None


class AddressedPosting(Posting):
    """A posting that says where applications go."""

    apply_to: Annotated[EmailAddress, Destination]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] -- narrower on purpose: these are values, nobody sets the field


OWN_FILE: Final = "jobs.json"
_POSTINGS: Final = TypeAdapter(list[Posting])


def postings_of(folder: Path) -> tuple[Posting, ...]:
    """The postings in the user's own `jobs.json`, or those that are shipped, if there is none."""
    own = read_own(folder / OWN_FILE)
    return _shipped() if own is None else tuple(checked(_POSTINGS, own, OWN_FILE))


def checked(adapter: TypeAdapter[Checked], content: bytes, name: str) -> Checked:
    """What a user's JSON file holds; ToolError, not retryable, names the first places that are wrong."""
    try:
        return adapter.validate_json(decoded(content), strict=True)
    except UnicodeDecodeError as error:
        raise ToolError(f"{name} is no text in UTF-8", retryable=False) from error
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(
            f"{dotted(fault['loc']) or 'the file'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in faults[:3]
        )
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise ToolError(f"{name} does not have the form it should: {said}{more}", retryable=False) from error


@cache
def _shipped() -> tuple[Posting, ...]:
    return tuple(_POSTINGS.validate_json(shipped("jobs.json"), strict=True))
