"""The children of steps with a list: under their step as many as are worth a look, and how far all of them are."""

from collections.abc import Iterable, Iterator
from typing import Final

from console.models import Step

SHOWN: Final = 10
"""How many children a list of steps has under each step; what is asked of the server is bounded likewise."""


def with_children(steps: Iterable[Step]) -> Iterator[Step]:
    """Each step with its children after it: all of a short list, of a long one rather those that have not ended."""
    for step in steps:
        yield step
        yield from shown_children(step)


def shown_children(step: Step) -> list[Step]:
    """The children that are shown with a step, in the list's order."""
    chosen = {child.id: child for child in (*step.notable.nodes, *step.children.nodes)}
    return sorted(list(chosen.values())[:SHOWN], key=lambda child: child.index or 0)


def how_far(step: Step) -> str:
    """How many of a step's children have ended: “17 of 40 done, 2 failed”; nothing where there are none."""
    total, ended, failed = (each.total_count for each in (step.children, step.ended, step.failed))
    if not total:
        return ""
    return f"{ended:,} of {total:,} done" + (f", {failed:,} failed" if failed else "")
