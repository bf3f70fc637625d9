"""What began a run: a person through the API, or a trigger that its name tells apart from others.

Runs of before, and those of processes of the version before, were all begun through the API: so says the default, and
no row is written anew for it.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE runs ADD COLUMN began_by text NOT NULL DEFAULT 'API'")


def downgrade() -> None:
    op.execute("ALTER TABLE runs DROP COLUMN began_by")
