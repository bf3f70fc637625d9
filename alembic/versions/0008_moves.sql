CREATE TYPE move_row AS (kind int, run_id uuid, position int, attempt int, tool text, calls int, max_attempts int, losses int,
        args text, digest text, gated bool, idempotent bool, feeds bool, timeout_seconds float8,
        submitted_by uuid);

CREATE TYPE event_row AS (type text, position int, approval_id uuid, message text, metadata json);

CREATE FUNCTION succeed_one(its_run uuid, its_place int, its_attempt int, its_owner uuid, its_result text, worker uuid,
        slots int, expires float8)
RETURNS SETOF move_row LANGUAGE plpgsql AS $$
DECLARE
    run runs;
    done record;
    next record;
    place int;
    asked uuid;
    at timestamptz;
    started int[] := '{}';
    moved event_row[];
    asking event_row[];
    ending event_row[];
    running event_row[];
    events event_row[];
BEGIN
    SELECT * INTO run FROM runs WHERE id = its_run FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NEXT (3, its_run, null, null, null, null, null, null, null, null, null, null, null, null, null)::move_row;
        RETURN;
    END IF;
    at := greatest(statement_timestamp(), run.moved_at);
    -- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
    UPDATE tool_calls c SET
        status = CASE c.status WHEN 'STARTED' THEN 'SUCCEEDED' ELSE c.status END,
        result = coalesce(c.result, its_result::json),
        finished_at = coalesce(c.finished_at, at)
    WHERE c.run_id = its_run AND c.position = its_place AND c.attempt = its_attempt;
    UPDATE steps s SET
        state = 'SUCCEEDED',
        result = its_result::json,
        owner = null,
        error_code = null,
        error_message = null,
        finished_at = at
    WHERE s.run_id = its_run AND s.position = its_place AND s.state = 'RUNNING' AND s.attempt = its_attempt
        AND s.owner IS NOT DISTINCT FROM its_owner
    RETURNING s.name, s.dependents INTO done;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN NEXT (1, its_run, 1, null, null, null, null, null, null, null, null, null, null, null, null)::move_row;
    run.running := run.running - 1;
    run.succeeded := run.succeeded + 1;
    moved := ARRAY[('STEP_SUCCEEDED', its_place, null, done.name || ' succeeded', json_build_object('attempt', its_attempt))::event_row];
    IF slots > 0 AND done.dependents <> '{}' AND NOT EXISTS (SELECT FROM workers w
        WHERE w.id = worker AND w.ended_at IS NULL AND w.lease_until > clock_timestamp()) THEN
        slots := 0;
    END IF;
    FOREACH place IN ARRAY done.dependents LOOP
        UPDATE steps s SET remaining = s.remaining - 1,
        state = CASE WHEN s.remaining > 1 THEN 'PENDING' WHEN s.gated THEN 'BLOCKED'
            WHEN slots > 0 THEN 'RUNNING' ELSE 'READY' END,
        resolved_at = CASE WHEN s.remaining = 1 THEN at END,
        ready_at = CASE WHEN s.remaining = 1 AND NOT s.gated THEN at END,
        due_at = CASE WHEN s.remaining = 1 AND NOT s.gated AND slots <= 0 THEN statement_timestamp() END,
        owner = CASE WHEN s.remaining = 1 AND NOT s.gated AND slots > 0 THEN worker END,
        started_at = CASE WHEN s.remaining = 1 AND NOT s.gated AND slots > 0 THEN coalesce(s.started_at, at) ELSE s.started_at END,
        attempt = s.attempt + (s.remaining = 1 AND NOT s.gated AND slots > 0)::int,
        calls = s.calls + (s.remaining = 1 AND NOT s.gated AND slots > 0)::int
        WHERE s.run_id = its_run AND s.position = place AND s.state = 'PENDING'
        RETURNING s.* INTO next;
        CONTINUE WHEN NOT FOUND OR next.state = 'PENDING';
        run.pending := run.pending - 1;
        IF next.state = 'BLOCKED' THEN
            run.blocked := run.blocked + 1;
            run.asked := true;
            INSERT INTO approvals AS a (id, run_id, position, execution, attempt, kind, risk, reason, proposed_args, digest, created_at,
        expires_at)
    VALUES (gen_random_uuid(), its_run, place, next.execution, next.attempt, 'EXECUTE', next.risk,
        next.gate_reason, coalesce(next.resolved_args, next.args), next.digest, statement_timestamp(),
        statement_timestamp() + expires * interval '1 second')
            RETURNING a.id INTO asked;
            moved := moved || ('STEP_BLOCKED', place, null, next.name || ' waits for a person', '{}'::json)::event_row;
            asking := asking || ('APPROVAL_REQUIRED', place, asked, 'A person must approve exactly these arguments', json_build_object('kind', 'EXECUTE', 'riskLevel', 'L' || next.risk, 'argsDigest', next.digest, 'expiresAt', statement_timestamp() + expires * interval '1 second'))::event_row;
            CONTINUE;
        END IF;
        moved := moved || ('STEP_READY', place, null, next.name || ' is ready', '{}'::json)::event_row;
        IF next.state = 'READY' THEN
            run.ready := run.ready + 1;
            CONTINUE;
        END IF;
        slots := slots - 1;
        run.running := run.running + 1;
        started := started || place;
        running := running || ('STEP_RUNNING', place, null, next.name || ' is running', json_build_object('attempt', next.attempt))::event_row;
    END LOOP;
    IF started <> '{}' THEN
        RETURN QUERY
            WITH called AS (
                INSERT INTO tool_calls AS c (run_id, position, attempt, tool, args, digest, started_at)
    SELECT s.run_id, s.position, s.attempt, s.tool, coalesce(s.resolved_args, s.args), s.digest, at
    FROM steps s WHERE s.run_id = its_run AND s.position = ANY(started)
                RETURNING c.position, c.args)
            SELECT 2, s.run_id, s.position, s.attempt, s.tool, s.calls, s.max_attempts, s.losses, c.args::text, s.digest,
        s.gated, s.idempotent, s.feeds, s.timeout_seconds, s.submitted_by
            FROM called c JOIN steps s ON s.run_id = its_run AND s.position = c.position;
    END IF;
    run.state := CASE
            WHEN run.pending + run.ready + run.running + run.blocked = 0 THEN CASE WHEN run.failed > 0 THEN 'FAILED' ELSE 'COMPLETED' END
            WHEN run.ready + run.running = 0 AND run.blocked > 0 THEN 'WAITING_APPROVAL'
            ELSE 'EXECUTING' END;
    IF run.state IN ('COMPLETED', 'FAILED') THEN
        run.finished_at := at;
        run.outcome := CASE WHEN run.failed > 0 THEN 'FAILED' WHEN run.skipped > 0 THEN 'PARTIAL' ELSE 'CLEAN' END;
        IF run.state = 'FAILED' THEN
            run.error_code := 'STEP_FAILED';
            run.error_message := run.failed || ' of ' || run.pending + run.ready + run.running + run.blocked + run.succeeded + run.failed + run.skipped + run.cancelled || ' steps failed';
            ending := ARRAY[('WORKFLOW_FAILED', null, null, 'The workflow failed: ' || run.failed || ' ' || CASE run.failed WHEN 1 THEN 'step' ELSE 'steps' END || ' could not be done', json_build_object('outcome', run.outcome))::event_row];
        ELSIF run.skipped > 0 THEN
            ending := ARRAY[('WORKFLOW_COMPLETE', null, null, 'The workflow is complete; ' || run.skipped || ' of its steps ' || CASE run.skipped WHEN 1 THEN 'was' ELSE 'were' END || ' skipped', json_build_object('outcome', run.outcome))::event_row];
        ELSE
            ending := ARRAY[('WORKFLOW_COMPLETE', null, null, 'The workflow is complete', json_build_object('outcome', run.outcome))::event_row];
        END IF;
    ELSIF run.state = 'WAITING_APPROVAL' THEN
        ending := ARRAY[('WORKFLOW_WAITING_APPROVAL', null, null, 'Waiting for a person', '{}'::json)::event_row];
    END IF;
    events := moved || asking || ending || running;
    INSERT INTO timeline_events (run_id, seq, type, position, approval_id, message, metadata, created_at)
    SELECT its_run, run.last_seq + e.nth, e.type, e.position, e.approval_id, e.message, e.metadata, at
    FROM unnest(events) WITH ORDINALITY AS e (type, position, approval_id, message, metadata, nth);
    run.last_seq := run.last_seq + cardinality(events);
    UPDATE runs r SET state = run.state, outcome = run.outcome, error_code = run.error_code,
        error_message = run.error_message, asked = run.asked, last_seq = run.last_seq,
        finished_at = run.finished_at,
        pending = run.pending, ready = run.ready, running = run.running, blocked = run.blocked,
        succeeded = run.succeeded, moved_at = at
    WHERE r.id = its_run;
    RETURN NEXT (0, its_run, run.last_seq, run.ready, run.state, (asking IS NOT NULL)::int, null, null, null, null,
        null, null, null, null, null)::move_row;
END $$;

CREATE FUNCTION approve_one(its_id uuid, its_run uuid, its_place int, its_attempt int, its_digest text, person uuid, why text,
        edited text, edited_digest text, message text, metadata text, worker uuid, slots int, action text,
        outcome text, user_name text, subject text, detail text, address text, token text, request text)
RETURNS SETOF move_row LANGUAGE plpgsql AS $$
DECLARE
    run runs;
    step steps;
    granted text;
    at timestamptz;
    events event_row[];
BEGIN
    SELECT * INTO run FROM runs WHERE id = its_run FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF slots > 0 AND NOT EXISTS (SELECT FROM workers w
        WHERE w.id = worker AND w.ended_at IS NULL AND w.lease_until > clock_timestamp()) THEN
        slots := 0;
    END IF;
    at := clock_timestamp();
    UPDATE approvals a SET status = 'APPROVED', decided_by = person, decided_at = at, moved_at = at,
        decision_reason = why, edited_args = edited::json, granted_digest = coalesce(edited_digest, a.digest),
        spent_at = CASE WHEN slots > 0 THEN at END
    WHERE a.id = its_id AND a.status = 'REQUIRED' AND a.kind = 'EXECUTE'
        AND a.digest = its_digest AND (a.expires_at IS NULL OR a.expires_at > at)
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
        owner = CASE WHEN slots > 0 THEN worker END,
        started_at = CASE WHEN slots > 0 THEN coalesce(s.started_at, at) ELSE s.started_at END,
        attempt = s.attempt + (slots > 0)::int,
        calls = s.calls + (slots > 0)::int
    WHERE s.run_id = its_run AND s.position = its_place AND s.state = 'BLOCKED'
        AND s.attempt = its_attempt
    RETURNING s.* INTO STRICT step;
    events := ARRAY[
        ('APPROVAL_APPROVED', its_place, its_id, message, metadata::json)::event_row,
        ('STEP_READY', its_place, null, step.name || ' is ready', '{}'::json)::event_row];
    IF run.state = 'WAITING_APPROVAL' THEN
        events := events || ('WORKFLOW_RESUMED', null, null, 'Going on', '{}'::json)::event_row;
    END IF;
    run.blocked := run.blocked - 1;
    IF slots > 0 THEN
        run.running := run.running + 1;
        run.started_at := coalesce(run.started_at, at);
        INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, approval_id, started_at)
    VALUES (its_run, its_place, step.attempt, step.tool, coalesce(step.resolved_args, step.args), granted,
        its_id, at);
        events := events || ('STEP_RUNNING', its_place, its_id, step.name || ' is running' || CASE WHEN step.attempt > 1 THEN ' (attempt ' || step.attempt || ')' ELSE '' END, json_build_object('attempt', step.attempt))::event_row;
        RETURN NEXT (2, its_run, its_place, step.attempt, step.tool, step.calls, step.max_attempts, step.losses,
        coalesce(step.resolved_args, step.args)::text, granted, step.gated, step.idempotent, step.feeds,
        step.timeout_seconds, step.submitted_by)::move_row;
    ELSE
        run.ready := run.ready + 1;
    END IF;
    INSERT INTO timeline_events (run_id, seq, type, position, approval_id, message, metadata, created_at)
    SELECT its_run, run.last_seq + e.nth, e.type, e.position, e.approval_id, e.message, e.metadata, at
    FROM unnest(events) WITH ORDINALITY AS e (type, position, approval_id, message, metadata, nth);
    run.last_seq := run.last_seq + cardinality(events);
    UPDATE runs r SET state = 'EXECUTING', last_seq = run.last_seq, started_at = run.started_at, ready = run.ready, running = run.running,
        blocked = run.blocked, moved_at = at
    WHERE r.id = its_run;
    INSERT INTO audit_lines (action, outcome, user_id, user_name, subject, detail, address, token, request)
    VALUES (action, outcome, person, user_name, subject, detail, address, token, request);
    RETURN NEXT (0, its_run, run.last_seq, run.ready, 'EXECUTING', 1, null, null, null, null, null, null, null, null,
        null)::move_row;
END $$;

