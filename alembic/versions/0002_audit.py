"""Who asked for what, from where, and what became of it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
-- The names are those of the moment, and nothing refers to another table: a line says what was true when it was
-- written, whatever becomes of the user or the run.
CREATE TABLE audit_lines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL,
    outcome text NOT NULL,
    user_id uuid,
    user_name text,
    subject text,
    detail text,
    address text,
    token text,
    request text,
    times integer NOT NULL DEFAULT 1,
    CONSTRAINT audit_lines_happened CHECK (times > 0)
)""",
    "CREATE INDEX audit_lines_of_user ON audit_lines (user_id, id)",
    "CREATE INDEX audit_lines_refused ON audit_lines (id) WHERE outcome <> 'ACCEPTED'",
    """
CREATE TRIGGER audit_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE audit_lines")
