"""Which schema this program wants, and whether a database has it: without the tools that change it.

Most starts find nothing to do, and loading Alembic would be a third of their time.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import asyncpg

from persistence.database import Database


class UnknownRevision(Exception):
    """The database was migrated by a newer Life OS than this one."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"the database is at revision {revision}, which this version of Life OS does not know: "
            "run the version that migrated it, or a newer one"
        )


def migrations_folder() -> Path:
    """Where the migrations lie: inside the package when installed, at the top level in a checkout."""
    package = Path(str(files("persistence")))
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "alembic"


def head() -> str:
    """The newest revision that this version of Life OS knows: the number that its file's name begins with."""
    return max(path.name.split("_", maxsplit=1)[0] for path in (migrations_folder() / "versions").glob("[0-9]*.py"))


def may_be_used(revision: str | None) -> bool:
    """Whether a process of this version may work on a database at this revision: at `head`, or beyond it.

    A newer version adds, and takes nothing away that an older one needs: while it is being brought in, the processes
    of both work side by side.
    """
    return revision is not None and revision >= head()


async def revision_of(database: Database) -> str | None:
    """The revision that the database is at. Raises Unavailable when it can't be asked."""
    return await database.fetchval("SELECT version_num FROM alembic_version")


async def is_current(dsn: str) -> bool:
    """Whether the database is at `head` already. Raises what asyncpg raises when it can't be asked."""
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await connection.fetchval("SELECT version_num FROM alembic_version") == head()
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close(timeout=5)
