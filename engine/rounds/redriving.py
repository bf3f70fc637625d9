"""Sending dead letters of an elaborate run back: a step, a child, or a parent with all of its failed children."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from engine.errors import InvalidState
from engine.expressions import Budget, Evaluation, ExpressionFault
from engine.resolving import Unfitted, completed, fitted, moment
from engine.rounds.settling import Rounds, Rules
from engine.rounds.verdicts import holds
from persistence.database import Connection
from persistence.moves.rounds.facts import RunFacts
from persistence.moves.rounds.redrive import DirectedStep, Target, Unresolved, redrive, unresolved
from persistence.moves.row import Advance
from persistence.states import FINISHED_STEP_STATES, SkipReason, StepState
from persistence.steering import LinkedStep, asked_about

Steps = Mapping[int, DirectedStep]
Linked = DirectedStep | LinkedStep
"""A step with the positions of those around it."""

_LOST: Final = frozenset({StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED})


async def redrive_elaborate(
    tx: Connection, rules: Rules, run: RunFacts, steps: Steps, position: int, *, reason: str | None, by: str
) -> Advance:
    """Send this dead letter of a locked run back, with what was skipped because of it alone.

    The parent of a child comes back with the last of its failed children. Raises InvalidState where it is no dead
    letter, or would fail again without a call.
    """
    step = steps[position]
    if not step.dead_lettered:
        raise InvalidState(f"the step is {step.state}: only a dead letter is retried", step.state)
    targets = [step] if not step.lists else failed_children(step, steps)
    if not targets:
        raise InvalidState(
            "the step failed by its list, or by the size of its result, and would again: submit a corrected plan",
            StepState.FAILED,
        )
    going = {each.position for each in targets}
    reopened = parents_coming_back(going, steps)
    back = coming_back(reopened | {each.position for each in targets if each.parent is None}, steps)
    after = going | reopened | set(back)
    anew = await _anew(tx, rules, run, targets)
    done = await redrive(
        tx,
        run.id,
        anew,
        reopened=sorted(reopened),
        back=[(place, waits_for(steps[place], steps, after)) for place in sorted(back)],
        recounted=[
            (each.position, waits)
            for each in steps.values()
            if each.state is StepState.PENDING and (waits := waits_for(each, steps, after)) != each.remaining
        ],
        reason=reason,
        by=by,
        gate=rules.gate,
    )
    if not done:
        raise InvalidState("the run is CANCELLED, and cancelled runs stay so", run.state)
    return await Rounds(tx, rules, {run.id: run}).conclude(judged=True)


def failed_children(parent: DirectedStep, steps: Steps) -> list[DirectedStep]:
    """The dead letters among a step's children, in the list's order."""
    return [each for each in steps.values() if each.parent == parent.position and each.dead_lettered]


def parents_coming_back(going: Collection[int], steps: Steps) -> set[int]:
    """The failed parents that are left without a failed child when these go back."""
    parents = {parent for each in going if (parent := steps[each].parent) is not None}
    return {
        parent
        for parent in parents
        if steps[parent].state is StepState.FAILED
        and all(each.position in going for each in failed_children(steps[parent], steps))
    }


def coming_back(going: Collection[int], steps: Mapping[int, Linked]) -> set[int]:
    """The skipped steps that come back with these.

    Those that were skipped because something failed, and for which nothing else stays failed or skipped: a step with
    another dead letter before it comes back with that one.
    """
    below: set[int] = set()
    waiting = list(going)
    while waiting:
        for each in steps[waiting.pop()].dependents:
            if each not in below and steps[each].skip_reason == SkipReason.DEPENDENCY_FAILED:
                below.add(each)
                waiting.append(each)
    while True:
        there = below | set(going)
        stuck = {
            each
            for each in below
            if any(steps[before].state in _LOST and before not in there for before in steps[each].depends_on)
        }
        if not stuck:
            return below
        below -= stuck


def waits_for(step: DirectedStep, steps: Steps, going: Collection[int]) -> int:
    """How many steps it waits for when these have gone back."""
    unmet = sum(steps[each].state is not StepState.SUCCEEDED or each in going for each in step.depends_on)
    return unmet + sum(steps[each].state not in FINISHED_STEP_STATES or each in going for each in step.after)


async def _anew(tx: Connection, rules: Rules, run: RunFacts, steps: Sequence[DirectedStep]) -> list[Target]:
    """The dead letters, with arguments if they failed before they had any, or if their tools have new defaults."""
    asked = await asked_about(tx, run.id, [each.position for each in steps if each.was_called])
    left = await unresolved(tx, run.id, [each.position for each in steps if not each.was_called])
    targets: list[Target] = []
    for each in steps:
        place = each.position
        if not each.was_called:
            targets.append(_resolved(place, left.get(place), rules, run))
            continue
        fit = None
        if (about := asked.get(place)) is not None:
            fit = completed(about.tool, about.args, rules.registry, max_bytes=rules.settings.max_json_bytes)
        targets.append(Target(place) if fit is None else Target(place, fit.args, fit.digest))
    return targets


def _resolved(position: int, found: Unresolved | None, rules: Rules, run: RunFacts) -> Target:
    """One that was never called, with the arguments that it has by now."""
    if found is None:
        raise _again("it has neither references nor a condition")
    known: dict[str, Any] = orjson.loads(found.known)
    if found.place is not None:
        known |= {"item": None if found.item is None else orjson.loads(found.item), "index": found.place}
    budget, now = Budget(), moment(run.created_at)
    if found.condition is not None:
        try:
            if not holds(Evaluation(known, budget, now=now).value_of(found.condition)):
                raise _again("its condition does not hold")
        except ExpressionFault as error:
            raise _again(str(error)) from error
    if not found.dynamic:
        return Target(position)
    fit = fitted(
        found.tool,
        orjson.loads(found.args),
        known,
        rules.registry,
        budget=budget,
        max_bytes=rules.settings.max_json_bytes,
        now=now,
    )
    if isinstance(fit, Unfitted):
        raise _again(fit.message)
    return Target(position, fit.args, fit.digest)


def _again(why: str) -> InvalidState:
    return InvalidState(
        f"its arguments still can't be resolved, and will not be: {why}; submit a corrected plan", StepState.FAILED
    )
