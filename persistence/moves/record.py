"""The tail of every move: counters, the run's own state, and the events, numbered.

A statement is a list of CTEs that ends in two:

- `moved (run_id, leaves, enters)`: a row for each step that changed its state (`leaves` null: it is new);
- `event (run_id, rank, major, minor, type, position, approval_id, message, metadata)`: its events, to be ordered by
  `rank` (see `Rank`), `major`, `minor`.

`record()` adds the CTEs that derive the run's new state from its counters, number the events after the run's last one
and write everything. It leaves `recorded (id, was, state, last_seq, ready, judged)` for the final SELECT.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from persistence.moves.events import Rank, event, event_select, metadata, words, written
from persistence.moves.sql import union
from persistence.moves.table import (
    ASKED,
    BLOCKED,
    FAILED,
    GATE,
    MOVING,
    OPEN,
    RESUMED,
    RUN_COMPLETE,
    RUN_COMPLETE_IN_PART,
    RUN_ERROR,
    RUN_FAILED,
    SKIPPED,
    START,
    SUCCEED,
    UNBLOCK,
    WAITING,
    touched,
)
from persistence.states import ApprovalKind, RunOutcome, RunState, StepState

# A run's state and how it ended, as functions of the counters on its row. `run` is the row's alias, with its dot.


def counter(state: StepState) -> str:
    """The counter on a run's row of its steps in this state."""
    return state.value.lower()


def total(states: Sequence[StepState], run: str = "") -> str:
    """How many steps are in any of these states."""
    return " + ".join(f"{run}{counter(state)}" for state in states)


_failed, _skipped = counter(FAILED), counter(SKIPPED)


def state_of(run: str = "") -> str:
    """A run's state. It waits when an approval is open and nothing else can move."""
    return f"""CASE
            WHEN {total(OPEN, run)} = 0 THEN CASE WHEN {run}{_failed} > 0 THEN '{RunState.FAILED}' ELSE \
'{RunState.COMPLETED}' END
            WHEN {total(MOVING, run)} = 0 AND {run}{counter(BLOCKED)} > 0 THEN '{RunState.WAITING_APPROVAL}'
            ELSE '{RunState.EXECUTING}' END"""


def outcome_of(run: str = "") -> str:
    """How a run ends when all of its steps have ended."""
    return f"""CASE WHEN {run}{_failed} > 0 THEN '{RunOutcome.FAILED}' WHEN {run}{_skipped} > 0 \
THEN '{RunOutcome.PARTIAL}' ELSE '{RunOutcome.CLEAN}' END"""


def error_of(run: str = "") -> str:
    """The error message of a run that has failed."""
    return words(RUN_ERROR, failed=f"{run}{_failed}", steps=total(tuple(StepState), run))


def ending_type() -> str:
    """The type of the event that ends a run in `state`."""
    return f"CASE state WHEN '{RunState.COMPLETED}' THEN '{RUN_COMPLETE.type}' ELSE '{RUN_FAILED.type}' END"


_DERIVED_ENDS: Final = (RunState.COMPLETED, RunState.FAILED)
"""The states in which a run's steps leave it when they have all ended."""


def ended(value: str) -> str:
    """Whether the value is one of them."""
    return f"{value} IN ({', '.join(repr(str(state)) for state in _DERIVED_ENDS)})"


_TALLY: Final = f"""
tally AS (
    -- Everything about a run in one row: two sets of runs, of which the planner expects one row each, would be joined
    -- by comparing each with each.
    SELECT run_id,
        {{counters}},
        count(type)::int AS events, coalesce(bool_or(type = '{ASKED[ApprovalKind.EXECUTE].type}'), false) AS asks,
        bool_or(approval_id IS NOT NULL AND type <> '{START.event.type}') AS judged
    FROM (
        SELECT run_id, leaves, enters, null AS type, null::uuid AS approval_id FROM moved
        UNION ALL
        SELECT run_id, null, null, type, approval_id FROM event) AS each
    GROUP BY run_id),
"""

_TALLY_OF_SUCCESS: Final = f"""
tally AS (
    SELECT run_id,
        {{counters}},
        sum(events)::int AS events, bool_or(enters = '{BLOCKED}') AS asks, bool_or(enters = '{BLOCKED}') AS judged
    FROM moved GROUP BY run_id),
"""

MOVES_OF_SUCCESS: Final = (SUCCEED, UNBLOCK, START, GATE)
"""The moves when running steps succeed."""


def record(*, ends_as: RunState | None = None) -> str:
    """The CTEs that follow `moved` and `event`. `ends_as` sets the run's state instead of deriving it."""
    return _record(_TALLY, tuple(StepState), at="clock.at", ends_as=ends_as)


def record_quietly(*, also: str) -> str:
    """The same, but without the events of the run itself: others follow in the transaction, and then `conclude`.

    `also` are further columns of the run, as a SET list; `r` is its row.
    """
    return _record(_TALLY, tuple(StepState), at="clock.at", resumes=False, is_quiet=True, also=also)


def record_success() -> str:
    """The CTEs that follow `moved` and `event` when running steps succeed: they touch five of the counters.

    `moved` has a fourth column here, `events`, how many belong to the move: then nothing needs to count them. A
    run whose step was running can't be one that goes on. And there is no `clock`: nothing was waited for.
    """
    return _record(_TALLY_OF_SUCCESS, touched(MOVES_OF_SUCCESS), at="statement_timestamp()", resumes=False)


def _record(
    tally: str,
    states: Sequence[StepState],
    *,
    at: str,
    ends_as: RunState | None = None,
    resumes: bool = True,
    is_quiet: bool = False,
    also: str = "",
) -> str:
    kept = ", ".join(f"{counter(each)} = v.{counter(each)}" for each in states)
    return f"""{tally.format(counters=_counted(states))}{_verdict(states, at=at, ends_as=ends_as, resumes=resumes)},
every_event AS (
    {_EVENTS_OF_STEPS if is_quiet else _events(resumes=resumes)}),
numbered AS (
    SELECT e.run_id, e.type, e.position, e.approval_id, e.message, e.metadata, v.at,
        v.last_seq + row_number() OVER (PARTITION BY e.run_id ORDER BY rank, major, minor)::int AS seq
    FROM every_event e JOIN verdict v ON v.id = e.run_id),
{written("numbered", created_at="at")},
recorded AS (
    UPDATE runs r SET state = v.state, {kept},
        last_seq = v.last_seq + v.events{"" if is_quiet else " + v.resumes::int + v.waits::int + v.ends::int"},{
        also and f"{chr(10)}        {also},"
    }
        asked = r.asked OR v.asks, moved_at = v.at, planner = null,
        started_at = CASE WHEN v.running > 0 THEN coalesce(r.started_at, v.at) ELSE r.started_at END,
        finished_at = CASE WHEN v.ends OR v.state = '{RunState.CANCELLED}' THEN v.at END,
        outcome = CASE WHEN v.state = '{RunState.CANCELLED}' THEN '{RunOutcome.CANCELLED}'
            WHEN v.ends THEN {outcome_of("v.")} END,
        error_code = CASE v.state WHEN '{RunState.FAILED}' THEN 'STEP_FAILED' END,
        error_message = CASE v.state WHEN '{RunState.FAILED}' THEN {error_of("v.")} END
    FROM verdict v WHERE r.id = v.id
    RETURNING r.id, v.was, r.state, r.last_seq, r.ready, v.judged)"""


def _counted(states: Sequence[StepState]) -> str:
    """By how much each of these counters changes."""
    return ",\n        ".join(
        f"count(*) FILTER (WHERE enters = '{each}') - count(*) FILTER (WHERE leaves = '{each}') AS {counter(each)}"
        for each in states
    )


def _verdict(states: Sequence[StepState], *, at: str, ends_as: RunState | None, resumes: bool) -> str:
    """The run as its row will be."""
    added = ", ".join(
        f"r.{counter(each)} + t.{counter(each)} AS {counter(each)}" if each in states else f"r.{counter(each)}"
        for each in StepState
    )
    clock = ", clock" if at.startswith("clock") else ""
    goes_on = (
        f"was = '{RunState.FAILED}' OR (was = '{RunState.WAITING_APPROVAL}' AND state = '{RunState.EXECUTING}')"
        if resumes
        else "false"
    )
    waiting = RunState.WAITING_APPROVAL
    return f"""counted AS (
    SELECT r.id, r.state AS was, r.last_seq, greatest({at}, r.moved_at) AS at, t.events, t.asks, t.judged, {added}
    FROM tally t JOIN runs r ON r.id = t.run_id{clock}),
ruled AS (SELECT *, {f"'{ends_as}'" if ends_as else state_of()} AS state FROM counted),
verdict AS (
    SELECT *, {goes_on} AS resumes,
        state = '{waiting}' AND was <> '{waiting}' AS waits, {ended("state")} AS ends
    FROM ruled)"""


_EVENTS_OF_STEPS: Final = "SELECT run_id, rank, major, minor, type, position, approval_id, message, metadata FROM event"


def _events(*, resumes: bool) -> str:
    """The events of steps, and those of runs that follow from them."""
    own = {"run": "id", "position": "null"}
    message = f"""CASE WHEN state = '{RunState.FAILED}' THEN {words(RUN_FAILED.message)}
            WHEN {_skipped} > 0 THEN {words(RUN_COMPLETE_IN_PART.message)}
            ELSE {words(RUN_COMPLETE.message)} END"""
    selects = [
        _EVENTS_OF_STEPS,
        *([event(RESUMED, Rank.RUN, "verdict WHERE resumes", **own)] if resumes else []),
        event(WAITING, Rank.RUN, "verdict WHERE waits", major="1", **own),
        event_select(
            ending_type(),
            message,
            metadata(RUN_COMPLETE, outcome=outcome_of()),
            Rank.RUN,
            "verdict WHERE ends",
            major="2",
            **own,
        ),
    ]
    return union(*selects)
