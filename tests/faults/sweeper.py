"""A process that only looks after others: `python -m tests.faults.sweeper DSN`."""

from __future__ import annotations

import asyncio
import sys

from tests.engine.harness import acting, running


async def main(dsn: str) -> None:
    """Sweep until somebody ends us."""
    async with running(dsn, acting(), sweep_seconds=0.1, concurrency=0):
        print("sweeping", flush=True)  # noqa: T201 - what the test waits for
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
