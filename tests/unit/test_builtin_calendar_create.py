from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
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


def read_strictly(content: bytes) -> list[dict[str, str]]:
    """The texts of a file's events, by RFC 5545 alone: lines end with CRLF, and folded ones go on after a blank."""
    text = content.decode()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]", text)
    lines = text.replace("\r\n ", "").split("\r\n")
    assert "\r" not in "".join(lines)
    assert "\n" not in "".join(lines)
    assert all(len(line.encode()) <= 75 for line in content.decode().split("\r\n"))
    events: list[dict[str, str]] = []
    for line in lines:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            events.append({})
        elif name in {"SUMMARY", "LOCATION", "DESCRIPTION"}:
            assert not re.search(r"(?<!\\)(?:\\\\)*[;,]", value)
            events[-1][name] = re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value)
    return events


letters = st.one_of(st.sampled_from("\\\\\\nNrt;,:\"' ^=%"), st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")))
one_line = st.text(letters, min_size=1, max_size=120)
many_lines = st.text(st.one_of(letters, st.sampled_from("\n\t")), max_size=200)


@settings(deadline=None, max_examples=150)
@given(title=one_line, location=one_line, description=many_lines)
@example(title=r"Backup of D:\Notes", location=r"C:\new\\N", description="\\\\n\n\\n\\;\\,")
@example(title="END:VCALENDAR", location=" x ", description=" \n ")
def test_every_text_is_read_back_as_it_was_said(title, location, description):
    with TemporaryDirectory() as folder:
        ctx = ToolContext("key", "run_1", "step_1", 1, "user_1", "tool", Path(folder))
        args = {**GYM, "title": title, "location": location, "description": description, "starts": GYM["starts"][:1]}

        result = asyncio.run(CREATE.call(ctx, CREATE.fit(args)))

        content = (Path(folder) / result["calendar"]).read_bytes()
    (event,) = Calendar.from_ical(content).walk("VEVENT")
    (strict,) = read_strictly(content)
    said = {"SUMMARY": title, "LOCATION": location, "DESCRIPTION": description}
    said = {name: text for name, text in said.items() if text}
    assert {name: str(event[name]) for name in said} == said
    assert strict == said
    assert result["notes"] == []


@pytest.mark.parametrize("control", ["\x07", "\x1b", "\x7f", "\x00", "\x9b"])
async def test_a_control_character_is_left_out_of_the_file_and_named(tmp_path, create, control):
    result = await create(description=f"ring{control}{control} me\r\nat\u2028once")

    content = (tmp_path / result["calendar"]).read_bytes()
    assert {event["DESCRIPTION"] for event in read_strictly(content)} == {"ring me\nat\nonce"}
    assert result["notes"] == ["2 control characters of the description were left out"]
    with pytest.raises(ArgsUnfit):
        await create(title=f"ring{control}")
    with pytest.raises(ArgsUnfit):
        await create(location=f"ring{control}")


async def test_a_day_that_short_months_lack_is_said(create):
    monthly = {"repeat": "MONTHLY", "starts": ["2026-01-31T09:00:00"]}

    assert (await create("a", **monthly))["notes"] == ["months without a day 31 are skipped"]
    assert (await create("b", **monthly, repeat_until="2026-02-20"))["notes"] == []
    assert (await create("c", **monthly, repeat_until="2026-02-28"))["notes"] != []
    assert (await create("d", **{**monthly, "starts": ["2026-01-28T09:00:00"]}))["notes"] == []
    assert (await create("e", **{**monthly, "starts": ["2026-03-30T09:00:00"]}, repeat_until="2027-01-31"))[
        "notes"
    ] == []
    assert (await create("f", repeat="WEEKLY", starts=["2026-01-31T09:00:00"]))["notes"] == []


async def test_an_hour_that_the_zone_skips_is_said(tmp_path):
    async def notes(starts: list[str], **args: Any) -> list[str]:
        key = f"{starts} {args}"
        ctx = ToolContext(key, "run_1", "step_1", 1, "u", "tool", tmp_path, time_zone=ZoneInfo("Europe/Berlin"))
        return (await CREATE.call(ctx, CREATE.fit({"title": "Gym", "starts": starts, **args})))["notes"]

    skipped = "2027-03-28 has no 02:30, as clocks are put forward: it is 03:30 then"
    assert await notes(["2027-03-28T02:30:00"]) == [skipped]
    assert await notes(["2027-03-28T02:30:00+01:00"]) == []
    assert await notes(["2027-03-28T01:30:00", "2027-10-31T02:30:00"]) == []
    assert await notes(["2027-03-01T02:30:00"], repeat="DAILY") == [skipped]
    assert await notes(["2027-03-01T02:30:00"], repeat="DAILY", repeat_until="2027-03-27") == []
    assert await notes(["2027-02-28T02:30:00"], repeat="MONTHLY") == [skipped]


# ── what the calendar has already ──────────────────────────────────────────────────────────────────

WEDNESDAY = "2030-03-06T18:00:00+01:00"
WEEK = [WEDNESDAY, "2030-03-08T18:00:00+01:00", "2030-03-10T10:00:00+01:00"]
OTHERS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:me
BEGIN:VEVENT
UID:weekly
SUMMARY:Choir
DTSTART:20300102T170000Z
DTEND:20300102T183000Z
RRULE:FREQ=WEEKLY
EXDATE:20300313T170000Z
END:VEVENT
BEGIN:VEVENT
UID:all day
SUMMARY:Birthday
DTSTART;VALUE=DATE:20300308
END:VEVENT
BEGIN:VEVENT
UID:free
SUMMARY:Maybe
TRANSP:TRANSPARENT
DTSTART:20300308T170000Z
DTEND:20300308T180000Z
END:VEVENT
BEGIN:VEVENT
UID:odd
SUMMARY:no start
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def place(tmp_path) -> Callable[..., Any]:
    async def call(key: str, starts: list[str], **args: Any) -> Any:
        zone = ZoneInfo("Europe/Berlin")
        ctx = ToolContext(key, "run_1", "step_1", 1, "user_1", "tool", tmp_path, time_zone=zone)
        return await CREATE.call(ctx, CREATE.fit({"title": "Gym", "starts": starts, "avoid_conflicts": True, **args}))

    return call


def starts_in(result: Any) -> list[str]:
    return [event["start"] for event in result["events"]]


async def test_the_same_week_again_goes_to_other_days_of_it(place):
    first, second, third = [await place(key, WEEK) for key in ("one", "two", "three")]

    assert starts_in(first) == WEEK
    assert first["notes"] == []
    days = [[start[:10] for start in starts_in(result)] for result in (first, second, third)]
    assert sorted(days[0] + days[1]) == [f"2030-03-{day:02}" for day in range(5, 11)]
    assert len({*days[0], *days[1], *days[2]}) == 9
    assert len(second["notes"]) == 3
    assert (
        "2030-03-06 18:00 is taken in your calendar: Gym was put on Thursday, 2030-03-07 18:00 instead"
        in second["notes"]
    )


async def test_who_does_not_ask_for_it_gets_the_times_as_they_were_said(place):
    await place("one", WEEK)

    again = await place("two", WEEK, avoid_conflicts=False)

    assert starts_in(again) == WEEK
    assert again["notes"] == []


async def test_a_second_attempt_says_the_same_and_writes_nothing(tmp_path, place):
    await place("one", WEEK)
    second = await place("two", WEEK)
    before = (tmp_path / second["calendar"]).read_bytes()

    assert await place("two", WEEK) == second
    assert (tmp_path / second["calendar"]).read_bytes() == before


async def test_other_events_are_avoided_those_that_repeat_too(tmp_path, place):
    path = tmp_path / "users/user_1/calendar.ics"
    path.parent.mkdir(parents=True)
    path.write_bytes(OTHERS.encode())

    result = await place("one", [*WEEK, "2030-03-13T18:00:00+01:00"])

    assert starts_in(result) == ["2030-03-06T17:00:00+01:00", *WEEK[1:], "2030-03-13T18:00:00+01:00"]
    assert result["notes"] == [
        "2030-03-06 18:00 is taken in your calendar: Gym was put on Wednesday, 2030-03-06 17:00 instead"
    ]


async def test_an_event_that_only_touches_another_stays(place):
    await place("one", [WEDNESDAY], title="Choir")

    touching = ["2030-03-06T19:00:00+01:00", "2030-03-06T17:00:00+01:00"]
    assert starts_in(await place("two", touching)) == touching


async def test_an_hour_without_an_offset_is_meant_in_the_servers_zone(place):
    await place("one", [WEDNESDAY], title="Choir")

    result = await place("two", ["2030-03-06T18:30:00"])

    assert starts_in(result) == ["2030-03-06T19:00:00"]


async def test_a_move_over_summer_times_begin_keeps_the_hour(place):
    for day in range(25, 31):
        await place(f"day {day}", [f"2030-03-{day}T18:00:00+01:00"])

    (start,) = starts_in(await place("again", ["2030-03-30T18:00:00+01:00"]))

    assert start == "2030-03-31T18:00:00+02:00"


async def test_nothing_is_moved_into_the_past(place):
    now = datetime.now(UTC).replace(microsecond=0)
    soon = (now + timedelta(minutes=5)).isoformat()
    await place("one", [soon])

    (start,) = starts_in(await place("two", [soon]))

    assert datetime.fromisoformat(start) > now


async def test_what_has_no_free_time_near_it_stays_and_that_is_said(place):
    await place("month", ["2030-03-01T00:00:00+01:00"], title="Retreat", duration_minutes=7 * 24 * 60)
    for week in range(6):
        day = datetime(2030, 2, 18, tzinfo=UTC) + timedelta(weeks=week)
        await place(f"{week}", [day.isoformat()], title="Retreat", duration_minutes=7 * 24 * 60, avoid_conflicts=False)

    result = await place("gym", [WEDNESDAY])

    assert starts_in(result) == [WEDNESDAY]
    assert result["notes"] == ["2030-03-06 18:00 is taken in your calendar, and no time near it is free: Gym overlaps"]


async def test_steps_at_the_same_time_do_not_take_the_same_hour(place):
    results = await asyncio.gather(*(place(f"key {number}", [WEDNESDAY]) for number in range(6)))

    assert len({start for result in results for start in starts_in(result)}) == 6


async def test_whole_days_from_a_floating_midnight_are_all_day_events(tmp_path, create):
    result = await create(
        starts=["2026-12-20T00:00:00"], duration_minutes=2 * 1440, repeat="WEEKLY", repeat_until="2026-12-31"
    )

    (event,) = events_in(tmp_path / result["calendar"])
    assert event.decoded("DTSTART") == date(2026, 12, 20)
    assert event.decoded("DTEND") == date(2026, 12, 22)
    assert event["RRULE"].to_ical() == b"FREQ=WEEKLY;UNTIL=20261231"


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
        ({"starts": ["9999-12-31T23:59:00"], "avoid_conflicts": True}, "beyond"),
        ({"starts": ["0001-01-01T00:00:00+10:00"], "avoid_conflicts": True}, "beyond"),
        ({"repeat": "DAILY", "avoid_conflicts": True}, "can't be had with repeat"),
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
