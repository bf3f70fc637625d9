"""What can go wrong between a program and a Life OS server."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError
from websockets.exceptions import ConnectionClosed

from .generated.fragments import UserErrorFields

# What a close code says about trying again: these won't change by it, all others may.
_FINAL_CLOSES: Final[Mapping[int, str]] = {
    1009: "LIMIT_EXCEEDED",
    4400: "BAD_USER_INPUT",
    4401: "UNAUTHENTICATED",
    4403: "UNAUTHENTICATED",
    4406: "BAD_USER_INPUT",
    4409: "BAD_USER_INPUT",
    4429: "LIMIT_EXCEEDED",
}


class _Fault(BaseModel):
    message: str
    extensions: dict[str, Any] = {}


_FAULTS: Final = TypeAdapter(list[_Fault])


class LifeOSError(Exception):
    """The server answered with an error; `code` says of which kind (`UNAUTHENTICATED`, `NOT_FOUND`, …)."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Unavailable(LifeOSError):
    """The server was not reached, or can't answer now. What was asked may have happened; asking again may help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "UNAVAILABLE")


class Rejected(LifeOSError):
    """A mutation changed nothing; `errors` say what was wrong with its input."""

    def __init__(self, errors: Sequence[UserErrorFields]) -> None:
        super().__init__("; ".join(error.message for error in errors), errors[0].code if errors else "INTERNAL")
        self.errors = tuple(errors)


def error_of(errors: object) -> LifeOSError:
    """What the `errors` of an answer say."""
    try:
        first = _FAULTS.validate_python(errors)[0]
    except (ValidationError, IndexError):
        return LifeOSError("this is no answer of a Life OS server", "INTERNAL")
    code = str(first.extensions.get("code", "INTERNAL"))
    return Unavailable(first.message) if code == "UNAVAILABLE" else LifeOSError(first.message, code)


def error_of_close(closed: ConnectionClosed) -> LifeOSError:
    """What the end of a socket says."""
    # Without a close frame from the other side, it is what RFC 6455 calls 1006.
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")
    message = f"the server closed the socket: {code} {reason}".rstrip()
    return LifeOSError(message, _FINAL_CLOSES[code]) if code in _FINAL_CLOSES else Unavailable(message)
