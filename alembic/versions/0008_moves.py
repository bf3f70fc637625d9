"""The functions for the moves that are made one at a time, as they follow from the table of moves.

`0008_moves.sql` is what `python -m persistence.moves.functions` printed. The functions of revision 0004 stay: processes
of the version before call those.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = Path(__file__).with_suffix(".sql").read_text().split(";\n\n")


def upgrade() -> None:
    for statement in filter(None, STATEMENTS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION succeed_one, approve_one")
    op.execute("DROP TYPE move_row, event_row")
