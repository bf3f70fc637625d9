"""One subscription over one WebSocket, by the graphql-transport-ws protocol."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from console.errors import ConnectionLost, NotLifeOS, Refused, ServerUnreachable
from console.settings import Address
from console.transport import UNAVAILABLE, is_local, reason_of, refusal

_PROTOCOL: Final = Subprotocol("graphql-transport-ws")
_ACKNOWLEDGED_WITHIN_SECONDS: Final = 10
_LARGEST_MESSAGE_BYTES: Final = 16 * 2**20

# What a close code says about trying again: these won't change by it. All others may.
_FINAL_CLOSES: Final[Mapping[int, str]] = {
    1009: "LIMIT_EXCEEDED",
    4400: "BAD_USER_INPUT",
    4401: "UNAUTHENTICATED",
    4403: "UNAUTHENTICATED",
    4406: "BAD_USER_INPUT",
    4409: "BAD_USER_INPUT",
    4429: "LIMIT_EXCEEDED",
}


async def subscribe(
    address: Address, document: str, variables: Mapping[str, Any], *, on_open: Callable[[], None]
) -> AsyncGenerator[dict[str, Any]]:
    """The `data` of each of a subscription's results, until the server completes it.

    `on_open` is called once the server has let us in. ServerUnreachable and ConnectionLost mean that asking again
    may help; Refused and NotLifeOS that it won't.
    """
    socket = await _open(address)
    try:
        await _sign_in(socket, address)
        on_open()
        await _tell(socket, {"type": "subscribe", "id": "1", "payload": {"query": document, "variables": variables}})
        while (result := await _next_result(socket, address)) is not None:
            yield result
    except ConnectionClosed as closed:
        raise _reason_for(closed, address.url) from closed
    finally:
        # By hand, as `async with` tells the server of an internal error when a reader leaves early.
        await socket.close()


async def _open(address: Address) -> ClientConnection:
    url = address.url
    try:
        return await connect(
            f"ws{url.removeprefix('http')}/graphql",
            subprotocols=[_PROTOCOL],
            max_size=_LARGEST_MESSAGE_BYTES,
            # A server that is gone does not say goodbye either.
            close_timeout=2,
            proxy=None if is_local(url) else True,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if status >= 500:
            raise ConnectionLost(url, f"HTTP {status}") from error
        if status in {401, 403}:
            code = "UNAUTHENTICATED" if status == 401 else "FORBIDDEN"
            raise Refused(code, f"{url} lets no socket in (HTTP {status})") from error
        raise NotLifeOS(url, f"HTTP {status} to a WebSocket") from error
    except InvalidMessage as error:
        raise ConnectionLost(url, reason_of(error)) from error
    except WebSocketException as error:
        raise NotLifeOS(url, reason_of(error)) from error
    except (OSError, TimeoutError) as error:
        raise ServerUnreachable(url, reason_of(error)) from error


async def _sign_in(socket: ClientConnection, address: Address) -> None:
    if socket.subprotocol != _PROTOCOL:
        raise NotLifeOS(address.url, f"its WebSocket does not speak {_PROTOCOL}")
    await _tell(socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {address.token}"}})
    try:
        async with asyncio.timeout(_ACKNOWLEDGED_WITHIN_SECONDS):
            while (message := await _hear(socket, address)).get("type") != "connection_ack":
                if message.get("type") == "ping":
                    await _tell(socket, {"type": "pong"})
    except TimeoutError as error:
        raise ConnectionLost(address.url, "no acknowledgement in time") from error


async def _next_result(socket: ClientConnection, address: Address) -> dict[str, Any] | None:
    while True:
        message = await _hear(socket, address)
        payload = message.get("payload")
        match message.get("type"):
            case "next" if isinstance(payload, dict):
                result = cast("dict[str, Any]", payload)
                if result.get("errors"):
                    raise _refusal_or_loss(result["errors"], address)
                return cast("dict[str, Any]", result["data"])
            case "error":
                raise _refusal_or_loss(payload, address)
            case "complete":
                return None
            case "ping":
                await _tell(socket, {"type": "pong"})
            case _:
                pass


def _refusal_or_loss(errors: object, address: Address) -> Refused | ConnectionLost:
    refused = refusal(errors)
    return ConnectionLost(address.url, str(refused)) if refused.code == UNAVAILABLE else refused


def _reason_for(closed: ConnectionClosed, url: str) -> ConnectionLost | Refused:
    # Without a close frame from the other side, it is what RFC 6455 calls 1006.
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")
    if code in _FINAL_CLOSES:
        return Refused(_FINAL_CLOSES[code], f"the server closed the socket ({code} {reason})".replace(" )", ")"))
    return ConnectionLost(url, f"closed with {code} {reason}".strip())


async def _tell(socket: ClientConnection, message: Mapping[str, Any]) -> None:
    await socket.send(json.dumps(message))


async def _hear(socket: ClientConnection, address: Address) -> dict[str, Any]:
    text = await socket.recv()
    try:
        message: object = json.loads(text)
    except ValueError as error:
        raise NotLifeOS(address.url, "a message that is not JSON") from error
    if not isinstance(message, dict):
        raise NotLifeOS(address.url, "a message that is no object")
    return cast("dict[str, Any]", message)
