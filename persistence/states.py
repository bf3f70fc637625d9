"""The words that every layer shares: pure, no I/O.

How states follow each other is in `persistence.moves.table`.
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


class Trust(IntEnum):
    """How much of a value others decide: nothing (PLAN), which of ours it is (CHOSEN), what it says (OUTSIDE)."""

    PLAN = 0
    CHOSEN = 1
    OUTSIDE = 2


class OriginKind(StrEnum):
    """What a value of a step's arguments comes from."""

    PLAN = "PLAN"
    RESULT = "RESULT"
    SECRET = "SECRET"  # noqa: S105 - a kind of origin
    DEFAULT = "DEFAULT"
    EDIT = "EDIT"
    MODEL = "MODEL"


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
    """The question to a person: EXECUTE, may this step run; IN_DOUBT, did this call happen."""

    EXECUTE = "EXECUTE"
    IN_DOUBT = "IN_DOUBT"


class ApprovalDecision(StrEnum):
    """A person's answer to an EXECUTE approval."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class InDoubtResolution(StrEnum):
    """A person's answer about a call whose end nobody knows."""

    HAPPENED = "HAPPENED"
    DID_NOT_HAPPEN = "DID_NOT_HAPPEN"
    ABANDON = "ABANDON"


class ToolCallStatus(StrEnum):
    """How far one call of a tool got."""

    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    IN_DOUBT = "IN_DOUBT"


class UserKind(StrEnum):
    """Who is behind a token: somebody, a program, or a model that acts by itself."""

    PERSON = "PERSON"
    SERVICE = "SERVICE"
    AGENT = "AGENT"


class Role(StrEnum):
    """The roles of users."""

    SUBMITTER = "SUBMITTER"
    APPROVER = "APPROVER"
    ADMIN = "ADMIN"


class EventType(StrEnum):
    """The types of a run's events."""

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


FINISHED_STEP_STATES: Final = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED})
FINISHED_RUN_STATES: Final = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})
RUN_STATES: Final = {state.value: state for state in RunState}
"""By their names: looked up, they cost a tenth of `RunState(name)`."""
ENDING_EVENTS: Final = frozenset({EventType.WORKFLOW_COMPLETE, EventType.WORKFLOW_FAILED, EventType.WORKFLOW_CANCELLED})
"""A timeline subscription may end after one of these, if nothing later is recorded."""
