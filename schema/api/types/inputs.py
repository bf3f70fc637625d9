"""Inputs, and what they mean to the engine."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from datetime import datetime
from typing import Any, cast

import strawberry

from engine.errors import InvalidPlan, PlanFault
from engine.plans import USUAL_CHILDREN, Plan, PlanStep
from persistence import ids
from persistence.reads import ApprovalFilter as ApprovalsWanted
from persistence.reads import RunFilter as RunsWanted
from persistence.states import ApprovalDecision, ApprovalStatus, InDoubtResolution, Risk, Role, RunState, UserKind
from schema.api.types.pages import given
from schema.fast.scalars import JSON, write_time

__all__ = [
    "ApprovalFilter",
    "CancelRunInput",
    "CreateUserInput",
    "DecideApprovalInput",
    "PlanInput",
    "PlanStepInput",
    "ResolveInDoubtInput",
    "RetryStepInput",
    "RevokeTokensInput",
    "RunFilter",
    "SubmitWorkflowInput",
    "canonical",
]


def _optional(description: str) -> Any:
    return strawberry.field(default=strawberry.UNSET, description=description)


def _needed(description: str) -> Any:
    return strawberry.field(description=description)


@strawberry.input(description="Which runs. All conditions hold together; what is left out does not matter.")
class RunFilter:
    states: list[RunState] | None = _optional("In one of these states.")
    created_after: datetime | None = _optional("Recorded after this moment.")
    created_before: datetime | None = _optional("Recorded before this moment.")
    intent_contains: str | None = _optional("With this text in the intent, in upper or lower case.")

    def wanted(self) -> RunsWanted:
        """The same for the reads."""
        return RunsWanted(
            states=given(self.states),
            created_after=given(self.created_after),
            created_before=given(self.created_before),
            intent_contains=given(self.intent_contains),
        )


@strawberry.input(description="Which approvals. All conditions hold together; what is left out does not matter.")
class ApprovalFilter:
    statuses: list[ApprovalStatus] | None = _optional("In one of these statuses.")
    run_id: strawberry.ID | None = _optional("Of this run.")

    def wanted(self) -> ApprovalsWanted | None:
        """The same for the reads; None when nothing can match."""
        asked = given(self.run_id)
        run = None if asked is None else ids.parse_as(ids.RUN, asked)
        if asked is not None and run is None:
            return None
        return ApprovalsWanted(statuses=given(self.statuses), run=run)


@strawberry.input(description="One step of a plan.")
class PlanStepInput:
    key: str = _needed("The step's own name, unique in the plan.")
    tool: str = _needed("The name of the tool to call.")
    name: str | None = _optional("What it does, for people; its key if left out.")
    args: JSON | None = _optional(
        'What the tool is given: an object. `{"$jmespath": "EXPR"}` at any depth stands for a value from the results '
        'of steps before it, `{"$literal": X}` for X untouched, `{"$secret": "NAME"}` for a secret of the server.'
    )
    depends_on: list[str] | None = _optional("The keys of the steps that it waits for.")
    risk_level: Risk | None = _optional("Can raise the tool's own risk, never lower it.")
    max_attempts: int | None = _optional("Total attempts, 0: without end; the server's policy caps L3 at 3.")
    timeout_seconds: float | None = _optional("How long one call may take; replaces the tool's own time-out.")
    when: JSON | None = _optional(
        'A reference, `{"$jmespath": "EXPR"}`, looked at once, when all that it waits for is there: when it is falsy '
        "(null, false, or an empty text, list or object), the step is skipped (CONDITION_FALSE)."
    )
    after: list[str] | None = _optional(
        "The keys of steps that must have ended, however, before this one runs; what has no result gives null."
    )
    for_each: JSON | None = _optional(
        "A reference to a list: one child step for each entry, with `item` and `index` in the references of its `args`."
    )
    for_each_most: int | None = _optional("How many entries the list may have, 1 to 1000; 100 if left out.")
    for_each_tolerates: bool | None = _optional(
        "Whether a child that fails is listed with its error, and the step succeeds all the same."
    )
    max_parallel: int | None = _optional("How many of its children may run at once.")
    delay_seconds: float | None = _optional("Not before so many seconds after it became ready, at most a year.")
    not_before: datetime | None = _optional("Not before this moment.")

    def arguments(self) -> object:
        """What is given as arguments; nothing is the same as an empty object."""
        args = given(self.args)
        return {} if args is None else args


@strawberry.input(
    description="Steps, in the order in which people should read them; `dependsOn` alone says what waits."
)
class PlanInput:
    steps: list[PlanStepInput] = _needed("The steps, at least one.")
    answer: JSON | None = _optional(
        "What the run answers: a value with references to any of its steps, resolved when it has ended."
    )

    def plan(self) -> Plan:
        """The same for the engine, which says what is wrong with it. Raises InvalidPlan for args that are no object."""
        faults = [
            PlanFault("arguments are an object", ("plan", "steps", place, "args"))
            for place, step in enumerate(self.steps)
            if not isinstance(step.arguments(), dict)
        ]
        if faults:
            raise InvalidPlan(tuple(faults))
        return Plan(
            tuple(
                PlanStep(
                    key=step.key,
                    tool=step.tool,
                    name=given(step.name),
                    args=cast("dict[str, Any]", step.arguments()),
                    depends_on=tuple(given(step.depends_on) or ()),
                    risk=given(step.risk_level),
                    max_attempts=given(step.max_attempts),
                    timeout_seconds=given(step.timeout_seconds),
                    when=given(step.when),
                    after=tuple(given(step.after) or ()),
                    for_each=given(step.for_each),
                    for_each_most=given(step.for_each_most),
                    for_each_tolerates=given(step.for_each_tolerates),
                    max_parallel=given(step.max_parallel),
                    delay_seconds=given(step.delay_seconds),
                    not_before=given(step.not_before),
                )
                for step in self.steps
            ),
            given(self.answer),
        )


@strawberry.input(description="What to do: exactly one of intent and plan.")
class SubmitWorkflowInput:
    intent: str | None = _optional("What you want done, in a sentence.")
    plan: PlanInput | None = _optional("What to do, step by step.")
    idempotency_key: str | None = _optional(
        "Per user, kept for ever: the same key with the same input answers with the same run, and starts nothing twice."
    )
    require_approval_from: Risk | None = _optional(
        "Ask a person from this level up. It can only make the server's policy stricter."
    )


@strawberry.input(description="The answer to an approval.")
class DecideApprovalInput:
    approval_id: strawberry.ID = _needed("The approval.")
    decision: ApprovalDecision = _needed("Yes or no.")
    reason: str | None = _optional("What others should know about it.")
    args_digest: str | None = _optional("When given, the decision counts only for exactly these arguments.")
    edited_args: JSON | None = _optional("Approve with these arguments instead; validated like any others.")
    accept_outside: list[str] | None = _optional("The outside destinations (paths joined by dots) that are accepted.")


@strawberry.input(description="What became of a call that nobody knows the end of.")
class ResolveInDoubtInput:
    approval_id: strawberry.ID = _needed("The approval of kind IN_DOUBT.")
    resolution: InDoubtResolution = _needed("What happened.")
    result: JSON | None = _optional("What the call gave back, if it HAPPENED.")
    reason: str | None = _optional("What others should know about it.")


@strawberry.input(description="A run to cancel.")
class CancelRunInput:
    run_id: strawberry.ID = _needed("The run.")
    reason: str | None = _optional("What others should know about it.")


@strawberry.input(description="A dead letter to send back.")
class RetryStepInput:
    step_id: strawberry.ID = _needed("The step.")
    reason: str | None = _optional("What others should know about it.")


@strawberry.input(description="A new user.")
class CreateUserInput:
    name: str = _needed("What they are called; nobody else may be.")
    roles: list[Role] = _needed("What they may do, at least one.")
    kind: UserKind | None = _optional("Who is behind the token; a person if left out.")


@strawberry.input(description="Whose tokens to revoke.")
class RevokeTokensInput:
    user_id: strawberry.ID = _needed("The user: their id, or their name.")


def canonical(asked: SubmitWorkflowInput) -> dict[str, Any]:
    """A whole submission as plain JSON under its GraphQL names: the same for all ways of asking for the same.

    Without what was left out, is null, or says what is so anyhow, whatever tools and policy there are: no arguments, no
    dependencies, a step's key as its name, the lowest risk, a person asked from the highest level up, a list's usual
    length, a delay of nothing.
    """
    plan = given(asked.plan)
    risk = given(asked.require_approval_from)
    return _without_nulls(
        intent=given(asked.intent),
        plan=None if plan is None else _canonical_plan(plan),
        idempotencyKey=given(asked.idempotency_key),
        requireApprovalFrom=None if risk is None or risk is max(Risk) else risk.name,
    )


def _canonical_plan(plan: PlanInput) -> dict[str, Any]:
    return _without_nulls(steps=[_canonical_step(step) for step in plan.steps], answer=given(plan.answer))


def _canonical_step(step: PlanStepInput) -> dict[str, Any]:
    risk = given(step.risk_level)
    not_before = given(step.not_before)
    most = given(step.for_each_most)
    return _without_nulls(
        key=step.key,
        tool=step.tool,
        name=None if given(step.name) == step.key else given(step.name),
        args=step.arguments() or None,
        dependsOn=given(step.depends_on) or None,
        riskLevel=None if risk is None or risk is min(Risk) else risk.name,
        maxAttempts=given(step.max_attempts),
        timeoutSeconds=given(step.timeout_seconds),
        when=given(step.when),
        after=given(step.after) or None,
        forEach=given(step.for_each),
        forEachMost=None if most == USUAL_CHILDREN else most,
        forEachTolerates=given(step.for_each_tolerates) or None,
        maxParallel=given(step.max_parallel),
        delaySeconds=given(step.delay_seconds) or None,
        notBefore=None if not_before is None else write_time(not_before),
    )


def _without_nulls(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
