"""Tools of one's own: read a web page, and tell another system something.

    LIFEOS_TOOLS=web_tools LIFEOS_SECRET_WEBHOOK=… lifeos serve     # in this folder

A tool is a function: its name, signature and docstring are what planners, people and the API see.
"""

from typing import Annotated, Any

import httpx
from pydantic import Field

from engine.tools import Destination, InDoubt, ToolContext, ToolError, tool

Url = Annotated[str, Field(pattern=r"^https?://", max_length=2000), Destination]


@tool(risk="L0", timeout=20, max_attempts=5, reads_outside=True, outward=True)
async def page_read(
    ctx: ToolContext, url: Url, longest: Annotated[int, Field(ge=1, le=100_000)] = 2_000
) -> dict[str, Any]:
    """Reads the beginning of a web page or a JSON document."""
    # It only reads, so whatever goes wrong may simply be tried again: any exception is a failed attempt. Others write
    # the page, and its address can carry something out: that is what the labels say.
    async with httpx.AsyncClient(follow_redirects=True) as http:
        answer = await http.get(url)
    if answer.status_code == 404:
        raise ToolError(f"there is nothing at {url}", retryable=False)
    answer.raise_for_status()
    ctx.log.info("read", url=url, characters=len(answer.text))
    return {"url": str(answer.url), "text": answer.text[:longest]}


@tool(risk="L3", idempotent=False, timeout=20, outward=True)
async def webhook_post(ctx: ToolContext, url: Url, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    """Posts JSON to another system."""
    headers = {"Idempotency-Key": ctx.execution_key}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with httpx.AsyncClient() as http:
            answer = await http.post(url, json=body, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ToolError(f"no connection: {error}") from error  # nothing was sent: it may be tried again
    except httpx.TransportError as error:
        raise InDoubt(f"no answer: {error}") from error  # it may have arrived: a person says whether it did
    match answer.status_code:
        case 429 | 503:
            wait = answer.headers.get("Retry-After", "")
            raise ToolError("too busy", retry_after=float(wait) if wait.isdigit() else 30)
        case status if status >= 500:
            raise InDoubt(f"the other system failed with {status}")
        case status if status >= 400:
            raise ToolError(f"refused with {status}: {answer.text[:200]}", retryable=False)
        case status:
            return {"status": status}
