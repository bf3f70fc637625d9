"""What plans can say beyond calls: each fault at its path, and what is stored of what is sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidPlan
from engine.plans import Plan, PlanStep
from engine.settings import EngineSettings
from engine.tools import Registry, tool
from engine.validation import SoundPlan, check_plan
from persistence.ids import new_id
from persistence.moves.directives import Directive, PlannedAnswer
from persistence.states import Risk


@tool(risk="L0")
async def look(value: Any = None) -> Any:
    """Takes anything, and gives anything."""
    return value


@tool(risk="L3")
async def pay(amount: int, currency: str = "EUR") -> None:
    """Pays."""


TOOLS = Registry.of(look, pay)
SETTINGS = EngineSettings(data_dir=Path("/nowhere"), max_json_bytes=3000)
AT = datetime(2026, 12, 1, 9, tzinfo=UTC)


def mark(expression: Any) -> dict[str, Any]:
    return {"$jmespath": expression}


def one(key: str = "s", value: Any = None, *, needs: Sequence[str] = (), **said: Any) -> PlanStep:
    return PlanStep(key=key, tool="look", args={"value": value}, depends_on=tuple(needs), **said)


def checked(*steps: PlanStep, answer: Any = None) -> SoundPlan:
    return check_plan(Plan(steps, answer), TOOLS, SETTINGS, approve_from=Risk.L3)


def faults(*steps: PlanStep, answer: Any = None) -> dict[str, str]:
    with pytest.raises(InvalidPlan) as refused:
        checked(*steps, answer=answer)
    return {".".join(map(str, fault.path)): fault.message for fault in refused.value.faults}


A, B = one("a"), one("b")
EACH = mark("a.list")

BAD: dict[str, tuple[Sequence[PlanStep], dict[str, str]]] = {
    # Conditions
    "a condition that is a text": ([one(when="a.ok")], {"plan.steps.0.when": '{"$jmespath": "EXPRESSION"}'}),
    "a condition that is false": ([one(when=False)], {"plan.steps.0.when": "one reference stands here"}),
    "a condition that is empty": ([one(when={})], {"plan.steps.0.when": "one reference stands here"}),
    "a condition that is a literal": (
        [one(when={"$literal": True})],
        {"plan.steps.0.when": "one reference stands here"},
    ),
    "a condition beside another key": ([one(when={**mark("`1`"), "x": 1})], {"plan.steps.0.when": "nothing beside it"}),
    "a condition around a reference": (
        [one(when={"x": mark("`1`")})],
        {"plan.steps.0.when": "one reference stands here"},
    ),
    "a condition of a number": ([one(when=mark(7))], {"plan.steps.0.when": "one reference stands here"}),
    "a condition with a NUL": ([one(when=mark("'\x00'"))], {"plan.steps.0.when": "NUL"}),
    "a condition that is no expression": ([one(when=mark("a."))], {"plan.steps.0.when": "no JMESPath expression"}),
    "a condition with an unknown function": (
        [one(when=mark("lenght(`[]`)"))],
        {"plan.steps.0.when": "the nearest is length()"},
    ),
    "a condition on no step": ([one(when=mark("ghost.x"))], {"plan.steps.0.when": "'ghost', and there is no step"}),
    "a condition on a step mistyped": (
        [one("search"), one(when=mark("serach.x"), needs=["search"])],
        {"plan.steps.1.when": "the nearest is 'search'"},
    ),
    "a condition on a step beside": ([A, one(when=mark("a.x"))], {"plan.steps.1.when": "does not depend on"}),
    "a field of what is not": (
        [A, one(when=mark("a.n > `1` && !a.value.x"), needs=["a"])],
        {"plan.steps.1.when": "as ! binds more tightly than what follows: write !(a.value.x)"},
    ),
    "entries of what is not": (
        [A, one(when=mark("!a[?x].y"), needs=["a"])],
        {"plan.steps.1.when": "write !(a[?…].y)"},
    ),
    "a condition on the entry": (
        [A, one(when=mark("item.ok"), for_each=EACH, needs=["a"])],
        {"plan.steps.1.when": "only the args of a step with forEach know its item and index"},
    ),
    # Lists
    "a list that is written out": ([one(for_each=[1, 2])], {"plan.steps.0.forEach": "one reference stands here"}),
    "a list of no step": ([one(for_each=mark("ghost"))], {"plan.steps.0.forEach": "'ghost'"}),
    "a list of a step beside": ([A, one(for_each=EACH)], {"plan.steps.1.forEach": "does not depend on"}),
    "a list of its own entries": (
        [A, one(for_each=mark("item.list"), needs=["a"])],
        {"plan.steps.1.forEach": "only the args"},
    ),
    "a list of what is not": (
        [A, one(for_each=mark("[!a.value]"), needs=["a"])],
        {"plan.steps.1.forEach": "write !(a.value)"},
    ),
    "an entry without a list": (
        [one(value=mark("item.x"))],
        {"plan.steps.0.args.value": "only the args of a step with"},
    ),
    "no entries at most": ([one(for_each=mark("`[]`"), for_each_most=0)], {"plan.steps.0.forEachMost": "1 to 1000"}),
    "too many entries": ([one(for_each=mark("`[]`"), for_each_most=1001)], {"plan.steps.0.forEachMost": "1 to 1000"}),
    "none at once": ([one(for_each=mark("`[]`"), max_parallel=0)], {"plan.steps.0.maxParallel": "1 or more"}),
    "what belongs to a list, without one": (
        [one(for_each_most=5, max_parallel=2, for_each_tolerates=True)],
        {
            "plan.steps.0.forEachMost": "this has none",
            "plan.steps.0.maxParallel": "this has none",
            "plan.steps.0.forEachTolerates": "this has none",
        },
    ),
    "the key of a child": (
        [A, one("k", for_each=EACH, needs=["a"]), one("k[0]"), one("k[12]")],
        {"plan.steps.2.key": "child of step 1", "plan.steps.3.key": "child of step 1"},
    ),
    "steps that the entry hides": (
        [one("item"), one("index"), A, one(for_each=EACH, needs=["a", "item"], after=("index",))],
        {"plan.steps.3.dependsOn.1": "another key", "plan.steps.3.after.0": "another key"},
    ),
    "a child, referred to": (
        [A, one("k", for_each=EACH, needs=["a"]), one(value=mark('"k[0]".x'), needs=["k"])],
        {"plan.steps.2.args.value": "through the list of its parent, 'k'"},
    ),
    # After
    "after nobody": (
        [A, one(after=("aa",))],
        {"plan.steps.1.after.0": "no step 'aa' in this plan; the nearest is 'a'"},
    ),
    "after itself": ([one(after=("s",))], {"plan.steps.0.after.0": "can't come after itself"}),
    "after one twice": ([A, one(after=("a", "a"))], {"plan.steps.1.after.1": "named twice"}),
    "after what it depends on": ([A, one(needs=["a"], after=("a",))], {"plan.steps.1.after.0": "in dependsOn too"}),
    "a circle of after": (
        [one("a", after=("b",)), one("b", after=("a",))],
        {"plan.steps.0.after": "'a' → 'b' → 'a'"},
    ),
    "a circle of both": (
        [one("a", after=("c",)), one("b", needs=["a"]), one("c", needs=["b"])],
        {"plan.steps.0.after": "'a' → 'b' → 'c' → 'a'"},
    ),
    # Waits
    "a negative delay": ([one(delay_seconds=-1)], {"plan.steps.0.delaySeconds": "0 to 31536000"}),
    "an endless delay": ([one(delay_seconds=math.inf)], {"plan.steps.0.delaySeconds": ""}),
    "no number as delay": ([one(delay_seconds=math.nan)], {"plan.steps.0.delaySeconds": ""}),
    "more than a year": ([one(delay_seconds=31_536_000.5)], {"plan.steps.0.delaySeconds": "which is a year"}),
    "a moment without an offset": (
        [one(not_before=AT.replace(tzinfo=None))],
        {"plan.steps.0.notBefore": "has an offset"},
    ),
    "a moment beyond all years": (
        [one(not_before=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))))],
        {"plan.steps.0.notBefore": "years 1 to 9999"},
    ),
    # All together
    "faults of all kinds in their order": (
        [one(when=1, after=("x",)), one("t", delay_seconds=-1, value=mark("y"))],
        {
            "plan.steps.0.after.0": "'x'",
            "plan.steps.0.when": "one reference stands here",
            "plan.steps.1.args.value": "'y'",
            "plan.steps.1.delaySeconds": "",
        },
    ),
}


@pytest.mark.parametrize(("steps", "expected"), BAD.values(), ids=list(BAD))
def test_what_is_wrong_is_said_at_its_path(steps: Sequence[PlanStep], expected: dict[str, str]) -> None:
    found = faults(*steps)

    assert found.keys() == expected.keys()
    assert all(words in found[path] for path, words in expected.items()), found


BAD_ANSWERS: dict[str, tuple[Any, dict[str, str]]] = {
    "an unknown key": ({"x": [mark("aa.x")]}, {"plan.answer.x.0": "the nearest is 'a'"}),
    "no expression": (mark("a."), {"plan.answer": "no JMESPath expression"}),
    "a secret": ([{"$secret": "PIN"}], {"plan.answer.0": "can't hold a $secret"}),
    "a secret in a literal": ({"$literal": {"$secret": "PIN"}}, {"plan.answer.$literal": "can't hold a $secret"}),
    "a secret beside": ({"x": {"$secret": "PIN", "y": 1}}, {"plan.answer.x": "only key"}),
    "NaN": ({"x": math.nan}, {"plan.answer.x": "finite"}),
    "too large": ("x" * 3001, {"plan.answer": "the answer take 3003 bytes"}),
    "a field of what is not": ({"none": mark("!a.found")}, {"plan.answer.none": "write !(a.found)"}),
    "a child": (mark('"k[3]".x'), {"plan.answer": "through the list of its parent, 'k'"}),
}


@pytest.mark.parametrize(("answer", "expected"), BAD_ANSWERS.values(), ids=list(BAD_ANSWERS))
def test_what_is_wrong_with_an_answer_is_said_at_its_path(answer: Any, expected: dict[str, str]) -> None:
    found = faults(A, one("k", for_each=EACH, needs=["a"]), answer=answer)

    assert found.keys() == expected.keys()
    assert all(words in found[path] for path, words in expected.items()), found


def test_faults_of_the_answer_come_behind_those_of_the_steps() -> None:
    found = faults(one(when=1), answer=[mark("x"), mark("y")])

    assert list(found) == ["plan.steps.0.when", "plan.answer.0", "plan.answer.1"]


def test_what_a_step_says_becomes_its_directive() -> None:
    sound = checked(
        A,
        one("b", when=mark("a.ok"), needs=["a"]),
        one("c", mark("item.id"), for_each=EACH, for_each_most=7, for_each_tolerates=True, max_parallel=3, needs=["a"]),
        one("d", after=("b", "c"), delay_seconds=1.5, not_before=AT),
        one("e", needs=["d"]),
    )

    assert sound.directives == (
        Directive(1, condition="a.ok", followers=(3,)),
        Directive(2, for_each="a.list", for_each_most=7, tolerates=True, max_parallel=3, followers=(3,)),
        Directive(3, delay_seconds=1.5, not_before=AT, after=(1, 2)),
    )
    assert sound.answer is None
    assert sound.is_elaborate


def test_a_list_has_a_hundred_entries_at_most_unless_it_says_otherwise() -> None:
    (said,) = checked(one(for_each=mark("`[1]`"))).directives

    assert said.for_each_most == 100


def test_what_is_so_anyhow_says_nothing() -> None:
    sound = checked(one(for_each_tolerates=False, delay_seconds=0), one("t", after=()))

    assert sound.directives == ()
    assert not sound.is_elaborate


@pytest.mark.parametrize("answer", ["text", 0, False, [], {"x": {"$literal": mark("no.expression.")}}])
def test_an_answer_without_references_needs_no_step(answer: Any) -> None:
    sound = checked(A, answer=answer)

    assert sound.answer is not None
    assert sound.answer.needs == ()
    assert sound.is_elaborate
    assert sound.directives == ()


def test_an_answer_reaches_every_step() -> None:
    sound = checked(A, one("b", needs=["a"]), one("c"), answer={"x": mark("c.x"), "y": [mark("a.y")]})

    assert sound.answer == PlannedAnswer('{"x":{"$jmespath":"c.x"},"y":[{"$jmespath":"a.y"}]}', (0, 2))


def test_an_answer_that_looks_everywhere_needs_every_step() -> None:
    sound = checked(A, B, answer=mark("keys(@)"))

    assert sound.answer is not None
    assert sound.answer.needs == (0, 1)


def test_references_reach_through_what_a_step_comes_after() -> None:
    sound = checked(
        A,
        one("b", needs=["a"]),
        one("c", after=("b",)),
        one("d", [mark("a.x"), mark("c.x")], needs=["c"]),
        one("e", when=mark("a.x || b.y"), after=("d",)),
    )

    assert [step.needs for step in sound.steps] == [(), (), (), (0, 2), (0, 1)]
    assert [step.depends_on for step in sound.steps] == [(), (0,), (), (2,), ()]
    assert [step.dependents for step in sound.steps] == [(1,), (), (3,), (), ()]


def test_a_step_needs_what_its_condition_list_and_arguments_look_at() -> None:
    sound = checked(A, B, one("c"), one("d", mark("c.x"), when=mark("b.ok"), for_each=EACH, needs=["a", "b", "c"]))

    assert sound.steps[3].needs == (0, 1, 2)
    assert sound.steps[3].dynamic


def test_known_arguments_under_a_condition_are_resolved_at_once() -> None:
    sound = checked(A, PlanStep("p", "pay", args={"amount": 3}, depends_on=("a",), when=mark("a.ok")))

    assert sound.steps[1].needs == (0,)
    assert not sound.steps[1].dynamic
    assert sound.steps[1].resolved_args == b'{"currency":"EUR","amount":3}'
    assert sound.steps[1].digest is not None


@pytest.mark.parametrize("expression", ["item", "index", "[item.x, a.y]", "@", "let $x = @ in $x.item"])
def test_what_looks_at_the_entry_is_known_only_when_it_runs(expression: str) -> None:
    step = PlanStep("p", "pay", args={"amount": mark(expression)}, depends_on=("a",), for_each=EACH)

    sound = checked(A, step)

    assert sound.steps[1].dynamic
    assert sound.steps[1].resolved_args is None
    assert sound.steps[1].digest is None


def test_a_step_with_a_list_has_no_arguments_of_its_own() -> None:
    sound = checked(A, PlanStep("p", "pay", args={"amount": 3}, depends_on=("a",), for_each=EACH))

    assert sound.steps[1].resolved_args is None
    assert sound.steps[1].digest is None


def test_item_and_index_are_keys_like_any_other_without_a_list() -> None:
    sound = checked(one("item"), one("index"), one("s", mark("item.x + index.y"), needs=["item"], after=("index",)))

    assert sound.steps[2].needs == (0, 1)


def test_the_key_of_a_child_is_free_where_there_are_no_children() -> None:
    sound = checked(one("k", after=("a",)), A, one("k[0]"), one("k[x]", for_each=mark("`[]`")), one("k[x]0"))

    assert len(sound.steps) == 5


def test_a_step_that_asks_for_now_is_known_only_when_its_run_is() -> None:
    sound = checked(A, PlanStep("p", "look", args={"value": mark("date_add(now(), `1`, 'day')")}))

    assert sound.steps[1].dynamic
    assert sound.steps[1].needs == ()
    assert sound.steps[1].resolved_args is None
    assert sound.directives == (Directive(1),)
    assert sound.is_elaborate


def test_now_in_a_condition_leaves_known_arguments_known() -> None:
    sound = checked(one(value=1, when=mark("now() > '2026'")))

    assert not sound.steps[0].dynamic
    assert sound.directives == (Directive(0, condition="now() > '2026'"),)


def test_every_step_of_an_elaborate_run_keeps_its_result_at_hand() -> None:
    plain = checked(A, B).for_run(new_id(), new_id())
    elaborate = checked(A, B, answer=mark("a")).for_run(new_id(), new_id())

    assert [step.feeds for step in plain] == [False, False]
    assert [step.feeds for step in elaborate] == [True, True]


@pytest.mark.timeout(20)
def test_the_largest_plan_that_says_everything_is_checked_in_no_time() -> None:
    steps = [
        one(
            f"s{n}",
            mark(f"[item.x, s{n - 1}[0].result.y]"),
            when=mark(f"s{n - 1}[?result.ok]"),
            for_each=mark(f"s{n - 1}[*].result"),
            needs=[f"s{n - 1}"],
            after=(f"s{n - 2}",) if n > 1 else (),
            delay_seconds=1,
        )
        if n
        else one("s0", for_each=mark("`[]`"))
        for n in range(2000)
    ]

    assert len(checked(*steps, answer=mark("s1999")).directives) == 2000
