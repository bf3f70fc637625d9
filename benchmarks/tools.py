"""The tools that are called: they do nothing, so that what is measured is everything else."""

from __future__ import annotations

import asyncio
import time

from engine.tools import ToolContext, ToolError, tool


@tool("L0")
async def noop(ctx: ToolContext, n: int = 1) -> dict[str, bool]:
    """Does nothing."""
    del ctx, n
    return {"ok": True}


@tool("L0", timeout=86_400)
async def rest(ctx: ToolContext, seconds: float) -> dict[str, bool]:
    """Does nothing for a while."""
    del ctx
    await asyncio.sleep(seconds)
    return {"ok": True}


@tool("L0", max_attempts=0, timeout=60)
async def blink(ctx: ToolContext, seconds: float, times: int) -> dict[str, bool]:
    """Fails after a while, and is tried again after another: each writes one event alone."""
    await asyncio.sleep(seconds)
    if ctx.attempt < times:
        raise ToolError("again", retry_after=seconds)
    return {"ok": True}


@tool("L3", idempotent=True)
async def gated(ctx: ToolContext, n: int = 1) -> dict[str, int]:
    """Says when it was entered, by the machine's monotonic clock: a person must have allowed it."""
    del ctx, n
    return {"entered_ns": time.monotonic_ns()}


@tool("L3", idempotent=False)
async def gated_once(ctx: ToolContext, n: int = 1) -> dict[str, int]:
    """The same for a call that must not be repeated, whose beginning is committed before it."""
    del ctx, n
    return {"entered_ns": time.monotonic_ns()}
