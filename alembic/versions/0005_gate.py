"""The gate of tool calls looks at the steps that are called, whatever the tables held when its plan was made.

A session plans a trigger's query once. Planned while there were few steps, it read all of them for ever after, however
many they had become by then: half of what the database did for a group of calls.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GATE = """
CREATE OR REPLACE FUNCTION require_approval() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE refused record;
BEGIN
    SELECT c.run_id, c.position INTO refused
    FROM recorded c {join}
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
END $$"""

FREE = "JOIN steps s ON s.run_id = c.run_id AND s.position = c.position"

# OFFSET keeps the look-up of a step what it is: joined freely, it may become a scan of the table.
ONE_BY_ONE = """CROSS JOIN LATERAL (
        SELECT s.gated, s.execution FROM steps s WHERE s.run_id = c.run_id AND s.position = c.position OFFSET 0) s"""


def upgrade() -> None:
    op.execute(GATE.format(join=ONE_BY_ONE))


def downgrade() -> None:
    op.execute(GATE.format(join=FREE))
