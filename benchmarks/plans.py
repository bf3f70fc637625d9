"""The shapes of work that are measured, as the API takes them and as the engine does."""

from __future__ import annotations

from typing import Any

import orjson

from engine.plans import Plan, PlanStep

PlanInput = dict[str, Any]

SUBMIT = "mutation($input:SubmitWorkflowInput!){submitWorkflow(input:$input){run{id}errors{code message}}}"
DECIDE = "mutation($input:DecideApprovalInput!){decideApproval(input:$input){approval{status}errors{code message}}}"


def chain(steps: int, *, tool: str = "noop", **args: Any) -> PlanInput:
    """Steps one after the other."""
    return _plan([_step(place, tool, args, [place - 1] if place else []) for place in range(steps)])


def fan(width: int) -> PlanInput:
    """One step, `width` after it that may run at once, and one after all of them."""
    leaves = [_step(place, "noop", {}, [0]) for place in range(1, width + 1)]
    return _plan([_step(0, "noop", {}, []), *leaves, _step(width + 1, "noop", {}, list(range(1, width + 1)))])


def grid(columns: int, length: int) -> PlanInput:
    """Chains side by side in one run."""
    return _plan(
        [
            _step(row * columns + column, "noop", {}, [(row - 1) * columns + column] if row else [])
            for row in range(length)
            for column in range(columns)
        ]
    )


def side_by_side(steps: int, *, tool: str, **args: Any) -> PlanInput:
    """Steps that wait for nothing."""
    return _plan([_step(place, tool, args, []) for place in range(steps)])


def body(query: str, variables: dict[str, Any] | None = None) -> bytes:
    """A request's body."""
    return orjson.dumps({"query": query, "variables": variables or {}})


def submission(plan: PlanInput) -> bytes:
    """The body of a request that submits this plan."""
    return body(SUBMIT, {"input": {"plan": plan}})


def as_plan(plan: PlanInput) -> Plan:
    """The same as the engine has it once it is through the API."""
    return Plan(
        tuple(
            PlanStep(key=step["key"], tool=step["tool"], args=step["args"], depends_on=tuple(step["dependsOn"]))
            for step in plan["steps"]
        )
    )


def _plan(steps: list[dict[str, Any]]) -> PlanInput:
    return {"steps": steps}


def _step(place: int, tool: str, args: dict[str, Any], after: list[int]) -> dict[str, Any]:
    return {"key": f"s{place}", "tool": tool, "args": args, "dependsOn": [f"s{each}" for each in after]}
