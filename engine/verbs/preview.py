"""Preview a submission: what would run, with nothing stored."""

from __future__ import annotations

from functools import partial

from engine.access import Viewer
from engine.errors import UnplannableIntent
from engine.planner import Planner, PlanningContext, Unplannable
from engine.planner.asking import ask
from engine.plans import USUAL_CHILDREN, Plan
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
            when=written.when,
            after=written.after,
            for_each=written.for_each,
            for_each_most=None if written.for_each is None else written.for_each_most or USUAL_CHILDREN,
            for_each_tolerates=None if written.for_each is None else bool(written.for_each_tolerates),
            max_parallel=written.max_parallel,
            delay_seconds=written.delay_seconds,
            not_before=written.not_before,
            max_attempts=step.max_attempts,
            timeout_seconds=step.timeout_seconds,
            origins=partial(origins_of, step.position),
        )
        for step, written in zip(sound.steps, plan.steps, strict=True)
    )
    return Preview(steps, sound.risk, plan.answer)
