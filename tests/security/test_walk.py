"""Nobody sees anything of what is not theirs, in any field that there is or will be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import strawberry

from engine.access import Viewer
from engine.tools import Registry, tool
from persistence import ids
from persistence.ids import new_id
from persistence.reads import RunFilter
from persistence.reads.cursors import APPROVALS, RUNS, Position, write_event, write_place
from persistence.states import Role
from schema.api.info import Info
from schema.api.queries import Query
from schema.api.schema import default_limits
from schema.api.subscriptions import Subscription
from schema.api.types.runs import Run
from schema.fast.pipeline import Schema
from tests.schema.world import TOOLS, World, read_back, world
from tests.security.walk import Asked, Values, Walk, answered, leaves

CANARY = "KANARI"
UNBOUND = default_limits(tokens=10**6, depth=99, aliases=99, directives=99, nodes=10**12)


@dataclass
class Story:
    """What Ada has: a bit of everything, with a canary in each text."""

    house: World
    ada: Viewer
    main: UUID
    unplannable: UUID
    plain: UUID
    waiting: UUID
    listed: UUID
    unanswered: UUID
    approvals: list[UUID] = field(default_factory=list[UUID])

    @property
    def runs(self) -> list[UUID]:
        return [self.main, self.unplannable, self.plain, self.waiting, self.listed, self.unanswered]

    def traces(self) -> set[str]:
        """What in an answer would tell of Ada or of what is hers."""
        known = {run.hex for run in self.runs} | {approval.hex for approval in self.approvals} | {self.ada.id.hex}
        return {CANARY, *known}


def plan(*steps: dict[str, Any], answer: Any = None) -> dict[str, Any]:
    return {"plan": {"steps": list(steps), "answer": answer}}


def mark(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


async def submit(house: World, viewer: Viewer, **given: Any) -> UUID:
    answer = await house.ask(viewer, SUBMIT, i=given)
    assert not answer["submitWorkflow"]["errors"], answer
    run = ids.parse_as(ids.RUN, answer["submitWorkflow"]["run"]["id"])
    assert run is not None
    return run


@tool(risk="L0", reads_outside=True)
async def look() -> dict[str, int]:
    """Reads what others write."""
    return {"amount": 5}


LOOKED_AT = [
    {"key": "d", "tool": "look"},
    {"key": "e", "tool": "pay", "args": {"amount": {"$jmespath": "d.amount"}}, "dependsOn": ["d"]},
]
"""Where the value of an argument comes from what others write."""


PREVIEWED = {
    "steps": [
        {"key": "a", "tool": "note", "delaySeconds": 1, "notBefore": "2030-01-01T00:00:00Z", "timeoutSeconds": 9},
        {
            "key": "b",
            "tool": "pay",
            "args": {"amount": 1},
            "dependsOn": ["a"],
            "when": {"$jmespath": "a"},
            "maxAttempts": 1,
        },
        {
            "key": "c",
            "tool": "note",
            "after": ["b"],
            "forEach": {"$jmespath": "`[1]`"},
            "forEachMost": 2,
            "forEachTolerates": True,
            "maxParallel": 1,
        },
        *LOOKED_AT,
    ],
    "answer": {"$jmespath": "a"},
}
SUBMIT = "mutation($i: SubmitWorkflowInput!) {submitWorkflow(input: $i) {run {id} errors {message path}}}"
DECIDE = """mutation($i: DecideApprovalInput!) {decideApproval(input: $i) {approval {id} errors {message}}}"""


async def tell(house: World) -> Story:
    ada = await house.viewer(Role.SUBMITTER, name=f"{CANARY} Ada")
    main = await submit(
        house,
        ada,
        **plan(
            {"key": "a", "tool": "note", "name": f"{CANARY} note", "args": {"text": f"{CANARY} text"}},
            {"key": "b", "tool": "pay", "name": f"{CANARY} pay", "args": {"amount": 1}, "dependsOn": ["a"]},
            {"key": "c", "tool": "fail", "name": f"{CANARY} fail"},
            {"key": "d", "tool": "note", "name": f"{CANARY} after", "dependsOn": ["c"]},
        ),
    )
    await house.it.until(main, "APPROVAL_REQUIRED")
    [asked] = await house.it.approvals(main)
    decision = {"approvalId": ids.approval_id(asked["id"]), "decision": "APPROVE", "reason": f"{CANARY} reason"}
    answer = await house.ask(ada, DECIDE, i={**decision, "editedArgs": {"amount": 2}})
    assert not answer["decideApproval"]["errors"]
    await house.it.finished(main)
    unplannable = await submit(house, ada, intent=f"{CANARY} make the impossible happen")
    await house.it.finished(unplannable)
    plain = await submit(house, ada, **plan({"key": "a", "tool": "note", "args": {"text": f"{CANARY} plain"}}))
    await house.it.finished(plain)
    waiting = await submit(
        house,
        ada,
        **plan(
            {"key": "a", "tool": "pay", "name": f"{CANARY} wait", "args": {"amount": 3}},
            {"key": "c", "tool": "note", "riskLevel": "L3", "args": {"text": f"{CANARY}\u200b hidden"}},
            {"key": "b", "tool": "note", "name": f"{CANARY} later", "dependsOn": ["a"]},
            *LOOKED_AT,
        ),
    )
    await house.it.until(waiting, "WORKFLOW_WAITING_APPROVAL")
    listed = await submit(
        house,
        ada,
        **plan(
            {"key": "a", "tool": "note", "name": f"{CANARY} first", "when": mark(f"'{CANARY} when'")},
            {
                "key": "b",
                "tool": "note",
                "name": f"{CANARY} each",
                "after": ["a"],
                "forEach": mark(f"['{CANARY} item', '{CANARY} other']"),
                "args": {"text": mark("item")},
            },
            answer=f"{CANARY} answer",
        ),
    )
    await house.it.finished(listed)
    unanswered = await submit(
        house, ada, **plan({"key": "a", "tool": "note", "name": CANARY}, answer=mark(f"abs('{CANARY} unanswered')"))
    )
    await house.it.finished(unanswered)
    story = Story(house, ada, main, unplannable, plain, waiting, listed, unanswered)
    story.approvals = [row["id"] for run in story.runs for row in await house.it.approvals(run)]
    return story


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[World]:
    async with world(dsn, limits=UNBOUND, tools=Registry([*TOOLS, *Registry.of(look)])) as opened:
        yield opened


@pytest.fixture
async def story(house: World) -> Story:
    return await tell(house)


def values(story: Story, *, missing: bool = False) -> Values:
    """What to try for each argument: Ada's ids and cursors, or ids of the same form that nothing has."""

    def the(*real: UUID) -> list[UUID]:
        return [new_id() for _ in real] if missing else list(real)

    runs = [ids.run_id(run) for run in the(*story.runs)]
    shown = the(story.main, story.waiting, story.listed)
    steps = [ids.step_id(run, position) for run in shown for position in range(5)]
    approvals = [ids.approval_id(each) for each in the(*story.approvals)]
    users = [ids.user_id(each) for each in the(story.ada.id)]
    return {
        "Query.node(id)": [*runs, *steps, *approvals, *users, "nonsense"],
        "Query.run(id)": [*runs, "nonsense"],
        "Query.step(id)": [*steps, "nonsense"],
        "Query.approval(id)": [*approvals, "nonsense"],
        "Query.runs(filter)": [None, {"intentContains": CANARY}, {"states": ["FAILED", "COMPLETED"]}],
        "Query.runs(first)": [None, 100],
        "Query.runs(after)": [None],
        "Query.approvals(filter)": [None, {"statuses": ["REQUIRED"]}, *({"runId": run} for run in runs)],
        "Query.approvals(first)": [100],
        "Query.approvals(after)": [None],
        "Query.deadLetters(first)": [100],
        "Query.deadLetters(after)": [None],
        "Query.auditLog(filter)": [None, {"userId": users[0]}],
        "Query.auditLog(first)": [100],
        "Query.auditLog(after)": [None],
        "Query.previewPlan(intent)": [None, "Plan groceries"],
        "Query.previewPlan(plan)": [None, PREVIEWED],
        "Run.steps(states)": [None],
        "Run.approvals(statuses)": [None],
        "Run.timeline(first)": [None],
        "Run.timeline(after)": [None],
        "Step.children(first)": [None],
        "Step.children(after)": [None],
        "Step.children(states)": [None],
        "Subscription.timeline(runId)": [*runs, "nonsense"],
        "Subscription.timeline(after)": [None],
    }


def looking(story: Story, schema: Schema | None = None, *, missing: bool = False) -> tuple[Walk, list[Asked]]:
    graph = (schema or story.house.schema).documents.schema
    walk = Walk(graph, values(story, missing=missing))
    assert graph.query_type is not None
    return walk, list(walk.of(graph.query_type))


async def answer(story: Story, viewer: Viewer, asked: Asked, schema: Schema | None = None) -> Any:
    context = story.house.services.context(viewer)
    result = await (schema or story.house.schema).execute(
        asked.query, variable_values=asked.variables, context_value=context
    )
    return {"data": read_back(result.data), "errors": [error.formatted for error in result.errors or []]}


async def leaks(story: Story, viewer: Viewer, schema: Schema | None = None) -> list[str]:
    """The fields in whose answers this viewer finds a trace of Ada."""
    _, operations = looking(story, schema)
    found: list[str] = []
    for asked in operations:
        said = json.dumps(await answer(story, viewer, asked, schema), default=str)
        for value in leaves(asked.variables):
            # Their own question, quoted back, tells them nothing.
            said = said.replace(str(value), "")
        found += [asked.root for trace in story.traces() if trace in said]
    return found


# ── the walk itself ──


async def test_every_field_of_every_type_is_walked(story: Story):
    walk, _ = looking(story)
    subscriptions = walk.schema.subscription_type
    assert subscriptions is not None
    list(walk.of(subscriptions))

    assert walk.everything() - walk.reached == set()
    assert set(walk.values) - walk.used == set(), "the table names arguments that are gone"


async def test_the_walk_finds_all_there_is_for_who_may_see_it(story: Story):
    """Otherwise finding nothing would prove nothing."""
    admin = story.house.admin
    _, operations = looking(story)
    said: list[Any] = [(await answer(story, admin, asked))["data"] for asked in operations]

    text = json.dumps(said, default=str)
    assert {trace for trace in story.traces() if trace not in text} == set()
    for word in (
        "Ada",
        "note",
        "pay",
        "fail",
        "after",
        "text",
        "reason",
        "make the impossible",
        "plain",
        "wait",
        "when",
        "each",
        "item",
        "answer",
    ):
        assert f"{CANARY} {word}" in text
    walk, _ = looking(story)
    empty = {field for field in walk.everything() if not field.startswith(("Query.", "Subscription."))}
    empty -= {name for each in said for name in answered(each)}
    assert empty == EMPTY, "give the story something to show there, or say why nothing can be"


EMPTY = {
    # No planner is away.
    "Run.waitingFor",
    # Nothing waits for a next attempt.
    "Step.nextAttemptAt",
    # Refusals of strangers have them, and there were no strangers; nor did anything come over the wire.
    "AuditLine.address",
    "AuditLine.token",
    "AuditLine.request",
    # No plan here has an answer, and none was read from a sentence.
    "ArgOrigin.start",
    "ArgOrigin.end",
    "PlannedOrigin.start",
    "PlannedOrigin.end",
    # All tools here can be called.
    "Tool.unavailableBecause",
}


async def test_a_leak_would_be_found(story: Story):
    """A field added in a hurry, which forgets whose it is."""

    @strawberry.type(name="Query")
    class Hasty(Query):
        @strawberry.field
        async def latest(self, info: Info) -> list[Run]:
            reads = info.context.services.reads
            page = await reads.page_of_runs(story.house.admin.scope, RunFilter(), first=10)
            return [Run(row) for row in page.rows]

        @strawberry.field
        async def how_many(self, info: Info) -> str:
            return f"{CANARY}s: 4"

    bob = await story.house.viewer(Role.SUBMITTER, name="Bob")

    found = await leaks(story, bob, Schema(Hasty, None, Subscription, limits=UNBOUND))

    assert set(found) == {"Query.latest", "Query.howMany"}


# ── who sees what ──


async def test_somebody_else_sees_nothing(story: Story):
    bob = await story.house.viewer(Role.SUBMITTER, name="Bob")

    assert await leaks(story, bob) == []


async def test_an_approver_sees_what_was_asked_about_and_nothing_else(story: Story):
    eve = await story.house.viewer(Role.APPROVER, name="Eve")
    _, operations = looking(story)

    text = json.dumps([(await answer(story, eve, asked))["data"] for asked in operations], default=str)

    assert story.main.hex in text
    assert story.waiting.hex in text
    for hidden in (story.plain.hex, f"{CANARY} plain", "impossible"):
        assert hidden not in text
    assert story.unplannable.hex not in text


async def test_who_submits_and_approves_sees_their_own_runs_besides(story: Story):
    both = await story.house.viewer(Role.SUBMITTER, Role.APPROVER, name="Both")
    mine = await submit(story.house, both, **plan({"key": "a", "tool": "note"}))

    seen = (await story.house.ask(both, "{runs {nodes {id} totalCount}}"))["runs"]

    assert {node["id"] for node in seen["nodes"]} == {ids.run_id(run) for run in (mine, story.main, story.waiting)}
    assert seen["totalCount"] == 3


async def test_counts_count_nothing_that_is_not_seen(story: Story):
    bob = await story.house.viewer(Role.SUBMITTER, name="Bob")
    counts = """query($r: ID!) {runs {totalCount} approvals {totalCount} deadLetters {totalCount}
        some: runs(filter: {intentContains: "%s"}) {totalCount} his: approvals(filter: {runId: $r}) {totalCount}}"""

    found = await story.house.ask(bob, counts % CANARY, r=ids.run_id(story.main))

    assert {name: each["totalCount"] for name, each in found.items()} == dict.fromkeys(found, 0)


# ── foreign is missing ──


async def test_foreign_ids_are_answered_like_missing_ones_by_the_same_statements(story: Story):
    bob = await story.house.viewer(Role.SUBMITTER, name="Bob")
    _, foreign = looking(story)
    _, missing = looking(story, missing=True)

    async def told(asked: Asked) -> tuple[str, list[str]]:
        story.house.statements.clear()
        said = json.dumps(await answer(story, bob, asked), default=str)
        for number, value in enumerate(leaves(asked.variables)):
            said = said.replace(str(value), f"<{number}>")
        return said, list(story.house.statements)

    for one, other in zip(foreign, missing, strict=True):
        assert one.query == other.query
        assert await told(one) == await told(other)


IS_ASKED: ContextVar[bool] = ContextVar("is_asked", default=False)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that any connection is given while a question `IS_ASKED`, by whoever answers it."""
    given: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        real = getattr(asyncpg.Connection, name)

        def spy(self: Any, query: str, *values: Any, _real: Any = real, **more: Any) -> Any:
            if IS_ASKED.get():  # and not the engine's, which looks for work meanwhile
                given.append(query)
            return _real(self, query, *values, **more)

        monkeypatch.setattr(asyncpg.Connection, name, spy)
    return given


MUTATIONS = {
    "decide": ("DecideApproval", "approvalId", {"decision": "APPROVE"}, "approval {id}"),
    "decide with edits": ("DecideApproval", "approvalId", {"decision": "APPROVE", "editedArgs": {}}, "approval {id}"),
    "resolve": ("ResolveInDoubt", "approvalId", {"resolution": "HAPPENED"}, "approval {id}"),
    "cancel": ("CancelRun", "runId", {}, "run {id}"),
    "retry": ("RetryStep", "stepId", {}, "step {id}"),
    "revoke": ("RevokeTokens", "userId", {}, "user {id}"),
}


@pytest.mark.parametrize("which", MUTATIONS)
async def test_foreign_things_are_changed_like_missing_ones_not_at_all(story: Story, statements: list[str], which: str):
    name, argument, more, shown = MUTATIONS[which]
    house = story.house
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    real = {
        "approvalId": ids.approval_id(story.approvals[-1]),
        "runId": ids.run_id(story.waiting),
        "stepId": ids.step_id(story.main, 2),
        "userId": ids.user_id(story.ada.id),
    }[argument]
    kind = real.split("_", 1)[0]
    missing = {"step": ids.step_id(new_id(), 2)}.get(kind, f"{kind}_{new_id().hex}")
    field = f"{name[0].lower()}{name[1:]}"
    mutation = f"mutation($i: {name}Input!) {{it: {field}(input: $i) {{{shown} errors {{code message path}}}}}}"
    before = await dump(house)

    async def told(id_: str) -> tuple[str, list[str]]:
        statements.clear()
        IS_ASKED.set(True)
        said = await house.answer(bob, mutation, i={argument: id_, **more})
        mine = [each for each in statements if "audit_lines" in each or any(word in each for word in WORDS)]
        return str(said).replace(id_, "<id>"), mine

    assert await told(real) == await told(missing)
    assert await dump(house) == before


WORDS = ("approvals", "runs", "steps", "users", "tokens")


async def dump(house: World) -> list[Any]:
    tables = ("runs", "steps", "approvals", "tool_calls", "timeline_events", "users", "tokens")
    return [await house.it.database.fetch(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]


async def test_nobody_waits_for_the_lock_of_what_they_cannot_see(story: Story):
    house = story.house
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    asks = {
        "mutation($i: CancelRunInput!) {it: cancelRun(input: $i) {errors {code}}}": {
            "runId": ids.run_id(story.waiting)
        },
        "mutation($i: RetryStepInput!) {it: retryStep(input: $i) {errors {code}}}": {
            "stepId": ids.step_id(story.waiting, 0)
        },
        "mutation($i: DecideApprovalInput!) {it: decideApproval(input: $i) {errors {code}}}": {
            "approvalId": ids.approval_id(story.approvals[-1]),
            "decision": "APPROVE",
        },
    }
    async with house.it.database.connection() as other, other.transaction():
        await other.fetch("SELECT FROM runs WHERE id = $1 FOR UPDATE", story.waiting)
        for mutation, given in asks.items():
            async with asyncio.timeout(3):
                answered = await house.ask(bob, mutation, i=given)
            assert answered["it"]["errors"] == [{"code": "NOT_FOUND"}]


async def test_cursors_of_others_lists_lead_nowhere(story: Story):
    house = story.house
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    mine = await submit(house, bob, **plan({"key": "a", "tool": "note"}))
    await house.it.finished(mine)
    row = await house.it.run(story.main)
    runs = write_place(RUNS, Position(row["created_at"], story.main))
    asked = await house.it.approvals(story.waiting)
    approvals = write_place(APPROVALS, Position(asked[0]["created_at"], asked[0]["id"]))
    events = write_event(story.main, 1)

    seen = await house.ask(
        bob,
        "query($r: String, $a: String) {runs(after: $r) {nodes {id}} approvals(after: $a) {nodes {id}}}",
        r=runs,
        a=approvals,
    )

    assert seen == {"runs": {"nodes": []}, "approvals": {"nodes": []}}
    query = "query($r: ID!, $e: String) {run(id: $r) {timeline(after: $e) {nodes {message}}}}"
    assert await house.refusal(bob, query, r=ids.run_id(mine), e=events) == "BAD_USER_INPUT"


# ── subscriptions ──


async def test_what_cannot_be_seen_cannot_be_followed(story: Story):
    house = story.house
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    walk = Walk(house.schema.documents.schema, values(story))
    assert walk.schema.subscription_type is not None
    for asked in walk.of(walk.schema.subscription_type):
        if asked.root == "Subscription.approvals":
            continue
        [result] = [each async for each in house.follow(bob, asked.query, **asked.variables)]
        assert result.data is None
        assert [error.extensions["code"] for error in result.errors] == ["NOT_FOUND"]


async def test_approvals_of_others_are_not_announced(story: Story):
    house = story.house
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    following = house.follow(bob, "subscription {approvals {id run {id submittedBy {name}} step {name}}}")
    first = asyncio.ensure_future(anext(following))
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(first), 0.2)
    await submit(house, story.ada, **plan({"key": "a", "tool": "pay", "args": {"amount": 9}}))
    mine = await submit(house, bob, **plan({"key": "a", "tool": "pay", "args": {"amount": 9}}))

    async with asyncio.timeout(20):
        result = await first

    assert result.data["approvals"]["run"]["id"] == ids.run_id(mine)
    await following.aclose()


async def test_events_stop_with_the_right_to_see_them(story: Story):
    house = story.house
    following = house.follow(
        story.ada, "subscription($r: ID!) {timeline(runId: $r) {seq}}", r=ids.run_id(story.waiting)
    )
    assert (await anext(following)).data["timeline"]["seq"] == 1

    house.refused.add(story.ada.id)
    ended = await anext(following)

    assert [error.extensions["code"] for error in ended.errors] == ["UNAUTHENTICATED"]
    assert [each async for each in following] == []
