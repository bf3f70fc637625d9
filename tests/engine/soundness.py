"""What must hold in every database at every moment, whatever the engine did or lived through."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from persistence.database import DatabaseSettings
from persistence.states import FINISHED_RUN_STATES, RunState, StepState
from tests.chaos.checker.states import ENTERS, may_move
from tests.lending import LastingDatabase

_QUESTIONS: Final = {
    "an approval is open exactly as long as its step is BLOCKED": """
        SELECT s.run_id, s.key, s.state FROM steps s
        LEFT JOIN approvals a ON a.run_id = s.run_id AND a.position = s.position AND a.status = 'REQUIRED'
        WHERE (s.state = 'BLOCKED') <> (a.id IS NOT NULL)""",
    "a call is STARTED only as long as its attempt runs, or its process may still say how it ended": """
        SELECT c.run_id, s.key, c.attempt, s.state FROM tool_calls c
        JOIN steps s ON s.run_id = c.run_id AND s.position = c.position
        WHERE c.status = 'STARTED' AND NOT (s.attempt = c.attempt
            AND (s.state = 'RUNNING' OR (s.state = 'CANCELLED' AND s.left_by IS NOT NULL)))""",
    "a step's attempts are numbered as its calls are": """
        SELECT s.run_id, s.key, s.attempt FROM steps s
        WHERE s.attempt <> (SELECT count(*) FROM tool_calls c
            WHERE c.run_id = s.run_id AND c.position = s.position AND c.attempt <= s.attempt)""",
    "no gated step is called without its spent approval of the very arguments": """
        SELECT c.run_id, s.key, c.attempt FROM tool_calls c
        JOIN steps s ON s.run_id = c.run_id AND s.position = c.position
        LEFT JOIN approvals a ON a.id = c.approval_id
        WHERE s.gated AND (a.spent_at IS NULL OR a.granted_digest <> c.digest) IS NOT FALSE""",
    "the same step is never called with other arguments than before, unless a person said so": """
        SELECT c.run_id, s.key FROM tool_calls c
        JOIN steps s ON s.run_id = c.run_id AND s.position = c.position
        WHERE NOT s.gated GROUP BY c.run_id, s.key, s.position HAVING count(DISTINCT c.args::text) > 1""",
    "notices are those of a step that succeeded": """
        SELECT n.run_id, s.key, n.texts FROM notices n
        LEFT JOIN steps s ON s.run_id = n.run_id AND s.position = n.position
        WHERE s.state IS DISTINCT FROM 'SUCCEEDED'""",
    "the counters on a run are those of its steps": """
        SELECT r.id FROM runs r LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE state = 'PENDING') AS pending,
                count(*) FILTER (WHERE state = 'READY') AS ready,
                count(*) FILTER (WHERE state = 'RUNNING') AS running,
                count(*) FILTER (WHERE state = 'BLOCKED') AS blocked,
                count(*) FILTER (WHERE state = 'SUCCEEDED') AS succeeded,
                count(*) FILTER (WHERE state = 'FAILED') AS failed,
                count(*) FILTER (WHERE state = 'SKIPPED') AS skipped,
                count(*) FILTER (WHERE state = 'CANCELLED') AS cancelled
            FROM steps s WHERE s.run_id = r.id) s ON true
        WHERE (r.pending, r.ready, r.running, r.blocked, r.succeeded, r.failed, r.skipped, r.cancelled)
            IS DISTINCT FROM
            (s.pending, s.ready, s.running, s.blocked, s.succeeded, s.failed, s.skipped, s.cancelled)""",
    "a parent waits for the children that have not ended, and a run counts its running parents": """
        SELECT s.run_id, s.key, d.open_children FROM steps s JOIN step_directives d USING (run_id, position)
        WHERE s.state <> 'CANCELLED' AND d.open_children <> (SELECT count(*) FROM steps c WHERE c.run_id = s.run_id
            AND c.parent = s.position AND c.state IN ('PENDING', 'READY', 'RUNNING', 'BLOCKED'))
        UNION ALL
        SELECT r.id, r.state, r.expanded FROM runs r
        WHERE r.state <> 'CANCELLED' AND r.expanded <> (
            SELECT count(*) FROM steps s WHERE s.run_id = r.id AND s.expands AND s.state = 'RUNNING')""",
    "a timeline counts 1, 2, 3 and its times never decrease": """
        SELECT e.run_id, e.seq FROM (
            SELECT run_id, seq, created_at, row_number() OVER line AS nth, lag(created_at) OVER line AS before
            FROM timeline_events WINDOW line AS (PARTITION BY run_id ORDER BY seq)) e
        WHERE e.seq <> e.nth OR e.created_at < e.before
        UNION ALL
        SELECT r.id, r.last_seq FROM runs r
        WHERE r.last_seq <> (SELECT count(*) FROM timeline_events e WHERE e.run_id = r.id)""",
}


async def assert_sound(dsn: str) -> None:
    """Holds the whole database against what must hold."""
    database = LastingDatabase(DatabaseSettings(dsn, connections=1))
    await database.open()
    try:
        for rule, question in _QUESTIONS.items():
            broken = await database.fetch(question)
            assert not broken, f"not so: {rule}: {[tuple(row) for row in broken[:5]]}"
        events = await database.fetch("SELECT run_id, position, type FROM timeline_events ORDER BY run_id, seq")
        steps = await database.fetch("""SELECT s.run_id, s.position, s.key, s.state, d.for_each IS NOT NULL AS lists
            FROM steps s LEFT JOIN step_directives d USING (run_id, position)""")
        runs = await database.fetch("SELECT id, state FROM runs")
    finally:
        await database.close()
    _assert_steps_are_told(events, steps)
    _assert_runs_are_told(events, runs)


def _assert_steps_are_told(events: list[Any], steps: list[Any]) -> None:
    """Each event about a step is a move from the table, and the last one says where the step stands."""
    lives: dict[tuple[Any, int], list[str]] = {}
    for event in events:
        if event["type"].startswith("STEP_") and event["type"] != "STEP_DEAD_LETTERED":
            lives.setdefault((event["run_id"], event["position"]), []).append(event["type"])
    for step in steps:
        life = lives.get((step["run_id"], step["position"]), [])
        states = ["PENDING"]
        for number, kind in enumerate(life):
            if kind != "STEP_REDRIVEN":
                states.append(ENTERS[kind])
            elif states[-1] == "SKIPPED":
                states.append("PENDING")
            elif step["lists"]:
                states.append("RUNNING")
            else:
                # A gated dead letter asks anew, with no STEP_BLOCKED to repeat it: what follows says which it was.
                follows = life[number + 1] if number + 1 < len(life) else None
                is_ready = follows == "STEP_RUNNING" or (follows is None and step["state"] == "READY")
                states.append("READY" if is_ready else step["state"] if follows is None else "BLOCKED")
        for before, after in pairwise(states):
            assert may_move(StepState(before), StepState(after), lists=step["lists"]), (
                f"{step['key']} went from {before} to {after}: {life}"
            )
        assert states[-1] == step["state"], f"{step['key']} is {step['state']}, and was told to be {states[-1]}: {life}"


def _assert_runs_are_told(events: list[Any], runs: list[Any]) -> None:
    """The last event about a run says where it stands."""
    told: dict[Any, str] = {}
    for event in events:
        if event["type"].startswith("WORKFLOW_"):
            told[event["run_id"]] = event["type"]
    says = {
        "WORKFLOW_STARTED": {"QUEUED", "PLANNING"},
        "WORKFLOW_PLANNED": {"EXECUTING"},
        "WORKFLOW_RESUMED": {"EXECUTING"},
        "WORKFLOW_WAITING_APPROVAL": {"WAITING_APPROVAL"},
        "WORKFLOW_COMPLETE": {"COMPLETED"},
        "WORKFLOW_FAILED": {"FAILED"},
        "WORKFLOW_CANCELLED": {"CANCELLED"},
    }
    ends: dict[Any, str] = {}
    for event in events:
        ends[event["run_id"]] = event["type"]
    for run in runs:
        assert run["state"] in says[told[run["id"]]], f"the run is {run['state']} after {told[run['id']]}"
        if RunState(run["state"]) in FINISHED_RUN_STATES:
            assert ends[run["id"]] == told[run["id"]], f"{ends[run['id']]} came after the run's end"
