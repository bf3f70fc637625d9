"""From a sentence to a plan. The built-in planner needs no model; `Planner` is the seam for one that does.

    tokens → clauses (each matched by one phrase of one tool) → steps

A plan from here is never trusted: it passes the same validation and the same risk floor as a client's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from engine.phrases import SpeakableTool
from engine.planner.context import PlanningContext, Unplannable
from engine.planner.rules import RulePlanner
from engine.plans import Plan

__all__ = ["Planner", "PlanningContext", "RulePlanner", "SpeakableTool", "Unplannable", "plan"]


class Planner(Protocol):
    """Whatever turns an intent into a plan."""

    async def plan(self, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
        """The plan that does all of the intent.

        Raises Unplannable, naming every part that no tool can do; nothing is left away in silence.
        """
        ...


_built_in = RulePlanner()


async def plan(intent: str, tools: Sequence[SpeakableTool], context: PlanningContext) -> Plan:
    """The built-in planner's plan: the same intent, tools and context always give the same one.

    Raises Unplannable, naming every part that no tool can do.
    """
    return await _built_in.plan(intent, tools, context)
