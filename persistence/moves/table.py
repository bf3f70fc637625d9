"""The moves as data: the states that each leaves and enters, the counters that it changes, and its event.

Statements, the counters on a run's row, the database's functions, the tests over every legal and illegal move and the
pictures of the states all derive from here. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from persistence.states import (
    FINISHED_STEP_STATES,
    ApprovalKind,
    EventType,
    Retrying,
    RunState,
    SkipReason,
    StepState,
)

PENDING, READY, RUNNING, BLOCKED = StepState.PENDING, StepState.READY, StepState.RUNNING, StepState.BLOCKED
SUCCEEDED, FAILED, SKIPPED, CANCELLED = StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED


@dataclass(frozen=True, slots=True)
class Event:
    """An event's type, its message, and its metadata: from each JSON name to the value that it gets.

    `{name}` in a message, and a value of the metadata, is a column of the statement that records the event, unless it
    puts something else in its place. `{n|word|words}` is the first word for 1, else the second.
    """

    type: EventType
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Move:
    """One way for a step to change its state.

    `reason` tells apart moves that leave and enter the same states; without one it is the move for every other reason.
    `adds` are the step's counters that grow by one. `then` is an event that follows at once.
    """

    leaves: frozenset[StepState]
    enters: StepState
    event: Event
    reason: Retrying | None = None
    adds: tuple[str, ...] = ()
    then: Event | None = None


# Moves of steps

_IS_READY: Final = Event(EventType.STEP_READY, "{name} is ready")
_SUCCEEDED: Final = Event(EventType.STEP_SUCCEEDED, "{name} succeeded", {"attempt": "attempt"})
_SKIPPED: Final = Event(EventType.STEP_SKIPPED, "{name} was skipped: {why}", {"reason": "reason"})
_SENT_BACK: Final = Event(
    EventType.STEP_REDRIVEN,
    "{name} was sent back{why}",
    {"reason": "reason", "redrivenBy": "by", "execution": "execution"},
)
_DEAD_LETTER: Final = Event(
    EventType.STEP_DEAD_LETTERED, "{name} is a dead letter and waits for a person", {"attempts": "attempt"}
)
_ERROR: Final = {"code": "code", "error": "message"}
_RETRYING: Final = {
    "reason": "reason",
    "attempt": "attempt",
    **_ERROR,
    "delaySeconds": "delay",
    "nextAttemptAt": "due_at",
}

UNBLOCK: Final = Move(frozenset({PENDING}), READY, _IS_READY)
"""All that the step depends on has succeeded."""
GATE: Final = Move(frozenset({PENDING}), BLOCKED, Event(EventType.STEP_BLOCKED, "{name} waits for a person"))
"""The same, for a step that a person must approve."""
REFUSE: Final = Move(
    frozenset({PENDING}), FAILED, Event(EventType.STEP_FAILED, "{name} failed: {error}", _ERROR), then=_DEAD_LETTER
)
"""Its references lead to arguments that it can't be called with."""
SKIP: Final = Move(frozenset({PENDING}), SKIPPED, _SKIPPED)
"""A step before it failed or was skipped."""
EXPAND: Final = Move(
    frozenset({PENDING}), RUNNING, Event(EventType.STEP_RUNNING, "{name} is running", {"children": "children"})
)
"""Its list is known, and each entry has a child from now on."""
EMPTY: Final = Move(frozenset({PENDING}), SUCCEEDED, _SUCCEEDED)
"""Its list is known, and has no entry."""
START: Final = Move(
    frozenset({READY}),
    RUNNING,
    Event(EventType.STEP_RUNNING, "{name} is running{again}", {"attempt": "attempt"}),
    adds=("attempt", "calls"),
)
"""A process has taken it, and its next attempt begins."""
AGAIN: Final = " (attempt {attempt})"
"""`{again}` of a step that has been started before."""
SUCCEED: Final = Move(frozenset({RUNNING}), SUCCEEDED, _SUCCEEDED)
FAIL: Final = Move(
    frozenset({RUNNING}),
    FAILED,
    Event(EventType.STEP_FAILED, "{name} failed: {error}", {"attempt": "attempt", **_ERROR}),
    then=_DEAD_LETTER,
)
DOUBT: Final = Move(
    frozenset({RUNNING}),
    BLOCKED,
    Event(EventType.STEP_IN_DOUBT, "{name}: nobody knows whether it happened", {"attempt": "attempt", **_ERROR}),
)
RETRY: Final = Move(
    frozenset({RUNNING}),
    READY,
    Event(EventType.STEP_RETRYING, "{name} will be tried again: {error}", _RETRYING),
)
RESCUE: Final = Move(
    frozenset({RUNNING}),
    READY,
    Event(EventType.STEP_RETRYING, "{name} was lost with its process", _RETRYING),
    reason=Retrying.LOST,
)
HAND_BACK: Final = Move(
    frozenset({RUNNING}),
    READY,
    Event(EventType.STEP_RETRYING, "{name} was handed back", _RETRYING),
    reason=Retrying.HANDED_BACK,
)
RELEASE: Final = Move(frozenset({BLOCKED}), READY, _IS_READY)
"""A person approved it, or said that its call did not happen."""
CONFIRM: Final = Move(frozenset({BLOCKED}), SUCCEEDED, _SUCCEEDED)
"""A person said that its call happened."""
DROP: Final = Move(frozenset({BLOCKED}), SKIPPED, _SKIPPED)
"""A person said no, left it, or did not decide in time."""
CANCEL: Final = Move(
    frozenset({PENDING, READY, RUNNING, BLOCKED}),
    CANCELLED,
    Event(EventType.STEP_CANCELLED, "{name} was cancelled", {"wasRunning": "was_running"}),
)
REDRIVE: Final = Move(frozenset({FAILED}), READY, _SENT_BACK)
REDRIVE_GATED: Final = Move(frozenset({FAILED}), BLOCKED, _SENT_BACK)
REOPEN: Final = Move(frozenset({FAILED}), RUNNING, Event(EventType.STEP_REDRIVEN, "{name} came back with its steps"))
"""The last of its children that had failed was redriven."""
RESTORE: Final = Move(frozenset({SKIPPED}), PENDING, Event(EventType.STEP_REDRIVEN, "{name} came back with it"))
"""The step before it, whose failure skipped it, was redriven."""

MOVES: Final = (
    UNBLOCK,
    GATE,
    REFUSE,
    SKIP,
    EXPAND,
    EMPTY,
    START,
    SUCCEED,
    FAIL,
    DOUBT,
    RETRY,
    RESCUE,
    HAND_BACK,
    RELEASE,
    CONFIRM,
    DROP,
    CANCEL,
    REDRIVE,
    REDRIVE_GATED,
    REOPEN,
    RESTORE,
)
"""All of them. Nothing else ever happens to a step."""

STEP_MOVES: Final[dict[StepState, frozenset[StepState]]] = {
    state: frozenset(move.enters for move in MOVES if state in move.leaves) for state in StepState
}
"""From a state, the states that may follow."""

SKIPPED_BECAUSE: Final = {
    SkipReason.REJECTED: "a person said no",
    SkipReason.APPROVAL_EXPIRED: "nobody decided in time",
    SkipReason.ABANDONED: "a person left it",
    SkipReason.CONDITION_FALSE: "its condition did not hold",
    SkipReason.DEPENDENCY_FAILED: "a step before it failed",
    SkipReason.DEPENDENCY_SKIPPED: "a step before it was skipped",
}
"""`{why}` of a skipped step."""

# Moves of approvals

ASKED: Final = {
    kind: Event(
        EventType.APPROVAL_REQUIRED,
        message,
        {"kind": "kind", "riskLevel": "level", "argsDigest": "digest", "expiresAt": "expires_at"},
    )
    for kind, message in {
        ApprovalKind.EXECUTE: "A person must approve exactly these arguments",
        ApprovalKind.IN_DOUBT: "A person must say whether the call happened",
    }.items()
}
WITHDRAWN: Final = Event(EventType.APPROVAL_CANCELLED, "The approval is no longer needed")
IN_DOUBT_REASON: Final = "Nobody knows whether this call of {tool} happened: {message}"
"""Why a person is asked about a call in doubt."""

# Moves of runs

RUN_MOVES: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.QUEUED: frozenset({RunState.PLANNING, RunState.CANCELLED}),
    RunState.PLANNING: frozenset(
        {RunState.QUEUED, RunState.EXECUTING, RunState.WAITING_APPROVAL, RunState.FAILED, RunState.CANCELLED}
    ),
    RunState.EXECUTING: frozenset({RunState.WAITING_APPROVAL, RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED}),
    RunState.WAITING_APPROVAL: frozenset({RunState.EXECUTING, RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED}),
    RunState.FAILED: frozenset({RunState.EXECUTING, RunState.WAITING_APPROVAL}),
    RunState.COMPLETED: frozenset(),
    RunState.CANCELLED: frozenset(),
}
"""From a run's state, the states that may follow. Most follow from its steps' states."""

RECORDED: Final = Event(EventType.WORKFLOW_STARTED, "The workflow is recorded", {"intent": "intent"})
PLANNED: Final = Event(EventType.WORKFLOW_PLANNED, "Planned {steps} {steps|step|steps}", {"steps": "steps"})
UNPLANNABLE: Final = Event(
    EventType.WORKFLOW_FAILED, "The workflow failed: {message}", {"outcome": "outcome", **_ERROR}
)
WAITING: Final = Event(EventType.WORKFLOW_WAITING_APPROVAL, "Waiting for a person")
RESUMED: Final = Event(EventType.WORKFLOW_RESUMED, "Going on")
RUN_FAILED: Final = Event(
    EventType.WORKFLOW_FAILED,
    "The workflow failed: {failed} {failed|step|steps} could not be done",
    {"outcome": "outcome"},
)
RUN_COMPLETE: Final = Event(EventType.WORKFLOW_COMPLETE, "The workflow is complete", {"outcome": "outcome"})
RUN_COMPLETE_IN_PART: Final = Event(
    EventType.WORKFLOW_COMPLETE,
    "The workflow is complete; {skipped} of its steps {skipped|was|were} skipped",
    {"outcome": "outcome"},
)
RUN_CANCELLED: Final = Event(
    EventType.WORKFLOW_CANCELLED, "The workflow was cancelled{why}", {"reason": "reason", "cancelledBy": "by"}
)
RUN_ERROR: Final = "{failed} of {steps} steps failed"
"""A failed run's error message."""

# Groups of states

OPEN: Final = tuple(state for state in StepState if state not in FINISHED_STEP_STATES)
"""A run with steps in any of these has not ended."""
MOVING: Final = (READY, RUNNING)
"""A run with steps in any of these goes on without a person."""
UNBLOCKED: Final = (READY, RUNNING, BLOCKED)
"""A step in any of these waits for no other step: its arguments are known."""


def entered(moves: tuple[Move, ...]) -> tuple[StepState, ...]:
    """The states that any of these moves enters."""
    return tuple(state for state in StepState if any(move.enters == state for move in moves))


def touched(moves: tuple[Move, ...]) -> tuple[StepState, ...]:
    """The states that any of these moves leaves or enters: the counters on a run's row that may change."""
    return tuple(state for state in StepState if any(state in {*move.leaves, move.enters} for move in moves))
