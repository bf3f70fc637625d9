"""What mutations answer: the thing as it is now, or what was wrong."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

import strawberry

from schema.api.types.approvals import Approval
from schema.api.types.base import described
from schema.api.types.errors import UserError
from schema.api.types.runs import Run
from schema.api.types.steps import Step
from schema.api.types.users import User

__all__ = [
    "CancelRunPayload",
    "CreateUserPayload",
    "DecideApprovalPayload",
    "ResolveInDoubtPayload",
    "RetryStepPayload",
    "RevokeTokensPayload",
    "SubmitWorkflowPayload",
]

_ERRORS = "What was wrong; empty if it was done."


@strawberry.type(description="What became of a submission.")
class SubmitWorkflowPayload:
    run: Run | None = described("The run; the earlier one if the idempotency key was used before.")
    errors: list[UserError] = described(_ERRORS)


@strawberry.type(description="What became of a decision.")
class DecideApprovalPayload:
    approval: Approval | None = described("The approval as it is now.")
    errors: list[UserError] = described(_ERRORS)


@strawberry.type(description="What became of a resolution.")
class ResolveInDoubtPayload:
    approval: Approval | None = described("The approval as it is now.")
    errors: list[UserError] = described(_ERRORS)


@strawberry.type(description="What became of a cancellation.")
class CancelRunPayload:
    run: Run | None = described("The run as it is now.")
    errors: list[UserError] = described(_ERRORS)


@strawberry.type(description="What became of a retry.")
class RetryStepPayload:
    step: Step | None = described("The step as it is now.")
    errors: list[UserError] = described(_ERRORS)


@strawberry.type(description="A new user. The token is shown this once; only its hash is kept.")
class CreateUserPayload:
    user: User | None = described("The new user.")
    token: str | None = described("Their token: give it to them, for it can't be asked for again.")
    errors: list[UserError] = described(_ERRORS)


@strawberry.type(description="What became of a user's tokens.")
class RevokeTokensPayload:
    user: User | None = described("The user, whose tokens hold no more.")
    errors: list[UserError] = described(_ERRORS)
