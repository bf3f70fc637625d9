"""The one GraphQL endpoint: HTTP, sockets and event streams, for those who are signed in."""

# Strawberry's view is generic in types that it leaves open itself.
# pyright: reportUnknownMemberType=false, reportMissingTypeArgument=false, reportUnknownParameterType=false

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from inspect import isawaitable
from math import ceil
from typing import Any, Final, Generic, TypeVar, cast

from graphql import GraphQLError, OperationType
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType as AllowedOperation

from schema.edge.http.bodies import Asked, HttpError, check_before_reading, read_operation
from schema.edge.http.connections import Connections, TooManyConnections, Viewer
from schema.edge.http.credentials import sign_in_response, token_of
from schema.edge.http.media import EVENT_STREAM, GRAPHQL_RESPONSE, JSON_TYPE, accepted, wants_page
from schema.edge.http.settings import HttpSettings
from schema.edge.http.sockets import SocketAdapter, SocketHandler
from schema.edge.http.streams import EventStream
from schema.fast.eager import in_time
from schema.fast.pipeline import OperationNotAllowed, Schema
from schema.shared.faults import (
    LIMIT_EXCEEDED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    RequestError,
    internal,
    refusal,
    unavailable,
)
from schema.shared.jsontext import encode

__all__ = ["GraphQLView"]

V = TypeVar("V", bound=Viewer)

Page = Callable[[Request], Response | Awaitable[Response]]
Message = Callable[[int, str, str], Response]

_WRONG_ADDRESS: Final = "This address holds no valid token. Open the one that “lifeos serve” printed when it started."
_BY_GET: Final = frozenset({AllowedOperation.QUERY})
_BY_POST: Final = frozenset({AllowedOperation.QUERY, AllowedOperation.MUTATION})


class GraphQLView(GraphQL[Any, None], Generic[V]):
    """An ASGI application that answers operations of `schema`.

    - `authenticate` tells whose a token is, or None; it may raise one of `unavailable`.
    - `make_context` makes the context of one operation; subscriptions keep
      theirs, unless it has a `for_event()`.
    - `locate` gives the viewer of one operation what is known of where it comes
      from: the connection, and the token.
    - `refused_sign_in` hears of each connection that came without a valid token.
    - `render_page` answers a browser that asks for HTML, `render_message` one
      whose sign-in failed.
    - While `is_stopping()` nothing new begins.
    """

    websocket_adapter_class = SocketAdapter  # pyright: ignore[reportAssignmentType] - narrower than the base asks for
    graphql_transport_ws_handler_class = SocketHandler
    schema: Schema

    def __init__(
        self,
        schema: Schema,
        *,
        authenticate: Callable[[str], Coroutine[Any, Any, V | None]],
        make_context: Callable[[V], object],
        render_page: Page | None = None,
        render_message: Message | None = None,
        locate: Callable[[V, HTTPConnection, str], V] = lambda viewer, _connection, _token: viewer,
        refused_sign_in: Callable[[HTTPConnection], None] = lambda _connection: None,
        unavailable: tuple[type[BaseException], ...] = (),
        is_stopping: Callable[[], bool] = lambda: False,
        settings: HttpSettings | None = None,
        allowed_origins: Sequence[str] = (),
    ) -> None:
        self.settings = settings or HttpSettings()
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=self.settings.connection_init_timeout_seconds),
            allowed_origins=allowed_origins,
        )
        self.connections = Connections(max_per_user=self.settings.max_sockets_per_user)
        self.is_stopping = is_stopping
        self._authenticate = authenticate
        self._make_context = make_context
        self._locate = locate
        self.refused_sign_in = refused_sign_in
        self._render_page = render_page
        self._render_message = render_message or _plain_message
        self._unavailable = unavailable

    def routes(self, path: str = "/graphql") -> list[BaseRoute]:
        """What to mount: a `Mount` would redirect `/graphql` to `/graphql/`."""
        return [Route(path, self), WebSocketRoute(path, self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one socket."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except HttpError as error:
            response = self._refused(request, error.status, error, error.headers)
        except Exception as error:  # noqa: BLE001 - the client gets an id, and the log all of it
            response = self._refused(request, 500, internal(error, transport="http"))
        except asyncio.CancelledError:
            if not self.is_stopping():
                raise
            # The grace time is over: nobody waits for it any more, and whether it happened is not known.
            response = self._refused(request, 503, unavailable(), self._retry_after())
        await response(scope, receive, send)

    # ── signing in ──

    async def identify(self, token: str) -> V | None:
        """Whose token it is; a `RequestError` with `UNAVAILABLE` if that can't be found out now."""
        try:
            return await in_time(self._deadline(), self._authenticate(token))
        except (*self._unavailable, TimeoutError):
            raise unavailable() from None

    async def signed_in(self, connection: HTTPConnection) -> V:
        """The user of the request; an `HttpError` (401, or 503) without a valid token. For other endpoints too."""
        return (await self._sign_in(connection))[1]

    async def sign_in(self, request: Request) -> Response | None:
        """The answer to an address with `?token=…` in it, None for any other address."""
        token = request.query_params.get("token")
        if token is None:
            return None
        try:
            viewer = await self.identify(token) if token.isascii() and token.isprintable() else None
        except RequestError as error:
            return self._render_message(503, "Not available", error.message)
        if viewer is None:
            self.refused_sign_in(request)
            return self._render_message(401, "Not signed in", _WRONG_ADDRESS)
        return sign_in_response(request, token, self.settings.cookie_name)

    async def recheck(self) -> None:
        """End the sockets and streams whose token holds no more; call it every few seconds."""
        try:
            await self.connections.recheck(self.identify)
        except RequestError:
            # Nobody can say now; nobody is thrown out for it.
            return

    def make_context(self, viewer: Viewer, connection: HTTPConnection, token: str) -> object:
        """The context of one operation."""
        return self._make_context(self._locate(cast("V", viewer), connection, token))

    async def _sign_in(self, connection: HTTPConnection) -> tuple[str, V]:
        token = token_of(connection, self.settings.cookie_name)
        try:
            viewer = await self.identify(token) if token else None
        except RequestError as error:
            raise HttpError(503, error.message, error.code, headers=self._retry_after()) from None
        if token is None or viewer is None:
            self.refused_sign_in(connection)
            raise HttpError(
                401,
                "Sign in first: send the header Authorization: Bearer TOKEN.",
                UNAUTHENTICATED,
                headers={"WWW-Authenticate": "Bearer"},
            )
        return token, viewer

    # ── HTTP ──

    async def _respond(self, request: Request) -> Response:
        check_before_reading(request, self.settings)
        if self.is_stopping():
            raise HttpError(503, "The server is stopping.", UNAVAILABLE, headers=self._retry_after())
        if request.method == "GET":
            page = await self.sign_in(request) or await self._page(request)
            if page is not None:
                return page
        deadline = self._deadline()
        token, viewer = await self._sign_in(request)
        asked = await read_operation(request, self.settings, deadline)
        types = accepted(request.headers.get("accept"))
        if await self._is_streamed(asked, types):
            return await self._stream(request, asked, viewer, token)
        media_type = next((each for each in types if each != EVENT_STREAM), JSON_TYPE)
        try:
            # One deadline for all of it: what signing in took is not there for the operation.
            result = await in_time(
                deadline,
                self.schema.execute(
                    asked.query,
                    variable_values=asked.variables,
                    context_value=self.make_context(viewer, request, token),
                    operation_name=asked.operation_name,
                    allowed_operation_types=_BY_GET if request.method == "GET" else _BY_POST,
                ),
            )
        except TimeoutError:
            error = unavailable()
            raise HttpError(503, error.message, error.code, headers=self._retry_after()) from None
        return self._answer(result, media_type)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.settings.request_timeout_seconds

    async def get_context(self, request: Any, response: Any) -> Any:
        """For sockets: the handshake, until it is known who signs in."""
        del response
        return request

    async def _page(self, request: Request) -> Response | None:
        is_asked = "query" not in request.query_params and wants_page(request.headers.get("accept"))
        if not is_asked or self._render_page is None:
            return None
        page = self._render_page(request)
        return await page if isawaitable(page) else page

    async def _is_streamed(self, asked: Asked, types: Sequence[str]) -> bool:
        if types[0] == EVENT_STREAM:
            return True
        # Some clients name the event stream last for every operation and mean it for subscriptions alone.
        kind = await self.schema.operation_kind(asked.query, asked.operation_name) if EVENT_STREAM in types else None
        return kind is OperationType.SUBSCRIPTION

    async def _stream(self, request: Request, asked: Asked, viewer: V, token: str) -> Response:
        kind = await self.schema.operation_kind(asked.query, asked.operation_name)
        if request.method == "GET" and kind is OperationType.MUTATION:
            raise _not_by_get(OperationNotAllowed(kind))
        try:
            answers = await self.schema.stream(
                asked.query,
                variable_values=asked.variables,
                context_value=self.make_context(viewer, request, token),
                operation_name=asked.operation_name,
            )
        except RequestError as error:
            return self._refused(request, 429, error, _retry_after(error))
        stream = EventStream(self, answers, viewer=viewer, token=token)
        try:
            self.connections.add(stream)
        except TooManyConnections:
            await answers.aclose()
            raise HttpError(
                429,
                f"At most {self.settings.max_sockets_per_user} sockets and streams may be open for one user.",
                LIMIT_EXCEEDED,
                headers=self._retry_after(),
            ) from None
        return stream

    def _answer(self, result: ExecutionResult, media_type: str) -> Response:
        errors = result.errors or []
        body: dict[str, Any] = {} if isinstance(result, PreExecutionError) else {"data": result.data}
        if errors:
            body["errors"] = [error.formatted for error in errors]
        status, headers = 200, {}
        if result.data is None and errors:
            status, headers = self._status_of(errors, media_type, began=not isinstance(result, PreExecutionError))
        return _json(body, status, media_type, headers)

    def _status_of(self, errors: list[GraphQLError], media_type: str, *, began: bool) -> tuple[int, dict[str, str]]:
        if any(error.extensions and error.extensions.get("code") == UNAVAILABLE for error in errors):
            return 503, self._retry_after()
        cause = errors[0].original_error
        if isinstance(cause, OperationNotAllowed):
            refused = _not_by_get(cause)
            return refused.status, refused.headers
        if isinstance(cause, RequestError) and cause.retry_after_seconds is not None:
            return 429, _retry_after(cause)
        # Plain JSON says 200 to every request that could be understood: its clients look for errors in the body.
        return (400 if media_type == GRAPHQL_RESPONSE and not began else 200), {}

    def _refused(
        self, request: Request, status: int, error: RequestError, headers: Mapping[str, str] | None = None
    ) -> Response:
        types = accepted(request.headers.get("accept"))
        media_type = GRAPHQL_RESPONSE if types[0] == GRAPHQL_RESPONSE else JSON_TYPE
        return _json({"errors": [refusal(error).formatted]}, status, media_type, headers or {})

    def _retry_after(self) -> dict[str, str]:
        return {"Retry-After": str(self.settings.retry_after_seconds)}


def _retry_after(error: RequestError) -> dict[str, str]:
    return {"Retry-After": str(ceil(error.retry_after_seconds or 0))}


def _not_by_get(cause: OperationNotAllowed) -> HttpError:
    if cause.kind is OperationType.MUTATION:
        return HttpError(405, cause.message, headers={"Allow": "POST"})
    return HttpError(400, cause.message)


def _json(body: object, status: int, media_type: str, headers: Mapping[str, str]) -> Response:
    return Response(
        encode(body),
        status,
        {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **headers},
        media_type=f"{media_type}; charset=utf-8",
    )


def _plain_message(status: int, title: str, text: str) -> Response:
    return PlainTextResponse(f"{title}\n\n{text}\n", status, {"Cache-Control": "no-store"})
