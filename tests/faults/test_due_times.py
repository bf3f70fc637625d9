"""What is due is started at its time or later, as the timeline tells it: never a moment before."""

from __future__ import annotations

from tests.persistence.stage import Draft, Stage


async def test_no_event_says_that_an_attempt_began_before_it_was_due(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(*[Draft()] * 300)
    # Each becomes due while claims are on their way: the next one a moment later.
    await stage.database.execute(
        "UPDATE steps SET due_at = clock_timestamp() + position * interval '0.3 ms' WHERE run_id = $1", run
    )
    due = {
        row["position"]: row["due_at"]
        for row in await stage.database.fetch("SELECT position, due_at FROM steps WHERE run_id = $1", run)
    }

    claimed = 0
    while claimed < 300:
        claimed += len(await stage.claim(worker, slots=300))

    for event in await stage.database.fetch(
        "SELECT position, created_at FROM timeline_events WHERE run_id = $1 AND type = 'STEP_RUNNING'", run
    ):
        assert event["created_at"] >= due[event["position"]]
