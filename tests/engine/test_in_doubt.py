"""Calls that nobody knows the end of: a person says what happened, and no call is made on a guess."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from engine.errors import AlreadyDecided, Forbidden, InvalidInput, NotFound
from engine.tools import InDoubt, Registry, ToolError, tool
from engine.unset import UNSET
from persistence.states import InDoubtResolution, Role
from tests.engine.harness import (
    ABANDON,
    APPROVE,
    DID_NOT_HAPPEN,
    HAPPENED,
    Act,
    acting,
    running,
    step,
)


def unsure(*after: object, risk: str = "L1", **more: Any) -> Act:
    return Act("unsure", InDoubt("the line went dead"), *after, risk=risk, idempotent=False, **more)


async def test_a_doubt_blocks_the_step_until_a_person_speaks(dsn: str) -> None:
    act = unsure()
    async with running(dsn, acting(act, Act("noop"))) as it:
        run = await it.submit(step("a", "unsure", args={"value": 7}), step("b", after=["a"]))

        doubt = await it.asked(run)

        assert (doubt["kind"], doubt["expires_at"]) == ("IN_DOUBT", None)
        assert doubt["proposed_args"] == {"value": 7}
        assert "the line went dead" in doubt["reason"]
        assert await it.states(run) == {"a": "BLOCKED", "b": "PENDING"}
        (call,) = await it.calls(run)
        assert (call["status"], call["error_code"], call["error_message"]) == (
            "IN_DOUBT",
            "IN_DOUBT",
            "the line went dead",
        )
        assert act.calls == 1


async def test_l3_tools_are_not_idempotent_by_default(dsn: str) -> None:
    act = Act("pay", InDoubt("?"), risk="L3")
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "pay"))
        await it.decide(await it.asked(run), APPROVE)

        assert (await it.asked(run, times=2))["kind"] == "IN_DOUBT"
        assert act.calls == 1


async def test_what_happened_succeeds_with_its_result_and_frees_what_refers_to_it(dsn: str) -> None:
    act = unsure()
    async with running(dsn, acting(act, Act("noop"))) as it:
        run = await it.submit(
            step("a", "unsure"), step("b", args={"value": {"$jmespath": "a.id"}}, after=["a"]), step("c", after=["b"])
        )
        doubt = await it.asked(run)

        await it.resolve(doubt, HAPPENED, result={"id": 42}, reason="I looked")
        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")
        steps = await it.steps(run)
        assert (steps["a"]["result"], steps["b"]["resolved_args"]) == ({"id": 42}, {"value": 42})
        call = (await it.calls(run))[0]
        assert (call["status"], call["result"], call["error_message"]) == ("SUCCEEDED", {"id": 42}, None)
        after = await it.approval(doubt["id"])
        assert (after["status"], after["resolution"], after["decided_by"]) == ("APPROVED", "HAPPENED", it.admin.id)
        (told,) = await it.happened(run, "APPROVAL_APPROVED")
        assert (told["resolution"], told["reason"]) == ("HAPPENED", "I looked")
        assert act.calls == 1


async def test_what_happened_without_a_word_about_its_result_has_null(dsn: str) -> None:
    async with running(dsn, acting(unsure(), Act("noop"))) as it:
        run = await it.submit(step("a", "unsure"), step("b", args={"value": {"$jmespath": "a.id"}}, after=["a"]))

        await it.resolve(await it.asked(run), HAPPENED)
        row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        assert (await it.steps(run))["b"]["resolved_args"] == {"value": None}


async def test_what_did_not_happen_is_called_again_under_the_same_key_without_a_new_approval(dsn: str) -> None:
    act = unsure({"ok": True}, risk="L3")
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "unsure"))
        await it.decide(await it.asked(run), APPROVE)
        doubt = await it.asked(run, times=2)

        await it.resolve(doubt, DID_NOT_HAPPEN)
        row = await it.finished(run)

        assert (row["state"], act.calls) == ("COMPLETED", 2)
        assert len({context.execution_key for context in act.contexts}) == 1
        assert [context.attempt for context in act.contexts] == [1, 2]
        assert [each["kind"] for each in await it.approvals(run)] == ["EXECUTE", "IN_DOUBT"]
        assert [(call["status"]) for call in await it.calls(run)] == ["FAILED", "SUCCEEDED"]
        assert (await it.approval(doubt["id"]))["status"] == "APPROVED"


async def test_each_word_that_it_did_not_happen_permits_one_more_call(dsn: str) -> None:
    act = Act("unsure", *[InDoubt("?")] * 4, OSError("down"), risk="L3", idempotent=False)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "unsure"))
        await it.decide(await it.asked(run), APPROVE)
        for number in range(4):
            await it.resolve(await it.asked(run, times=2 + number), DID_NOT_HAPPEN)

        await it.finished(run)

        # Three calls that count, and one for each of the four words.
        assert act.calls == 7
        assert (await it.steps(run))["a"]["attempt"] == 7


async def test_what_is_abandoned_is_skipped_with_what_depends_on_it(dsn: str) -> None:
    async with running(dsn, acting(unsure(), Act("noop"))) as it:
        run = await it.submit(step("a", "unsure"), step("b", after=["a"]), step("c"))
        doubt = await it.asked(run)

        await it.resolve(doubt, ABANDON)
        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "PARTIAL")
        assert await it.states(run) == {"a": "SKIPPED ABANDONED", "b": "SKIPPED DEPENDENCY_SKIPPED", "c": "SUCCEEDED"}
        after = await it.approval(doubt["id"])
        assert (after["status"], after["resolution"]) == ("REJECTED", "ABANDON")
        (told,) = await it.happened(run, "APPROVAL_REJECTED")
        assert told["resolution"] == "ABANDON"
        assert [call["status"] for call in await it.calls(run) if call["position"] == 0] == ["IN_DOUBT"]


async def test_an_exception_is_the_tools_word_that_nothing_happened(dsn: str) -> None:
    act = Act("pay", OSError("refused"), {"ok": True}, risk="L1", idempotent=False)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "pay"))

        await it.finished(run)

        assert act.calls == 2


async def test_a_doubt_does_not_expire(dsn: str) -> None:
    act = unsure()
    pay = Act("pay", risk="L3")
    async with running(dsn, acting(act, pay), approval_timeout_seconds=0.01, sweep_seconds=0.01) as it:
        run = await it.submit(step("a", "unsure"))
        doubt = await it.asked(run)

        gated = await it.submit(step("p", "pay"))
        await it.until(gated, "APPROVAL_EXPIRED")

        assert (await it.approval(doubt["id"]))["status"] == "REQUIRED"


async def test_repeats_are_answered_like_repeated_decisions(dsn: str) -> None:
    async with running(dsn, acting(unsure())) as it:
        ann, bob = await it.user(Role.APPROVER, name="Ann"), await it.user(Role.APPROVER, name="Bob")
        gated = await it.submit(step("a", "unsure"))
        doubt = await it.asked(gated)
        await it.resolve(doubt, ABANDON, viewer=ann)

        await it.resolve(doubt, ABANDON, viewer=ann)
        for resolution, viewer in ((ABANDON, bob), (HAPPENED, ann), (DID_NOT_HAPPEN, bob)):
            with pytest.raises(AlreadyDecided) as refused:
                await it.resolve(doubt, resolution, viewer=viewer)
            assert refused.value.decided_by == "Ann"


async def test_what_happened_again_with_another_result_is_no_repetition(dsn: str) -> None:
    async with running(dsn, acting(unsure())) as it:
        run = await it.submit(step("a", "unsure"))
        doubt = await it.asked(run)
        await it.resolve(doubt, HAPPENED, result={"id": 7, "to": ["Ann"]})
        await it.finished(run)

        await it.resolve(doubt, HAPPENED, result={"to": ["Ann"], "id": 7.0})
        for result in ({"id": 8, "to": ["Ann"]}, None, UNSET, []):
            with pytest.raises(AlreadyDecided):
                await it.resolve(doubt, HAPPENED, result=result)

        assert (await it.steps(run))["a"]["result"] == {"id": 7, "to": ["Ann"]}


async def test_of_rivals_one_resolves_a_doubt(dsn: str) -> None:
    act = unsure({"ok": True})
    async with running(dsn, acting(act)) as it, running(dsn, acting(act)) as other:
        people = [await it.user(Role.APPROVER) for _ in range(12)]
        run = await it.submit(step("a", "unsure"))
        doubt = await it.asked(run)

        answers = await asyncio.gather(
            *(
                (it, other)[number % 2].resolve(doubt, list(InDoubtResolution)[number % 3], viewer=viewer)
                for number, viewer in enumerate(people)
            ),
            return_exceptions=True,
        )
        await it.finished(run)

        assert answers.count(None) == 1
        assert all(isinstance(answer, AlreadyDecided) for answer in answers if answer is not None)
        resolution = (await it.approval(doubt["id"]))["resolution"]
        assert act.calls == (2 if resolution == "DID_NOT_HAPPEN" else 1)


async def test_a_user_who_may_decide_may_resolve(dsn: str) -> None:
    async with running(dsn, acting(unsure()), separation_of_duties=True) as it:
        owner, stranger = await it.user(Role.SUBMITTER), await it.user(Role.SUBMITTER)
        approver = await it.user(Role.APPROVER)
        run = await it.submit(step("a", "unsure"), viewer=owner)
        doubt = await it.asked(run)

        with pytest.raises(Forbidden):
            await it.resolve(doubt, ABANDON, viewer=owner)
        with pytest.raises(NotFound):
            await it.resolve(doubt, ABANDON, viewer=stranger)
        await it.resolve(doubt, ABANDON, viewer=approver)


async def test_a_result_that_can_not_be_kept_is_refused(dsn: str) -> None:
    async with running(dsn, acting(unsure()), max_json_bytes=100) as it:
        run = await it.submit(step("a", "unsure"))
        doubt = await it.asked(run)

        for resolution, result, path in (
            (HAPPENED, {"x": float("nan")}, "result.x"),
            (HAPPENED, "a\x00", "result"),
            (HAPPENED, "x" * 101, "result"),
            (HAPPENED, [{"$secret": "PIN"}], "result.0"),
            (DID_NOT_HAPPEN, {"x": 1}, "result"),
            (ABANDON, {"x": 1}, "result"),
        ):
            with pytest.raises(InvalidInput) as refused:
                await it.resolve(doubt, resolution, result=result)
            assert [".".join(map(str, fault.path)) for fault in refused.value.faults] == [path]

        assert await it.states(run) == {"a": "BLOCKED"}


@pytest.mark.parametrize("ending", ["result", "error"])
async def test_a_late_outcome_is_kept_for_the_person_who_resolves_the_doubt(dsn: str, ending: str) -> None:
    let_go = threading.Event()

    @tool(risk="L1", idempotent=False, timeout=0.05)
    def slow() -> dict[str, int]:
        let_go.wait(10)
        if ending == "error":
            raise ToolError("refused after all")
        return {"id": 42}

    async with running(dsn, Registry.of(slow)) as it:
        run = await it.submit(step("a", "slow"))
        await it.asked(run)
        before = await it.run(run)

        let_go.set()
        call = await it.when(lambda: it.calls(run), lambda calls: "Later" in str(calls[0]) or calls[0]["result"])

        assert call[0]["status"] == "IN_DOUBT"
        assert call[0]["result"] == ({"id": 42} if ending == "result" else None)
        assert ("Later: refused after all" in call[0]["error_message"]) is (ending == "error")
        assert await it.run(run) == before
        assert await it.states(run) == {"a": "BLOCKED"}


async def test_a_cancelled_doubt_can_not_be_resolved(dsn: str) -> None:
    async with running(dsn, acting(unsure())) as it:
        run = await it.submit(step("a", "unsure"))
        doubt = await it.asked(run)
        await it.cancel(run)

        with pytest.raises(AlreadyDecided) as refused:
            await it.resolve(doubt, HAPPENED)

        assert refused.value.status == "CANCELLED"
        assert [call["status"] for call in await it.calls(run)] == ["IN_DOUBT"]


async def test_a_thread_in_doubt_is_in_doubt(dsn: str) -> None:
    @tool(risk="L1", idempotent=False)
    def ring() -> None:
        raise InDoubt("no echo")

    async with running(dsn, Registry.of(ring)) as it:
        run = await it.submit(step("a", "ring"))

        assert "no echo" in (await it.asked(run))["reason"]
