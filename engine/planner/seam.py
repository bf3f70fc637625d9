"""The seam: whatever turns a sentence into a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from engine.phrases import SpeakableTool
from engine.planner.context import PlanningContext
from engine.plans import Plan


class Planner(Protocol):
    """Whatever turns an intent into a plan: rules, or a model.

    A plan from here is never trusted: it passes the same validation and the same risk floor as a client's.
    """

    async def plan(self, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
        """The plan that does all of the intent.

        Raises Unplannable, naming every part that no tool can do; nothing is left away in silence.
        """
        ...
