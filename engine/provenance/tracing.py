"""Traces a sound plan: how much of each argument and each result others decide, and what that asks for. Pure.

One walk in the order in which the steps can be done. A plan whose tools read nothing of others' is not walked at all:
its origins are what its arguments say (`derived`). Others' are written out when they are stored or shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final, overload

import orjson

from engine import risk as risks
from engine.digest import args_digest
from engine.errors import InvalidPlan, PlanFault
from engine.expressions import compiled, roots
from engine.provenance.derived import marking_destinations, plain_origins
from engine.provenance.destinations import Destinations
from engine.provenance.labels import PLAN, Label, chosen, join
from engine.provenance.origins import Origin, encode, sentence
from engine.provenance.reading import read
from engine.provenance.roots import NO_NAMES, Root, joined, reach_of
from engine.provenance.values import NOTHING, Every, Fields, Value, result_of
from engine.references import JMESPATH, SECRET, References, marked
from engine.tools import Tool
from persistence.moves.directives import StepOrigins
from persistence.states import OriginKind, Risk, Trust

if TYPE_CHECKING:
    from engine.plans import Plan, PlanStep
    from engine.validation import SoundPlan, SoundStep

ITEM: Final = "item"
INDEX: Final = "index"
_MOST_NAMED: Final = 3


def traced(
    plan: Plan,
    sound: SoundPlan,
    found: Mapping[int, References],
    *,
    approve_from: Risk,
    literals: Trust = Trust.PLAN,
    refuses: bool = False,
) -> SoundPlan:
    """The plan with its origins, and with L3 for each outward step whose destination outside text decides.

    `found` are the references in the arguments of those steps that have any, by position; `literals` is the trust of
    what the plan itself says. Raises InvalidPlan at each such destination instead, if `refuses`.
    """
    lists = any(step.for_each is not None for step in plan.steps)
    if literals is Trust.PLAN and not lists and not any(step.tool.reads_outside for step in sound.steps):
        return sound
    tracing = _Tracing(plan, sound, found, Label(literals) if literals else PLAN)
    tracing.walk()
    if refuses and tracing.outside:
        raise InvalidPlan(tuple(fault for place in sorted(tracing.outside) for fault in tracing.faults(place)))
    steps = list(sound.steps)
    for place in tracing.outside:
        steps[place] = _asking(steps[place], plan.steps[place], approve_from, tracing.reasons(place))
    answer = sound.answer
    if answer is not None:
        answer = replace(answer, trust=int(tracing.answer().trust))
    return replace(sound, steps=tuple(steps), origins=_Written(tracing), answer=answer)


def _asking(step: SoundStep, planned: PlanStep, approve_from: Risk, why: str) -> SoundStep:
    """The step as one that a person is asked about, whatever its tool and its plan say."""
    tool, digest = step.tool, step.digest
    if digest is None and not step.dynamic:
        digest = args_digest(tool.name, orjson.loads(step.resolved_args or step.args))
    raised_by = "the plan" if step.risk is Risk.L3 else "an outside destination"
    reason = risks.gate_reason(tool.name, tool.risk, Risk.L3, approve_from, raised_by=raised_by)
    return step._replace(
        risk=Risk.L3,
        gated=True,
        gate_reason=f"{reason.removesuffix('.')}; {why}.",
        digest=digest,
        max_attempts=risks.attempts(Risk.L3, tool.max_attempts, planned.max_attempts),
    )


def origins_in(plan: Plan, sound: SoundPlan) -> Callable[[int], list[Origin]]:
    """Gives the origins of a step of a plan that is not stored, by its position."""
    written = sound.origins
    place_of = {step.key: step.position for step in sound.steps}

    def of(place: int) -> list[Origin]:
        if isinstance(written, _Written) and (found := written.of(place)) is not None:
            return found
        step = sound.steps[place]
        return plain_origins(plan.steps[place].args, step.tool, place_of, step.depends_on)

    return of


class _Written(Sequence[StepOrigins]):
    """The origins of a plan's steps, each written out when it is looked at: a plan that is refused stores none."""

    def __init__(self, tracing: _Tracing) -> None:
        self._tracing = tracing
        self._places = tracing.labelled

    def of(self, place: int) -> list[Origin] | None:
        """The origins of the step at this position; None where they are what its arguments say."""
        return self._tracing.origins(place) if place in self._tracing.trust else None

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> StepOrigins: ...
    @overload
    def __getitem__(self, index: slice) -> list[StepOrigins]: ...
    def __getitem__(self, index: int | slice) -> StepOrigins | list[StepOrigins]:
        if isinstance(index, slice):
            return [self._row(place) for place in self._places[index]]
        return self._row(self._places[index])

    def _row(self, place: int) -> StepOrigins:
        trust = self._tracing.trust[place]
        return StepOrigins(place, int(trust), encode(self._tracing.origins(place)))


class _Tracing:
    """One walk over one plan."""

    def __init__(self, plan: Plan, sound: SoundPlan, found: Mapping[int, References], literals: Label) -> None:
        self._plan = plan
        self._steps = sound.steps
        self._found = found
        self._literals = literals
        self._place = {step.key: step.position for step in sound.steps}
        self._before: Sequence[Sequence[int]] = [
            step.depends_on if not planned.after else (*step.depends_on, *(self._place[key] for key in planned.after))
            for step, planned in zip(sound.steps, plan.steps, strict=True)
        ]
        self._results: list[Value] = [NOTHING] * len(sound.steps)
        self._lent: list[Label] = [PLAN] * len(sound.steps)
        self._tools: dict[Tool, tuple[Destinations, tuple[str, ...]]] = {}
        self._items: dict[int, Mapping[str, Value]] = {}
        self.labelled: list[int] = []
        """The positions of the steps whose origins are more than what their arguments say, in plan order."""
        self.trust: dict[int, Trust] = {}
        """Of the results of these steps."""
        self.outside: dict[int, list[Origin]] = {}
        """The outside destinations of outward steps, by position."""

    def walk(self) -> None:
        """Find every label."""
        literals, results, found_of, items = self._literals, self._results, self._found, self._items
        directs = any(step.when is not None or step.for_each is not None for step in self._plan.steps)
        for place in self._order():
            tool = self._steps[place].tool
            lent = own = self._directed(place) if directs else PLAN
            if (found := found_of.get(place)) is not None:
                own = self._referring(place, found, own)
            if literals is not PLAN and _has_literals(self._plan.steps[place], found):
                own = join(own, literals)
            full = join(own, Label(Trust.OUTSIDE, (place,))) if tool.reads_outside else own
            if full is PLAN and place not in items:
                continue
            self.labelled.append(place)
            self.trust[place] = full.trust
            results[place] = self._result(place, own, full, lent)
            if own.trust is Trust.OUTSIDE and tool.outward:
                outside = [each for each in self.origins(place) if each.is_outside_destination]
                if outside:
                    self.outside[place] = outside
        self.labelled.sort()

    def answer(self) -> Label:
        """The label of what the run answers."""
        every = range(len(self._steps))
        root = Root(self._place, self._results, lambda: joined(every, self._results))
        label = self._literals
        for _, mark, expression in marked({"answer": self._plan.answer}):
            if mark == JMESPATH:
                label = join(label, self._value(expression, root).label)
        return label

    def faults(self, place: int) -> Iterator[PlanFault]:
        """What is refused of a step."""
        for origin in self.outside[place]:
            why = self._said([origin.name], origin.outside)
            mend = "write it out in the plan" if origin.outside else "a person has to submit it"
            message = f"{why}, and this server refuses that (OUTSIDE_DESTINATION): {mend}"
            yield PlanFault(message, ("plan", "steps", place, "args", *origin.path))

    def reasons(self, place: int) -> str:
        """Why a person is asked, in words: the destinations that have their text from the same steps together."""
        names: dict[tuple[int, ...], list[str]] = {}
        for origin in self.outside[place]:
            names.setdefault(origin.outside, []).append(origin.name)
        said = [self._said(each, outside) for outside, each in list(names.items())[:_MOST_NAMED]]
        left = sum(map(len, list(names.values())[_MOST_NAMED:]))
        return "; ".join([*said, *([f"and {left} more arguments likewise"] if left else [])])

    def origins(self, place: int) -> list[Origin]:
        """The origins of a step's arguments, in the plan's order, and of those that the tool fills in."""
        step, args, lent = self._steps[place], self._plan.steps[place].args, self._lent[place]
        written = join(self._literals, lent)
        inside: dict[str | int, list[Origin]] = {}
        for each in self._references(place, lent):
            inside.setdefault(each.path[0], []).append(each)
        found: list[Origin] = []
        for name in args:
            below = inside.get(name, ())
            if not (below and len(below[0].path) == 1):
                found.append(Origin((name,), OriginKind.PLAN, written.trust, outside=written.readers))
            found += below
        destinations, defaults = self._says(step.tool)
        left_out = [name for name in defaults if name not in args]
        found += [Origin((name,), OriginKind.DEFAULT, lent.trust, outside=lent.readers) for name in left_out]
        return marking_destinations(found, destinations)

    def _says(self, tool: Tool) -> tuple[Destinations, tuple[str, ...]]:
        """What a tool says of its arguments: the destinations, and those that may be left out."""
        known = self._tools.get(tool)
        if known is None:
            known = self._tools[tool] = Destinations(tool.destinations), tool.defaults
        return known

    def _said(self, names: Sequence[str], outside: Sequence[int]) -> str:
        sources = {place: (self._steps[place].key, self._steps[place].tool.name) for place in outside}
        return sentence(names, outside, sources)

    def _order(self) -> Iterable[int]:
        order = range(len(self._steps))
        if any(each > place for place in order for each in self._before[place]):
            return TopologicalSorter(dict(enumerate(self._before))).static_order()
        return order

    def _referring(self, place: int, found: References, label: Label) -> Label:
        """The label, with those of the references in the step's arguments."""
        if (value := self._only(place, found)) is not None:
            return label if value is NOTHING else join(label, value.label)
        root = self._root(place, self._items.get(place, NO_NAMES))
        for _, mark, expression in found.marks:
            if mark == JMESPATH:
                label = join(label, self._value(expression, root).label)
        return label

    def _only(self, place: int, found: References) -> Value | None:
        """What the one reference of a step looks at, if it is alike in all its parts: what is made of it has its label.

        Most steps have one reference, to one result. A variable may select from elsewhere.
        """
        if len(found.marks) != 1 or len(found.keys) != 1 or self._literals is not PLAN or place in self._items:
            return None
        value = self._results[self._place[found.keys[0][1]]]
        return value if type(value) is Value and "$" not in found.marks[0][2] else None

    def _result(self, place: int, own: Label, full: Label, lent: Label) -> Value:
        known = self._steps[place].tool.own
        result = Value(full) if known is None else result_of(known, own, full)
        named = self._items.get(place)
        if named is None:
            return result
        other = Value(full)
        fields = {"item": named[ITEM].raised(lent), "result": result, "skipReason": other, "error": other}
        return Every(Fields(fields))

    def _directed(self, place: int) -> Label:
        """What `when` and `forEach` lend, the step's own and those of all that it depends on."""
        planned = self._plan.steps[place]
        lent = PLAN
        for before in self._steps[place].depends_on:
            lent = join(lent, self._lent[before])
        if planned.when is not None:
            lent = join(lent, chosen(self._value(planned.when[JMESPATH], self._root(place)).label))
        if planned.for_each is not None:
            entries = self._value(planned.for_each[JMESPATH], self._root(place))
            lent = join(lent, chosen(entries.label))
            self._items[place] = {ITEM: entries.entry(), INDEX: NOTHING}
        self._lent[place] = lent
        return lent

    def _references(self, place: int, lent: Label) -> Iterator[Origin]:
        """The origins of the step's references and secrets."""
        found = self._found.get(place)
        if found is None:
            return
        only = self._only(place, found)
        root = self._root(place, self._items.get(place, NO_NAMES)) if only is None else NOTHING
        for path, mark, text in found.marks:
            if mark == JMESPATH:
                label = join((self._value(text, root) if only is None else only).label, lent)
                steps = self._looked_at(text, place, [key for at, key in found.keys if at == path])
                kind = OriginKind.RESULT if steps else OriginKind.PLAN
                yield Origin(path, kind, label.trust, text, steps, label.readers)
            elif mark == SECRET:
                yield Origin(path, OriginKind.SECRET, lent.trust, outside=lent.readers)

    def _root(self, place: int, named: Mapping[str, Value] = NO_NAMES) -> Root:
        return Root(self._place, self._results, lambda: joined(reach_of(place, self._before), self._results), named)

    def _value(self, expression: object, root: Value) -> Value:
        return read(compiled(expression).parsed, root, self._literals)

    def _looked_at(self, expression: object, place: int, keys: Iterable[str]) -> tuple[int, ...]:
        """The positions of the steps at which an expression in the step's arguments looks, in plan order."""
        named = self._items.get(place, NO_NAMES)
        found: set[int] = set()
        for key in keys or self._all_keys(expression, place):
            if key in named:
                listed = self._plan.steps[place].for_each[JMESPATH]
                found.update(self._place[each] for each in self._all_keys(listed, place))
            elif key in self._place:
                found.add(self._place[key])
        return tuple(sorted(found))

    def _all_keys(self, expression: object, place: int) -> Iterable[str]:
        keys = roots(compiled(expression))
        return [self._steps[each].key for each in reach_of(place, self._before)] if keys is None else keys


def _has_literals(planned: PlanStep, found: References | None) -> bool:
    """Whether any argument holds something that the plan itself says."""
    if found is None:
        return bool(planned.args)
    whole = {path[0] for path, mark, _ in found.marks if len(path) == 1 and mark in (JMESPATH, SECRET)}
    return not whole.issuperset(planned.args)
