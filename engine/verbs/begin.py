"""Begin runs: the one way in, for whatever starts them: a person through the API, a schedule, a call from outside.

`begin` stores a submission in the caller's transaction, together with whatever the caller writes there: a schedule that
begins a run and notes when it is due next does both or neither. The API has many submissions at a time: it takes the
parts, `checked` before any transaction, and `begin_all` for a group of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from engine import risk as risks
from engine.access import Viewer
from engine.aside import Lane, aside
from engine.audit import line_of
from engine.errors import Forbidden, IdempotencyConflict
from engine.rounds import start_elaborate
from engine.runs import Submission, check_submission, input_digest
from engine.validation import SoundPlan, check_plan_aside, is_long
from engine.verbs.resources import Resources
from persistence.audit import Action
from persistence.database import Connection
from persistence.ids import new_id
from persistence.moves import begin as beginning
from persistence.moves.inputs import NOBODY, Claimer
from persistence.moves.origins import store_origins
from persistence.moves.row import Advance
from persistence.moves.submit import submit

API: Final = "API"
"""What began a run that a person submitted."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A submission that may be stored; `plan` is None where a planner has to find one."""

    run: beginning.NewRun
    plan: SoundPlan | None

    @property
    def takes_one_statement(self) -> bool:
        """Whether its plan is stored with its run at once: it is plain, and its arguments come from itself alone."""
        return self.plan is not None and not self.plan.is_elaborate and not self.plan.origins


@dataclass(frozen=True, slots=True)
class Begun:
    """What was stored. `runs` has, by the new run's id, the run of each submission.

    A submission with a plan whose idempotency key was used before has none: `earlier` finds it.
    """

    runs: Mapping[UUID, beginning.StoredRun]
    done: Advance
    are_to_plan: bool

    def announce(self, resources: Resources) -> None:
        """Let everybody know, once the transaction is committed."""
        ready = any(mark.ready for mark in self.done.marks)
        resources.wakeups.announce(self.done.marks, work=ready, plans=self.are_to_plan)


async def begin(
    resources: Resources, tx: Connection, actor: Viewer, submission: Submission, *, began_by: str
) -> tuple[UUID, Begun]:
    """Begin one run in this transaction: its id, or that of the run which its idempotency key named.

    `began_by` is kept with the run: the kind of trigger, and which one it was. Once the transaction is committed, the
    caller announces the second value. Raises what `checked` does, and IdempotencyConflict.
    """
    ready = await checked(resources, actor, submission, began_by=began_by)
    begun = await begin_all(resources, tx, [ready])
    stored = begun.runs.get(ready.run.id) or (await earlier(tx, [ready]))[0]
    return same_input(ready, stored), begun


async def checked(resources: Resources, actor: Viewer, submission: Submission, *, began_by: str) -> Checked:
    """The submission, ready to be stored for this actor. Raises Forbidden, InvalidInput and InvalidPlan."""
    if not actor.may_submit:
        raise Forbidden("the role SUBMITTER")
    settings = resources.settings
    check_submission(submission, settings)
    approve_from = risks.threshold(settings.approve_from, submission.approve_from)
    plan = None
    if submission.plan is not None:
        plan = await check_plan_aside(
            submission.plan, resources.registry, settings, approve_from=approve_from, literals=actor.literals
        )
    run = beginning.NewRun(
        id=new_id(),
        submitted_by=actor.id,
        intent=submission.intent,
        risk=plan.risk if plan is not None else 0,
        approve_from=approve_from,
        idempotency_key=submission.idempotency_key,
        input_digest=await _digest(submission),
        line=line_of(actor, Action.SUBMIT_WORKFLOW),
        began_by=began_by,
    )
    return Checked(run, plan)


async def _digest(submission: Submission) -> bytes | None:
    """What the idempotency key covers, if there is one."""
    if submission.idempotency_key is None:
        return None
    digesting = partial(input_digest, submission.canonical_input)
    is_large = submission.plan is not None and is_long(submission.plan)
    return await aside(digesting, Lane.PLANS) if is_large else digesting()


async def begin_all(
    resources: Resources, connection: Connection, group: Sequence[Checked], *, claimer: Claimer = NOBODY
) -> Begun:
    """Begin all of these. Where all have plans that `takes_one_statement`, it is one; else it needs a transaction."""
    to_plan = [each.run for each in group if each.plan is None]
    planned = [(each.run, each.plan) for each in group if each.plan is not None and not each.plan.is_elaborate]
    elaborate = [(each.run, each.plan) for each in group if each.plan is not None and each.plan.is_elaborate]
    runs = await beginning.store_runs(connection, to_plan) if to_plan else {}
    done = Advance()
    if planned:
        steps = [step for run, plan in planned for step in plan.for_run(run.id, run.submitted_by)]
        done = await submit(connection, [run for run, _ in planned], steps, claimer=claimer, gate=resources.gate)
        new = {mark.run for mark in done.marks}
        for run, plan in planned:
            if plan.origins and run.id in new:
                await store_origins(connection, run.id, plan.origins)
        runs |= {run.id: beginning.StoredRun(run.id, run.input_digest) for run, _ in planned if run.id in new}
    for run, plan in elaborate:
        stored = (await beginning.store_runs(connection, [run]))[run.id]
        if stored.id == run.id:
            begun = await start_elaborate(connection, resources.rules, run.id, run.submitted_by, plan)
            done.marks += begun.marks
        runs[run.id] = stored
    return Begun(runs, done, are_to_plan=bool(to_plan))


async def earlier(tx: Connection, group: Sequence[Checked]) -> list[beginning.StoredRun]:
    """The runs that these submissions' idempotency keys named before."""
    found = await beginning.earlier_runs(tx, [each.run for each in group])
    return [found[each.run.id] for each in group]


def same_input(ready: Checked, stored: beginning.StoredRun) -> UUID:
    """The stored run's id. Raises IdempotencyConflict where its idempotency key came with another input."""
    run = ready.run
    if stored.input_digest != run.input_digest:
        assert run.idempotency_key is not None
        raise IdempotencyConflict(run.idempotency_key, stored.id)
    return stored.id
