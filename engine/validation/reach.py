"""Which results the references of a plan look at, and that they may: each fault at the reference's path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

from engine.errors import Path
from engine.plans import PlanStep
from engine.references import JMESPATH, References
from engine.tools import Registry
from engine.validation.faults import Faults
from engine.validation.order import Order
from engine.validation.shapes import ANYTHING, NUMBER, OPEN, Listing, Shape, of_children, of_result, union
from engine.validation.typed import impossible, outcome

ITEM: Final = "item"
INDEX: Final = "index"
OWN: Final = frozenset({ITEM, INDEX})
"""What only the arguments of a step with `forEach` know: an entry of its list, and the entry's place from zero."""

NOTHING: Final = References((), everything=False, dynamic=False, faults=())
_CHILD: Final = re.compile(r"(.*)\[\d+\]", re.DOTALL)
_NO_SHAPES: Final[Mapping[str, Shape]] = {}


class Reach:
    """The steps of one plan as references see them."""

    def __init__(
        self, steps: Sequence[PlanStep], place_of: Mapping[str, int], order: Order, registry: Registry, faults: Faults
    ) -> None:
        self._steps = steps
        self._place_of = place_of
        self._order = order
        self._registry = registry
        self._faults = faults
        self._shapes: dict[str, Shape] | None = None
        self._is_typed = False

    def needs(
        self, found: References, path: Path, place: int | None, *, own: Mapping[str, Shape] = _NO_SHAPES
    ) -> tuple[int, ...]:
        """The positions of the steps that references look at: of what the step at `place` waits for, or of all.

        `own` are the names, with what is known of them, that hide steps of these keys.
        """
        everybody = (1 << len(self._steps)) - 1
        reach = everybody if place is None else self._order.before[place]
        needed: set[int] = set()
        for below, key in found.keys:
            if key in own:
                continue
            other = self._place_of.get(key)
            if other is None:
                self._faults.add((*path, *below), f"refers to {key!r}, and {self._unknown(key)}")
            elif not reach >> other & 1:
                self._faults.add((*path, *below), f"refers to {key!r}, which this step does not depend on")
            else:
                needed.add(other)
        if found.expressions:
            self._check_types(found, path, own)
        if found.everything:
            return tuple(other for other in range(len(self._steps)) if reach >> other & 1)
        return tuple(sorted(needed))

    def entry_of(self, step: PlanStep) -> Shape:
        """What is known of an entry of a step's list; anything if the list's expression is none."""
        return self._entry(step.for_each, self._known())

    def _unknown(self, key: str) -> str:
        if key in OWN:
            return "there is no step of that key: only the args of a step with forEach know its item and index"
        child = _CHILD.fullmatch(key)
        parent = None if child is None else self._place_of.get(child[1])
        if child is not None and parent is not None and self._steps[parent].for_each is not None:
            return f"a child is reached through the list of its parent, {child[1]!r}: an entry has item and result"
        return f"there is no step of that key{self._faults.near(key, self._place_of)}"

    def _check_types(self, found: References, path: Path, own: Mapping[str, Shape]) -> None:
        known = self._known()
        if not own and not self._is_typed:
            return
        shapes = {**known, **own} if own else known
        for below, expression, roots in found.expressions:
            for each in impossible(expression, shapes, roots):
                self._faults.add((*path, *below), each.message(self._faults.hints))

    def _known(self) -> dict[str, Shape]:
        """What is known of the result of each step, by its key."""
        if self._shapes is None:
            self._shapes = {}
            for place in self._order.places:
                step = self._steps[place]
                tool = self._registry.get(step.tool)
                result = ANYTHING if tool is None else of_result(tool)
                if step.for_each is not None:
                    result = of_children(self._entry(step.for_each, self._shapes), result)
                self._shapes[step.key] = result
                self._is_typed = self._is_typed or result is not ANYTHING
        return self._shapes

    @staticmethod
    def _entry(for_each: object, known: Mapping[str, Shape]) -> Shape:
        expression = cast("dict[str, object]", for_each).get(JMESPATH) if isinstance(for_each, dict) else None
        try:
            found = outcome(expression, known)
        except ValueError:
            return ANYTHING  # it is refused where it stands
        lists = [form.entries() for form in found if isinstance(form, Listing)]
        return ANYTHING if OPEN in found or not lists else union(lists)


def own_shapes(entry: Shape) -> Mapping[str, Shape]:
    """What is known of `item` and `index` in the arguments of a step with a list."""
    return {ITEM: entry, INDEX: (NUMBER,)}
