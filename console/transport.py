"""One GraphQL operation over HTTP, repeated while the server can't answer and repeating is harmless."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

import httpx

from console.delays import growing_delays
from console.errors import ConnectionLost, ConsoleError, NotLifeOS, Refused, ServerUnreachable
from console.settings import Address

UNAVAILABLE: Final = "UNAVAILABLE"

_ACCEPT: Final = "application/graphql-response+json, application/json;q=0.9"
# The server answers within its own REQUEST_TIMEOUT_SECONDS, 10 by default.
_TIMEOUT: Final = httpx.Timeout(30, connect=5)
# A proxy's word for a server that is away.
_GATEWAY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class Transport:
    """The HTTP side of a client; use it as an asynchronous context manager.

    `reached` says whether the server has ever answered. One that has is expected to come back; where none ever
    did, waiting would only hide a wrong address.
    """

    def __init__(self, address: Address, *, patience_seconds: float) -> None:
        self.url = address.url
        self.reached = False
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            headers={"Accept": _ACCEPT, "Authorization": f"Bearer {address.token}"},
            timeout=_TIMEOUT,
            trust_env=not is_local(address.url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def execute(self, document: str, variables: Mapping[str, Any], *, repeatable: bool) -> dict[str, Any]:
        """The operation's `data`.

        Refused, ServerUnreachable, ConnectionLost or NotLifeOS say why there is none. Only what is `repeatable` is
        sent again once it may have arrived; all of it ends when the patience does.
        """
        patient_until = monotonic() + self._patience_seconds
        for delay in growing_delays(0.1, 2.0):
            try:
                return await self._send(document, variables)
            except ConsoleError as error:
                if not self._may_try_again(error, repeatable=repeatable) or monotonic() + delay > patient_until:
                    raise
            await asyncio.sleep(delay)
        raise AssertionError("the delays never end")

    def _may_try_again(self, error: ConsoleError, *, repeatable: bool) -> bool:
        match error:
            case ServerUnreachable():
                return self.reached  # nothing was sent
            case ConnectionLost():
                return repeatable
            case Refused(code=code):
                return repeatable and code == UNAVAILABLE
            case _:
                return False

    async def _send(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._http.post(f"{self.url}/graphql", json={"query": document, "variables": variables})
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ServerUnreachable(self.url, reason_of(error)) from error
        except httpx.TransportError as error:
            raise ConnectionLost(self.url, reason_of(error)) from error
        except httpx.HTTPError as error:
            raise NotLifeOS(self.url, reason_of(error)) from error
        body = _json_object(answer)
        if body is None or not ("data" in body or "errors" in body):
            if answer.status_code in _GATEWAY:
                raise Refused(UNAVAILABLE, f"{self.url} answers HTTP {answer.status_code}")
            raise NotLifeOS(self.url, f"HTTP {answer.status_code} {answer.reason_phrase}".strip())
        self.reached = True
        if body.get("errors"):
            raise refusal(body["errors"], retry_after=answer.headers.get("Retry-After"))
        return cast("dict[str, Any]", body["data"])


def refusal(errors: object, *, retry_after: str | None = None) -> Refused:
    """The first of a GraphQL answer's `errors` as an exception."""
    first = _mapping(cast("list[object]", errors)[0]) if isinstance(errors, list) and errors else {}
    extensions = _mapping(first.get("extensions"))
    error_id = extensions.get("id")
    return Refused(
        str(extensions.get("code", "INTERNAL")),
        str(first.get("message", "the server gave no reason")),
        error_id=None if error_id is None else str(error_id),
        retry_after=retry_after,
    )


def reason_of(error: BaseException) -> str:
    """An exception's own words on one line, or its kind where it has none."""
    words = " ".join(str(error).split())
    if "All connection attempts failed" in words or isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return words or type(error).__name__


def is_local(url: str) -> bool:
    """Whether an address is this machine's own, to which no proxy leads."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1", "0.0.0.0"} or host.startswith("127.")  # noqa: S104 - compared, not bound


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _json_object(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body: object = answer.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None
