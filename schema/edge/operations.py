"""What operators look at: is it alive, is it ready, and its numbers; and the calendars that were made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from schema.edge.http import HttpError

Check = Callable[[], Awaitable[bool]]


def health_routes(checks: Mapping[str, Check]) -> list[BaseRoute]:
    """`/healthz`, which only says that the process answers, and `/readyz`, which asks each check."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        answers = {name: await check() for name, check in checks.items()}
        ready = all(answers.values())
        body = {"status": "ready" if ready else "not ready", "checks": answers}
        return JSONResponse(body, status_code=200 if ready else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def metrics_route(
    registry: CollectorRegistry, *, public: bool, sign_in: Callable[[Request], Awaitable[object]], refresh: Check
) -> BaseRoute:
    """`/metrics` in Prometheus' format, for those who are signed in unless it is public.

    `refresh` brings the numbers that the database knows up to date; False: it is away, and they are left as they were.
    """

    async def metrics(request: Request) -> Response:
        if not public:
            try:
                await sign_in(request)
            except HttpError as error:
                return PlainTextResponse(f"{error}\n", status_code=error.status, headers=error.headers)
        await refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    return Route("/metrics", metrics)


def calendar_route(find: Callable[[str], Path | None]) -> BaseRoute:
    """The feed of one person's calendar, at an address that nobody can guess; it needs no token beside it."""

    async def calendar(request: Request) -> Response:
        path = find(request.path_params["token"])
        if path is None:
            return PlainTextResponse("There is no such calendar.\n", status_code=404)
        return FileResponse(path, media_type="text/calendar; charset=utf-8", headers={"Cache-Control": "no-store"})

    return Route("/calendar/{token}.ics", calendar)
