"""How people ask for the built-in tools: words as data, and what to build of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.phrases import (
    Choice,
    Count,
    Draft,
    Facts,
    Item,
    NothingOffered,
    Occasions,
    Offer,
    Period,
    Phrase,
    Quantity,
    Refusal,
    Said,
    Selection,
    Slot,
    Span,
    Subject,
    When,
    Which,
    Wording,
    with_remarks,
)
from engine.tools.builtin.recipes import recipe_book

MOST_APPLICATIONS: Final = 20
MOST_RESULTS: Final = 50
_USUAL_RESULTS: Final = 10

_JOB: Final = "job"
_APPLICATION: Final = "application"
"""What clauses offer to later ones: a posting found; a CV tailored to a posting."""


# ── jobs ───────────────────────────────────────────────────────────────────────────────────────────

_JOBS: Final = (
    "job", "jobs", "position", "positions", "role", "roles", "opening", "openings", "vacancy", "vacancies",
    "posting", "postings", "job opening", "job openings", "job posting", "job postings", "job offer", "job offers",
)  # fmt: skip
_WHAT: Final = Subject(
    heads=_JOBS,
    leads=("as a", "as an", "as", "involving", "for a", "for an", "for"),
)
_FIELDS: Final = (
    "tech", "it", "finance", "banking", "marketing", "sales", "engineering", "software", "software engineering",
    "design", "data", "data science", "data engineering", "machine learning", "ai", "healthcare", "nursing",
    "education",
    "teaching", "law", "logistics", "hospitality", "construction", "security", "devops", "python", "java", "javascript",
    "typescript", "rust", "go", "product management", "project management", "accounting", "human resources", "hr",
    "customer support", "research",
)  # fmt: skip
_NO_PLACES: Final = frozenset(
    {
        "case", "order", "spite", "time", "advance", "general", "addition", "total", "person", "private", "secret",
        "full", "same", "public", "return", "short", "least", "once", "most", "latest", "earliest", "random", "risk",
        "my",
        "your",
        "his", "her", "their", "its", "this", "these", "those", "which", "what", "whatever", "all", "any", "some",
    }
)  # fmt: skip
"""What no place begins with, after “in” or “at”."""
_WHERE: Final[Mapping[str, Slot]] = {
    "which": Which(_JOBS),
    "count": Count(articles=True),
    "field": Choice({f"in {field}": field for field in _FIELDS}),
    "location": Said(("in {text}", "near {text}", "around {text}", "based in {text}", "located in {text}"), _NO_PLACES),
    "remote": Choice(
        {
            "remote": True, "remotely": True, "fully remote": True, "remote only": True, "work from home": True,
            "working from home": True, "from home": True, "on-site": False, "onsite": False, "on site": False,
            "non-remote": False, "non remote": False, "nonremote": False,
        }
    ),
    "min_salary": Said(
        (
            "over {money}", "above {money}", "at least {money}", "more than {money}", "minimum {money}",
            "min {money}", "from {pay}", "{pay}", "{pay} or more", "{pay} and up", "starting at {pay}",
            "paying {money}", "paying over {money}", "paying above {money}", "paying at least {money}",
            "paying more than {money}", "that pay {money}", "that pay over {money}", "that pay at least {money}",
            "that pay more than {money}", "which pay over {money}", "which pay at least {money}",
            "with a salary over {money}", "with a salary of at least {money}", "with a salary above {money}",
            "with a salary of {pay}", "with salary over {money}", "with a minimum salary of {money}",
            "minimum salary {money}", "salary over {money}", "salary at least {money}", "earning over {money}",
            "with at least {pay}",
        )
    ),
    "seniority": Choice(
        {
            "junior": "junior", "entry-level": "junior", "entry level": "junior", "graduate": "junior",
            "mid": "mid", "mid-level": "mid", "mid level": "mid", "intermediate": "mid",
            "senior": "senior", "sr": "senior", "senior-level": "senior", "lead": "lead",
        }
    ),
}  # fmt: skip


def _search(facts: Facts, draft: Draft) -> None:
    quantity: Quantity | None = facts.get("count")
    selection: Selection | None = facts.get("which")
    if selection is not None and selection.exactly is not None:
        raise Refusal("says which jobs, but a search has still to find them")
    number = selection.number if selection is not None else quantity.number if quantity is not None else None
    _offer_jobs(_searched(facts, draft, number or _USUAL_RESULTS), draft, number, facts)


def _searched(facts: Facts, draft: Draft, count: int) -> str:
    """The key of a new search for what the clause is about."""
    if not 1 <= count <= MOST_RESULTS:
        raise Refusal(f"a search finds 1 to {MOST_RESULTS} jobs", part=facts.said.get("count"))
    topic = _topic(facts)
    if unknown := _NO_FILTER.search(topic):
        raise Refusal("a search can't tell that of a job", part=unknown[0])
    args: dict[str, Any] = {"query": topic, "count": count}
    for name in ("location", "remote", "min_salary", "seniority"):
        if (value := facts.get(name)) is not None:
            args[name] = value
    if not topic and len(args) == 2:
        raise Refusal("says nothing of what the jobs are to be")
    return draft.step(
        "job_search", key="search", name=f"Search for {count} {_kind(facts)}{'s' * (count != 1)}", args=args
    )


_NO_FILTER: Final = re.compile(
    r"\b(?:different|various|separate|distinct|non[- ]?(?:remote|junior|senior|lead)"
    r"|(?:part|full)[- ]time|freelance|permanent|temporary|hybrid|unpaid|nearby|local|recent|latest|newest|urgent"
    r"|(?:(?:well|best|better|highly|high|highest)[- ])?(?:paid|paying))\b",
    re.IGNORECASE,
)
"""What people ask of jobs and no posting is filtered by: as a word of the query it would change nothing."""


def _topic(facts: Facts) -> str:
    return " ".join(word for word in (facts.subject, facts.get("field")) if word)


def _kind(facts: Facts) -> str:
    """What the jobs are called in a step's name: “remote senior python job”."""
    words = ["remote" if facts.get("remote") else "", facts.get("seniority") or "", _topic(facts), "job"]
    return " ".join(word for word in words if word)


def _offer_jobs(search: str, draft: Draft, number: int | None, facts: Facts) -> tuple[Item, ...]:
    count = number or _USUAL_RESULTS
    items = tuple(
        Item({"job": f"{search}.jobs[{place}]"}, (search,), f"{_kind(facts)} {place + 1}") for place in range(count)
    )
    draft.offer(_JOB, Offer(items, counted=number is not None))
    return items


def _picked(selection: Selection, offer: Offer | None, words: str) -> tuple[Item, ...]:
    """The items that are meant; Refusal when the words do not say exactly which."""
    if offer is None:
        raise NothingOffered("says which, but nothing before it finds jobs", part=words)
    if selection.number is not None:
        chosen = offer.items[selection.first : selection.first + selection.number]
        if len(chosen) < selection.number or selection.number < 1:
            raise Refusal(f"there are only {len(offer.items)} to choose from", part=words)
        return chosen
    if not offer.counted:
        raise Refusal("says no number; say “the best one”, or how many", part=words)
    if selection.exactly not in {None, len(offer.items)}:
        raise Refusal(f"there are {len(offer.items)}, not {selection.exactly}", part=words)
    return offer.items


def _jobs_meant(facts: Facts, draft: Draft, *, of_any_kind: bool) -> tuple[Item, ...]:
    """The jobs that a clause acts on: some of those found before, or those of a new search.

    Applications go out, so “3 remote jobs” says too little for them; `of_any_kind` lets it pass.
    """
    selection: Selection | None = facts.get("which")
    quantity: Quantity | None = facts.get("count")
    is_new = bool(_topic(facts)) or any(
        facts.get(name) is not None for name in ("location", "remote", "min_salary", "seniority")
    )
    if selection is not None and not is_new:
        if quantity is not None:
            raise Refusal("says twice how many", part=facts.said.get("count"))
        return _picked(selection, draft.offered(_JOB), facts.said.get("which", facts.text))
    number = _number_of_new(selection, quantity, facts)
    if number > MOST_APPLICATIONS:
        raise Refusal(f"at most {MOST_APPLICATIONS} at once", part=facts.said.get("count"))
    if not _topic(facts) and not of_any_kind:
        raise Refusal("says nothing of what the jobs are to be")
    return _offer_jobs(_searched(facts, draft, number), draft, number, facts)


def _number_of_new(selection: Selection | None, quantity: Quantity | None, facts: Facts) -> int:
    if selection is not None:
        if selection.number is None or selection.first or quantity is not None:
            raise Refusal("it is not clear which jobs are meant", part=facts.said.get("which"))
        return selection.number
    if quantity is None:
        raise Refusal("says no number of jobs")
    if not quantity.number:
        raise Refusal("says no number of jobs", part=quantity.text)
    return quantity.number


def _tailor(facts: Facts, draft: Draft) -> None:
    _tailored(_jobs_meant(facts, draft, of_any_kind=True), draft)


def _tailored(jobs: tuple[Item, ...], draft: Draft) -> tuple[Item, ...]:
    """One tailored CV for each job, offered to later clauses."""
    applications: list[Item] = []
    for place, job in enumerate(jobs, start=1):
        key = draft.step(
            "cv_tailor",
            key=f"cv_{place}",
            name=f"Tailor the CV to {job.label}",
            args={"job": _reference(job.refs["job"])},
            after=job.after,
        )
        refs = {**job.refs, "resume": f"{key}.resume", "markdown": f"{key}.markdown"}
        applications.append(Item(refs, (key,), job.label))
    offer = Offer(tuple(applications), counted=True)
    draft.offer(_APPLICATION, offer)
    draft.offer(_JOB, offer)
    return offer.items


def _apply(facts: Facts, draft: Draft) -> None:
    if facts.get("which") is None and facts.subject is None and not set(facts.values) - {"with_cv"}:
        ready = draft.offered(_APPLICATION)
        if ready is None:
            raise NothingOffered("does not say to what; say for example “apply to 2 backend jobs”")
        _submit(ready.items, draft)
        return
    jobs = _jobs_meant(facts, draft, of_any_kind=False)
    _submit(jobs if all("resume" in job.refs for job in jobs) else _tailored(jobs, draft), draft)


def _submit(applications: tuple[Item, ...], draft: Draft) -> None:
    for place, application in enumerate(applications, start=1):
        draft.step(
            "job_submit",
            key=f"apply_{place}",
            name=f"Apply to {application.label}",
            args={role: _reference(application.refs[role]) for role in ("job", "resume", "markdown")},
            after=application.after,
        )


def _reference(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


_SEARCH_VERBS: Final = (
    "find", "search", "search for", "look for", "look up", "find me", "show", "list", "get", "browse", "discover",
)  # fmt: skip
_TAILOR_VERBS: Final = (
    "tailor", "adapt", "customize", "customise", "adjust", "optimize", "optimise", "fit", "write", "prepare", "rewrite",
)  # fmt: skip
_APPLY_VERBS: Final = (
    "apply", "apply to", "apply for", "submit an application to", "submit an application for", "submit applications to",
    "submit applications for", "send an application to", "send an application for", "send applications to",
    "send applications for", "submit application to", "send application to", "apply for work",
)  # fmt: skip
_CVS: Final = (
    "cv", "cvs", "resume", "resumes", "résumé", "résumés", "curriculum vitae", "tailored cv", "tailored resume",
)  # fmt: skip
_WITH_CV: Final = Choice(
    {
        f"{lead} {kind} {noun}".replace("  ", " "): True
        for lead in ("with", "using")
        for kind in ("", "tailored", "adapted")
        for noun in ("cv", "resume", "résumé", "cvs", "resumes")
    }
    | {
        f"{lead} my {kind} {noun}".replace("  ", " "): True
        for lead in ("with", "using")
        for kind in ("", "tailored", "adapted")
        for noun in ("cv", "resume", "résumé")
    }
)

JOB_SEARCH: Final[tuple[Phrase, ...]] = (
    Wording(
        build=_search,
        verbs=_SEARCH_VERBS,
        nouns=_JOBS,
        slots=_WHERE,
        subject=_WHAT,
        example="find 5 remote python jobs over 80k",
    ),
)
CV_TAILOR: Final[tuple[Phrase, ...]] = (
    Wording(
        build=_tailor,
        verbs=_TAILOR_VERBS,
        nouns=_CVS,
        slots={**_WHERE, "link": Choice({"to": True, "for": True}), "jobs": Choice(dict.fromkeys(_JOBS, True))},
        subject=Subject(heads=_JOBS),
        example="tailor my CV for 2 data jobs",
    ),
)
JOB_SUBMIT: Final[tuple[Phrase, ...]] = (
    Wording(
        build=_apply,
        verbs=_APPLY_VERBS,
        nouns=_JOBS,
        slots={**_WHERE, "with_cv": _WITH_CV},
        subject=_WHAT,
        example="apply to 2 backend jobs",
    ),
    Wording(
        build=_apply,
        verbs=_APPLY_VERBS,
        slots={"which": Which(_JOBS), "with_cv": _WITH_CV},
        example="find 3 data jobs and apply to the best one",
    ),
)


# ── calendar ───────────────────────────────────────────────────────────────────────────────────────


def _schedule(facts: Facts, draft: Draft) -> None:
    when: Occasions = facts.get("when")
    title = facts.subject or ""
    # What comes again keeps its hour through summer time: a time with an offset would not.
    # A whole day is one everywhere.
    starts = [start.replace(tzinfo=None) if when.repeat or when.whole_days else start for start in when.starts]
    args: dict[str, Any] = {"title": title, "starts": [start.isoformat() for start in starts]}
    if when.duration_minutes is not None:
        args["duration_minutes"] = when.duration_minutes
    if when.repeat is not None:
        args["repeat"] = when.repeat
    if when.repeat_until is not None:
        args["repeat_until"] = when.repeat_until.isoformat()
    if (place := facts.get("location")) is not None:
        args["location"] = place
    often = when.repeat.lower() if when.repeat else f"{len(when.starts)} times" if len(when.starts) > 1 else ""
    if when.movable:
        args["avoid_conflicts"] = True
    name = f"Schedule {title}{often and f' {often}'}"
    draft.step("calendar_create", key=f"schedule_{title}", name=with_remarks(name, when.remarks), args=args)


_ON_CALENDAR: Final = Choice(
    {f"{word} {owner}calendar": True for word in ("on", "in", "to", "into") for owner in ("", "my ", "the ")}
)
_EVENT: Final = Choice(
    {f"{article}{kind}": True for article in ("", "an ", "a ") for kind in (
        "event for", "event called", "event named", "appointment for", "calendar event for", "calendar entry for",
        "slot for", "time for", "time slot for", "entry for",
    )}
    | {f"event {word} {owner}calendar for": True for word in ("on", "in") for owner in ("", "my ", "the ")}
    | {f"{owner}calendar for": True for owner in ("", "my ", "the ")}
    | {"called": True, "named": True, "titled": True}
)  # fmt: skip
_CALENDAR_SLOTS: Final[Mapping[str, Slot]] = {
    "when": When(),
    "count": Count(),
    "event": _EVENT,
    "calendar": _ON_CALENDAR,
    "location": Said(("at {text}", "in {text}"), _NO_PLACES - {"my", "your", "his", "her", "their"}),
}
_TITLE: Final = Subject(
    leads=("for", "of"),
    joins=frozenset({"with", "about", "for", "to", "of", "regarding"}),
    of_verb=frozenset({"appointment", "meeting"}),
)
_SAYS_TO_WRITE_DOWN: Final = ("calendar", "event")
_NO_TITLE: Final = "does not say what to schedule"
_NO_TIME: Final = "does not say when; say for example “on Friday at 7pm” or “3x this week”"

CALENDAR_CREATE: Final[tuple[Phrase, ...]] = (
    Wording(
        build=_schedule,
        verbs=("schedule", "plan", "book", "arrange", "set up", "block", "block out", "block off", "organize",
               "organise",
               "create an event", "make an appointment", "create a calendar event", "reserve", "pencil in",
               "create an appointment", "set an appointment", "make a meeting", "set a meeting", "create a meeting",
               "make an event", "set an event", "make a calendar event", "make a calendar entry",
               "create a calendar entry"),
        slots=_CALENDAR_SLOTS,
        subject=_TITLE,
        needs={"subject": _NO_TITLE, "when": _NO_TIME},
        example="schedule gym 3x this week",
        writes_down=_SAYS_TO_WRITE_DOWN,
    ),
    Wording(
        build=_schedule,
        verbs=("put", "add", "enter", "note", "mark"),
        slots=_CALENDAR_SLOTS,
        subject=_TITLE,
        needs={
            "calendar": "does not say where to; say “to my calendar”",
            "subject": _NO_TITLE,
            "when": _NO_TIME,
        },
        example="add “Dinner with Ann” to my calendar on Friday at 7pm for 2 hours",
        writes_down=_SAYS_TO_WRITE_DOWN,
    ),
)  # fmt: skip


# ── groceries ──────────────────────────────────────────────────────────────────────────────────────

_DIETS: Final[Mapping[str, Any]] = {
    "vegetarian": "vegetarian", "veggie": "vegetarian", "meatless": "vegetarian", "meat-free": "vegetarian",
    "vegan": "vegan", "plant-based": "vegan", "plant based": "vegan",
    "pescatarian": "pescatarian", "pescetarian": "pescatarian",
    "gluten-free": "gluten_free", "gluten free": "gluten_free", "no gluten": "gluten_free",
    "without gluten": "gluten_free", "with no gluten": "gluten_free",
    "dairy-free": "dairy_free", "dairy free": "dairy_free", "lactose-free": "dairy_free", "lactose free": "dairy_free",
    "any diet": "any", "no diet": "any", "vegetarians": "vegetarian", "vegans": "vegan",
}  # fmt: skip


def _groceries(facts: Facts, draft: Draft) -> None:
    period: Period = facts.get("period") or Period()
    dinners: Quantity | None = facts.get("dinners")
    if dinners is not None and dinners.number is None:
        raise Refusal("says no number", part=dinners.text)
    if found_part := _PARTLY.search(facts.text):
        raise Refusal(
            "what is left out is left out everywhere, on all days; say it without a day and without exceptions",
            part=found_part[0],
        )
    exclude: tuple[str, ...] = facts.get("exclude") or ()
    days = (facts.get("days"), facts.get("weekly"), dinners and dinners.number, period.days)
    found: dict[str, Any] = {
        "people": _one_of("for how many people", facts.get("people"), facts.get("alone")),
        "days": _one_of("for how many days", *days),
        "diet": facts.get("diet"),
        "meals_per_day": facts.get("meals_per_day"),
        "exclude": [_known_exclusion(word) for word in exclude] or None,
        "start": period.start.isoformat() if period.start else None,
    }
    args = {name: value for name, value in found.items() if value is not None}
    diet = f"{found['diet'].replace('_', '-')} " if found["diet"] not in {None, "any"} else ""
    people = f" for {found['people']}" if found["people"] is not None else ""
    draft.step("grocery_plan", key="plan_groceries", name=f"Plan {diet}groceries{people}", args=args)


_PARTLY: Final = re.compile(
    r"\b(?:without|no|excluding|except|avoid(?:ing)?|leav(?:e|ing) out|skip|minus|allergic to)\b"
    r"(?:(?!\b(?:for|starting|from|beginning)\b|,\s*on\b)[^.;])*?"
    r"(?:\bon\s+\w+|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:today|tonight|tomorrow)\b)"
    r"|(?:\b(?:no|without|avoid(?:ing)?|leav(?:e|ing) out|skip|allergic to)\b[^.;]*"
    r"|\b(?:(?:dairy|gluten|lactose|meat)[- ]free|vegan|vegetarian|veggie|pescatarian|plant[- ]based|meatless)\b[^.;]*)"
    r"\b(?:except|excluding|minus|apart from|other than|but not)\b(?:\s+\w+)?",
    re.IGNORECASE,
)
"""An exclusion that is to hold on some days only, or not for all of what it names."""


def _known_exclusion(word: str) -> str:
    exclusions = recipe_book().exclusions
    spelling = exclusions.spelling(word)
    if spelling is None:
        raise Refusal(exclusions.refusal(word), part=word)
    return spelling


def _no_lunches(facts: Facts, draft: Draft) -> None:  # noqa: ARG001 -- every builder takes both
    raise Refusal("one meal a day is dinner; say “2 meals a day” for lunch and dinner, “3 meals a day” for all")


def _one_of(what: str, *numbers: int | None) -> int | None:
    said = {number for number in numbers if number is not None}
    if len(said) > 1:
        raise Refusal(f"says twice {what}")
    return said.pop() if said else None


_PEOPLE: Final = Said(
    (
        *(f"{lead}{{number}} {kind}" for lead in ("for ", "") for kind in ("people", "persons", "person", "adults")),
        *(f"{lead}{kind} of {{number}}" for lead in ("for ", "") for kind in ("family", "household")),
        "for {number}", "for {number} of us", "for {number} eaters", "to feed {number}", "feeding {number}",
    )
)  # fmt: skip
_WITHOUT: Final = Said(
    tuple(
        f"{lead} {{list}}"
        for lead in (
            "without", "no", "with no", "excluding", "avoid", "avoiding", "except", "but no", "but without",
            "leave out", "leaving out", "skip", "allergic to", "minus", "and no",
        )
    )
)  # fmt: skip
_FOR_WHOM: Final[Mapping[str, Slot]] = {
    "people": _PEOPLE,
    "alone": Choice({"for myself": 1, "just for me": 1}),
    "weekly": Choice({"weekly": 7, "week's": 7}),
    "period": Span(),
    "diet": Choice(_DIETS),
    "exclude": _WITHOUT,
    "meals_per_day": Said(
        tuple(
            f"{lead}{{number}} {meals} {each} day"
            for lead in ("", "with ")
            for meals in ("meals", "meal")
            for each in ("a", "per")
        )
    ),
}  # fmt: skip
_PLAN_VERBS: Final = (
    "plan", "prepare", "make", "create", "write", "draw up", "put together", "organize", "organise", "work out",
    "generate", "sort out", "figure out",
)  # fmt: skip

GROCERY_PLAN: Final[tuple[Phrase, ...]] = (
    Wording(
        build=_groceries,
        verbs=_PLAN_VERBS,
        nouns=("groceries", "groceries and meals", "meals and groceries",
               "grocery list", "grocery shopping", "grocery plan", "grocery shop", "grocery run",
               "shopping list", "shopping", "food shopping", "meal plan"),
        slots={
            **_FOR_WHOM,
            "days": Said(("{number} days of", "{number} days worth of", "{number} days' worth of", "{number} days")),
        },
        example="plan vegetarian groceries for 4 people for 5 days, no nuts",
        bare=True,
    ),
    Wording(
        build=_groceries,
        verbs=_PLAN_VERBS,
        nouns=("dinners", "meals"),
        slots={**_FOR_WHOM, "dinners": Count()},
        example="plan 5 dinners for 2 people",
    ),
    Wording(
        build=_no_lunches,
        verbs=_PLAN_VERBS,
        nouns=("lunches", "breakfasts"),
        slots={**_FOR_WHOM, "dinners": Count()},
        example="",
    ),
)  # fmt: skip
