"""The values that a move is given: outcomes, resolved arguments, notes of decisions, claimer and gate policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from persistence.states import EventType, StepState, ToolCallStatus


class Outcome(NamedTuple):
    """The outcome of one step that is RUNNING (fenced by attempt and owner) or BLOCKED (its owner is None).

    `leaves` and `enters` are a move of the table; `reason` is a `Retrying` or `SkipReason`.
    `call` is how the tool call of that attempt ended, None to leave it. `result` is JSON text; `error_*` say what went
    wrong; `delay_seconds` postpones the next attempt; `uncounted`: the call was not made, and
    uses up no attempt. `notices` are kept by `keep_notices`, in the same transaction.
    """

    run: UUID
    position: int
    attempt: int
    leaves: StepState
    enters: StepState
    owner: UUID | None = None
    reason: str | None = None
    call: ToolCallStatus | None = None
    result: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    delay_seconds: float = 0
    uncounted: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The arguments (JSON text) that a step with references will be called with, or why there are none."""

    run: UUID
    position: int
    args: str | None = None
    digest: str | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """An event that stands before the step's own: the decision that moved it. `metadata` is JSON text."""

    run: UUID
    type: EventType
    position: int | None
    approval: UUID | None
    message: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Claimer:
    """The worker that takes what becomes ready, and how many steps at most. No worker: everything stays READY."""

    worker: UUID | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How long a new approval may stay undecided; None: for ever."""

    approval_timeout_seconds: float | None = None


NOBODY: Final = Claimer()
NO_EXPIRY: Final = GatePolicy()
