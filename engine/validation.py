"""Says everything that is wrong with a plan, each fault at its path, and turns a sound one into steps. Pure.

The same for a client's plan and a planner's: neither is trusted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from engine import risk as risks
from engine.aside import Lane, aside
from engine.digest import args_digest
from engine.errors import InvalidPlan, Path, PlanFault
from engine.nearest import Hints
from engine.plans import Plan, PlanStep
from engine.provenance import traced
from engine.references import References, Unresolvable, references, resolve
from engine.settings import EngineSettings
from engine.tools import ArgsUnfit, Fault, Registry, Tool
from engine.values import UnfitValue, check_json, check_size, encode, text_fault
from persistence.moves.begin import NewStep
from persistence.moves.directives import Directive, PlannedAnswer, StepOrigins
from persistence.states import Risk, Trust

ROOT: Final[Path] = ("plan", "steps")
_KEY: Final = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,98}[^\s\x00-\x1f\x7f])?")
_LONGEST_NAME: Final = 500
_LONGEST_TIMEOUT: Final = 7 * 86_400
_FEW_STEPS: Final = 50
_FEW_BYTES: Final = 10_000
_NOTHING: Final = References((), everything=False, dynamic=False, faults=())


class SoundStep(NamedTuple):
    """A step of a plan in which nothing is wrong; all places are positions in the plan."""

    position: int
    key: str
    name: str
    tool: Tool
    risk: Risk
    gated: bool
    gate_reason: str | None
    dynamic: bool
    args: bytes
    resolved_args: bytes | None
    digest: str | None
    depends_on: tuple[int, ...]
    dependents: tuple[int, ...]
    needs: tuple[int, ...]
    max_attempts: int | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """A plan that may be stored and run.

    `directives` are there for steps with a condition, a list or a wait, and for those that others come after;
    `origins` for steps whose arguments, or whose own readiness, come from more than the plan.
    """

    steps: tuple[SoundStep, ...]
    directives: tuple[Directive, ...] = ()
    answer: PlannedAnswer | None = None
    origins: Sequence[StepOrigins] = ()

    @property
    def is_elaborate(self) -> bool:
        """Whether its run is settled in rounds, and has to be stored in several statements."""
        return bool(self.directives) or self.answer is not None

    @property
    def risk(self) -> Risk:
        """The highest risk among its steps."""
        return max(step.risk for step in self.steps)

    def for_run(self, run: UUID, submitted_by: UUID) -> list[NewStep]:
        """Its steps, ready to be stored."""
        feeding = {place for step in self.steps if step.dynamic for place in step.depends_on}
        return [
            NewStep(
                run=run,
                submitted_by=submitted_by,
                position=step.position,
                key=step.key,
                name=step.name,
                tool=step.tool.name,
                risk=step.risk,
                gated=step.gated,
                gate_reason=step.gate_reason,
                idempotent=step.tool.idempotent,
                dynamic=step.dynamic,
                feeds=step.position in feeding,
                args=step.args.decode(),
                resolved_args=None if step.resolved_args is None else step.resolved_args.decode(),
                digest=step.digest,
                depends_on=step.depends_on,
                dependents=step.dependents,
                needs=step.needs,
                max_attempts=step.max_attempts,
                timeout_seconds=step.timeout_seconds,
            )
            for step in self.steps
        ]


def check_plan(
    plan: Plan,
    registry: Registry,
    settings: EngineSettings,
    *,
    approve_from: Risk,
    literals: Trust = Trust.PLAN,
) -> SoundPlan:
    """The plan, sound; `literals` is the trust of what it says itself. Raises InvalidPlan, every fault at its path."""
    check = _Check(plan, registry, settings, approve_from)
    sound = check.sound()
    refuses = settings.outside_destination == "refuse"
    return traced(plan, sound, check.found, approve_from=approve_from, literals=literals, refuses=refuses)


async def check_plan_aside(
    plan: Plan,
    registry: Registry,
    settings: EngineSettings,
    *,
    approve_from: Risk,
    literals: Trust = Trust.PLAN,
) -> SoundPlan:
    """The same; what takes long is done while others are served."""
    check = partial(check_plan, plan, registry, settings, approve_from=approve_from, literals=literals)
    return await aside(check, Lane.PLANS) if is_long(plan) else check()


def is_long(plan: Plan) -> bool:
    """Whether looking through it may take more than a few milliseconds."""
    if len(plan.steps) > _FEW_STEPS:
        return True
    try:
        return sum(len(orjson.dumps(step.args)) + 16 * len(step.depends_on) for step in plan.steps) > _FEW_BYTES
    except (orjson.JSONEncodeError, RecursionError):
        return True  # it says why it is refused


class _Check:
    """One look at one plan: collects faults, and what a later look at the same plan would find again."""

    def __init__(self, plan: Plan, registry: Registry, settings: EngineSettings, approve_from: Risk) -> None:
        self._steps = plan.steps
        self._registry = registry
        self._settings = settings
        self._approve_from = approve_from
        self._faults: list[PlanFault] = []
        self._hints = Hints()
        self.found: dict[int, References] = {}
        """The references in arguments, by the position of their step."""
        self._place = {step.key: place for place, step in reversed(list(enumerate(plan.steps)))}

    def sound(self) -> SoundPlan:
        if not self._steps:
            raise InvalidPlan((PlanFault("a plan needs at least one step", ROOT),))
        if len(self._steps) > self._settings.max_plan_steps:
            raise InvalidPlan(
                (
                    PlanFault(
                        f"a plan may have {self._settings.max_plan_steps} steps, and this has {len(self._steps)}", ROOT
                    ),
                )
            )
        self._check_keys()
        depends_on = [self._dependencies(place, step) for place, step in enumerate(self._steps)]
        ancestors = self._ancestors(depends_on)
        dependents: list[list[int]] = [[] for _ in self._steps]
        for place, before in enumerate(depends_on):
            for each in before:
                dependents[each].append(place)
        steps = [
            self._step(place, step, depends_on[place], tuple(dependents[place]), ancestors)
            for place, step in enumerate(self._steps)
        ]
        if self._faults:
            raise InvalidPlan(tuple(sorted(self._faults, key=lambda fault: (len(fault.path) < 3, _order(fault.path)))))
        return SoundPlan(tuple(step for step in steps if step is not None))

    def _fault(self, place: int, *path: str | int, message: str, unknown_tool: bool = False) -> None:
        self._faults.append(PlanFault(message, (*ROOT, place, *path), unknown_tool))

    def _near_step(self, key: str) -> str:
        return self._hints.near(key, self._place)

    def _check_keys(self) -> None:
        counts = Counter(step.key for step in self._steps)
        for place, step in enumerate(self._steps):
            if _KEY.fullmatch(step.key) is None or text_fault(step.key):
                self._fault(
                    place, "key", message="a key has 1 to 100 printable characters, none of them blank at its ends"
                )
            elif counts[step.key] > 1 and self._place[step.key] != place:
                self._fault(place, "key", message=f"the key {step.key!r} is taken by step {self._place[step.key]}")

    def _dependencies(self, place: int, step: PlanStep) -> tuple[int, ...]:
        found: dict[int, None] = {}
        for number, key in enumerate(step.depends_on):
            other = self._place.get(key)
            if other is None:
                self._fault(
                    place, "dependsOn", number, message=f"there is no step {key!r} in this plan{self._near_step(key)}"
                )
            elif other == place:
                self._fault(place, "dependsOn", number, message=f"{key!r} can't depend on itself")
            elif other in found:
                self._fault(place, "dependsOn", number, message=f"{key!r} is named twice")
            else:
                found[other] = None
        return tuple(found)

    def _ancestors(self, depends_on: Sequence[tuple[int, ...]]) -> list[int] | None:
        """All that each step transitively depends on, as the bits of an integer; None when there is a cycle."""
        order: Sequence[int] = range(len(self._steps))
        # Most plans are written in an order in which they can be done.
        if any(before > place for place in order for before in depends_on[place]):
            sorter = TopologicalSorter(dict(enumerate(depends_on)))
            try:
                order = list(sorter.static_order())
            except CycleError as error:
                cycle: list[int] = error.args[1]
                names = " → ".join(repr(self._steps[place].key) for place in _shortened(cycle))
                self._fault(cycle[0], "dependsOn", message=f"these steps wait for each other: {names}")
                return None
        bits = [0] * len(self._steps)
        for place in order:
            for before in depends_on[place]:
                bits[place] |= bits[before] | 1 << before
        return bits

    def _step(
        self,
        place: int,
        step: PlanStep,
        depends_on: tuple[int, ...],
        dependents: tuple[int, ...],
        ancestors: list[int] | None,
    ) -> SoundStep | None:
        self._check_numbers(place, step)
        if step.name is not None and (not step.name.strip() or len(step.name) > _LONGEST_NAME or text_fault(step.name)):
            self._fault(place, "name", message=f"a name has 1 to {_LONGEST_NAME} characters, and no NUL")
        tool = self._registry.get(step.tool)
        if tool is None:
            names = self._registry.names
            near = self._hints.near(step.tool, names)
            message = f"there is no tool {step.tool!r:.100}{near}; there are {', '.join(names)}"
            self._fault(place, "tool", message=message, unknown_tool=True)
        args = self._encoded(place, step)
        if tool is None or args is None:
            return None
        found = self._references(step, args)
        resolved = None
        if found is _NOTHING:
            # One look says what is wrong and what it will be called with.
            resolved = self._fitted(place, step, tool)
        else:
            self.found[place] = found
            self._unfit(place, (*found.faults, *tool.faults(step.args)))
        needs = self._needs(place, found, ancestors)
        if self._faults:
            return None
        # What looks at no result is known now, whatever the step waits for.
        dynamic = found.dynamic and bool(needs)
        if resolved is None and not dynamic:
            resolved = self._resolved(place, step, tool, found)
        kept = self._kept(place, resolved, args)
        level = risks.effective(tool.risk, step.risk)
        gated = risks.is_gated(level, self._approve_from)
        asked = gated or not tool.idempotent
        return SoundStep(
            position=place,
            key=step.key,
            name=step.name or step.key,
            tool=tool,
            risk=level,
            gated=gated,
            gate_reason=risks.gate_reason(tool.name, tool.risk, level, self._approve_from) if gated else None,
            dynamic=dynamic,
            args=args,
            resolved_args=kept,
            digest=args_digest(tool.name, resolved) if asked and resolved is not None else None,
            depends_on=depends_on,
            dependents=dependents,
            needs=needs if dynamic else (),
            max_attempts=risks.attempts(level, tool.max_attempts, step.max_attempts),
            timeout_seconds=step.timeout_seconds or tool.timeout_seconds or self._settings.step_timeout_seconds,
        )

    def _check_numbers(self, place: int, step: PlanStep) -> None:
        if step.max_attempts is not None and not 0 <= step.max_attempts <= risks.MOST_ATTEMPTS:
            self._fault(place, "maxAttempts", message=f"attempts are 1 to {risks.MOST_ATTEMPTS}, or 0 for no end")
        seconds = step.timeout_seconds
        if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= _LONGEST_TIMEOUT):
            self._fault(
                place, "timeoutSeconds", message=f"a time-out is more than 0 and at most {_LONGEST_TIMEOUT} seconds"
            )

    def _encoded(self, place: int, step: PlanStep) -> bytes | None:
        try:
            return check_json(dict(step.args), max_bytes=self._settings.max_json_bytes, what="the arguments")
        except UnfitValue as fault:
            self._fault(place, "args", *fault.path, message=fault.message)
            return None

    @staticmethod
    def _references(step: PlanStep, args: bytes) -> References:
        # Most arguments hold no reference, and then nothing is walked.
        return references(step.args) if b'"$' in args else _NOTHING

    def _needs(self, place: int, found: References, ancestors: list[int] | None) -> tuple[int, ...]:
        if ancestors is None:
            return ()
        reach = ancestors[place]
        if found.everything:
            return tuple(other for other in range(len(self._steps)) if reach >> other & 1)
        needs: set[int] = set()
        for path, key in found.keys:
            other = self._place.get(key)
            if other is None:
                self._fault(
                    place,
                    "args",
                    *path,
                    message=f"refers to {key!r}, and there is no step of that key{self._near_step(key)}",
                )
            elif not reach >> other & 1:
                self._fault(place, "args", *path, message=f"refers to {key!r}, which this step does not depend on")
            else:
                needs.add(other)
        return tuple(sorted(needs))

    def _resolved(self, place: int, step: PlanStep, tool: Tool, found: References) -> dict[str, Any] | None:
        if not found.dynamic:
            return self._fitted(place, step, tool)
        try:
            args = tool.fit(resolve(step.args, {}))
            check_json(args, max_bytes=self._settings.max_json_bytes, what="the resolved arguments")
            return args  # noqa: TRY300 - the checks are what may raise
        except (Unresolvable, UnfitValue) as error:
            self._fault(place, "args", *error.path, message=error.message)
        except ArgsUnfit as error:
            self._unfit(place, error.faults)
        return None

    def _fitted(self, place: int, step: PlanStep, tool: Tool) -> dict[str, Any] | None:
        try:
            return tool.fit(dict(step.args))
        except ArgsUnfit as error:
            self._unfit(place, error.faults)
        return None

    def _kept(self, place: int, resolved: dict[str, Any] | None, args: bytes) -> bytes | None:
        text = None if resolved is None else encode(resolved)
        if text is None or text == args:
            return None
        try:
            check_size(text, max_bytes=self._settings.max_json_bytes, what="the arguments with what is filled in")
        except UnfitValue as fault:
            self._fault(place, "args", message=fault.message)
        return text

    def _unfit(self, place: int, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._fault(place, "args", *fault.path, message=fault.message)


def _shortened(cycle: list[int]) -> Iterable[int]:
    return cycle if len(cycle) <= 12 else [*cycle[:6], *cycle[-5:]]


def _order(path: Path) -> tuple[Any, ...]:
    return tuple((isinstance(part, str), part) for part in path)
