"""Every built-in tool is held to it: what it writes was in the arguments that somebody could approve.

Whatever files a call leaves are read for their words, and each word must stand in the arguments as they were fitted
before the call. A new tool needs an example here, and a new kind of file somebody who reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

from engine.tools import Tool, ToolContext, load_registry

JOB = {
    "id": "ref-77",
    "title": "Gärtner für Rosen",
    "company": "Park & Söhne",
    "apply_to": "jobs@park.example",
    "url": "https://park.example/jobs/77",
    "skills": ["Rosen"],
}
CV = {
    "basics": {"name": "Ann Ötter", "email": "ann@otter.example", "label": "Gardener", "summary": "Plants things."},
    "work": [{"name": "Hedge Ltd", "position": "Cutter", "startDate": "2020-01", "highlights": ["Cut hedges."]}],
    "skills": [{"name": "Rosen", "keywords": ["pruning"]}],
}
MAIL = {
    "markdown": "# Somebody\n",
    "cover_letter": "Hello there,\nhere I am.\n",
    "sender": {"name": "A. Ö.", "address": "a@bücher.example"},
    "recipient": {"address": "boss@park.example"},
    "subject": "About the roses",
    "file_names": {"markdown": "one.md", "resume": "two.json"},
}
EVENT = {"title": "Gym & sauna", "starts": ["2026-03-02T18:00:00", "2026-03-04T18:00:00+01:00"]}
MORE = {
    "location": "Hall 3; north",
    "description": "Bring\nwater, towel",
    "repeat": "WEEKLY",
    "repeat_until": "2026-05-01",
}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "calendar_create": [EVENT, {**EVENT, **MORE}],
    "cv_tailor": [{"job": JOB}, {"job": JOB, "resume": CV}],
    "grocery_plan": [{}, {"people": 3, "days": 2, "diet": "vegan"}],
    "job_search": [{"query": "backend"}],
    "job_submit": [{"job": JOB, "resume": CV}, {"job": JOB, "resume": CV, **MAIL}],
}
REGISTRY = load_registry()


@pytest.mark.parametrize("name", REGISTRY.names)
async def test_what_a_tool_writes_was_in_its_arguments(tmp_path, name):
    assert name in EXAMPLES, f"{name} is new: give an example of its arguments, and look at what it writes"
    for number, example in enumerate(EXAMPLES[name]):
        tool, folder = _tool(name), tmp_path / str(number)
        folder.mkdir()
        approved = tool.fit(example)

        await tool.call(ToolContext("key", "run_1", "step_1", 1, "user_1", name, folder), approved)

        said = words(" ".join(leaves(approved)))
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            for text in texts_in(path):
                assert words(text) <= said, f"{path.name} says what nobody approved: {text!r}"


async def test_this_would_find_what_a_tool_adds(tmp_path):
    tool = _tool("job_submit")
    approved = tool.fit(EXAMPLES["job_submit"][0])

    await tool.call(ToolContext("key", "run_1", "step_1", 1, "user_1", "job_submit", tmp_path), approved)

    for unsaid in ("subject", "cover_letter", "markdown"):
        said = words(" ".join(leaves({**approved, unsaid: None})))
        assert not all(words(text) <= said for text in texts_in(next(tmp_path.rglob("*.eml")))), unsaid


def _tool(name: str) -> Tool:
    found = REGISTRY.get(name)
    assert found is not None
    return found


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def leaves(value: object) -> Iterator[str]:
    """All texts and numbers in a value, not its names."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)


def texts_in(path: Path) -> Iterator[str]:
    """What a file tells: without what any file of its form has, and ids, places and times made of the call itself."""
    if path.name.endswith(".lock"):
        assert path.read_bytes() == b""
    elif path.name == "calendar.token" or path.parent.name == "feeds":
        pass  # the secret address of somebody's own calendar, and whose it is
    else:
        yield from READERS[path.suffix](path.read_bytes())


def _of_mail(content: bytes) -> Iterator[str]:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    for name, value in message.items():
        match name.lower():
            case "message-id" | "date" | "mime-version" | "content-type":
                pass  # when and as what it was sent; its parts are read below
            case "from" | "to":
                for each in value.addresses:
                    yield f"{each.display_name} {each.username} {each.domain.encode('ascii').decode('idna')}"
            case _:
                yield value
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            yield part.get_filename() or ""
            yield from _of_json(content) if part.get_content_subtype() == "json" else [content.decode()]


def _of_json(content: bytes) -> Iterator[str]:
    value = json.loads(content)
    if isinstance(value, dict) and "message_id" in value:  # the receipt, which says where the rest lies
        value = {key: inner for key, inner in value.items() if key not in ("message_id", "package", "submitted")}
    yield from leaves(value)


def _of_calendar(content: bytes) -> Iterator[str]:
    calendar: Any = Calendar.from_ical(content)
    assert set(calendar) <= {"PRODID", "VERSION", "X-WR-CALNAME"}
    for event in calendar.walk("VEVENT"):
        for name, value in event.items():
            if name not in ("UID", "DTSTAMP", "DTSTART", "DTEND", "RRULE"):  # times are held by the tool's own tests
                yield str(value)


READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    ".eml": _of_mail,
    ".json": _of_json,
    ".ics": _of_calendar,
    ".md": lambda content: iter([content.decode()]),
    ".txt": lambda content: iter([content.decode()]),
}
