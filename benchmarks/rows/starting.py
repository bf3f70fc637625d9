"""Row 15: from the command to a server that answers, on a data folder that was used before."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.figures import Row, Target
from benchmarks.machine import Meter


async def warm_start(bench: Bench) -> list[Row]:
    """Row 15: with the embedded PostgreSQL, until `/readyz` says yes."""
    row = Row(15, "`lifeos serve`, warm start to ready")
    first, again = row.figure("first start: database made and migrated", "s"), row.figure("warm start", "s")
    folder = bench.folder / "served"
    folder.mkdir()
    first.add(await _started(folder))
    for _ in range(bench.repeats):
        with Meter() as meter:
            seconds = await _started(folder)
        again.add(seconds, meter.load)
    row.targets = [Target.at_most("≤ 2 s", again.median, 2)]
    return [row]


async def _started(folder: Path) -> float:
    began = time.monotonic()
    async with processes.server(folder, None) as server:
        while not await asyncio.to_thread(_is_ready, f"http://{server.host}:{server.port}/readyz"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return time.monotonic() - began


def _is_ready(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False
