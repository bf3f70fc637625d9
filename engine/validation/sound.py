"""What a plan is in which nothing is wrong: values, ready to be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from engine.tools import Tool
from persistence.moves.begin import NewStep
from persistence.moves.directives import Directive, PlannedAnswer, StepOrigins
from persistence.states import Risk


class SoundStep(NamedTuple):
    """A step of a plan in which nothing is wrong; all places are positions in the plan.

    `needs` are the steps whose results its arguments, its condition and its list look at. Of a `dynamic` step the
    arguments are known only when it runs: they hold references to results, to its list's entry or to `now()`.
    """

    position: int
    key: str
    name: str
    tool: Tool
    risk: Risk
    gated: bool
    gate_reason: str | None
    dynamic: bool
    args: bytes
    resolved_args: bytes | None
    digest: str | None
    depends_on: tuple[int, ...]
    dependents: tuple[int, ...]
    needs: tuple[int, ...]
    max_attempts: int | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """A plan that may be stored and run.

    `directives` are there for steps with a condition, a list or a wait, for those that others come after, and for those
    that ask when their run was submitted; `origins` for steps whose arguments, or whose own readiness, come from more
    than the plan.
    """

    steps: tuple[SoundStep, ...]
    directives: tuple[Directive, ...] = ()
    answer: PlannedAnswer | None = None
    origins: Sequence[StepOrigins] = ()

    @property
    def is_elaborate(self) -> bool:
        """Whether its run is settled in rounds, and has to be stored in several statements."""
        return bool(self.directives) or self.answer is not None

    @property
    def risk(self) -> Risk:
        """The highest risk among its steps."""
        return max(step.risk for step in self.steps)

    def for_run(self, run: UUID, submitted_by: UUID) -> list[NewStep]:
        """Its steps, ready to be stored."""
        # Conditions, lists and the answer look at results too: an elaborate run keeps them all at hand.
        feeds_all = self.is_elaborate
        feeding = {place for step in self.steps if step.dynamic for place in step.depends_on}
        return [
            NewStep(
                run=run,
                submitted_by=submitted_by,
                position=step.position,
                key=step.key,
                name=step.name,
                tool=step.tool.name,
                risk=step.risk,
                gated=step.gated,
                gate_reason=step.gate_reason,
                idempotent=step.tool.idempotent,
                dynamic=step.dynamic,
                feeds=feeds_all or step.position in feeding,
                args=step.args.decode(),
                resolved_args=None if step.resolved_args is None else step.resolved_args.decode(),
                digest=step.digest,
                depends_on=step.depends_on,
                dependents=step.dependents,
                needs=step.needs,
                max_attempts=step.max_attempts,
                timeout_seconds=step.timeout_seconds,
            )
            for step in self.steps
        ]
