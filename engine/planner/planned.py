"""What planners give back beside a plan: the clauses of the sentence, what planning took, and why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from engine.plans import Plan


class PlannerKind(StrEnum):
    """Who made a plan."""

    RULES = "RULES"
    MODEL = "MODEL"
    CLIENT = "CLIENT"


class PlannerChoice(StrEnum):
    """Who is asked: AUTO asks the rules, and a model, if there is one, for a sentence that they do not place whole."""

    AUTO = "AUTO"
    RULES = "RULES"
    MODEL = "MODEL"


@dataclass(frozen=True, slots=True)
class Use:
    """What planning took. `rounds` are a model's calls; `cost` is in USD, None where no price is known."""

    kind: PlannerKind
    model: str | None = None
    prompt_version: str | None = None
    rounds: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of the sentence, with the keys of the steps that serve it; `start` and `end` count code points.

    `problem` says why nothing serves it, or what the planner has to know; `suggestion` is a sentence that could be said
    instead.
    """

    text: str
    start: int
    end: int
    step_keys: tuple[str, ...] = ()
    problem: str | None = None
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """Where in the sentence an argument of a step was read from; `path` leads to it from the arguments."""

    step: str
    path: tuple[str | int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and all that a planner has to say of it.

    `composed` are the places of texts that a model wrote (the step's key, and the path from its arguments).
    """

    plan: Plan
    use: Use = field(default_factory=lambda: Use(PlannerKind.RULES))
    clauses: tuple[Clause, ...] = ()
    said: tuple[Said, ...] = ()
    composed: tuple[tuple[str, tuple[str | int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What a planner must know of a part of the sentence."""

    text: str
    question: str


class NeedsInput(Exception):
    """The sentence leaves open what must be known; `steps` are those that could be planned all the same."""

    def __init__(self, questions: Sequence[Question], use: Use, *, steps: Plan | None = None) -> None:
        super().__init__("; ".join(each.question for each in questions))
        self.questions = tuple(questions)
        self.use = use
        self.steps = steps


class PlannerAway(Exception):
    """The model can't be reached, or is overloaded: it may be asked again, after `retry_after` seconds at the least."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PlannerRefused(Exception):
    """The model's endpoint refuses us, with this status: nothing that asking again could mend."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the planner's endpoint answered with status {status}")
        self.status = status


class BudgetExceeded(Exception):
    """The user's cap of this day is reached, or the model has no known price while there is a cap."""
