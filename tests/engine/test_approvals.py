"""Approvals: who is asked about what, who may answer, whose answer counts, and that only what was approved is sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import pytest
import rfc8785
from pydantic import Field

from engine.access import Viewer
from engine.errors import AlreadyDecided, ArgsChanged, Forbidden, InvalidInput, InvalidState, NotFound
from engine.tools import InDoubt, Registry, ToolError, tool
from persistence.ids import new_id
from persistence.states import ApprovalDecision, Risk, Role
from tests.engine.harness import ABANDON, APPROVE, HAPPENED, REJECT, Act, Gate, acting, running, step

SENT: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    SENT.clear()


@tool(risk="L3")
async def send(to: str, text: str = "Hello", copies: Annotated[int, Field(ge=1, le=9)] = 1) -> dict[str, Any]:
    """Sends."""
    SENT.append({"to": to, "text": text, "copies": copies})
    return {"sent": to}


NOOP = Act("noop")
TOOLS = Registry.of(send, NOOP.tool)
TO_ANN = {"to": "Ann"}


# Who is asked


@pytest.mark.parametrize("policy", [Risk.L0, Risk.L2, Risk.L3])
async def test_a_person_is_asked_from_the_stricter_level_up_and_always_for_l3(dsn: str, policy: Risk) -> None:
    acts = {risk: Act(f"work_{risk.name}", risk=risk.name) for risk in Risk}
    async with running(dsn, acting(*acts.values()), approve_from=policy) as it:
        for wish in (None, *Risk):
            for risk, act in acts.items():
                before = act.calls
                run = await it.submit(step("a", f"work_{risk.name}"), approve_from=wish)

                event = await it.until(run, "WORKFLOW_WAITING_APPROVAL", "WORKFLOW_COMPLETE")

                asks = risk is Risk.L3 or risk >= policy or (wish is not None and risk >= wish)
                assert (event.type == "WORKFLOW_WAITING_APPROVAL") is asks, (wish, risk)
                assert act.calls == before + (not asks)


async def test_a_plan_can_raise_a_risk_and_the_reason_says_so(dsn: str) -> None:
    act = Act("work", risk="L1")
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "work", risk=Risk.L3))

        approval = await it.asked(run)

        assert approval["risk"] == Risk.L3
        assert "L3" in approval["reason"]
        assert "raised it from L1" in approval["reason"]


async def test_an_approval_shows_exactly_what_will_be_sent_under_its_digest(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args={"to": "Zoë €", "copies": 2}))

        approval = await it.asked(run)

        proposed = {"to": "Zoë €", "text": "Hello", "copies": 2}
        assert approval["proposed_args"] == proposed
        canonical = rfc8785.dumps({"tool": "send", "args": proposed})
        assert approval["digest"] == hashlib.sha256(canonical).hexdigest()
        assert (approval["kind"], approval["status"]) == ("EXECUTE", "REQUIRED")
        assert approval["expires_at"] - approval["created_at"] == timedelta(days=7)
        (asked,) = await it.happened(run, "APPROVAL_REQUIRED")
        assert (asked["argsDigest"], asked["riskLevel"]) == (approval["digest"], "L3")


async def test_a_call_is_made_only_after_its_approval_and_with_exactly_its_arguments(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)
        assert SENT == []
        assert await it.calls(run) == []

        await it.decide(approval, APPROVE, reason="go", digest=approval["digest"].upper())
        await it.finished(run)

        assert [approval["proposed_args"]] == SENT
        (call,) = await it.calls(run)
        assert (call["approval_id"], call["digest"]) == (approval["id"], approval["digest"])
        after = await it.approval(approval["id"])
        assert (after["status"], after["decided_by"], after["decision_reason"]) == ("APPROVED", it.admin.id, "go")
        assert after["spent_at"] is not None
        (told,) = await it.happened(run, "APPROVAL_APPROVED")
        assert (told["decidedBy"], told["reason"]) == (f"user_{it.admin.id.hex}", "go")


async def test_a_rejection_skips_the_step_and_all_below_it_and_nothing_else(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "send", args=TO_ANN),
            step("b", after=["a"]),
            step("c", after=["b", "other"]),
            step("other"),
            step("free", after=["other"]),
        )

        await it.decide(await it.asked(run), REJECT, reason="no")
        row = await it.finished(run)

        assert (row["state"], row["outcome"], row["error_code"]) == ("COMPLETED", "PARTIAL", None)
        assert await it.states(run) == {
            "a": "SKIPPED REJECTED",
            "b": "SKIPPED DEPENDENCY_SKIPPED",
            "c": "SKIPPED DEPENDENCY_SKIPPED",
            "other": "SUCCEEDED",
            "free": "SUCCEEDED",
        }
        assert SENT == []


async def test_after_a_rejection_and_a_failure_the_failure_is_the_reason(dsn: str) -> None:
    broken = Act("broken", ToolError("x", retryable=False))
    async with running(dsn, Registry.of(send, broken.tool, NOOP.tool)) as it:
        run = await it.submit(step("a", "send", args=TO_ANN), step("b", "broken"), step("c", after=["a", "b"]))
        approval = await it.asked(run)
        await it.until(run, "STEP_SKIPPED", step="c")

        await it.decide(approval, REJECT)
        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("FAILED", "FAILED")
        assert (await it.states(run))["c"] == "SKIPPED DEPENDENCY_FAILED"


# Time


async def test_an_approval_that_nobody_decides_in_time_skips_its_step(dsn: str) -> None:
    async with running(dsn, TOOLS, approval_timeout_seconds=0.05, sweep_seconds=0.03) as it:
        run = await it.submit(step("a", "send", args=TO_ANN), step("b", after=["a"]))

        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "PARTIAL")
        assert await it.states(run) == {"a": "SKIPPED APPROVAL_EXPIRED", "b": "SKIPPED DEPENDENCY_SKIPPED"}
        assert (await it.story(run))[-4:] == [
            "APPROVAL_EXPIRED a",
            "STEP_SKIPPED a",
            "STEP_SKIPPED b",
            "WORKFLOW_COMPLETE",
        ]
        (approval,) = await it.approvals(run)
        assert (approval["status"], approval["decided_by"]) == ("EXPIRED", None)
        with pytest.raises(AlreadyDecided) as refused:
            await it.decide(approval, APPROVE)
        assert refused.value.status == "EXPIRED"


async def test_time_decides_though_nobody_has_swept_yet(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)
        await it.database.execute("UPDATE approvals SET expires_at = clock_timestamp() - interval '1 millisecond'")

        with pytest.raises(AlreadyDecided) as refused:
            await it.decide(approval, APPROVE)

        assert refused.value.status == "EXPIRED"
        assert await it.states(run) == {"a": "BLOCKED"}


async def test_without_a_time_limit_an_approval_waits_for_ever(dsn: str) -> None:
    async with running(dsn, TOOLS, approval_timeout_seconds=0) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))

        assert (await it.asked(run))["expires_at"] is None


async def test_waiting_for_a_person_uses_up_no_time_out(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args=TO_ANN, timeout_seconds=0.2))
        approval = await it.asked(run)
        await it.database.execute("UPDATE approvals SET created_at = created_at - interval '1 day'")

        await it.decide(approval, APPROVE)

        assert (await it.finished(run))["state"] == "COMPLETED"


# Exactly these arguments


@pytest.mark.parametrize("seen", ["0" * 64, "\x00", "\ud800"], ids=["another", "no text", "no character"])
async def test_a_decision_about_other_arguments_does_not_count(dsn: str, seen: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)

        for decision in ApprovalDecision:
            with pytest.raises(ArgsChanged) as refused:
                await it.decide(approval, decision, digest=seen)

        assert (refused.value.expected, refused.value.actual) == (seen, approval["digest"])
        assert (await it.approval(approval["id"]))["status"] == "REQUIRED"


async def test_edited_arguments_are_what_is_sent(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)

        await it.decide(approval, APPROVE, digest=approval["digest"], edited={"to": "Bob", "copies": 2})
        await it.finished(run)

        sent = {"to": "Bob", "text": "Hello", "copies": 2}
        assert [sent] == SENT
        (call,) = await it.calls(run)
        assert call["args"] == sent
        assert call["digest"] == hashlib.sha256(rfc8785.dumps({"tool": "send", "args": sent})).hexdigest()
        after = await it.approval(approval["id"])
        assert (after["proposed_args"], after["edited_args"]) == (approval["proposed_args"], sent)
        assert (await it.steps(run))["a"]["resolved_args"] == sent
        assert (await it.happened(run, "APPROVAL_APPROVED"))[0]["edited"] is True


async def test_edited_arguments_pass_the_schema_like_any_others(dsn: str) -> None:
    table: list[tuple[object, str]] = [
        ({}, "editedArgs.to"),
        ({"to": 7}, "editedArgs.to"),
        ({"to": "Ann", "copies": 10}, "editedArgs.copies"),
        ({"to": "Ann", "bcc": "Eve"}, "editedArgs.bcc"),
        ({"to": "a\x00"}, "editedArgs.to"),
        ({"to": "Ann", "text": "\ud800"}, "editedArgs.text"),
        ({"to": "Ann", "copies": 2**70}, "editedArgs.copies"),
        ({"to": "Ann", "copies": float("nan")}, "editedArgs.copies"),
        ({"to": "x" * 2000}, "editedArgs"),
        ({"to": {"$secret": "../x"}}, "editedArgs.to"),
        ({"to": {"$jmespath": "a"}}, "editedArgs.to"),
        ("Ann", "editedArgs"),
        ([], "editedArgs"),
    ]
    async with running(dsn, TOOLS, max_json_bytes=1000) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)

        for edited, path in table:
            with pytest.raises(InvalidInput) as refused:
                await it.decide(approval, APPROVE, edited=edited)
            assert [".".join(map(str, fault.path)) for fault in refused.value.faults] == [path], edited

        assert (await it.approval(approval["id"]))["status"] == "REQUIRED"
        assert await it.states(run) == {"a": "BLOCKED"}


async def test_a_rejection_has_no_arguments(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))

        with pytest.raises(InvalidInput) as refused:
            await it.decide(await it.asked(run), REJECT, edited={"to": "Bob"})

        assert [fault.path for fault in refused.value.faults] == [("editedArgs",)]


async def test_a_reason_that_can_not_be_kept_is_refused(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)

        for reason in ("x" * 2001, "a\x00", "\udc00"):
            with pytest.raises(InvalidInput):
                await it.decide(approval, APPROVE, reason=reason)
            with pytest.raises(InvalidInput):
                await it.cancel(run, reason=reason)

        assert (await it.approval(approval["id"]))["status"] == "REQUIRED"


# The first decision stands


async def test_the_same_again_by_the_same_person_succeeds_and_any_other_learns_who_was_first(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        ann, bob = await it.user(Role.APPROVER, name="Ann"), await it.user(Role.APPROVER, name="Bob")
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)
        await it.decide(approval, APPROVE, viewer=ann)
        before = await it.run(run)

        await it.decide(approval, APPROVE, viewer=ann, reason="again")
        for decision, viewer, edited in (
            (REJECT, ann, None),
            (APPROVE, bob, None),
            (REJECT, bob, None),
            (APPROVE, ann, {"to": "Eve"}),
        ):
            more = {} if edited is None else {"edited": edited}
            with pytest.raises(AlreadyDecided) as refused:
                await it.decide(approval, decision, viewer=viewer, **more)
            assert (refused.value.status, refused.value.decided_by) == ("APPROVED", "Ann")
            assert refused.value.decided_at == (await it.approval(approval["id"]))["decided_at"]

        assert await it.run(run) == before


@pytest.mark.parametrize("decision", [APPROVE, REJECT])
async def test_the_same_again_for_other_arguments_is_a_change_of_them(dsn: str, decision: ApprovalDecision) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        ann, bob = await it.user(Role.APPROVER, name="Ann"), await it.user(Role.APPROVER, name="Bob")
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)
        await it.decide(approval, decision, viewer=ann, digest=approval["digest"])
        before = await it.run(run)

        await it.decide(approval, decision, viewer=ann, digest=approval["digest"].upper())
        await it.decide(approval, decision, viewer=ann)
        with pytest.raises(ArgsChanged) as changed:
            await it.decide(approval, decision, viewer=ann, digest="0" * 64)
        assert (changed.value.expected, changed.value.actual) == ("0" * 64, approval["digest"])
        with pytest.raises(AlreadyDecided):
            await it.decide(approval, decision, viewer=bob, digest="0" * 64)

        assert await it.run(run) == before


async def test_the_same_edits_again_for_other_arguments_are_a_change_of_them(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        approval = await it.asked(await it.submit(step("a", "send", args=TO_ANN)))
        digest = approval["digest"]
        await it.decide(approval, APPROVE, edited={"to": "Bob", "copies": 2}, digest=digest)

        # The same in other words.
        await it.decide(approval, APPROVE, edited={"copies": 2.0, "to": "Bob"}, digest=digest)

        with pytest.raises(ArgsChanged):
            await it.decide(approval, APPROVE, edited={"to": "Bob", "copies": 2}, digest="0" * 64)
        with pytest.raises(AlreadyDecided):
            await it.decide(approval, APPROVE, edited={"to": "Bob", "copies": 3}, digest=digest)


async def test_the_same_edits_again_succeed_and_others_do_not(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        approval = await it.asked(await it.submit(step("a", "send", args=TO_ANN)))
        await it.decide(approval, APPROVE, edited={"to": "Bob"})

        await it.decide(approval, APPROVE, edited={"to": "Bob"})

        for edited in ({"to": "Bob", "copies": 2}, None):
            with pytest.raises(AlreadyDecided):
                await it.decide(approval, APPROVE, **({} if edited is None else {"edited": edited}))


async def test_of_twenty_rivals_exactly_one_wins_each_approval(dsn: str) -> None:
    async with running(dsn, TOOLS) as it, running(dsn, TOOLS) as other:
        people = [await it.user(Role.APPROVER) for _ in range(20)]
        run = await it.submit(*(step(f"s{n}", "send", args={"to": str(n)}) for n in range(5)))
        await it.until(run, "APPROVAL_REQUIRED", times=5)
        approvals = await it.approvals(run)

        async def decide(number: int, viewer: Viewer, approval: dict[str, Any]) -> bool:
            engine = (it, other)[number % 2]
            try:
                await engine.decide(approval, (APPROVE, REJECT)[number // 2 % 2], viewer=viewer)
            except AlreadyDecided:
                return False
            return True

        answers = await asyncio.gather(
            *(decide(n, viewer, approval) for approval in approvals for n, viewer in enumerate(people))
        )
        await it.finished(run)

        assert answers.count(True) == 5
        approved = [each for each in await it.approvals(run) if each["status"] == "APPROVED"]
        assert sorted(sent["to"] for sent in SENT) == sorted(each["proposed_args"]["to"] for each in approved)
        story = await it.story(run)
        decided = [line for line in story if line.startswith(("APPROVAL_APPROVED", "APPROVAL_REJECTED"))]
        assert len(decided) == 5


async def test_a_decision_and_a_cancellation_race_for_one_row(dsn: str) -> None:
    async with running(dsn, TOOLS) as it, running(dsn, TOOLS) as other:
        for number in range(10):
            run = await it.submit(step("a", "send", args={"to": str(number)}))
            approval = await it.asked(run)

            moves = [other.decide(approval, APPROVE), it.cancel(run)]
            answers = await asyncio.gather(*(moves if number % 2 else reversed(moves)), return_exceptions=True)

            row = await it.finished(run)
            decided = await it.approval(approval["id"])
            if row["state"] == "CANCELLED" and decided["status"] == "CANCELLED":
                assert any(isinstance(answer, AlreadyDecided) for answer in answers)
                assert str(number) not in {sent["to"] for sent in SENT}
            else:
                assert decided["status"] == "APPROVED"


# Who may


async def test_who_may_decide_is_the_contracts_table(dsn: str) -> None:
    async with (
        running(dsn, TOOLS, executes=False) as it,
        running(dsn, TOOLS, executes=False, separation_of_duties=True) as strict,
    ):
        owner = await it.user(Role.SUBMITTER)
        owner_approver = await it.user(Role.SUBMITTER, Role.APPROVER)
        owner_admin = await it.user(Role.ADMIN)
        stranger = await it.user(Role.SUBMITTER)
        approver = await it.user(Role.APPROVER)
        table = [
            (it, owner, owner, None),
            (it, owner, stranger, NotFound),
            (it, owner, approver, None),
            (it, owner, it.admin, None),
            (it, owner_approver, owner_approver, None),
            (strict, owner, owner, Forbidden),
            (strict, owner_approver, owner_approver, Forbidden),
            (strict, owner_admin, owner_admin, Forbidden),
            (strict, owner, approver, None),
            (strict, owner, it.admin, None),
            (strict, owner, stranger, NotFound),
        ]

        for engine, submitter, decider, refusal in table:
            run = await engine.submit(step("a", "send", args=TO_ANN), viewer=submitter)
            approval = await engine.asked(run)
            if refusal is None:
                await engine.decide(approval, APPROVE, viewer=decider)
            else:
                with pytest.raises(refusal):
                    await engine.decide(approval, APPROVE, viewer=decider)
                assert (await it.approval(approval["id"]))["status"] == "REQUIRED"


async def test_a_stranger_gets_the_same_answer_for_an_approval_that_is_not_there(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        with pytest.raises(NotFound):
            await it.decide({"id": new_id()}, APPROVE)


async def test_a_role_that_was_lost_no_longer_decides(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        approver = await it.user(Role.APPROVER)
        approval = await it.asked(await it.submit(step("a", "send", args=TO_ANN)))

        with pytest.raises(NotFound):
            await it.decide(approval, APPROVE, viewer=replace(approver, roles=frozenset({Role.SUBMITTER})))


# One approval, one execution


async def test_a_retry_keeps_the_approval(dsn: str) -> None:
    act = Act("pay", OSError("down"), {"ok": True}, risk="L3")
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "pay"))
        approval = await it.asked(run)
        await it.decide(approval, APPROVE)

        await it.finished(run)

        assert act.calls == 2
        assert [call["approval_id"] for call in await it.calls(run)] == [approval["id"]] * 2
        assert len(await it.approvals(run)) == 1


async def test_a_redriven_dead_letter_asks_anew_and_the_old_approval_stays_spent(dsn: str) -> None:
    act = Act("pay", ToolError("no", retryable=False), {"ok": True}, risk="L3")
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "pay"))
        old = await it.asked(run)
        await it.decide(old, APPROVE)
        await it.finished(run)

        last = await it.retry(run, "a")
        new = await it.asked(run, times=2)
        assert act.calls == 1
        await it.decide(old, APPROVE)  # the same word again is no new one
        assert (await it.approval(new["id"]))["status"] == "REQUIRED"
        await it.decide(new, APPROVE)
        await it.finished(run, after=last)

        assert (await it.approval(old["id"]))["execution"] == 1
        assert (await it.approval(new["id"]))["execution"] == 2
        assert [call["approval_id"] for call in await it.calls(run)] == [old["id"], new["id"]]


# What the database says


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE steps SET args = \'{"to": "Eve", "text": "Hello", "copies": 1}\'',
        'UPDATE steps SET resolved_args = \'{"to": "Eve", "text": "Hello", "copies": 1}\'',
        "UPDATE steps SET tool = 'noop'",
        'UPDATE steps SET resolved_args = \'{"to": "Eve", "text": "Hello", "copies": 1}\', digest = \'EVES\'',
        "UPDATE steps SET tool = 'noop', resolved_args = '{}', digest = 'NOOPS'",
    ],
)
async def test_what_was_changed_after_its_approval_is_not_called(dsn: str, change: str) -> None:
    eves = hashlib.sha256(
        rfc8785.dumps({"tool": "send", "args": {"to": "Eve", "text": "Hello", "copies": 1}})
    ).hexdigest()
    noops = hashlib.sha256(rfc8785.dumps({"tool": "noop", "args": {}})).hexdigest()
    before = NOOP.calls
    async with running(dsn, TOOLS, executes=False) as it:
        # In the order of the defaults, so that nothing else is kept of them.
        args = {"text": "Hello", "copies": 1, "to": "Ann"} if "SET args" in change else TO_ANN
        run = await it.submit(step("a", "send", args=args), step("b"))
        await it.decide(await it.asked(run), APPROVE)
        await it.database.execute(
            f"{change.replace('EVES', eves).replace('NOOPS', noops)} WHERE run_id = $1 AND position = 0", run
        )

        async with running(dsn, TOOLS) as other:
            await other.until(run, "STEP_SUCCEEDED", step="b")
            row = await other.finished(run)

        assert row["state"] == "FAILED"
        assert (await it.steps(run))["a"]["error_code"] == "ARGS_CHANGED"
        assert SENT == []
        assert NOOP.calls == before + 1


async def test_the_database_itself_refuses_a_gated_call_without_its_approval(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        run = await it.submit(step("a", "send", args=TO_ANN))
        approval = await it.asked(run)

        for column in (None, approval["id"]):
            with pytest.raises(Exception, match="may not be called without an approval"):
                await it.database.execute(
                    "INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, approval_id, started_at)"
                    " VALUES ($1, 0, 1, 'send', '{}', $2, $3, clock_timestamp())",
                    run,
                    approval["digest"],
                    column,
                )


# The other kind


async def test_each_kind_of_question_takes_its_own_kind_of_answer(dsn: str) -> None:
    unsure = Act("unsure", InDoubt("?"), risk="L3")
    gate = Gate()
    async with running(dsn, acting(unsure, Act("slow", gate))) as it:
        run = await it.submit(step("a", "unsure"))
        question = await it.asked(run)
        with pytest.raises(InvalidState):
            await it.resolve(question, HAPPENED)
        await it.decide(question, APPROVE)
        doubt = await it.asked(run, times=2)

        for decision in ApprovalDecision:
            with pytest.raises(InvalidState):
                await it.decide(doubt, decision)

        assert (await it.approval(doubt["id"]))["status"] == "REQUIRED"
        await it.resolve(doubt, ABANDON)
        assert json.loads((await it.events(run))[-3].metadata)["resolution"] == "ABANDON"
