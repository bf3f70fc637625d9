"""Runs, steps, approvals, tool calls and the timeline."""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE users (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    roles text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT users_name_key UNIQUE (name),
    CONSTRAINT users_roles_known
        CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['SUBMITTER', 'APPROVER', 'ADMIN'])
);

CREATE TABLE tokens (
    hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT tokens_hash_is_sha256 CHECK (octet_length(hash) = 32)
);
CREATE INDEX tokens_user ON tokens (user_id);

-- A process that runs steps. Its lease is the lease of every step it owns; `sign` is the key of the
-- advisory lock that it holds as long as it lives.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    sign integer GENERATED ALWAYS AS IDENTITY,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT workers_sign_key UNIQUE (sign)
);
CREATE INDEX workers_alive ON workers (lease_until) WHERE ended_at IS NULL;

CREATE TABLE runs (
    id uuid PRIMARY KEY,
    submitted_by uuid NOT NULL REFERENCES users (id),
    intent text,
    state text NOT NULL,
    outcome text,
    risk smallint NOT NULL DEFAULT 0,
    approve_from smallint NOT NULL,
    asked boolean NOT NULL DEFAULT false,
    idempotency_key text,
    input_digest bytea,
    error_code text,
    error_message text,
    last_seq integer NOT NULL DEFAULT 0,
    pending integer NOT NULL DEFAULT 0,
    ready integer NOT NULL DEFAULT 0,
    running integer NOT NULL DEFAULT 0,
    blocked integer NOT NULL DEFAULT 0,
    succeeded integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    skipped integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    planner uuid,
    planning_attempt integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    moved_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX runs_idempotency ON runs (submitted_by, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_newest ON runs (created_at, id);
CREATE INDEX runs_of_user ON runs (submitted_by, created_at, id);
CREATE INDEX runs_queued ON runs (created_at) WHERE state = 'QUEUED';
CREATE INDEX runs_planning ON runs (planner) WHERE planner IS NOT NULL;

-- A step is named by its run and its place in the plan, so that one index serves the key, the run's steps and every
-- dependency, which are places too.
-- JSON is kept as the text that was written (json, not jsonb): what was digested is what is read back, and nothing is
-- searched in it.
CREATE TABLE steps (
    run_id uuid NOT NULL REFERENCES runs (id),
    position integer NOT NULL,
    -- The run's, here again so that due steps can be taken in turn between users.
    submitted_by uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    tool text NOT NULL,
    risk smallint NOT NULL,
    gated boolean NOT NULL,
    gate_reason text,
    idempotent boolean NOT NULL,
    dynamic boolean NOT NULL,
    feeds boolean NOT NULL,
    state text NOT NULL,
    skip_reason text,
    args json NOT NULL,
    resolved_args json,
    digest text,
    result json,
    error_code text,
    error_message text,
    depends_on integer[] NOT NULL,
    dependents integer[] NOT NULL,
    needs integer[] NOT NULL,
    remaining integer NOT NULL,
    execution integer NOT NULL DEFAULT 1,
    attempt integer NOT NULL DEFAULT 0,
    calls integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    max_attempts integer,
    timeout_seconds double precision NOT NULL,
    owner uuid,
    -- Whose call was going on when the step was cancelled: it may die without saying how the call ended.
    left_by uuid,
    due_at timestamptz,
    dead_lettered boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    resolved_at timestamptz,
    ready_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (run_id, position)
) WITH (fillfactor = 70);
CREATE INDEX steps_due ON steps (submitted_by, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX steps_owned ON steps (owner) WHERE owner IS NOT NULL;
CREATE INDEX steps_left ON steps (left_by) WHERE left_by IS NOT NULL;
CREATE INDEX steps_dead ON steps (finished_at, run_id, position) WHERE dead_lettered;

CREATE TABLE approvals (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    position integer NOT NULL,
    execution integer NOT NULL,
    attempt integer NOT NULL,
    kind text NOT NULL,
    status text NOT NULL DEFAULT 'REQUIRED',
    risk smallint NOT NULL,
    reason text NOT NULL,
    proposed_args json NOT NULL,
    digest text NOT NULL,
    edited_args json,
    granted_digest text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    decided_by uuid REFERENCES users (id),
    decided_at timestamptz,
    decision_reason text,
    resolution text,
    spent_at timestamptz,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (run_id, position) REFERENCES steps (run_id, position),
    CONSTRAINT approvals_kind_known CHECK (kind IN ('EXECUTE', 'IN_DOUBT')),
    CONSTRAINT approvals_status_known CHECK (status IN ('REQUIRED', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED')),
    CONSTRAINT approvals_decided_by_a_person CHECK (
        (status IN ('APPROVED', 'REJECTED')) = (decided_by IS NOT NULL AND decided_at IS NOT NULL)),
    CONSTRAINT approvals_decided_in_time CHECK (
        status NOT IN ('APPROVED', 'REJECTED') OR expires_at IS NULL OR decided_at <= expires_at),
    CONSTRAINT approvals_doubt_never_expires CHECK (kind = 'EXECUTE' OR expires_at IS NULL),
    CONSTRAINT approvals_granted_when_approved CHECK (
        (kind = 'EXECUTE' AND status = 'APPROVED') = (granted_digest IS NOT NULL)),
    CONSTRAINT approvals_spent_when_approved CHECK (spent_at IS NULL OR (kind = 'EXECUTE' AND status = 'APPROVED')),
    CONSTRAINT approvals_resolution_known CHECK (resolution IN ('HAPPENED', 'DID_NOT_HAPPEN', 'ABANDON')),
    CONSTRAINT approvals_resolution_settles_doubt CHECK (
        (kind = 'IN_DOUBT' AND status IN ('APPROVED', 'REJECTED')) = (resolution IS NOT NULL))
);
CREATE UNIQUE INDEX approvals_one_open ON approvals (run_id, position) WHERE status = 'REQUIRED';
CREATE UNIQUE INDEX approvals_one_grant ON approvals (run_id, position, execution)
    WHERE kind = 'EXECUTE' AND status = 'APPROVED';
CREATE INDEX approvals_of_step ON approvals (run_id, position, created_at);
CREATE INDEX approvals_newest ON approvals (created_at, id);
CREATE INDEX approvals_moved ON approvals (moved_at);
CREATE INDEX approvals_expiring ON approvals (expires_at) WHERE status = 'REQUIRED';

-- No foreign key to the step: a row is written by the statement that moves its step, and a check of every row would
-- cost the hot path more than the rest of the statement.
CREATE TABLE tool_calls (
    run_id uuid NOT NULL,
    position integer NOT NULL,
    attempt integer NOT NULL,
    tool text NOT NULL,
    status text NOT NULL DEFAULT 'STARTED',
    args json NOT NULL,
    digest text,
    approval_id uuid,
    result json,
    error_code text,
    error_message text,
    started_at timestamptz NOT NULL,
    entered_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (run_id, position, attempt)
) WITH (fillfactor = 70);

CREATE TABLE timeline_events (
    run_id uuid NOT NULL,
    seq integer NOT NULL,
    type text NOT NULL,
    position integer,
    approval_id uuid,
    message text NOT NULL,
    metadata json NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, seq),
    CONSTRAINT timeline_events_seq_counts_from_one CHECK (seq > 0)
);
"""


class Rules(NamedTuple):
    """What must hold of every row of a table: the columns that this is about, and the rules by their names."""

    columns: str
    rules: dict[str, str]


# As one function for each of the tables that every step moves. A CHECK is kept as a text that each statement parses and
# plans anew: for these thirty rules that took more of the database's time than all else of a lone step. A function is
# read once a session. It says which rule was broken as the constraint's name, as a CHECK by itself would.
RULES = {
    "runs": Rules(
        """state text, outcome text, risk smallint, approve_from smallint, pending integer, ready integer,
        running integer, blocked integer, succeeded integer, failed integer, skipped integer, cancelled
        integer, planner uuid, finished_at timestamptz, idempotency_key text, input_digest bytea""",
        {
            "runs_state_known": """state IN ('QUEUED', 'PLANNING', 'EXECUTING', 'WAITING_APPROVAL', 'COMPLETED',
                'FAILED', 'CANCELLED')""",
            "runs_outcome_known": "outcome IN ('CLEAN', 'PARTIAL', 'FAILED', 'CANCELLED')",
            "runs_risk_known": "risk BETWEEN 0 AND 3 AND approve_from BETWEEN 0 AND 3",
            "runs_counts_hold": """pending >= 0 AND ready >= 0 AND running >= 0 AND blocked >= 0 AND succeeded >= 0
                AND failed >= 0 AND skipped >= 0 AND cancelled >= 0""",
            "runs_planned_by_a_worker": "(state = 'PLANNING') = (planner IS NOT NULL)",
            "runs_finished_has_outcome": """(state IN ('COMPLETED', 'FAILED', 'CANCELLED')) = (finished_at IS NOT
                NULL) AND (finished_at IS NULL) = (outcome IS NULL)""",
            "runs_finished_has_no_open_step": "finished_at IS NULL OR pending + ready + running + blocked = 0",
            "runs_executing_can_move": "state <> 'EXECUTING' OR ready + running + pending > 0",
            "runs_waiting_is_blocked": "state <> 'WAITING_APPROVAL' OR (blocked > 0 AND ready + running = 0)",
            "runs_idempotency_covers_input": "(idempotency_key IS NULL) = (input_digest IS NULL)",
        },
    ),
    "steps": Rules(
        """state text, skip_reason text, risk smallint, gated boolean, max_attempts integer, timeout_seconds
        double precision, owner uuid, left_by uuid, due_at timestamptz, finished_at timestamptz,
        dead_lettered boolean, remaining integer, execution integer, attempt integer, calls integer, losses
        integer""",
        {
            "steps_state_known": """state IN ('PENDING', 'READY', 'RUNNING', 'BLOCKED', 'SUCCEEDED', 'FAILED',
                'SKIPPED', 'CANCELLED')""",
            "steps_skip_reason_known": """skip_reason IN ('REJECTED', 'APPROVAL_EXPIRED', 'DEPENDENCY_SKIPPED',
                'DEPENDENCY_FAILED', 'CONDITION_FALSE', 'ABANDONED')""",
            "steps_risk_known": "risk BETWEEN 0 AND 3",
            "steps_high_risk_is_gated": "risk < 3 OR gated",
            "steps_high_risk_is_bounded": "risk < 3 OR coalesce(max_attempts, 4) <= 3",
            "steps_running_has_a_lease": "(state = 'RUNNING') = (owner IS NOT NULL)",
            "steps_left_when_cancelled": "left_by IS NULL OR state = 'CANCELLED'",
            "steps_ready_is_due": "(state = 'READY') = (due_at IS NOT NULL)",
            "steps_skipped_has_a_reason": "(state = 'SKIPPED') = (skip_reason IS NOT NULL)",
            "steps_finished_has_a_time": """(state IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELLED')) = (finished_at
                IS NOT NULL)""",
            "steps_waits_for_nothing_negative": "remaining >= 0",
            "steps_moves_when_unblocked": "remaining = 0 OR state IN ('PENDING', 'SKIPPED', 'CANCELLED')",
            "steps_dead_letter_failed": "dead_lettered = (state = 'FAILED')",
            "steps_counts_hold": """attempt >= 0 AND calls BETWEEN 0 AND attempt AND losses >= 0 AND execution > 0 AND
                (max_attempts IS NULL OR max_attempts > 0) AND timeout_seconds > 0""",
        },
    ),
    "tool_calls": Rules(
        "status text, finished_at timestamptz",
        {
            "tool_calls_status_known": "status IN ('STARTED', 'SUCCEEDED', 'FAILED', 'IN_DOUBT')",
            "tool_calls_finished_has_a_time": "(status = 'STARTED') = (finished_at IS NULL)",
        },
    ),
}

SOUND = """
CREATE FUNCTION {table}_sound({columns}) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE broken text;
BEGIN
    IF ({all_of_them}) IS NOT FALSE THEN
        RETURN true;
    END IF;
    broken := CASE {each_of_them} END;
    RAISE EXCEPTION 'new row for relation "{table}" violates check constraint "%"', broken
        USING ERRCODE = 'check_violation', CONSTRAINT = broken, TABLE = '{table}';
END $$"""


def sound(table: str, rules: Rules) -> tuple[str, str]:
    """The function that knows the table's rules, and the constraint that asks it."""
    function = SOUND.format(
        table=table,
        columns=rules.columns,
        all_of_them=" AND ".join(f"({rule})" for rule in rules.rules.values()),
        each_of_them=" ".join(f"WHEN NOT ({rule}) THEN '{name}'" for name, rule in rules.rules.items()),
    )
    names = ", ".join(column.split()[0] for column in rules.columns.split(","))
    return function, f"ALTER TABLE {table} ADD CONSTRAINT {table}_sound CHECK ({table}_sound({names}))"


GUARDS = (
    """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are never changed or deleted', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$""",
    """
CREATE TRIGGER timeline_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """
-- A gated tool call needs an approval that was granted to this execution of this step, in time, for these
-- very arguments. Checked once a statement over all the calls that it records.
CREATE FUNCTION require_approval() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE refused record;
BEGIN
    SELECT c.run_id, c.position INTO refused
    FROM recorded c JOIN steps s ON s.run_id = c.run_id AND s.position = c.position
    WHERE s.gated AND NOT EXISTS (
        SELECT FROM approvals a
        WHERE a.id = c.approval_id AND a.run_id = c.run_id AND a.position = c.position
            AND a.kind = 'EXECUTE' AND a.status = 'APPROVED'
            AND a.execution = s.execution AND a.spent_at IS NOT NULL
            AND a.granted_digest = c.digest)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'step % of run % may not be called without an approval of exactly these arguments',
            refused.position, refused.run_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER tool_calls_are_approved AFTER INSERT ON tool_calls
    REFERENCING NEW TABLE AS recorded FOR EACH STATEMENT EXECUTE FUNCTION require_approval()""",
    """
-- What was called stays what was called: an outcome may be added to a tool call, its arguments may not change.
CREATE FUNCTION refuse_other_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a recorded tool call keeps its arguments' USING ERRCODE = 'restrict_violation';
END $$""",
    """
CREATE TRIGGER tool_calls_keep_their_arguments BEFORE UPDATE OF tool, args, digest, approval_id ON tool_calls
    FOR EACH ROW EXECUTE FUNCTION refuse_other_call()""",
)

HOT_TABLES = """
ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1);
"""


def upgrade() -> None:
    # One statement at a time: the driver prepares each.
    rules = [statement for table in RULES for statement in sound(table, RULES[table])]
    for statement in (*TABLES.split(";\n"), *rules, *GUARDS):
        if statement.strip():
            op.execute(statement)
    for table in ("runs", "steps", "tool_calls"):
        op.execute(HOT_TABLES.format(table=table))


def downgrade() -> None:
    op.execute("DROP TABLE timeline_events, tool_calls, approvals, steps, runs, workers, tokens, users")
    op.execute("DROP FUNCTION refuse_change, require_approval, refuse_other_call")
    op.execute("DROP FUNCTION runs_sound, steps_sound, tool_calls_sound")
