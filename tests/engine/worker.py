"""A process of its own that runs steps, for tests that kill or freeze it: `python -m tests.engine.worker DSN LEASE`.

It writes a line for each call that it makes. None of its calls ends.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from engine.tools import Registry, ToolContext, tool
from tests.engine.harness import PATIENCE_SECONDS, forever, running


async def _stay(ctx: ToolContext) -> None:
    print(ctx.step_id, flush=True)  # noqa: T201 - what the test waits for
    await forever(ctx)


@tool(risk="L0")
async def work(ctx: ToolContext, value: Any = None) -> None:
    """May be repeated."""
    await _stay(ctx)


@tool(risk="L1", idempotent=False)
async def pay(ctx: ToolContext, value: Any = None) -> None:
    """May not be repeated."""
    await _stay(ctx)


async def main(dsn: str, lease_seconds: float) -> None:
    """Run steps until somebody ends us."""
    async with running(dsn, Registry.of(work, pay), lease_seconds=lease_seconds):
        await asyncio.Event().wait()


class Worker:
    """The process, and what it says."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def called(self) -> str:
        """Wait for its next call; the step's id."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self.process.stdout.readline()).decode().strip():
                if line.startswith("step_"):
                    return line
        raise AssertionError("the worker ended")


@asynccontextmanager
async def a_worker(dsn: str, *, lease_seconds: float = 15) -> AsyncGenerator[Worker]:
    """Such a process, killed at the end of the block if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engine.worker", dsn, str(lease_seconds), stdout=PIPE
    )
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
