"""Every accepted mutation and every refusal leaves one line, which nothing changes or takes away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from graphql import GraphQLObjectType

from engine.access import Origin, Viewer
from persistence import ids
from persistence.audit import Action
from persistence.database import Database
from persistence.states import Role
from schema.api.audited import Audited
from schema.api.mutations import Mutation
from tests.schema.world import World, world

ORIGIN = Origin("192.0.2.7", "0123456789abcdef", "request-1")

SUBMIT = "mutation($i: SubmitWorkflowInput!) {it: submitWorkflow(input: $i) {run {id} errors {code path}}}"
DECIDE = "mutation($i: DecideApprovalInput!) {it: decideApproval(input: $i) {approval {id} errors {code}}}"
RESOLVE = "mutation($i: ResolveInDoubtInput!) {it: resolveInDoubt(input: $i) {approval {id} errors {code}}}"
CANCEL = "mutation($i: CancelRunInput!) {it: cancelRun(input: $i) {run {id} errors {code}}}"
RETRY = "mutation($i: RetryStepInput!) {it: retryStep(input: $i) {step {id} errors {code}}}"
CREATE = "mutation($i: CreateUserInput!) {it: createUser(input: $i) {user {id} token errors {code path}}}"
REVOKE = "mutation($i: RevokeTokensInput!) {it: revokeTokens(input: $i) {user {id} errors {code}}}"


def plan(*tools: str) -> dict[str, Any]:
    args = {"pay": {"amount": 1}}
    return {"plan": {"steps": [{"key": tool, "tool": tool, "args": args.get(tool, {})} for tool in tools]}}


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as opened:
        yield opened


async def lines(house: World) -> list[dict[str, Any]]:
    rows = await house.it.database.fetch("SELECT * FROM audit_lines ORDER BY id")
    return [dict(row) for row in rows]


async def told(house: World) -> list[tuple[str, str, str | None, str | None]]:
    return [(line["action"], line["outcome"], line["subject"], line["detail"]) for line in await lines(house)]


async def mutate(house: World, viewer: Viewer, mutation: str, **given: Any) -> Any:
    return (await house.ask(replace(viewer, origin=ORIGIN), mutation, i=given))["it"]


async def submitted(house: World, viewer: Viewer, *tools: str, until: str) -> Any:
    run = (await mutate(house, viewer, SUBMIT, **plan(*tools)))["run"]["id"]
    uuid = ids.parse_as(ids.RUN, run)
    assert uuid is not None
    await house.it.until(uuid, until)
    return uuid


async def test_a_submission_leaves_a_line_that_says_who_what_and_from_where(house: World):
    ada = await house.viewer(Role.SUBMITTER, name="Ada")

    run = (await mutate(house, ada, SUBMIT, **plan("note")))["run"]["id"]

    [line] = await lines(house)
    assert line.pop("at") is not None
    assert line == {
        "id": 1,
        "action": "SUBMIT_WORKFLOW",
        "outcome": "ACCEPTED",
        "user_id": ada.id,
        "user_name": "Ada",
        "subject": run,
        "detail": None,
        "address": "192.0.2.7",
        "token": "0123456789abcdef",
        "request": "request-1",
        "times": 1,
    }


async def test_a_submission_answered_with_an_earlier_run_leaves_a_line_too_and_a_conflict_is_a_refusal(house: World):
    run = (await mutate(house, house.admin, SUBMIT, **plan("note"), idempotencyKey="k"))["run"]["id"]
    await mutate(house, house.admin, SUBMIT, **plan("note"), idempotencyKey="k")
    await mutate(house, house.admin, SUBMIT, **plan("note", "fail"), idempotencyKey="k")

    assert await told(house) == [
        ("SUBMIT_WORKFLOW", "ACCEPTED", run, None),
        ("SUBMIT_WORKFLOW", "ACCEPTED", run, "answered with an earlier run"),
        ("SUBMIT_WORKFLOW", "IDEMPOTENCY_CONFLICT", None, "idempotencyKey"),
    ]


async def test_submissions_that_share_a_commit_have_a_line_each(house: World):
    await asyncio.gather(*(mutate(house, house.admin, SUBMIT, **plan("note")) for _ in range(50)))

    runs = await house.it.database.fetchval("SELECT array_agg(id) FROM runs")
    assert Counter(line["subject"] for line in await lines(house)) == Counter(map(ids.run_id, runs))


async def test_decisions_resolutions_cancellations_and_retries_leave_lines(house: World):
    run = await submitted(house, house.admin, "pay", "vanish", "fail", until="STEP_DEAD_LETTERED")
    first, second = [ids.approval_id(row["id"]) for row in await house.it.approvals(run)]
    await mutate(house, house.admin, DECIDE, approvalId=first, decision="REJECT")
    await mutate(house, house.admin, DECIDE, approvalId=first, decision="REJECT")
    await mutate(house, house.admin, DECIDE, approvalId=first, decision="APPROVE")
    await mutate(house, house.admin, DECIDE, approvalId=second, decision="APPROVE", editedArgs={})
    await house.it.until(run, "STEP_IN_DOUBT")
    doubt = ids.approval_id((await house.it.approvals(run))[-1]["id"])
    await mutate(house, house.admin, RESOLVE, approvalId=doubt, resolution="ABANDON")
    dead = ids.step_id(run, 2)
    await house.it.finished(run)
    await mutate(house, house.admin, RETRY, stepId=dead)
    await mutate(house, house.admin, CANCEL, runId=ids.run_id(run))

    assert (await told(house))[1:-1] == [
        ("DECIDE_APPROVAL", "ACCEPTED", first, "REJECT"),
        ("DECIDE_APPROVAL", "ACCEPTED", first, "REJECT"),
        ("DECIDE_APPROVAL", "ALREADY_DECIDED", first, "approvalId"),
        ("DECIDE_APPROVAL", "ACCEPTED", second, "APPROVE, with other arguments"),
        ("RESOLVE_IN_DOUBT", "ACCEPTED", doubt, "ABANDON"),
        ("RETRY_STEP", "ACCEPTED", dead, None),
    ]
    # The redriven step may have failed again before: then there was nothing left to cancel.
    assert (await told(house))[-1][:3] in {
        ("CANCEL_RUN", "ACCEPTED", ids.run_id(run)),
        ("CANCEL_RUN", "INVALID_STATE", ids.run_id(run)),
    }


async def test_users_made_and_tokens_revoked_leave_lines(house: World):
    made = await mutate(house, house.admin, CREATE, name="Bob", roles=["SUBMITTER", "APPROVER"])
    user = made["user"]["id"]
    await mutate(house, house.admin, REVOKE, userId=user)
    await mutate(house, house.admin, CREATE, name="Bob", roles=["SUBMITTER"])
    await mutate(house, house.admin, REVOKE, userId="user_" + "0" * 32)

    assert await told(house) == [
        ("CREATE_USER", "ACCEPTED", user, "SUBMITTER, APPROVER"),
        ("REVOKE_TOKENS", "ACCEPTED", user, None),
        ("CREATE_USER", "INVALID_INPUT", "Bob", "name"),
        ("REVOKE_TOKENS", "NOT_FOUND", "user_" + "0" * 32, "userId"),
    ]
    assert made["token"] not in str(await lines(house))


async def test_every_kind_of_refusal_leaves_a_line(house: World):
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    approver = await house.viewer(Role.APPROVER, name="Eve")
    run = await submitted(house, house.admin, "pay", until="WORKFLOW_WAITING_APPROVAL")
    hidden = ids.run_id(run)
    before = len(await lines(house))

    await mutate(house, approver, SUBMIT, **plan("note"))
    await mutate(house, bob, SUBMIT, **plan("nothing"))
    await mutate(house, bob, SUBMIT, plan={"steps": [{"key": "a", "tool": "note", "args": [1]}]})
    await mutate(house, bob, CANCEL, runId=hidden)
    await mutate(house, approver, CANCEL, runId=hidden)
    await mutate(house, bob, CANCEL, runId="nonsense\u202e\n")
    await mutate(house, bob, RETRY, stepId="step_1")
    await mutate(house, bob, DECIDE, approvalId="appr_" + "0" * 32, decision="APPROVE")
    await mutate(house, bob, CREATE, name="x", roles=["ADMIN"])
    await house.refusal(bob, "{auditLog {nodes {at}}}")

    assert [line[:3] for line in (await told(house))[before:]] == [
        ("SUBMIT_WORKFLOW", "FORBIDDEN", None),
        ("SUBMIT_WORKFLOW", "UNKNOWN_TOOL", None),
        ("SUBMIT_WORKFLOW", "INVALID_PLAN", None),
        ("CANCEL_RUN", "NOT_FOUND", hidden),
        ("CANCEL_RUN", "FORBIDDEN", hidden),
        ("CANCEL_RUN", "NOT_FOUND", "nonsense⟦U+202E⟧\n"),
        ("RETRY_STEP", "NOT_FOUND", "step_1"),
        ("DECIDE_APPROVAL", "NOT_FOUND", "appr_" + "0" * 32),
        ("CREATE_USER", "FORBIDDEN", "x"),
        ("READ_AUDIT_LOG", "FORBIDDEN", None),
    ]
    assert {line["user_name"] for line in (await lines(house))[before:]} == {"Bob", "Eve"}


async def test_a_mutation_that_fails_unforeseen_leaves_a_line(house: World, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(house.it.engine, "cancel", broken)
    run = ids.run_id(uuid4())

    assert await house.refusal(house.admin, CANCEL, i={"runId": run}) == "INTERNAL"
    assert await told(house) == [("CANCEL_RUN", "INTERNAL", run, None)]


def test_no_mutation_is_without_its_auditor():
    fields = Mutation.__strawberry_definition__.fields  # pyright: ignore[reportAttributeAccessIssue]

    auditors = [each for field in fields for each in field.extensions if isinstance(each, Audited)]
    assert len(auditors) == len(fields) == len({each.action for each in auditors})


async def test_every_mutation_of_the_schema_has_left_a_line_in_the_tests_above(house: World):
    mutation = house.schema.documents.schema.mutation_type
    assert isinstance(mutation, GraphQLObjectType)

    # A new mutation comes with an action of its own, and with tests above.
    assert set(mutation.fields) == {
        "submitWorkflow", "decideApproval", "resolveInDoubt", "cancelRun", "retryStep", "createUser", "revokeTokens",
    }  # fmt: skip
    assert len(Action) == len(mutation.fields) + 2


async def test_what_was_rolled_back_leaves_no_line_of_success(house: World, monkeypatch: pytest.MonkeyPatch):
    """The line stands in the transaction of the change: neither commits without the other."""
    run = await submitted(house, house.admin, "pay", until="WORKFLOW_WAITING_APPROVAL")
    await house.it.database.execute("ALTER TABLE audit_lines ADD CONSTRAINT full_disk CHECK (id < 2)")

    with pytest.raises(asyncpg.CheckViolationError):
        await house.it.engine.cancel(house.admin, run, reason=None)

    assert (await house.it.run(run))["state"] == "WAITING_APPROVAL"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_lines SET outcome = 'ACCEPTED'",
        "UPDATE audit_lines SET outcome = 'ACCEPTED' WHERE false",
        "DELETE FROM audit_lines",
        "TRUNCATE audit_lines",
    ],
)
async def test_lines_are_never_changed_or_deleted(database: Database, statement: str):
    with pytest.raises(asyncpg.RestrictViolationError, match="never changed or deleted"):
        await database.execute(statement)


# ── reading ──

PAGE = """query($f: AuditFilter, $n: Int = 20, $a: String) {auditLog(filter: $f, first: $n, after: $a) {
    nodes {id action accepted outcome userId userName subject detail address token request times at}
    edges {cursor node {id}} pageInfo {hasNextPage hasPreviousPage startCursor endCursor}}}"""


async def test_an_administrator_reads_the_log_page_by_page_the_latest_first(house: World):
    for n in range(5):
        await mutate(house, house.admin, CREATE, name=f"user {n}", roles=["SUBMITTER"])

    seen: list[str] = []
    after = None
    while True:
        page = (await house.ask(house.admin, PAGE, n=2, a=after))["auditLog"]
        seen += [node["id"] for node in page["nodes"]]
        assert [edge["node"]["id"] for edge in page["edges"]] == [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert seen == [f"audit_{n}" for n in range(5, 0, -1)]


async def test_the_log_is_read_by_user_and_by_outcome(house: World):
    bob = await house.viewer(Role.SUBMITTER, name="Bob")
    await mutate(house, bob, SUBMIT, **plan("note"))
    await mutate(house, bob, CREATE, name="x", roles=["ADMIN"])
    await mutate(house, house.admin, SUBMIT, **plan("note"))

    async def actions(**wanted: Any) -> list[tuple[str, bool]]:
        page = (await house.ask(house.admin, PAGE, f=wanted))["auditLog"]
        return [(node["action"], node["accepted"]) for node in page["nodes"]]

    bobs = ids.user_id(bob.id)
    assert await actions(userId=bobs) == [("CREATE_USER", False), ("SUBMIT_WORKFLOW", True)]
    assert await actions(userId=bobs, accepted=True) == [("SUBMIT_WORKFLOW", True)]
    assert await actions(accepted=False) == [("CREATE_USER", False)]
    assert await actions(userId="nobody") == []


@pytest.mark.parametrize("given", [{"n": 101}, {"n": -1}, {"a": "x"}, {"a": ""}])
async def test_bad_pages_are_refused(house: World, given: dict[str, Any]):
    assert await house.refusal(house.admin, PAGE, **given) == "BAD_USER_INPUT"


@pytest.mark.parametrize("roles", [[Role.SUBMITTER], [Role.APPROVER], [Role.SUBMITTER, Role.APPROVER]])
async def test_nobody_but_an_administrator_reads_the_log(house: World, roles: list[Role]):
    viewer = await house.viewer(*roles)

    assert await house.refusal(viewer, PAGE) == "FORBIDDEN"


# ── strangers ──


async def test_failed_sign_ins_are_counted_by_address_and_written_a_few_lines_for_many(house: World):
    audit = house.it.engine.audit
    for n in range(1000):
        audit.stranger(Origin(f"192.0.2.{n % 2}"))
    await audit.close()

    found = await lines(house)
    assert {(line["action"], line["outcome"], line["user_id"]) for line in found} == {
        ("SIGN_IN", "UNAUTHENTICATED", None)
    }
    counted: Counter[str] = Counter()
    for line in found:
        counted[line["address"]] += line["times"]
    assert counted == {"192.0.2.0": 500, "192.0.2.1": 500}
    assert len(found) <= 4


async def test_however_many_addresses_there_are_few_lines_are_written(house: World):
    audit = house.it.engine.audit
    for n in range(5000):
        audit.stranger(Origin(f"2001:db8::{n:x}"))
    await audit.close()

    found = await lines(house)
    assert len(found) == 1001
    assert sum(line["times"] for line in found) == 5000
