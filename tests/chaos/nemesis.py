"""The faults, and when they strike: a schedule that follows from the seed alone."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from persistence.moves.functions import APPROVE_ONE, SUCCEED_ONE
from tests.chaos.fleet import Fleet, Member
from tests.chaos.ledger import ask
from tests.chaos.people import Crowd
from tests.faults.keeper import Keeper
from tests.faults.proxy import commits, says

GAP_SECONDS: Final = 4.0
"""Between two faults: many then strike while others are not mended yet."""

LENGTHS: Final = {
    "rolling restart": 25.0,
    "kill everybody": 10.0,
    "kill server": 8.0,
    "freeze server": 10.0,
    "freeze worker": 10.0,
    "tools hang": 8.0,
}
"""About how many seconds the long ones take."""

_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True)
class Strike:
    """One fault: when it begins, what, for how long, and to which of the members (by its remainder)."""

    at: float
    kind: str
    target: int
    seconds: float


@dataclass
class World:
    """All that can break."""

    fleet: Fleet
    keeper: Keeper
    crowd: Crowd
    ledger_port: int
    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    database_busy: asyncio.Lock = field(default_factory=asyncio.Lock)


Fault = Callable[[World, Strike, dict[str, Any]], Awaitable[None]]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    """Name a fault after its function."""
    FAULTS[getattr(function, "__name__", "").replace("_", " ")] = function
    return function


def schedule(seed: int, seconds: float, kinds: Sequence[str], *, gap_seconds: float = GAP_SECONDS) -> list[Strike]:
    """What strikes when: every kind before any strikes again, in an order and at times of the seed's choosing.

    What takes long does not begin just before the end.
    """
    dice = random.Random(seed)
    strikes: list[Strike] = []
    waiting: list[str] = []
    at = 2.0
    while at < seconds:
        if not waiting:
            waiting = sorted(kinds)
            dice.shuffle(waiting)
        kind = waiting.pop()
        strike = Strike(round(at, 2), kind, dice.randrange(1_000_000), round(dice.uniform(1.5, 4), 2))
        if at + LENGTHS.get(kind, 0) < seconds or at == 2.0:
            strikes.append(strike)
            at += dice.uniform(0.7, 1.3) * gap_seconds
        elif all(at + LENGTHS.get(each, 0) >= seconds for each in kinds):
            break
    return strikes


async def torment(world: World, strikes: Sequence[Strike], *, alone_for_seconds: float | None = None) -> None:
    """Let everything of the schedule happen; returns when all of it is mended.

    With `alone_for_seconds` each waits until the one before it is mended and some time has passed, and what has not
    begun by then does not.
    """
    start = time.monotonic()
    if alone_for_seconds is not None:
        for strike in strikes:
            if time.monotonic() - start < alone_for_seconds:
                await asyncio.sleep(GAP_SECONDS)
                await _strike(world, strike)
        return
    async with asyncio.TaskGroup() as group:
        for strike in strikes:
            await asyncio.sleep(max(0.0, start + strike.at - time.monotonic()))
            group.create_task(_strike(world, strike))


async def _strike(world: World, strike: Strike) -> None:
    line: dict[str, Any] = {"kind": strike.kind, "planned": strike.at, "began": time.time(), "affected": []}
    world.log.append(line)
    try:
        await FAULTS[strike.kind](world, strike, line)
    finally:
        line["ended"] = time.time()


# Processes


@fault
async def kill_worker(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """kill -9, and started again a little later."""
    await _kill(world, [_of(world.fleet.workers, strike)], line)


@fault
async def kill_server(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """kill -9 of a process with sockets and people at it."""
    await _kill(world, [_of(world.fleet.servers, strike)], line)


@fault
async def kill_everybody(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """kill -9 of all processes at the same moment."""
    await _kill(world, world.fleet.members, line)


@fault
async def freeze_worker(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """SIGSTOP for three leases, then SIGCONT: it wakes up believing that it owns what it had."""
    await _freeze(world, _of(world.fleet.workers, strike), line)


@fault
async def freeze_server(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The same for one that also answers people."""
    await _freeze(world, _of(world.fleet.servers, strike), line)


@fault
async def rolling_restart(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """SIGTERM to one after the other, each back before the next goes."""
    for member in tuple(world.fleet.members):
        async with member.busy:
            await member.ready()
            line["affected"] += await _owned(world, [member])
            member.signal(signal.SIGTERM, by="SIGTERM")
            await member.ended()
            await member.start()
            await member.ready()


# PostgreSQL


@fault
async def postgres_fast_restart(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """A restart as an operator does it, with a moment without."""
    await _restart(world, "fast", strike, line)


@fault
async def postgres_immediate_restart(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """A restart without a good-bye: recovery from the log."""
    await _restart(world, "immediate", strike, line)


@fault
async def terminate_listeners(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The sessions that hear notifications are terminated."""
    await _terminate(world, "application_name = 'lifeos listen'")


@fault
async def terminate_life_signs(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The sessions that show that processes live are terminated; the processes live on."""
    await _terminate(world, "application_name = 'lifeos lifesign'")


@fault
async def terminate_sessions(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """Half of all sessions are terminated, several times."""
    for _ in range(3):
        await _terminate(world, "application_name LIKE 'lifeos%' AND random() < 0.5")
        await asyncio.sleep(0.3)


@fault
async def lock_a_run(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """Somebody holds the row of a run that is being worked on."""
    async with world.database_busy:
        with suppress(*_AWAY):
            async with _session(world) as session, session.transaction():
                await session.execute(
                    "SELECT id FROM runs WHERE finished_at IS NULL ORDER BY created_at DESC LIMIT 1 FOR UPDATE"
                )
                await asyncio.sleep(strike.seconds)


@fault
async def exhaust_connections(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """Somebody takes all connections that PostgreSQL has left, while ours are cut."""
    async with world.database_busy:
        taken: list[Any] = []
        try:
            with suppress(*_AWAY):
                await _terminate(world, "application_name LIKE 'lifeos%' AND random() < 0.3", busy=False)
                while len(taken) < 150:
                    taken.append(await asyncpg.connect(world.keeper.dsn, timeout=2))
            await asyncio.sleep(strike.seconds)
        finally:
            for session in taken:
                session.terminate()


# The way between them


@fault
async def freeze_links_of_one(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The network of one process passes nothing on, in silence, for two leases."""
    member = _of(world.fleet.members, strike)
    line["affected"] = await _owned(world, [member])
    member.proxy.freeze()
    await asyncio.sleep(2 * world.fleet.lease_seconds)
    member.proxy.thaw()


@fault
async def freeze_all_links(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The network before the database passes nothing on, in silence, for less than a lease or more."""
    for member in world.fleet.members:
        member.proxy.freeze()
    await asyncio.sleep(strike.seconds)
    for member in world.fleet.members:
        member.proxy.thaw()


@fault
async def cut_links(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """All connections of one process are reset, several times."""
    member = _of(world.fleet.members, strike)
    line["affected"] = await _owned(world, [member])
    for _ in range(4):
        member.proxy.cut()
        await asyncio.sleep(0.2)


@fault
async def lose_answers(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """Statements are done, and the answer is lost with the connection: claims, settlements, submissions, decisions."""
    wanted = [
        says("picked AS MATERIALIZED"),
        says("outcome AS MATERIALIZED"),
        says(SUCCEED_ONE.name),
        says(APPROVE_ONE.name),
        says("submission AS MATERIALIZED"),
        commits("UPDATE approvals SET status"),
        says("SET state = 'PLANNING'"),
        says("SET entered_at"),
    ]
    end = time.monotonic() + strike.seconds
    number = 0
    while time.monotonic() < end:
        for member in world.fleet.members:
            if member.proxy.loses is None:
                member.proxy.loses = wanted[number % len(wanted)]
                number += 1
        await asyncio.sleep(0.1)
    for member in world.fleet.members:
        member.proxy.loses = None


@fault
async def no_notifications(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """Nobody hears a notification; everything else works."""
    for member in world.fleet.members:
        member.proxy.is_deaf = True
    await asyncio.sleep(strike.seconds)
    for member in world.fleet.members:
        member.proxy.is_deaf = False


# The outside world, and what people do


@fault
async def tools_refuse(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The service behind the tools is down, and says so."""
    await _outage(world, "refuse", strike.seconds)


@fault
async def tools_hang(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """The service behind the tools says nothing for longer than a call may take, and then does what it was told."""
    await _outage(world, "hang", 4 + strike.seconds)


@fault
async def poison(world: World, strike: Strike, line: dict[str, Any]) -> None:
    """A step that ends every process that runs it."""
    crowd = world.crowd
    given = crowd.poison()
    facts = {"key": given["idempotencyKey"], "body": "poison"}
    until = time.monotonic() + 30
    await crowd.api.insist(crowd.submitters[0], "submitWorkflow", {"input": given}, until=until, **facts)


# How


def _of(members: Sequence[Member], strike: Strike) -> Member:
    return members[strike.target % len(members)]


async def _kill(world: World, members: Sequence[Member], line: dict[str, Any]) -> None:
    for member in members:
        await member.busy.acquire()
    try:
        line["affected"] = await _owned(world, members)
        line["began"] = time.time()
        for member in members:
            member.signal(signal.SIGKILL, by="SIGKILL")
        for member in members:
            await member.ended()
        await asyncio.sleep(1)
        for member in members:
            await member.start()
        for member in members:
            await member.ready()
    finally:
        for member in members:
            member.busy.release()


async def _freeze(world: World, member: Member, line: dict[str, Any]) -> None:
    async with member.busy:
        line["affected"] = await _owned(world, [member])
        line["began"] = time.time()
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(3 * world.fleet.lease_seconds)
        member.signal(signal.SIGCONT)


async def _restart(world: World, how: str, strike: Strike, line: dict[str, Any]) -> None:
    async with world.database_busy:
        line["began"] = time.time()
        await world.keeper.stop(how)
        await asyncio.sleep(strike.seconds / 2)
        await world.keeper.start()


async def _terminate(world: World, which: str, *, busy: bool = True) -> None:
    if busy:
        async with world.database_busy:
            await _terminate(world, which, busy=False)
        return
    with suppress(*_AWAY):
        async with _session(world) as session:
            await session.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {which}"
            )


async def _owned(world: World, members: Sequence[Member]) -> list[list[Any]]:
    """The steps that these processes run now: run, position, attempt, and when now is."""
    with suppress(*_AWAY):
        async with _session(world) as session:
            rows = await session.fetch(
                """SELECT s.run_id, s.position, s.attempt FROM steps s JOIN workers w ON w.id = s.owner
                WHERE w.pid = ANY($1::int[]) AND w.ended_at IS NULL""",
                [member.pid for member in members],
            )
        return [[str(row[0]), row[1], row[2], time.time()] for row in rows]
    return []


async def _outage(world: World, how: str, seconds: float) -> None:
    await ask(world.ledger_port, op="outage", how=how)
    try:
        await asyncio.sleep(seconds)
    finally:
        await ask(world.ledger_port, op="outage", how="")


@asynccontextmanager
async def _session(world: World) -> AsyncGenerator[Any]:
    """A session of our own, past the links that break."""
    session = await asyncpg.connect(world.keeper.dsn, timeout=2, command_timeout=5)
    try:
        yield session
    finally:
        await session.close(timeout=2)


async def heal(world: World) -> None:
    """See to it that everybody is there, and that nothing is in the way."""
    await ask(world.ledger_port, op="outage", how="")
    for member in world.fleet.members:
        member.proxy.loses = None
        member.proxy.is_deaf = False
        member.proxy.thaw()
        member.signal(signal.SIGCONT)
        if not member.retired:
            if member.pid == 0:
                await member.start()
            await member.ready()


async def keep_alive(world: World) -> None:
    """Start again what has ended without a fault that would do so itself: what a process manager is for."""
    while True:
        await asyncio.sleep(0.2)
        for member in world.fleet.members:
            if member.pid == 0 and not member.retired and not member.busy.locked():
                await member.start()
