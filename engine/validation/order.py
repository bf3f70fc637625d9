"""What waits for what: the steps that each names, and that no step waits for itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from engine.plans import PlanStep
from engine.validation.faults import Faults

Places = tuple[int, ...]


class Order(NamedTuple):
    """An order in which the steps can be done, and for each all that comes before it, as the bits of an integer."""

    places: Sequence[int]
    before: Sequence[int]


def named(
    place: int, field: str, keys: Sequence[str], place_of: Mapping[str, int], faults: Faults, *, taken: Places = ()
) -> Places:
    """The steps that a step names in `dependsOn` or `after`; those `taken` stand in the other of the two."""
    found: dict[int, None] = {}
    for number, key in enumerate(keys):
        other = place_of.get(key)
        if other is None:
            near = faults.near(key, place_of)
            faults.of_step(place, field, number, message=f"there is no step {key!r} in this plan{near}")
        elif other == place:
            what = "can't depend on" if field == "dependsOn" else "can't come after"
            faults.of_step(place, field, number, message=f"{key!r} {what} itself")
        elif other in found:
            faults.of_step(place, field, number, message=f"{key!r} is named twice")
        elif other in taken:
            message = f"{key!r} is in dependsOn too: there it must succeed, here it need only end; keep one of them"
            faults.of_step(place, field, number, message=message)
        else:
            found[other] = None
    return tuple(found)


def in_order(
    steps: Sequence[PlanStep], depends_on: Sequence[Places], after: Sequence[Places] | None, faults: Faults
) -> Order | None:
    """An order of the steps in which each comes after all that it waits for; None when some wait for each other."""
    waits_for = depends_on if after is None else [(*one, *two) for one, two in zip(depends_on, after, strict=True)]
    places: Sequence[int] = range(len(steps))
    # Most plans are written in an order in which they can be done.
    if any(before > place for place in places for before in waits_for[place]):
        sorter = TopologicalSorter(dict(enumerate(waits_for)))
        try:
            places = list(sorter.static_order())
        except CycleError as error:
            cycle: list[int] = error.args[1]
            names = " → ".join(repr(steps[place].key) for place in _shortened(cycle))
            field = "dependsOn" if _holds(depends_on, cycle[0], cycle) else "after"
            faults.of_step(cycle[0], field, message=f"these steps wait for each other: {names}")
            return None
    bits = [0] * len(steps)
    for place in places:
        for before in waits_for[place]:
            bits[place] |= bits[before] | 1 << before
    return Order(places, bits)


def _holds(depends_on: Sequence[Places], place: int, cycle: Collection[int]) -> bool:
    """Whether it is by its dependencies that the step is in the circle."""
    return not set(depends_on[place]).isdisjoint(cycle)


def _shortened(cycle: list[int]) -> Iterable[int]:
    return cycle if len(cycle) <= 12 else [*cycle[:6], *cycle[-5:]]
