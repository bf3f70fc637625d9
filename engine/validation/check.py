"""Looks through a plan, and makes the steps of a sound one."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import orjson

from engine import risk as risks
from engine.aside import Lane, aside
from engine.digest import args_digest
from engine.errors import InvalidPlan, PlanFault
from engine.plans import Plan, PlanStep
from engine.provenance import traced
from engine.references import References, Unresolvable, references, resolve
from engine.settings import EngineSettings
from engine.tools import ArgsUnfit, Registry, Tool
from engine.validation.directives import SILENCE, Said, directive, followers_of, planned_answer, said_by, says_more
from engine.validation.faults import STEPS, Faults
from engine.validation.order import Places, in_order, named
from engine.validation.reach import NOTHING, Reach, own_shapes
from engine.validation.shapes import Shape
from engine.validation.sound import SoundPlan, SoundStep
from engine.values import UnfitValue, check_json, check_size, encode, text_fault
from persistence.moves.directives import Directive
from persistence.states import Risk, Trust

_KEY: Final = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,98}[^\s\x00-\x1f\x7f])?")
_CHILD_KEY: Final = re.compile(r"(.+)\[[0-9]+\]")
_LONGEST_NAME: Final = 500
_LONGEST_TIMEOUT: Final = 7 * 86_400
_FEW_STEPS: Final = 50
_FEW_BYTES: Final = 10_000
_NOT_OWN: Final[Mapping[str, Shape]] = {}


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
        size = sum(len(orjson.dumps(step.args)) + 16 * len(step.depends_on) for step in plan.steps)
        if says_more(plan):
            more = [(step.when, step.for_each, step.after) for step in plan.steps]
            size += len(orjson.dumps((plan.answer, more)))
    except (orjson.JSONEncodeError, RecursionError):
        return True  # it says why it is refused
    return size > _FEW_BYTES


class _Check:
    """One look at one plan: collects faults, and what a later look at the same plan would find again."""

    def __init__(self, plan: Plan, registry: Registry, settings: EngineSettings, approve_from: Risk) -> None:
        self._plan = plan
        self._steps = plan.steps
        self._registry = registry
        self._settings = settings
        self._approve_from = approve_from
        self._faults = Faults()
        self._place = {step.key: place for place, step in reversed(list(enumerate(plan.steps)))}
        self._says_more = says_more(plan)
        self.found: dict[int, References] = {}
        """The references in arguments, by the position of their step."""
        self._timely: set[int] = set()
        """The steps whose arguments call `now()`."""

    def sound(self) -> SoundPlan:
        if not self._steps:
            raise InvalidPlan((PlanFault("a plan needs at least one step", STEPS),))
        if len(self._steps) > self._settings.max_plan_steps:
            raise InvalidPlan(
                (
                    PlanFault(
                        f"a plan may have {self._settings.max_plan_steps} steps, and this has {len(self._steps)}", STEPS
                    ),
                )
            )
        self._check_keys()
        depends_on = [
            named(place, "dependsOn", step.depends_on, self._place, self._faults) if step.depends_on else ()
            for place, step in enumerate(self._steps)
        ]
        after = self._after(depends_on) if self._says_more else None
        order = in_order(self._steps, depends_on, after, self._faults)
        reach = None if order is None else Reach(self._steps, self._place, order, self._registry, self._faults)
        dependents: list[list[int]] = [[] for _ in self._steps]
        for place, before in enumerate(depends_on):
            for each in before:
                dependents[each].append(place)
        said = [said_by(*each, self._faults) for each in enumerate(self._steps)] if self._says_more else None
        steps = [
            self._step(
                place,
                step,
                depends_on[place],
                tuple(dependents[place]),
                reach,
                SILENCE if said is None else said[place],
            )
            for place, step in enumerate(self._steps)
        ]
        answer = None
        if self._plan.answer is not None:
            answer = planned_answer(self._plan.answer, reach, self._faults, max_bytes=self._settings.max_json_bytes)
        self._faults.refuse()
        sound = tuple(step for step in steps if step is not None)
        if said is None and not self._timely:
            return SoundPlan(sound)
        return SoundPlan(sound, self._directives(said, after), answer)

    def _after(self, depends_on: list[Places]) -> list[Places]:
        return [
            named(place, "after", step.after, self._place, self._faults, taken=depends_on[place])
            for place, step in enumerate(self._steps)
        ]

    def _directives(self, said: list[Said] | None, after: list[Places] | None) -> tuple[Directive, ...]:
        nothing: list[Places] = [()] * len(self._steps)
        before = nothing if after is None else after
        followers = nothing if after is None else followers_of(after)
        found = (
            directive(
                place,
                step,
                SILENCE if said is None else said[place],
                before[place],
                followers[place],
                calls_now=place in self._timely,
            )
            for place, step in enumerate(self._steps)
        )
        return tuple(each for each in found if each is not None)

    def _check_keys(self) -> None:
        counts = Counter(step.key for step in self._steps)
        for place, step in enumerate(self._steps):
            if _KEY.fullmatch(step.key) is None or text_fault(step.key):
                self._faults.of_step(
                    place, "key", message="a key has 1 to 100 printable characters, none of them blank at its ends"
                )
            elif counts[step.key] > 1 and self._place[step.key] != place:
                self._faults.of_step(
                    place, "key", message=f"the key {step.key!r} is taken by step {self._place[step.key]}"
                )
        if self._says_more:
            self._check_child_keys()

    def _check_child_keys(self) -> None:
        for place, step in enumerate(self._steps):
            child = _CHILD_KEY.fullmatch(step.key) if step.key.endswith("]") else None
            parent = None if child is None else self._place.get(child[1])
            if parent is not None and self._steps[parent].for_each is not None:
                message = f"{step.key!r} is the key of a child of step {parent}, which has forEach; take another"
                self._faults.of_step(place, "key", message=message)

    def _step(  # noqa: PLR0917 -- once for each of thousands of steps
        self,
        place: int,
        step: PlanStep,
        depends_on: tuple[int, ...],
        dependents: tuple[int, ...],
        reach: Reach | None,
        said: Said,
    ) -> SoundStep | None:
        self._check_numbers(place, step)
        if step.name is not None and (not step.name.strip() or len(step.name) > _LONGEST_NAME or text_fault(step.name)):
            self._faults.of_step(place, "name", message=f"a name has 1 to {_LONGEST_NAME} characters, and no NUL")
        tool = self._registry.get(step.tool)
        if tool is None:
            names = self._registry.names
            near = self._faults.near(step.tool, names)
            message = f"there is no tool {step.tool!r:.100}{near}; there are {', '.join(names)}"
            self._faults.of_step(place, "tool", message=message, unknown_tool=True)
        args = self._encoded(place, step)
        conditional = () if said is SILENCE else self._needs_of_said(place, said, reach)
        if tool is None or args is None:
            return None
        found = self._references(step, args)
        resolved = None
        needs: tuple[int, ...] = ()
        dynamic = False
        if found is NOTHING:
            # One look says what is wrong and what it will be called with.
            resolved = self._fitted(place, step, tool)
        else:
            self.found[place] = found
            self._faults.all_below((*STEPS, place, "args"), (*found.faults, *tool.faults(step.args)))
            needs, dynamic = self._needs(place, step, found, reach)
        if self._faults.found:
            return None
        if resolved is None and not dynamic:
            resolved = self._resolved(place, step, tool, found)
        kept = self._kept(place, resolved, args)
        if step.for_each is not None:
            # What is called are its children: they have arguments, each its own.
            dynamic, resolved, kept = True, None, None
        level = risks.effective(tool.risk, step.risk)
        gated = risks.is_gated(level, self._approve_from)
        asked = gated or not tool.idempotent
        looked_at = needs if dynamic else ()
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
            needs=tuple(sorted({*looked_at, *conditional})) if conditional else looked_at,
            max_attempts=risks.attempts(level, tool.max_attempts, step.max_attempts),
            timeout_seconds=step.timeout_seconds or tool.timeout_seconds or self._settings.step_timeout_seconds,
        )

    def _check_numbers(self, place: int, step: PlanStep) -> None:
        if step.max_attempts is not None and not 0 <= step.max_attempts <= risks.MOST_ATTEMPTS:
            message = f"attempts are 1 to {risks.MOST_ATTEMPTS}, or 0 for no end"
            self._faults.of_step(place, "maxAttempts", message=message)
        seconds = step.timeout_seconds
        if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= _LONGEST_TIMEOUT):
            message = f"a time-out is more than 0 and at most {_LONGEST_TIMEOUT} seconds"
            self._faults.of_step(place, "timeoutSeconds", message=message)

    def _encoded(self, place: int, step: PlanStep) -> bytes | None:
        try:
            return check_json(dict(step.args), max_bytes=self._settings.max_json_bytes, what="the arguments")
        except UnfitValue as fault:
            self._faults.of_step(place, "args", *fault.path, message=fault.message)
            return None

    @staticmethod
    def _references(step: PlanStep, args: bytes) -> References:
        # Most arguments hold no reference, and then nothing is walked.
        return references(step.args) if b'"$' in args else NOTHING

    def _needs(
        self, place: int, step: PlanStep, found: References, reach: Reach | None
    ) -> tuple[tuple[int, ...], bool]:
        """The steps whose results the arguments look at, and whether they are known only when the step runs."""
        if reach is None:
            return (), False
        own = _NOT_OWN if step.for_each is None else own_shapes(reach.entry_of(step))
        needs = reach.needs(found, (*STEPS, place, "args"), place, own=own)
        if found.calls_now:
            self._timely.add(place)
        # What looks at no result is known now, whatever the step waits for.
        of_list = bool(own) and (found.everything or any(key in own for _, key in found.keys))
        return needs, found.dynamic and (bool(needs) or of_list or found.calls_now)

    @staticmethod
    def _needs_of_said(place: int, said: Said, reach: Reach | None) -> tuple[int, ...]:
        if reach is None:
            return ()
        return (
            *reach.needs(said.condition_found, (*STEPS, place, "when"), place),
            *reach.needs(said.list_found, (*STEPS, place, "forEach"), place),
        )

    def _resolved(self, place: int, step: PlanStep, tool: Tool, found: References) -> dict[str, Any] | None:
        if not found.dynamic:
            return self._fitted(place, step, tool)
        try:
            args = tool.fit(resolve(step.args, {}))
            check_json(args, max_bytes=self._settings.max_json_bytes, what="the resolved arguments")
            return args  # noqa: TRY300 - the checks are what may raise
        except (Unresolvable, UnfitValue) as error:
            self._faults.of_step(place, "args", *error.path, message=error.message)
        except ArgsUnfit as error:
            self._faults.all_below((*STEPS, place, "args"), error.faults)
        return None

    def _fitted(self, place: int, step: PlanStep, tool: Tool) -> dict[str, Any] | None:
        try:
            return tool.fit(dict(step.args))
        except ArgsUnfit as error:
            self._faults.all_below((*STEPS, place, "args"), error.faults)
        return None

    def _kept(self, place: int, resolved: dict[str, Any] | None, args: bytes) -> bytes | None:
        text = None if resolved is None else encode(resolved)
        if text is None or text == args:
            return None
        try:
            check_size(text, max_bytes=self._settings.max_json_bytes, what="the arguments with what is filled in")
        except UnfitValue as fault:
            self._faults.of_step(place, "args", message=fault.message)
        return text
