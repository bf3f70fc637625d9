"""Preview a submission: what would run, with nothing stored."""

from __future__ import annotations

from functools import partial

from engine.access import Viewer
from engine.errors import UnplannableIntent
from engine.planner import Planner, PlanningContext, Unplannable
from engine.planner.asking import ask
from engine.plans import Plan
from engine.provenance import origins_in
from engine.runs import Preview, PreviewStep, Submission, check_submission
from engine.validation import check_plan_aside
from engine.verbs.resources import Resources


async def preview(
    resources: Resources,
    planner: Planner,
    viewer: Viewer,
    *,
    intent: str | None,
    plan: Plan | None,
    now: PlanningContext,
) -> Preview:
    """What would run for this; raises what a submission would, and PlannerFailed."""
    settings = resources.settings
    check_submission(Submission(intent, plan, None, None, None), settings)
    if plan is None:
        assert intent is not None
        try:
            plan = await ask(planner, intent, resources.registry, now)
        except Unplannable as error:
            raise UnplannableIntent(str(error), error.parts) from error
    sound = await check_plan_aside(
        plan, resources.registry, settings, approve_from=settings.approve_from, literals=viewer.literals
    )
    origins_of = origins_in(plan, sound)
    steps = tuple(
        PreviewStep(
            key=step.key,
            name=step.name,
            tool=step.tool.name,
            risk=step.risk,
            gated=step.gated,
            args=written.args,
            depends_on=written.depends_on,
            origins=partial(origins_of, step.position),
        )
        for step, written in zip(sound.steps, plan.steps, strict=True)
    )
    return Preview(steps, sound.risk)
