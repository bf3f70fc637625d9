"""Attempts over a caller that is no function of this process: what becomes of a step follows from the reply alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.executor.attempt import Attempt
from engine.executor.caller import Broken, Failed, NotMade, Reply, Returned, Unknown, Useless
from engine.executor.outcomes import Stop
from engine.retries import RetryPolicy
from persistence.ids import new_id
from persistence.moves.inputs import Outcome
from persistence.moves.row import ClaimedStep
from persistence.workers import Worker

RUN, USER, WORKER = new_id(), new_id(), Worker(new_id(), 1)
ONCE = {"idempotent": False}
LAST = {"calls": 2, "max_attempts": 2}


class Elsewhere:
    """A caller on another machine: its reply comes when the test sends it."""

    def __init__(self, *, can_be_stopped: bool = True, refuses: bool = False) -> None:
        self.can_be_stopped = can_be_stopped
        self.refuses = refuses
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def prepare(self, _step: ClaimedStep) -> Elsewhere:
        if self.refuses:
            raise NotMade("NO_HOST", "no host has this tool")
        return self

    async def make(self) -> Reply:
        return await self.reply


class Ending:
    """How an attempt ended."""

    def __init__(self) -> None:
        self.came: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

    def __call__(self, _attempt: Attempt, outcome: Outcome | None) -> None:
        self.came.set_result(outcome)  # which raises for a second one

    async def outcome(self) -> Outcome | None:
        async with asyncio.timeout(10):
            return await self.came


def attempt_with(caller: Elsewhere, ending: Ending, **facts: Any) -> Attempt:
    given = {"calls": 1, "max_attempts": 2, "idempotent": True, "timeout_seconds": 60.0} | facts
    row = ClaimedStep(
        run=RUN,
        position=0,
        attempt=3,
        tool="far",
        losses=0,
        args="{}",
        digest=None,
        gated=False,
        feeds=False,
        user=USER,
        **given,
    )
    return Attempt(row, WORKER, caller, RetryPolicy(0, 0), ending)


@pytest.mark.parametrize(
    ("reply", "facts", "enters", "call", "code"),
    [
        (Returned("1"), {}, "SUCCEEDED", "SUCCEEDED", None),
        (Failed("BUSY", "busy", retryable=True), {}, "READY", "FAILED", "BUSY"),
        (Failed("BUSY", "busy", retryable=True), ONCE, "READY", "FAILED", "BUSY"),
        (Failed("BUSY", "busy", retryable=True), LAST, "FAILED", "FAILED", "BUSY"),
        (Failed("BAD", "bad"), {}, "FAILED", "FAILED", "BAD"),
        (Useless("LONG", "too long"), {}, "FAILED", "FAILED", "LONG"),
        (Useless("LONG", "too long"), ONCE, "BLOCKED", "IN_DOUBT", "LONG"),
        (Unknown("CUT", "the line was cut"), {}, "READY", "FAILED", "CUT"),
        (Unknown("CUT", "the line was cut"), LAST, "FAILED", "FAILED", "CUT"),
        (Unknown("CUT", "the line was cut"), ONCE, "BLOCKED", "IN_DOUBT", "CUT"),
        (Broken(ValueError("odd")), {}, "FAILED", "FAILED", "INTERNAL"),
        (Broken(SystemExit(3)), ONCE, "BLOCKED", "IN_DOUBT", "INTERNAL"),
    ],
)
async def test_the_reply_says_what_becomes_of_the_step(
    reply: Reply, facts: dict[str, Any], enters: str, call: str, code: str | None
) -> None:
    far, ending = Elsewhere(), Ending()
    attempt = attempt_with(far, ending, **facts)

    assert attempt.prepare()
    attempt.call()
    far.reply.set_result(reply)
    outcome = await ending.outcome()

    assert outcome is not None
    assert (outcome.enters, outcome.call, outcome.error_code) == (enters, call, code)
    assert (outcome.run, outcome.position, outcome.attempt, outcome.owner) == (RUN, 0, 3, WORKER.id)


async def test_a_caller_that_raises_is_a_fault_of_ours_and_is_not_asked_again() -> None:
    far, ending = Elsewhere(), Ending()
    attempt = attempt_with(far, ending)

    assert attempt.prepare()
    attempt.call()
    far.reply.set_exception(RuntimeError("no caller may"))
    outcome = await ending.outcome()

    assert outcome is not None
    assert (outcome.enters, outcome.error_code) == ("FAILED", "INTERNAL")


async def test_a_call_that_its_caller_can_not_make_is_a_dead_letter() -> None:
    ending = Ending()

    assert not attempt_with(Elsewhere(refuses=True), ending).prepare()
    outcome = await ending.outcome()

    assert outcome is not None
    assert (outcome.enters, outcome.error_code) == ("FAILED", "NO_HOST")


async def test_a_call_that_can_not_be_stopped_is_left_behind_and_its_late_reply_moves_nothing() -> None:
    far, ending = Elsewhere(can_be_stopped=False), Ending()
    attempt = attempt_with(far, ending, **ONCE)
    assert attempt.prepare()
    attempt.call()

    attempt.stop(Stop.HANDED_BACK)
    outcome = await ending.outcome()
    far.reply.set_result(Returned("1"))
    late = await attempt.late_reply()

    assert outcome is not None
    assert late is not None
    assert (outcome.enters, outcome.error_code) == ("BLOCKED", "HANDED_BACK")
    assert (late.owner, late.call, late.result) == (None, "SUCCEEDED", "1")


async def test_a_step_that_others_own_by_now_has_no_outcome() -> None:
    far, ending = Elsewhere(), Ending()
    attempt = attempt_with(far, ending)
    assert attempt.prepare()
    attempt.call()

    attempt.stop(Stop.LOST)

    assert await ending.outcome() is None
