"""The database's folder on disk: made whole or not at all, checked, and reached by the account that uses it."""

import os
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from persistence.embedded.account import Account, can_use
from persistence.embedded.binaries import MAJOR_VERSION
from persistence.embedded.errors import DataFolderInUse, FolderUnusable, OtherMajorVersion
from persistence.embedded.locks import server_pid


def is_initialised(cluster: Path) -> bool:
    """Whether there is a database; raises when there is one that we cannot serve."""
    if not cluster.exists() or not any(cluster.iterdir()):
        return False
    try:
        found = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise FolderUnusable(cluster, "it holds something that is not a PostgreSQL database; move it away") from None
    if found != str(MAJOR_VERSION):
        raise OtherMajorVersion(cluster, found, MAJOR_VERSION)
    return True


def initialise(cluster: Path, account: Account, *, initdb: Callable[[Path], None]) -> None:
    """Have `initdb` fill a folder of the account's beside `cluster`, which then takes its place.

    A start that is killed half-way therefore leaves nothing that looks like a database.
    """
    draft = cluster.with_suffix(".new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    if not account.is_ours:
        os.chown(draft, account.uid, account.gid, follow_symlinks=False)
    initdb(draft)
    draft.rename(cluster)
    folder = os.open(cluster.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def path_for(account: Account, cluster: Path) -> Generator[tuple[str, list[int]]]:
    """How the account names the folder, and the descriptors that a program must inherit for it.

    Where a folder above is closed to the account (root's home is), the name leads through a descriptor that we opened:
    the kernel then asks for rights on the folder itself only, and nobody's folder has to be opened to others.
    """
    if can_use(account, cluster):
        yield str(cluster.resolve()), []
        return
    if sys.platform != "linux":
        raise FolderUnusable(cluster, "the account PostgreSQL runs as cannot reach it; choose another LIFEOS_DATA_DIR")
    descriptor = os.open(cluster, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}", [descriptor]
    finally:
        os.close(descriptor)


def forget_last_server(data_dir: Path, cluster: Path) -> None:
    """Remove the pid file that a killed server left, for its pid may belong to somebody else by now.

    PostgreSQL would then refuse to start. No server of ours can be alive here (we hold their lock), but one started by
    hand would not have asked for it: such a one has the folder as its working directory.
    """
    pid = server_pid(cluster)
    try:
        is_alive = pid is not None and _serves(pid, cluster)
    except PermissionError:
        return  # not for us to look at: PostgreSQL decides
    if is_alive:
        raise DataFolderInUse(data_dir, pid=pid, address=None)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _serves(pid: int, cluster: Path) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if sys.platform != "linux":
        raise PermissionError
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except (FileNotFoundError, ProcessLookupError):
        return False
