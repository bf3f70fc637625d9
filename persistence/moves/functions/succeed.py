"""One running step succeeds, and what depends on it alone goes on: `succeed` for a lone outcome."""

from __future__ import annotations

from typing import Final

from persistence.moves.events import event_value
from persistence.moves.functions.function import Function, count, give, keep, no_slots_for_the_dead, write_events
from persistence.moves.pieces import asking, calling, closing, holds, succeeding, unblocking
from persistence.moves.record import MOVES_OF_SUCCESS, counter, ended, error_of, outcome_of, state_of
from persistence.moves.row import accepted_one, busy_run, claimed_values, mark
from persistence.moves.sql import assign, insert
from persistence.moves.table import (
    ASKED,
    BLOCKED,
    GATE,
    PENDING,
    READY,
    RUN_COMPLETE,
    RUN_COMPLETE_IN_PART,
    RUN_FAILED,
    RUNNING,
    SKIPPED,
    START,
    SUCCEED,
    SUCCEEDED,
    UNBLOCK,
    UNBLOCKED,
    WAITING,
    Event,
    touched,
)
from persistence.states import ApprovalKind, RunState, StepState

_LAST: Final = "s.remaining = 1"
_ENTERS: Final[dict[tuple[StepState, ...], str]] = {
    UNBLOCKED: _LAST,
    (READY, RUNNING): f"{_LAST} AND NOT s.gated",
    (READY,): f"{_LAST} AND NOT s.gated AND slots <= 0",
    (RUNNING,): f"{_LAST} AND NOT s.gated AND slots > 0",
}
"""When the next step, whose dependencies are counted down by one, enters one of these states."""


def _when(*states: StepState) -> str:
    return _ENTERS[states]


_NOW: Final = "statement_timestamp()"
"""By the clock, which may have been set back since the run last moved: for times that somebody waits for."""

_COUNTED_DOWN: Final = f"""UPDATE steps s SET remaining = s.remaining - 1,
        state = CASE WHEN s.remaining > 1 THEN '{PENDING}' WHEN s.gated THEN '{GATE.enters}'
            WHEN slots > 0 THEN '{START.enters}' ELSE '{UNBLOCK.enters}' END,
        {assign(unblocking(_when, at="at", worker="worker", due=_NOW))}
        WHERE s.run_id = its_run AND s.position = place AND s.state = '{PENDING}'
        RETURNING s.* INTO next;"""

_ASK: Final = asking(
    at=_NOW,
    expires="expires",
    run_id="its_run",
    position="place",
    execution="next.execution",
    attempt="next.attempt",
    risk="next.risk",
    reason="next.gate_reason",
    proposed_args="coalesce(next.resolved_args, next.args)",
    digest="next.digest",
)
_ASKED: Final = event_value(
    ASKED[ApprovalKind.EXECUTE],
    position="place",
    approval="asked",
    kind=f"'{ApprovalKind.EXECUTE}'",
    level="'L' || next.risk",
    digest="next.digest",
    expires_at=_ASK["expires_at"],
)

_CALL: Final = calling(
    "at",
    **{name: f"s.{name}" for name in ("run_id", "position", "attempt", "tool", "digest")},
    args="coalesce(s.resolved_args, s.args)",
)
_STARTED: Final = "steps s WHERE s.run_id = its_run AND s.position = ANY(started)"


def _of_next(event: Event, **values: str) -> str:
    return event_value(event, position="place", name="next.name", **values)


_OUTCOME: Final = {"outcome": "run.outcome"}

_BODY: Final = f"""    SELECT * INTO run FROM runs WHERE id = its_run FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        {give(busy_run("its_run"))}
        RETURN;
    END IF;
    at := greatest({_NOW}, run.moved_at);
    -- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
    UPDATE tool_calls c SET
        {assign(closing(result="its_result", at="at"))}
    WHERE c.run_id = its_run AND c.position = its_place AND c.attempt = its_attempt;
    UPDATE steps s SET
        {assign(succeeding(result="its_result", at="at"))}
    WHERE {holds(run="its_run", position="its_place", attempt="its_attempt", owner="its_owner", state=f"'{RUNNING}'")}
    RETURNING s.name, s.dependents INTO done;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    {give(accepted_one("its_run"))}
    {count(RUNNING, -1)}
    {count(SUCCEEDED, +1)}
    moved := ARRAY[{event_value(SUCCEED.event, position="its_place", name="done.name", attempt="its_attempt")}];
    {no_slots_for_the_dead(" AND done.dependents <> '{}'")}
    FOREACH place IN ARRAY done.dependents LOOP
        {_COUNTED_DOWN}
        CONTINUE WHEN NOT FOUND OR next.state = '{PENDING}';
        {count(PENDING, -1)}
        IF next.state = '{BLOCKED}' THEN
            {count(BLOCKED, +1)}
            run.asked := true;
            {insert("approvals", _ASK, alias="a")}
            RETURNING a.id INTO asked;
            moved := moved || {_of_next(GATE.event)};
            asking := asking || {_ASKED};
            CONTINUE;
        END IF;
        moved := moved || {_of_next(UNBLOCK.event)};
        IF next.state = '{READY}' THEN
            {count(READY, +1)}
            CONTINUE;
        END IF;
        slots := slots - 1;
        {count(RUNNING, +1)}
        started := started || place;
        running := running || {_of_next(START.event, again="", attempt="next.attempt")};
    END LOOP;
    IF started <> '{{}}' THEN
        RETURN QUERY
            WITH called AS (
                {insert("tool_calls", _CALL, _STARTED, alias="c")}
                RETURNING c.position, c.args)
            SELECT {claimed_values("s.", args="c.args")}
            FROM called c JOIN steps s ON s.run_id = its_run AND s.position = c.position;
    END IF;
    run.state := {state_of("run.")};
    IF {ended("run.state")} THEN
        run.finished_at := at;
        run.outcome := {outcome_of("run.")};
        IF run.state = '{RunState.FAILED}' THEN
            run.error_code := 'STEP_FAILED';
            run.error_message := {error_of("run.")};
            ending := ARRAY[{event_value(RUN_FAILED, failed="run.failed", **_OUTCOME)}];
        ELSIF run.{counter(SKIPPED)} > 0 THEN
            ending := ARRAY[{event_value(RUN_COMPLETE_IN_PART, skipped="run.skipped", **_OUTCOME)}];
        ELSE
            ending := ARRAY[{event_value(RUN_COMPLETE, **_OUTCOME)}];
        END IF;
    ELSIF run.state = '{RunState.WAITING_APPROVAL}' THEN
        ending := ARRAY[{event_value(WAITING)}];
    END IF;
    events := moved || asking || ending || running;
    {write_events()}
    UPDATE runs r SET {keep("state", "outcome", "error_code", "error_message", "asked", "last_seq", "finished_at")},
        {keep(*(counter(state) for state in touched(MOVES_OF_SUCCESS)))}, moved_at = at
    WHERE r.id = its_run;
    {
    give(
        mark(
            run="its_run",
            seq="run.last_seq",
            ready="run.ready",
            state="run.state",
            judged="(asking IS NOT NULL)::int",
        )
    )
}"""

SUCCEED_ONE: Final = Function(
    "succeed_one",
    parameters={
        "its_run": "uuid",
        "its_place": "int",
        "its_attempt": "int",
        "its_owner": "uuid",
        "its_result": "text",
        "worker": "uuid",
        "slots": "int",
        "expires": "float8",
    },
    variables={
        "run": "runs",
        "done": "record",
        "next": "record",
        "place": "int",
        "asked": "uuid",
        "at": "timestamptz",
        "started": "int[] := '{}'",
        "moved": "event_row[]",
        "asking": "event_row[]",
        "ending": "event_row[]",
        "running": "event_row[]",
        "events": "event_row[]",
    },
    body=_BODY,
)
