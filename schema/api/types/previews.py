"""Previews: what would run."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import strawberry

from engine.runs import Preview, PreviewStep
from persistence.states import Risk
from schema.api.diagram import preview_diagram
from schema.api.types.base import Lazy, described
from schema.api.types.errors import UserError
from schema.api.types.origins import PlannedOrigin
from schema.fast.scalars import JSON
from schema.shared.jsontext import JsonText, encode
from schema.shared.visible import visible

__all__ = ["PlanPreview", "PlannedStep"]


@strawberry.type(description="One step that would run.")
class PlannedStep(Lazy):
    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "origins": lambda step: [PlannedOrigin(each, step.keys) for each in step.step.origins()],
    }

    key: str = described("The step's own name within its plan.")
    name: str = described("What it does, for people.")
    tool: str = described("The name of the tool that it would call.")
    risk_level: Risk = described("The highest of its tool's, its plan's and the policy's.")
    requires_approval: bool = described("Whether a person would be asked before it runs.")
    args: JSON = described("As planned, references unresolved.")
    depends_on: list[str] = described("The keys of the steps that it would wait for.")
    when: JSON | None = described("The reference that it would be skipped for, when falsy.")
    after: list[str] = described("The keys of the steps that must have ended, however, before it.")
    for_each: JSON | None = described("The reference to the list for each of whose entries it would run.")
    for_each_most: int | None = described("How many entries the list may have; null without a list.")
    for_each_tolerates: bool | None = described(
        "Whether a child that fails would be listed with its error; null without a list."
    )
    max_parallel: int | None = described("How many of its children would run at once; null: no bound of its own.")
    delay_seconds: float | None = described("How long it would wait when it is ready.")
    not_before: datetime | None = described("Before which moment it would not run.")
    max_attempts: int | None = described("How often it would be tried; null: without end.")
    timeout_seconds: float | None = described("How long one call could take.")

    origins: list[PlannedOrigin] = described("Where its arguments come from, those that its tool fills in too.")

    step: strawberry.Private[PreviewStep]
    keys: strawberry.Private[Sequence[str]]

    def __init__(self, step: PreviewStep, keys: Sequence[str]) -> None:
        self.step = step
        self.keys = keys
        self.key = visible(step.key)
        self.name = visible(step.name)
        self.tool = step.tool
        self.risk_level = step.risk
        self.requires_approval = step.gated
        self.args = JSON(JsonText(encode(step.args).decode()))
        self.depends_on = [visible(key) for key in step.depends_on]
        self.when = _shown(step.when)
        self.after = [visible(key) for key in step.after]
        self.for_each = _shown(step.for_each)
        self.for_each_most = step.for_each_most
        self.for_each_tolerates = step.for_each_tolerates
        self.max_parallel = step.max_parallel
        self.delay_seconds = step.delay_seconds
        self.not_before = step.not_before
        self.max_attempts = step.max_attempts
        self.timeout_seconds = step.timeout_seconds


@strawberry.type(description="What would run for an intent or a plan.")
class PlanPreview:
    steps: list[PlannedStep] = described("The steps, in plan order; none if there are errors.")
    risk_level: Risk | None = described("The highest risk among the steps.")
    answer: JSON | None = described("What the run would answer, as planned, references unresolved.")
    diagram: str = described("The DAG as a Mermaid flowchart, its nodes marked with their risks.")
    errors: list[UserError] = described("What keeps it from running.")

    def __init__(self, preview: Preview | None = None, errors: Sequence[UserError] = ()) -> None:
        steps = () if preview is None else preview.steps
        keys = [visible(step.key) for step in steps]
        self.steps = [PlannedStep(step, keys) for step in steps]
        self.risk_level = None if preview is None else preview.risk
        self.answer = None if preview is None else _shown(preview.answer)
        self.diagram = preview_diagram(steps)
        self.errors = list(errors)


def _shown(value: object) -> JSON | None:
    return None if value is None else JSON(JsonText(encode(value).decode()))
