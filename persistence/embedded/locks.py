"""The two locks on a data folder. Both are `flock`s, which the kernel frees when their holders are gone.

`lifeos.lock` is held by the process that serves, and names it. `postgres.lock` is inherited by PostgreSQL and all its
backends, so it is free exactly when nothing of an earlier server is left, however that one ended. The
files themselves stay: removing a lock file would let two processes lock two files of one name.
"""

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from persistence.embedded.errors import DataFolderInUse

_LOOK_SECONDS = 0.02
_TELL_SECONDS = 0.5


class FolderLock:
    """The right to serve a data folder, taken by `hold`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def hold(cls, data_dir: Path) -> "Generator[FolderLock]":
        """Hold the folder until the end of the block; raises `DataFolderInUse` with its holder's pid and address."""
        descriptor = open_ours(data_dir / "lifeos.lock", os.O_RDWR)
        try:
            if not _try_lock(descriptor):
                raise _in_use(data_dir, descriptor)
            lock = cls(descriptor)
            lock.announce(None)
            yield lock
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def announce(self, address: str | None) -> None:
        """Write our pid and address, for processes that find the folder locked."""
        note = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.pwrite(self._descriptor, note, 0)
        os.ftruncate(self._descriptor, len(note))


@contextmanager
def hold_for_server(data_dir: Path, cluster: Path, *, wait_seconds: float) -> Generator[int]:
    """The locked descriptor to pass to the server, once the server before it has ended.

    Raises `DataFolderInUse` with that server's pid when it takes longer. The lock outlives the block in those who
    inherited it.
    """
    descriptor = open_ours(data_dir / "postgres.lock", os.O_RDWR)
    try:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise DataFolderInUse(data_dir, pid=server_pid(cluster), address=None)
            time.sleep(_LOOK_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def server_pid(cluster: Path) -> int | None:
    """The process id that a server, alive or killed, has left in its pid file."""
    try:
        return int((cluster / "postmaster.pid").read_text().partition("\n")[0])
    except (FileNotFoundError, ValueError):
        return None


def open_ours(path: Path, flags: int) -> int:
    """Open a file of the data folder, making it if need be, as one of the folder's owner's files."""
    # Root may serve somebody else's folder: it must not follow a link planted there, nor leave files that
    # the owner cannot open.
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_use(data_dir: Path, descriptor: int) -> DataFolderInUse:
    # The holder writes right after locking; until then the file is empty or tells of one before it.
    deadline = time.monotonic() + _TELL_SECONDS
    while (note := _read(descriptor)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    pid, address = note or (None, None)
    return DataFolderInUse(data_dir, pid=pid, address=address)


def _read(descriptor: int) -> tuple[int, str | None] | None:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        pid, address = int(note["pid"]), note["address"]
    except (ValueError, KeyError, TypeError):
        return None
    with suppress(PermissionError):  # somebody else's process, but alive
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
    return pid, address
