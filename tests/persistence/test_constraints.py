"""Whatever the code does, the database refuses what must never be: every constraint and trigger, by name."""

from __future__ import annotations

import re
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence.moves.inputs import Claimer
from persistence.states import (
    ApprovalKind,
    ApprovalStatus,
    InDoubtResolution,
    Role,
    RunOutcome,
    RunState,
    SkipReason,
    StepState,
    ToolCallStatus,
)
from tests.persistence.stage import Draft, Stage, failed, outcome

VERSIONS = Path(__file__).parents[2] / "alembic/versions"
RULES: dict[str, dict[str, str]] = {
    table: rules.rules for table, rules in runpy.run_path(str(VERSIONS / "0001_foundation.py"))["RULES"].items()
} | {"approvals": runpy.run_path(str(VERSIONS / "0006_sound_approvals.py"))["RULES"]}
"""Of the tables whose rules stand in a function."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that breaks one rule, and no other; `{run}` and the like stand for what is in the database."""

    rule: str
    statement: str

    def __str__(self) -> str:
        return self.rule


STEPS = """INSERT INTO steps (run_id, submitted_by, position, key, name, tool, risk, gated, idempotent,
    dynamic, feeds, state, args,
    depends_on, dependents, needs, remaining, timeout_seconds, created_at)
    VALUES ({run}, gen_random_uuid(), 99, 'k', 'n', 't', 0, false, true, false, false, 'PENDING', '{{}}',
        '{{}}', '{{}}', '{{}}', 1, 1,
    now())"""
APPROVALS = """INSERT INTO approvals (id, run_id, position, execution, attempt, kind, status, risk, reason,
    proposed_args, digest, created_at, decided_by, decided_at, granted_digest)
    VALUES (gen_random_uuid(), {run}, %s, 1, 0, 'EXECUTE', %s, 3, 'r', '{{}}', 'd', now(), %s)"""

# The stage of every case (see `populated`): places in the run's plan.
PENDING, READY, RUNNING, BLOCKED, SUCCEEDED, DEAD, SKIPPED, DOUBT, GRANTED = range(9)


def step(place: int, change: str) -> str:
    return f"UPDATE steps SET {change} WHERE run_id = {{run}} AND position = {place}"


def run(change: str) -> str:
    return f"UPDATE runs SET {change} WHERE id = {{run}}"


def approval(place: int, change: str) -> str:
    return f"UPDATE approvals SET {change} WHERE run_id = {{run}} AND position = {place}"


def call(place: int, change: str) -> str:
    return f"UPDATE tool_calls SET {change} WHERE run_id = {{run}} AND position = {place}"


OTHER = "gen_random_uuid()"
ANSWERS = """INSERT INTO run_answers (run_id, planned, needs, trust, answer, error_code)
    VALUES ({run}, '1', '{{{{}}}}', {trust}, {more})"""

REFUSED = [
    # People
    Refused("users_pkey", "INSERT INTO users (id, name, roles) SELECT id, 'again', roles FROM users"),
    Refused("users_name_key", f"INSERT INTO users (id, name, roles) SELECT {OTHER}, name, roles FROM users"),
    Refused("users_roles_known", "UPDATE users SET roles = '{{}}'"),
    Refused("users_roles_known", "UPDATE users SET roles = '{{ADMIN,KING}}'"),
    Refused("users_roles_known", "UPDATE users SET roles = '{{ADMIN,NULL}}'"),
    Refused("users_kind_known", "UPDATE users SET kind = 'ROBOT'"),
    Refused("tokens_pkey", "INSERT INTO tokens (hash, user_id) SELECT hash, user_id FROM tokens"),
    Refused("tokens_user_id_fkey", f"UPDATE tokens SET user_id = {OTHER}"),
    Refused("tokens_hash_is_sha256", "UPDATE tokens SET hash = substr(hash, 2)"),
    Refused(
        "identities_pkey",
        "INSERT INTO identities (issuer, subject, user_id, roles_at)"
        " SELECT 'issuer', 'subject', id, now() FROM users, generate_series(1, 2)",
    ),
    Refused(
        "identities_user_id_fkey",
        f"INSERT INTO identities (issuer, subject, user_id, roles_at) VALUES ('issuer', 'subject', {OTHER}, now())",
    ),
    # The audit log
    Refused(
        "audit_lines_pkey",
        "INSERT INTO audit_lines (id, action, outcome) OVERRIDING SYSTEM VALUE"
        " SELECT 1, 'SIGN_IN', 'ACCEPTED' FROM generate_series(1, 2)",
    ),
    Refused(
        "audit_lines_happened", "INSERT INTO audit_lines (action, outcome, times) VALUES ('SIGN_IN', 'ACCEPTED', 0)"
    ),
    Refused("audit_is_immutable", "UPDATE audit_lines SET outcome = 'ACCEPTED'"),
    Refused("audit_is_immutable", "DELETE FROM audit_lines"),
    Refused("audit_is_immutable", "TRUNCATE audit_lines"),
    # Processes
    Refused(
        "workers_pkey", "INSERT INTO workers (id, host, pid, lease_until) SELECT id, host, pid, now() FROM workers"
    ),
    Refused(
        "workers_sign_key",
        "INSERT INTO workers (id, sign, host, pid, lease_until) OVERRIDING SYSTEM VALUE"
        f" SELECT {OTHER}, sign, host, pid, now() FROM workers",
    ),
    # Runs
    Refused(
        "runs_pkey",
        "INSERT INTO runs (id, submitted_by, state, approve_from, created_at, moved_at)"
        " SELECT id, submitted_by, 'QUEUED', 3, now(), now() FROM runs WHERE id = {run}",
    ),
    Refused("runs_submitted_by_fkey", run(f"submitted_by = {OTHER}")),
    Refused("runs_state_known", run("state = 'DREAMING'")),
    Refused("runs_outcome_known", "UPDATE runs SET outcome = 'MAYBE' WHERE id = {ended}"),
    Refused("runs_risk_known", run("risk = 4")),
    Refused("runs_risk_known", run("approve_from = -1")),
    *(Refused("runs_counts_hold", run(f"{state.lower()} = -1")) for state in StepState if state != "PENDING"),
    Refused("runs_counts_hold", run("pending = -1")),
    Refused("runs_planned_by_a_worker", run(f"planner = {OTHER}")),
    Refused("runs_planned_by_a_worker", "UPDATE runs SET state = 'PLANNING' WHERE id = {queued}"),
    Refused("runs_finished_has_outcome", "UPDATE runs SET outcome = null WHERE id = {ended}"),
    Refused("runs_finished_has_outcome", "UPDATE runs SET finished_at = null WHERE id = {ended}"),
    Refused("runs_finished_has_outcome", run("outcome = 'CLEAN'")),
    Refused("runs_finished_has_outcome", "UPDATE runs SET state = 'COMPLETED' WHERE id = {queued}"),
    Refused("runs_finished_has_no_open_step", run("state = 'COMPLETED', outcome = 'CLEAN', finished_at = now()")),
    *(
        Refused("runs_finished_has_no_open_step", f"UPDATE runs SET {state} = 1 WHERE id = {{ended}}")
        for state in ("pending", "ready", "running", "blocked")
    ),
    Refused("runs_executing_can_move", run("pending = 0, ready = 0, running = 0")),
    Refused("runs_waiting_is_blocked", run("state = 'WAITING_APPROVAL'")),
    Refused("runs_waiting_is_blocked", "UPDATE runs SET state = 'WAITING_APPROVAL' WHERE id = {queued}"),
    *(Refused("runs_waiting_is_blocked", run(f"state = 'WAITING_APPROVAL', expanded = {n}")) for n in (0, 2, 4)),
    Refused("runs_waiting_is_blocked", run("state = 'WAITING_APPROVAL', expanded = 3, blocked = 0")),
    Refused("runs_idempotency_covers_input", "UPDATE runs SET idempotency_key = 'k' WHERE id = {queued}"),
    Refused("runs_idempotency_covers_input", "UPDATE runs SET input_digest = 'd' WHERE id = {queued}"),
    Refused(
        "runs_idempotency", "UPDATE runs SET idempotency_key = 'k', input_digest = 'd' WHERE id IN ({queued}, {ended})"
    ),
    # Steps
    Refused("steps_pkey", STEPS.replace("99", "0")),
    Refused("steps_run_id_fkey", STEPS.replace("{run}", OTHER)),
    Refused("steps_state_known", step(PENDING, "state = 'DREAMING', remaining = 0")),
    Refused("steps_skip_reason_known", step(SKIPPED, "skip_reason = 'BORED'")),
    Refused("steps_risk_known", step(BLOCKED, "risk = 4")),
    Refused("steps_risk_known", step(PENDING, "risk = -1")),
    Refused("steps_high_risk_is_gated", step(BLOCKED, "gated = false")),
    Refused("steps_high_risk_is_gated", step(PENDING, "risk = 3")),
    Refused("steps_high_risk_is_bounded", step(BLOCKED, "max_attempts = 4")),
    Refused("steps_high_risk_is_bounded", step(BLOCKED, "max_attempts = null")),
    Refused("steps_running_has_a_lease", step(RUNNING, "owner = null")),
    *(
        Refused("steps_running_has_a_lease", step(place, f"owner = {OTHER}"))
        for place in (PENDING, READY, BLOCKED, SUCCEEDED, DEAD, SKIPPED, DOUBT)
    ),
    Refused("steps_running_has_a_lease", step(RUNNING, "expands = true")),
    Refused("steps_left_when_cancelled", step(RUNNING, f"left_by = {OTHER}")),
    Refused("steps_ready_is_due", step(READY, "due_at = null")),
    *(
        Refused("steps_ready_is_due", step(place, "due_at = now()"))
        for place in (PENDING, RUNNING, BLOCKED, SUCCEEDED, DEAD, SKIPPED, DOUBT)
    ),
    Refused("steps_skipped_has_a_reason", step(SKIPPED, "skip_reason = null")),
    Refused("steps_skipped_has_a_reason", step(READY, "skip_reason = 'REJECTED'")),
    *(Refused("steps_finished_has_a_time", step(place, "finished_at = null")) for place in (SUCCEEDED, DEAD, SKIPPED)),
    *(
        Refused("steps_finished_has_a_time", step(place, "finished_at = now()"))
        for place in (PENDING, READY, RUNNING, BLOCKED)
    ),
    Refused("steps_waits_for_nothing_negative", step(PENDING, "remaining = -1")),
    *(
        Refused("steps_moves_when_unblocked", step(place, "remaining = 1"))
        for place in (READY, RUNNING, BLOCKED, SUCCEEDED, DEAD)
    ),
    Refused("steps_dead_letter_failed", step(DEAD, "dead_lettered = false")),
    Refused("steps_dead_letter_failed", step(SKIPPED, "dead_lettered = true")),
    Refused("steps_dead_letter_failed", step(DEAD, "tolerated = true")),
    Refused("steps_dead_letter_failed", step(READY, "parent = 0")),
    Refused("steps_dead_letter_failed", step(READY, "index = 0")),
    Refused("steps_dead_letter_failed", step(READY, "parent = 0, index = 0, expands = true")),
    *(
        Refused("steps_counts_hold", step(RUNNING, change))
        for change in (
            "attempt = -1, calls = 0",
            "calls = attempt + 1",
            "calls = -1",
            "losses = -1",
            "execution = 0",
            "max_attempts = 0",
            "timeout_seconds = 0",
        )
    ),
    # What plans say beyond it
    *(
        Refused(
            f"{table}_pkey",
            f"INSERT INTO {table} (run_id, {columns}) SELECT {{run}}, {values} FROM generate_series(1, 2)",
        )
        for table, columns, values in (
            ("step_directives", "position", "0"),
            ("step_origins", "position, trust, origins", "0, 0, '[]'"),
            ("run_answers", "planned, needs, trust", "'1', '{{}}', 0"),
        )
    ),
    *(
        Refused(
            "step_directives_bounded",
            f"INSERT INTO step_directives (run_id, position, {column}) VALUES ({{run}}, 0, {value})",
        )
        for column, value in (
            ("for_each_most", 0),
            ("for_each_most", 1001),
            ("max_parallel", 0),
            ("delay_seconds", -0.1),
            ("open_children", -1),
        )
    ),
    *(
        Refused(
            "step_origins_trust_known",
            f"INSERT INTO step_origins (run_id, position, trust, origins) VALUES ({{run}}, 0, {trust}, '[]')",
        )
        for trust in (-1, 3)
    ),
    Refused("run_answers_run_id_fkey", ANSWERS.format(run=OTHER, trust=0, more="null, null")),
    Refused("run_answers_trust_known", ANSWERS.format(run="{run}", trust=-1, more="null, null")),
    Refused("run_answers_trust_known", ANSWERS.format(run="{run}", trust=3, more="null, null")),
    Refused("run_answers_one_of_two", ANSWERS.format(run="{run}", trust=0, more="'1', 'ANSWER_TOO_LARGE'")),
    # Approvals
    Refused(
        "approvals_pkey",
        "INSERT INTO approvals (id, run_id, position, execution, attempt, kind, status, risk, reason, proposed_args,"
        " digest, created_at) SELECT id, run_id, position, 1, 0, kind, 'EXPIRED', 3, 'r', '{{}}', 'd', now()"
        " FROM approvals WHERE kind = 'EXECUTE'",
    ),
    Refused("approvals_run_id_position_fkey", APPROVALS % (98, "'REQUIRED'", "null, null, null")),
    Refused("approvals_decided_by_fkey", approval(GRANTED, f"decided_by = {OTHER}")),
    Refused("approvals_kind_known", approval(BLOCKED, "kind = 'DREAM'")),
    Refused("approvals_status_known", approval(BLOCKED, "status = 'MAYBE'")),
    Refused("approvals_decided_by_a_person", approval(BLOCKED, "status = 'REJECTED'")),
    Refused("approvals_decided_by_a_person", approval(BLOCKED, "status = 'REJECTED', decided_at = now()")),
    Refused("approvals_decided_by_a_person", approval(GRANTED, "decided_by = null")),
    Refused("approvals_decided_by_a_person", approval(BLOCKED, "decided_by = {user}, decided_at = now()")),
    Refused(
        "approvals_decided_in_time",
        approval(
            BLOCKED, "status = 'REJECTED', decided_by = {user}, decided_at = now(), expires_at = now() - interval '1 s'"
        ),
    ),
    Refused("approvals_decided_in_time", approval(GRANTED, "expires_at = decided_at - interval '1 s'")),
    Refused("approvals_doubt_never_expires", approval(DOUBT, "expires_at = now()")),
    Refused("approvals_granted_when_approved", approval(GRANTED, "granted_digest = null")),
    Refused("approvals_granted_when_approved", approval(BLOCKED, "granted_digest = 'd'")),
    Refused("approvals_granted_when_approved", approval(DOUBT, "granted_digest = 'd'")),
    Refused("approvals_spent_when_approved", approval(BLOCKED, "spent_at = now()")),
    Refused("approvals_spent_when_approved", approval(DOUBT, "spent_at = now()")),
    Refused(
        "approvals_resolution_known",
        approval(DOUBT, "status = 'REJECTED', decided_by = {user}, decided_at = now(), resolution = 'MAYBE'"),
    ),
    Refused(
        "approvals_resolution_settles_doubt",
        approval(DOUBT, "status = 'APPROVED', decided_by = {user}, decided_at = now()"),
    ),
    Refused("approvals_resolution_settles_doubt", approval(GRANTED, "resolution = 'HAPPENED'")),
    Refused("approvals_one_open", APPROVALS % (BLOCKED, "'REQUIRED'", "null, null, null")),
    Refused("approvals_one_open", APPROVALS % (DOUBT, "'REQUIRED'", "null, null, null")),
    Refused("approvals_one_grant", APPROVALS % (GRANTED, "'APPROVED'", "{user}, now(), 'd'")),
    # Tool calls
    Refused(
        "tool_calls_pkey",
        "INSERT INTO tool_calls (run_id, position, attempt, tool, args, started_at)"
        f" SELECT run_id, position, attempt, tool, args, now() FROM tool_calls WHERE position = {RUNNING}",
    ),
    Refused("tool_calls_status_known", call(SUCCEEDED, "status = 'MAYBE'")),
    Refused("tool_calls_finished_has_a_time", call(SUCCEEDED, "finished_at = null")),
    Refused("tool_calls_finished_has_a_time", call(RUNNING, "finished_at = now()")),
    Refused("tool_calls_finished_has_a_time", call(SUCCEEDED, "status = 'STARTED'")),
    *(
        Refused("tool_calls_keep_their_arguments", call(place, change))
        for place in (RUNNING, SUCCEEDED)
        for change in ("args = '{{\"other\": 1}}'", "tool = 'other'", "digest = 'other'", f"approval_id = {OTHER}")
    ),
    # Notices
    Refused(
        "notices_pkey",
        "INSERT INTO notices (run_id, position, texts) SELECT {run}, 0, '{{this}}' FROM generate_series(1, 2)",
    ),
    Refused("notices_say_something", "INSERT INTO notices (run_id, position, texts) VALUES ({run}, 0, '{{}}')"),
    # Origins
    Refused(
        "step_origins_pkey",
        "INSERT INTO step_origins (run_id, position, trust, origins) "
        "SELECT {run}, 0, 0, '[]' FROM generate_series(1, 2)",
    ),
    Refused(
        "step_origins_trust_known",
        "INSERT INTO step_origins (run_id, position, trust, origins) VALUES ({run}, 0, 3, '[]')",
    ),
    Refused("users_kind_known", "UPDATE users SET kind = 'ROBOT'"),
    # The timeline
    Refused(
        "timeline_events_pkey",
        "INSERT INTO timeline_events (run_id, seq, type, message, metadata, created_at)"
        " VALUES ({run}, 1, 'WORKFLOW_STARTED', '', '{{}}', now())",
    ),
    Refused(
        "timeline_events_seq_counts_from_one",
        "INSERT INTO timeline_events (run_id, seq, type, message, metadata, created_at)"
        " VALUES ({run}, 0, 'WORKFLOW_STARTED', '', '{{}}', now())",
    ),
    *(
        Refused("timeline_is_immutable", statement)
        for statement in (
            "UPDATE timeline_events SET message = 'it was otherwise' WHERE run_id = {run} AND seq = 1",
            "UPDATE timeline_events SET seq = seq + 1000",
            "UPDATE timeline_events SET message = message WHERE false",
            "DELETE FROM timeline_events WHERE run_id = {run}",
            "DELETE FROM timeline_events WHERE false",
            "TRUNCATE timeline_events",
            "INSERT INTO timeline_events TABLE timeline_events ON CONFLICT (run_id, seq) DO UPDATE SET message = ''",
        )
    ),
]
"""Each rule of the database, and statements that try to break it and nothing else."""


@dataclass(frozen=True, slots=True)
class Populated:
    stage: Stage
    facts: dict[str, UUID]

    async def attempt(self, statement: str) -> None:
        """Try it by direct SQL, and roll it back."""
        async with self.stage.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(
                    statement.format(**{name: f"'{value}'::uuid" for name, value in self.facts.items()})
                )
            finally:
                await transaction.rollback()


@pytest.fixture
async def populated(stage: Stage) -> Populated:
    """A run with a step in every state, all of them reached by the ordinary moves, and runs that wait or have ended."""
    worker = await stage.worker()
    this = await stage.begun(
        Draft(after=(READY,)),
        Draft(),
        Draft(),
        Draft(risk=3, idempotent=False),
        Draft(),
        Draft(),
        Draft(after=(DEAD,)),
        Draft(idempotent=False),
        Draft(gated=True),
    )
    claimed = {step.position: step for step in await stage.claim(worker)}
    await stage.settle(outcome(claimed[SUCCEEDED], worker, StepState.SUCCEEDED))
    await stage.settle(failed(claimed[DEAD], worker))
    await stage.settle(outcome(claimed[DOUBT], worker, StepState.BLOCKED))
    await stage.settle(outcome(claimed[READY], worker, StepState.READY))
    grant = (await stage.approvals(this))[-1]
    await stage.decide(grant["id"], ApprovalStatus.APPROVED)
    ended = await stage.begun(Draft())
    await stage.cancel(ended)
    assert await stage.states(this) == [
        "PENDING",
        "READY",
        "RUNNING",
        "BLOCKED",
        "SUCCEEDED",
        "FAILED",
        "SKIPPED",
        "BLOCKED",
        "READY",
    ]
    return Populated(stage, {"run": this, "ended": ended, "queued": await stage.queued(), "user": stage.user})


def broken_rule(error: asyncpg.PostgresError) -> str | None:
    """The name of what refused: the constraint, or the trigger, whose function speaks for it."""
    if error.constraint_name is not None:
        return error.constraint_name
    spoken = re.search(r"PL/pgSQL function (\w+)\(", error.context or "")
    if spoken and spoken[1] == "refuse_change":
        return "audit_is_immutable" if "audit_lines" in str(error) else "timeline_is_immutable"
    return TRIGGERS.get(spoken[1]) if spoken else None


TRIGGERS = {
    "require_approval": "tool_calls_are_approved",
    "refuse_other_call": "tool_calls_keep_their_arguments",
}


@pytest.mark.parametrize("rule", sorted({case.rule for case in REFUSED}))
async def test_the_database_refuses(populated: Populated, rule: str) -> None:
    for case in REFUSED:
        if case.rule == rule:
            with pytest.raises(asyncpg.PostgresError) as refused:
                await populated.attempt(case.statement)
            assert broken_rule(refused.value) == rule, case.statement


async def test_every_rule_of_the_database_is_tried(stage: Stage) -> None:
    rows = await stage.database.fetch(
        """SELECT conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u', 'p', 'f', 'x')
            AND conrelid <> 'alembic_version'::regclass
        UNION SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace = 'public'::regnamespace AND indisunique AND relname <> 'alembic_version'
        UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"""
    )

    asking = {f"{table}_sound" for table in RULES}
    names = {row[0] for row in rows}
    assert asking <= names
    assert names - asking | {name for each in RULES.values() for name in each} == {case.rule for case in REFUSED} | {
        "tool_calls_are_approved"
    }


WORDS = {
    ("runs", "state"): RunState,
    ("runs", "outcome"): RunOutcome,
    ("steps", "state"): StepState,
    ("steps", "skip_reason"): SkipReason,
    ("approvals", "kind"): ApprovalKind,
    ("approvals", "status"): ApprovalStatus,
    ("approvals", "resolution"): InDoubtResolution,
    ("tool_calls", "status"): ToolCallStatus,
    ("users", "roles"): Role,
}


@pytest.mark.parametrize(("table", "column"), WORDS)
async def test_the_database_knows_exactly_the_words_that_the_code_knows(stage: Stage, table: str, column: str) -> None:
    name = f"{table}_{column}_known"
    rule = await stage.database.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::text::regclass AND conname = $2",
        table,
        name,
    )
    if rule is None:
        source = await stage.database.fetchval("SELECT prosrc FROM pg_proc WHERE proname = $1", f"{table}_sound")
        rule = RULES[table][name]
        assert rule in source

    assert set(re.findall(r"'(\w+)'", rule)) == set(WORDS[table, column])


# A gated call needs the approval of exactly this: each near miss is refused by the trigger.

NEAR_MISSES = {
    "no approval at all": {"approval_id": "null"},
    "an approval that does not exist": {"approval_id": OTHER},
    "other arguments than were approved": {"digest": "'other'"},
    "no digest": {"digest": "null"},
    "the approval of another step of the run": {"approval_id": "{neighbour}"},
    "the approval of the same step of another run": {"approval_id": "{stranger}"},
}
MISGRANTED = {
    "an approval that is still open": "UPDATE approvals SET status = 'REQUIRED', decided_by = null, decided_at = null,"
    " granted_digest = null, spent_at = null WHERE id = {grant}",
    "a rejection": "UPDATE approvals SET status = 'REJECTED', granted_digest = null, spent_at = null"
    " WHERE id = {grant}",
    "an expired approval": "UPDATE approvals SET status = 'EXPIRED', decided_by = null, decided_at = null,"
    " granted_digest = null, spent_at = null WHERE id = {grant}",
    "a cancelled approval": "UPDATE approvals SET status = 'CANCELLED', decided_by = null, decided_at = null,"
    " granted_digest = null, spent_at = null WHERE id = {grant}",
    "an approval of an earlier execution": "UPDATE steps SET execution = execution + 1 WHERE run_id = {run}",
    "an approval of a later execution": "UPDATE approvals SET execution = execution + 1 WHERE id = {grant}",
    "an approval that is not spent": "UPDATE approvals SET spent_at = null WHERE id = {grant}",
    "an approval of other arguments": "UPDATE approvals SET granted_digest = 'other' WHERE id = {grant}",
    "the answer to a doubt": "UPDATE approvals SET kind = 'IN_DOUBT', resolution = 'DID_NOT_HAPPEN',"
    " granted_digest = null, spent_at = null WHERE id = {grant}",
}

CALL = """INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, approval_id, started_at)
    SELECT run_id, position, 2, tool, args, {digest}, {approval_id}, clock_timestamp() FROM tool_calls
    WHERE run_id = {run} AND position = 0"""


@pytest.fixture
async def gated(stage: Stage) -> Populated:
    """A gated step in its first attempt, by an approval that this attempt has spent, and two others like it."""
    worker = await stage.worker()
    this = await stage.begun(Draft(gated=True), Draft(gated=True))
    other = await stage.begun(Draft(gated=True))
    for each in (*await stage.approvals(this), *await stage.approvals(other)):
        await stage.decide(each["id"], ApprovalStatus.APPROVED)
    await stage.claim(worker)
    grant, neighbour = await stage.approvals(this)
    (stranger,) = await stage.approvals(other)
    facts = {"run": this, "grant": grant["id"], "neighbour": neighbour["id"], "stranger": stranger["id"]}
    return Populated(stage, facts)


def recorded(**facts: str) -> str:
    granted = "(SELECT granted_digest FROM approvals WHERE id = {grant})"
    return CALL.format(
        run="{run}", digest=facts.get("digest", granted), approval_id=facts.get("approval_id", "{grant}")
    )


async def test_a_further_attempt_under_the_spent_approval_is_allowed(gated: Populated) -> None:
    await gated.attempt(recorded())


@pytest.mark.parametrize("miss", NEAR_MISSES)
async def test_a_gated_call_is_refused_with(gated: Populated, miss: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="may not be called") as refused:
        await gated.attempt(recorded(**NEAR_MISSES[miss]))

    assert broken_rule(refused.value) == "tool_calls_are_approved"


@pytest.mark.parametrize("miss", MISGRANTED)
async def test_a_gated_call_is_refused_after_it_got(gated: Populated, miss: str) -> None:
    stage = gated.stage
    facts = {name: f"'{value}'::uuid" for name, value in gated.facts.items()}
    digest = await stage.database.fetchval("SELECT granted_digest FROM approvals WHERE id = $1", gated.facts["grant"])
    assert await stage.database.execute(MISGRANTED[miss].format(**facts)) != "UPDATE 0"

    with pytest.raises(asyncpg.CheckViolationError, match="may not be called") as refused:
        await gated.attempt(recorded(digest=f"'{digest}'"))

    assert broken_rule(refused.value) == "tool_calls_are_approved"


async def test_one_unapproved_call_among_many_is_refused_with_all_of_them(gated: Populated) -> None:
    statement = (
        "INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, approval_id, started_at)"
        " SELECT c.run_id, c.position, 2, c.tool, c.args, c.digest,"
        " CASE c.position WHEN 0 THEN c.approval_id END, clock_timestamp() FROM tool_calls c WHERE c.run_id = {run}"
    )

    with pytest.raises(asyncpg.CheckViolationError, match="step 1 of run"):
        await gated.attempt(statement)


async def test_a_step_that_was_changed_behind_its_approval_is_claimed_under_the_digest_that_was_approved(
    stage: Stage,
) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(gated=True))
    (approval,) = await stage.approvals(run)
    await stage.decide(approval["id"], ApprovalStatus.APPROVED)
    await stage.database.execute("UPDATE steps SET resolved_args = '{\"step\": 7}', digest = 'other'")

    (claimed,) = await stage.claim(worker)

    # Its executor compares them and calls nothing; a refusal here would have kept every other step waiting too.
    assert (claimed.args, claimed.digest) == ('{"step": 7}', approval["digest"])


async def test_a_gated_step_without_a_grant_is_never_claimed(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(gated=True))
    approved: dict[str, Any] = (await stage.approvals(run))[0]
    await stage.decide(approved["id"], ApprovalStatus.APPROVED)
    await stage.database.execute("UPDATE approvals SET execution = 7")

    assert await stage.claim(worker) == []
    assert await stage.states(run) == ["READY"]


async def test_a_worker_can_not_own_what_the_claim_did_not_record(stage: Stage) -> None:
    worker = await stage.worker(lease_seconds=-1)
    run = await stage.begun(Draft(), claimer=Claimer(worker, 5))

    assert await stage.states(run) == ["READY"]
    assert await stage.claim(worker) == []
