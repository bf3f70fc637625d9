"""Asking a planner, which may be anybody's code and raise anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from engine.phrases import SpeakableTool
from engine.planner.context import PlanningContext, Unplannable
from engine.planner.seam import Planner
from engine.plans import Plan
from engine.tools.foreign import text_of


class PlannerFailed(Exception):
    """A planner raised what it may not raise, or gave something else than a plan: nothing that a client can mend."""


async def ask(planner: Planner, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
    """The planner's plan. Raises Unplannable, and PlannerFailed for whatever else the planner raises."""
    try:
        plan: object = await planner.plan(intent, tools, context)
    except Unplannable:
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # it is us who stop
        raise PlannerFailed(text_of(error)) from error
    if not isinstance(plan, Plan):  # pyright: ignore[reportUnnecessaryIsInstance] - a stranger's word
        raise PlannerFailed(f"it gave a {type(plan).__name__} instead of a plan")
    return plan
