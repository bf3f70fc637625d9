from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

from engine.tools import ArgsUnfit, Tool, ToolContext, ToolError, load_registry, plain
from engine.tools.builtin.calendars import calendar_by_token
from engine.values import fault_of

TOOL = load_registry().get("calendar_create")
assert TOOL is not None
CREATE: Tool = TOOL

GYM = {"title": "Gym", "starts": ["2026-03-02T18:00:00", "2026-03-04T18:00:00", "2026-03-06T18:00:00"]}


@pytest.fixture
def create(tmp_path) -> Callable[..., Any]:
    async def call(key: str = "key", user: str = "user_1", **args: Any) -> Any:
        ctx = ToolContext(key, "run_1", "step_1", 1, user, "tool", tmp_path)
        return await CREATE.call(ctx, CREATE.fit({**GYM, **args}))

    return call


def events_in(path: Path) -> list[Any]:
    calendar: Any = Calendar.from_ical(path.read_bytes())
    assert calendar["VERSION"] == "2.0"
    return list(calendar.walk("VEVENT"))


def token_in(result: Any) -> str:
    return result["feed"].removeprefix("/calendar/").removesuffix(".ics")


async def test_events_are_read_back_as_they_were_said(tmp_path, create):
    result = await create(location="Hall 3; north", description="Bring\nwater, towel", duration_minutes=45)

    events = events_in(tmp_path / result["calendar"])
    assert [event.decoded("DTSTART") for event in events] == list(map(datetime.fromisoformat, GYM["starts"]))
    assert all(event.decoded("DTEND") - event.decoded("DTSTART") == timedelta(minutes=45) for event in events)
    assert {str(event["SUMMARY"]) for event in events} == {"Gym"}
    assert str(events[0]["LOCATION"]) == "Hall 3; north"
    assert str(events[0]["DESCRIPTION"]) == "Bring\nwater, towel"
    assert [str(event["UID"]) for event in events] == [said["uid"] for said in result["events"]]
    assert result["events"][0]["start"] == "2026-03-02T18:00:00"
    assert result["events"][0]["end"] == "2026-03-02T18:45:00"
    assert fault_of(plain(result)) is None


async def test_a_time_with_an_offset_is_that_moment(tmp_path, create):
    result = await create(starts=["2026-03-02T18:00:00+05:30"])

    (event,) = events_in(tmp_path / result["calendar"])
    assert event.decoded("DTSTART") == datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
    assert result["events"][0]["start"] == "2026-03-02T18:00:00+05:30"


@pytest.mark.parametrize(
    ("start", "until"),
    [
        ("2026-03-02T18:00:00", datetime.fromisoformat("2026-03-31T23:59:59")),
        ("2026-03-02T18:00:00+01:00", datetime(2026, 3, 31, 22, 59, 59, tzinfo=UTC)),
    ],
)
async def test_a_repeated_event_has_a_rule_until_its_last_day(tmp_path, create, start, until):
    result = await create(starts=[start], repeat="WEEKLY", repeat_until="2026-03-31")

    (event,) = events_in(tmp_path / result["calendar"])
    assert event["RRULE"]["FREQ"] == ["WEEKLY"]
    assert event["RRULE"]["UNTIL"] == [until]


async def test_a_retry_changes_nothing(tmp_path, create):
    first = await create()
    before = (tmp_path / first["calendar"]).read_bytes()

    again = await create()

    assert again == first
    assert (tmp_path / first["calendar"]).read_bytes() == before


async def test_another_step_adds_and_what_was_there_is_kept_byte_for_byte(tmp_path, create):
    path = tmp_path / "users/user_1/calendar.ics"
    path.parent.mkdir(parents=True)
    mine = b"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:me\nX-MINE:kept  \nBEGIN:VEVENT\nUID:1\nSUMMARY:old\nEND:VEVENT\n"
    path.write_bytes(mine + b"END:VCALENDAR\n")

    await create("other", title="END:VCALENDAR")
    await create("another")

    assert path.read_bytes().startswith(mine)
    assert len(events_in(path)) == 7


async def test_steps_at_the_same_time_lose_no_event(tmp_path, create):
    results = await asyncio.gather(*(create(f"key {number}") for number in range(8)))

    uids = {event["uid"] for result in results for event in result["events"]}
    assert {str(event["UID"]) for event in events_in(tmp_path / "users/user_1/calendar.ics")} == uids
    assert len(uids) == 24
    assert len({result["feed"] for result in results}) == 1


async def test_a_broken_calendar_is_left_alone_with_a_clear_error(tmp_path, create):
    path = tmp_path / "users/user_1/calendar.ics"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a calendar")

    with pytest.raises(ToolError, match="no iCalendar file") as failed:
        await create()

    assert failed.value.retryable is False
    assert path.read_bytes() == b"not a calendar"


async def test_the_feeds_token_finds_the_calendar_and_is_nobody_elses(tmp_path, create):
    mine = await create()
    other = await create(user="user_2")

    assert calendar_by_token(tmp_path, token_in(mine)) == tmp_path / mine["calendar"]
    assert calendar_by_token(tmp_path, token_in(other)) == tmp_path / other["calendar"]
    assert len(token_in(mine)) == 43
    assert token_in(mine) != token_in(other)
    assert (await create("later"))["feed"] == mine["feed"]
    for name in ("calendar.token", "calendar.ics"):
        assert (tmp_path / "users/user_1" / name).stat().st_mode & 0o777 == 0o600
    assert token_in(mine) not in {path.name for path in tmp_path.rglob("*")}


@pytest.mark.parametrize("token", ["", "x", "../users/user_1", "A" * 43, "A" * 42 + "\n", "../" * 14 + "A", "é" * 43])
async def test_a_wrong_token_finds_nothing(tmp_path, create, token):
    await create()

    assert calendar_by_token(tmp_path, token) is None
    assert calendar_by_token(tmp_path / "nowhere", token) is None


async def test_removing_the_token_ends_the_old_address(tmp_path, create):
    old = token_in(await create())
    (tmp_path / "users/user_1/calendar.token").unlink()

    assert calendar_by_token(tmp_path, old) is None
    new = token_in(await create("later"))

    assert new != old
    assert calendar_by_token(tmp_path, old) is None
    assert calendar_by_token(tmp_path, new) is not None


async def test_an_address_whose_index_was_lost_works_again_after_the_next_event(tmp_path, create):
    token = token_in(await create())
    for feed in (tmp_path / "feeds").iterdir():
        feed.unlink()
    assert calendar_by_token(tmp_path, token) is None

    await create("later")

    assert calendar_by_token(tmp_path, token) is not None


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"repeat_until": "2026-12-31"}, "needs repeat"),
        ({"repeat": "DAILY", "repeat_until": "2026-03-03"}, "starts after 2026-03-03"),
        ({"starts": ["9999-12-31T23:59:00"]}, "beyond"),
        ({"starts": ["0001-01-01T00:00:00+10:00"]}, "beyond"),
    ],
)
async def test_times_that_make_no_sense_are_refused_for_good(create, args, says):
    with pytest.raises(ToolError, match=says) as failed:
        await create(**args)

    assert failed.value.retryable is False


@pytest.mark.parametrize(
    "args",
    [
        {"starts": []},
        {"starts": ["tomorrow"]},
        {"starts": [1767225600]},
        {"starts": ["1796000000"]},
        {"starts": ["2026-03-02T18:00:00", "-1796000000.5"]},
        {"repeat": "DAILY", "repeat_until": "1796000000"},
        {"repeat": "DAILY", "repeat_until": "0"},
        {"starts": ["2026-03-02T18:00:00"] * 367},
        {"duration_minutes": 0},
        {"repeat": "YEARLY"},
        {"title": ""},
        {"title": "x\ny"},
    ],
)
def test_unfit_arguments_are_refused(args):
    with pytest.raises(ArgsUnfit):
        CREATE.fit({**GYM, **args})
