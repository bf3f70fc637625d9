"""Tools whose effects are lines in the ledger, loaded by the real processes through LIFEOS_TOOLS.

Two honour the execution key (the ledger answers a repeated key like the first time), two don't and say so by
`idempotent=False`. None of them repeats anything by itself, and none hides a doubt: a call that may have happened and
must not be repeated raises InDoubt.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from engine.digest import args_digest
from engine.tools import InDoubt, ToolContext, ToolError, tool
from tests.chaos.ledger import PORT_VARIABLE, ask


@tool(risk="L1", idempotent=True, timeout=4, max_attempts=12)
async def keyed(ctx: ToolContext, n: int, mode: str = "ok", take: Any = None) -> dict[str, Any]:
    """An effect that an outside system makes once for each key."""
    return await _call(ctx, "keyed", {"n": n, "mode": mode, "take": take}, honours=True)


@tool(risk="L2", idempotent=False, timeout=4, max_attempts=12)
async def plain(ctx: ToolContext, n: int, mode: str = "ok", take: Any = None) -> dict[str, Any]:
    """An effect that happens again with each call."""
    return await _call(ctx, "plain", {"n": n, "mode": mode, "take": take}, honours=False)


@tool(risk="L3", idempotent=False, timeout=4)
async def gated(ctx: ToolContext, n: int, mode: str = "ok", take: Any = None) -> dict[str, Any]:
    """An effect that happens again with each call, and that a person must allow."""
    return await _call(ctx, "gated", {"n": n, "mode": mode, "take": take}, honours=False)


@tool(risk="L3", idempotent=True, timeout=4)
async def gated_keyed(ctx: ToolContext, n: int, mode: str = "ok", take: Any = None) -> dict[str, Any]:
    """An effect once for each key, that a person must allow."""
    return await _call(ctx, "gated_keyed", {"n": n, "mode": mode, "take": take}, honours=True)


async def _call(ctx: ToolContext, name: str, args: dict[str, Any], *, honours: bool) -> dict[str, Any]:
    mode, first = args["mode"], ctx.attempt == 1
    call = {
        "op": "call",
        "key": ctx.execution_key,
        "run": ctx.run_id,
        "step": ctx.step_id,
        "attempt": ctx.attempt,
        "tool": name,
        "digest": args_digest(name, args),
        "honours": honours,
        "pid": os.getpid(),
    }
    if mode == "die":
        await _told(call, applies=False, honours=honours)
        os._exit(7)
    if mode == "fail" or (mode == "flaky" and first):
        await _told(call, applies=False, honours=honours)
        raise ToolError("not this time")
    if mode == "fatal":
        await _told(call, applies=False, honours=honours)
        raise ToolError("never", retryable=False)
    if mode == "hang" and first:
        await asyncio.sleep(30)
    answer = await _told(call, applies=True, honours=honours)
    if mode == "hang after" and first:
        await asyncio.sleep(30)
    if mode == "slow":
        await asyncio.sleep(1.5)
    if mode == "apply then fail" and first:
        if honours:
            raise RuntimeError("the answer was lost")
        raise InDoubt("the answer was lost")
    return {"answer": answer, "key": ctx.execution_key}


async def _told(call: dict[str, Any], *, applies: bool, honours: bool) -> int | None:
    try:
        reply = await ask(int(os.environ[PORT_VARIABLE]), **call, applies=applies)
    except OSError as error:
        if honours:
            raise
        raise InDoubt(f"no answer: {error}") from error
    if reply["refused"]:
        raise ToolError(reply["refused"])
    return reply["answer"]
