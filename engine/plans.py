"""What a plan is: values only. `engine.validation` says what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from persistence.states import Risk

USUAL_CHILDREN: Final = 100
"""How many entries a step's list may have where the step does not say it."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step as a client or a planner wrote it.

    `args` may hold references (`{"$jmespath": …}`), literals and secrets. `max_attempts` counts all
    attempts, 0 meaning without end; None leaves it to the tool and the policy.

    `when` and `for_each` are references as they were written, None for none; `after` are the keys of steps that must
    have ended, however. `for_each_most`, `for_each_tolerates` and `max_parallel` belong to `for_each`. A step that is
    ready waits `delay_seconds`, and for the moment `not_before` (with an offset).
    """

    key: str
    tool: str
    name: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    depends_on: tuple[str, ...] = ()
    risk: Risk | None = None
    max_attempts: int | None = None
    timeout_seconds: float | None = None
    when: Any = None
    after: tuple[str, ...] = ()
    for_each: Any = None
    for_each_most: int | None = None
    for_each_tolerates: bool | None = None
    max_parallel: int | None = None
    delay_seconds: float | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order they were written; `depends_on` and `after` alone say what waits for what.

    `answer` is a value with references, None for none.
    """

    steps: tuple[PlanStep, ...]
    answer: Any = None
