"""Tools whose time is the test's: the server finds this module by LIFEOS_TOOLS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engine.tools import ToolContext, tool


@tool(risk="L0")
async def note(ctx: ToolContext, text: str = "hello") -> dict[str, str]:
    """Writes a note."""
    return {"text": text}


@tool(risk="L0", idempotent=True, max_attempts=0)
async def wait_for_file(ctx: ToolContext, path: str) -> dict[str, Any]:
    """Waits until a file is there."""
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it; looking is quick
        await asyncio.sleep(0.01)
    return {"found": path}


@tool(risk="L3")
async def pay(ctx: ToolContext, amount: int) -> dict[str, int]:
    """Pays."""
    return {"paid": amount}


@tool(risk="L3")
async def send(ctx: ToolContext, text: str) -> dict[str, str]:
    """Sends a text."""
    return {"sent": text}
