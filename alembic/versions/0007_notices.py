"""What a person should know of a step that succeeded: "1 of 2 found".

A table of its own: most steps have none, and neither their rows nor the statements that move them are any different.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
-- No foreign key to the step, as with its tool calls: the transaction that writes a row moves the step.
CREATE TABLE notices (
    run_id uuid NOT NULL,
    position integer NOT NULL,
    texts text[] NOT NULL,
    PRIMARY KEY (run_id, position),
    CONSTRAINT notices_say_something CHECK (cardinality(texts) > 0)
)"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE notices")
