"""Runs that something else than the API begins, in a transaction of its own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from engine.access import Viewer
from engine.errors import Forbidden, IdempotencyConflict
from engine.plans import Plan
from engine.runs import Submission
from engine.verbs.begin import Begun, begin
from persistence.database import Connection
from persistence.ids import new_id
from persistence.states import Role
from tests.engine.harness import Act, Running, acting, intent, running, step, submission

SCHEDULE = "SCHEDULE sched_1"


async def begin_in(it: Running, given: Submission, *, viewer: Viewer | None = None) -> UUID:
    """Begin a run as a schedule would, and announce it."""
    resources = it.engine._resources  # pyright: ignore[reportPrivateUsage]

    async def write(tx: Connection) -> tuple[UUID, Begun]:
        return await begin(resources, tx, viewer or it.admin, given, began_by=SCHEDULE)

    run, begun = await it.database.transaction(write)
    begun.announce(resources)
    return run


@pytest.mark.parametrize("given", [submission(step("a")), intent("do what no tool can")], ids=["plan", "intent"])
async def test_a_run_keeps_what_began_it(dsn: str, given: Submission) -> None:
    async with running(dsn, acting(Act("noop")), sweep_seconds=600) as it:
        mine = await it.engine.submit(it.admin, given)
        scheduled = await begin_in(it, given)

        assert (await it.finished(mine))["began_by"] == "API"
        assert (await it.finished(scheduled))["began_by"] == SCHEDULE
        assert (await it.run(mine))["state"] == (await it.run(scheduled))["state"]


async def test_a_run_and_what_else_its_beginner_writes_are_stored_together_or_not_at_all(dsn: str) -> None:
    async with running(dsn, acting(Act("noop"))) as it:
        resources: Any = it.engine._resources  # pyright: ignore[reportPrivateUsage]

        async def write(tx: Connection) -> None:
            await begin(resources, tx, it.admin, submission(step("a")), began_by=SCHEDULE)
            await begin(resources, tx, it.admin, intent("plan groceries"), began_by=SCHEDULE)
            assert await tx.fetchval("SELECT count(*) FROM runs") == 2
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await it.database.transaction(write)

        assert await it.database.fetchval("SELECT count(*) FROM runs") == 0
        assert await it.database.fetchval("SELECT count(*) FROM audit_lines") == 0


async def test_a_key_that_was_used_before_begins_nothing_anew(dsn: str) -> None:
    async with running(dsn, acting(Act("noop"))) as it:
        first = await it.engine.submit(it.admin, submission(step("a"), key=f"due {new_id()}"))
        row = await it.run(first)
        key = row["idempotency_key"]

        assert await begin_in(it, submission(step("a"), key=key)) == first
        with pytest.raises(IdempotencyConflict):
            await begin_in(it, submission(step("b"), key=key))

        assert await it.database.fetchval("SELECT count(*) FROM runs") == 1


async def test_a_user_who_may_not_submit_begins_nothing_by_another_way(dsn: str) -> None:
    async with running(dsn, acting(Act("noop"))) as it:
        with pytest.raises(Forbidden):
            await begin_in(
                it, Submission(None, Plan((step("a"),)), None, None, None), viewer=await it.user(Role.APPROVER)
            )

        assert await it.database.fetchval("SELECT count(*) FROM runs") == 0
