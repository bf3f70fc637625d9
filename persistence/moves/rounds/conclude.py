"""After the last round: how many children of a list may run now, and the state of each run with its events."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from persistence.database import Connection
from persistence.moves.events import Rank, event, event_select, metadata, words, written
from persistence.moves.pieces import CLOCK
from persistence.moves.record import counter, ended, ending_type, total
from persistence.moves.rounds.facts import RunFacts
from persistence.moves.row import MARKS, Advance, read_rows
from persistence.moves.sql import union
from persistence.moves.table import (
    BLOCKED,
    FAILED,
    MOVING,
    OPEN,
    RESUMED,
    RUN_COMPLETE,
    RUN_COMPLETE_IN_PART,
    RUN_ERROR,
    RUN_FAILED,
    SKIPPED,
    WAITING,
)
from persistence.states import RunOutcome, RunState, SkipReason, StepState

_SHARE: Final = """
WITH seat AS (
    SELECT s.run_id, s.position, s.state, s.due_at, s.attempt, s.execution, s.ready_at, d.delay_seconds, d.not_before,
        -- A child that runs, or waits for its next attempt, keeps its place: when that is due stands nowhere else. Then
        -- others that were called before, and those that have a place, in their order.
        row_number() OVER (PARTITION BY s.run_id, s.parent
            ORDER BY (s.state = 'RUNNING') DESC,
                (s.calls > 0 AND s.due_at > clock_timestamp() AND s.due_at < 'infinity') DESC,
                (s.calls > 0) DESC, (s.due_at < 'infinity') DESC, s.index)
            <= d.max_parallel AS has_one
    FROM step_directives d JOIN steps s ON s.run_id = d.run_id AND s.parent = d.position
    WHERE d.run_id = ANY($1::uuid[]) AND d.max_parallel IS NOT NULL AND s.state IN ('READY', 'RUNNING')),
changed AS (
    SELECT *, CASE WHEN has_one THEN greatest(clock_timestamp(),
            CASE WHEN attempt = 0 AND execution = 1 THEN
                greatest(ready_at + delay_seconds * interval '1 second', not_before) END)
        ELSE 'infinity' END AS due
    FROM seat WHERE state = 'READY' AND has_one IS DISTINCT FROM (due_at < 'infinity'))
UPDATE steps s SET due_at = c.due
FROM changed c WHERE s.run_id = c.run_id AND s.position = c.position
"""


async def share_places(tx: Connection, runs: Iterable[RunFacts]) -> None:
    """Of the children of each list with `maxParallel`, let so many be due; the others wait without a time."""
    sharing = [run.id for run in runs if run.shares]
    if sharing:
        await tx.execute(_SHARE, sharing)


_STOPPED: Final = ", ".join(
    f"'{reason}'" for reason in (SkipReason.REJECTED, SkipReason.APPROVAL_EXPIRED, SkipReason.ABANDONED)
)
_failed, _skipped = counter(FAILED), counter(SKIPPED)
_HARD: Final = f"({_failed} - tolerated)"


def _outcome(run: str = "") -> str:
    """How a run ends; `run` is the alias of its verdict, with its dot."""
    return f"""CASE WHEN {run}{_failed} > {run}tolerated THEN '{RunOutcome.FAILED}'
            WHEN {run}tolerated > 0 OR {run}stopped THEN '{RunOutcome.PARTIAL}' ELSE '{RunOutcome.CLEAN}' END"""


_OWN: Final = {"run": "id", "position": "null"}
_COMPLETED_MESSAGE: Final = f"""CASE WHEN stopped AND {_skipped} > 0 THEN {words(RUN_COMPLETE_IN_PART.message)}
            ELSE {words(RUN_COMPLETE.message)} END"""

_EVENTS: Final = union(
    event(RESUMED, Rank.RUN, "verdict WHERE resumes", **_OWN),
    event(WAITING, Rank.RUN, "verdict WHERE waits", major="1", **_OWN),
    event_select(
        ending_type(),
        f"""CASE WHEN state = '{RunState.FAILED}' THEN {words(RUN_FAILED.message, failed=_HARD)}
            ELSE {_COMPLETED_MESSAGE} END""",
        metadata(RUN_COMPLETE, outcome=_outcome()),
        Rank.RUN,
        "verdict WHERE ends",
        major="2",
        **_OWN,
    ),
)

_CONCLUDE: Final = f"""
WITH {CLOCK},
counted AS (
    SELECT r.*, g.was, greatest(clock.at, r.moved_at) AS at,
        CASE WHEN r.{_failed} > 0 THEN (
            SELECT count(*) FROM steps s WHERE s.run_id = r.id AND s.tolerated AND s.state = '{FAILED}')
        ELSE 0 END AS tolerated,
        r.{_skipped} > 0 AND EXISTS (
            SELECT FROM steps s WHERE s.run_id = r.id AND s.skip_reason IN ({_STOPPED})) AS stopped
    FROM unnest($1::uuid[], $2::text[]) AS g (id, was) JOIN runs r ON r.id = g.id, clock
    WHERE r.state NOT IN ('{RunState.CANCELLED}')),
ruled AS (
    SELECT id, was, at, tolerated, stopped, last_seq, ready, {_failed}, {_skipped},
        {total(tuple(StepState))} AS steps,
        CASE
            WHEN {total(OPEN)} = 0 THEN CASE WHEN {_HARD} > 0 THEN '{RunState.FAILED}'
                ELSE '{RunState.COMPLETED}' END
            WHEN {total(MOVING)} = expanded AND {counter(BLOCKED)} > 0 THEN '{RunState.WAITING_APPROVAL}'
            ELSE '{RunState.EXECUTING}' END AS state
    FROM counted),
verdict AS (
    SELECT *, state = '{RunState.EXECUTING}' AND was IN ('{RunState.FAILED}', '{RunState.WAITING_APPROVAL}')
            OR state = '{RunState.WAITING_APPROVAL}' AND was = '{RunState.FAILED}' AS resumes,
        state = '{RunState.WAITING_APPROVAL}' AND was <> '{RunState.WAITING_APPROVAL}' AS waits,
        {ended("state")} AND NOT {ended("was")} AS ends
    FROM ruled),
every_event (run_id, rank, major, minor, type, position, approval_id, message, metadata) AS (
    {_EVENTS}),
numbered AS (
    SELECT e.run_id, e.type, e.position::int AS position, e.approval_id, e.message, e.metadata, v.at,
        v.last_seq + row_number() OVER (PARTITION BY e.run_id ORDER BY rank, major, minor)::int AS seq
    FROM every_event e JOIN verdict v ON v.id = e.run_id),
{written("numbered", created_at="at")},
recorded AS (
    UPDATE runs r SET state = v.state,
        last_seq = v.last_seq + v.resumes::int + v.waits::int + v.ends::int, moved_at = v.at,
        finished_at = CASE WHEN {ended("v.state")} THEN coalesce(r.finished_at, v.at) END,
        outcome = CASE WHEN {ended("v.state")} THEN {_outcome("v.")} END,
        error_code = CASE v.state WHEN '{RunState.FAILED}' THEN 'STEP_FAILED' END,
        error_message = CASE v.state WHEN '{RunState.FAILED}' THEN {
    words(RUN_ERROR, failed=f"(v.{_failed} - v.tolerated)", steps="v.steps")
} END
    FROM verdict v WHERE r.id = v.id
    RETURNING r.id, r.state, r.last_seq, r.ready, $3::bool AS judged)
{MARKS}
"""


async def conclude(tx: Connection, runs: Collection[RunFacts], *, judged: bool) -> Advance:
    """Give these runs the states that follow from their steps, with the events of that; `runs` as they were before.

    A failure that its list tolerates, and a step that its condition skipped, keep no run from being COMPLETED. A parent
    that runs is no reason to wait for: its children are. `judged`: approvals were asked for, decided or withdrawn.
    """
    rows = await tx.fetch(_CONCLUDE, [run.id for run in runs], [run.state for run in runs], judged)
    return read_rows(rows)
