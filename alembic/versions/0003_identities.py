"""People who sign in by an OpenID Connect issuer."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
-- `valid_from`: only tokens issued later count. `roles_at`: when the token was issued that last said what the user's
-- roles are; an older one adds none to them.
CREATE TABLE identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    roles_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
)""",
    "CREATE INDEX identities_user ON identities (user_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE identities")
