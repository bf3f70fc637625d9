from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.planner import PlanningContext, Unplannable, plan
from engine.tools import load_registry

TOOLS = load_registry()
BERLIN = ZoneInfo("Europe/Berlin")

MONDAY_MORNING = datetime(2026, 11, 16, 8, 0, tzinfo=BERLIN)
SATURDAY_NOON = datetime(2026, 11, 21, 12, 40, tzinfo=BERLIN)
SUNDAY_EVENING = datetime(2026, 11, 22, 19, 15, tzinfo=BERLIN)
SUNDAY_NIGHT = datetime(2026, 11, 22, 22, 50, tzinfo=BERLIN)
NEW_YEARS_EVE = datetime(2026, 12, 31, 15, 0, tzinfo=BERLIN)
BEFORE_SUMMER_TIME = datetime(2027, 3, 27, 12, 0, tzinfo=BERLIN)


async def args_of(intent: str, now: datetime) -> dict[str, Any]:
    (step,) = (await plan(intent, TOOLS, PlanningContext(now))).steps
    return dict(step.args)


async def starts_of(intent: str, now: datetime) -> list[str]:
    """The starts as `Sun 22 20:00`, in the zone of now."""
    args = await args_of(intent, now)
    starts = [datetime.fromisoformat(start) for start in args["starts"]]
    return [f"{start:%a %d %H:%M}" for start in starts]


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        (MONDAY_MORNING, ["Mon 16 18:00", "Wed 18 18:00", "Sat 21 10:00"]),
        (SATURDAY_NOON, ["Sat 21 14:00", "Sun 22 10:00", "Thu 26 18:00"]),
        (SUNDAY_EVENING, ["Sun 22 20:00", "Wed 25 18:00", "Fri 27 18:00"]),
        (SUNDAY_NIGHT, ["Tue 24 18:00", "Thu 26 18:00", "Sat 28 10:00"]),
    ],
    ids=["on Monday", "on Saturday", "on Sunday evening", "on Sunday night"],
)
async def test_three_times_this_week_takes_what_is_left_of_it_and_spreads_the_rest(now, starts):
    assert await starts_of("schedule gym 3x this week", now) == starts


@pytest.mark.parametrize(
    ("now", "said", "remark"),
    [
        (MONDAY_MORNING, "gym 3x this week", ""),
        (SATURDAY_NOON, "gym 3x this week", " (1 of 3 next week, as only Saturday and Sunday of this week are left)"),
        (SUNDAY_EVENING, "gym 3x this week", " (2 of 3 next week, as only Sunday of this week is left)"),
        (SUNDAY_NIGHT, "gym 3x this week", " (3 of 3 next week, as nothing of this week is left)"),
        (SUNDAY_NIGHT, "gym 2x this weekend", " (2 of 2 after those days, as nothing of this weekend is left)"),
        (SUNDAY_NIGHT, "gym 3x next week", ""),
        (SUNDAY_NIGHT, "gym 3x", ""),
    ],
)
async def test_the_plan_says_what_lies_beyond_the_days_that_were_asked_for(now, said, remark):
    (step,) = (await plan(f"schedule {said}", TOOLS, PlanningContext(now))).steps

    assert step.name == f"Schedule gym {said[4]} times{remark}"


@pytest.mark.parametrize(
    ("said", "movable"),
    [
        ("gym 3x this week", True),
        ("gym 3x this week at 7am", True),
        ("gym this weekend", True),
        ("gym 2x a week next week", True),
        ("gym on Friday", False),
        ("gym on Friday at 7am", False),
        ("gym 3x a week", False),
        ("gym every day this week", False),
    ],
)
async def test_only_times_that_the_planner_chose_avoid_what_the_calendar_has(said, movable):
    args = await args_of(f"schedule {said}", MONDAY_MORNING)

    assert args.get("avoid_conflicts", False) is movable


@pytest.mark.parametrize(
    ("said", "starts"),
    [
        ("this week", ["Sun 22 20:00"]),
        ("next week", ["Mon 23 18:00"]),
        ("this weekend", ["Sun 22 20:00"]),
        ("next weekend", ["Sat 28 10:00"]),
        ("on Sunday", ["Sun 22 20:00"]),
        ("on Sunday at 10am", ["Sun 29 10:00"]),
        ("tonight", ["Sun 22 20:00"]),
        ("tonight at 9", ["Sun 22 21:00"]),
        ("next Sunday", ["Sun 29 10:00"]),
        ("on Monday", ["Mon 23 18:00"]),
        ("next Monday at 7am", ["Mon 23 07:00"]),
        ("in a week", ["Sun 29 10:00"]),
        ("the day after tomorrow at 5", ["Tue 24 17:00"]),
        ("every day this week", ["Sun 22 20:00"]),
        ("on the 22nd at 9pm", ["Sun 22 21:00"]),
        ("on the 21st at 9pm", ["Mon 21 21:00"]),
    ],
)
async def test_days_are_meant_from_now_on(said, starts):
    if said == "every day this week":
        with pytest.raises(Unplannable, match="nothing is left"):
            await starts_of(f"schedule gym {said}", SUNDAY_EVENING)
        return
    assert await starts_of(f"schedule gym {said}", SUNDAY_EVENING) == starts


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("today at 7pm", "already passed"),
        ("this week on Friday", "not within those days"),
        ("on 2026-11-22 at 18:00", "already passed"),
        ("on 2026-02-30", "no such date"),
        ("on Monday, November 24th", "no tool can do this|is a Tuesday"),
        ("tonight at 7am", "not in the evening"),
        ("tomorrow from 5pm to 9am", "ends before it begins"),
        ("tomorrow for 3000 minutes", "between a minute and a day"),
        ("tomorrow from 5pm to 6pm for 2 hours", "twice how long"),
        ("at 7am on Monday and on Tuesday at 8am and at 9am", "no tool|which time belongs"),
        ("8x today", "asks for 8 times"),
        ("0x this week", "asks for none"),
        ("twice a month", "name the days"),
        ("every day until yesterday", "no tool"),
        ("every Tuesday until tomorrow", "ends before it begins|already passed"),
    ],
)
async def test_what_can_not_be_or_is_not_clear_is_refused(said, why):
    with pytest.raises(Unplannable, match=why):
        await starts_of(f"schedule gym {said}", SUNDAY_EVENING)


async def test_today_late_at_night_has_nothing_left():
    with pytest.raises(Unplannable, match="nothing is left of that day"):
        await starts_of("schedule gym today", SUNDAY_NIGHT)


async def test_weeks_and_months_go_over_the_turn_of_the_year():
    assert await starts_of("schedule gym tomorrow", NEW_YEARS_EVE) == ["Fri 01 18:00"]
    assert (await args_of("schedule gym on January 2nd at 9am", NEW_YEARS_EVE))["starts"] == [
        "2027-01-02T09:00:00+01:00"
    ]
    assert (await args_of("schedule gym on February 29th at 9am", NEW_YEARS_EVE))["starts"] == [
        "2028-02-29T09:00:00+01:00"
    ]


async def test_a_time_that_summer_time_skips_moves_on_by_the_hour_that_is_missing():
    args = await args_of("schedule gym tomorrow at 2:30am", BEFORE_SUMMER_TIME)

    assert args["starts"] == ["2027-03-28T03:30:00+02:00"]


async def test_the_plan_says_which_hour_is_skipped_and_which_months():
    for said, remark in [
        ("tomorrow at 2:30am", " (02:30 is skipped by summer time on 2027-03-28)"),
        ("tomorrow at 3:30am", ""),
        ("on the 31st at 9am", ""),
    ]:
        (step,) = (await plan(f"schedule pills {said}", TOOLS, PlanningContext(BEFORE_SUMMER_TIME))).steps
        assert step.name == f"Schedule pills{remark}"
    (step,) = (await plan("schedule rent monthly on the 31st at 9am", TOOLS, PlanningContext(MONDAY_MORNING))).steps
    assert step.name == "Schedule rent monthly (months without a day 31 are skipped)"


async def test_what_comes_again_keeps_its_hour_through_summer_time():
    args = await args_of("schedule gym every Saturday at 5pm", BEFORE_SUMMER_TIME)

    assert args["starts"] == ["2027-03-27T17:00:00"]
    assert args["repeat"] == "WEEKLY"


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("America/Los_Angeles"), timezone(timedelta(hours=5, minutes=45))])
async def test_days_and_times_are_meant_in_the_contexts_zone(zone):
    now = datetime(2026, 11, 18, 23, 30, tzinfo=zone)

    args = await args_of("schedule gym tomorrow at 7am", now)

    start = datetime.fromisoformat(args["starts"][0])
    assert start.date() == date(2026, 11, 19)
    assert (start.hour, start.utcoffset()) == (7, zone.utcoffset(now))


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ("for 45 minutes", 45),
        ("for an hour", 60),
        ("for half an hour", 30),
        ("for an hour and a half", 90),
        ("for one and a half hours", 90),
        ("for 1.5 hours", 90),
        ("for 1 hour 15 minutes", 75),
        ("for 1h30", 90),
        ("for 2h", 120),
        ("for two hours and a quarter", 135),
        ("from 9 to 10:30", 90),
        ("9-10:30", 90),
        ("9am-5pm", 480),
        ("between 14:00 and 15:45", 105),
        ("from 11 to 1", 120),
        ("from 2 to 4pm", 120),
        ("from 9 to 11am", 120),
        ("14:00–15:30", 90),
        ("from 10pm to 6am", 480),
    ],
)
async def test_lengths_are_read(said, length):
    assert (await args_of(f"schedule work tomorrow {said}", MONDAY_MORNING))["duration_minutes"] == length


@pytest.mark.parametrize(
    ("said", "clock"),
    [
        ("at 7", "07:00"),
        ("at 6", "18:00"),
        ("at 12", "12:00"),
        ("at 7am", "07:00"),
        ("at 7 a.m.", "07:00"),
        ("at 12am", "00:00"),
        ("at 12:15 pm", "12:15"),
        ("at 18:30", "18:30"),
        ("at 6.30pm", "18:30"),
        ("at 7 in the evening", "19:00"),
        ("in the evening", "19:00"),
        ("in the evening at 8", "20:00"),
        ("morning at 6", "06:00"),
        ("at noon", "12:00"),
        ("at eight", "08:00"),
        ("at 8 o'clock", "08:00"),
        ("at quarter past 5", "17:15"),
        ("at a quarter to 7pm", "18:45"),
        ("at half past seven", "07:30"),
        ("at night", "21:00"),
    ],
)
async def test_times_of_day_are_read(said, clock):
    (start,) = await starts_of(f"schedule gym tomorrow {said}", MONDAY_MORNING)

    assert start == f"Tue 17 {clock}"


@pytest.mark.parametrize(
    ("said", "repeat", "until"),
    [
        ("every day", "DAILY", None),
        ("every night for 2 weeks", "DAILY", "2026-11-29"),
        ("each Tuesday at 7pm", "WEEKLY", None),
        ("on weekends", "WEEKLY", None),
        ("every Monday and Thursday for 2 months", "WEEKLY", "2027-01-15"),
        ("once a week", "WEEKLY", None),
        ("weekly on Fridays at 8am", "WEEKLY", None),
        ("every day until Sunday", "DAILY", "2026-11-22"),
        ("every day starting next Monday until December 5th", "DAILY", "2026-12-05"),
        ("monthly on the 15th", "MONTHLY", None),
        ("every month", "MONTHLY", None),
        ("on Monday at 6pm for 4 weeks", "WEEKLY", "2026-12-13"),
    ],
)
async def test_what_comes_again_is_read(said, repeat, until):
    args = await args_of(f"schedule gym {said}", MONDAY_MORNING)

    assert args["repeat"] == repeat
    assert args.get("repeat_until") == until


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("for 5 days", {"days": 5}),
        ("for two weeks", {"days": 14}),
        ("for the next 3 days", {"days": 3}),
        ("for today", {"days": 1, "start": "2026-11-16"}),
        ("for Monday, Tuesday and Wednesday", {"days": 3, "start": "2026-11-16"}),
        ("from December 1st to December 5th", {"days": 5, "start": "2026-12-01"}),
        ("from tomorrow until Friday", {"days": 4, "start": "2026-11-17"}),
        ("for next weekend", {"days": 2, "start": "2026-11-28"}),
        ("starting next week for 10 days", {"days": 10, "start": "2026-11-23"}),
    ],
)
async def test_stretches_of_days_are_read(said, expected):
    assert await args_of(f"plan groceries {said}", MONDAY_MORNING) == expected


@pytest.mark.parametrize(
    "said", ["for Monday and Wednesday", "for 5 days for 3 days", "for 2 months", "for next week until Friday"]
)
async def test_days_that_do_not_make_one_stretch_are_refused(said):
    with pytest.raises(Unplannable):
        await args_of(f"plan groceries {said}", MONDAY_MORNING)
