"""The rules of approvals as one function, as the other tables' that every step moves.

A decision is what somebody waits for, and nine rules, each parsed and planned anew by each statement, took a third of
the time of writing it down.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = """kind text, status text, resolution text, expires_at timestamptz, decided_by uuid, decided_at timestamptz,
    granted_digest text, spent_at timestamptz"""

RULES = {
    "approvals_kind_known": "kind IN ('EXECUTE', 'IN_DOUBT')",
    "approvals_status_known": "status IN ('REQUIRED', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED')",
    "approvals_decided_by_a_person": """(status IN ('APPROVED', 'REJECTED')) = (decided_by IS NOT NULL AND
        decided_at IS NOT NULL)""",
    "approvals_decided_in_time": """status NOT IN ('APPROVED', 'REJECTED') OR expires_at IS NULL OR
        decided_at <= expires_at""",
    "approvals_doubt_never_expires": "kind = 'EXECUTE' OR expires_at IS NULL",
    "approvals_granted_when_approved": """(kind = 'EXECUTE' AND status = 'APPROVED') = (granted_digest IS NOT
        NULL)""",
    "approvals_spent_when_approved": "spent_at IS NULL OR (kind = 'EXECUTE' AND status = 'APPROVED')",
    "approvals_resolution_known": "resolution IN ('HAPPENED', 'DID_NOT_HAPPEN', 'ABANDON')",
    "approvals_resolution_settles_doubt": """(kind = 'IN_DOUBT' AND status IN ('APPROVED', 'REJECTED')) =
        (resolution IS NOT NULL)""",
}

SOUND = f"""
CREATE FUNCTION approvals_sound({COLUMNS}) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE broken text;
BEGIN
    IF ({" AND ".join(f"({rule})" for rule in RULES.values())}) IS NOT FALSE THEN
        RETURN true;
    END IF;
    broken := CASE {" ".join(f"WHEN NOT ({rule}) THEN '{name}'" for name, rule in RULES.items())} END;
    RAISE EXCEPTION 'new row for relation "approvals" violates check constraint "%"', broken
        USING ERRCODE = 'check_violation', CONSTRAINT = broken, TABLE = 'approvals';
END $$"""

NAMES = ", ".join(column.split()[0] for column in COLUMNS.split(","))


def upgrade() -> None:
    op.execute(SOUND)
    op.execute(f"ALTER TABLE approvals ADD CONSTRAINT approvals_sound CHECK (approvals_sound({NAMES}))")
    dropped = ", ".join(f"DROP CONSTRAINT {name}" for name in RULES)
    op.execute(f"ALTER TABLE approvals {dropped}")


def downgrade() -> None:
    added = ", ".join(f"ADD CONSTRAINT {name} CHECK ({rule})" for name, rule in RULES.items())
    op.execute(f"ALTER TABLE approvals {added}")
    op.execute("ALTER TABLE approvals DROP CONSTRAINT approvals_sound")
    op.execute("DROP FUNCTION approvals_sound")
