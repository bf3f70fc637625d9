"""Steps with conditions, lists and waits, and what their runs answer, as clients read them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.tools import Registry, ToolContext, tool
from persistence.ids import run_id, step_id
from persistence.states import Role
from tests.engine.harness import Act, Gate
from tests.engine.test_conditions import echo, mark, planned
from tests.engine.test_lists import halve, halving, send
from tests.schema.world import World, world

ANSWERED = "query ($id: ID!) { run(id: $id) { answer answerError { code message } } }"
WAITING = "query ($id: ID!) { run(id: $id) { steps { key state waitingFor nextAttemptAt } } }"
CHILDREN = """query ($id: ID!, $first: Int, $after: String, $states: [StepState!]) { step(id: $id) {
    children(first: $first, after: $after, states: $states) {
        totalCount nodes { key } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor }
    } } }"""

THREE = mark("`[2, 4, 6]`")
"""A list that is there from the beginning."""


@tool(risk="L0")
async def remark(ctx: ToolContext, text: str) -> str:
    """Has something to say."""
    ctx.notice(text)
    return text


TOOLS = Registry.of(echo, halve, send, remark)


async def ended(it: World, *steps: Any, **more: Any) -> UUID:
    """A run of these steps that has ended."""
    run = await it.it.submit(*steps, **more)
    await it.it.finished(run)
    return run


async def children(it: World, run: UUID, position: int, **asked: Any) -> Any:
    return (await it.ask(it.admin, CHILDREN, id=step_id(run, position), **asked))["step"]["children"]


async def steps_of(it: World, run: UUID) -> dict[str, Any]:
    return {step["key"]: step for step in (await it.ask(it.admin, WAITING, id=run_id(run)))["run"]["steps"]}


# ── lists ──


async def test_a_run_lists_what_was_planned_and_counts_the_children_too(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, *halving([2, 4]), planned("next", needs=("each",)))

        data = await it.ask(
            it.admin,
            """query ($id: ID!) { run(id: $id) { progress { total succeeded } steps {
                key dependsOn { key } dependents { key } index parent { key } forEach
                children { totalCount nodes { key name index parent { key } dependsOn { key } dependents { key } forEach
                    resolvedArgs result children { totalCount nodes { key } } } }
            } } }""",
            id=run_id(run),
        )

        listed, each, following = data["run"]["steps"]
        assert data["run"]["progress"] == {"total": 5, "succeeded": 5}
        assert (each["dependsOn"], each["dependents"]) == ([{"key": "list"}], [{"key": "next"}])
        assert (each["forEach"], each["parent"], each["index"]) == ({"$jmespath": "list"}, None, None)
        assert (listed["forEach"], listed["children"], listed["dependents"]) == (
            None, {"totalCount": 0, "nodes": []}, [{"key": "each"}],
        )  # fmt: skip
        assert following["dependsOn"] == [{"key": "each"}]
        assert each["children"]["totalCount"] == 2
        assert each["children"]["nodes"][1] == {
            "key": "each[1]", "name": "each [1]", "index": 1, "parent": {"key": "each"}, "dependsOn": [{"key": "list"}],
            "dependents": [], "forEach": None, "resolvedArgs": {"number": 4}, "result": 2.0,
            "children": {"totalCount": 0, "nodes": []},
        }  # fmt: skip


async def test_only_what_may_be_called_has_resolved_arguments(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(
            it,
            *halving([2, 4]),
            planned("none", needs=("list",), for_each=mark("list[?@ > `9`]")),
            planned("too many", needs=("list",), for_each=mark("list"), for_each_most=1),
            planned("left out", needs=("list",), when=mark("list[?@ > `9`]")),
            planned("after it", needs=("left out",)),
            planned("called", needs=("list",)),
        )

        data = await it.ask(
            it.admin, "query ($id: ID!) { run(id: $id) { steps { key state resolvedArgs } } }", id=run_id(run)
        )

        assert {step["key"]: (step["state"], step["resolvedArgs"]) for step in data["run"]["steps"]} == {
            "list": ("SUCCEEDED", {"value": [2, 4]}),
            "each": ("SUCCEEDED", None),
            "none": ("SUCCEEDED", None),
            "too many": ("FAILED", None),
            "left out": ("SKIPPED", None),
            "after it": ("SKIPPED", None),
            "called": ("SUCCEEDED", {"value": None}),
        }


async def test_a_child_is_found_by_its_id_and_named_in_the_timeline(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, *halving([2, 4]))

        data = await it.ask(
            it.admin,
            """query ($id: ID!, $run: ID!) { step(id: $id) { key } node(id: $id) { ... on Step { key parent { key } } }
            run(id: $run) { diagram timeline { nodes { type step { key } } } } }""",
            id=step_id(run, 3),
            run=run_id(run),
        )

        assert data["step"] == {"key": "each[1]"}
        assert data["node"] == {"key": "each[1]", "parent": {"key": "each"}}
        assert {"type": "STEP_SUCCEEDED", "step": {"key": "each[1]"}} in data["run"]["timeline"]["nodes"]
        assert "each [1]" not in data["run"]["diagram"]
        assert "  s0 --> s1" in data["run"]["diagram"].split("\n")


async def test_children_come_in_pages_in_the_lists_order(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, *halving(list(range(0, 24, 2))))

        first = await children(it, run, 1, first=5)
        second = await children(it, run, 1, first=5, after=first["pageInfo"]["endCursor"])
        last = await children(it, run, 1, first=5, after=second["pageInfo"]["endCursor"])
        none = await children(it, run, 1, first=0)

        pages = (first, second, last)
        assert [node["key"] for page in pages for node in page["nodes"]] == [f"each[{n}]" for n in range(12)]
        assert [page["totalCount"] for page in (*pages, none)] == [12] * 4
        assert [page["pageInfo"]["hasNextPage"] for page in (*pages, none)] == [True, True, False, True]
        assert [page["pageInfo"]["hasPreviousPage"] for page in pages] == [False, True, True]
        assert none["nodes"] == []


async def test_children_of_some_states_are_a_list_of_their_own(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, *halving([1, 2, 3, 4, 5]))

        failed = await children(it, run, 1, first=2, states=["FAILED"])
        rest = await children(it, run, 1, first=2, states=["FAILED"], after=failed["pageInfo"]["endCursor"])
        nobody = await children(it, run, 1, states=["BLOCKED"])
        no_states = await children(it, run, 1, states=[])

        assert [node["key"] for node in failed["nodes"] + rest["nodes"]] == ["each[0]", "each[2]", "each[4]"]
        assert (failed["totalCount"], rest["totalCount"]) == (3, 3)
        assert (failed["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
        assert (nobody["totalCount"], nobody["nodes"]) == (0, [])
        assert (no_states["totalCount"], no_states["nodes"]) == (0, [])


async def test_pages_of_children_have_the_limits_of_all_pages(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, *halving([2]), *[planned("other", for_each=THREE, args={"value": mark("item")})])
        other = (await children(it, run, 2, first=1))["pageInfo"]["endCursor"]
        refused = [{"first": 101}, {"first": -1}, {"after": "nonsense"}, {"after": other}]

        codes = [await it.refusal(it.admin, CHILDREN, id=step_id(run, 1), **asked) for asked in refused]
        plain = [await it.refusal(it.admin, CHILDREN, id=step_id(run, 0), **asked) for asked in refused]

        assert codes == plain == ["BAD_USER_INPUT"] * 4


async def test_others_see_no_children(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        owner, stranger = await it.viewer(Role.SUBMITTER), await it.viewer(Role.SUBMITTER)
        run = await ended(it, *halving([2]), viewer=owner, answer=mark("each"))

        seen = await it.ask(owner, CHILDREN, id=step_id(run, 1))
        hidden = [await it.ask(stranger, CHILDREN, id=step_id(run, position)) for position in (1, 2)]

        assert seen["step"]["children"]["totalCount"] == 1
        assert hidden == [{"step": None}] * 2
        assert await it.ask(stranger, ANSWERED, id=run_id(run)) == {"run": None}


async def test_dead_letters_are_the_children_that_failed_and_their_step_but_none_that_are_tolerated(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        await ended(it, *halving([1, 2]))
        tolerant = await ended(it, *halving([1, 2], for_each_tolerates=True))

        data = await it.ask(it.admin, "{ deadLetters { totalCount nodes { key deadLettered run { id } } } }")
        failed = await it.ask(
            it.admin,
            "query ($id: ID!) { step(id: $id) { state deadLettered error { code } } }",
            id=step_id(tolerant, 2),
        )

        letters = data["deadLetters"]
        assert ({letter["key"] for letter in letters["nodes"]}, letters["totalCount"]) == ({"each", "each[0]"}, 2)
        assert all(letter["deadLettered"] and letter["run"]["id"] != run_id(tolerant) for letter in letters["nodes"])
        assert failed["step"] == {"state": "FAILED", "deadLettered": False, "error": {"code": "TOOL_ERROR"}}


async def test_approvals_of_children_are_their_runs(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await it.it.submit(planned("send", "send", for_each=mark('`["Ann", "Bob"]`'), args={"to": mark("item")}))
        await it.it.asked(run, times=2)

        data = await it.ask(
            it.admin,
            """query ($id: ID!) { run(id: $id) {
                approvals { proposedArgs step { key } } steps { approvals { status } }
            } }""",
            id=run_id(run),
        )

        assert data["run"]["approvals"] == [
            {"proposedArgs": {"to": "Ann"}, "step": {"key": "send[0]"}},
            {"proposedArgs": {"to": "Bob"}, "step": {"key": "send[1]"}},
        ]
        assert data["run"]["steps"] == [{"approvals": []}]


async def test_notices_of_children_come_after_their_steps_place_in_the_plan(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(
            it,
            planned("first", "remark", args={"text": "first"}),
            planned("each", "remark", for_each=mark('`["a", "b"]`'), args={"text": mark("item")}),
            planned("last", "remark", needs=("each",), args={"text": "last"}),
        )

        data = await it.ask(
            it.admin,
            "query ($id: ID!) { run(id: $id) { notices steps { key notices children { nodes { notices } } } } }",
            id=run_id(run),
        )

        assert data["run"]["notices"] == ["first", "a", "b", "last"]
        assert data["run"]["steps"][1] == {
            "key": "each", "notices": [], "children": {"nodes": [{"notices": ["a"]}, {"notices": ["b"]}]},
        }  # fmt: skip


# ── conditions, and steps that others have to end before ──


async def test_a_step_shows_its_condition_and_what_has_to_end_before_it(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(
            it,
            planned("look", args={"value": ""}),
            planned("act", needs=("look",), when=mark("look")),
            planned("tidy", needs=("look",), after=("act",)),
        )

        data = await it.ask(
            it.admin,
            """query ($id: ID!) { run(id: $id) { outcome diagram steps {
                key state skipReason when forEach dependsOn { key } dependents { key } after { key state }
            } } }""",
            id=run_id(run),
        )

        look, act, tidy = data["run"]["steps"]
        assert data["run"]["outcome"] == "CLEAN"
        assert (look["when"], look["after"], look["dependents"]) == (None, [], [{"key": "act"}, {"key": "tidy"}])
        assert (act["when"], act["skipReason"], act["dependents"]) == ({"$jmespath": "look"}, "CONDITION_FALSE", [])
        assert (tidy["dependsOn"], tidy["after"]) == ([{"key": "look"}], [{"key": "act", "state": "SKIPPED"}])
        drawn = data["run"]["diagram"].split("\n")
        assert {"  s0 --> s1", "  s0 --> s2", "  s1 -.-> s2"} <= set(drawn)


async def test_what_is_not_at_hand_is_the_same(dsn: str):
    async with world(dsn, tools=TOOLS, executes=False) as it:
        run = await it.it.submit(
            planned("look"),
            planned("act", needs=("look",), when=mark("look")),
            planned("tidy", needs=("look",), after=("act",)),
            planned("last", needs=("tidy",)),
        )

        data = await it.ask(
            it.admin,
            """query ($id: ID!) { step(id: $id) { dependsOn { waitingFor after { key when dependents { key }
                after { key } } } } }""",
            id=step_id(run, 3),
        )

        assert data["step"]["dependsOn"] == [
            {
                "waitingFor": "Waiting for “look” and “act”.",
                "after": [{"key": "act", "when": {"$jmespath": "look"}, "dependents": [], "after": []}],
            }
        ]


# ── why a step waits ──


async def test_a_step_that_waits_names_those_that_have_to_end_too(dsn: str):
    async with world(dsn, tools=TOOLS, executes=False) as it:
        run = await it.it.submit(planned("a"), planned("b"), planned("c", needs=("a",), after=("b",)))

        assert (await steps_of(it, run))["c"]["waitingFor"] == "Waiting for “a” and “b”."


async def test_a_step_that_is_delayed_names_the_time(dsn: str):
    async with world(dsn, tools=TOOLS, executes=False) as it:
        run = await it.it.submit(planned("later", delay_seconds=3600), planned("now"))

        steps = await steps_of(it, run)

        due = (await it.it.steps(run))["later"]["due_at"]
        assert due - (await it.it.steps(run))["later"]["ready_at"] == timedelta(hours=1)
        at = steps["later"]["nextAttemptAt"]
        assert at.startswith(due.strftime("%Y-%m-%dT%H:%M:%S"))
        assert (steps["later"]["state"], steps["later"]["waitingFor"]) == ("READY", f"Waiting until {at}.")
        assert steps["now"]["waitingFor"] == "Waiting for a free worker."


@pytest.mark.parametrize(
    "way", ["step(id: $id) { children", "node(id: $id) { ... on Step { key } } step(id: $id) { children"]
)
async def test_a_child_that_is_held_back_says_how_many_run(dsn: str, way: str):
    act = Act("act", Gate())
    async with world(dsn, tools=Registry.of(act.tool)) as it:
        run = await it.it.submit(planned("each", "act", for_each=THREE, max_parallel=2))
        await act.called(2)

        data = await it.ask(
            it.admin,
            f"query ($id: ID!) {{ {way} {{ nodes {{ state waitingFor nextAttemptAt }} }} waitingFor }} }}",
            id=step_id(run, 0),
        )

        running = {"state": "RUNNING", "waitingFor": None, "nextAttemptAt": None}
        held = "Waiting for its turn: 2 of at most 2 are running."
        assert data["step"]["children"]["nodes"] == [
            running, running, {"state": "READY", "waitingFor": held, "nextAttemptAt": None},
        ]  # fmt: skip
        assert data["step"]["waitingFor"] is None
        await it.it.cancel(run)


# ── answers ──


async def test_a_run_answers_when_it_has_ended(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, *halving([2, 4]), answer={"sum": mark("sum(each[].result)"), "of": [1, None]})
        nothing = await ended(it, planned("a"))

        assert await it.ask(it.admin, ANSWERED, id=run_id(run)) == {
            "run": {"answer": {"sum": 3.0, "of": [1, None]}, "answerError": None}
        }
        assert await it.ask(it.admin, ANSWERED, id=run_id(nothing)) == {"run": {"answer": None, "answerError": None}}


async def test_before_its_end_a_run_answers_nothing(dsn: str):
    async with world(dsn, tools=TOOLS, executes=False) as it:
        run = await it.it.submit(planned("a"), answer=mark("a"))

        data = await it.ask(
            it.admin, "query ($id: ID!) { run(id: $id) { answer answerError { code } waitingFor } }", id=run_id(run)
        )

        assert data == {"run": {"answer": None, "answerError": None, "waitingFor": None}}


async def test_an_answer_that_can_not_be_given_says_why(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        run = await ended(it, planned("a", args={"value": "text"}), answer=mark("abs(a)"))

        [(answer, error)] = [
            (data["run"]["answer"], data["run"]["answerError"])
            for data in [await it.ask(it.admin, ANSWERED, id=run_id(run))]
        ]

        assert answer is None
        assert error["code"] == "ANSWER_UNRESOLVED"
        assert error["message"]


async def test_an_answer_counts_as_json_and_is_read_only_where_it_is_shown(dsn: str):
    async with world(dsn, tools=TOOLS) as it:
        await ended(it, planned("a", args={"value": "x" * 100}), answer=mark("a"))
        it.statements.clear()

        await it.ask(it.admin, "{ runs { nodes { answerError { code } } } }")
        bare = it.statements[-1]
        await it.ask(it.admin, "{ runs { nodes { answer answerError { code } } } }")
        full = it.statements[-1]

        assert "w.answer" not in bare
        assert "w.answer" in full
        assert len(it.statements) == 4
