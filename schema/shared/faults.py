"""What a client reads when something goes wrong: one shape and one code for every error.

A `RequestError` says what it says. An unforeseen error is shown as an id
alone, and the log has the rest under that id.
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from graphql.language import ArgumentNode, ValueNode

__all__ = [
    "BAD_USER_INPUT",
    "FORBIDDEN",
    "GRAPHQL_VALIDATION_FAILED",
    "INTERNAL",
    "LIMIT_EXCEEDED",
    "NOT_FOUND",
    "NO_QUERY",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "RequestError",
    "internal",
    "present",
    "refusal",
    "unavailable",
]

UNAUTHENTICATED: Final = "UNAUTHENTICATED"
FORBIDDEN: Final = "FORBIDDEN"
NOT_FOUND: Final = "NOT_FOUND"
BAD_USER_INPUT: Final = "BAD_USER_INPUT"
GRAPHQL_VALIDATION_FAILED: Final = "GRAPHQL_VALIDATION_FAILED"
LIMIT_EXCEEDED: Final = "LIMIT_EXCEEDED"
UNAVAILABLE: Final = "UNAVAILABLE"
INTERNAL: Final = "INTERNAL"

NO_QUERY: Final = "The request holds no query."

_log = structlog.get_logger(__name__)


class RequestError(Exception):
    """An error that is meant for the client: its message and code are shown as they are.

    `extensions` are added beside the code. With `retry_after_seconds` an HTTP
    answer without data is a 429 with `Retry-After`.
    """

    def __init__(self, message: str, code: str, *, retry_after_seconds: float | None = None, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retry_after_seconds = retry_after_seconds
        self.extensions: Mapping[str, Any] = extensions


def present(
    error: GraphQLError,
    *,
    unavailable_types: tuple[type[BaseException], ...] = (),
    refusals: Mapping[type[BaseException], RequestError] | None = None,
    otherwise: str = INTERNAL,
) -> GraphQLError:
    """The error as the client may see it: it carries a code and nothing of our insides.

    `refusals` gives the client's message for an exception that is no fault of ours.

    `otherwise` is the code of an error that only graphql-core knows about: it
    depends on the phase. What turns out to be our own fault is logged here, so
    present each error once.
    """
    cause = _cause(error)
    if isinstance(cause, RequestError):
        return refusal(cause, error)
    if refusals is not None and type(cause) in refusals:
        return refusal(refusals[type(cause)], error)
    if isinstance(cause, (*unavailable_types, TimeoutError)):
        _log.warning("unavailable", path=error.path, error=type(cause).__name__)
        return refusal(unavailable(), error)
    code = _code(cause, otherwise)
    if code == INTERNAL:
        return refusal(internal(cause, path=error.path), error)
    # Where a scalar or an enum refused a value, graphql-core's sentence about it is the outer one.
    said = cause if isinstance(cause, GraphQLError) else error
    return _like(error, said.message, {**(said.extensions or {}), "code": code})


def _code(cause: BaseException, otherwise: str) -> str:
    if not isinstance(cause, GraphQLError):
        return INTERNAL if otherwise == INTERNAL else BAD_USER_INPUT
    if "code" in (cause.extensions or {}):
        return str((cause.extensions or {})["code"])
    if isinstance(cause, GraphQLSyntaxError):
        return GRAPHQL_VALIDATION_FAILED
    return BAD_USER_INPUT if otherwise == INTERNAL and _is_about_a_value(cause) else otherwise


def refusal(cause: RequestError, error: GraphQLError | None = None) -> GraphQLError:
    """`cause` as a GraphQL error, at the place of `error` if there is one."""
    return _like(error, cause.message, {"code": cause.code, **cause.extensions}, cause)


def unavailable() -> RequestError:
    """The answer while the database can't be reached, or takes too long."""
    return RequestError(
        "The database can't be reached or did not answer in time. Repeat the request; "
        "a change it asked for may or may not have happened.",
        UNAVAILABLE,
    )


def internal(cause: BaseException, **facts: object) -> RequestError:
    """The masked answer to what should not have happened; `cause` goes to the log with its traceback."""
    fault_id = secrets.token_hex(8)
    _log.error("request_failed", id=fault_id, **facts, exc_info=cause)
    return RequestError("Something went wrong on our side.", INTERNAL, id=fault_id)


def _cause(error: GraphQLError) -> BaseException:
    """What was raised in the first place, below graphql-core's wrappings."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_about_a_value(error: GraphQLError) -> bool:
    return error.message.startswith("Argument '") or (
        error.nodes is not None and isinstance(error.nodes[0], ArgumentNode | ValueNode)
    )


def _like(
    error: GraphQLError | None, message: str, extensions: dict[str, Any], cause: RequestError | None = None
) -> GraphQLError:
    if error is None:
        return GraphQLError(message, extensions=extensions, original_error=cause)
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        original_error=cause,
        extensions=extensions,
    )
