"""graphql-transport-ws to the letter: a client's mistake costs it an operation or its socket, never a traceback."""

# Strawberry's handlers are generic in types that it leaves open itself.
# pyright: reportUnknownMemberType=false, reportMissingTypeArgument=false, reportUnknownParameterType=false

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, cast

from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from schema.edge.http.bodies import operation_from
from schema.edge.http.connections import CLOSE_REASONS, TooManyConnections, Viewer
from schema.edge.http.credentials import bearer, token_of
from schema.edge.http.endpoint import Endpoint
from schema.edge.http.frames import text_frame, writer_of
from schema.fast.eager import Rest, begin
from schema.fast.execution import SharedData
from schema.shared.faults import LIMIT_EXCEEDED, RequestError, internal, refusal
from schema.shared.jsontext import decode, encode

__all__ = ["SocketAdapter", "SocketHandler"]

_LONGEST_REASON: Final = 123
"""Bytes of a close frame's reason (RFC 6455, section 5.5)."""

_CLOSE_SECONDS: Final = 2.0

_TAIL: Final = "}}"
"""What ends a message after its `data`."""

_MOST_FRAMES: Final = 16
"""Most clients give their operations the same few names."""

_LONGEST_HEAD: Final = 128
"""Of a frame that is kept: an operation's name is the client's to choose, and may be as long as a message."""


class _Malformed(Exception):
    """A message that is not one of the protocol's; the text is the close reason."""


class SocketAdapter(ASGIWebSocketAdapter):
    """The socket below the protocol: whole messages in, and sends that can't last for ever."""

    def __init__(self, view: Endpoint, request: WebSocket, response: WebSocket) -> None:
        super().__init__(cast("Any", view), request, response)
        self._settings = view.settings
        self._write = writer_of(request.scope)

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Each message as a JSON object; one that is none ends the iteration with a closed socket."""
        del ignore_parsing_errors
        with suppress(WebSocketDisconnect):
            while self.ws.application_state is not WebSocketState.DISCONNECTED:
                received = await self.ws.receive()
                if received["type"] == "websocket.disconnect":
                    return
                try:
                    message = self._message(received.get("text"))
                except _Malformed as error:
                    await self.close(4400, str(error))
                    return
                if message is None:
                    await self.close(1009, "Message Too Big")
                    return
                yield message

    def _message(self, text: str | None) -> dict[str, Any] | None:
        if text is None:
            raise _Malformed("Messages have to be text, not binary.")
        longest = self._settings.max_message_bytes
        if len(text) > longest:
            return None
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > longest:
            return None
        try:
            message = decode(data)
        except RequestError as error:
            raise _Malformed(error.message) from None
        if not isinstance(message, dict):
            raise _Malformed("A message has to be a JSON object.")
        return cast("dict[str, Any]", message)

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send `message` as JSON."""
        await self.send_text(encode(message).decode())

    async def send_text(self, text: str) -> None:
        """Send a message; `WebSocketDisconnected` if the client is gone, or takes nothing for too long."""
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await self.ws.send_text(text)
        except (TimeoutError, WebSocketDisconnect, RuntimeError) as error:
            # Starlette raises RuntimeError for a socket that we have closed meanwhile.
            raise WebSocketDisconnected from error

    def write(self, data: SharedData, head: str) -> bool:
        """Send shared data between this head and its end, if that can be done now and in one go."""
        if self._write is None:
            return False
        frame = data.frames.get(head)
        if frame is None:
            frame = text_frame(f"{head}{data.text}{_TAIL}")
            if len(data.frames) < _MOST_FRAMES and len(head) <= _LONGEST_HEAD:
                data.frames[head] = frame
        return self._write(frame)

    def send_at_once(self, text: str) -> Rest[Any] | None:
        """Send a message now, or what is left of that when the client takes nothing at the moment."""
        return begin(self.ws.send_text(text))

    async def send_rest(self, rest: Rest[Any]) -> None:
        """Finish what `send_at_once` began."""
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await rest
        except (TimeoutError, WebSocketDisconnect, RuntimeError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close the socket, unless it is closed; a client that takes nothing is not waited for."""
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.ws.close(code=code, reason=_fit(reason))


class _Outlet:
    """Where one operation's answers go: in order, whether they are pushed or awaited.

    `gone` is called when a client takes nothing of what was pushed to it.
    """

    def __init__(self, socket: SocketAdapter, operation_id: str, gone: Callable[[], None]) -> None:
        self._socket = socket
        self._id = operation_id
        self._gone = gone
        self._head = f'{{"id":{encode(operation_id).decode()},"type":"next","payload":{{"data":'
        self._sending: asyncio.Task[None] | None = None

    def push(self, data: SharedData) -> bool:
        """Send it now; False when an earlier one is still on its way, or nobody is there."""
        if self._sending is not None:
            return False
        if self._socket.write(data, self._head):
            return True
        try:
            rest = self._socket.send_at_once(f"{self._head}{data.text}{_TAIL}")
        except (WebSocketDisconnect, RuntimeError):
            return False
        if rest is not None:
            self._sending = asyncio.create_task(self._finish(rest))
        return True

    async def send(self, answer: ExecutionResult) -> None:
        """Send it once all before it is sent; `WebSocketDisconnected` if the client is gone, or takes nothing."""
        await self.settle()
        data = answer.data
        if isinstance(data, SharedData) and not answer.errors:
            await self._socket.send_text(f"{self._head}{data.text}{_TAIL}")
            return
        payload: dict[str, Any] = {"data": data}
        if answer.errors:
            payload["errors"] = [error.formatted for error in answer.errors]
        await self._socket.send_json({"id": self._id, "type": "next", "payload": payload})

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _finish(self, rest: Rest[Any]) -> None:
        try:
            await self._socket.send_rest(rest)
        except WebSocketDisconnected:
            self._gone()
        finally:
            self._sending = None


class SocketHandler(BaseGraphQLTransportWSHandler[Any, Any]):
    """One socket: who it is, which operations run on it, and how it ends."""

    view: Endpoint  # pyright: ignore[reportIncompatibleVariableOverride] - all that is used of it
    websocket: SocketAdapter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handshake: HTTPConnection = self.context
        self.token = ""
        self._viewer: Viewer | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def viewer(self) -> Viewer:
        """Who signed in; there is nobody before the acknowledgement."""
        assert self._viewer is not None
        return self._viewer

    async def handle(self) -> None:
        """Serve the socket until either side ends it; all its operations are over when this returns."""
        with self.view.connections.serving("sockets"):
            await self._serve()

    async def _serve(self) -> None:
        self.on_request_accepted()
        self._reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait([self._reading])
        finally:
            self._reading.cancel()
            self.view.connections.discard(self)
            await self.shutdown()
        if not self._reading.cancelled() and (error := self._reading.exception()):
            internal(error, transport="websocket")

    async def close(self, code: int, reason: str) -> None:
        """Close the socket and stop reading from it, which ends its operations."""
        await self.websocket.close(code, reason)
        if self._reading is not None:
            self._reading.cancel()

    async def handle_connection_init_timeout(self) -> None:
        """Close a socket that says nothing of who it is."""
        await asyncio.sleep(self.connection_init_wait_timeout.total_seconds())
        self.connection_timed_out = True
        await self.close(4408, "Connection initialisation timeout")

    async def _read(self) -> None:
        with suppress(WebSocketDisconnected):
            async with aclosing(self.websocket.iter_json()) as messages:
                async for message in messages:
                    try:
                        await self._take(cast("dict[str, Any]", message))
                    except _Malformed as error:
                        await self.websocket.close(4400, str(error))

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if not isinstance(kind, str):
            raise _Malformed("A message needs a type.")
        if kind in ("connection_init", "ping", "pong"):
            if not isinstance(message.get("payload"), dict | None):
                raise _Malformed("The payload has to be an object.")
            if message.get("payload", {}) is None:
                del message["payload"]
        elif kind in ("subscribe", "complete"):
            if not isinstance(message.get("id"), str) or not message["id"]:
                raise _Malformed("The message's id has to be a string.")
        else:
            raise _Malformed(f"Unknown message type: {kind}")
        await self.handle_message(cast("Message", message))

    # ── signing in ──

    async def handle_connection_init(self, message: Any) -> None:
        """Find out who connects: by the payload's token, else the handshake's."""
        if self.connection_init_received:
            await self.close(4429, "Too many initialisation requests")
            return
        if self.connection_timed_out:
            return
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        self.connection_init_received = True
        code = await self._sign_in(message.get("payload") or {})
        if code is not None:
            await self.close(code, CLOSE_REASONS[code])
            return
        self.connection_acknowledged = True
        await self.send_message({"type": "connection_ack"})

    async def _sign_in(self, payload: Mapping[str, Any]) -> int | None:
        """The user of the token becomes the viewer; otherwise returns the code to close the socket with."""
        given = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
        token = token_of(self.handshake, self.view.settings.cookie_name) if given is None else bearer(given)
        try:
            viewer = None if token is None else await self.view.identify(token)
        except RequestError:
            return 1013
        if token is None or viewer is None:
            self.view.refused_sign_in(self.handshake)
            return 4403
        if self.view.is_stopping():
            return 1012
        self.token, self._viewer = token, viewer
        try:
            self.view.connections.add(self)
        except TooManyConnections:
            return 4429
        return None

    # ── operations ──

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, unless the socket has to be closed or it is one too many."""
        if not self.connection_acknowledged:
            await self.close(4401, CLOSE_REASONS[4401])
            return
        operation_id = message["id"]
        if operation_id in self.operations:
            await self.close(4409, f"Subscriber for {operation_id} already exists")
            return
        try:
            asked = operation_from(message.get("payload"))
        except RequestError as error:
            raise _Malformed(error.message) from None
        operation = Operation(self, operation_id, asked.query, asked.variables, asked.operation_name)
        limit = self.view.settings.max_operations_per_socket
        if len(self.operations) >= limit:
            await self.send_message(_error(operation_id, [_too_many(limit)]))
            return
        self.operations[operation_id] = operation
        operation.task = asyncio.create_task(self.run_operation(operation))
        operation.task.add_done_callback(self._task_done)

    async def run_operation(self, operation: Operation[Any, Any]) -> None:
        """Send an operation's answers; whatever goes wrong in it ends it alone."""
        try:
            await self._run(operation)
        except RequestError as error:
            with suppress(WebSocketDisconnected):
                await self._end(operation, _error(operation.id, [refusal(error)]))
        except WebSocketDisconnected:
            # Nobody is there, or nobody reads: the socket goes with all that runs on it.
            self._drop()
        except Exception as error:  # noqa: BLE001 - the client gets an id, and the log all of it
            with suppress(WebSocketDisconnected):
                await self._end(operation, _error(operation.id, [refusal(internal(error))]))

    async def _run(self, operation: Operation[Any, Any]) -> None:
        if await self.view.identify(self.token) != self.viewer:
            await self.close(4403, CLOSE_REASONS[4403])
            return
        outlet = _Outlet(self.websocket, operation.id, self._drop)
        answers = await self.view.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=self.view.make_context(self.viewer, self.handshake, self.token),
            operation_name=operation.operation_name,
            push=outlet.push,
        )
        async with aclosing(answers):
            async for answer in answers:
                if isinstance(answer, PreExecutionError):
                    await outlet.settle()
                    await self._end(operation, _error(operation.id, answer.errors or []))
                    return
                await outlet.send(answer)
        await outlet.settle()
        await self._end(operation, {"id": operation.id, "type": "complete"})

    async def _end(self, operation: Operation[Any, Any], message: Mapping[str, Any]) -> None:
        # The id is free before the client can hear that it is.
        if self.operations.get(operation.id) is operation:
            del self.operations[operation.id]
        await self.websocket.send_json(message)

    def _drop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()


def _error(operation_id: str, errors: list[GraphQLError]) -> Any:
    return {"id": operation_id, "type": "error", "payload": [error.formatted for error in errors]}


def _too_many(limit: int) -> GraphQLError:
    return refusal(
        RequestError(
            f"At most {limit} operations may run on one socket.",
            LIMIT_EXCEEDED,
            limit="MAX_OPERATIONS_PER_SOCKET",
            maximum=limit,
        )
    )


def _fit(reason: str) -> str:
    return reason.encode("utf-8", "replace")[:_LONGEST_REASON].decode("utf-8", "ignore")
