"""Tools for the tests at the door."""

from __future__ import annotations

from typing import Any

from engine.tools import ToolContext, ToolError, tool


@tool(risk="L0")
async def note(ctx: ToolContext, text: str = "hello") -> dict[str, Any]:
    """Writes a note."""
    return {"text": text}


@tool(risk="L3", idempotent=True)
async def pay(ctx: ToolContext, amount: int, to: str = "Ada") -> dict[str, Any]:
    """Pays."""
    return {"paid": amount, "to": to}


@tool(risk="L0")
async def fail(ctx: ToolContext, text: str = "no") -> None:
    """Fails for good."""
    raise ToolError(text, retryable=False)
