"""Tools for the tests at the door."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from engine.tools import InDoubt, ToolContext, ToolError, tool


@tool(risk="L0")
async def note(ctx: ToolContext, text: str = "hello") -> dict[str, Any]:
    """Writes a note."""
    return {"text": text}


@tool(risk="L0")
async def say(ctx: ToolContext, t: str) -> dict[str, Any]:
    """Says it: its result is three bytes longer than its arguments."""
    return {"said": t}


@tool(risk="L3", idempotent=True)
async def pay(ctx: ToolContext, amount: int, to: str = "Ada") -> dict[str, Any]:
    """Pays."""
    return {"paid": amount, "to": to}


@tool(risk="L0")
async def fail(ctx: ToolContext, text: str = "no") -> None:
    """Fails for good."""
    raise ToolError(text, retryable=False)


@tool(risk="L0", idempotent=True)
async def echo(ctx: ToolContext, secret: str, how: str = "result", form: str = "plain") -> Any:
    """Gives back what it should keep to itself, in one of many forms."""
    shown = FORMS[form](secret)
    ctx.log.info(f"working with {shown}", shown=shown, inner={"key": [shown]})  # noqa: G004 - as careless as tools are
    logging.getLogger("a.library").warning("a library logs %s", shown)
    match how:
        case "result":
            ctx.notice(f"<<{shown}>>")
            return {"plain": shown, "inside": f"<<{shown}>>", shown: 1, "deep": [[{"k": [shown, f"{shown} {shown}"]}]]}
        case "error":
            raise ToolError(f"could not use {shown}", retryable=False)
        case "raised":
            raise RuntimeError(f"could not use {shown}", {"context": shown})
        case "doubt":
            raise InDoubt(f"the line went dead while sending {shown}")
        case _:
            raise AssertionError(how)


@tool(risk="L0", idempotent=True)
async def number(ctx: ToolContext, amount: int) -> dict[str, int]:
    """Wants a number."""
    return {"amount": amount}


@tool(risk="L0", idempotent=True)
async def read_number(ctx: ToolContext, secret: str) -> dict[str, Any]:
    """Reads a number out of a text."""
    return {"read": int(secret), "real": float(int(secret)), "in": [int(secret)]}


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda secret: quote(secret, safe=""),
    "percent, lower case": lambda secret: re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
    "form": quote_plus,
    "twice percent": lambda secret: quote(quote(secret, safe=""), safe=""),
    "json": json.dumps,
    "repr": repr,
    "html": html.escape,
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64, urlsafe": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64, one before": lambda secret: base64.b64encode(b"a" + secret.encode() + b"zzz").decode(),
    "base64, two before": lambda secret: base64.b64encode(b"ab" + secret.encode() + b"zz").decode(),
    "basic auth": lambda secret: "Basic " + base64.b64encode(b"user:" + secret.encode()).decode(),
    "base32": lambda secret: base64.b32encode(secret.encode()).decode(),
    "base85": lambda secret: base64.b85encode(secret.encode()).decode(),
}
"""How a tool may come to write a secret."""
