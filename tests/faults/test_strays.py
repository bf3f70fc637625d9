"""What a process owns and does not know of: its claim was committed, and the answer was late or never came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.executor import claiming, reconciling
from persistence.database import Unavailable
from persistence.moves import planning
from persistence.moves.submit import submit
from tests.engine.harness import Act, acting, intent, running, step

SWEEP_SECONDS = 0.02


class Sweeps:
    """Counts how often a process holds what it runs against what it owns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._count = 0
        self._more = asyncio.Event()
        original = reconciling.owned_steps

        async def counted(*given: Any) -> Any:
            found = await original(*given)
            self._count += 1
            self._more.set()
            return found

        monkeypatch.setattr(reconciling, "owned_steps", counted)

    async def pass_by(self, times: int = 4) -> None:
        """Wait for so many more."""
        until = self._count + times
        async with asyncio.timeout(10):
            while self._count < until:
                self._more.clear()
                await self._more.wait()


def claims_answered_by(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]) -> None:
    """Between the commit of the first claim that brings something and its answer, this happens."""
    original = claiming.claim
    happened = asyncio.Event()

    async def claim(*given: Any) -> Any:
        done = await original(*given)
        if done.claimed and not happened.is_set():
            happened.set()
            await then()
        return done

    monkeypatch.setattr(claiming, "claim", claim)
    # A submission would claim at once what it may; here all goes through the queue.
    monkeypatch.setattr("engine.verbs.begin.submit", unclaimed(submit))


def unclaimed(submitted: Any) -> Any:
    async def stored(*given: Any, claimer: Any, **more: Any) -> Any:
        return await submitted(*given, **more)

    return stored


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_step_whose_claim_is_answered_late_is_called_once(
    idempotent: bool,  # noqa: FBT001 - a case
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    act = Act("noop", idempotent=idempotent)
    async with running(dsn, acting(act), sweep_seconds=SWEEP_SECONDS) as engine:
        sweeps = Sweeps(monkeypatch)
        claims_answered_by(monkeypatch, sweeps.pass_by)

        run = await engine.submit(step("one"))
        row = await engine.finished(run)
        await sweeps.pass_by(8)

        assert row["outcome"] == "CLEAN"
        assert act.calls == 1
        assert [call["status"] for call in await engine.calls(run)] == ["SUCCEEDED"]


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_step_whose_claim_was_never_answered_is_called_soon(
    idempotent: bool,  # noqa: FBT001 - a case
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lost() -> None:
        raise Unavailable("the answer was lost")

    act = Act("noop", idempotent=idempotent)
    async with running(dsn, acting(act), sweep_seconds=SWEEP_SECONDS) as engine:
        claims_answered_by(monkeypatch, lost)
        run = await engine.submit(step("one"))
        row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        assert act.calls == 1


async def test_a_run_whose_claim_to_plan_was_never_answered_is_planned(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = planning.claim_planning
    lost = asyncio.Event()

    async def claim_planning(*given: Any, **more: Any) -> Any:
        found = await original(*given, **more)
        if found and not lost.is_set():
            lost.set()
            raise Unavailable("the answer was lost")
        return found

    monkeypatch.setattr(planning, "claim_planning", claim_planning)
    async with running(dsn, acting(Act("noop")), sweep_seconds=SWEEP_SECONDS) as engine:
        run = await engine.engine.submit(engine.admin, intent("do what no tool can"))
        row = await engine.finished(run)

        assert lost.is_set()
        assert row["error_code"] == "UNPLANNABLE_INTENT"
        assert row["planning_attempt"] == 2
