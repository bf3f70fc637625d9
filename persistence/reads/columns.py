"""The columns of each kind of row, in the order of its fields, and the tables that they come from.

A step's arguments and result may be large, so a reader names those that are looked at; the others come as null.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

TEXTS: Final = frozenset({"args", "resolved_args", "result", "proposed_args", "edited_args", "answer"})
"""The columns with JSON of any size."""

RUN: Final = """r.id, r.submitted_by, u.name, u.roles, u.kind, r.intent, r.state, r.outcome, r.risk, r.error_code,
    r.error_message, r.last_seq, r.pending, r.ready, r.running, r.blocked, r.succeeded, r.failed, r.skipped,
    r.cancelled, r.elaborate, r.created_at, r.started_at, r.finished_at"""
RUNS: Final = "runs r JOIN users u ON u.id = r.submitted_by"

_STEP: Final = """s.run_id, s.position, s.key, s.name, s.tool, s.risk, s.state, s.skip_reason, {args} AS args,
    {resolved_args} AS resolved_args, {result} AS result, s.error_code, s.error_message, s.depends_on, s.dependents,
    s.attempt, s.max_attempts,
    CASE WHEN isfinite(s.due_at) THEN s.due_at END, s.due_at IS NOT NULL AND s.due_at <= clock_timestamp(),
    s.due_at IS NOT NULL AND NOT isfinite(s.due_at),
    CASE s.state WHEN 'BLOCKED' THEN EXISTS (
        SELECT FROM approvals d WHERE d.run_id = s.run_id AND d.position = s.position
            AND d.status = 'REQUIRED' AND d.kind = 'IN_DOUBT') ELSE false END,
    s.dead_lettered, s.parent, s.index, s.expands, r.elaborate,
    s.created_at, s.ready_at, s.started_at, s.finished_at"""
STEPS: Final = "steps s JOIN runs r ON r.id = s.run_id"

_APPROVAL: Final = """a.id, a.run_id, a.position, r.submitted_by, a.kind, a.status, a.risk, a.reason,
    {proposed_args} AS proposed_args, a.digest, {edited_args} AS edited_args, a.created_at,
    a.expires_at, a.decided_by, u.name, u.roles, u.kind, a.decided_at,
    a.decision_reason"""
APPROVALS: Final = "approvals a JOIN runs r ON r.id = a.run_id"
DECIDERS: Final = "LEFT JOIN users u ON u.id = a.decided_by"

_TOOL_CALL: Final = """c.run_id, c.position, c.attempt, c.tool, c.status, {args} AS args, {result} AS result,
    c.error_code, c.error_message, c.started_at, c.finished_at"""

_ANSWER: Final = "w.run_id, {answer} AS answer, w.error_code, w.error_message"

DIRECTIVE: Final = "d.run_id, d.position, d.condition, d.for_each, d.after"
ORIGINS: Final = """s.run_id, s.position, s.tool, s.depends_on, coalesce(o.trust, 0), o.origins AS origins,
    CASE WHEN o.origins IS NULL THEN s.args END AS args"""
ORIGINS_OF_STEPS: Final = (
    "LEFT JOIN step_origins o ON o.run_id = s.run_id AND o.position = coalesce(s.parent, s.position)"
)

EVENT: Final = "e.run_id, e.seq, e.type, e.position, e.approval_id, e.message, e.metadata, e.created_at"

USER: Final = "u.id, u.name, u.roles, u.kind"
USERS: Final = "users u"

_RESOLVED: Final = "CASE WHEN s.resolved_at IS NOT NULL THEN coalesce(s.resolved_args, s.args) END"


@cache
def step(texts: frozenset[str]) -> str:
    """A step's columns; of its JSON, those named."""
    return _STEP.format(
        args=_if("args" in texts, "s.args"),
        resolved_args=_if("resolved_args" in texts, _RESOLVED),
        result=_if("result" in texts, "s.result"),
    )


@cache
def approval(texts: frozenset[str]) -> str:
    """An approval's columns; of its JSON, those named."""
    return _APPROVAL.format(
        proposed_args=_if("proposed_args" in texts, "a.proposed_args"),
        edited_args=_if("edited_args" in texts, "a.edited_args"),
    )


@cache
def tool_call(texts: frozenset[str]) -> str:
    """A tool call's columns; of its JSON, those named."""
    return _TOOL_CALL.format(args=_if("args" in texts, "c.args"), result=_if("result" in texts, "c.result"))


@cache
def answer(texts: frozenset[str]) -> str:
    """The columns of a run's answer; of its JSON, those named."""
    return _ANSWER.format(answer=_if("answer" in texts, "w.answer"))


def bounded(statement: str, texts: Iterable[str], most: str) -> str:
    """The statement's rows in their order, as long as these columns of theirs have no more than `most` bytes together.

    One row that is past it comes too, and each has one more column: the bytes up to there. PostgreSQL has to unpack
    what it measures, but sends no more of it, and keeps none.
    """
    size = " + ".join(f"coalesce(octet_length({text}::text), 0)" for text in texts)
    return f"""SELECT * FROM (
        SELECT *, sum({size}) OVER (ROWS UNBOUNDED PRECEDING)::bigint AS bytes FROM ({statement}) AS wanted) AS counted
    WHERE bytes - ({size}) <= {most}::bigint"""


def _if(is_wanted: bool, column: str) -> str:  # noqa: FBT001 - reads as the condition that it is
    return column if is_wanted else "null::json"
