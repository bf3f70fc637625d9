"""Runs: submitted, previewed, cancelled, and their dead letters sent back."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from engine import risk as risks
from engine.access import Viewer, may_steer
from engine.aside import Lane, aside
from engine.audit import line_of
from engine.digest import args_digest, canonical
from engine.errors import (
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    InvalidState,
    NotFound,
    UnplannableIntent,
)
from engine.gather import Gather
from engine.planner import Planner, PlanningContext, Unplannable
from engine.planner.asking import ask
from engine.plans import Plan
from engine.references import Unresolvable, resolve
from engine.settings import EngineSettings
from engine.tools import ArgsUnfit, Fault, Registry
from engine.validation import SoundPlan, check_plan_aside, is_long
from engine.values import UnfitValue, check_json, fault_of, text_fault
from persistence.audit import Action, write_lines
from persistence.database import Connection, Database
from persistence.ids import new_id, run_id, step_id, user_id
from persistence.moves import begin
from persistence.moves.cancel import cancel
from persistence.moves.inputs import NOBODY, Claimer, GatePolicy
from persistence.moves.locks import lock_runs
from persistence.moves.redrive import redrive
from persistence.moves.row import Advance
from persistence.moves.submit import submit
from persistence.reads.where import may_see
from persistence.states import FINISHED_RUN_STATES, Risk, RunState, SkipReason, StepState
from persistence.steering import Place, asked_about, held_run, places, unresolved
from persistence.wakeups import Wakeups

_LONGEST_KEY = 255
_LONGEST_REASON = 2000
_SUBMISSIONS_A_GROUP = 25


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody wants done: an intent or a plan.

    `canonical_input` is the whole input as plain JSON, needed with an idempotency key.
    """

    intent: str | None
    plan: Plan | None
    idempotency_key: str | None
    approve_from: Risk | None
    canonical_input: object


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """A step as it would run."""

    key: str
    name: str
    tool: str
    risk: Risk
    gated: bool
    args: Mapping[str, Any]
    depends_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would run; nothing is stored."""

    steps: tuple[PreviewStep, ...]
    risk: Risk | None


class LocalWorker:
    """The executor of this process, as transactions see it that make steps ready. This one takes nothing."""

    @contextmanager
    def reserve(self, *, own: int = 0, most: int | None = None) -> Generator[Claimer]:
        """The worker with (at most `most`) slots that nobody else claims for; `own` are slots that the caller frees."""
        del own, most
        yield NOBODY

    def take(self, claimer: Claimer, done: Advance) -> None:
        """Start what was claimed."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """A checked submission on its way into the database."""

    run: begin.NewRun
    plan: SoundPlan


class Runs:
    """The verbs on runs. Submissions of many callers share transactions."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        planner: Planner,
        settings: EngineSettings,
        *,
        wakeups: Wakeups,
        worker: LocalWorker,
    ) -> None:
        self._database = database
        self._registry = registry
        self._planner = planner
        self._settings = settings
        self._wakeups = wakeups
        self._worker = worker
        self._gate = gate_policy(settings)
        # Two at once: while the database writes one group, the next one is checked, and both cores have work.
        self._storing = Gather(self._store, at_most=_SUBMISSIONS_A_GROUP, writers=2, name="submissions")
        self._repeating = Gather(self._find_earlier, at_most=_SUBMISSIONS_A_GROUP, name="repeated")
        self._storing_intents = Gather(self._store_intents, at_most=_SUBMISSIONS_A_GROUP, name="intents")

    async def submit(self, viewer: Viewer, submission: Submission) -> UUID:
        """Record a run, and its steps if it came with a plan; its id, or the one that the idempotency key named."""
        if not viewer.may_submit:
            raise Forbidden("the role SUBMITTER")
        check_submission(submission, self._settings)
        approve_from = risks.threshold(self._settings.approve_from, submission.approve_from)
        plan = None
        if submission.plan is not None:
            plan = await check_plan_aside(submission.plan, self._registry, self._settings, approve_from=approve_from)
        key, digest = submission.idempotency_key, None
        if key is not None:
            digesting = partial(input_digest, submission.canonical_input)
            is_large = submission.plan is not None and is_long(submission.plan)
            digest = await aside(digesting, Lane.PLANS) if is_large else digesting()
        run = begin.NewRun(
            id=new_id(),
            submitted_by=viewer.id,
            intent=submission.intent,
            risk=plan.risk if plan is not None else 0,
            approve_from=approve_from,
            idempotency_key=key,
            input_digest=digest,
            line=line_of(viewer, Action.SUBMIT_WORKFLOW),
        )
        if plan is None:
            stored = await self._storing_intents.add(run)
        else:
            stored = await self._storing.add(_Planned(run, plan)) or await self._repeating.add(run)
        if stored.input_digest != run.input_digest:
            assert key is not None
            raise IdempotencyConflict(key, stored.id)
        return stored.id

    async def preview(self, *, intent: str | None, plan: Plan | None, now: PlanningContext) -> Preview:
        """What would run for this; raises what a submission would, and PlannerFailed."""
        check_submission(Submission(intent, plan, None, None, None), self._settings)
        if plan is None:
            assert intent is not None
            try:
                plan = await ask(self._planner, intent, self._registry, now)
            except Unplannable as error:
                raise UnplannableIntent(str(error), error.parts) from error
        sound = await check_plan_aside(plan, self._registry, self._settings, approve_from=self._settings.approve_from)
        steps = tuple(
            PreviewStep(
                key=step.key,
                name=step.name,
                tool=step.tool.name,
                risk=step.risk,
                gated=step.gated,
                args=written.args,
                depends_on=written.depends_on,
            )
            for step, written in zip(sound.steps, plan.steps, strict=True)
        )
        return Preview(steps, sound.risk)

    async def _store_intents(self, group: Sequence[begin.NewRun]) -> Sequence[begin.StoredRun]:
        stored = await self._database.transaction(lambda tx: begin.store_runs(tx, group))
        self._wakeups.announce(plans=True)
        return [stored[run.id] for run in group]

    async def _store(self, group: Sequence[_Planned]) -> Sequence[begin.StoredRun | None]:
        """What became of each; None for those whose idempotency key was used before.

        These are looked for by themselves: what goes wrong with that is nothing to those who are stored by now.
        """
        runs = [each.run for each in group]
        steps = [step for each in group for step in each.plan.for_run(each.run.id, each.run.submitted_by)]
        with self._worker.reserve() as claimer:
            done = await self._database.alone(
                lambda connection: submit(connection, runs, steps, claimer=claimer, gate=self._gate)
            )
            self._worker.take(claimer, done)
        self._wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))
        new = {mark.run for mark in done.marks}
        return [begin.StoredRun(run.id, run.input_digest) if run.id in new else None for run in runs]

    async def _find_earlier(self, group: Sequence[begin.NewRun]) -> Sequence[begin.StoredRun]:
        earlier = await self._database.transaction(lambda tx: begin.earlier_runs(tx, group))
        return [earlier[run.id] for run in group]

    async def cancel(self, viewer: Viewer, run: UUID, *, reason: str | None) -> None:
        """Cancel a run that is not over; one that is cancelled already is left as it is."""
        check_reason(reason)

        async def write(tx: Connection) -> Advance:
            # Before the lock: nobody waits for, or holds up, what they can't see.
            if not await may_see(tx, viewer.scope, run):
                raise NotFound(("runId",))
            await lock_runs(tx, [run])
            state, submitted_by = await held_run(tx, run)
            if not may_steer(viewer, submitted_by):
                raise Forbidden("to be the run's submitter, or an administrator")
            await write_lines(tx, [line_of(viewer, Action.CANCEL_RUN, run_id(run))])
            if state is RunState.CANCELLED:
                return Advance()
            if state in FINISHED_RUN_STATES:
                raise InvalidState(f"the run is {state}: there is nothing left to cancel", state)
            return await cancel(tx, run, reason=reason, by=user_id(viewer.id))

        done = await self._database.transaction(write)
        self._wakeups.announce(done.marks)

    async def retry(self, viewer: Viewer, run: UUID, position: int, *, reason: str | None) -> None:
        """Send a dead letter back with a fresh budget, and what was skipped because of it alone."""
        check_reason(reason)

        async def write(tx: Connection) -> Advance:
            # Before the lock: nobody waits for, or holds up, what they can't see.
            if not await may_see(tx, viewer.scope, run):
                raise NotFound(("stepId",))
            await lock_runs(tx, [run])
            held = await held_run(tx, run)
            steps = await places(tx, run)
            if position not in steps:
                raise NotFound(("stepId",))
            if not may_steer(viewer, held.submitted_by):
                raise Forbidden("to be the run's submitter, or an administrator")
            step = steps[position]
            if held.state is RunState.CANCELLED:
                raise InvalidState("the run is CANCELLED, and cancelled runs stay so", RunState.CANCELLED)
            if step.state is not StepState.FAILED:
                raise InvalidState(f"the step is {step.state}: only a dead letter is retried", step.state)
            args, digest = await self._resolved_again(tx, run, position)
            await write_lines(tx, [line_of(viewer, Action.RETRY_STEP, step_id(run, position))])
            return await redrive(
                tx,
                run,
                position,
                back=coming_back(position, steps),
                args=args,
                digest=digest,
                reason=reason,
                by=user_id(viewer.id),
                gate=self._gate,
            )

        done = await self._database.transaction(write)
        self._wakeups.announce(done.marks, work=True)

    async def _resolved_again(self, tx: Connection, run: UUID, position: int) -> tuple[str | None, str | None]:
        """Arguments for a dead letter that failed before it had any, or whose tool has new defaults; else nothing."""
        step = await unresolved(tx, run, position)
        if step is None:
            asked = await asked_about(tx, run, position)
            return (None, None) if asked is None else self._completed_again(asked.tool, asked.args)
        known = {key: orjson.loads(result) for key, result in step.results.items()}
        tool = self._registry.get(step.tool)
        if tool is None:
            raise InvalidState(f"this server has no tool {step.tool}", StepState.FAILED)
        try:
            args = tool.fit(resolve(orjson.loads(step.args), known))
            text = check_json(args, max_bytes=self._settings.max_json_bytes, what="the resolved arguments")
        except (Unresolvable, ArgsUnfit, UnfitValue) as error:
            raise InvalidState(
                f"its arguments still can't be resolved, and will not be: {error}; submit a corrected plan",
                StepState.FAILED,
            ) from error
        return text.decode(), args_digest(tool.name, args)

    def _completed_again(self, name: str, text: str) -> tuple[str | None, str | None]:
        """What is asked about anew has the defaults that are in force now; nothing if it has them all."""
        tool = self._registry.get(name)
        if tool is None:
            return None, None
        had: dict[str, Any] = orjson.loads(text)
        try:
            args = tool.fit(had)
            if args == had:
                return None, None
            now = check_json(args, max_bytes=self._settings.max_json_bytes, what="the arguments")
        except (ArgsUnfit, UnfitValue):
            return None, None  # the call will say so
        return now.decode(), args_digest(name, args)


def coming_back(position: int, steps: Mapping[int, Place]) -> list[tuple[int, int]]:
    """The skipped steps that a redrive of `position` brings back, each with what it still waits for.

    Those that were skipped because something failed, and for which nothing else stays failed or skipped: a step with
    another dead letter before it comes back with that one.
    """
    below: set[int] = set()
    waiting = [position]
    while waiting:
        for each in steps[waiting.pop()].dependents:
            if each not in below and steps[each].skip_reason == SkipReason.DEPENDENCY_FAILED:
                below.add(each)
                waiting.append(each)
    lost = {StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED}
    while True:
        stuck = {
            each
            for each in below
            if any(
                steps[before].state in lost and before != position and before not in below
                for before in steps[each].depends_on
            )
        }
        if not stuck:
            break
        below -= stuck
    return [
        (each, sum(steps[before].state is not StepState.SUCCEEDED for before in steps[each].depends_on))
        for each in sorted(below)
    ]


def input_digest(canonical_input: object) -> bytes:
    """What an idempotency key covers, in short."""
    return hashlib.sha256(canonical(canonical_input)).digest()


def gate_policy(settings: EngineSettings) -> GatePolicy:
    """How long approvals of this installation stay open."""
    seconds = settings.approval_timeout_seconds
    return GatePolicy(seconds if seconds > 0 else None)


def check_submission(submission: Submission, settings: EngineSettings) -> None:
    """Raises InvalidInput with everything that is wrong with a submission besides its plan."""
    faults: list[Fault] = []
    if (submission.intent is None) == (submission.plan is None):
        faults.append(Fault((), "give exactly one of intent and plan"))
    if submission.intent is not None:
        if not submission.intent.strip():
            faults.append(Fault(("intent",), "say what you want done"))
        elif len(submission.intent) > settings.max_intent_characters:
            faults.append(
                Fault(
                    ("intent",),
                    f"an intent may have {settings.max_intent_characters} characters, "
                    f"and this has {len(submission.intent)}",
                )
            )
        elif message := text_fault(submission.intent):
            faults.append(Fault(("intent",), message))
    key = submission.idempotency_key
    if key is not None and (not key or len(key) > _LONGEST_KEY or text_fault(key)):
        faults.append(Fault(("idempotencyKey",), f"an idempotency key has 1 to {_LONGEST_KEY} characters, and no NUL"))
    if not faults and key is not None and submission.plan is None:
        fault = fault_of(submission.canonical_input)
        if fault is not None:
            faults.append(Fault(fault.path, fault.message))
    if faults:
        raise InvalidInput(tuple(faults))


def check_reason(reason: str | None) -> None:
    """Raises InvalidInput for a reason that can't be kept."""
    if reason is None:
        return
    if len(reason) > _LONGEST_REASON:
        raise InvalidInput((Fault(("reason",), f"a reason may have {_LONGEST_REASON} characters"),))
    if message := text_fault(reason):
        raise InvalidInput((Fault(("reason",), message),))
