"""A PostgreSQL server of our own: started below us, gone with us."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import asyncpg

from persistence.embedded.account import Account, account_for
from persistence.embedded.binaries import programs_for
from persistence.embedded.child import child
from persistence.embedded.cluster import forget_last_server, initialise, is_initialised, path_for
from persistence.embedded.errors import FolderUnusable, NotTheMainThread, StartFailed
from persistence.embedded.locks import FolderLock, hold_for_server, open_ours
from persistence.embedded.sockets import socket_folder

DATABASE = "lifeos"
USER = "lifeos"
PORT = 5432  # only part of the socket's name

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "jit": "off",
        "random_page_cost": "1.1",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
        # Room for bursts, so that checkpoints come by the clock and are spread out.
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        # Queues of work are small tables with many dead rows: vacuum them long before a fifth has changed.
        "autovacuum_naptime": "15s",
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_vacuum_insert_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
        "autovacuum_vacuum_cost_limit": "1000",
    }
)

_LAST_SERVER_SECONDS = 60.0  # what an orphaned server may take for its last checkpoint
_READY_SECONDS = 300.0  # recovery after a crash replays at most max_wal_size
_LOOK_SECONDS = 0.01
_LOG_BYTES = 4 * 1024 * 1024


class EmbeddedPostgres:
    """A PostgreSQL server on a data folder, for one process at a time.

    The folder gets `postgres/` (the database), `postgres.log`, `postgres.lock` and `lifeos.lock`. The server listens
    on a unix socket in a folder that only its account (and root) can enter, and trusts every client there.

    As root, whom PostgreSQL refuses, it runs as the folder's owner, else `postgres` or `nobody`. That account needs
    no rights above the database's folder; where it cannot run the programs they are copied to /var/cache/lifeos.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._data_dir = Path(data_dir).expanduser().absolute()
        self._cluster = self._data_dir / "postgres"
        self._settings = {**SETTINGS, **settings}
        self._undo = ExitStack()
        self._lock: FolderLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._dsn = ""

    @property
    def dsn(self) -> str:
        """The address for asyncpg; empty before the first start."""
        return self._dsn

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self.is_running() else None

    def is_running(self) -> bool:
        """Whether the server is alive; if it died although nobody stopped it, it may be started again."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> str:
        """Start the server, making the database at first, and return its DSN once it accepts connections.

        Only in the main thread. Waits for an earlier server of a killed process to finish. Raises an `EmbeddedError`;
        does nothing when the server runs.
        """
        if threading.current_thread() is not threading.main_thread():
            raise NotTheMainThread
        if self.is_running():
            return self._dsn
        self.stop()
        with ExitStack() as undo:
            try:
                self._open(undo)
            except OSError as error:
                raise FolderUnusable(self._data_dir, error.strerror or str(error)) from error
            self._undo = undo.pop_all()
        return self._dsn

    def announce(self, address: str) -> None:
        """Write the address where we serve, for processes that are refused the folder."""
        assert self._lock is not None, "start comes first"
        self._lock.announce(address)

    def stop(self) -> None:
        """Stop the server, cutting its connections, and free the folder. Does nothing when it is not running."""
        self._undo.close()
        self._process = self._lock = None

    def _open(self, undo: ExitStack) -> None:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = undo.enter_context(FolderLock.hold(self._data_dir))
        log = undo.enter_context(_log(self._data_dir / "postgres.log"))
        log_start = os.fstat(log).st_size
        account = account_for(self._data_dir, self._cluster)
        programs = programs_for(account)
        with hold_for_server(self._data_dir, self._cluster, wait_seconds=_LAST_SERVER_SECONDS) as server_lock:
            if not is_initialised(self._cluster):
                initialise(
                    self._cluster,
                    account,
                    initdb=lambda draft: self._initdb(draft, programs, account, log, server_lock),
                )
            forget_last_server(self._data_dir, self._cluster)
            sockets = undo.enter_context(socket_folder(self._cluster, account))
            with path_for(account, self._cluster) as (cluster, descriptors):
                settings = {
                    **self._settings,
                    "unix_socket_directories": f'"{sockets}"',
                    "unix_socket_permissions": "0700",
                }
                options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
                self._process = undo.enter_context(
                    child(
                        [str(programs / "postgres"), "-D", cluster, *options],
                        account=account,
                        log=log,
                        inherits=[server_lock, *descriptors],
                    )
                )
        self._dsn = f"postgresql://{USER}@/{DATABASE}?host={quote(str(sockets))}&port={PORT}"
        # In a thread of its own because our caller's may already run an event loop.
        with ThreadPoolExecutor(1) as thread:
            try:
                is_ready = thread.submit(asyncio.run, _is_ready(self._process, sockets)).result()
            except BaseException:
                self._process.send_signal(signal.SIGINT)  # lets the thread see that there is nothing to wait for
                raise
        if not is_ready:
            raise StartFailed(_tail(log, log_start))

    def _initdb(self, draft: Path, programs: Path, account: Account, log: int, server_lock: int) -> None:
        log_start = os.fstat(log).st_size
        # The catalogue sorts and compares by bytes; upper and lower know Unicode all the same.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
        sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        with path_for(account, draft) as (folder, descriptors):
            command = [
                str(programs / "initdb"),
                "-D",
                folder,
                "-U",
                USER,
                "--auth=trust",
                "--no-instructions",
                *locale,
                *sync,
            ]
            # Its children inherit the lock too: nobody clears the draft away while one of them still writes.
            with child(command, account=account, log=log, inherits=[server_lock, *descriptors]) as process:
                failed = process.wait()
        if failed:
            raise StartFailed(_tail(log, log_start))


async def _is_ready(process: subprocess.Popen[bytes], sockets: Path) -> bool:
    """Wait until the database takes connections, creating it at first; False when the server ends instead."""
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            connection = await asyncpg.connect(host=str(sockets), port=PORT, user=USER, database="postgres", timeout=10)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            try:
                if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
            finally:
                await connection.close()
            return True
    return False


@contextmanager
def _log(path: Path) -> Generator[int]:
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    descriptor = open_ours(path, os.O_RDWR | os.O_APPEND)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _tail(log: int, start: int) -> str:
    said = os.pread(log, 64 * 1024, max(start, os.fstat(log).st_size - 64 * 1024)).decode(errors="replace")
    return "\n".join(said.splitlines()[-20:])
