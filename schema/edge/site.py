"""The site: GraphQL, its pages, and what operators look at, as one Starlette application."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.access import Origin, Viewer
from engine.identity import FINGERPRINT
from persistence.database import Unavailable
from persistence.users import token_hash
from schema.api.context import Services
from schema.api.schema import build_schema
from schema.edge.http import Drained, GraphQLView, Guarded, HttpError, HttpSettings
from schema.edge.operations import Check, calendar_route, health_routes, metrics_route
from schema.edge.pages import SECURITY_HEADERS, graphiql_page, message_page, not_signed_in_page, static_routes
from schema.edge.rates import Rates
from schema.shared.faults import internal, refusal
from schema.shared.visible import visible


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The settings of the site."""

    http: HttpSettings
    console: Path
    """Where the built GraphiQL lies, or would."""
    metrics_public: bool = False
    rate_points_per_minute: int = 0
    """What one user may ask for; 0: as much as they like."""


@dataclass(frozen=True, slots=True)
class Site:
    """The application, and the view whose sockets have to be ended with it."""

    app: ASGIApp
    view: GraphQLView[Viewer]


def build_site(
    services: Services,
    settings: SiteSettings,
    *,
    authenticate: Callable[[str], Coroutine[Any, Any, Viewer | None]],
    is_stopping: Callable[[], bool],
    checks: dict[str, Check],
    metrics: CollectorRegistry,
    refresh_metrics: Check,
    find_calendar: Callable[[str], Path | None],
) -> Site:
    """Put the site together. `checks` are asked by `/readyz`, `refresh_metrics` before `/metrics` answers."""

    async def page(request: Request) -> Response:
        try:
            await view.signed_in(request)
        except HttpError as error:
            return (
                not_signed_in_page() if error.status == 401 else message_page(error.status, "Not available", str(error))
            )
        return graphiql_page(settings.console)

    async def home(request: Request) -> Response:
        return await view.sign_in(request) or RedirectResponse("/graphql")

    view = GraphQLView[Viewer](
        build_schema(
            limits=services.limits,
            request_timeout_seconds=settings.http.request_timeout_seconds,
            admit=Rates(settings.rate_points_per_minute).admit,
        ),
        authenticate=authenticate,
        make_context=services.context,
        render_page=page,
        render_message=message_page,
        locate=_located,
        refused_sign_in=lambda connection: services.engine.audit.stranger(_origin(connection)),
        unavailable=(Unavailable,),
        is_stopping=is_stopping,
        settings=settings.http,
    )
    app = Starlette(
        routes=[
            *view.routes(),
            Route("/", home),
            *health_routes(checks),
            metrics_route(metrics, public=settings.metrics_public, sign_in=view.signed_in, refresh=refresh_metrics),
            calendar_route(find_calendar),
            *static_routes(settings.console),
        ],
        exception_handlers={Exception: _failed},
    )
    return Site(Drained(Guarded(app, SECURITY_HEADERS), settings.http), view)


def _located(viewer: Viewer, connection: HTTPConnection, token: str) -> Viewer:
    """The viewer of one operation, with what the audit log says of where it came from."""
    return replace(viewer, origin=_origin(connection, token))


def _origin(connection: HTTPConnection, token: str | None = None) -> Origin:
    address = connection.client.host[:_LONGEST_ADDRESS] if connection.client else None
    return Origin(
        # Behind a proxy that we trust it is what that says, which need not be an address.
        None if address is None else visible(address),
        None if token is None else token_hash(token).hex()[:FINGERPRINT],
        token_hex(8),
    )


_LONGEST_ADDRESS: Final = 64


async def _failed(request: Request, error: Exception) -> Response:
    """The answer where something broke beside the GraphQL endpoint, which masks its own."""
    fault = refusal(internal(error, path=request.url.path)).formatted
    # The exception goes on to the server, which closes the connection because of it: a client that did not know of that
    # would use it again.
    return JSONResponse({"errors": [fault]}, status_code=500, headers={"connection": "close"})


def not_running() -> ASGIApp:
    """The answer of a server that has nothing to answer with yet, or any more."""
    error = {"message": "The server is starting or stopping.", "extensions": {"code": "UNAVAILABLE"}}
    answer = JSONResponse({"errors": [error]}, status_code=503, headers={"Retry-After": "2"})
    return Drained(Guarded(answer, SECURITY_HEADERS), HttpSettings())
