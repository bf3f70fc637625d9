"""No operation costs a statement for each of its parents."""

import asyncio
import gc
from functools import partial
from typing import Any

import pytest

from persistence.reads import Reads
from persistence.states import Risk
from schema.api.context import Context
from schema.api.schema import TIMELINE_PAGE
from schema.api.types.runs import Run
from schema.api.types.steps import Step
from schema.fast.execution import FastExecutor
from schema.fast.limits import Limits
from tests.engine.test_conditions import mark, planned
from tests.schema.stories import Told
from tests.schema.world import person_of, world

WIDE = Limits(tokens=4000, nodes=10**6, pages={"Run.timeline": TIMELINE_PAGE})


async def told_many(it: Any, steps: int) -> Any:
    told = [Told("first"), *(Told(f"s{n}", after=("first",), args={"n": n}) for n in range(1, steps - 1))]
    return await it.stories.run(person_of(it.admin), [*told, Told("pay", risk=Risk.L3)])


async def test_a_thousand_steps_with_all_around_them_take_few_statements(dsn: str):
    async with world(dsn, executes=False, limits=WIDE) as it:
        run = await told_many(it, 1000)
        it.statements.clear()

        data = await it.ask(
            it.admin,
            """query ($id: ID!) { run(id: $id) { steps {
                id key name tool riskLevel state args attempt createdAt deadLettered waitingFor
                dependsOn { key } dependents { key } toolCalls { status } approvals { status } run { id state }
            } } }""",
            id=f"run_{run.hex}",
        )

        steps = data["run"]["steps"]
        assert len(steps) == 1000
        assert steps[5]["dependsOn"] == [{"key": "first"}]
        assert len(steps[0]["dependents"]) == 998
        assert steps[-1]["approvals"] == [{"status": "REQUIRED"}]
        assert steps[5]["waitingFor"] == "Waiting for “first”."
        assert len(it.statements) == 4, it.statements


@pytest.mark.parametrize(
    ("selection", "most"),
    [
        ("id state intent progress { total } submittedBy { name roles } error { code }", 1),
        ("steps { key }", 2),
        ("steps { key run { id submittedBy { name } } }", 2),
        ("steps { dependsOn { dependsOn { key } } }", 2),
        ("ready: steps(states: [READY]) { key } blocked: steps(states: [BLOCKED]) { key }", 3),
        ("steps(states: [PENDING]) { waitingFor dependsOn { key } }", 3),
        ("approvals { status step { key run { id } } run { id } decidedBy { name } }", 3),
        ("timeline(first: 9) { nodes { seq run { id } step { key } approval { id } } }", 4),
        ("timeline(first: 3) { nodes { seq } } more: timeline(first: 2) { edges { cursor } }", 2),
        ("diagram steps { key }", 2),
        ("steps { toolCalls { status } approvals { step { key } } }", 4),
        # What plain runs have none of costs them nothing.
        ("answer answerError { code } waitingFor", 1),
        ("steps { when forEach after { key } parent { key } index children { totalCount nodes { key } } }", 2),
    ],
)
async def test_twenty_runs_take_a_statement_a_level(dsn: str, selection: str, most: int):
    async with world(dsn, executes=False, limits=WIDE) as it:
        for _ in range(20):
            await it.stories.run(
                person_of(it.admin),
                [Told("a"), Told("b", after=("a",)), Told("c", after=("b",)), Told("d", risk=Risk.L3)],
            )
        it.statements.clear()

        data = await it.ask(it.admin, f"{{ runs(first: 20) {{ nodes {{ {selection} }} }} }}")

        assert len(data["runs"]["nodes"]) == 20
        assert len(it.statements) == most, it.statements


@pytest.mark.parametrize(
    ("selection", "most"),
    [
        ("answer answerError { code } waitingFor", 2),
        ("notices", 2),
        ("diagram", 3),
        ("steps { when forEach }", 3),
        ("steps { when after { key when } }", 3),
        ("steps(states: [PENDING]) { waitingFor }", 4),
        ("steps { index parent { key } children(first: 2) { nodes { key } } }", 3),
        ("steps { children(first: 2) { totalCount nodes { index parent { key forEach } } } }", 5),
        ("steps { children { nodes { waitingFor } } }", 5),
        ("steps { ready: children(states: [READY]) { totalCount } all: children { totalCount nodes { key } } }", 6),
    ],
)
async def test_twenty_runs_with_lists_take_a_statement_a_level_too(dsn: str, selection: str, most: int):
    async with world(dsn, executes=False, limits=WIDE) as it:
        for _ in range(20):
            each = planned("each", "note", for_each=mark("`[1, 2, 3]`"), max_parallel=1)
            tidy = planned("tidy", "note", after=("each",), when=mark("`1`"))
            await it.it.submit(each, tidy, answer=mark("each"))
        it.statements.clear()

        data = await it.ask(it.admin, f"{{ runs(first: 20) {{ nodes {{ {selection} }} }} }}")

        assert len(data["runs"]["nodes"]) == 20
        assert len(it.statements) == most, it.statements


async def test_what_is_not_asked_for_is_not_read(dsn: str):
    async with world(dsn, executes=False) as it:
        await it.stories.run(person_of(it.admin))
        it.statements.clear()

        await it.ask(it.admin, "{ runs { nodes { steps { key error { message } } } } }")
        bare = it.statements[-1]
        await it.ask(it.admin, "query { runs { nodes { ...f } } } fragment f on Run { steps { result } }")
        full = it.statements[-1]

        assert "s.result" not in bare
        assert "s.args" not in bare
        assert "s.result" in full
        assert not any("count(" in statement for statement in it.statements)


async def test_what_is_shown_is_found_through_any_fragment(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(
            person_of(it.admin), [Told("a", args={"n": 1}), Told("pay", risk=Risk.L3, args={"n": 2})]
        )

        data = await it.ask(
            it.admin,
            """query ($a: ID!, $b: ID!) { a: node(id: $a) { ...any } b: node(id: $b) { ... { ...any } } }
            fragment any on Node { id ...step ... on Approval { proposedArgs } }
            fragment step on Step { args ... @include(if: true) { approvals { ...asked } } }
            fragment asked on Approval { proposedArgs step { resolvedArgs } }""",
            a=f"step_{run.hex}_0",
            b=f"step_{run.hex}_1",
        )

        assert data["a"] == {"id": f"step_{run.hex}_0", "args": {"n": 1}, "approvals": []}
        assert data["b"]["args"] == {"n": 2}
        assert data["b"]["approvals"] == [{"proposedArgs": {"n": 2}, "step": {"resolvedArgs": {"n": 2}}}]


async def test_far_neighbours_are_found_step_by_step(dsn: str):
    async with world(dsn, executes=False) as it:
        chain = [Told("s0", args={"n": 0}), *(Told(f"s{n}", after=(f"s{n - 1}",)) for n in range(1, 5))]
        run = await it.stories.run(person_of(it.admin), chain)
        it.statements.clear()

        data = await it.ask(
            it.admin,
            """query ($id: ID!) { step(id: $id) { dependsOn { waitingFor dependsOn { waitingFor
                dependsOn { waitingFor dependsOn { key args waitingFor toolCalls { status } approvals { status } } }
            } } } }""",
            id=f"step_{run.hex}_4",
        )

        third = data["step"]["dependsOn"][0]
        assert third["waitingFor"] == "Waiting for “s2”."
        first = third["dependsOn"][0]["dependsOn"][0]["dependsOn"][0]
        assert first == {
            "key": "s0", "args": {"n": 0}, "waitingFor": "Waiting for a free worker.", "toolCalls": [], "approvals": [],
        }  # fmt: skip
        assert len(it.statements) <= 9, it.statements


async def test_what_was_read_is_gone_with_the_answer_and_waits_for_no_garbage_collection(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin), [Told("a"), Told("b", after=("a",)), Told("c", risk=Risk.L3)])
        query = """query ($id: ID!) { run(id: $id) { steps {
            run { id } dependsOn { toolCalls { status } } approvals { step { key } }
        } } }"""
        await it.ask(it.admin, query, id=f"run_{run.hex}")
        gc.collect()
        before = read_objects()
        gc.disable()
        try:
            await it.ask(it.admin, query, id=f"run_{run.hex}")
            for _ in range(3):  # what woke us holds what it brought until the loop turns
                await asyncio.sleep(0)
            after = read_objects()
        finally:
            gc.enable()

        assert after.keys() <= before.keys()


def read_objects() -> dict[int, Any]:
    """What belongs to operations, here and in tests before, by its identity."""
    return {id(each): each for each in gc.get_objects() if isinstance(each, FastExecutor | Step | Run | Context)}


SHOWN_TWICE = {
    "all at once": "query ($id: ID!) { run(id: $id) { steps { args dependsOn { args } } } }",
    "some of it later": "query ($id: ID!) { run(id: $id) { steps { args dependsOn { args toolCalls { status } } } } }",
}


@pytest.mark.parametrize("query", SHOWN_TWICE.values(), ids=SHOWN_TWICE.keys())
@pytest.mark.parametrize(("most", "is_refused"), [(5 * 29, False), (5 * 29 - 1, True)], ids=["at the limit", "past it"])
async def test_json_counts_once_wherever_it_is_shown(dsn: str, most: int, query: str, *, is_refused: bool):
    limits = Limits(json_bytes=most, pages={"Run.timeline": TIMELINE_PAGE})
    async with world(dsn, executes=False, limits=limits) as it:
        args = {"text": "x" * 18}
        told = [Told("a", args=args), *(Told(key, after=("a",), args=args) for key in "bc")]
        run = await it.stories.run(person_of(it.admin), told)

        result = await it.schema.execute(query, {"id": f"run_{run.hex}"}, it.services.context(it.admin))

    if not is_refused:
        assert not result.errors
        return
    assert result.data is None
    [error] = result.errors or []
    assert error.extensions == {"code": "LIMIT_EXCEEDED", "limit": "MAX_ANSWER_JSON_BYTES", "maximum": most}


async def test_json_that_is_too_much_to_read_is_refused_as_what_it_is(dsn: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.schema.world.Reads", partial(Reads, most_bytes=40))
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin), [Told(key, args={"text": "x" * 18}) for key in "ab"])
        question = "query ($id: ID!) { run(id: $id) { steps { args } } }"

        result = await it.schema.execute(question, {"id": f"run_{run.hex}"}, it.services.context(it.admin))

    assert result.data == {"run": None}
    [error] = result.errors or []
    assert (error.extensions or {})["limit"] == "MAX_ANSWER_JSON_BYTES"
    assert error.message.startswith("The arguments and results asked for are too long for one answer")


async def test_arguments_that_would_run_count_too(dsn: str):
    async with world(dsn, executes=False, limits=Limits(json_bytes=3 * 29 - 1)) as it:
        plan = {"steps": [{"key": "a", "tool": "note", "args": {"text": "x" * 18}}]}
        previews = " ".join(f"p{n}: previewPlan(plan: $plan) {{ steps {{ args }} }}" for n in range(3))
        query = f"query ($plan: PlanInput!) {{ {previews} }}"

        assert await it.refusal(it.admin, query, plan=plan) == "LIMIT_EXCEEDED"
