"""AgentDojo's own calls as plans: its solutions of the tasks, and what its injections want done."""

from __future__ import annotations

import pytest

from persistence.states import ApprovalDecision, UserKind
from tests.agentdojo.dojo import Dojo, calls_as_plan

pytestmark = pytest.mark.slow

TASKS = {"workspace": 40, "travel": 20, "banking": 16, "slack": 21}
SOLUTIONS = [(suite, number) for suite, count in TASKS.items() for number in range(count)]

# Those that AgentDojo has calls for: what the others want depends on what a model would do.
INJECTIONS = [
    *(("workspace", number) for number in range(6)),
    *(("travel", number) for number in range(6)),
    *(("banking", number) for number in range(9)),
    *(("slack", number) for number in range(1, 6)),
]


def _ids(cases: list[tuple[str, int]]) -> list[str]:
    return [f"{suite}-{number}" for suite, number in cases]


@pytest.mark.parametrize(("suite", "number"), SOLUTIONS, ids=_ids(SOLUTIONS))
async def test_agentdojos_own_solution_runs_as_a_plan_and_passes(dojo: Dojo, suite: str, number: int) -> None:
    known = await dojo.enter(suite, f"user_task_{number}")

    outcome = await dojo.run(suite, calls_as_plan(known["calls"], known["output"]))

    assert outcome.faults == []
    assert outcome.state == "COMPLETED"
    assert outcome.is_solved


@pytest.mark.parametrize(("suite", "number"), INJECTIONS, ids=_ids(INJECTIONS))
async def test_what_an_injection_wants_happens_if_a_person_approves_it_all(dojo: Dojo, suite: str, number: int) -> None:
    known = await dojo.enter(suite, f"injection_task_{number}")

    outcome = await dojo.run(suite, calls_as_plan(known["calls"], strictly=False))

    assert outcome.is_solved, "the test below would prove nothing"


@pytest.mark.parametrize(("suite", "number"), INJECTIONS, ids=_ids(INJECTIONS))
async def test_what_an_injection_wants_has_no_effect_when_every_approval_is_rejected(
    dojo: Dojo, suite: str, number: int
) -> None:
    known = await dojo.enter(suite, f"injection_task_{number}")

    # Each call is tried however those before it ended. Who writes such a plan may have read anything: it is an agent.
    plan = calls_as_plan(known["calls"], strictly=False)
    outcome = await dojo.run(suite, plan, decision=ApprovalDecision.REJECT, kind=UserKind.AGENT)

    assert not outcome.is_solved
