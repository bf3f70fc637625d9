"""One trial: `python -m tests.chaos --seed 7 --minutes 30`.

Starts a PostgreSQL with fsync on, a ledger of outside effects, servers and workers as real processes; puts people and
subscribers at them and lets the schedule of faults that follows from the seed strike. Then it waits until everything
is done, holds what everybody saw against the invariants, and prints each that was broken, with the run, the event and
the lines that show it. Exit status 1 when one was; the whole history is kept in the folder that it names.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from tests.chaos.checker import Violation, check
from tests.chaos.fleet import fleet
from tests.chaos.followers import Follower, follow
from tests.chaos.history import collect
from tests.chaos.ledger import ledger_at
from tests.chaos.nemesis import FAULTS, GAP_SECONDS, Strike, World, heal, keep_alive, schedule, torment
from tests.chaos.people import Api, Crowd
from tests.chaos.recovery import recoveries, table
from tests.faults.keeper import kept_postgres

QUIET_SECONDS = 60.0
"""How long after the last fault everything may take to be done (I23)."""


def main() -> int:
    """Read the arguments and run a trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="A long trial under faults.")
    parser.add_argument("--seed", type=int, default=None, help="of the schedule of faults; a random one if left out")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long faults strike")
    parser.add_argument("--only", default="", help="kinds of fault, comma-separated; all if left out")
    parser.add_argument("--every", type=float, default=1.2, help="seconds between a submitter's submissions")
    parser.add_argument("--gap", type=float, default=GAP_SECONDS, help="seconds between faults; 20: one at a time")
    parser.add_argument("--folder", type=Path, default=None, help="where the history is kept")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="lifeos-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    kinds = [kind.strip() for kind in chosen.only.split(",") if kind.strip()] or list(FAULTS)
    if unknown := set(kinds) - set(FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(FAULTS))}")
    print(f"seed {seed}, {chosen.minutes:g} minutes, {len(kinds)} kinds of fault; everything is kept in {folder}")
    strikes = schedule(seed, chosen.minutes * 60, kinds, gap_seconds=chosen.gap)
    return asyncio.run(trial(seed, strikes, folder, every_seconds=chosen.every))


async def trial(seed: int, strikes: Sequence[Strike], folder: Path, *, every_seconds: float) -> int:
    """One trial; its exit status."""
    began = time.monotonic()
    dice = random.Random(seed)
    settings = {"fsync": "on", "io_method": "sync", "max_connections": "120"}
    async with (
        kept_postgres(folder / "database", settings) as keeper,
        ledger_at(folder / "ledger.jsonl") as port,
        fleet(folder, keeper.dsn, port, servers=2, workers=2) as members,
    ):
        api = Api(members.servers, dice)
        crowd = Crowd(api, dice, port)
        world = World(members, keeper, crowd, port)
        followers: list[Follower] = []
        await crowd.arrive()
        deciding = [asyncio.create_task(crowd.decide_on(who)) for who in crowd.deciders]
        following = asyncio.create_task(_follow_all(crowd, world, followers, dice))
        load = [asyncio.create_task(crowd.submit_on(who, every_seconds=every_seconds)) for who in crowd.submitters]
        load += [asyncio.create_task(crowd.cancel_on()), asyncio.create_task(crowd.retry_on())]
        alive = asyncio.create_task(keep_alive(world))
        await torment(world, strikes)
        await heal(world)
        crowd.submits = False
        await asyncio.gather(*load)
        is_quiet = await _quiet(keeper.dsn, following)
        for task in (*deciding, following):
            task.cancel()
        await asyncio.gather(*deciding, following, return_exceptions=True)
        alive.cancel()
        with suppress(asyncio.CancelledError):
            await alive
        await api.close()
        history = await collect(
            keeper.dsn,
            folder / "ledger.jsonl",
            people=api.log,
            followers=[each.written() for each in followers],
            faults=world.log,
            endings=[],
            logs={},
        )
    history["endings"] = [dataclasses.asdict(each) for each in members.endings]
    history["logs"] = {each.name: (folder / f"{each.name}.log").read_text(errors="replace") for each in members.members}
    (folder / "history.json").write_text(json.dumps(history))
    found = check(history)
    return _report(history, found, folder, is_quiet=is_quiet, seconds=time.monotonic() - began)


async def _follow_all(crowd: Crowd, world: World, followers: list[Follower], dice: random.Random) -> None:
    async with asyncio.TaskGroup() as group:
        while True:
            run = await crowd.follow.get()
            follower = Follower(run)
            followers.append(follower)
            group.create_task(follow(follower, world.fleet.servers, dice))


async def _quiet(dsn: str, _following: asyncio.Task[None]) -> bool:
    """Wait until every run has ended, for as long as that may take."""
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        with suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(dsn)
            try:
                open_runs = await connection.fetchval("SELECT count(*) FROM runs WHERE finished_at IS NULL")
            finally:
                await connection.close()
            if open_runs == 0:
                await asyncio.sleep(2)  # for what is still on its way to subscribers
                return True
        await asyncio.sleep(0.5)
    return False


def _report(
    history: dict[str, Any], found: Sequence[Violation], folder: Path, *, is_quiet: bool, seconds: float
) -> int:
    times = recoveries(history)
    (folder / "recovery.json").write_text(json.dumps(times, indent=2))
    print(table(times))
    received = sum(len(each["received"]) for each in history["followers"])
    print(
        f"\n{len(history['runs'])} runs, {len(history['steps'])} steps, {len(history['events'])} events, "
        f"{len(history['ledger'])} ledger lines, {len(history['people'])} requests, "
        f"{len(history['followers'])} subscribers with {received} events, {len(history['faults'])} faults, "
        f"{seconds:.0f} s"
    )
    for each in found:
        print(f"\n{each}")
    if not is_quiet:
        print(f"\nnot everything was done within {QUIET_SECONDS:g} s after the last fault")
    print(f"\n{len(found)} violations" if found else "\nevery invariant held")
    return 1 if found or not is_quiet else 0


if __name__ == "__main__":
    sys.exit(main())
