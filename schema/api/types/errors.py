"""The one table from what the engine refuses to what stands among a payload's errors."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import strawberry

from engine.errors import (
    AlreadyDecided,
    ArgsChanged,
    EngineError,
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    InvalidPlan,
    InvalidState,
    NotFound,
    TooMuch,
    UnplannableIntent,
)
from schema.api.types.base import described
from schema.api.types.enums import ErrorCode
from schema.fast.scalars import write_time
from schema.shared.visible import visible

__all__ = ["UserError", "user_errors"]


@strawberry.type(description="What was wrong with a mutation's input. Nothing was changed.")
class UserError:
    code: ErrorCode = described("Of which kind it is, for programs.")
    message: str = described("What was wrong, for people.")
    path: list[str] | None = described("Where in the input, from its root; null if it is about no part of it.")

    def __init__(self, code: ErrorCode, message: str, path: Sequence[str | int] = ()) -> None:
        self.code = code
        self.message = _sentence(message)
        self.path = [str(part) for part in path] or None


_PLAIN_WORD: Final = re.compile(r"[^\W\d_]+(?=[\s,;:.’']|$)")
"""A word that stands at the beginning, and no name out of a plan or an expression, like `sort_by(` or `a.b`."""


def _sentence(text: str) -> str:
    """The engine names faults in a few words; people read sentences. Names keep their letters as they are."""
    text = visible(text)
    if _PLAIN_WORD.match(text):
        text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def user_errors(error: EngineError, *, about: Sequence[str] = ()) -> list[UserError]:
    """The errors for the client; `about` is the path of the input's id, for errors about what it names."""
    for kind, tell in _TABLE.items():
        if isinstance(error, kind):
            return tell(error, tuple(about))
    # An engine error without a row here is a fault of ours, and answered like one.
    raise error


Path = tuple[str | int, ...]


def _invalid_input(error: InvalidInput, about: Path) -> list[UserError]:
    del about
    return [UserError(ErrorCode.INVALID_INPUT, fault.message, fault.path) for fault in error.faults]


def _invalid_plan(error: InvalidPlan, about: Path) -> list[UserError]:
    del about
    return [
        UserError(ErrorCode.UNKNOWN_TOOL if fault.unknown_tool else ErrorCode.INVALID_PLAN, fault.message, fault.path)
        for fault in error.faults
    ]


def _unplannable(error: UnplannableIntent, about: Path) -> list[UserError]:
    del about
    return [UserError(ErrorCode.UNPLANNABLE_INTENT, error.message, ("intent",))]


def _too_much(error: TooMuch, about: Path) -> list[UserError]:
    del about
    return [UserError(ErrorCode.LIMIT_EXCEEDED, str(error), error.path)]


def _not_found(error: NotFound, about: Path) -> list[UserError]:
    return [UserError(ErrorCode.NOT_FOUND, str(error), error.path or about)]


def _forbidden(error: Forbidden, about: Path) -> list[UserError]:
    return [UserError(ErrorCode.FORBIDDEN, f"You may not do this: it takes {error.need}", about)]


def _conflict(error: IdempotencyConflict, about: Path) -> list[UserError]:
    del error, about
    message = "You used this idempotency key before, with another input. Nothing was started."
    return [UserError(ErrorCode.IDEMPOTENCY_CONFLICT, message, ("idempotencyKey",))]


def _already_decided(error: AlreadyDecided, about: Path) -> list[UserError]:
    by = f" by {error.decided_by}" if error.decided_by else ""
    at = f" at {write_time(error.decided_at)}" if error.decided_at else ""
    message = f"The approval is {error.status} already{',' if by or at else ''}{by}{at}; that stands."
    return [UserError(ErrorCode.ALREADY_DECIDED, message, about)]


def _args_changed(error: ArgsChanged, about: Path) -> list[UserError]:
    del about
    message = (
        f"The arguments that would run have the digest {error.actual}, not {error.expected}. Look again, then decide."
    )
    return [UserError(ErrorCode.ARGS_CHANGED, message, ("argsDigest",))]


def _invalid_state(error: InvalidState, about: Path) -> list[UserError]:
    return [UserError(ErrorCode.INVALID_STATE, error.why, about)]


_TABLE: Final[dict[type[EngineError], Callable[[Any, Path], list[UserError]]]] = {
    InvalidInput: _invalid_input,
    InvalidPlan: _invalid_plan,
    UnplannableIntent: _unplannable,
    TooMuch: _too_much,
    NotFound: _not_found,
    Forbidden: _forbidden,
    IdempotencyConflict: _conflict,
    AlreadyDecided: _already_decided,
    ArgsChanged: _args_changed,
    InvalidState: _invalid_state,
}
