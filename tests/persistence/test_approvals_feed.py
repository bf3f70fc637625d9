"""Following approvals across runs: what is open, then each change, whatever wakes whom."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

from persistence.approvals_feed import ApprovalChange
from persistence.moves.row import Advance, RunMark
from persistence.states import ApprovalStatus, RunState
from tests.persistence.feeds import listening, until
from tests.persistence.stage import Draft, Stage


async def take(changes: AsyncGenerator[ApprovalChange], count: int) -> list[tuple[UUID, str]]:
    found: list[tuple[UUID, str]] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            change = await anext(changes)
            found.append((change.approval, change.status))
    return found


async def asked(stage: Stage) -> tuple[UUID, UUID, Advance]:
    """A run that asks a person, its approval, and what to tell others of it."""
    run, done = await stage.submit(Draft(gated=True))
    return run, (await stage.approvals(run))[0]["id"], done


async def test_what_is_open_comes_first_and_changes_follow(stage: Stage) -> None:
    _, first, _ = await asked(stage)

    async with listening(stage.database) as here, listening(stage.database) as there:
        changes = here.approvals.follow()
        assert await take(changes, 1) == [(first, "REQUIRED")]
        _, second, done = await asked(stage)
        there.wakeups.announce(done.marks)
        assert await take(changes, 1) == [(second, "REQUIRED")]
        decided = await stage.decide(first, ApprovalStatus.REJECTED)
        assert decided is not None
        there.wakeups.announce(decided.marks)
        assert await take(changes, 1) == [(first, "REJECTED")]
        await changes.aclose()


async def test_without_any_wake_up_the_sweep_finds_what_changed(stage: Stage) -> None:
    run, approval, _ = await asked(stage)

    async with listening(stage.database, opened=False) as here:
        changes = here.approvals.follow()
        assert await take(changes, 1) == [(approval, "REQUIRED")]
        await stage.cancel(run)
        here.approvals.sweep()
        assert await take(changes, 1) == [(approval, "CANCELLED")]
        await changes.aclose()


async def test_a_killed_listener_misses_no_approval(stage: Stage) -> None:
    async with listening(stage.database) as here:
        _, first, _ = await asked(stage)
        changes = here.approvals.follow()
        assert await take(changes, 1) == [(first, "REQUIRED")]
        await stage.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'lifeos listen' AND datname = current_database()"
        )
        _, second, _ = await asked(stage)
        assert await take(changes, 1) == [(second, "REQUIRED")]
        await changes.aclose()


async def test_a_change_before_the_first_follower_is_not_sent_as_news(stage: Stage) -> None:
    _, recent, _ = await asked(stage)
    _, earlier, _ = await asked(stage)
    for approval, seconds in ((recent, 20), (earlier, 45)):
        await stage.decide(approval, ApprovalStatus.REJECTED)
        await stage.database.execute(
            "UPDATE approvals SET moved_at = clock_timestamp() - $2 * interval '1 second' WHERE id = $1",
            approval,
            float(seconds),
        )

    async with listening(stage.database, opened=False) as here:
        _, still_open, _ = await asked(stage)
        await stage.database.execute(
            "UPDATE approvals SET moved_at = clock_timestamp() - interval '25 seconds' WHERE id = $1", still_open
        )
        changes = here.approvals.follow()
        assert await take(changes, 1) == [(still_open, "REQUIRED")]
        for _ in range(3):
            # Each look finds nothing new, and must not reach further back than the one before.
            following = asyncio.create_task(take(changes, 1))
            here.approvals.sweep()
            await until(lambda: not here.approvals._look.is_set())
            _, news, _ = await asked(stage)
            here.approvals.sweep()
            assert await following == [(news, "REQUIRED")]
        await changes.aclose()


async def test_many_followers_from_different_moments_each_hear_of_each_change(stage: Stage) -> None:
    async with listening(stage.database) as here:

        async def follow(until_told: set[UUID]) -> set[UUID]:
            told: set[UUID] = set()
            async for change in here.approvals.follow():
                told.add(change.approval)
                if until_told <= told:
                    return told
            return told

        expected: set[UUID] = set()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            for _ in range(20):
                _, approval, done = await asked(stage)
                expected.add(approval)
                tasks.create_task(follow(expected))
                here.wakeups.announce(done.marks)


async def test_a_follower_that_lets_too_much_wait_is_ended_and_holds_up_no_close(stage: Stage) -> None:
    async with listening(stage.database) as here:
        run, approval, _ = await asked(stage)
        changes = here.approvals.follow()
        assert await take(changes, 1) == [(approval, "REQUIRED")]
        for number in range(1200):
            here.approvals._tell(ApprovalChange(approval, run, stage.user, f"{number}"))

        await here.approvals.close()

        assert len([change async for change in changes]) <= 1000


async def test_closing_ends_those_who_wait(stage: Stage) -> None:
    async with listening(stage.database) as here:
        waiting = asyncio.create_task(anext(here.approvals.follow(), None))
        await until(lambda: len(here.approvals._followers) == 1)

        await here.approvals.close()

        async with asyncio.timeout(5):
            assert await waiting is None


async def test_of_two_commits_announced_in_the_wrong_order_the_later_one_counts(stage: Stage) -> None:
    run = await stage.queued()
    heard: list[RunMark] = []
    async with listening(stage.database) as here, listening(stage.database) as there:
        there.wakeups.listen(on_runs=heard.extend)

        here.wakeups.announce([RunMark(run, 7, RunState.CANCELLED, 0, judged=False)])
        here.wakeups.announce([RunMark(run, 5, RunState.EXECUTING, 2, judged=True)])
        await until(lambda: bool(heard))

    assert heard == [RunMark(run, 7, RunState.CANCELLED, 0, judged=True)]
