import asyncio
from typing import Any
from uuid import UUID

import pytest

from engine.access import Viewer
from persistence.states import Role
from persistence.users import token_hash
from tests.engine.harness import step
from tests.schema.world import World, world

SUBMIT = """mutation ($input: SubmitWorkflowInput!) { submitWorkflow(input: $input) {
    run { id state intent riskLevel steps { key riskLevel state } } errors { code message path } } }"""
DECIDE = """mutation ($input: DecideApprovalInput!) { decideApproval(input: $input) {
    approval { id status decisionReason editedArgs decidedBy { name } step { key state } }
    errors { code message path } } }"""
RESOLVE = """mutation ($input: ResolveInDoubtInput!) { resolveInDoubt(input: $input) {
    approval { status step { state result skipReason } } errors { code message path } } }"""
CANCEL = """mutation ($input: CancelRunInput!) { cancelRun(input: $input) {
    run { state steps { state } approvals { status } } errors { code message path } } }"""
RETRY = """mutation ($input: RetryStepInput!) { retryStep(input: $input) {
    step { state run { state } } errors { code message path } } }"""
CREATE = """mutation ($input: CreateUserInput!) { createUser(input: $input) {
    user { id name roles } token errors { code message path } } }"""
REVOKE = """mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) {
    user { id name } errors { code message path } } }"""

NOBODY = "0" * 32
NOTHING = UUID(int=5)


async def change(it: World, viewer: Viewer, mutation: str, **input_: Any) -> Any:
    (payload,) = (await it.ask(viewer, mutation, input=input_)).values()
    return payload


def wrong(payload: Any) -> list[tuple[str, list[str] | None]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"steps": [{"tool": "note", **each} for each in steps]}


PAY = {"key": "pay", "tool": "pay", "args": {"amount": 5}}


async def paying(it: World, viewer: Viewer) -> tuple[Any, str]:
    """A run that waits for an approval, and the approval's id."""
    run = await it.it.submit(step("pay", "pay", args={"amount": 5}), viewer=viewer)
    (approval,) = await it.it.approvals(run)
    return run, f"appr_{approval['id'].hex}"


# ── submitWorkflow ──


async def test_a_plan_starts_a_run(dsn: str):
    async with world(dsn, executes=False) as it:
        viewer = await it.viewer(Role.SUBMITTER)

        payload = await change(it, viewer, SUBMIT, plan=plan({"key": "a"}, PAY))

        assert payload["errors"] == []
        assert (payload["run"]["state"], payload["run"]["intent"], payload["run"]["riskLevel"]) == (
            "EXECUTING",
            None,
            "L3",
        )
        assert payload["run"]["steps"] == [
            {"key": "a", "riskLevel": "L0", "state": "READY"},
            {"key": "pay", "riskLevel": "L3", "state": "BLOCKED"},
        ]


async def test_what_is_submitted_together_is_read_together_and_everybody_gets_their_own(dsn: str):
    submit = """mutation ($input: SubmitWorkflowInput!) { submitWorkflow(input: $input) {
        run { intent submittedBy { name } } } }"""
    async with world(dsn, executes=False) as it:
        viewers = [await it.viewer(Role.SUBMITTER, name=name) for name in ("ann", "ben")]
        wanted = [(viewers[number % 2], f"a wish, number {number}") for number in range(20)]
        it.statements.clear()

        payloads = await asyncio.gather(*(change(it, viewer, submit, intent=intent) for viewer, intent in wanted))

        assert [(each["run"]["submittedBy"]["name"], each["run"]["intent"]) for each in payloads] == [
            (viewer.name, intent) for viewer, intent in wanted
        ]
        assert len(it.statements) < len(wanted) / 2


async def test_a_submitted_run_is_not_shown_to_another(dsn: str):
    async with world(dsn, executes=False) as it:
        ann, ben = await it.viewer(Role.SUBMITTER), await it.viewer(Role.ADMIN)
        run = await it.it.submit(step("a", "note"), viewer=ann)

        assert await it.services.submitted.run(ben.id, run) is None
        assert await it.services.submitted.run(ann.id, NOTHING) is None
        row = await it.services.submitted.run(ann.id, run)
        assert row is not None
        assert row.id == run


async def test_an_intent_is_recorded_at_once(dsn: str):
    async with world(dsn, executes=False) as it:
        payload = await change(it, it.admin, SUBMIT, intent="Do something")

        assert payload["errors"] == []
        assert (payload["run"]["state"], payload["run"]["intent"], payload["run"]["steps"]) == (
            "QUEUED",
            "Do something",
            [],
        )


async def test_risk_is_only_ever_raised(dsn: str):
    async with world(dsn, executes=False) as it:
        raised = plan({"key": "a", "riskLevel": "L2"}, {**PAY, "riskLevel": "L0"})

        payload = await change(it, it.admin, SUBMIT, plan=raised, requireApprovalFrom="L2")

        assert [(each["riskLevel"], each["state"]) for each in payload["run"]["steps"]] == [
            ("L2", "BLOCKED"),
            ("L3", "BLOCKED"),
        ]


@pytest.mark.parametrize(
    ("input_", "expected"),
    [
        ({}, [("INVALID_INPUT", None)]),
        ({"intent": None, "plan": None}, [("INVALID_INPUT", None)]),
        ({"intent": "x", "plan": plan({"key": "a"})}, [("INVALID_INPUT", None)]),
        ({"intent": "  "}, [("INVALID_INPUT", ["intent"])]),
        ({"plan": plan()}, [("INVALID_PLAN", ["plan", "steps"])]),
        (
            {"plan": plan({"key": "a"}, {"key": "a"}, {"key": "b", "tool": "nope", "dependsOn": ["zz"]})},
            [
                ("INVALID_PLAN", ["plan", "steps", "1", "key"]),
                ("INVALID_PLAN", ["plan", "steps", "2", "dependsOn", "0"]),
                ("UNKNOWN_TOOL", ["plan", "steps", "2", "tool"]),
            ],
        ),
        (
            {"plan": plan({"key": "a", "args": "text"}, {"key": "b", "args": []})},
            [("INVALID_PLAN", ["plan", "steps", "0", "args"]), ("INVALID_PLAN", ["plan", "steps", "1", "args"])],
        ),
        (
            {"plan": plan({**PAY, "args": {"amount": "much"}})},
            [("INVALID_PLAN", ["plan", "steps", "0", "args", "amount"])],
        ),
        ({"plan": plan({"key": "a"}), "idempotencyKey": ""}, [("INVALID_INPUT", ["idempotencyKey"])]),
    ],
)
async def test_a_submission_is_refused_with_every_fault_at_its_path(
    dsn: str, input_: dict[str, Any], expected: list[tuple[str, list[str] | None]]
):
    async with world(dsn, executes=False) as it:
        payload = await change(it, it.admin, SUBMIT, **input_)

        assert payload["run"] is None
        assert sorted(wrong(payload), key=str) == sorted(expected, key=str)
        assert all(error["message"][0].isupper() and error["message"][-1] in ".!?" for error in payload["errors"])
        assert (await it.ask(it.admin, "{ runs { totalCount } }"))["runs"]["totalCount"] == 0


async def test_an_approver_starts_nothing(dsn: str):
    async with world(dsn, executes=False) as it:
        payload = await change(it, await it.viewer(Role.APPROVER), SUBMIT, plan=plan({"key": "a"}))

        assert (payload["run"], wrong(payload)) == (None, [("FORBIDDEN", None)])


async def test_the_same_key_with_the_same_input_names_the_same_run(dsn: str):
    async with world(dsn, executes=False) as it:
        viewer, other = await it.viewer(Role.SUBMITTER), await it.viewer(Role.SUBMITTER)
        asked = {"plan": plan({"key": "a", "args": {"text": "x"}}), "idempotencyKey": "k"}

        first = await change(it, viewer, SUBMIT, **asked)
        again = await change(it, viewer, SUBMIT, **asked)
        with_nulls = await change(
            it, viewer, SUBMIT, intent=None, requireApprovalFrom=None,
            plan=plan({"args": {"text": "x"}, "key": "a", "name": None}), idempotencyKey="k",
        )  # fmt: skip
        others = await change(it, other, SUBMIT, **asked)

        assert first["run"]["id"] == again["run"]["id"] == with_nulls["run"]["id"]
        assert others["run"]["id"] != first["run"]["id"]


@pytest.mark.parametrize(
    "said",
    [
        {"args": {}},
        {"args": None},
        {"dependsOn": []},
        {"name": "a"},
        {"riskLevel": "L0"},
        {"args": {}, "dependsOn": [], "name": "a", "riskLevel": "L0", "maxAttempts": None, "timeoutSeconds": None},
        {"when": None, "after": [], "forEach": None, "forEachMost": None, "maxParallel": None, "notBefore": None},
        {"after": None, "forEachTolerates": False, "delaySeconds": 0},
    ],
    ids=str,
)
async def test_what_is_so_anyhow_may_be_said_or_not_under_the_same_key(dsn: str, said: dict[str, Any]):
    async with world(dsn, executes=False) as it:
        unsaid = await change(it, it.admin, SUBMIT, plan=plan({"key": "a"}), idempotencyKey="k")
        after = await change(it, it.admin, SUBMIT, plan=plan({"key": "a", **said}), idempotencyKey="k")
        before = await change(it, it.admin, SUBMIT, plan=plan({"key": "a", **said}), idempotencyKey="l")
        then = await change(it, it.admin, SUBMIT, plan=plan({"key": "a"}), requireApprovalFrom="L3", idempotencyKey="l")

        assert unsaid["run"]["id"] == after["run"]["id"]
        assert before["run"]["id"] == then["run"]["id"] != unsaid["run"]["id"]


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": plan({"key": "a", "args": {"text": "y"}})},
        {"plan": plan({"key": "a", "args": {"text": "x"}, "name": "A"})},
        {"plan": plan({"key": "a", "args": {"text": "x"}, "maxAttempts": 2})},
        {"plan": plan({"key": "a", "args": {"text": "x"}, "timeoutSeconds": 2})},
        {"plan": plan({"key": "a", "args": {"text": "x"}, "riskLevel": "L1"})},
        {"plan": plan({"key": "a", "args": {"text": "x"}}), "requireApprovalFrom": "L1"},
        {"intent": "Do it"},
    ],
)
async def test_the_same_key_with_another_input_is_a_conflict(dsn: str, changed: dict[str, Any]):
    async with world(dsn, executes=False) as it:
        await change(it, it.admin, SUBMIT, plan=plan({"key": "a", "args": {"text": "x"}}), idempotencyKey="k")

        payload = await change(it, it.admin, SUBMIT, **changed, idempotencyKey="k")

        assert (payload["run"], wrong(payload)) == (None, [("IDEMPOTENCY_CONFLICT", ["idempotencyKey"])])
        assert (await it.ask(it.admin, "{ runs { totalCount } }"))["runs"]["totalCount"] == 1


# ── decideApproval ──


async def test_an_approval_is_decided_with_its_reason(dsn: str):
    async with world(dsn, executes=False) as it:
        approver = await it.viewer(Role.APPROVER, name="Bo")
        _, approval = await paying(it, it.admin)

        payload = await change(it, approver, DECIDE, approvalId=approval, decision="APPROVE", reason="Fine")
        again = await change(it, approver, DECIDE, approvalId=approval, decision="APPROVE")
        other = await change(it, it.admin, DECIDE, approvalId=approval, decision="REJECT")

        assert payload == {
            "approval": {
                "id": approval,
                "status": "APPROVED",
                "decisionReason": "Fine",
                "editedArgs": None,
                "decidedBy": {"name": "Bo"},
                "step": {"key": "pay", "state": "READY"},
            },
            "errors": [],
        }
        assert again["errors"] == []
        assert wrong(other) == [("ALREADY_DECIDED", ["approvalId"])]
        assert "APPROVED" in other["errors"][0]["message"]
        assert "Bo" in other["errors"][0]["message"]
        assert other["approval"]["status"] == "APPROVED"


async def test_edited_arguments_are_shown_and_checked(dsn: str):
    async with world(dsn, executes=False) as it:
        _, approval = await paying(it, it.admin)
        decision = {"approvalId": approval, "decision": "APPROVE"}

        unfit = await change(it, it.admin, DECIDE, **decision, editedArgs={"amount": "x"})
        nothing = await change(it, it.admin, DECIDE, **decision, editedArgs=[])
        rejected = await change(it, it.admin, DECIDE, approvalId=approval, decision="REJECT", editedArgs={"amount": 4})
        edited = await change(it, it.admin, DECIDE, **decision, editedArgs={"amount": 4})

        assert wrong(unfit) == [("INVALID_INPUT", ["editedArgs", "amount"])]
        assert wrong(nothing) == wrong(rejected) == [("INVALID_INPUT", ["editedArgs"])]
        assert unfit["approval"]["status"] == "REQUIRED"
        assert edited["approval"]["editedArgs"] == {"amount": 4, "currency": "EUR"}


async def test_a_decision_for_other_arguments_does_not_count(dsn: str):
    async with world(dsn, executes=False) as it:
        _, approval = await paying(it, it.admin)

        payload = await change(it, it.admin, DECIDE, approvalId=approval, decision="APPROVE", argsDigest="0" * 64)

        assert wrong(payload) == [("ARGS_CHANGED", ["argsDigest"])]
        assert payload["approval"]["status"] == "REQUIRED"


async def test_separation_of_duties_forbids_the_submitter(dsn: str):
    async with world(dsn, executes=False, separation_of_duties=True) as it:
        owner, approver = await it.viewer(Role.SUBMITTER), await it.viewer(Role.APPROVER)
        _, approval = await paying(it, owner)

        own = await change(it, owner, DECIDE, approvalId=approval, decision="APPROVE")
        theirs = await change(it, approver, DECIDE, approvalId=approval, decision="APPROVE")

        assert (wrong(own), own["approval"]["status"]) == ([("FORBIDDEN", ["approvalId"])], "REQUIRED")
        assert theirs["approval"]["status"] == "APPROVED"


# ── resolveInDoubt ──


async def in_doubt(it: World) -> str:
    run, approval = await paying_with(it, "vanish")
    await change(it, it.admin, DECIDE, approvalId=approval, decision="APPROVE")
    await it.it.until(run, "STEP_IN_DOUBT")
    return f"appr_{(await it.it.approvals(run))[-1]['id'].hex}"


async def paying_with(it: World, tool: str) -> tuple[Any, str]:
    run = await it.it.submit(step("it", tool))
    return run, f"appr_{(await it.it.approvals(run))[0]['id'].hex}"


async def test_a_doubt_is_resolved(dsn: str):
    async with world(dsn) as it:
        approval = await in_doubt(it)

        decided = await change(it, it.admin, DECIDE, approvalId=approval, decision="APPROVE")
        resolved = await change(it, it.admin, RESOLVE, approvalId=approval, resolution="HAPPENED", result={"n": None})

        assert wrong(decided) == [("INVALID_STATE", ["approvalId"])]
        assert resolved == {
            "approval": {
                "status": "APPROVED",
                "step": {"state": "SUCCEEDED", "result": {"n": None}, "skipReason": None},
            },
            "errors": [],
        }


async def test_a_doubt_may_be_left(dsn: str):
    async with world(dsn) as it:
        approval = await in_doubt(it)

        abandoned = await change(it, it.admin, RESOLVE, approvalId=approval, resolution="ABANDON")

        assert abandoned["approval"] == {
            "status": "REJECTED",
            "step": {"state": "SKIPPED", "result": None, "skipReason": "ABANDONED"},
        }


# ── cancelRun, retryStep ──


async def test_a_run_is_cancelled_with_all_that_is_open(dsn: str):
    async with world(dsn, executes=False) as it:
        run, _ = await paying(it, it.admin)

        payload = await change(it, it.admin, CANCEL, runId=f"run_{run.hex}", reason="Enough")
        again = await change(it, it.admin, CANCEL, runId=f"run_{run.hex}")

        assert payload == {
            "run": {"state": "CANCELLED", "steps": [{"state": "CANCELLED"}], "approvals": [{"status": "CANCELLED"}]},
            "errors": [],
        }
        assert again["errors"] == []


async def test_a_dead_letter_is_sent_back(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(step("breaks", "fail"), step("fine", "note"))
        await it.it.finished(run)

        payload = await change(it, it.admin, RETRY, stepId=f"step_{run.hex}_0", reason="Once more")
        fine = await change(it, it.admin, RETRY, stepId=f"step_{run.hex}_1")
        over = await change(it, it.admin, CANCEL, runId=f"run_{(await ended(it)).hex}")

        assert payload["errors"] == []
        assert payload["step"]["run"]["state"] in ("EXECUTING", "FAILED")
        assert wrong(fine) == [("INVALID_STATE", ["stepId"])]
        assert (wrong(over), over["run"]["state"]) == ([("INVALID_STATE", ["runId"])], "COMPLETED")


async def ended(it: World) -> Any:
    run = await it.it.submit(step("fine", "note"))
    await it.it.finished(run)
    return run


# ── createUser, revokeTokens ──


async def test_an_administrator_makes_users_and_revokes_their_tokens(dsn: str):
    async with world(dsn, executes=False) as it:
        made = await change(it, it.admin, CREATE, name="Cy", roles=["APPROVER", "SUBMITTER"])
        taken = await change(it, it.admin, CREATE, name="Cy", roles=["ADMIN"])
        nobody = await change(it, it.admin, CREATE, name=" ", roles=[])
        revoked = await change(it, it.admin, REVOKE, userId=made["user"]["id"])

        assert made["errors"] == []
        assert (made["user"]["name"], made["user"]["roles"]) == ("Cy", ["SUBMITTER", "APPROVER"])
        revoked_at = await it.it.database.fetchval(
            "SELECT revoked_at FROM tokens WHERE hash = $1", token_hash(made["token"])
        )
        assert revoked_at is not None
        assert revoked == {"user": {"id": made["user"]["id"], "name": "Cy"}, "errors": []}
        assert (taken["user"], taken["token"], wrong(taken)) == (None, None, [("INVALID_INPUT", ["name"])])
        assert wrong(nobody) == [("INVALID_INPUT", ["name"]), ("INVALID_INPUT", ["roles"])]


async def test_a_user_may_be_named_instead_of_given_by_id(dsn: str):
    async with world(dsn, executes=False) as it:
        made = await change(it, it.admin, CREATE, name="Cy", roles=["APPROVER"])
        viewer = await it.viewer(Role.SUBMITTER, Role.APPROVER)

        refused = [await change(it, viewer, REVOKE, userId=name) for name in ("Cy", "Di")]
        unknown = [await change(it, it.admin, REVOKE, userId=name) for name in ("cy", "Di", "", "user_1", "\0")]
        revoked = await change(it, it.admin, REVOKE, userId="Cy")

        assert [wrong(each) for each in refused] == [[("FORBIDDEN", ["userId"])]] * 2
        assert [wrong(each) for each in unknown] == [[("NOT_FOUND", ["userId"])]] * 5
        assert revoked == {"user": {"id": made["user"]["id"], "name": "Cy"}, "errors": []}


async def test_nobody_else_makes_users_or_revokes_tokens(dsn: str):
    async with world(dsn, executes=False) as it:
        viewer = await it.viewer(Role.SUBMITTER, Role.APPROVER)

        made = await change(it, viewer, CREATE, name="Cy", roles=["ADMIN"])
        revoked = await change(it, viewer, REVOKE, userId=f"user_{viewer.id.hex}")

        assert (made["user"], made["token"], wrong(made)) == (None, None, [("FORBIDDEN", None)])
        assert wrong(revoked) == [("FORBIDDEN", ["userId"])]


# ── what is not there, or not yours ──


def of_others(run: Any, approval: str, user: str) -> list[tuple[str, dict[str, Any], str]]:
    return [
        (DECIDE, {"approvalId": approval, "decision": "APPROVE"}, "approvalId"),
        (RESOLVE, {"approvalId": approval, "resolution": "ABANDON"}, "approvalId"),
        (CANCEL, {"runId": f"run_{run.hex}"}, "runId"),
        (RETRY, {"stepId": f"step_{run.hex}_0"}, "stepId"),
    ]


async def test_what_a_caller_may_not_see_is_not_found(dsn: str):
    async with world(dsn, executes=False) as it:
        owner, stranger = await it.viewer(Role.SUBMITTER), await it.viewer(Role.SUBMITTER)
        run, approval = await paying(it, owner)

        for mutation, input_, name in of_others(run, approval, ""):
            payload = await change(it, stranger, mutation, **input_)
            assert wrong(payload) == [("NOT_FOUND", [name])], mutation
            assert [value for key, value in payload.items() if key != "errors"] == [None]


async def test_what_a_caller_may_see_and_not_change_is_forbidden(dsn: str):
    async with world(dsn, executes=False) as it:
        owner, approver = await it.viewer(Role.SUBMITTER), await it.viewer(Role.APPROVER)
        run, approval = await paying(it, owner)

        for mutation, input_, name in of_others(run, approval, "")[2:]:
            payload = await change(it, approver, mutation, **input_)
            assert wrong(payload) == [("FORBIDDEN", [name])], mutation
            assert [value for key, value in payload.items() if key != "errors"] != [None]


@pytest.mark.parametrize("id_", ["", "nonsense", "{kind}_" + NOBODY, "{kind}_" + NOBODY + "_0", "tool_" + NOBODY])
async def test_ids_of_nothing_are_not_found(dsn: str, id_: str):
    async with world(dsn, executes=False) as it:
        for mutation, kind, input_, name in (
            (DECIDE, "appr", {"decision": "APPROVE"}, "approvalId"),
            (RESOLVE, "appr", {"resolution": "ABANDON"}, "approvalId"),
            (CANCEL, "run", {}, "runId"),
            (RETRY, "step", {}, "stepId"),
            (REVOKE, "user", {}, "userId"),
        ):
            payload = await change(it, it.admin, mutation, **input_, **{name: id_.format(kind=kind)})
            assert wrong(payload) == [("NOT_FOUND", [name])], mutation


async def test_a_later_mutation_shows_what_it_changed_and_not_what_was_read_before(dsn: str):
    async with world(dsn, executes=False) as it:
        run, approval = await paying(it, it.admin)

        data = await it.ask(
            it.admin,
            """mutation ($run: ID!, $approval: ID!) {
                decide: decideApproval(input: {approvalId: $approval, decision: APPROVE}) {
                    approval { run { state steps { state } } } }
                cancel: cancelRun(input: {runId: $run}) { run { state steps { state } } }
            }""",
            run=f"run_{run.hex}",
            approval=approval,
        )

        assert data["decide"]["approval"]["run"] == {"state": "EXECUTING", "steps": [{"state": "READY"}]}
        assert data["cancel"]["run"] == {"state": "CANCELLED", "steps": [{"state": "CANCELLED"}]}
