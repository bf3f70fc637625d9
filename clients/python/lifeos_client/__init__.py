"""A typed client of Life OS: submit runs, follow them across lost connections, decide approvals."""

from .client import LifeOS
from .errors import LifeOSError, Rejected, Unavailable
from .generated.enums import (
    ApprovalDecision,
    ApprovalKind,
    ApprovalStatus,
    ErrorCode,
    EventType,
    InDoubtResolution,
    RiskLevel,
    Role,
    RunOutcome,
    RunState,
    SkipReason,
    StepState,
    ToolCallStatus,
)
from .generated.fragments import ApprovalFields as Approval
from .generated.fragments import EventFields as TimelineEvent
from .generated.fragments import RunFields as Run
from .generated.fragments import StepFields as Step
from .generated.fragments import UserErrorFields as UserError
from .generated.fragments import UserFields as User
from .generated.input_types import (
    ApprovalFilter,
    CancelRunInput,
    CreateUserInput,
    DecideApprovalInput,
    PlanInput,
    PlanStepInput,
    ResolveInDoubtInput,
    RetryStepInput,
    RevokeTokensInput,
    RunFilter,
    SubmitWorkflowInput,
)

__all__ = [
    "Approval",
    "ApprovalDecision",
    "ApprovalFilter",
    "ApprovalKind",
    "ApprovalStatus",
    "CancelRunInput",
    "CreateUserInput",
    "DecideApprovalInput",
    "ErrorCode",
    "EventType",
    "InDoubtResolution",
    "LifeOS",
    "LifeOSError",
    "PlanInput",
    "PlanStepInput",
    "Rejected",
    "ResolveInDoubtInput",
    "RetryStepInput",
    "RevokeTokensInput",
    "RiskLevel",
    "Role",
    "Run",
    "RunFilter",
    "RunOutcome",
    "RunState",
    "SkipReason",
    "Step",
    "StepState",
    "SubmitWorkflowInput",
    "TimelineEvent",
    "ToolCallStatus",
    "Unavailable",
    "User",
    "UserError",
]
