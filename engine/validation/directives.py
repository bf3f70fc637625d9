"""Checks what steps say beyond what they call: conditions, lists, waits; and what the run is to answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, cast

from engine.errors import Path
from engine.expressions import ExpressionFault
from engine.expressions.negations import negated_field
from engine.plans import USUAL_CHILDREN, Plan, PlanStep
from engine.references import JMESPATH, References, references, secrets_in
from engine.tools import Fault
from engine.validation.faults import ANSWER, STEPS, Faults
from engine.validation.order import Places
from engine.validation.reach import NOTHING, OWN, Reach
from engine.values import UnfitValue, check_json, text_fault
from persistence.moves.directives import Directive, PlannedAnswer

MOST_CHILDREN: Final = 1000
LONGEST_DELAY: Final = 31_536_000.0
"""A year, in seconds."""

_REFERENCE: Final = '{"$jmespath": "EXPRESSION"}'

_said: Final = attrgetter(
    "when",
    "after",
    "for_each",
    "for_each_most",
    "for_each_tolerates",
    "max_parallel",
    "delay_seconds",
    "not_before",
)
_SILENT: Final = (None, (), None, None, None, None, None, None)


def says_more(plan: Plan) -> bool:
    """Whether anything stands in the plan but calls and their dependencies."""
    return plan.answer is not None or any(_said(step) != _SILENT for step in plan.steps)


@dataclass(frozen=True, slots=True)
class Said:
    """What one step says of when it runs, and how often."""

    condition: str | None = None
    condition_found: References = NOTHING
    list_of: str | None = None
    list_found: References = NOTHING


SILENCE: Final = Said()


def said_by(place: int, step: PlanStep, faults: Faults) -> Said:
    """What a step says, each part of it checked by itself."""
    if _said(step) == _SILENT:
        return SILENCE
    condition, condition_found = _expression(place, "when", step.when, faults)
    list_of, list_found = _expression(place, "forEach", step.for_each, faults)
    _check_list_numbers(place, step, faults)
    _check_waits(place, step, faults)
    if step.for_each is not None:
        _check_hidden(place, step, faults)
    return Said(condition, condition_found, list_of, list_found)


def directive(
    place: int, step: PlanStep, said: Said, after: Places, followers: Places, *, calls_now: bool
) -> Directive | None:
    """What is stored of it; None for a step that says nothing, and that nobody comes after."""
    found = Directive(
        position=place,
        condition=said.condition,
        for_each=said.list_of,
        for_each_most=None if said.list_of is None else step.for_each_most or USUAL_CHILDREN,
        tolerates=bool(step.for_each_tolerates),
        # As many as there can be is no bound, and no number is too large to be kept.
        max_parallel=None if step.max_parallel is None else min(step.max_parallel, MOST_CHILDREN),
        delay_seconds=step.delay_seconds or None,
        not_before=step.not_before,
        after=after,
        followers=followers,
    )
    return None if found == Directive(place) and not calls_now else found


def followers_of(after: Sequence[Places]) -> list[Places]:
    """For each step, those that come after it."""
    followers: list[list[int]] = [[] for _ in after]
    for place, before in enumerate(after):
        for each in before:
            followers[each].append(place)
    return [tuple(each) for each in followers]


def planned_answer(answer: object, reach: Reach | None, faults: Faults, *, max_bytes: int) -> PlannedAnswer | None:
    """What the run is to answer, ready to be stored; None with a fault for what can't be."""
    try:
        planned = check_json(answer, max_bytes=max_bytes, what="the answer")
    except UnfitValue as fault:
        faults.add((*ANSWER, *fault.path), fault.message)
        return None
    needs: tuple[int, ...] = ()
    if b'"$' in planned:
        found = references(answer)
        secrets = {
            path: Fault(path, "an answer is kept and shown, and can't hold a $secret") for path in secrets_in(answer)
        }
        faults.all_below(ANSWER, (*secrets.values(), *(each for each in found.faults if each.path not in secrets)))
        _check_negations(found, ANSWER, faults)
        needs = () if reach is None else reach.needs(found, ANSWER, None)
    return PlannedAnswer(planned.decode(), needs)


def _expression(place: int, field: str, value: Any, faults: Faults) -> tuple[str | None, References]:
    """The expression that stands in a field, and what it refers to."""
    if value is None:
        return None, NOTHING
    entries = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    text = entries.get(JMESPATH)
    if len(entries) != 1 or not isinstance(text, str):
        faults.of_step(place, field, message=f"one reference stands here, and nothing beside it: {_REFERENCE}")
        return None, NOTHING
    if fault := text_fault(text):
        faults.of_step(place, field, message=f"the expression {fault}")
        return None, NOTHING
    path = (*STEPS, place, field)
    found = references(entries)
    faults.all_below(path, found.faults)
    _check_negations(found, path, faults)
    return text, found


def _check_negations(found: References, path: Path, faults: Faults) -> None:
    for below, expression, _ in found.expressions:
        try:
            negated = negated_field(expression)
        except ExpressionFault:
            continue  # it is refused already
        if negated is not None:
            written, meant = negated
            message = f"what {written} says is always null, as ! binds more tightly than what follows: write {meant}"
            faults.add((*path, *below), message)


def _check_list_numbers(place: int, step: PlanStep, faults: Faults) -> None:
    most, parallel = step.for_each_most, step.max_parallel
    for field, value in (
        ("forEachMost", most),
        ("maxParallel", parallel),
        ("forEachTolerates", step.for_each_tolerates or None),
    ):
        if value is not None and step.for_each is None:
            faults.of_step(place, field, message=f"only a step with forEach has {field}, and this has none")
    if step.for_each is None:
        return
    if most is not None and not 1 <= most <= MOST_CHILDREN:
        faults.of_step(place, "forEachMost", message=f"a list may have 1 to {MOST_CHILDREN} entries")
    if parallel is not None and parallel < 1:
        faults.of_step(place, "maxParallel", message="1 or more run at once; leave it out for no bound of your own")


def _check_waits(place: int, step: PlanStep, faults: Faults) -> None:
    seconds = step.delay_seconds
    if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_DELAY):
        faults.of_step(place, "delaySeconds", message=f"a delay is 0 to {LONGEST_DELAY:.0f} seconds, which is a year")
    if step.not_before is not None and not _is_moment(step.not_before):
        message = "a moment has an offset, such as 2026-01-02T03:04:05Z, and lies in the years 1 to 9999"
        faults.of_step(place, "notBefore", message=message)


def _is_moment(at: datetime) -> bool:
    try:
        return at.tzinfo is not None and bool(at.astimezone(UTC))
    except OverflowError:
        return False


def _check_hidden(place: int, step: PlanStep, faults: Faults) -> None:
    """A step whose key is `item` can't be looked at where that is the list's entry."""
    named: Iterable[tuple[str, Sequence[str]]] = (("dependsOn", step.depends_on), ("after", step.after))
    for field, keys in named:
        for number, key in enumerate(keys):
            if key in OWN:
                message = f"{key!r} is the list's own in a step with forEach: give that step another key"
                faults.of_step(place, field, number, message=message)
