"""The words of `persistence.states` as GraphQL enums, each value described for the client."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, TypeVar, cast

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from persistence import audit, states

E = TypeVar("E", bound=type[Enum])


def _named(enum: E, name: str, description: str, values: Mapping[str, str]) -> E:
    """The enum, made known to Strawberry; every member has to be described."""
    named = cast("E", strawberry.enum(cast("Any", enum), name=name, description=description))
    definition: StrawberryEnumDefinition = cast("Any", named).__strawberry_definition__
    for value in definition.values:
        value.description = values[value.name]
    return named


class ErrorCode(StrEnum):
    """Of which kind a user error is."""

    INVALID_INPUT = "INVALID_INPUT"
    INVALID_PLAN = "INVALID_PLAN"
    UNKNOWN_TOOL = "UNKNOWN_TOOL"
    UNPLANNABLE_INTENT = "UNPLANNABLE_INTENT"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    ALREADY_DECIDED = "ALREADY_DECIDED"
    ARGS_CHANGED = "ARGS_CHANGED"
    INVALID_STATE = "INVALID_STATE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


_named(
    states.Risk,
    "RiskLevel",
    "How dangerous a step is.",
    {
        "L0": "Safe reads and plans: runs by itself.",
        "L1": "Low-risk writes: runs by itself.",
        "L2": "Medium-risk writes: runs by itself, unless a person is to be asked from this level up.",
        "L3": "High-risk external writes: a person is always asked.",
    },
)
_named(
    states.Trust,
    "Trust",
    "How much of a value others decide.",
    {
        "PLAN": "Nothing: the plan says it, a default, a person's edit, or a result that only we write.",
        "CHOSEN": "Which one it is: a value of ours that outside text selects.",
        "OUTSIDE": "What it says: it holds what others can write.",
    },
)
_named(
    states.OriginKind,
    "OriginKind",
    "What a value of a step's arguments comes from.",
    {
        "PLAN": "The plan says it.",
        "RESULT": "The results of other steps.",
        "SECRET": "A secret, by its name.",
        "DEFAULT": "The tool, where the plan says nothing.",
        "EDIT": "The person who approved it, with other arguments.",
        "MODEL": "Text that a model wrote.",
    },
)
_named(
    states.UserKind,
    "UserKind",
    "Who is behind a token.",
    {
        "PERSON": "Somebody, who decides what their roles say.",
        "AGENT": "A model that acts by itself: it may ask for things, and decides nothing, whatever its roles.",
        "SERVICE": "A program, which does what its roles say.",
    },
)
_named(
    states.RunState,
    "RunState",
    "Where a run stands.",
    {
        "QUEUED": "Recorded; nobody plans it yet.",
        "PLANNING": "Its intent is being turned into steps.",
        "EXECUTING": "Its steps are running, or about to.",
        "WAITING_APPROVAL": "An approval is open, and nothing else can move.",
        "COMPLETED": "Ended without a failed step.",
        "FAILED": "Ended with a failed step, or it could not be planned. A failed step can be sent back.",
        "CANCELLED": "Ended by a person.",
    },
)
_named(
    states.RunOutcome,
    "RunOutcome",
    "How an ended run ended.",
    {
        "CLEAN": "Every step succeeded, or was skipped by a condition of its plan.",
        "PARTIAL": "A step was rejected, expired or left, or failed as its plan tolerates; nothing else failed.",
        "FAILED": "A step failed, or the intent could not be planned.",
        "CANCELLED": "A person cancelled it.",
    },
)
_named(
    states.StepState,
    "StepState",
    "Where a step stands.",
    {
        "PENDING": "Waits for the steps that it depends on.",
        "READY": "May run; waits for a free worker, for its time, or for its turn among the children of a list.",
        "RUNNING": "Its tool is being called; with `forEach`, its children have not all ended.",
        "BLOCKED": "Waits for a person: for an approval, or to say whether a call happened.",
        "SUCCEEDED": "Done; it has a result.",
        "FAILED": "Its attempts are used up, or it can't succeed: a dead letter, until a person sends it back.",
        "SKIPPED": "Will not run; the skip reason says why.",
        "CANCELLED": "Its run was cancelled before it had ended.",
    },
)
_named(
    states.SkipReason,
    "SkipReason",
    "Why a step was skipped.",
    {
        "REJECTED": "A person rejected it.",
        "APPROVAL_EXPIRED": "Nobody decided its approval in time.",
        "DEPENDENCY_SKIPPED": "A step that it depends on was skipped.",
        "DEPENDENCY_FAILED": "A step that it depends on failed.",
        "CONDITION_FALSE": "Its condition did not hold.",
        "ABANDONED": "A person left it, in doubt whether its call happened.",
    },
)
_named(
    states.ApprovalStatus,
    "ApprovalStatus",
    "Where an approval stands. Every status but REQUIRED is final.",
    {
        "REQUIRED": "Waits for a person.",
        "APPROVED": "A person said yes.",
        "REJECTED": "A person said no.",
        "EXPIRED": "Nobody decided in time; it counts as refused.",
        "CANCELLED": "Its run was cancelled before anybody had decided.",
    },
)
_named(
    states.ApprovalKind,
    "ApprovalKind",
    "What a person is asked.",
    {
        "EXECUTE": "May this step run with exactly these arguments?",
        "IN_DOUBT": "Did this high-risk call happen before its process died, or its time was over?",
    },
)
_named(
    states.ApprovalDecision,
    "ApprovalDecision",
    "What a person answers to an approval.",
    {
        "APPROVE": "The step may run with exactly these arguments, or the edited ones.",
        "REJECT": "The step is skipped, with all that depends on it.",
    },
)
_named(
    states.InDoubtResolution,
    "InDoubtResolution",
    "What a person says of a call that nobody knows the end of.",
    {
        "HAPPENED": ("The side effect happened: the step succeeds with the given result, and nothing is called again."),
        "DID_NOT_HAPPEN": "It did not happen: the step is called again under the same execution key.",
        "ABANDON": "Leave it: the step is skipped.",
    },
)
_named(
    states.ToolCallStatus,
    "ToolCallStatus",
    "How far one call of a tool got.",
    {
        "STARTED": "Recorded, and being made.",
        "SUCCEEDED": "It returned a result.",
        "FAILED": "It failed, or was never made.",
        "IN_DOUBT": "Nobody knows whether it happened.",
    },
)
_named(
    states.Role,
    "Role",
    "What a person may do.",
    {
        "SUBMITTER": "Start runs, and see, cancel and retry their own.",
        "APPROVER": "See every run that has or had an approval, and decide approvals.",
        "ADMIN": "See and do everything; create users, and revoke tokens.",
    },
)
_named(
    states.EventType,
    "EventType",
    "What happened in a run.",
    {
        "WORKFLOW_STARTED": "The run is recorded.",
        "WORKFLOW_PLANNED": "Its steps are recorded.",
        "STEP_READY": "All that the step waited for is there.",
        "STEP_RUNNING": "An attempt began; `metadata.attempt` is its number.",
        "STEP_SUCCEEDED": "The step has its result.",
        "STEP_RETRYING": "The attempt is over and another follows; `metadata.reason` is FAILED, LOST or HANDED_BACK.",
        "STEP_FAILED": "The step failed for good.",
        "STEP_BLOCKED": "The step waits for an approval.",
        "STEP_SKIPPED": "The step will not run; `metadata.reason` says why.",
        "STEP_CANCELLED": "The step was cancelled with its run.",
        "STEP_IN_DOUBT": "Nobody knows whether the call happened; a person has to say.",
        "STEP_DEAD_LETTERED": "The failed step waits for a person to send it back.",
        "STEP_REDRIVEN": "A dead letter was sent back, or a step that was skipped because of it came back.",
        "APPROVAL_REQUIRED": "A person is asked.",
        "APPROVAL_APPROVED": "A person said yes.",
        "APPROVAL_REJECTED": "A person said no.",
        "APPROVAL_EXPIRED": "Nobody decided in time.",
        "APPROVAL_CANCELLED": "The approval went with its cancelled run.",
        "WORKFLOW_WAITING_APPROVAL": "Nothing can move until a person decides.",
        "WORKFLOW_RESUMED": "The run goes on.",
        "WORKFLOW_COMPLETE": "The run ended without a failed step; `metadata.outcome` is CLEAN or PARTIAL.",
        "WORKFLOW_FAILED": "The run ended with a failed step, or could not be planned.",
        "WORKFLOW_CANCELLED": "A person ended the run.",
    },
)
_named(
    ErrorCode,
    "ErrorCode",
    "Of which kind a user error is.",
    {
        "INVALID_INPUT": "A value of the input is not what it has to be.",
        "INVALID_PLAN": "The plan can't be run as it is.",
        "UNKNOWN_TOOL": "The plan names a tool that is not there.",
        "UNPLANNABLE_INTENT": "No tool can do a part of the intent.",
        "NOT_FOUND": "There is nothing with this id, or not for you.",
        "FORBIDDEN": "You may see this and not change it, or may not do this at all.",
        "IDEMPOTENCY_CONFLICT": "You used the idempotency key before, with another input.",
        "ALREADY_DECIDED": "The approval was decided earlier, has expired or was cancelled.",
        "ARGS_CHANGED": "The decision was made for other arguments than those that would run.",
        "INVALID_STATE": "This can't be done in the state that it is in.",
        "LIMIT_EXCEEDED": "A limit of this server is exceeded.",
    },
)
_named(
    audit.Action,
    "AuditAction",
    "What somebody asked for.",
    {
        "SUBMIT_WORKFLOW": "To start a run.",
        "DECIDE_APPROVAL": "To approve or reject what a step would be called with.",
        "RESOLVE_IN_DOUBT": "To say whether a call happened.",
        "CANCEL_RUN": "To cancel a run.",
        "RETRY_STEP": "To send a dead letter back.",
        "CREATE_USER": "To make a user.",
        "REVOKE_TOKENS": "To make a user's tokens void.",
        "READ_AUDIT_LOG": "To read the audit log; only refusals are recorded.",
        "SIGN_IN": "To be let in; only refusals are recorded.",
    },
)
