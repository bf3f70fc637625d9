"""From an HTTP request to the operation it asks for, or to a refusal with a status and a code."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from starlette.requests import ClientDisconnect, Request

from schema.edge.http.settings import HttpSettings
from schema.fast.eager import in_time
from schema.shared.faults import BAD_USER_INPUT, LIMIT_EXCEEDED, NO_QUERY, RequestError
from schema.shared.jsontext import decode

__all__ = ["Asked", "HttpError", "check_before_reading", "operation_from", "read_operation"]

_PARAMETERS: Final = ("query", "operationName", "variables", "extensions")


class HttpError(RequestError):
    """A refusal of the request itself, with the HTTP status that says so."""

    def __init__(
        self, status: int, message: str, code: str = BAD_USER_INPUT, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, code)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Asked:
    """The operation that a request asks for; nothing in it is checked against the schema yet.

    The query is empty where none was given: over a socket that is a faulty document, as any other that can't be run.
    """

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None


def check_before_reading(request: Request, settings: HttpSettings) -> None:
    """Refuse what can be refused by the head alone: the method, the content type, the announced length.

    Only `application/json` is taken, because a page of another origin can't
    send it without asking first. A compressed body is not: a few bytes may
    unpack to gigabytes.
    """
    if request.method not in ("GET", "POST"):
        raise HttpError(405, "Operations are sent by GET or POST.", headers={"Allow": "GET, POST"})
    if request.method == "GET":
        return
    if not _is_json(request.headers.get("content-type", "")):
        raise HttpError(415, "The content type has to be application/json, in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpError(415, "The body can't be compressed.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > settings.max_body_bytes:
        raise _too_large(settings)


async def read_operation(request: Request, settings: HttpSettings, deadline: float) -> Asked:
    """The operation in the request's body or address, if it is here by `deadline` (the loop's time)."""
    if request.method == "GET":
        return _with_query(operation_from(_from_address(request)))
    try:
        body = await in_time(deadline, _read_body(request, settings))
    except TimeoutError:
        raise HttpError(408, "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise HttpError(400, "The body ended early.") from None
    return _with_query(operation_from(_decode(body)))


def _with_query(asked: Asked) -> Asked:
    if not asked.query:
        raise HttpError(400, NO_QUERY)
    return asked


def operation_from(parameters: object) -> Asked:
    """The operation in a decoded JSON object, as in a POST's body or a `subscribe` message's payload."""
    if not isinstance(parameters, dict):
        what = "Batches are not supported: send" if isinstance(parameters, list) else "Send"
        raise HttpError(400, f"{what} one JSON object with the operation.")
    given = cast("dict[str, Any]", parameters)
    query, name, variables, extensions = (given.get(each) for each in _PARAMETERS)
    if query is not None and not isinstance(query, str):
        raise HttpError(400, "query has to be a string.")
    if name is not None and not isinstance(name, str):
        raise HttpError(400, "operationName has to be a string or null.")
    if variables is not None and not isinstance(variables, dict):
        raise HttpError(400, "variables has to be an object or null.")
    if extensions is not None and not isinstance(extensions, dict):
        raise HttpError(400, "extensions has to be an object or null.")
    return Asked(query or "", name or None, cast("dict[str, Any] | None", variables))


@lru_cache(maxsize=16)
def _is_json(content_type: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((each[8:].strip('"') for each in parameters if each.startswith("charset=")), "utf-8")
    return media_type == "application/json" and charset in ("utf-8", "utf8")


async def _read_body(request: Request, settings: HttpSettings) -> bytes:
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > settings.max_body_bytes:
            raise _too_large(settings)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(settings: HttpSettings) -> HttpError:
    return HttpError(
        413,
        f"The body is too large: at most {settings.max_body_bytes} bytes are allowed (MAX_BODY_BYTES).",
        LIMIT_EXCEEDED,
    )


def _from_address(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {name: request.query_params.get(name) for name in _PARAMETERS}
    for name in ("variables", "extensions"):
        text = given[name]
        given[name] = _decode(text.encode("utf-8", "surrogatepass")) if text else None
    return given


def _decode(text: bytes) -> Any:
    try:
        return decode(text)
    except RequestError as error:
        raise HttpError(400, error.message, error.code) from None
