"""Sentences as people say them, with the steps that they mean, and those that are refused, with the part at fault.

It is Wednesday, the 18th of November 2026, five past ten in Berlin.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from engine.plans import PlanStep

NOW = datetime(2026, 11, 18, 10, 5, tzinfo=ZoneInfo("Europe/Berlin"))

Steps = list[PlanStep]


def ref(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


def search(query: str, count: int = 10, *, key: str = "search", after: tuple[str, ...] = (), **args: Any) -> Steps:
    return [PlanStep(key, "job_search", args={"query": query, "count": count, **args}, depends_on=after)]


def tailored(*places: int, found: str = "search", suffix: str = "") -> Steps:
    return [
        PlanStep(f"cv_{n}{suffix}", "cv_tailor", args={"job": ref(f"{found}.jobs[{place}]")}, depends_on=(found,))
        for n, place in enumerate(places, start=1)
    ]


def submitted(*places: int, found: str = "search", suffix: str = "", after: tuple[str, ...] = ()) -> Steps:
    return [
        PlanStep(
            f"apply_{n}{suffix}",
            "job_submit",
            args={
                "job": ref(f"{found}.jobs[{place}]"),
                "resume": ref(f"cv_{n}{suffix}.resume"),
                "markdown": ref(f"cv_{n}{suffix}.markdown"),
            },
            depends_on=(f"cv_{n}{suffix}", *after),
        )
        for n, place in enumerate(places, start=1)
    ]


def applied(query: str, count: int, **args: Any) -> Steps:
    """A search, and for each of its jobs a tailored CV and an application."""
    places = range(count)
    return [*search(query, count, **args), *tailored(*places), *submitted(*places)]


def event(title: str, *starts: str, key: str | None = None, after: tuple[str, ...] = (), **args: Any) -> Steps:
    """An entry; starts as `11-20 18:00`, in Berlin's winter unless they repeat."""
    offset = "" if "repeat" in args else "+01:00"
    full = [f"{'2026-' if len(start) == 11 else ''}{start.replace(' ', 'T')}:00{offset}" for start in starts]
    key = key or f"schedule_{title.lower().replace(' ', '_')}"
    return [PlanStep(key, "calendar_create", args={"title": title, "starts": full, **args}, depends_on=after)]


def groceries(*, key: str = "plan_groceries", after: tuple[str, ...] = (), **args: Any) -> Steps:
    return [PlanStep(key, "grocery_plan", args=args, depends_on=after)]


PLANNED: list[tuple[str, Steps]] = [
    # job_search
    ("find 5 python jobs", search("python", 5)),
    ("Find me some python jobs", search("python")),
    ("find 3 non-remote python jobs", search("python", 3, remote=False)),
    ("plan groceries for 2, no nuts, on friday", groceries(people=2, days=1, exclude=["nuts"], start="2026-11-20")),
    ("find 5 c++ jobs", search("c++", 5)),
    ("look for remote data science roles", search("data science", remote=True)),
    ("search for data jobs in Berlin", search("data", location="Berlin")),
    ("show me 5 marketing positions in Hamburg over 60k", search("marketing", 5, location="Hamburg", min_salary=60000)),
    (
        "find 3 senior python developer jobs in New York paying at least $90,000",
        search("python developer", 3, location="New York", min_salary=90000, seniority="senior"),
    ),
    ("find me a job as a nurse in Munich", search("nurse", 1, location="Munich")),
    ("find remote jobs in Berlin", search("", location="Berlin", remote=True)),
    ("find 5 python and go jobs over 80k", search("python and go", 5, min_salary=80000)),
    ("Please list a dozen junior design openings", search("design", 12, seniority="junior")),
    ("could you look for two on-site accounting vacancies", search("accounting", 2, remote=False)),
    ('find 3 "site reliability" jobs', search("site reliability", 3)),
    ("find 4 teacher jobs with a salary of at least 45000 euros a year", search("teacher", 4, min_salary=45000)),
    ("find 2 jobs in data science", search("data science", 2)),
    (
        "find 2 junior jobs in Berlin in machine learning",
        search("machine learning", 2, location="Berlin", seniority="junior"),
    ),
    # cv_tailor
    ("tailor my cv for 2 data jobs", [*search("data", 2), *tailored(0, 1)]),
    (
        "find 3 backend jobs and tailor my resume for all of them",
        [*search("backend", 3), *tailored(0, 1, 2)],
    ),
    ("Find 4 go jobs. Adapt my résumé to the second one.", [*search("go", 4), *tailored(1)]),
    # job_submit
    ("apply to 2 backend jobs", applied("backend", 2)),
    ("Apply for a senior nurse position in Hamburg", applied("nurse", 1, location="Hamburg", seniority="senior")),
    ("apply to the best backend job", applied("backend", 1)),
    ("apply to the top 3 data engineer jobs", applied("data engineer", 3)),
    (
        "apply to a couple of remote frontend jobs over 100k in London",
        applied("frontend", 2, location="London", remote=True, min_salary=100000),
    ),
    ("I'd like to apply for three product manager positions", applied("product manager", 3)),
    ("apply for 2 jobs as a data engineer in Berlin", applied("data engineer", 2, location="Berlin")),
    ("submit applications to two design roles", applied("design", 2)),
    ("apply to 2 backend jobs with a tailored CV", applied("backend", 2)),
    ("apply to twenty python jobs right away, please", applied("python", 20)),
    (
        "apply to 2 backend jobs and 1 frontend job",
        [
            *applied("backend", 2),
            *search("frontend", 1, key="search_2"),
            *tailored(0, found="search_2", suffix="_2"),
            *submitted(0, found="search_2", suffix="_2"),
        ],
    ),
    ("apply to the 3 best python jobs", applied("python", 3)),
    # jobs, one clause after another
    (
        "find 3 remote python jobs and apply to the best one",
        [*search("python", 3, remote=True), *tailored(0), *submitted(0)],
    ),
    (
        "search for data jobs in Berlin, tailor my CV for the best and apply",
        [*search("data", location="Berlin"), *tailored(0), *submitted(0)],
    ),
    ("find 10 backend jobs and apply to the top 2", [*search("backend"), *tailored(0, 1), *submitted(0, 1)]),
    ("find 2 backend jobs and apply to both", [*search("backend", 2), *tailored(0, 1), *submitted(0, 1)]),
    ("find 2 backend jobs; apply to them", [*search("backend", 2), *tailored(0, 1), *submitted(0, 1)]),
    (
        "find 2 java jobs, tailor my CV for each and apply",
        [*search("java", 2), *tailored(0, 1), *submitted(0, 1)],
    ),
    ("find 3 java jobs and apply to all three", [*search("java", 3), *tailored(0, 1, 2), *submitted(0, 1, 2)]),
    ("find 5 backend jobs and apply to the second one", [*search("backend", 5), *tailored(1), *submitted(1)]),
    (
        "find 3 backend jobs, tailor my CV for the top 2 and apply to both",
        [*search("backend", 3), *tailored(0, 1), *submitted(0, 1)],
    ),
    (
        "find 3 backend jobs, tailor my CV for the top 2, then apply to the best one",
        [*search("backend", 3), *tailored(0, 1), *submitted(0, after=("cv_2",))],
    ),
    (
        "find 4 python jobs, apply to the first two and schedule interview prep tomorrow at 10am",
        [
            *search("python", 4),
            *tailored(0, 1),
            *submitted(0, 1),
            *event("interview prep", "11-19 10:00"),
        ],
    ),
    # the calendar, with counts and windows
    ("schedule gym 3x this week", event("gym", "11-18 18:00", "11-20 18:00", "11-22 10:00", avoid_conflicts=True)),
    ("This week, schedule gym 3x", event("gym", "11-18 18:00", "11-20 18:00", "11-22 10:00", avoid_conflicts=True)),
    (
        "schedule gym three times this week at 7am",
        event("gym", "11-19 07:00", "11-20 07:00", "11-22 07:00", avoid_conflicts=True),
    ),
    (
        "schedule 3 gym sessions next week",
        event("gym sessions", "11-23 18:00", "11-25 18:00", "11-28 10:00", avoid_conflicts=True),
    ),
    ("schedule swimming twice next week", event("swimming", "11-23 18:00", "11-27 18:00", avoid_conflicts=True)),
    ("schedule hiking this weekend", event("hiking", "11-21 10:00", avoid_conflicts=True)),
    ("plan yoga twice in the next 5 days at 8pm", event("yoga", "11-18 20:00", "11-21 20:00", avoid_conflicts=True)),
    ("schedule gym 3x on Monday", event("gym", "11-23 09:00", "11-23 13:30", "11-23 18:00")),
    # days, and times of them
    ("schedule yoga tonight", event("yoga", "11-18 19:00")),
    ("schedule gym today", event("gym", "11-18 18:00")),
    ("schedule gym tomorrow morning", event("gym", "11-19 09:00")),
    ("schedule gym on Tuesday evening at 7", event("gym", "11-24 19:00")),
    ("schedule gym at half past six tomorrow", event("gym", "11-19 18:30")),
    ("schedule gym at 7am", event("gym", "11-19 07:00")),
    ("schedule gym @ 7am tmrw", event("gym", "11-19 07:00")),
    ("schedule gym on Wednesday at 9am", event("gym", "11-25 09:00")),
    ("schedule a call with Ann in 3 days at noon", event("call with Ann", "11-21 12:00")),
    ("schedule a call with Ann in 2 hours", event("call with Ann", "11-18 12:05")),
    (
        "schedule lunch with Bob next Tuesday at 12:30 at Cafe Central",
        event("lunch with Bob", "11-24 12:30", location="Cafe Central"),
    ),
    (
        "schedule gym on Monday, Wednesday and Friday at 6pm",
        event("gym", "11-18 18:00", "11-20 18:00", "11-23 18:00"),
    ),
    ("schedule gym Mon/Wed/Fri at 6 pm", event("gym", "11-18 18:00", "11-20 18:00", "11-23 18:00")),
    (
        "schedule standup Monday to Friday at 9:15am for 15 minutes",
        event(
            "standup",
            *(f"11-{day} 09:15" for day in range(23, 28)),
            duration_minutes=15,
        ),
    ),
    (
        "schedule swimming next week on Tuesday and Thursday at 6:30pm",
        event("swimming", "11-24 18:30", "11-26 18:30"),
    ),
    (
        "schedule gym at 7am on Monday and Wednesday and at 6pm on Friday",
        event("gym", "11-20 18:00", "11-23 07:00", "11-25 07:00"),
    ),
    (
        "schedule gym on Monday at 7am and yoga on Tuesday at 8pm",
        [*event("gym", "11-23 07:00"), *event("yoga", "11-24 20:00")],
    ),
    ("schedule dentist on 2026-12-01 at 18:30", event("dentist", "12-01 18:30")),
    ("schedule dentist on December 3rd at 9:30 for 45 minutes", event("dentist", "12-03 09:30", duration_minutes=45)),
    ("schedule dentist on the 3rd of December 2026 at 2pm", event("dentist", "12-03 14:00")),
    ("schedule a haircut on January 7 at 4:15 p.m.", event("haircut", "2027-01-07 16:15")),
    ("schedule trip on Friday, December 4th at 9am", event("trip", "12-04 09:00")),
    ("schedule rent on the 1st at 9am", event("rent", "12-01 09:00")),
    ("schedule call 2026-12-01T18:30:00+01:00", event("call", "12-01 18:30")),
    ("schedule lunch tomorrow", event("lunch", "11-19 12:30")),
    (
        "schedule dinner at Luigi's with Ann on Friday at 8",
        event("dinner with Ann", "11-20 20:00", location="Luigi's"),
    ),
    (
        "schedule gym on Monday at 7am, yoga on Tuesday and Wednesday at 8pm, swimming on Thursday at 6pm, "  # noqa: ISC004 - one sentence
        "tennis on Friday at 5pm, boxing on Saturday at 9am, running on Sunday at 9am, hiking on November 28 at 10am",
        [
            *event("gym", "11-23 07:00"),
            *event("yoga", "11-18 20:00", "11-24 20:00"),
            *event("swimming", "11-19 18:00"),
            *event("tennis", "11-20 17:00"),
            *event("boxing", "11-21 09:00"),
            *event("running", "11-22 09:00"),
            *event("hiking", "11-28 10:00"),
        ],
    ),
    # lengths
    ("schedule a 30 minute call with mom tomorrow at 3pm", event("call with mom", "11-19 15:00", duration_minutes=30)),
    ("schedule meeting from 9 to 10:30 on December 3rd", event("meeting", "12-03 09:00", duration_minutes=90)),
    (
        "schedule workshop tomorrow from 9am to 5pm in room 5",
        event("workshop", "11-19 09:00", duration_minutes=480, location="room 5"),
    ),
    ("schedule party from 10pm to 2am on Saturday", event("party", "11-21 22:00", duration_minutes=240)),
    ("block 2 hours for deep work tomorrow at 9am", event("deep work", "11-19 09:00", duration_minutes=120)),
    (
        "schedule a meeting with Ann, Bob and Carol on Thursday from 2 to 3:30pm at the office",
        event(
            "meeting with Ann, Bob and Carol",
            "11-19 14:00",
            key="schedule_meeting_with_ann_bob_and_carol",
            duration_minutes=90,
            location="the office",
        ),
    ),
    # what comes again
    ("schedule meditation daily", event("meditation", "11-18 18:00", repeat="DAILY")),
    (
        "schedule meditation every day at 7am for 20 minutes",
        event("meditation", "11-19 07:00", duration_minutes=20, repeat="DAILY"),
    ),
    ("schedule run every morning", event("run", "11-19 09:00", repeat="DAILY")),
    (
        "schedule team meeting weekly on Monday at 10am for an hour and a half",
        event("team meeting", "11-23 10:00", duration_minutes=90, repeat="WEEKLY"),
    ),
    (
        "schedule gym every weekday at 7am for 4 weeks",
        event(
            "gym",
            "11-19 07:00",
            "11-20 07:00",
            "11-23 07:00",
            "11-24 07:00",
            "11-25 07:00",
            repeat="WEEKLY",
            repeat_until="2026-12-16",
        ),
    ),
    (
        "schedule gym on Mondays and Thursdays at 6pm until March 1st",
        event("gym", "11-19 18:00", "11-23 18:00", repeat="WEEKLY", repeat_until="2027-03-01"),
    ),
    (
        "schedule gym every Monday in December",
        event("gym", "12-07 18:00", "12-14 18:00", "12-21 18:00", "12-28 18:00"),
    ),
    (
        "schedule gym twice a week for 6 weeks at 7am",
        event("gym", "11-19 07:00", "11-22 07:00", repeat="WEEKLY", repeat_until="2026-12-30"),
    ),
    (
        "schedule gym 3x a week starting next week",
        event("gym", "11-23 18:00", "11-25 18:00", "11-27 18:00", repeat="WEEKLY"),
    ),
    ("schedule book club every month on the 1st at 8pm", event("book club", "12-01 20:00", repeat="MONTHLY")),
    (
        "schedule pills twice a day at 8am and 8pm",
        event("pills", "11-18 20:00", "11-19 08:00", repeat="DAILY"),
    ),
    (
        "schedule reading at 9pm for 5 days",
        event("reading", "11-18 21:00", repeat="DAILY", repeat_until="2026-11-22"),
    ),
    # titles
    (
        'schedule "Dinner, with Ann and Bob" on Friday at 7pm',
        event("Dinner, with Ann and Bob", "11-20 19:00", key="schedule_dinner_with_ann_and_bob"),
    ),
    ("put gym on my calendar on Monday at 7am", event("gym", "11-23 07:00")),
    (
        "add “Mom's birthday” to my calendar on December 24th",
        event("Mom's birthday", "12-24 18:00", key="schedule_mom_s_birthday"),
    ),
    ("Tonight at 8 schedule dinner with mom", event("dinner with mom", "11-18 20:00")),
    ("schedule 🏋️ tomorrow at 7am", event("🏋️", "11-19 07:00", key="schedule")),
    # grocery_plan
    ("plan groceries", groceries()),
    ("Plan groceries, please!", groceries()),
    ("plan groceries for the family of 5 and no peanuts", groceries(people=5, exclude=["peanuts"])),
    ("plan groceries and meals for the week", groceries(days=7)),
    ("plan groceries for two", groceries(people=2)),
    ("plan groceries, no nuts please", groceries(exclude=["nuts"])),
    ("plan groceries with no milk or eggs, thanks", groceries(exclude=["milk", "eggs"])),
    ("grocery shopping for 4", groceries(people=4)),
    (
        "plan vegetarian groceries for 4 people for 5 days, no nuts",
        groceries(people=4, days=5, diet="vegetarian", exclude=["nuts"]),
    ),
    ("weekly shopping for a family of four, vegan", groceries(people=4, days=7, diet="vegan")),
    ("make a shopping list for 4 people for a week", groceries(people=4, days=7)),
    (
        "create a weekly meal plan for 2, pescatarian, 2 meals a day",
        groceries(people=2, days=7, diet="pescatarian", meals_per_day=2),
    ),
    (
        "plan groceries for 3 people without mushrooms, peanuts and shellfish, gluten-free",
        groceries(people=3, diet="gluten_free", exclude=["mushrooms", "peanuts", "shellfish"]),
    ),
    ("plan groceries for next week", groceries(days=7, start="2026-11-23")),
    ("plan groceries for this week", groceries(days=7, start="2026-11-18")),
    ("plan groceries for the weekend", groceries(days=2, start="2026-11-21")),
    ("plan groceries for tomorrow", groceries(days=1, start="2026-11-19")),
    ("plan groceries starting Monday for 5 days", groceries(days=5, start="2026-11-23")),
    ("plan groceries from Monday to Friday", groceries(days=5, start="2026-11-23")),
    ("plan groceries until Friday", groceries(days=3)),
    ("plan groceries, no Shrimp and no onions", groceries(exclude=["shrimps", "onion"])),
    ("plan groceries without peanut butter or red meat", groceries(exclude=["peanut butter", "red meat"])),
    ("plan dairy-free groceries", groceries(diet="dairy_free")),
    ("plan 5 dinners for 2 people", groceries(people=2, days=5)),
    ("plan groceries for 4 people and 5 days", groceries(people=4, days=5)),
    # together
    (
        "Apply to 2 backend jobs, schedule gym 3x this week, and plan groceries",
        [
            *applied("backend", 2),
            *event("gym", "11-18 18:00", "11-20 18:00", "11-22 10:00", avoid_conflicts=True),
            *groceries(),
        ],
    ),
    (
        "plan groceries then schedule cooking on Sunday at 5pm",
        [*groceries(), *event("cooking", "11-22 17:00", after=("plan_groceries",))],
    ),
    (
        "plan groceries, after that schedule cooking tonight at 7",
        [*groceries(), *event("cooking", "11-18 19:00", after=("plan_groceries",))],
    ),
    (
        "plan groceries, then schedule cooking on Sunday at 5pm and schedule gym on Monday. Schedule yoga tomorrow",
        [
            *groceries(),
            *event("cooking", "11-22 17:00", after=("plan_groceries",)),
            *event("gym", "11-23 18:00", after=("plan_groceries",)),
            *event("yoga", "11-19 18:00"),
        ],
    ),
    (
        "plan groceries, then schedule gym tomorrow, then find 2 python jobs",
        [
            *groceries(),
            *event("gym", "11-19 18:00", after=("plan_groceries",)),
            *search("python", 2, after=("schedule_gym",)),
        ],
    ),
    (
        "apply to 1 senior backend job and then schedule a celebration on Saturday at 8pm",
        [
            *applied("backend", 1, seniority="senior"),
            *event("celebration", "11-21 20:00", after=("apply_1",)),
        ],
    ),
    (
        "plan groceries without milk and eggs and schedule gym tomorrow",
        [*groceries(exclude=["milk", "eggs"]), *event("gym", "11-19 18:00")],
    ),
    (
        "First plan groceries. Also, could you schedule gym tomorrow at 6pm? Thanks!",
        [*groceries(), *event("gym", "11-19 18:00")],
    ),
    (
        "schedule gym tomorrow; schedule gym on Saturday at 9am",
        [*event("gym", "11-19 18:00"), *event("gym", "11-21 09:00", key="schedule_gym_2")],
    ),
    (
        "schedule gym this weekend and groceries for 4 people",
        [*event("gym", "11-21 10:00", avoid_conflicts=True), *groceries(people=4)],
    ),
]

REFUSED: list[tuple[str, tuple[str, ...], str]] = [
    # what is to be left out on some days only, or not wholly
    ("plan groceries for 2 people, no fish on friday", ("no fish on friday",), "everywhere, on all days"),
    ("plan groceries for 2 people with no fish on monday", ("no fish on monday",), "everywhere, on all days"),
    ("plan groceries, no fish tomorrow", ("no fish tomorrow",), "everywhere, on all days"),
    ("plan groceries, no dairy except butter", ("no dairy except butter",), "without exceptions"),
    ("plan groceries for 2, dairy-free except cheese", ("dairy-free except cheese",), "without exceptions"),
    ("plan dairy-free groceries except cheese", ("dairy-free groceries except cheese",), "without exceptions"),
    # what no search can tell
    ("apply to 2 different backend jobs", ("different",), "can't tell"),
    ("find 3 non-senior python jobs", ("non-senior",), "can't tell"),
    # what no tool can do
    ("plan groceries and launch the rocket", ("launch the rocket",), "no tool"),
    ("schedule gym on the moon", ("on the moon",), "no tool"),
    ("apply to 2 backend jobs by fax", ("by fax",), "no tool"),
    ("apply to a backend job at Google", ("at Google",), "no tool"),
    ("apply to 2 backend jobs with my video", ("with my video",), "no tool"),
    ("apply to 2 backend jobs tomorrow", ("tomorrow",), "no tool"),
    ("apply to 2 backend jobs if they pay well", ("if they pay well",), "no tool"),
    ("find 3 python jobs in Berlin and Munich", ("Munich",), "no tool"),
    ("find 3 unicorns and apply to the best one", ("unicorns",), "no tool"),
    ("order groceries", ("order groceries",), "can't order anything"),
    ("buy milk and eggs", ("buy milk and eggs",), "can't buy anything"),
    ("plan groceries for my family", ("for my family",), "no tool"),
    ("plan groceries for my family tomorrow", ("for my family",), "no tool"),
    ("plan groceries for Monday and Wednesday", ("Wednesday",), "no tool"),
    ("plan groceries under 50 euros", ("under 50 euros",), "no tool"),
    ("plan gluten free vegan groceries", ("vegan",), "no tool"),
    ("Plan groceries for 5 days, no penuts", ("penuts",), "“peanuts”"),
    ("plan groceries, no unicorns", ("unicorns",), "knows no “unicorns”"),
    ("plan groceries without milk and unobtainium", ("unobtainium",), "knows no “unobtainium”"),
    ("apply to 2 part-time backend jobs", ("part-time",), "can't tell that"),
    ("find 5 Full time python jobs in Berlin", ("Full time",), "can't tell that"),
    ("find well paid marketing jobs", ("well paid",), "can't tell that"),
    ("plan groceries 🛒", ("🛒",), "no tool"),
    ("schedule gym tomorrow at 7am and launch the rocket on Friday", ("launch the rocket on Friday",), "no tool"),
    ("schedule gym on Monday and email my boss", ("email my boss",), "can't send messages"),
    ("email my boss, plan groceries and walk the dog", ("email my boss", "walk the dog"), "no tool"),
    ("schedule gym every other day", ("every other day",), "no tool"),
    ("schedule gym biweekly on Monday", ("biweekly on Monday",), "no tool"),
    ("schedule gym by Friday", ("by Friday",), "no tool"),
    ("schedule gym on 12/3", ("on 12/3",), "no tool"),
    ("schedule gym at 25:00 tomorrow", ("at 25:00",), "no tool"),
    ("schedule gym last Monday", ("last Monday",), "no tool"),
    ("schedule gym yesterday at 7am", ("yesterday at 7am",), "no tool"),
    ("remind me of the milk", ("remind me of the milk",), "no tool"),
    ("schedule gym tomorrow or on Friday", ("or on Friday",), "no tool"),
    ("schedule gym tomorrow in case it rains", ("in case it rains",), "no tool"),
    ("schedule gym on Friday at 3pm EST", ("EST",), "no tool"),
    ("apply to 2 backend jobs in secret", ("in secret",), "no tool"),
    ("apply to 2 or 3 backend jobs", ("or 3 backend",), "no tool"),
    ("find 2-3 python jobs", ("2-3 python",), "no tool"),
    ("find 99999999999999999999 python jobs", ("99999999999999999999 python",), "no tool"),
    ("apply to 2 backend jobs 3 times", ("3 times",), "no tool"),
    ("schedule gym 2-3x this week", ("2-3x",), "no tool"),
    ("schedule gym 3x this week at the same time", ("at the same time",), "no tool"),
    ("apply to 2 more backend jobs", ("more backend",), "no tool"),
    # what must not be guessed
    ("apply", ("apply",), "does not say to what"),
    ("Find backend jobs and apply", ("apply",), "does not say to what"),
    ("apply to them", ("them",), "nothing before it"),
    ("apply to the best one", ("the best one",), "nothing before it"),
    ("apply to backend jobs", ("apply to backend jobs",), "no number"),
    ("apply to all jobs", ("all",), "no number"),
    ("apply to several backend jobs", ("several",), "no number"),
    ("find backend jobs and apply to them", ("them",), "no number"),
    ("apply to 21 backend jobs", ("21",), "at most 20"),
    ("apply to 0 backend jobs", ("0",), "no number"),
    ("apply to 2 jobs", ("apply to 2 jobs",), "says nothing of what"),
    ("apply to 3 remote jobs", ("apply to 3 remote jobs",), "says nothing of what"),
    ("find 2 backend jobs and apply to the top 3", ("the top 3",), "only 2"),
    ("find 3 backend jobs and apply to both", ("both",), "there are 3, not 2"),
    ("tailor my CV", ("tailor my CV",), "no number"),
    # what is not to be done
    ("don't apply to 2 backend jobs", ("don't apply to 2 backend jobs",), "not to be done"),
    ("do not plan groceries", ("do not plan groceries",), "not to be done"),
    ("never apply to backend jobs", ("never apply to backend jobs",), "not to be done"),
    ("plan kosher groceries without pork", ("kosher",), "no tool"),
    # what is there already
    ("cancel gym", ("cancel gym",), "can't cancel anything"),
    ("cancel gym and schedule yoga on Friday", ("cancel gym",), "can't cancel anything"),
    ("please delete the birthday party tomorrow", ("please delete the birthday party tomorrow",), "can't remove"),
    ("reschedule gym to Friday", ("reschedule gym to Friday",), "can't change what is there already"),
    ("take gym off my calendar", ("take gym off my calendar",), "can't remove"),
    ("apply to 2 backend jobs, but not at Google", ("but not at Google",), "not to be done"),
    ("schedule no gym tomorrow", ("no gym",), "not to be done"),
    # what is not said, or can't be
    ("", (), "nothing in it"),
    ("Hello, please!", (), "nothing in it"),
    ("schedule gym", ("schedule gym",), "does not say when"),
    ("schedule tomorrow at 7am", ("schedule tomorrow at 7am",), "does not say what"),
    ("plan a trip to Mars", ("plan a trip to Mars",), "does not say when"),
    ("find jobs", ("find jobs",), "says nothing of what"),
    ("find 100 python jobs", ("100",), "1 to 50"),
    ("schedule gym today at 7am", ("schedule gym today at 7am",), "already passed"),
    ("schedule gym on February 30th", ("schedule gym on February 30th",), "no such date"),
    ("schedule gym on 2026-11-17 at 9am", ("schedule gym on 2026-11-17 at 9am",), "already passed"),
    ("schedule gym 10x this week", ("schedule gym 10x this week",), "more than one a day"),
    ("schedule gym on Monday from Tuesday", ("schedule gym on Monday from Tuesday",), "does not go with"),
    ("schedule gym on Monday at 6pm until Friday", ("schedule gym on Monday at 6pm until Friday",), "come again"),
    ("schedule gym every day every week", ("schedule gym every day every week",), "twice"),
    ("schedule yoga for 5 days", ("schedule yoga for 5 days",), "how often"),
    ("schedule vacation for 5 days", ("schedule vacation for 5 days",), "which days"),
    ("plan groceries for 0 people", ("plan groceries for 0 people",), "minimum"),
    ("plan groceries for 4 people for 90 days", ("plan groceries for 4 people for 90 days",), "maximum|at most"),
]
