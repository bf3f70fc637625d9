"""What can be changed: each mutation is one verb of the engine."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable, Sequence
from typing import Annotated, Any

import strawberry

from engine.errors import EngineError, NotFound
from engine.runs import Submission
from engine.unset import UNSET, Unset
from persistence import ids
from persistence.audit import Action
from schema.audited import Audited
from schema.errors import UserError, user_errors
from schema.info import Info, load
from schema.types.inputs import (
    CancelRunInput,
    CreateUserInput,
    DecideApprovalInput,
    ResolveInDoubtInput,
    RetryStepInput,
    RevokeTokensInput,
    SubmitWorkflowInput,
    canonical,
)
from schema.types.pages import given
from schema.types.payloads import (
    CancelRunPayload,
    CreateUserPayload,
    DecideApprovalPayload,
    ResolveInDoubtPayload,
    RetryStepPayload,
    RevokeTokensPayload,
    SubmitWorkflowPayload,
)
from schema.types.runs import Run

__all__ = ["Mutation"]


@strawberry.type(
    description=(
        "What can be changed. What is wrong with an input is told among the payload's errors; nothing is changed then."
    )
)
class Mutation:
    @strawberry.mutation(
        description="Starts a run for an intent or a plan.",
        extensions=[Audited(Action.SUBMIT_WORKFLOW)],
    )
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
        shown = [] if row is None else [Run(row)]
        load(info).know_runs(shown)
        return SubmitWorkflowPayload(run=next(iter(shown), None), errors=[])

    @strawberry.mutation(
        description="Answers an approval. The first answer stands.",
        extensions=[Audited(Action.DECIDE_APPROVAL)],
    )
    async def decide_approval(
        self,
        info: Info,
        input: Annotated[DecideApprovalInput, strawberry.argument(description="The answer.")],  # noqa: A002
    ) -> DecideApprovalPayload:
        about = ("approvalId",)
        approval = ids.parse_as(ids.APPROVAL, input.approval_id)
        if approval is None:
            return DecideApprovalPayload(approval=None, errors=_no_such(about))
        errors = await _done(
            info,
            info.context.engine.decide(
                info.context.viewer,
                approval,
                input.decision,
                reason=given(input.reason),
                args_digest=given(input.args_digest),
                edited_args=_or_unset(input.edited_args),
            ),
            about,
        )
        shown = await load(info).approval.load(approval)
        return DecideApprovalPayload(approval=shown, errors=_told(errors, shown, about))

    @strawberry.mutation(
        description="Says what became of a call that nobody knows the end of.",
        extensions=[Audited(Action.RESOLVE_IN_DOUBT)],
    )
    async def resolve_in_doubt(
        self,
        info: Info,
        input: Annotated[ResolveInDoubtInput, strawberry.argument(description="What happened.")],  # noqa: A002
    ) -> ResolveInDoubtPayload:
        about = ("approvalId",)
        approval = ids.parse_as(ids.APPROVAL, input.approval_id)
        if approval is None:
            return ResolveInDoubtPayload(approval=None, errors=_no_such(about))
        errors = await _done(
            info,
            info.context.engine.resolve_in_doubt(
                info.context.viewer,
                approval,
                input.resolution,
                result=_or_unset(input.result),
                reason=given(input.reason),
            ),
            about,
        )
        shown = await load(info).approval.load(approval)
        return ResolveInDoubtPayload(approval=shown, errors=_told(errors, shown, about))

    @strawberry.mutation(
        description="Ends a run: nothing more of it starts, and what runs is asked to stop.",
        extensions=[Audited(Action.CANCEL_RUN)],
    )
    async def cancel_run(
        self,
        info: Info,
        input: Annotated[CancelRunInput, strawberry.argument(description="Which run.")],  # noqa: A002
    ) -> CancelRunPayload:
        about = ("runId",)
        run = ids.parse_as(ids.RUN, input.run_id)
        if run is None:
            return CancelRunPayload(run=None, errors=_no_such(about))
        verb = info.context.engine.cancel(info.context.viewer, run, reason=given(input.reason))
        errors = await _done(info, verb, about)
        shown = await load(info).run.load(run)
        return CancelRunPayload(run=shown, errors=_told(errors, shown, about))

    @strawberry.mutation(
        description="Sends a dead-lettered step back to READY with a fresh budget of attempts.",
        extensions=[Audited(Action.RETRY_STEP)],
    )
    async def retry_step(
        self,
        info: Info,
        input: Annotated[RetryStepInput, strawberry.argument(description="Which step.")],  # noqa: A002
    ) -> RetryStepPayload:
        about = ("stepId",)
        place = ids.parse_step(input.step_id)
        if place is None:
            return RetryStepPayload(step=None, errors=_no_such(about))
        verb = info.context.engine.retry(info.context.viewer, *place, reason=given(input.reason))
        errors = await _done(info, verb, about)
        shown = await load(info).step.load(place)
        return RetryStepPayload(step=shown, errors=_told(errors, shown, about))

    @strawberry.mutation(
        description="Makes a user with a first token. For administrators.",
        extensions=[Audited(Action.CREATE_USER)],
    )
    async def create_user(
        self,
        info: Info,
        input: Annotated[CreateUserInput, strawberry.argument(description="Who.")],  # noqa: A002
    ) -> CreateUserPayload:
        try:
            user, token = await info.context.engine.create_user(info.context.viewer, name=input.name, roles=input.roles)
        except EngineError as error:
            return CreateUserPayload(user=None, token=None, errors=user_errors(error))
        return CreateUserPayload(user=await load(info).user.load(user), token=token, errors=[])

    @strawberry.mutation(
        description="Makes all tokens of a user void. For administrators.",
        extensions=[Audited(Action.REVOKE_TOKENS)],
    )
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
        verb = info.context.engine.revoke_tokens(info.context.viewer, user)
        errors = await _done(info, verb, about)
        shown = await load(info).user.load(user)
        return RevokeTokensPayload(user=shown, errors=_told(errors, shown, about))


async def _done(info: Info, verb: Awaitable[None], about: Sequence[str]) -> list[UserError]:
    """What was wrong, once the verb is done or refused."""
    try:
        await verb
    except EngineError as error:
        return user_errors(error, about=about)
    finally:
        # What earlier mutations of the same operation read may be true no more.
        info.context.forget()
    return []


def _told(errors: list[UserError], thing: object | None, about: Sequence[str]) -> list[UserError]:
    """Of what the caller can't see, no more is told than of what is not there."""
    return _no_such(about) if errors and thing is None else errors


def _no_such(about: Sequence[str]) -> list[UserError]:
    return user_errors(NotFound(tuple(about)))


def _or_unset(value: Any) -> object | Unset:
    return UNSET if value is strawberry.UNSET else value
