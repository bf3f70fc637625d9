"""A PostgreSQL of the benchmark's own, at its full durability, in a temporary folder on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg

from benchmarks import machine
from persistence.embedded import EmbeddedPostgres
from persistence.migrate import migrate

_TEMPLATE = "bench_template"


class Cluster:
    """The server, and databases on it: `fresh` ones for what is measured, so that nobody inherits another's tables.

    The server is the one that Life OS itself starts, with its settings: fsync, full_page_writes and
    synchronous_commit are on.
    """

    def __init__(self, *, place: Path | None = None, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lifeos-bench-", dir=place))
        self._postgres = EmbeddedPostgres(self.folder, settings=settings)
        self._numbers = count(1)

    async def open(self) -> None:
        """Start it and prepare the template. Only in the main thread."""
        self._postgres.start()
        await self.execute(f"CREATE DATABASE {_TEMPLATE}")
        await migrate(self.dsn(_TEMPLATE))

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The server's process."""
        pid = self._postgres.pid
        assert pid is not None, "the server has ended; its log is in its folder"
        return pid

    def dsn(self, name: str) -> str:
        """The address of a database."""
        head, _, tail = self._postgres.dsn.partition("/lifeos?")
        return f"{head}/{name}?{tail}"

    @asynccontextmanager
    async def fresh(self, *, migrated: bool = True) -> AsyncGenerator[str]:
        """The address of a new database, dropped at the end of the block."""
        name = f"bench_{next(self._numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template0'}")
        try:
            yield self.dsn(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def settle(self) -> None:
        """Write everything out, so that what is measured next pays for nothing that was before."""
        await self.execute("CHECKPOINT")

    async def execute(self, statement: str) -> None:
        """One statement, outside of every database that is measured."""
        await self._administer(lambda connection: connection.execute(statement))

    async def facts(self) -> dict[str, Any]:
        """What was measured on, with the settings that make a commit durable."""
        names = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_sync_method", "io_method")

        async def look(connection: Any) -> dict[str, Any]:
            version = await connection.fetchval("SHOW server_version")
            settings = {name: await connection.fetchval(f"SHOW {name}") for name in names}
            return {"postgresql": version, "settings": settings}

        return {**machine.facts(self.folder), **await self._administer(look), "root": os.geteuid() == 0}

    async def _administer(self, work: Callable[[Any], Any]) -> Any:
        connection: Any = await asyncpg.connect(self.dsn("postgres"))
        try:
            return await work(connection)
        finally:
            await connection.close()


def check_durable(facts: Mapping[str, Any]) -> None:
    """Refuses to measure commits that are none."""
    off = [name for name in ("fsync", "synchronous_commit", "full_page_writes") if facts["settings"][name] != "on"]
    if off:
        raise SystemExit(f"{', '.join(off)} is off: nothing measured here would be durable")
    if facts["file_system"] in {"tmpfs", "ramfs"}:
        raise SystemExit("the database's folder is in memory, not on disk: choose another place with --place")
