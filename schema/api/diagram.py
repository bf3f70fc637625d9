"""Plans and runs as Mermaid flowcharts: pure text, one line a step and one a step that waits for others."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.runs import PreviewStep
from persistence.reads import StepRow
from persistence.states import Risk, StepState
from schema.shared.visible import visible

__all__ = ["preview_diagram", "run_diagram"]

_LONGEST_NAME: Final = 80
_DOTTED: Final = "-.->"
_NOTHING_AFTER: Final[Mapping[int, Sequence[int]]] = {}

_STATE_COLOURS: Final = {
    StepState.PENDING: "fill:#f3f4f6,stroke:#9ca3af,color:#374151",
    StepState.READY: "fill:#dbeafe,stroke:#3b82f6,color:#1e3a8a",
    StepState.RUNNING: "fill:#bfdbfe,stroke:#1d4ed8,color:#1e3a8a,stroke-width:3px",
    StepState.BLOCKED: "fill:#fef3c7,stroke:#d97706,color:#78350f,stroke-width:3px",
    StepState.SUCCEEDED: "fill:#dcfce7,stroke:#16a34a,color:#14532d",
    StepState.FAILED: "fill:#fee2e2,stroke:#dc2626,color:#7f1d1d",
    StepState.SKIPPED: "fill:#f3f4f6,stroke:#9ca3af,color:#6b7280,stroke-dasharray:5 5",
    StepState.CANCELLED: "fill:#e5e7eb,stroke:#6b7280,color:#374151,stroke-dasharray:2 2",
}

_RISK_COLOURS: Final = {
    Risk.L0: "fill:#dcfce7,stroke:#16a34a,color:#14532d",
    Risk.L1: "fill:#ecfccb,stroke:#65a30d,color:#365314",
    Risk.L2: "fill:#fef3c7,stroke:#d97706,color:#78350f",
    Risk.L3: "fill:#fee2e2,stroke:#dc2626,color:#7f1d1d",
}

# Whatever has a meaning to Mermaid, to Markdown or to HTML: all of ASCII but words and plain punctuation.
_SPECIAL: Final = re.compile(r"[!-~](?<![\w.,:!?/+@$-])")


def run_diagram(steps: Sequence[StepRow], after: Mapping[int, Sequence[int]] = _NOTHING_AFTER) -> str:
    """The steps of a run, given in plan order, each marked with its state.

    `after` has, for each step that waits for others to end, their positions: dotted lines lead from there.
    """
    nodes = [_node(step.position, "[{}]", step.name, f"{step.tool} · {step.state}", step.state) for step in steps]
    edges = [_edge(step.depends_on, step.position) for step in steps if step.depends_on]
    edges += [_edge(before, position, _DOTTED) for position, before in sorted(after.items()) if before]
    return _flowchart(nodes, edges, {str(state): colour for state, colour in _STATE_COLOURS.items()})


def preview_diagram(steps: Sequence[PreviewStep]) -> str:
    """The steps of a plan, each marked with its risk; those that a person is asked about are hexagons."""
    place = {step.key: position for position, step in enumerate(steps)}
    nodes = [
        _node(
            position,
            "{{{{{}}}}}" if step.gated else "[{}]",
            step.name,
            f"{step.tool} · {step.risk.name}{' · asks a person' if step.gated else ''}",
            step.risk.name,
        )
        for position, step in enumerate(steps)
    ]
    edges = [_edge([place[key] for key in step.depends_on], place[step.key]) for step in steps if step.depends_on]
    edges += [_edge([place[key] for key in step.after], place[step.key], _DOTTED) for step in steps if step.after]
    return _flowchart(nodes, edges, {risk.name: colour for risk, colour in _RISK_COLOURS.items()})


def _flowchart(nodes: Iterable[str], edges: Iterable[str], classes: dict[str, str]) -> str:
    colours = [f"  classDef {name} {colour}" for name, colour in classes.items()]
    return "\n".join(["flowchart TD", *nodes, *edges, *colours])


def _node(position: int, shape: str, name: str, marks: str, style: str) -> str:
    label = shape.format(f'"{_escaped(visible(name))}<br/>{_escaped(marks)}"')
    return f"  s{position}{label}:::{style}"


def _edge(before: Iterable[int], position: int, arrow: str = "-->") -> str:
    return f"  {' & '.join(f's{each}' for each in before)} {arrow} s{position}"


def _escaped(text: str) -> str:
    if len(text) > _LONGEST_NAME:
        text = text[: _LONGEST_NAME - 1] + "…"
    printable = "".join(each if each.isprintable() else " " for each in text)
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", printable)
