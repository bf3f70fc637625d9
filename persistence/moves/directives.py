"""What a plan says of a step beyond what it calls: conditions, lists, waits; and what its run answers.

They are stored beside the steps, in the transaction that stores those, and make their run `elaborate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Directive:
    """What one step says. All places are positions in the plan.

    `condition` and `for_each` are JMESPath expressions; a list may have up to `for_each_most` entries. `after` are the
    steps that must have ended, however, and `followers` those that have this one in their `after`. `max_parallel`
    bounds the children that run at once; with `tolerates`, a child that fails is listed with its error.
    """

    position: int
    condition: str | None = None
    for_each: str | None = None
    for_each_most: int | None = None
    tolerates: bool = False
    max_parallel: int | None = None
    delay_seconds: float | None = None
    not_before: datetime | None = None
    after: tuple[int, ...] = ()
    followers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """What a run answers: JSON text with references, to the results of the steps at `needs`, and its trust (0 to 2)."""

    planned: str
    needs: tuple[int, ...]
    trust: int = 0


@dataclass(frozen=True, slots=True)
class StepOrigins:
    """Where the arguments of one step come from, as JSON text with positions, and the trust (0 to 2) of its result."""

    position: int
    trust: int
    origins: str
