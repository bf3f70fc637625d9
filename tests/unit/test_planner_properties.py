"""What holds for any sentence, found with random ones made of words that mean something to the planner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.planner import PlanningContext, Unplannable
from engine.planner.rules import plan_by_rules
from engine.plans import Plan, PlanStep
from engine.settings import EngineSettings
from engine.tools import load_registry
from engine.validation import check_plan
from persistence.states import Risk
from tests.unit.sentences import NOW, PLANNED, REFUSED

TOOLS = load_registry()
WORDS = sorted({word for intent, *_ in (*PLANNED, *REFUSED) for word in intent.replace(",", " , ").split()})
ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")]

moments = st.builds(
    lambda minutes, zone: datetime.fromtimestamp(1_780_000_000 + minutes * 60, tz=zone),
    st.integers(0, 2 * 366 * 24 * 60),
    st.sampled_from(ZONES),
)
sentences = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join),
    st.lists(st.sampled_from([intent for intent, _ in PLANNED]), min_size=1, max_size=3).map(" and ".join),
)
whens = st.tuples(
    st.sampled_from(["", "3x ", "twice ", "every day ", "every weekday ", "twice a week ", "monthly "]),
    st.sampled_from(
        ["", "this week ", "next week ", "this weekend ", "tomorrow ", "today ", "tonight ", "on Monday and Friday ",
         "on the 31st ", "in 3 days ", "next Tuesday ", "on February 29th ", "from Monday to Friday "]
    ),
    st.sampled_from(["", "at 7am ", "at 9 ", "from 9 to 10:30 ", "in the evening ", "at 2:30 "]),
    st.sampled_from(["", "for 45 minutes", "for 4 weeks", "until Friday"]),
).map(lambda parts: "schedule gym " + "".join(parts))  # fmt: skip


def planned(intent: str, now: datetime) -> Plan | str:
    try:
        return plan_by_rules(intent, TOOLS, PlanningContext(now))
    except Unplannable as refused:
        return str(refused)


@settings(deadline=None)
@given(sentences, moments)
def test_any_sentence_is_planned_or_refused_and_always_the_same(intent, now):
    outcome = planned(intent, now)

    assert outcome == planned(intent, now)


@settings(deadline=None)
@given(sentences)
def test_any_plan_is_sound(tmp_path_factory, intent):
    outcome = planned(intent, NOW)

    if isinstance(outcome, Plan):
        check_plan(outcome, TOOLS, EngineSettings(tmp_path_factory.getbasetemp()), approve_from=Risk.L3)


@settings(max_examples=300, deadline=None)
@given(whens, moments)
def test_no_slot_is_ever_planned_in_the_past(intent, now):
    outcome = planned(intent, now)

    if isinstance(outcome, Plan):
        (step,) = outcome.steps
        starts = [_moment(start, now) for start in step.args["starts"]]
        assert starts
        assert starts == sorted(set(starts))
        # A floating start names no offset: in the hour that comes twice in autumn it may be either of two.
        slack = timedelta(hours=1) if "repeat" in step.args else timedelta(0)
        assert all(start.timestamp() > (now - slack).timestamp() for start in starts)
        assert max(starts) - min(starts) < timedelta(days=70)


def _moment(text: str, now: datetime) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


@settings(deadline=None)
@given(st.permutations(["plan groceries", "find 2 python jobs", "schedule gym 3x this week", "apply to 1 go job"]))
def test_independent_requests_give_the_same_steps_in_any_order(intents):
    outcome = planned(", ".join(intents), NOW)

    assert isinstance(outcome, Plan)
    assert sorted(_shape(outcome.steps)) == [
        ("calendar_create", "Schedule gym 3 times"),
        ("cv_tailor", "Tailor the CV to go job 1"),
        ("grocery_plan", "Plan groceries"),
        ("job_search", "Search for 1 go job"),
        ("job_search", "Search for 2 python jobs"),
        ("job_submit", "Apply to go job 1"),
    ]


def _shape(steps: tuple[PlanStep, ...]) -> list[tuple[str, str | None]]:
    return [(step.tool, step.name) for step in steps]
