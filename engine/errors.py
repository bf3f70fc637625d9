"""What can be expected to go wrong, as facts. The schema turns each into a user error with its code."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from engine.tools.errors import Fault
from persistence.states import RunState, StepState

Path = tuple[str | int, ...]


class EngineError(Exception):
    """An expected failure: nothing was changed, and the caller can do something about it."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").split("\n", maxsplit=1)[0]


@dataclass(eq=False)
class InvalidInput(EngineError):
    """The input is not what it has to be."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class PlanFault:
    """One thing that is wrong with a plan; `unknown_tool` says of which kind it is."""

    message: str
    path: Path
    unknown_tool: bool = False


@dataclass(eq=False)
class InvalidPlan(EngineError):
    """The plan can't be run; every fault is named at its path."""

    faults: tuple[PlanFault, ...]


@dataclass(eq=False)
class UnplannableIntent(EngineError):
    """No tool can do a part of the intent. `parts` are quoted from it."""

    message: str
    parts: tuple[str, ...] = field(default=())


@dataclass(eq=False)
class TooMuch(EngineError):
    """A limit is exceeded; it and the value are named."""

    limit: str
    allowed: float
    value: float
    path: Path = ()

    def __str__(self) -> str:
        return f"{self.limit} is {self.allowed:g} here, and this has {self.value:g}"


@dataclass(eq=False)
class NotFound(EngineError):
    """There is nothing with this id."""

    path: Path = ()


@dataclass(eq=False)
class Forbidden(EngineError):
    """The caller may see this and not change it. `need` says what it takes."""

    need: str


@dataclass(eq=False)
class IdempotencyConflict(EngineError):
    """The idempotency key was used before, with another input."""

    key: str
    run: UUID


@dataclass(eq=False)
class AlreadyDecided(EngineError):
    """The approval was decided earlier; the first decision stands."""

    status: str
    decided_by: str | None
    decided_at: datetime | None


@dataclass(eq=False)
class ArgsChanged(EngineError):
    """The decision was made for other arguments than those that would run."""

    expected: str
    actual: str


@dataclass(eq=False)
class InvalidState(EngineError):
    """It can't be done in the state that it is in; `why` says what that is."""

    why: str
    state: RunState | StepState | None = None
