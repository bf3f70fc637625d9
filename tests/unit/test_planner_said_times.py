"""Dates, times, counts and lengths as people write them: read rightly, or refused by name, never kept as a title."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.planner import PlanningContext, Unplannable
from engine.planner.rules import plan_by_rules
from engine.plans import PlanStep
from engine.tools import load_registry

TOOLS = load_registry()
# A Wednesday.
NOW = datetime(2026, 11, 18, 10, 5, tzinfo=ZoneInfo("Europe/Berlin"))
HALF_NOT_SAID = "as nothing was said of morning or afternoon"


def step_of(intent: str) -> PlanStep:
    (step,) = plan_by_rules(intent, TOOLS, PlanningContext(NOW)).steps
    return step


def refusal_of(intent: str) -> Unplannable:
    with pytest.raises(Unplannable) as caught:
        plan_by_rules(intent, TOOLS, PlanningContext(NOW))
    return caught.value


def starts_of(args: Any) -> list[str]:
    return [start[:16] for start in args["starts"]]


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("on december ninth", "2026-12-09"),
        ("on the twenty-second of january", "2027-01-22"),
        ("on the twenty second of january", "2027-01-22"),
        ("on 12/24", "2026-12-24"),
        ("on 24/12", "2026-12-24"),
        ("on 7/7", "2027-07-07"),
        ("on 30.11.2026", "2026-11-30"),
        ("on 2026-12-1", "2026-12-01"),
        ("on 9december", "2026-12-09"),
        ("on Dec. 9", "2026-12-09"),
        ("on Sat 28th", "2026-11-28"),
        ("on Sunday, December 5, 2027", "2027-12-05"),
        ("on the ides of may", "2027-05-15"),
        ("on the ides of june", "2027-06-13"),
        ("on the fourth day of february", "2027-02-04"),
        ("on the last day of february", "2027-02-28"),
        ("on the second monday of january 2027", "2027-01-11"),
        ("on the last thursday of next month", "2026-12-31"),
        ("on the 25th of this month", "2026-11-25"),
        ("on the 2nd of next month", "2026-12-02"),
        ("on saturday of next week", "2026-11-28"),
        ("the monday after next", "2026-11-30"),
        ("three fridays from now", "2026-12-04"),
        ("a week from saturday", "2026-11-28"),
        ("3 days after tomorrow", "2026-11-22"),
        ("2 days before christmas", "2026-12-23"),
        ("two weeks hence", "2026-12-02"),
        ("in 1 week and 2 days", "2026-11-27"),
        ("2 years from today", "2028-11-18"),
        ("on the next business day", "2026-11-19"),
        ("on New Year's Eve", "2026-12-31"),
        ("on good friday", "2027-03-26"),
        ("on Thanksgiving", "2026-11-26"),
    ],
)  # fmt: skip
def test_days_are_read(said, day):
    args = step_of(f"schedule chess {said}").args

    assert [start[:10] for start in args["starts"]] == [day]
    assert args["title"] == "chess"
    assert "location" not in args


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ("december 9 to 11", ["09", "10", "11"]),
        ("december 9-11", ["09", "10", "11"]),
        ("9–11 december", ["09", "10", "11"]),
        ("from the 9th to the 11th of december", ["09", "10", "11"]),
        ("on december 9, 11 and 14", ["09", "11", "14"]),
        ("on the 9th and 11th of december 2026", ["09", "11"]),
        ("every friday in december", ["04", "11", "18", "25"]),
    ],
)
def test_several_days_of_a_month_are_read(said, days):
    args = step_of(f"schedule chess {said} at 7pm").args

    assert starts_of(args) == [f"2026-12-{day}T19:00" for day in days]
    assert args["title"] == "chess"


@pytest.mark.parametrize(
    ("said", "clock"),
    [
        ("at two thirty pm", "14:30"),
        ("at six forty-five am", "06:45"),
        ("at ten oh five", "10:05"),
        ("at 4 20", "16:20"),
        ("at 420 p.m.", "16:20"),
        ("at 1130", "11:30"),
        ("at 16h30", "16:30"),
        ("at 4p", "16:00"),
        ("at 04:30", "04:30"),
        ("at 9:30:00 PM", "21:30"),
        ("at 5 o clock", "17:00"),
        ("at ten past four", "16:10"),
        ("at twenty to five", "16:40"),
        ("a quarter to noon", "11:45"),
        ("10 minutes to 3pm", "14:50"),
        ("at about 3pm", "15:00"),
        ("around 1030", "10:30"),
        ("for 9am", "09:00"),
        ("at lunch", "12:30"),
        ("at lunchtime", "12:30"),
        ("from 4pm", "16:00"),
        ("early in the morning", "07:00"),
        ("at 730 in the evening", "19:30"),
    ],
)
def test_times_of_day_are_read(said, clock):
    args = step_of(f"schedule chess tomorrow {said}").args

    assert starts_of(args) == [f"2026-11-19T{clock}"]
    assert args["title"] == "chess"
    assert "location" not in args


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("8 tonight", "2026-11-18T20:00"),
        ("tonight at 7:20", "2026-11-18T19:20"),
        ("five pm tonight", "2026-11-18T17:00"),
        ("9 tomorrow morning", "2026-11-19T09:00"),
        ("at 5 tomorrow afternoon", "2026-11-19T17:00"),
        ("tomorrow night at 8", "2026-11-19T20:00"),
        ("monday morning at 8", "2026-11-23T08:00"),
        ("at midnight", "2026-11-19T00:00"),
        ("tonight at midnight", "2026-11-19T00:00"),
        ("in a couple of hours", "2026-11-18T12:05"),
        ("in 1/2 hour", "2026-11-18T10:35"),
    ],
)
def test_an_hour_and_a_part_of_a_day_go_together(said, start):
    args = step_of(f"schedule chess {said}").args

    assert starts_of(args) == [start]
    assert args["title"] == "chess"


@pytest.mark.parametrize(
    ("intent", "start"),
    [
        ("meeting at 4", "16:00"),
        ("meeting at 6:59", "18:59"),
        ("meeting at 7", "07:00"),
        ("meeting at 9:45", "09:45"),
        ("meeting at 10", "10:00"),
        ("meeting at 12:20", "12:20"),
        ("meeting from 3 to 5", "15:00"),
        ("meeting from 3:30 to 5", "15:30"),
        ("dinner at 7:30", "19:30"),
        ("dinner from 7:30 to 9", "19:30"),
        ("lunch at 1:15", "13:15"),
        ("breakfast at 9", "09:00"),
        ("movie at 9", "21:00"),
    ],
)
def test_a_time_without_morning_or_afternoon_is_settled_by_the_occasion_then_by_waking_hours_and_said(intent, start):
    step = step_of(f"schedule {intent} tomorrow")

    assert starts_of(step.args) == [f"2026-11-19T{start}"]
    assert step.name == f"Schedule {intent.split()[0]} ({start}, {HALF_NOT_SAID})"


@pytest.mark.parametrize(
    ("intent", "start", "minutes"),
    [
        ("meeting from 3:30 to six p.m.", "15:30", 150),
        ("meeting 3:30-6 p.m.", "15:30", 150),
        ("meeting 7 to 9am", "07:00", 120),
        ("meeting from 3 to 4 in the PM", "15:00", 60),
        ("meeting from 9 to 17:00", "09:00", 480),
        ("party from 8 to 11pm", "20:00", 180),
        ("work from 10 to 2am", "22:00", 240),
        ("work from 9a to 11a", "09:00", 120),
        ("meeting at 4pm", "16:00", None),
        ("meeting at 16:00", "16:00", None),
        ("meeting at 4 in the afternoon", "16:00", None),
    ],
)
def test_a_half_of_the_day_that_was_said_is_not_remarked_on(intent, start, minutes):
    step = step_of(f"schedule {intent} tomorrow")

    assert HALF_NOT_SAID not in (step.name or "")
    assert starts_of(step.args) == [f"2026-11-19T{start}"]
    assert step.args.get("duration_minutes") == minutes


def test_a_remark_is_not_cut_off_by_a_long_title():
    step = step_of(f"schedule {'chess ' * 30}tomorrow at 4")

    assert (step.name or "").endswith(f"… (16:00, {HALF_NOT_SAID})")
    assert len(step.name or "") <= 120


@pytest.mark.parametrize(
    ("said", "starts", "until"),
    [
        ("every day for 3 occurrences", ["18T18:00", "19T18:00", "20T18:00"], None),
        ("every day at 7am for 2 times", ["19T07:00", "20T07:00"], None),
        ("every other friday for 2 times", ["20T18:00", "04T18:00"], None),
        ("every 3 days until november 25th", ["18T18:00", "21T18:00", "24T18:00"], None),
        ("every saturday for up to 2 months", ["21T10:00"], "2027-01-20"),
        ("every friday until january", ["20T18:00"], "2026-12-31"),
        ("on fridays from november 27 to december 18", ["27T18:00"], "2026-12-18"),
        ("every 2nd of the month", ["02T18:00"], None),
        ("on the first day of each month", ["01T18:00"], None),
        ("daily at 3p", ["18T15:00"], None),
    ],
)
def test_how_often_is_read(said, starts, until):
    args = step_of(f"schedule chess {said}").args

    assert [start[8:16] for start in args["starts"]] == starts
    assert args.get("repeat_until") == until
    assert args["title"] == "chess"


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("the end of this week", "this week"),
        ("at the end of this week", "the end"),
        ("tomorrow at 150ish", "150ish"),
        ("tomorrow at 3ish", "3ish"),
        ("tomorrow at noon-ish", "noon-ish"),
        ("tomorrow at sunset", "sunset"),
        ("tomorrow for 2", "for 2"),
        ("for thurdsay at 4pm", "thurdsay"),
        ("for tomorow at 4pm", "tomorow"),
        ("on wendesday", "wendesday"),
        ("every saturdya", "saturdya"),
        ("on febuary 3rd", "febuary"),
        ("tomorrow for 30 minuts", "minuts"),
        ("at Mondey", "Mondey"),
        ("eom", "eom"),
        ("first thing tomorrow", "first thing"),
        ("early next week", "early"),
        ("in the summer", "in the summer"),
        ("for summer on friday", "for summer"),
        ("tomorrow half six", "half six"),
        ("tomorrow at 8 or 9", "or 9"),
        ("on 12/3", "12/3"),
        ("on 5.12.2026", "5.12.2026"),
        ("friday at midnight", "midnight"),
        ("every other friday", "every other friday"),
        ("on the last friday of every month", "last friday"),
        ("once a year on december 25th", "year"),
        ("tomorrow at 3pm EST", "EST"),
        ("in the mid of december", "december"),
        ("tomorrow evening at 3", "evening"),
        ("in 2 weeks on friday at 3pm", "in 2 weeks on friday"),
        ("friday in two weeks", "friday in two weeks"),
        ("3 weeks from now on monday", "3 weeks from now on monday"),
        ("in a month on the 5th", "in a month on the 5th"),
        ("in 2 weeks, on friday, at 3pm", "on friday"),
        ("tomorrow in 2 weeks", "tomorrow in 2 weeks"),
        ("a week on friday", "a week"),
        ("m/w/f at 6:30am", "m/w/f"),
        ("mwf at 7", "mwf"),
        ("mo, we, fr at 7", "mo"),
        ("mo, wed, fr at 7", "mo"),
        ("tu th at 7", "tu th"),
        ("M-F at 7", "M-F"),
        ("t/th at 3pm", "t/th"),
        ("tth at 7am", "tth"),
        ("mon-we-fr at 7", "mon-we-fr"),
        ("most mondays", "most"),
        ("tomorrow at 3 at lunch break", "lunch break"),
        ("tomorrow at teatime", "teatime"),
        ("tomorrow at closing time", "closing time"),
        ("tomorrow at 15u", "15u"),
        ("for two hurs tomorrow", "hurs"),
        ("for a few hours tomorrow", "a few hours"),
        ("tomorrow for a bit", "for a bit"),
        ("for ages tomorrow", "for ages"),
        ("mostly on mondays", "mostly"),
        ("usually on mondays", "usually"),
        ("several times next week", "several times"),
        ("a few times next week", "a few times"),
        ("with Dr Monday tomorrow at 3pm", "Dr Monday"),
    ],
)
def test_what_is_not_understood_of_time_is_refused_by_name(said, part):
    refused = refusal_of(f"schedule chess {said}")

    assert any(part in named for named in refused.parts)


@pytest.mark.parametrize(
    "noun",
    ["two-hour workshop", "half-day workshop", "day-long workshop", "all-day offsite", "half day offsite",
     "recurring sync"],
)  # fmt: skip
def test_a_length_or_a_repetition_before_the_noun_is_not_kept_as_its_title(noun):
    refused = refusal_of(f"schedule {noun} on friday")

    assert any(noun.rsplit(" ", 1)[0] in named for named in refused.parts)


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ("two weeks from friday", ["2026-12-04"]),
        ("tomorrow and in 3 days", ["2026-11-19", "2026-11-21"]),
    ],
)
def test_a_day_is_counted_from_another(said, days):
    assert starts_of(step_of(f"schedule chess {said} at 3pm").args) == [f"{day}T15:00" for day in days]


@pytest.mark.parametrize("said", ["this weekend at 10", "this week at 10am", "once this weekend at 10"])
def test_a_time_of_which_nothing_is_left_is_not_moved_out_of_its_days(said):
    sunday = NOW.replace(day=29)

    with pytest.raises(Unplannable, match="nothing is left"):
        plan_by_rules(f"schedule meeting {said}", TOOLS, PlanningContext(sunday))


@pytest.mark.parametrize(
    ("intent", "title", "start"),
    [
        ("schedule monday review on tuesday", "monday review", "2026-11-24T18:00"),
        ("put a friday drink on my calendar every friday", "friday drink", "2026-11-20T18:00"),
        ("schedule a monday review with Sam at 1pm", "review with Sam", "2026-11-23T13:00"),
        ("put tomorrow's dinner with mom on my calendar", "dinner with mom", "2026-11-19T19:00"),
        ("schedule happy hour tomorrow at 5pm", "happy hour", "2026-11-19T17:00"),
        ("schedule sprint 12 planning tomorrow at 9am", "sprint 12 planning", "2026-11-19T09:00"),
        ("schedule 1:1 with Ann tomorrow at 9am", "1:1 with Ann", "2026-11-19T09:00"),
        ("schedule christmas party on friday at 7pm", "christmas party", "2026-11-20T19:00"),
        ('schedule "Friday 13th at 8" tomorrow at 9pm', "Friday 13th at 8", "2026-11-19T21:00"),
        ("schedule mourning service tomorrow at 9am", "mourning service", "2026-11-19T09:00"),
        ("make me an appointment with the bank for friday at 9am", "appointment with the bank", "2026-11-20T09:00"),
        ("block my calendar for chess tomorrow at 9am", "chess", "2026-11-19T09:00"),
    ],
)
def test_a_word_of_time_that_belongs_to_a_noun_is_a_title(intent, title, start):
    args = step_of(intent).args

    assert args["title"] == title
    assert starts_of(args) == [start]


@pytest.mark.parametrize(
    ("said", "days"),
    [
        ("20–22 December", ["2026-12-20", "2026-12-21", "2026-12-22"]),
        ("from december 20 for 2 days", ["2026-12-20", "2026-12-21"]),
        ("on friday", ["2026-11-20"]),
        ("this week", ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"]),
    ],
)
def test_a_vacation_takes_whole_days(said, days):
    args = step_of(f"schedule vacation {said}").args

    assert args["starts"] == [f"{day}T00:00:00" for day in days]
    assert args["duration_minutes"] == 1440


@pytest.mark.parametrize(
    ("intent", "title", "days"),
    [
        ("business trip from monday to wednesday", "business trip", ["2026-11-23", "2026-11-24", "2026-11-25"]),
        ("trip to Rome december 1 to december 2", "trip to Rome", ["2026-12-01", "2026-12-02"]),
        ("festival june 1-2", "festival", ["2027-06-01", "2027-06-02"]),
        ("conference december 3rd through 4th", "conference", ["2026-12-03", "2026-12-04"]),
        ("Easter holidays from april 1 to april 2", "Easter holidays", ["2027-04-01", "2027-04-02"]),
        ("camping june 1 for 2 days", "camping", ["2027-06-01", "2027-06-02"]),
    ],
)
def test_what_goes_on_day_and_night_takes_its_days_whole(intent, title, days):
    args = step_of(f"schedule {intent}").args

    assert args["title"] == title
    assert args["starts"] == [f"{day}T00:00:00" for day in days]
    assert args["duration_minutes"] == 1440


@pytest.mark.parametrize("title", ["trip planning", "conference call", "packing for the trip"])
def test_what_only_has_to_do_with_a_trip_has_its_hour(title):
    starts = starts_of(step_of(f"schedule {title} from monday to tuesday").args)

    assert starts == ["2026-11-23T18:00", "2026-11-24T18:00"]


def test_a_conference_on_one_day_has_its_hour():
    assert starts_of(step_of("schedule conference on friday").args) == ["2026-11-20T18:00"]


def test_a_vacation_has_the_time_that_was_said():
    assert starts_of(step_of("schedule vacation on friday at 2pm").args) == ["2026-11-20T14:00"]


def test_a_vacation_that_has_begun_is_refused():
    assert "already begun" in str(refusal_of("schedule vacation from today to friday"))


@pytest.mark.parametrize("intent", ["plan 3 dinners and 2 lunches", "plan 4 breakfasts", "plan 2 lunches for 2 people"])
def test_lunches_are_not_planned_as_dinners(intent):
    assert refusal_of(intent).parts


SPOKEN = st.sampled_from(
    [
        "monday", "thursday", "tuesdays", "december", "february", "tomorrow", "tonight", "yesterday", "noon",
        "midnight", "7:30", "3pm", "10 p.m.", "half past six", "quarter to nine", "two thirty", "3p", "150ish",
        "3ish", "noonish",
        "15", "nine", "the 5th", "3 hours", "45 minutes", "two weeks", "5 occurrences", "3 times", "eom", "weekly",
        "o'clock", "the end of this week", "the current month", "31 december", "thusday", "wendesday", "tomorow",
        "satruday", "ocotber", "novembr", "minuts", "weekedn", "afternon", "mondya", "fridya", "sundya", "2026",
        "up to 2 months", "next year", "this morning", "the evening", "4/25", "12/3", "7 days", "an hour",
    ]
)  # fmt: skip
LEADS = st.sampled_from(["", "at ", "on ", "for ", "in ", "of ", "to ", "from ", "until ", "by ", "about ", "with "])
WHENS = st.sampled_from(["on friday at 9am", "tomorrow at 3pm", "at 8pm", "every day at 7am", "next week", ""])


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(["chess", "dinner", "call with Ann"]), st.lists(st.tuples(LEADS, SPOKEN), max_size=2), WHENS)
def test_no_word_of_time_ends_in_a_title_or_a_place(title, said, when):
    intent = " ".join(["schedule", title, *(lead + spoken for lead, spoken in said), when])
    try:
        steps = plan_by_rules(intent, TOOLS, PlanningContext(NOW)).steps
    except Unplannable:
        return

    assert [step.args["title"] for step in steps] == [title]
    assert "location" not in steps[0].args
