"""Every task that can be said, as the plan that says it, run and judged by AgentDojo's checker."""

from __future__ import annotations

import pytest

from tests.agentdojo.approvals import ASKED, Asked
from tests.agentdojo.dojo import Dojo, Outcome
from tests.agentdojo.labels import LABELS
from tests.agentdojo.plans import PLANS

pytestmark = pytest.mark.slow

SAID = [(suite, number) for suite, tasks in PLANS.items() for number in tasks]


@pytest.mark.parametrize(("suite", "number"), SAID, ids=[f"{suite}-{number}" for suite, number in SAID])
async def test_a_task_is_solved_by_the_plan_that_says_it_and_asks_as_often_as_it_did(
    dojo: Dojo, suite: str, number: int
) -> None:
    task = PLANS[suite][number]
    await dojo.enter(suite, f"user_task_{number}")

    outcome = await dojo.run(suite, task.plan(), task.model)

    assert outcome.faults == []
    assert outcome.state == "COMPLETED"
    assert outcome.is_solved, outcome.answer
    assert _asked(outcome) == ASKED[suite].get(number, Asked())


def test_fifteen_of_fifty_six_approvals_name_a_destination_that_others_decide() -> None:
    asked = [each for plans in ASKED.values() for each in plans.values()]

    assert tuple(map(sum, zip(*asked, strict=True))) == Asked(by_risk=56, warned=15, pages=6)


def _asked(outcome: Outcome) -> Asked:
    by_risk = [key for key in outcome.asked if LABELS[outcome.steps[key]["tool"]].risk == "L3"]
    pages = [key for key in outcome.asked if key not in by_risk]
    assert {outcome.steps[key]["tool"] for key in pages} <= {"get_webpage"}
    assert {*pages} <= outcome.outside.keys()
    return Asked(len(by_risk), sum(key in outcome.outside for key in by_risk), len(pages))
