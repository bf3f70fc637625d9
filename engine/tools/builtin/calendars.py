"""A user's calendar: one iCalendar file, to which events are added whole and once, and its secret address."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from icalendar import Calendar, Event

from engine.tools.builtin.folders import locked, make_private, read_own, write_whole
from engine.tools.errors import ToolError

CALENDAR: Final = "calendar.ics"

_TOKEN: Final = "calendar.token"  # noqa: S105 -- the name of a file
_TOKEN_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_FEEDS: Final = "feeds"
_END: Final = b"END:VCALENDAR"


def add_events(folder: Path, made: Callable[[bytes], Sequence[Event]]) -> Path:
    """Add what is not in the user's calendar yet, by UID, and return its file.

    `made` is given the file as it is, and nobody changes it before its events are in. What the file holds is kept
    byte for byte. Several steps may do so at once: they wait for each other.
    """
    path = folder / CALENDAR
    with locked(folder / f".{CALENDAR}.lock"):
        content = read_own(path) or _empty()
        end = content.rfind(_END)
        if end < 0:
            raise ToolError(f"{CALENDAR} is no iCalendar file: its {_END.decode()} is missing", retryable=False)
        events = made(content)
        known = set(re.findall(rb"^UID:([^\r\n]*)", content, re.MULTILINE))
        added = b"".join(event.to_ical() for event in events if str(event["UID"]).encode() not in known)
        if added:
            write_whole(path, content[:end] + added + content[end:])
    return path


def token_of(data_dir: Path, folder: Path) -> str:
    """The secret that the address of the user's calendar feed ends with: 256 random bits, made once.

    If the user removes the file that holds it, a new one is made, and the old address ends.
    """
    path = folder / _TOKEN
    with locked(folder / f".{_TOKEN}.lock"):
        kept = read_own(path)
        token = kept.decode("ascii", "replace").strip() if kept is not None else secrets.token_urlsafe(32)
        if not _TOKEN_FORM.match(token):
            raise ToolError(f"{_TOKEN} does not hold a token; remove it to get a new one", retryable=False)
        feed = _feed(data_dir, token)
        if not feed.exists():
            make_private(feed.parent)
            write_whole(feed, folder.name.encode())
        if kept is None:
            write_whole(path, token.encode())
    return token


def calendar_by_token(data_dir: Path, token: str) -> Path | None:
    """The calendar file whose feed has this token, or None.

    It is looked up by the token's hash, so neither a path nor the time taken tells anything of other tokens.
    """
    if not _TOKEN_FORM.match(token):
        return None
    try:
        user = _feed(data_dir, token).read_text()
        folder = data_dir / "users" / user
        current = (folder / _TOKEN).read_bytes().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    path = folder / CALENDAR
    return path if hmac.compare_digest(current, token.encode()) and path.is_file() else None


def _feed(data_dir: Path, token: str) -> Path:
    return data_dir / _FEEDS / hashlib.sha256(token.encode()).hexdigest()


def _empty() -> bytes:
    calendar: Any = Calendar()
    calendar.add("PRODID", "-//Life OS//Calendar//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("X-WR-CALNAME", "Life OS")
    return calendar.to_ical()
