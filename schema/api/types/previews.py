"""Previews: what would run."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Callable, Mapping, Sequence
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


@strawberry.type(description="What would run for an intent or a plan.")
class PlanPreview:
    steps: list[PlannedStep] = described("The steps, in plan order; none if there are errors.")
    risk_level: Risk | None = described("The highest risk among the steps.")
    diagram: str = described("The DAG as a Mermaid flowchart, its nodes marked with their risks.")
    errors: list[UserError] = described("What keeps it from running.")

    def __init__(self, preview: Preview | None = None, errors: Sequence[UserError] = ()) -> None:
        steps = () if preview is None else preview.steps
        keys = [visible(step.key) for step in steps]
        self.steps = [PlannedStep(step, keys) for step in steps]
        self.risk_level = None if preview is None else preview.risk
        self.diagram = preview_diagram(steps)
        self.errors = list(errors)
