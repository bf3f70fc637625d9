"""What becomes of a step that waits for nothing any more: its condition, list, arguments and wait. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from engine.expressions import Budget, Evaluation, ExpressionFault
from engine.plans import USUAL_CHILDREN
from engine.references import secrets_in
from engine.resolving import UNRESOLVABLE, Fitted, Unfitted, fitted, moment
from engine.rounds.lists import LONGER
from engine.tools import Registry
from engine.values import UnfitValue, check_json, storable
from persistence.moves.begin import NewStep
from persistence.moves.rounds.facts import FreedStep, RunFacts
from persistence.moves.rounds.turn import Child, Verdict
from persistence.states import SkipReason, StepState

TOO_MANY_ITEMS: Final = "TOO_MANY_ITEMS"
NOT_A_LIST: Final = "NOT_A_LIST"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of this installation: bytes of a JSON value, and steps of a run, children included."""

    json_bytes: int
    run_steps: int


@dataclass(slots=True)
class Found:
    """What a round will write. `unfit` are steps whose refusal has still to be put in words, and why they are."""

    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    children: list[Child] = field(default_factory=list[Child])
    unfit: list[tuple[FreedStep | Child, Unfitted]] = field(default_factory=list[tuple[FreedStep | Child, Unfitted]])


class Looking:
    """One look at the steps of one run that a round has freed. Its expressions share one bound of work."""

    def __init__(self, run: RunFacts, steps: int, registry: Registry, bounds: Bounds) -> None:
        self.steps = steps
        """How many steps the run has by now: the position of the next child."""
        self._run = run
        self._registry = registry
        self._bounds = bounds
        self._budget = Budget()
        self._now = moment(run.created_at)

    def look(self, step: FreedStep, found: Found) -> None:
        """Add what becomes of this step."""
        known: dict[str, Any] = orjson.loads(step.known)
        try:
            if step.condition is not None and not holds(self._value(known, "when", step.condition)):
                found.verdicts.append(_verdict(step, StepState.SKIPPED, reason=SkipReason.CONDITION_FALSE))
            elif step.for_each is None:
                self._plain(step, known, found)
            else:
                self._expand(step, known, self._value(known, "forEach", step.for_each), found)
        except _Failed as failed:
            found.verdicts.append(_failure(step, failed.code, failed.message))

    def _value(self, known: Mapping[str, Any], name: str, expression: str) -> Any:
        try:
            return Evaluation(known, self._budget, now=self._now).value_of(expression)
        except ExpressionFault as error:
            raise _Failed(UNRESOLVABLE, f"{name}: {error}") from error

    def _plain(self, step: FreedStep, known: Mapping[str, Any], found: Found) -> None:
        args, digest = None, None
        if step.dynamic:
            fit = self._fitted(step, orjson.loads(step.args), known)
            if isinstance(fit, Unfitted):
                found.unfit.append((step, fit))
                return
            args, digest = fit.args, fit.digest
        found.verdicts.append(
            _verdict(
                step,
                StepState.BLOCKED if step.gated else StepState.READY,
                args=args,
                digest=digest,
                delay_seconds=step.delay_seconds,
                not_before=step.not_before,
            )
        )

    def _fitted(self, step: FreedStep, planned: dict[str, Any], known: Mapping[str, Any]) -> Fitted | Unfitted:
        return fitted(
            step.tool,
            planned,
            known,
            self._registry,
            budget=self._budget,
            max_bytes=self._bounds.json_bytes,
            now=self._now,
        )

    # A list

    def _expand(self, step: FreedStep, known: dict[str, Any], value: object, found: Found) -> None:
        if not isinstance(value, list):
            kind = _KINDS.get(type(value), "a value")
            raise _Failed(NOT_A_LIST, f"forEach: its expression gives {kind}, and no list")
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON
        most = step.for_each_most or USUAL_CHILDREN
        if len(items) > most:
            raise _Failed(TOO_MANY_ITEMS, f"forEach: its list has {len(items)} entries, and may have {most}")
        if self.steps + len(items) > self._bounds.run_steps:
            raise _Failed(
                TOO_MANY_ITEMS,
                f"forEach: with {len(items)} more the run would have {self.steps + len(items)} steps, "
                f"and may have {self._bounds.run_steps}",
            )
        if not items:
            found.verdicts.append(_verdict(step, StepState.SUCCEEDED, result="[]"))
            return
        text = self._kept(items)
        self._add_children(step, known, items, found)
        found.verdicts.append(_verdict(step, StepState.RUNNING, items=text, children=len(items)))

    def _kept(self, items: list[Any]) -> str:
        for _ in secrets_in(items):
            raise _Failed(UNRESOLVABLE, "forEach: its list holds a $secret, and only a plan may write one")
        try:
            return check_json(items, max_bytes=LONGER * self._bounds.json_bytes, what="the list").decode()
        except UnfitValue as error:
            raise _Failed(UNRESOLVABLE, f"forEach: {error.message}") from error

    def _add_children(self, step: FreedStep, known: dict[str, Any], items: list[Any], found: Found) -> None:
        planned: dict[str, Any] = orjson.loads(step.args)
        for index, item in enumerate(items):
            fit = self._fitted(step, planned, {**known, "item": item, "index": index})
            child = self._child(step, index, fit)
            found.children.append(child)
            if isinstance(fit, Unfitted):
                found.unfit.append((child, fit))

    def _child(self, step: FreedStep, index: int, fit: Fitted | Unfitted) -> Child:
        begins = StepState.BLOCKED if step.gated else StepState.READY
        state = StepState.PENDING if isinstance(fit, Unfitted) else begins
        position, self.steps = self.steps, self.steps + 1
        row = NewStep(
            run=step.run,
            submitted_by=self._run.submitted_by,
            position=position,
            key=f"{step.key}[{index}]",
            name=f"{step.name} [{index}]",
            tool=step.tool,
            risk=step.risk,
            gated=step.gated,
            gate_reason=step.gate_reason,
            idempotent=step.idempotent,
            dynamic=step.dynamic,
            feeds=True,
            args=step.args,
            resolved_args=fit.args if isinstance(fit, Fitted) else None,
            digest=fit.digest if isinstance(fit, Fitted) else None,
            depends_on=tuple(step.depends_on),
            dependents=(),
            needs=(),
            max_attempts=step.max_attempts,
            timeout_seconds=step.timeout_seconds,
        )
        return Child(
            row,
            parent=step.position,
            index=index,
            state=state,
            tolerated=step.tolerates,
            delay_seconds=step.delay_seconds,
            not_before=step.not_before,
        )


class _Failed(Exception):
    """The step fails before anything is called."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = storable(message[:4000])


_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    dict: "an object",
}


def holds(value: object) -> bool:
    """Whether JMESPath takes the value for true: 0 is."""
    return not (value is None or value is False or value in ("", [], {}))


def _verdict(step: FreedStep, enters: StepState, **more: Any) -> Verdict:
    return Verdict(step.run, step.position, enters, **more)


def _failure(step: FreedStep, code: str, message: str) -> Verdict:
    return Verdict(step.run, step.position, StepState.FAILED, error_code=code, error_message=message)
