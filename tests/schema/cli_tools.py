"""Tools for the tests of the commands."""

from typing import Any

from engine.tools import InDoubt, ToolContext, ToolError, tool


@tool(risk="L0")
def note(ctx: ToolContext, text: str = "hello") -> dict[str, Any]:
    """Writes a note."""
    return {"text": text}


@tool(risk="L3")
def pay(ctx: ToolContext, amount: int, to: str = "Ada") -> dict[str, Any]:
    """Pays."""
    return {"paid": amount, "to": to}


@tool(risk="L0")
def fail(ctx: ToolContext) -> None:
    """Fails for good."""
    raise ToolError("it \x1b[31mbroke", retryable=False)


@tool(risk="L3")
def vanish(ctx: ToolContext) -> None:
    """Leaves everybody in doubt."""
    raise InDoubt("the line went dead")


@tool(risk="L0")
def look_for(ctx: ToolContext, wanted: int, there: int) -> dict[str, Any]:
    """Finds fewer than are wanted."""
    ctx.notice(f"{there} of {wanted}\x1b[31m found")
    return {"found": there}
