"""Every task that can be said, as the plan that says it, run and judged by AgentDojo's checker."""

from __future__ import annotations

import pytest

from tests.agentdojo.dojo import Dojo
from tests.agentdojo.plans import PLANS

pytestmark = pytest.mark.slow

SAID = [(suite, number) for suite, tasks in PLANS.items() for number in tasks]


@pytest.mark.parametrize(("suite", "number"), SAID, ids=[f"{suite}-{number}" for suite, number in SAID])
async def test_a_task_is_solved_by_the_plan_that_says_it(dojo: Dojo, suite: str, number: int) -> None:
    task = PLANS[suite][number]
    await dojo.enter(suite, f"user_task_{number}")

    outcome = await dojo.run(suite, task.plan(), task.model)

    assert outcome.faults == []
    assert outcome.state == "COMPLETED"
    assert outcome.is_solved, outcome.answer
