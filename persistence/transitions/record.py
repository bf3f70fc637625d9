"""The tail of every transition: counters, the run's own state, and the events, numbered.

A transition is a list of CTEs that ends in two:

- `moved (run_id, leaves, enters)`: a row for each step that changed its state (`leaves` null: it is new);
- `told (run_id, rank, major, minor, type, position, approval_id, message, metadata)`: its events, to be ordered by
  `rank` (see `Rank`), `major`, `minor`.

`record()` adds the CTEs that derive the run's new state from its counters, number the events after the run's last one
and write everything. It leaves `recorded (id, was, state, last_seq, ready, judged)` for the final SELECT.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from persistence.states import RunState, StepState


class Rank(IntEnum):
    """The order of events within one transaction."""

    DECISION = 1
    STEP = 2
    APPROVAL = 3
    RUN = 4
    RUNNING = 5


COUNTED = tuple(state.value.lower() for state in StepState)
"""The counters on a run's row, one for each state of a step."""

CLOCK = "clock AS MATERIALIZED (SELECT clock_timestamp() AS at)"
"""The time of a transition; taken under the run's lock."""

DERIVED = """CASE
            WHEN pending + ready + running + blocked = 0 THEN CASE WHEN failed > 0 THEN 'FAILED' ELSE 'COMPLETED' END
            WHEN ready + running = 0 AND blocked > 0 THEN 'WAITING_APPROVAL'
            ELSE 'EXECUTING' END"""
"""A run's state as a function of its steps'. It waits when an approval is open and nothing else can move."""


MARKS = """SELECT 0 AS kind, id AS run_id, last_seq AS position, ready AS attempt, state AS tool, judged::int AS calls,
    null::int AS max_attempts, null::int AS losses, null::text AS args, null AS digest, null::bool AS gated,
    null::bool AS idempotent, null::bool AS feeds, null::float8 AS timeout_seconds, null::uuid AS user_id
FROM recorded"""
"""The final SELECT of every transition begins with how far each run has come."""

SETTLED = """SELECT 1, null, null, null, null, null, null, null, string_agg(nth::text, ','), null, null, null, null,
    null, null
FROM settled"""
"""Then, where outcomes were given, which of them counted: their numbers in one row, for there may be hundreds."""


def taken(source: str) -> str:
    """Then the steps that the caller owns from now on, out of these rows, in the order of `ClaimedStep`."""
    return f"""SELECT 2, run_id, position, attempt, tool, calls, max_attempts, losses, args::text, digest, gated,
    idempotent, feeds, timeout_seconds, submitted_by
FROM {source}"""


_RESUMES = "was = 'FAILED' OR (was = 'WAITING_APPROVAL' AND state = 'EXECUTING')"

_TALLY = """
tally AS (
    -- Everything about a run in one row: two sets of runs, of which the planner expects one row each, would be joined
    -- by comparing each with each.
    SELECT run_id,
        {counters},
        count(type)::int AS told, coalesce(bool_or(type = 'APPROVAL_REQUIRED'), false) AS asks,
        bool_or(approval_id IS NOT NULL AND type <> 'STEP_RUNNING') AS judged
    FROM (
        SELECT run_id, leaves, enters, null AS type, null::uuid AS approval_id FROM moved
        UNION ALL
        SELECT run_id, null, null, type, approval_id FROM told) AS each
    GROUP BY run_id),
"""

_TALLY_OF_SUCCESS = """
tally AS (
    SELECT run_id,
        {counters},
        sum(told)::int AS told, bool_or(enters = 'BLOCKED') AS asks, bool_or(enters = 'BLOCKED') AS judged
    FROM moved GROUP BY run_id),
"""


def record(*, ends_as: RunState | None = None) -> str:
    """The CTEs that follow `moved` and `told`. `ends_as` sets the run's state instead of deriving it."""
    return _record(_TALLY, tuple(StepState), at="clock.at", ends_as=ends_as)


def record_success() -> str:
    """The CTEs that follow `moved` and `told` when running steps succeed: they touch five of the counters.

    `moved` has a fourth column here, `told`, how many events belong to the move: then nothing needs to count them. A
    run whose step was running can't be one that goes on. And there is no `clock`: nothing was waited for.
    """
    states = (StepState.PENDING, StepState.READY, StepState.RUNNING, StepState.BLOCKED, StepState.SUCCEEDED)
    return _record(_TALLY_OF_SUCCESS, states, at="statement_timestamp()", resumes=False)


def _record(
    tally: str, states: Sequence[StepState], *, at: str, ends_as: RunState | None = None, resumes: bool = True
) -> str:
    names = [each.lower() for each in states]
    counters = ",\n        ".join(
        f"count(*) FILTER (WHERE enters = '{each}') - count(*) FILTER (WHERE leaves = '{each}') AS {each.lower()}"
        for each in states
    )
    added = ", ".join(f"r.{each} + t.{each} AS {each}" if each in names else f"r.{each}" for each in COUNTED)
    kept = ", ".join(f"{each} = v.{each}" for each in names)
    clock = ", clock" if at.startswith("clock") else ""
    state = f"'{ends_as}'" if ends_as else DERIVED
    resumed = (
        f"""
    UNION ALL
    SELECT id, {Rank.RUN}, 0, 0, 'WORKFLOW_RESUMED', null, null, 'Going on', '{{}}'
    FROM verdict WHERE resumes"""
        if resumes
        else ""
    )
    return f"""{tally.format(counters=counters)}counted AS (
    SELECT r.id, r.state AS was, r.last_seq, greatest({at}, r.moved_at) AS at, t.told, t.asks, t.judged, {added}
    FROM tally t JOIN runs r ON r.id = t.run_id{clock}),
ruled AS (SELECT *, {state} AS state FROM counted),
verdict AS (
    SELECT *, {_RESUMES if resumes else "false"} AS resumes,
        state = 'WAITING_APPROVAL' AND was <> 'WAITING_APPROVAL' AS waits, state IN ('COMPLETED', 'FAILED') AS ends
    FROM ruled),
line AS (
    SELECT run_id, rank, major, minor, type, position, approval_id, message, metadata FROM told{resumed}
    UNION ALL
    SELECT id, {Rank.RUN}, 1, 0, 'WORKFLOW_WAITING_APPROVAL', null, null, 'Waiting for a person', '{{}}'
    FROM verdict WHERE waits
    UNION ALL
    SELECT id, {Rank.RUN}, 2, 0,
        CASE state WHEN 'COMPLETED' THEN 'WORKFLOW_COMPLETE' WHEN 'FAILED' THEN 'WORKFLOW_FAILED' END, null, null,
        CASE WHEN state = 'FAILED' THEN 'The workflow failed: ' || failed ||
                CASE failed WHEN 1 THEN ' step' ELSE ' steps' END || ' could not be done'
            WHEN skipped > 0 THEN 'The workflow is complete; ' || skipped || ' of its steps ' ||
                CASE skipped WHEN 1 THEN 'was' ELSE 'were' END || ' skipped'
            ELSE 'The workflow is complete' END,
        json_build_object('outcome',
            CASE WHEN failed > 0 THEN 'FAILED' WHEN skipped > 0 THEN 'PARTIAL' ELSE 'CLEAN' END)
    FROM verdict WHERE ends),
numbered AS (
    SELECT l.run_id, l.type, l.position, l.approval_id, l.message, l.metadata, v.at,
        v.last_seq + row_number() OVER (PARTITION BY l.run_id ORDER BY rank, major, minor)::int AS seq
    FROM line l JOIN verdict v ON v.id = l.run_id),
written AS (
    INSERT INTO timeline_events (run_id, seq, type, position, approval_id, message, metadata, created_at)
    SELECT run_id, seq, type, position, approval_id, message, metadata, at FROM numbered),
recorded AS (
    UPDATE runs r SET state = v.state, {kept},
        last_seq = v.last_seq + v.told + v.resumes::int + v.waits::int + v.ends::int,
        asked = r.asked OR v.asks, moved_at = v.at, planner = null,
        started_at = CASE WHEN v.running > 0 THEN coalesce(r.started_at, v.at) ELSE r.started_at END,
        finished_at = CASE WHEN v.state IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN v.at END,
        outcome = CASE v.state WHEN 'CANCELLED' THEN 'CANCELLED' WHEN 'FAILED' THEN 'FAILED'
            WHEN 'COMPLETED' THEN CASE WHEN v.skipped > 0 THEN 'PARTIAL' ELSE 'CLEAN' END END,
        error_code = CASE v.state WHEN 'FAILED' THEN 'STEP_FAILED' END,
        error_message = CASE v.state WHEN 'FAILED' THEN v.failed || ' of ' ||
            v.pending + v.ready + v.running + v.blocked + v.succeeded + v.failed + v.skipped + v.cancelled ||
            ' steps failed' END
    FROM verdict v WHERE r.id = v.id
    RETURNING r.id, v.was, r.state, r.last_seq, r.ready, v.judged)"""
