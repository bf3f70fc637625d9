"""The moves that are made one at a time, as functions: a step succeeds by itself, an approval is given.

The statements in `persistence/transitions` do the same to any number of steps. For a lone one most of their cost is
that of setting up plans of a hundred nodes; a function's statements are planned once a session, and only those run that
are needed.

A process calls the functions that its version knows: one that has to do something else gets another name.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TYPES = (
    """
-- A row of what a transition tells its caller: see persistence/transitions/record.py.
CREATE TYPE told AS (kind integer, run_id uuid, position integer, attempt integer, tool text, calls integer,
    max_attempts integer, losses integer, args text, digest text, gated boolean, idempotent boolean, feeds boolean,
    timeout_seconds double precision, user_id uuid)""",
    """
-- An event before it has its number.
CREATE TYPE said AS (type text, position integer, approval_id uuid, message text, metadata json)""",
)

SUCCEED = """
CREATE FUNCTION succeed_alone(its_run uuid, its_place integer, its_attempt integer, its_owner uuid, its_result text,
    worker uuid, slots integer, expires double precision)
RETURNS SETOF told LANGUAGE plpgsql AS $$
DECLARE
    run runs;
    done record;
    next record;
    place integer;
    asked uuid;
    at timestamptz;
    started integer[] := '{}';
    moved said[];
    asking said[];
    ending said[];
    running said[];
    events said[];
BEGIN
    SELECT * INTO run FROM runs WHERE id = its_run FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NEXT (3, its_run, null, null, null, null, null, null, null, null, null, null, null, null, null)::told;
        RETURN;
    END IF;
    at := greatest(statement_timestamp(), run.moved_at);

    -- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
    UPDATE tool_calls c SET
        status = CASE c.status WHEN 'STARTED' THEN 'SUCCEEDED' ELSE c.status END,
        result = coalesce(c.result, its_result::json),
        finished_at = coalesce(c.finished_at, at)
    WHERE c.run_id = its_run AND c.position = its_place AND c.attempt = its_attempt;
    UPDATE steps s SET state = 'SUCCEEDED', result = its_result::json, owner = null, error_code = null,
        error_message = null, finished_at = at
    WHERE s.run_id = its_run AND s.position = its_place AND s.state = 'RUNNING' AND s.attempt = its_attempt
        AND s.owner IS NOT DISTINCT FROM its_owner
    RETURNING s.name, s.dependents INTO done;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN NEXT (1, its_run, 1, null, null, null, null, null, null, null, null, null, null, null, null)::told;
    run.running := run.running - 1;
    run.succeeded := run.succeeded + 1;
    moved := ARRAY[('STEP_SUCCEEDED', its_place, null, done.name || ' succeeded',
        json_build_object('attempt', its_attempt))::said];

    IF slots > 0 AND done.dependents <> '{}' AND NOT EXISTS (
        SELECT FROM workers w WHERE w.id = worker AND w.ended_at IS NULL AND w.lease_until > clock_timestamp())
    THEN
        slots := 0;
    END IF;
    FOREACH place IN ARRAY done.dependents LOOP
        UPDATE steps s SET remaining = s.remaining - 1,
            state = CASE WHEN s.remaining > 1 THEN 'PENDING' WHEN s.gated THEN 'BLOCKED'
                WHEN slots > 0 THEN 'RUNNING' ELSE 'READY' END,
            resolved_at = CASE WHEN s.remaining = 1 THEN at END,
            ready_at = CASE WHEN s.remaining = 1 AND NOT s.gated THEN at END,
            started_at = CASE WHEN s.remaining = 1 AND NOT s.gated AND slots > 0 THEN at END,
            -- By the clock, which may have been set back since the run last moved.
            due_at = CASE WHEN s.remaining = 1 AND NOT s.gated AND slots <= 0 THEN statement_timestamp() END,
            owner = CASE WHEN s.remaining = 1 AND NOT s.gated AND slots > 0 THEN worker END,
            attempt = s.attempt + (s.remaining = 1 AND NOT s.gated AND slots > 0)::integer,
            calls = s.calls + (s.remaining = 1 AND NOT s.gated AND slots > 0)::integer
        WHERE s.run_id = its_run AND s.position = place AND s.state = 'PENDING'
        RETURNING s.* INTO next;
        CONTINUE WHEN NOT FOUND OR next.state = 'PENDING';
        run.pending := run.pending - 1;
        IF next.state = 'BLOCKED' THEN
            run.blocked := run.blocked + 1;
            run.asked := true;
            INSERT INTO approvals AS a
                (id, run_id, position, execution, attempt, kind, risk, reason, proposed_args, digest, created_at,
                expires_at)
            VALUES (gen_random_uuid(), its_run, place, next.execution, next.attempt, 'EXECUTE', next.risk,
                next.gate_reason, coalesce(next.resolved_args, next.args), next.digest, statement_timestamp(),
                statement_timestamp() + expires * interval '1 second')
            RETURNING a.id INTO asked;
            moved := moved || ('STEP_BLOCKED', place, null, next.name || ' waits for a person', '{}')::said;
            asking := asking || ('APPROVAL_REQUIRED', place, asked, 'A person must approve exactly these arguments',
                json_build_object('kind', 'EXECUTE', 'riskLevel', 'L' || next.risk, 'argsDigest', next.digest,
                    'expiresAt', statement_timestamp() + expires * interval '1 second'))::said;
            CONTINUE;
        END IF;
        moved := moved || ('STEP_READY', place, null, next.name || ' is ready', '{}')::said;
        IF next.state = 'READY' THEN
            run.ready := run.ready + 1;
            CONTINUE;
        END IF;
        slots := slots - 1;
        run.running := run.running + 1;
        started := started || place;
        running := running || ('STEP_RUNNING', place, null, next.name || ' is running',
            json_build_object('attempt', next.attempt))::said;
    END LOOP;
    IF started <> '{}' THEN
        RETURN QUERY
            WITH called AS (
                INSERT INTO tool_calls AS c (run_id, position, attempt, tool, args, digest, started_at)
                SELECT s.run_id, s.position, s.attempt, s.tool, coalesce(s.resolved_args, s.args), s.digest, at
                FROM steps s WHERE s.run_id = its_run AND s.position = ANY(started)
                RETURNING c.position, c.args)
            SELECT 2, s.run_id, s.position, s.attempt, s.tool, s.calls, s.max_attempts, s.losses, c.args::text,
                s.digest, s.gated, s.idempotent, s.feeds, s.timeout_seconds, s.submitted_by
            FROM called c JOIN steps s ON s.run_id = its_run AND s.position = c.position;
    END IF;

    IF run.pending + run.ready + run.running + run.blocked = 0 THEN
        run.finished_at := at;
        IF run.failed > 0 THEN
            run.state := 'FAILED';
            run.outcome := 'FAILED';
            run.error_code := 'STEP_FAILED';
            run.error_message := run.failed || ' of ' || run.succeeded + run.failed + run.skipped + run.cancelled ||
                ' steps failed';
            ending := ARRAY[('WORKFLOW_FAILED', null, null, 'The workflow failed: ' || run.failed ||
                CASE run.failed WHEN 1 THEN ' step' ELSE ' steps' END || ' could not be done',
                json_build_object('outcome', run.outcome))::said];
        ELSE
            run.state := 'COMPLETED';
            run.outcome := CASE WHEN run.skipped > 0 THEN 'PARTIAL' ELSE 'CLEAN' END;
            ending := ARRAY[('WORKFLOW_COMPLETE', null, null, 'The workflow is complete' ||
                CASE WHEN run.skipped = 0 THEN '' ELSE '; ' || run.skipped || ' of its steps ' ||
                    CASE run.skipped WHEN 1 THEN 'was' ELSE 'were' END || ' skipped' END,
                json_build_object('outcome', run.outcome))::said];
        END IF;
    ELSIF run.ready + run.running = 0 AND run.blocked > 0 THEN
        run.state := 'WAITING_APPROVAL';
        ending := ARRAY[('WORKFLOW_WAITING_APPROVAL', null, null, 'Waiting for a person', '{}')::said];
    END IF;
    events := moved || asking || ending || running;
    INSERT INTO timeline_events (run_id, seq, type, position, approval_id, message, metadata, created_at)
    SELECT its_run, run.last_seq + e.nth, e.type, e.position, e.approval_id, e.message, e.metadata, at
    FROM unnest(events) WITH ORDINALITY AS e (type, position, approval_id, message, metadata, nth);
    run.last_seq := run.last_seq + cardinality(events);
    UPDATE runs r SET state = run.state, outcome = run.outcome, error_code = run.error_code,
        error_message = run.error_message, asked = run.asked, last_seq = run.last_seq, pending = run.pending,
        ready = run.ready, running = run.running, blocked = run.blocked, succeeded = run.succeeded, moved_at = at,
        finished_at = run.finished_at
    WHERE r.id = its_run;
    RETURN NEXT (0, its_run, run.last_seq, run.ready, run.state, (asking IS NOT NULL)::integer, null, null, null, null,
        null, null, null, null, null)::told;
END $$"""


APPROVE = """
CREATE FUNCTION approve_alone(its_id uuid, its_run uuid, its_place integer, its_attempt integer, its_digest text,
    person uuid, why text, edited text, edited_digest text, message text, metadata text, worker uuid, slots integer,
    action text, outcome text, user_name text, subject text, detail text, address text, token text, request text)
RETURNS SETOF told LANGUAGE plpgsql AS $$
DECLARE
    run runs;
    step steps;
    granted text;
    at timestamptz;
    events said[];
BEGIN
    SELECT * INTO run FROM runs WHERE id = its_run FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF slots > 0 AND NOT EXISTS (
        SELECT FROM workers w WHERE w.id = worker AND w.ended_at IS NULL AND w.lease_until > clock_timestamp())
    THEN
        slots := 0;
    END IF;
    at := clock_timestamp();
    UPDATE approvals a SET status = 'APPROVED', decided_by = person, decided_at = at, moved_at = at,
        decision_reason = why, edited_args = edited::json, granted_digest = coalesce(edited_digest, a.digest),
        spent_at = CASE WHEN slots > 0 THEN at END
    WHERE a.id = its_id AND a.status = 'REQUIRED' AND a.kind = 'EXECUTE' AND a.digest = its_digest
        AND (a.expires_at IS NULL OR a.expires_at > at)
    RETURNING a.granted_digest INTO granted;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    at := greatest(at, run.moved_at);
    UPDATE steps s SET state = CASE WHEN slots > 0 THEN 'RUNNING' ELSE 'READY' END,
        resolved_args = coalesce(edited::json, s.resolved_args), digest = coalesce(edited_digest, s.digest),
        error_code = null, error_message = null,
        ready_at = coalesce(s.ready_at, at),
        -- By the clock, which may have been set back since the run last moved.
        due_at = CASE WHEN slots <= 0 THEN clock_timestamp() END,
        started_at = CASE WHEN slots > 0 THEN coalesce(s.started_at, at) ELSE s.started_at END,
        owner = CASE WHEN slots > 0 THEN worker END,
        attempt = s.attempt + (slots > 0)::integer,
        calls = s.calls + (slots > 0)::integer
    WHERE s.run_id = its_run AND s.position = its_place AND s.state = 'BLOCKED' AND s.attempt = its_attempt
    RETURNING s.* INTO STRICT step;
    events := ARRAY[
        ('APPROVAL_APPROVED', its_place, its_id, message, metadata::json)::said,
        ('STEP_READY', its_place, null, step.name || ' is ready', '{}')::said];
    IF run.state = 'WAITING_APPROVAL' THEN
        events := events || ('WORKFLOW_RESUMED', null, null, 'Going on', '{}')::said;
    END IF;
    run.blocked := run.blocked - 1;
    IF slots > 0 THEN
        run.running := run.running + 1;
        run.started_at := coalesce(run.started_at, at);
        INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, approval_id, started_at)
        VALUES (its_run, its_place, step.attempt, step.tool, coalesce(step.resolved_args, step.args), granted, its_id,
            at);
        events := events || ('STEP_RUNNING', its_place, its_id, step.name || ' is running' ||
            CASE WHEN step.attempt > 1 THEN ' (attempt ' || step.attempt || ')' ELSE '' END,
            json_build_object('attempt', step.attempt))::said;
        RETURN NEXT (2, its_run, its_place, step.attempt, step.tool, step.calls, step.max_attempts, step.losses,
            coalesce(step.resolved_args, step.args)::text, granted, step.gated, step.idempotent, step.feeds,
            step.timeout_seconds, step.submitted_by)::told;
    ELSE
        run.ready := run.ready + 1;
    END IF;
    INSERT INTO timeline_events (run_id, seq, type, position, approval_id, message, metadata, created_at)
    SELECT its_run, run.last_seq + e.nth, e.type, e.position, e.approval_id, e.message, e.metadata, at
    FROM unnest(events) WITH ORDINALITY AS e (type, position, approval_id, message, metadata, nth);
    run.last_seq := run.last_seq + cardinality(events);
    UPDATE runs r SET state = 'EXECUTING', last_seq = run.last_seq, blocked = run.blocked, ready = run.ready,
        running = run.running, started_at = run.started_at, moved_at = at
    WHERE r.id = its_run;
    INSERT INTO audit_lines (action, outcome, user_id, user_name, subject, detail, address, token, request)
    VALUES (action, outcome, person, user_name, subject, detail, address, token, request);
    RETURN NEXT (0, its_run, run.last_seq, run.ready, 'EXECUTING', 1, null, null, null, null, null, null, null, null,
        null)::told;
END $$"""


def upgrade() -> None:
    for statement in (*TYPES, SUCCEED, APPROVE):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION succeed_alone, approve_alone")
    op.execute("DROP TYPE told, said")
