"""From a sentence to a plan: the seam `Planner`, its context and its refusal; `rules` comes with it.

Another planner is another package beside `rules`. The engine knows the seam alone, and the program chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.phrases import SpeakableTool
from engine.planner.context import PlanningContext, Unplannable
from engine.planner.rules import RulePlanner
from engine.planner.seam import Planner
from engine.plans import Plan

__all__ = ["Planner", "PlanningContext", "RulePlanner", "SpeakableTool", "Unplannable", "plan"]


_built_in = RulePlanner()


async def plan(intent: str, tools: Sequence[SpeakableTool], context: PlanningContext) -> Plan:
    """The built-in planner's plan: the same intent, tools and context always give the same one.

    Raises Unplannable, naming every part that no tool can do.
    """
    return await _built_in.plan(intent, tools, context)
