"""A plan with anything wrong is refused whole, with every fault at its path, and nothing of it is stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from engine.errors import InvalidPlan
from engine.plans import Plan, PlanStep
from engine.runs import Submission
from engine.settings import EngineSettings
from engine.tools import Registry, tool
from engine.validation import check_plan
from persistence.states import Risk
from tests.engine.harness import running, step


class Address(BaseModel):
    street: str
    number: int


@tool(risk="L1")
async def post(
    to: str, copies: Annotated[int, Field(ge=1, le=9)] = 1, size: Literal["A5", "A6"] = "A6", at: Address | None = None
) -> None:
    """Posts a card."""


@tool(risk="L0")
async def anything(value: Any = None) -> None:
    """Takes anything."""


TOOLS = Registry.of(post, anything)
SETTINGS = EngineSettings(data_dir=Path("/nowhere"), max_plan_steps=10, max_json_bytes=3000)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def holds(value: Any, *, key: str = "s", after: Sequence[str] = ()) -> PlanStep:
    return step(key, "anything", args={"value": value}, after=after)


def mark(expression: Any) -> dict[str, Any]:
    return {"$jmespath": expression}


A = step("a", "anything")

BAD: dict[str, tuple[Sequence[PlanStep], dict[str, str]]] = {
    # The plan
    "no steps": ([], {"plan.steps": "at least one"}),
    "too many steps": ([step(f"s{n}", "anything") for n in range(11)], {"plan.steps": "10 steps, and this has 11"}),
    # Keys and names
    "the same key twice": ([A, A], {"plan.steps.1.key": "taken by step 0"}),
    "the same key thrice": ([A, A, A], {"plan.steps.1.key": "step 0", "plan.steps.2.key": "step 0"}),
    "an empty key": ([step("", "anything")], {"plan.steps.0.key": "1 to 100"}),
    "a blank key": ([step(" ", "anything")], {"plan.steps.0.key": "blank"}),
    "a key with a blank end": ([step("a ", "anything")], {"plan.steps.0.key": "blank"}),
    "a key with a line's end": ([step("a\n", "anything")], {"plan.steps.0.key": "printable"}),
    "a key with a NUL": ([step("a\x00b", "anything")], {"plan.steps.0.key": "printable"}),
    "a key with half a pair": ([step("a\ud83d", "anything")], {"plan.steps.0.key": "printable"}),
    "a long key": ([step("k" * 101, "anything")], {"plan.steps.0.key": "1 to 100"}),
    "an empty name": ([step("a", "anything", name="")], {"plan.steps.0.name": "1 to 500"}),
    "a blank name": ([step("a", "anything", name=" \t")], {"plan.steps.0.name": "1 to 500"}),
    "a long name": ([step("a", "anything", name="n" * 501)], {"plan.steps.0.name": "1 to 500"}),
    "a name with a NUL": ([step("a", "anything", name="a\x00")], {"plan.steps.0.name": "NUL"}),
    "a name with half a pair": ([step("a", "anything", name="\udc00")], {"plan.steps.0.name": ""}),
    # Tools and dependencies
    "an unknown tool": ([step("a", "send_rocket")], {"plan.steps.0.tool": "'send_rocket'"}),
    "a tool's name mistyped": (
        [step("a", "anythin")],
        {"plan.steps.0.tool": "there is no tool 'anythin'; the nearest is 'anything'; there are anything, post"},
    ),
    "a step's name mistyped": (
        [step("search", "anything"), step("b", "anything", after=["serach"])],
        {"plan.steps.1.dependsOn.0": "there is no step 'serach' in this plan; the nearest is 'search'"},
    ),
    "a step mistyped in a reference": (
        [step("search", "anything"), holds(mark("serach.x"), after=["search"])],
        {"plan.steps.1.args.value": "there is no step of that key; the nearest is 'search'"},
    ),
    "an argument mistyped": (
        [step("a", "post", args={"to": "Ada", "copeis": 2})],
        {"plan.steps.0.args.copeis": "is not known here; the nearest is 'copies'"},
    ),
    "a tool without a name": ([step("a", "")], {"plan.steps.0.tool": "there are anything, post"}),
    "an unknown step": ([A, step("b", "anything", after=["a", "x"])], {"plan.steps.1.dependsOn.1": "'x'"}),
    "another case of a key": ([A, step("b", "anything", after=["A"])], {"plan.steps.1.dependsOn.0": "'A'"}),
    "a step twice": ([A, step("b", "anything", after=["a", "a"])], {"plan.steps.1.dependsOn.1": "named twice"}),
    "itself": ([step("a", "anything", after=["a"])], {"plan.steps.0.dependsOn.0": "itself"}),
    "a circle of two": (
        [step("a", "anything", after=["b"]), step("b", "anything", after=["a"])],
        {"plan.steps.0.dependsOn": "'a' → 'b' → 'a'"},
    ),
    "a circle behind a tail": (
        [
            A,
            step("b", "anything", after=["a", "d"]),
            step("c", "anything", after=["b"]),
            step("d", "anything", after=["c"]),
        ],
        {"plan.steps.1.dependsOn": "'b' → 'c' → 'd' → 'b'"},
    ),
    # Numbers
    "negative attempts": ([step("a", "anything", max_attempts=-1)], {"plan.steps.0.maxAttempts": "0 for no end"}),
    "too many attempts": ([step("a", "anything", max_attempts=2**31)], {"plan.steps.0.maxAttempts": "1 to 2147483647"}),
    "no time": ([step("a", "anything", timeout_seconds=0)], {"plan.steps.0.timeoutSeconds": "more than 0"}),
    "negative time": ([step("a", "anything", timeout_seconds=-1)], {"plan.steps.0.timeoutSeconds": "more than 0"}),
    "endless time": ([step("a", "anything", timeout_seconds=math.inf)], {"plan.steps.0.timeoutSeconds": "604800"}),
    "time that is none": ([step("a", "anything", timeout_seconds=math.nan)], {"plan.steps.0.timeoutSeconds": ""}),
    "a month": ([step("a", "anything", timeout_seconds=2_600_000)], {"plan.steps.0.timeoutSeconds": "604800"}),
    # Arguments against the tool's schema
    "a missing argument": ([step("a", "post")], {"plan.steps.0.args.to": "is missing"}),
    "an unknown argument": (
        [step("a", "post", args={"to": "Ann", "from": "Bob"})],
        {"plan.steps.0.args.from": "not known"},
    ),
    "a wrong type": ([step("a", "post", args={"to": 7})], {"plan.steps.0.args.to": ""}),
    "text for a number": ([step("a", "post", args={"to": "A", "copies": "3"})], {"plan.steps.0.args.copies": ""}),
    "a number out of range": ([step("a", "post", args={"to": "A", "copies": 10})], {"plan.steps.0.args.copies": "9"}),
    "none of the choices": ([step("a", "post", args={"to": "A", "size": "A4"})], {"plan.steps.0.args.size": "A5"}),
    "a fault inside": (
        [step("a", "post", args={"to": "A", "at": {"street": "X", "number": "1"}})],
        {"plan.steps.0.args.at.number": ""},
    ),
    "faults beside a reference": (
        [A, step("b", "post", args={"to": mark("a.to"), "copies": 0, "size": "A0"}, after=["a"])],
        {"plan.steps.1.args.copies": "", "plan.steps.1.args.size": ""},
    ),
    # Arguments that are no JSON
    "NaN": ([holds(math.nan)], {"plan.steps.0.args.value": "finite"}),
    "Infinity inside": ([holds({"x": [1, -math.inf]})], {"plan.steps.0.args.value.x.1": "finite"}),
    "an integer that readers round": ([holds([2**53])], {"plan.steps.0.args.value.0": "2^53"}),
    "an enormous integer": ([holds(-(10**400))], {"plan.steps.0.args.value": "2^53"}),
    "NUL in a text": ([holds({"x": "a\x00"})], {"plan.steps.0.args.value.x": "NUL"}),
    "half a pair in a text": ([holds(["\ud800"])], {"plan.steps.0.args.value.0": "surrogate"}),
    "NUL in a key": ([holds({"x": {"a\x00": 1}})], {"plan.steps.0.args.value.x": "NUL"}),
    "a key that is no text": ([holds({1: 2})], {"plan.steps.0.args.value": "not text"}),
    "deep nesting": ([holds(nested(120))], {"plan.steps.0.args.value" + ".0" * 99: "deeper"}),
    "very deep nesting": ([holds(nested(50_000))], {"plan.steps.0.args.value" + ".0" * 99: "deeper"}),
    "too large": ([A, holds("x" * 3001)], {"plan.steps.1.args": "more than the 3000 allowed"}),
    # References
    "no expression": ([holds([mark("a.")])], {"plan.steps.0.args.value.0": "no JMESPath expression"}),
    "an unknown function": ([holds(mark("lenght(a)"))], {"plan.steps.0.args.value": "the nearest is length()"}),
    "too many arguments": ([holds(mark("length(a, b)"))], {"plan.steps.0.args.value": "takes 1 argument, and has 2"}),
    "too few arguments": ([holds(mark("split(a)"))], {"plan.steps.0.args.value": "takes 2 to 3 arguments, and has 1"}),
    "an unbound variable": ([holds(mark("$a.b"))], {"plan.steps.0.args.value": "nothing binds $a"}),
    "no regular expression": ([holds(mark("regex_all('x', '(')"))], {"plan.steps.0.args.value": "RE2"}),
    "an empty expression": ([holds(mark(""))], {"plan.steps.0.args.value": "no JMESPath expression"}),
    "an unfinished text": ([holds(mark("a.'b"))], {"plan.steps.0.args.value": "no JMESPath expression"}),
    "an expression of brackets": ([holds(mark("[" * 1500))], {"plan.steps.0.args.value": "no JMESPath expression"}),
    "a long expression": ([holds(mark("a" * 2001))], {"plan.steps.0.args.value": "2000 characters"}),
    "a number as expression": ([holds(mark(7))], {"plan.steps.0.args.value": "as text"}),
    "a list as expression": ([holds(mark(["a"]))], {"plan.steps.0.args.value": "as text"}),
    "an object as expression": ([holds(mark({"x": 1, "y": 2}))], {"plan.steps.0.args.value": "as text"}),
    "an endless pipe": ([A, holds(mark("|".join(["a"] * 900)), after=["a"])], {"plan.steps.1.args.value": "deep"}),
    "a reference to no step": ([holds({"x": [mark("ghost.x")]})], {"plan.steps.0.args.value.x.0": "'ghost'"}),
    "a reference to a step beside": ([A, holds(mark("a.x"))], {"plan.steps.1.args.value": "does not depend on"}),
    "a reference to a step below": (
        [holds(mark("b.x"), key="a"), step("b", "anything", after=["a"])],
        {"plan.steps.0.args.value": "does not depend on"},
    ),
    "a reference to itself": ([holds(mark("s.x"))], {"plan.steps.0.args.value": "does not depend on"}),
    "two bad references": (
        [A, holds([mark("a"), mark("[ghost, a]")])],
        {"plan.steps.1.args.value.0": "'a'", "plan.steps.1.args.value.1": "'ghost'"},
    ),
    "a mark beside another key": ([holds({"$jmespath": "a", "x": 1})], {"plan.steps.0.args.value": "only key"}),
    "a literal beside another key": ([holds([{"$literal": 1, "x": 1}])], {"plan.steps.0.args.value.0": "only key"}),
    "a secret beside another key": ([holds({"$secret": "A", "x": 1})], {"plan.steps.0.args.value": "only key"}),
    "a literal that holds a secret": (
        [holds({"$literal": [{"$secret": "PIN"}]})],
        {"plan.steps.0.args.value.$literal.0": "can't hold a $secret"},
    ),
    "a secret without a name": ([holds({"$secret": ""})], {"plan.steps.0.args.value": "name of one"}),
    "a secret with a path": ([holds({"$secret": "../PIN"})], {"plan.steps.0.args.value": "name of one"}),
    "a secret that is a number": ([holds({"$secret": 4})], {"plan.steps.0.args.value": "name of one"}),
    "an expression that makes a secret": (
        [A, holds(mark('{"$secret": a.name}'), after=["a"])],
        {"plan.steps.1.args.value": "$secret"},
    ),
    "an expression that writes a secret": (
        [holds(mark('`{"x": [{"$secret": "PIN"}]}`'))],
        {"plan.steps.0.args.value": "$secret"},
    ),
    "an expression that grows without bound": (
        [holds(mark("|".join(["[@, @]"] * 40)))],
        {"plan.steps.0.args.value": ""},
    ),
    "an expression that repeats a text without bound": (
        [holds(mark("'0123456789'|" + "|".join(["join('', [@, @])"] * 60)))],
        {"plan.steps.0.args.value": ""},
    ),
    "an expression that flattens without bound": (
        [holds(mark("|".join(["[@, @]"] * 40) + "|" + "[]" * 40))],
        {"plan.steps.0.args.value": ""},
    ),
    "a result that is no JSON": ([holds(mark("to_number('1e999')"))], {"plan.steps.0.args.value": ""}),
    # Many at once
    "faults of all kinds together": (
        [step("a", "ghost"), step("a", "post", args={"to": 1}, after=["x"], max_attempts=-1), holds(math.nan)],
        {
            "plan.steps.0.tool": "'ghost'",
            "plan.steps.1.key": "taken",
            "plan.steps.1.dependsOn.0": "'x'",
            "plan.steps.1.maxAttempts": "",
            "plan.steps.1.args.to": "",
            "plan.steps.2.args.value": "finite",
        },
    ),
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize(("steps", "expected"), BAD.values(), ids=list(BAD))
def test_a_bad_plan_is_refused_with_each_fault_at_its_path(steps: Sequence[PlanStep], expected: dict[str, str]) -> None:
    with pytest.raises(InvalidPlan) as refused:
        check_plan(Plan(tuple(steps)), TOOLS, SETTINGS, approve_from=Risk.L3)

    found = {".".join(map(str, fault.path)): fault.message for fault in refused.value.faults}
    assert found.keys() == expected.keys()
    assert all(words in found[path] for path, words in expected.items()), found


async def test_nothing_of_a_bad_plan_is_stored(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False, max_plan_steps=10, max_json_bytes=3000) as it:
        for number, (steps, _) in enumerate(BAD.values()):
            with pytest.raises(InvalidPlan):
                await it.engine.submit(it.admin, Submission(None, Plan(tuple(steps)), f"key {number}", None, {}))
            with pytest.raises(InvalidPlan):
                await it.engine.preview(it.admin, intent=None, plan=Plan(tuple(steps)))

        for table in ("runs", "steps", "approvals", "timeline_events"):
            assert await it.database.fetchval(f"SELECT count(*) FROM {table}") == 0


def test_what_is_just_within_the_limits_is_sound() -> None:
    steps = [
        step("k" * 100, "anything", name="n" * 500, max_attempts=2**31 - 1, timeout_seconds=604_800),
        step("ключ с пробелом 'и' \"кавычками\"", "anything", args={"value": "x" * (3000 - len('{"value":""}'))}),
        holds(2**53 - 1, key="largest"),
        holds(nested(98), key="deepest"),
        holds({"$literal": {"$jmespath": "untouched", "x": {"$literal": 1}}}, key="literal"),
        holds(mark("`[1, 2]`"), key="constant"),
        *[step(f"s{n}", "anything") for n in range(4)],
    ]

    sound = check_plan(Plan(tuple(steps)), TOOLS, SETTINGS, approve_from=Risk.L3)

    assert len(sound.steps) == 10


def test_faults_come_in_the_order_of_the_plan() -> None:
    steps = [step(f"s{n}", "ghost", after=["x", "y"], max_attempts=-1) for n in range(10)]

    with pytest.raises(InvalidPlan) as refused:
        check_plan(Plan(tuple(steps)), TOOLS, SETTINGS, approve_from=Risk.L3)

    places = [fault.path[2] for fault in refused.value.faults]
    assert places == sorted(places, key=int)
    assert len(places) == 40


@pytest.mark.timeout(10)
def test_the_largest_plan_is_checked_in_no_time() -> None:
    wide = EngineSettings(data_dir=Path("/nowhere"))
    chain = [step(f"s{n}", "anything", after=[f"s{n - 1}"] if n else []) for n in range(2000)]
    net = [step(f"s{n}", "anything", after=[f"s{m}" for m in range(max(0, n - 50), n)]) for n in range(2000)]
    ring = [step(f"s{n}", "anything", after=[f"s{(n + 1) % 2000}"]) for n in range(2000)]

    assert len(check_plan(Plan(tuple(chain)), TOOLS, wide, approve_from=Risk.L3).steps) == 2000
    assert len(check_plan(Plan(tuple(net)), TOOLS, wide, approve_from=Risk.L3).steps) == 2000
    with pytest.raises(InvalidPlan) as refused:
        check_plan(Plan(tuple(ring)), TOOLS, wide, approve_from=Risk.L3)
    assert "→ … →" in refused.value.faults[0].message or len(refused.value.faults[0].message) < 500
