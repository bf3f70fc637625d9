"""Following a timeline: every event after the cursor, once and in order, whatever wakes whom and when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from persistence.database import Database, DatabaseSettings
from persistence.reads.rows import EventRow
from persistence.states import EventType
from tests.persistence.feeds import Listening, listening, take, until, until_waiting, write_events
from tests.persistence.stage import Draft, Stage


async def to_the_end(events: AsyncGenerator[EventRow], *, seconds: float = 20) -> list[int]:
    async with asyncio.timeout(seconds):
        return [event.seq async for event in events]


async def ended(database: Database, run: UUID) -> None:
    await write_events(database, run, 1, EventType.WORKFLOW_COMPLETE)


async def test_what_is_recorded_is_replayed_and_what_follows_is_live(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 4)

    async with listening(stage.database) as here, listening(stage.database) as there:
        events = here.timeline.follow(run, 2)
        assert await take(events, 3) == [3, 4, 5]
        there.wakeups.announce([await write_events(stage.database, run, 2)])
        assert await take(events, 2) == [6, 7]
        await events.aclose()


async def follow_in_stays(ears: Listening, run: UUID, last: int, dice: random.Random) -> int:
    """Follow up to `last` from some early cursor, leaving and coming back; how often that was."""
    cursor, joined = dice.randint(0, 30), 0
    while cursor < last:
        joined += 1
        stay = dice.randint(1, 150)
        async with aclosing(ears.timeline.follow(run, cursor)) as events:
            async for event in events:
                assert event.seq == cursor + 1
                cursor, stay = event.seq, stay - 1
                if cursor == last or stay == 0:
                    break
                if dice.random() < 0.05:
                    await asyncio.sleep(0)
    return joined


async def test_followers_that_come_and_go_see_every_event_after_their_cursor_in_order(stage: Stage) -> None:
    writers, followers, each = 16, 50, 25
    last = 1 + writers * each
    runs = [await stage.queued() for _ in range(2)]
    dice = random.Random(1)

    async with listening(stage.database) as here, listening(stage.database) as there:

        async def write(number: int) -> None:
            for run in runs * each:
                mark = await write_events(stage.database, run)
                # A third is never told of; the rest here or there.
                if number % 3:
                    (here if number % 2 else there).wakeups.announce([mark])

        async def sweep() -> None:
            while True:
                await asyncio.sleep(0.05)
                await here.timeline.sweep()

        sweeping = asyncio.create_task(sweep())
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            following = [
                tasks.create_task(follow_in_stays(here, runs[number % 2], last, dice)) for number in range(followers)
            ]
            for number in range(writers):
                tasks.create_task(write(number))
        sweeping.cancel()

        assert sum(task.result() for task in following) > followers
        assert here.timeline.followers == 0


async def test_without_any_wake_up_the_sweep_finds_what_is_new(stage: Stage) -> None:
    run = await stage.queued()

    async with listening(stage.database, opened=False) as here:
        events = here.timeline.follow(run, 0)
        assert await take(events, 1) == [1]
        for seq in (2, 3, 4):
            following = asyncio.create_task(take(events, 1))
            await until_waiting(here, 1)
            await write_events(stage.database, run)
            assert not following.done()
            await here.timeline.sweep()
            assert await following == [seq]
        await events.aclose()


async def test_a_killed_listener_misses_nothing(stage: Stage) -> None:
    run = await stage.queued()

    async with listening(stage.database) as here, listening(stage.database) as there:
        events = here.timeline.follow(run, 0)
        assert await take(events, 1) == [1]
        for seq in (2, 4, 6):
            following = asyncio.create_task(take(events, 2))
            await until_waiting(here, 1)
            assert await stage.database.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'lifeos listen' AND datname = current_database()"
            )
            # Told while nobody listens, or not at all: what is missed is looked for after the connection is back.
            there.wakeups.announce([await write_events(stage.database, run)])
            await write_events(stage.database, run)
            assert await following == [seq, seq + 1]
            await here.backend.listening.wait()
            await there.backend.listening.wait()
        await events.aclose()


async def test_a_follower_far_behind_reads_at_its_own_pace_while_others_are_live(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 2500)

    async with listening(stage.database) as here:
        ahead, behind = here.timeline.follow(run, 2400), here.timeline.follow(run, 0)
        assert await take(ahead, 101) == list(range(2401, 2502))
        assert await take(behind, 700) == list(range(1, 701))
        here.wakeups.announce([await write_events(stage.database, run, 100)])
        assert await take(ahead, 100) == list(range(2502, 2602))
        assert await take(behind, 1901) == list(range(701, 2602))
        for events in (ahead, behind):
            await events.aclose()


async def test_one_who_joins_ahead_of_a_slow_reader_is_not_held_up_by_it(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 1500)
    await ended(stage.database, run)

    async with listening(stage.database) as here:
        slow = here.timeline.follow(run, 0)
        assert await take(slow, 1) == [1]

        assert await to_the_end(here.timeline.follow(run, 1000)) == list(range(1001, 1503))
        assert await to_the_end(slow) == list(range(2, 1503))


async def test_followers_at_every_place_of_a_long_run_all_reach_its_end(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 1200)
    await ended(stage.database, run)
    cursors = [*range(0, 1202, 75), 1201, 600, 3]

    async with listening(stage.database) as here:
        found = await asyncio.gather(*(to_the_end(here.timeline.follow(run, cursor)) for cursor in cursors))

    assert found == [list(range(cursor + 1, 1203)) for cursor in cursors]


async def test_following_an_ended_run_from_its_last_event_is_over_at_once(stage: Stage) -> None:
    run = await stage.begun(Draft())
    await stage.cancel(run)
    last = (await stage.run(run))["last_seq"]

    async with listening(stage.database) as here:
        assert await to_the_end(here.timeline.follow(run, last)) == []
        assert await to_the_end(here.timeline.follow(run, last - 1)) == [last]


async def test_a_run_that_goes_on_after_its_end_is_followed_on(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 1, EventType.WORKFLOW_FAILED)
    await write_events(stage.database, run, 1, EventType.WORKFLOW_RESUMED)

    async with listening(stage.database) as here:
        events = here.timeline.follow(run, 2)
        assert await take(events, 1) == [3]
        following = asyncio.create_task(to_the_end(events))
        await until_waiting(here, 1)
        here.wakeups.announce([await write_events(stage.database, run, 1, EventType.WORKFLOW_COMPLETE)])
        assert await following == [4]


async def test_closing_ends_those_who_wait_and_those_who_read(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 100)

    async with listening(stage.database) as here:
        waiting = asyncio.create_task(to_the_end(here.timeline.follow(run, 101)))
        await until_waiting(here, 1)
        reading = here.timeline.follow(run, 0)
        assert await take(reading, 1) == [1]

        here.timeline.close()

        assert await waiting == []
        assert len(await to_the_end(reading)) <= 100
        assert await to_the_end(here.timeline.follow(run, 0)) == []
        assert here.timeline.followers == 0


async def test_one_whose_read_fails_behind_the_memory_reads_on_when_the_database_is_back(stage: Stage) -> None:
    run = await stage.queued()
    await write_events(stage.database, run, 1300)
    await ended(stage.database, run)
    narrow = Database(DatabaseSettings(dsn=stage.database.settings.dsn, connections=1, acquire_seconds=0.05))
    await narrow.open()
    async with listening(narrow, opened=False) as here:
        ahead = here.timeline.follow(run, 1200)
        assert await take(ahead, 1) == [1201]

        with capture_logs() as logs:
            async with narrow.connection():
                behind = asyncio.create_task(to_the_end(here.timeline.follow(run, 0)))
                await until(lambda: any(line["event"] == "timeline_waits_for_the_database" for line in logs))

        assert await behind == list(range(1, 1303))
        await ahead.aclose()
    await narrow.close()


class Counting(Database):
    """A database that counts its statements."""

    statements = 0

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        self.statements += 1
        return await super().fetch(statement, *values)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        self.statements += 1
        return await super().fetchval(statement, *values)


@pytest.mark.parametrize("followers", [1, 100])
async def test_an_event_is_read_once_however_many_follow(stage: Stage, followers: int) -> None:
    run = await stage.queued()
    database = Counting(DatabaseSettings(dsn=stage.database.settings.dsn, connections=4))
    await database.open()
    async with listening(database) as here:
        all_events = [here.timeline.follow(run, 0) for _ in range(followers)]
        for events in all_events:
            assert await take(events, 1) == [1]
        before = database.statements
        for seq in range(2, 12):
            following = [asyncio.create_task(take(events, 1)) for events in all_events]
            await until_waiting(here, followers)
            here.wakeups.announce([await write_events(stage.database, run)])
            assert await asyncio.gather(*following) == [[seq]] * followers
        assert database.statements - before <= 2 * 10
        for events in all_events:
            await events.aclose()
    await database.close()


class Pushed:
    """A follower to whom events are pushed, as long as it feels like taking them."""

    def __init__(self, ears: Listening, run: UUID, *, refuses: float = 0, seed: int = 0) -> None:
        self.seen: list[int] = []
        self.pushed = 0
        self._refuses = refuses
        self._dice = random.Random(seed)
        self._events = ears.timeline.follow(run, 0, push=self._push)
        self.task = asyncio.create_task(self._follow())

    def _push(self, event: EventRow) -> bool:
        if self._dice.random() < self._refuses:
            return False
        self.seen.append(event.seq)
        self.pushed += 1
        return True

    async def _follow(self) -> None:
        async for event in self._events:
            self.seen.append(event.seq)


async def test_what_is_pushed_and_what_is_fetched_is_each_event_once_and_in_order(stage: Stage) -> None:
    run = await stage.queued()
    dice = random.Random(7)
    async with listening(stage.database) as ears:
        followers = [Pushed(ears, run, refuses=refuses, seed=seed) for seed in range(8) for refuses in (0, 0.3, 1)]
        plain = [asyncio.create_task(to_the_end(ears.timeline.follow(run, 0))) for _ in range(3)]
        last = 1
        while last < 900:
            many = dice.choice((1, 1, 2, 40, 600))
            mark = await write_events(stage.database, run, many)
            last = mark.seq
            ears.wakeups.announce([mark])
            if dice.random() < 0.5:
                await until_waiting(ears, len(followers) + len(plain))
        mark = await write_events(stage.database, run, 1, EventType.WORKFLOW_COMPLETE)
        ears.wakeups.announce([mark])
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.task for each in followers))
        every = list(range(1, mark.seq + 1))
        assert [each.seen for each in followers] == [every] * len(followers)
        assert await asyncio.gather(*plain) == [every] * len(plain)
        assert all(each.pushed > 0 for each in followers if each._refuses < 1)


async def test_a_push_that_fails_costs_nobody_an_event(stage: Stage) -> None:
    run = await stage.queued()

    def push(_event: EventRow) -> bool:
        raise ZeroDivisionError

    async with listening(stage.database) as ears:
        other = Pushed(ears, run)
        events = asyncio.create_task(to_the_end(ears.timeline.follow(run, 0, push=push)))
        await until_waiting(ears, 2)
        with capture_logs() as logs:
            ears.wakeups.announce([await write_events(stage.database, run, 3)])
            await until(lambda: len(other.seen) >= 4)
        ears.wakeups.announce([await write_events(stage.database, run, 1, EventType.WORKFLOW_COMPLETE)])
        assert await events == [1, 2, 3, 4, 5]
        await other.task
        assert other.seen == [1, 2, 3, 4, 5]
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["background_failed"]


async def test_who_leaves_is_pushed_nothing_more(stage: Stage) -> None:
    run = await stage.queued()
    async with listening(stage.database) as ears:
        one, other = Pushed(ears, run), Pushed(ears, run)
        await until_waiting(ears, 2)
        one.task.cancel()
        await asyncio.wait([one.task])
        ears.wakeups.announce([await write_events(stage.database, run, 1)])
        await until(lambda: other.seen == [1, 2])
        assert one.seen == [1]
        other.task.cancel()
        await asyncio.wait([other.task])
        await until(lambda: ears.timeline.followers == 0)
