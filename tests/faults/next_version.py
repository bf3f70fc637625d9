"""The program as its next version might be: `python -m tests.faults.next_version FOLDER serve …`.

The code is this one's; the migrations are those in FOLDER, one more than this version has.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from persistence import migrate, revisions

NEXT: Final = f"{int(revisions.head()) + 1:04d}"

_MIGRATION: Final = f'''
"""Something for every table, as a migration adds it that old code may live with."""

from alembic import op

revision = "{NEXT}"
down_revision = "{revisions.head()}"
branch_labels = None
depends_on = None

TABLES = ("runs", "steps", "approvals", "tool_calls", "timeline_events", "workers", "users", "tokens", "audit_lines",
    "notices")


def upgrade() -> None:
    op.execute("CREATE TABLE next_things (id bigint PRIMARY KEY, run_id uuid NOT NULL REFERENCES runs (id))")
    for table in TABLES:
        op.execute(f"ALTER TABLE {{table}} ADD COLUMN next_note text")
        op.execute(f"ALTER TABLE {{table}} ADD COLUMN next_weight integer NOT NULL DEFAULT 0")
    op.execute("CREATE INDEX steps_next ON steps (next_weight) WHERE next_weight > 0")


def downgrade() -> None:
    op.execute("DROP TABLE next_things")
    for table in TABLES:
        op.execute(f"ALTER TABLE {{table}} DROP COLUMN next_note, DROP COLUMN next_weight")
'''


def next_migrations(folder: Path) -> Path:
    """The migrations of the next version: a copy of this one's, and one more."""
    shutil.copytree(revisions.migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / f"{NEXT}_next.py").write_text(_MIGRATION)
    return folder


def use(folder: Path) -> None:
    """Be the version that has these migrations."""

    def found() -> Path:
        return folder

    revisions.migrations_folder = found
    migrate.migrations_folder = found


if __name__ == "__main__":
    use(Path(sys.argv.pop(1)))
    from server import main

    main()
