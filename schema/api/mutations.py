"""What can be changed: each mutation is one verb of the engine."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, TypeVar
from uuid import UUID

import strawberry

from engine.access import Viewer
from engine.errors import EngineError, NotFound
from engine.runs import Submission
from engine.unset import UNSET, Unset
from persistence import ids
from persistence.audit import Action
from persistence.reads import StepPlace
from persistence.states import UserKind
from schema.api.audited import Audited
from schema.api.info import Info, load
from schema.api.loaders import Loaders
from schema.api.types.approvals import Approval
from schema.api.types.base import show
from schema.api.types.errors import UserError, user_errors
from schema.api.types.inputs import (
    CancelRunInput,
    CreateUserInput,
    DecideApprovalInput,
    ResolveInDoubtInput,
    RetryStepInput,
    RevokeTokensInput,
    SubmitWorkflowInput,
    canonical,
)
from schema.api.types.pages import given
from schema.api.types.payloads import (
    CancelRunPayload,
    CreateUserPayload,
    DecideApprovalPayload,
    ResolveInDoubtPayload,
    RetryStepPayload,
    RevokeTokensPayload,
    SubmitWorkflowPayload,
)
from schema.api.types.runs import Run
from schema.api.types.steps import Step
from schema.api.types.users import User

__all__ = ["Mutation"]

K = TypeVar("K")
T = TypeVar("T")


def _mutation(action: Action, description: str) -> Any:
    """A mutation whose refusals stand in the audit log."""
    return strawberry.mutation(description=description, extensions=[Audited(action)])


@strawberry.type(
    description=(
        "What can be changed. What is wrong with an input stands among the payload's errors; nothing is changed then."
    )
)
class Mutation:
    @_mutation(Action.SUBMIT_WORKFLOW, "Starts a run for an intent or a plan.")
    async def submit_workflow(
        self,
        info: Info,
        input: Annotated[SubmitWorkflowInput, strawberry.argument(description="What to do.")],  # noqa: A002
    ) -> SubmitWorkflowPayload:
        plan = given(input.plan)
        try:
            submission = Submission(
                intent=given(input.intent),
                plan=None if plan is None else plan.plan(),
                idempotency_key=given(input.idempotency_key),
                approve_from=given(input.require_approval_from),
                canonical_input=None if given(input.idempotency_key) is None else canonical(input),
            )
            run = await info.context.engine.submit(info.context.viewer, submission)
        except EngineError as error:
            return SubmitWorkflowPayload(run=None, errors=user_errors(error))
        row = await info.context.services.submitted.run(info.context.viewer.id, run)
        if row is not None:
            load(info).know_runs([row])
        return SubmitWorkflowPayload(run=show(row, load(info)), errors=[])

    @_mutation(Action.DECIDE_APPROVAL, "Answers an approval. The first answer stands.")
    async def decide_approval(
        self,
        info: Info,
        input: Annotated[DecideApprovalInput, strawberry.argument(description="The answer.")],  # noqa: A002
    ) -> DecideApprovalPayload:
        decide = partial(
            info.context.engine.decide,
            decision=input.decision,
            reason=given(input.reason),
            args_digest=given(input.args_digest),
            edited_args=_or_unset(input.edited_args),
            accept_outside=given(input.accept_outside) or (),
        )
        about = ("approvalId",)
        shown, errors = await _change(info, about, ids.parse_as(ids.APPROVAL, input.approval_id), decide, _approval)
        return DecideApprovalPayload(approval=shown, errors=errors)

    @_mutation(Action.RESOLVE_IN_DOUBT, "Says what became of a call that nobody knows the end of.")
    async def resolve_in_doubt(
        self,
        info: Info,
        input: Annotated[ResolveInDoubtInput, strawberry.argument(description="What happened.")],  # noqa: A002
    ) -> ResolveInDoubtPayload:
        resolve = partial(
            info.context.engine.resolve_in_doubt,
            resolution=input.resolution,
            result=_or_unset(input.result),
            reason=given(input.reason),
        )
        about = ("approvalId",)
        shown, errors = await _change(info, about, ids.parse_as(ids.APPROVAL, input.approval_id), resolve, _approval)
        return ResolveInDoubtPayload(approval=shown, errors=errors)

    @_mutation(Action.CANCEL_RUN, "Ends a run: nothing more of it starts, and what runs is asked to stop.")
    async def cancel_run(
        self,
        info: Info,
        input: Annotated[CancelRunInput, strawberry.argument(description="Which run.")],  # noqa: A002
    ) -> CancelRunPayload:
        cancel = partial(info.context.engine.cancel, reason=given(input.reason))
        shown, errors = await _change(info, ("runId",), ids.parse_as(ids.RUN, input.run_id), cancel, _run)
        return CancelRunPayload(run=shown, errors=errors)

    @_mutation(Action.RETRY_STEP, "Sends a dead-lettered step back to READY with a fresh budget of attempts.")
    async def retry_step(
        self,
        info: Info,
        input: Annotated[RetryStepInput, strawberry.argument(description="Which step.")],  # noqa: A002
    ) -> RetryStepPayload:
        def retry(viewer: Viewer, place: StepPlace) -> Awaitable[None]:
            return info.context.engine.retry(viewer, *place, reason=given(input.reason))

        shown, errors = await _change(info, ("stepId",), ids.parse_step(input.step_id), retry, _step)
        return RetryStepPayload(step=shown, errors=errors)

    @_mutation(Action.CREATE_USER, "Makes a user with a first token. For administrators.")
    async def create_user(
        self,
        info: Info,
        input: Annotated[CreateUserInput, strawberry.argument(description="Who.")],  # noqa: A002
    ) -> CreateUserPayload:
        try:
            user, token = await info.context.engine.create_user(
                info.context.viewer, name=input.name, roles=input.roles, kind=given(input.kind) or UserKind.PERSON
            )
        except EngineError as error:
            return CreateUserPayload(user=None, token=None, errors=user_errors(error))
        return CreateUserPayload(user=User.of(await load(info).user.load(user)), token=token, errors=[])

    @_mutation(Action.REVOKE_TOKENS, "Makes all tokens of a user void. For administrators.")
    async def revoke_tokens(
        self,
        info: Info,
        input: Annotated[RevokeTokensInput, strawberry.argument(description="Whose.")],  # noqa: A002
    ) -> RevokeTokensPayload:
        about = ("userId",)
        user = ids.parse_as(ids.USER, input.user_id)
        if user is None:
            try:
                user = await info.context.engine.user_named(info.context.viewer, input.user_id)
            except EngineError as error:
                return RevokeTokensPayload(user=None, errors=user_errors(error, about=about))
        shown, errors = await _change(info, about, user, info.context.engine.revoke_tokens, _user)
        return RevokeTokensPayload(user=shown, errors=errors)


async def _change(
    info: Info,
    about: tuple[str, ...],
    id_: K | None,
    verb: Callable[[Viewer, K], Awaitable[None]],
    look: Callable[[Loaders, K], Awaitable[T | None]],
) -> tuple[T | None, list[UserError]]:
    """Do `verb` to what has this id (None: the id was none of its kind); what it is now, and what was wrong.

    `about` is the path of the id in the input. What the caller can't see is answered like what is not there.
    """
    no_such = user_errors(NotFound(about))
    if id_ is None:
        return None, no_such
    errors: list[UserError] = []
    try:
        await verb(info.context.viewer, id_)
    except EngineError as error:
        errors = user_errors(error, about=about)
    finally:
        # What earlier mutations of the same operation read may be true no more.
        info.context.forget()
    shown = await look(load(info), id_)
    return shown, no_such if errors and shown is None else errors


async def _run(loaders: Loaders, run: UUID) -> Run | None:
    return show(await loaders.run.load(run), loaders)


async def _step(loaders: Loaders, place: StepPlace) -> Step | None:
    return show(await loaders.step.load(place), loaders)


async def _approval(loaders: Loaders, approval: UUID) -> Approval | None:
    return show(await loaders.approval.load(approval), loaders)


async def _user(loaders: Loaders, user: UUID) -> User | None:
    return User.of(await loaders.user.load(user))


def _or_unset(value: Any) -> object | Unset:
    return UNSET if value is strawberry.UNSET else value
