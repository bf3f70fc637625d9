"""The words and the moves that every layer shares: pure, no I/O.

Every change of a step's state is one of `STEP_MOVES`; the SQL of `transitions` and `claims`, the
GraphQL enums, the tests over every legal and illegal move and the picture in the README derive from here.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final


class Risk(IntEnum):
    """How dangerous a step is, from safe reads (L0) to high-risk external writes (L3)."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    PLANNING = "PLANNING"
    EXECUTING = "EXECUTING"
    WAITING_APPROVAL = "WAITING_APPROVAL"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RunOutcome(StrEnum):
    """How an ended run ended. PARTIAL: nothing failed, but a step was rejected, expired or left."""

    CLEAN = "CLEAN"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "PENDING"
    READY = "READY"
    RUNNING = "RUNNING"
    BLOCKED = "BLOCKED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class SkipReason(StrEnum):
    """Why a step was skipped."""

    REJECTED = "REJECTED"
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    DEPENDENCY_SKIPPED = "DEPENDENCY_SKIPPED"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    CONDITION_FALSE = "CONDITION_FALSE"
    ABANDONED = "ABANDONED"


class ApprovalStatus(StrEnum):
    """Where an approval stands; every status but REQUIRED is final."""

    REQUIRED = "REQUIRED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class ApprovalKind(StrEnum):
    """What a person is asked: EXECUTE, may this step run; IN_DOUBT, did this call happen."""

    EXECUTE = "EXECUTE"
    IN_DOUBT = "IN_DOUBT"


class ApprovalDecision(StrEnum):
    """What a person answers to an EXECUTE approval."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class InDoubtResolution(StrEnum):
    """What a person says of a call that nobody knows the end of."""

    HAPPENED = "HAPPENED"
    DID_NOT_HAPPEN = "DID_NOT_HAPPEN"
    ABANDON = "ABANDON"


class ToolCallStatus(StrEnum):
    """How far one call of a tool got."""

    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    IN_DOUBT = "IN_DOUBT"


class Role(StrEnum):
    """What a user may do."""

    SUBMITTER = "SUBMITTER"
    APPROVER = "APPROVER"
    ADMIN = "ADMIN"


class EventType(StrEnum):
    """What happened in a run, one word an event."""

    WORKFLOW_STARTED = "WORKFLOW_STARTED"
    WORKFLOW_PLANNED = "WORKFLOW_PLANNED"
    STEP_READY = "STEP_READY"
    STEP_RUNNING = "STEP_RUNNING"
    STEP_SUCCEEDED = "STEP_SUCCEEDED"
    STEP_RETRYING = "STEP_RETRYING"
    STEP_FAILED = "STEP_FAILED"
    STEP_BLOCKED = "STEP_BLOCKED"
    STEP_SKIPPED = "STEP_SKIPPED"
    STEP_CANCELLED = "STEP_CANCELLED"
    STEP_IN_DOUBT = "STEP_IN_DOUBT"
    STEP_DEAD_LETTERED = "STEP_DEAD_LETTERED"
    STEP_REDRIVEN = "STEP_REDRIVEN"
    APPROVAL_REQUIRED = "APPROVAL_REQUIRED"
    APPROVAL_APPROVED = "APPROVAL_APPROVED"
    APPROVAL_REJECTED = "APPROVAL_REJECTED"
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    APPROVAL_CANCELLED = "APPROVAL_CANCELLED"
    WORKFLOW_WAITING_APPROVAL = "WORKFLOW_WAITING_APPROVAL"
    WORKFLOW_RESUMED = "WORKFLOW_RESUMED"
    WORKFLOW_COMPLETE = "WORKFLOW_COMPLETE"
    WORKFLOW_FAILED = "WORKFLOW_FAILED"
    WORKFLOW_CANCELLED = "WORKFLOW_CANCELLED"


class Retrying(StrEnum):
    """Why a RUNNING step went back to READY: `metadata.reason` of STEP_RETRYING."""

    FAILED = "FAILED"
    LOST = "LOST"
    HANDED_BACK = "HANDED_BACK"


STEP_MOVES: Final[dict[StepState, frozenset[StepState]]] = {
    StepState.PENDING: frozenset(
        {StepState.READY, StepState.BLOCKED, StepState.SKIPPED, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.BLOCKED: frozenset({StepState.READY, StepState.SUCCEEDED, StepState.SKIPPED, StepState.CANCELLED}),
    StepState.READY: frozenset({StepState.RUNNING, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {StepState.SUCCEEDED, StepState.FAILED, StepState.READY, StepState.BLOCKED, StepState.CANCELLED}
    ),
    StepState.FAILED: frozenset({StepState.READY, StepState.BLOCKED}),
    StepState.SKIPPED: frozenset({StepState.PENDING}),
    StepState.SUCCEEDED: frozenset(),
    StepState.CANCELLED: frozenset(),
}
"""The table of moves: from a state, the states that may follow. Nothing else ever happens to a step."""

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

FINISHED_STEP_STATES: Final = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED})
FINISHED_RUN_STATES: Final = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})
RUN_STATES: Final = {state.value: state for state in RunState}
"""By their names: looked up, they cost a tenth of `RunState(name)`."""
ENDING_EVENTS: Final = frozenset({EventType.WORKFLOW_COMPLETE, EventType.WORKFLOW_FAILED, EventType.WORKFLOW_CANCELLED})
"""A timeline subscription may end after one of these, if nothing later is recorded."""
