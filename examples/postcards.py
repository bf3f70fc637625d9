"""A tool of one's own: it posts cards into a letterbox, a folder beside the server.

LIFEOS_TOOLS=examples.postcards lifeos serve
"""

import asyncio
from pathlib import Path

from engine.tools import ToolContext, tool

LETTERBOX = Path("letterbox")


@tool(risk="L1", idempotent=True, timeout=30, max_attempts=3)
async def send_postcard(ctx: ToolContext, to: str, text: str = "Hello") -> dict[str, bool]:
    """Posts a card."""  # shown to people and planners
    await post(to, text, idempotency_key=ctx.execution_key)
    return {"posted": True}


async def post(to: str, text: str, *, idempotency_key: str) -> None:
    """Post a card; under one key it is one card, however often it is asked for."""

    def put() -> None:
        LETTERBOX.mkdir(exist_ok=True)
        (LETTERBOX / f"{idempotency_key}.txt").write_text(f"To {to}: {text}\n")

    await asyncio.to_thread(put)
