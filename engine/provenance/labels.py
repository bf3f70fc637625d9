"""Labels: how much of a value others decide, and by which steps. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from persistence.states import Trust

MOST_READERS: Final = 50
"""How many steps one label names: the first in the plan. Each of thousands of steps could name all before it."""


class Label(NamedTuple):
    """`trust`, and the positions of the steps that read what others can write, in plan order."""

    trust: Trust
    readers: tuple[int, ...] = ()


PLAN: Final = Label(Trust.PLAN)


def join(one: Label, other: Label) -> Label:
    """The label of what is made of both: the higher trust, and the readers of both."""
    if one is other or other is PLAN:
        return one
    if one is PLAN:
        return other
    mine, theirs = one.readers, other.readers
    if mine == theirs or not theirs:
        readers = mine
    elif not mine:
        readers = theirs
    elif mine[-1] < theirs[0]:
        readers = mine if len(mine) == MOST_READERS else (mine + theirs)[:MOST_READERS]
    else:
        readers = tuple(sorted({*mine, *theirs})[:MOST_READERS])
    if readers is mine and one.trust >= other.trust:
        return one  # the same object, which makes the next comparison short
    return Label(max(one.trust, other.trust), readers)


def chosen(label: Label) -> Label:
    """The label that a value gets by being selected by another of this label."""
    return label if label.trust <= Trust.CHOSEN else Label(Trust.CHOSEN, label.readers)
