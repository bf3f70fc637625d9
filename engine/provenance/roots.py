"""What an expression is evaluated over, as far as it is known before the run: the results of the steps before. Pure."""

# ruff: noqa: D102 - `Value` says it

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.provenance.labels import PLAN, Label, join
from engine.provenance.values import NOTHING, Value

NO_NAMES: Mapping[str, Value] = {}


class Root(Value):
    """The object from keys to results; `named` hide steps of their keys. `all_of_it` is asked when `@` is looked at."""

    __slots__ = ("_all_of_it", "_named", "_place", "_results")

    def __init__(
        self,
        place: Mapping[str, int],
        results: Sequence[Value],
        all_of_it: Callable[[], Label],
        named: Mapping[str, Value] = NO_NAMES,
    ) -> None:
        # Not the label of the whole, which takes a look at each step before this one: few ask for it.
        self._place = place
        self._results = results
        self._all_of_it = all_of_it
        self._named = named

    def __getattr__(self, name: str) -> Label:
        if name != "label":
            raise AttributeError(name)
        label = self._all_of_it()
        for value in self._named.values():
            label = join(label, value.label)
        self.label = label
        return label

    def field(self, name: str) -> Value:
        if name in self._named:
            return self._named[name]
        place = self._place.get(name)
        return NOTHING if place is None else self._results[place]


def reach_of(place: int, before: Sequence[Sequence[int]]) -> list[int]:
    """All that a step waits for, directly or not, in plan order."""
    found: set[int] = set()
    waiting = list(before[place])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += before[each]
    return sorted(found)


def joined(places: Sequence[int], results: Sequence[Value]) -> Label:
    """The label of these steps' results together."""
    label = PLAN
    for place in places:
        label = join(label, results[place].label)
    return label
