"""What a plan is: values only. `engine.validation` says what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from persistence.states import Risk


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step as a client or a planner wrote it.

    `args` may hold references (`{"$jmespath": …}`), literals and secrets. `max_attempts` counts all
    attempts, 0 meaning without end; None leaves it to the tool and the policy.
    """

    key: str
    tool: str
    name: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    depends_on: tuple[str, ...] = ()
    risk: Risk | None = None
    max_attempts: int | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order they were written; `depends_on` alone says what waits for what."""

    steps: tuple[PlanStep, ...]
