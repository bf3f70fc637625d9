"""The private folder of the server's unix socket."""

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from persistence.embedded.account import Account
from persistence.embedded.errors import FolderUnusable

SOCKET_NAME = ".s.PGSQL.5432"

_LONGEST_PATH = 103  # what macOS takes; Linux takes 107


@contextmanager
def socket_folder(cluster: Path, account: Account) -> Generator[Path]:
    """A folder that only the account may enter, for as long as the block lasts.

    Its name is short, because a socket's path must be, and follows from the database's folder, so that what a crash
    leaves behind is used again. Trust authentication rests on this folder's mode.
    """
    folder = _make(cluster, account)
    try:
        yield folder
    finally:
        _clear(folder)
        with suppress(OSError):
            folder.rmdir()


def _make(cluster: Path, account: Account) -> Path:
    status = cluster.stat()
    # The inode tells apart two containers that share a /tmp and name their folders alike.
    identity = f"{cluster.resolve()}:{status.st_dev}:{status.st_ino}"
    name = f"lifeos-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    for parent in _parents(account):
        folder = parent / name
        if len(os.fsencode(folder / SOCKET_NAME)) > _LONGEST_PATH or not os.access(parent, os.W_OK | os.X_OK):
            continue
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        found = folder.lstat()
        if found.st_mode == stat.S_IFDIR | 0o700 and found.st_uid == account.uid:
            _clear(folder)
            return folder
        # Somebody else made it first: leave it to them.
    raise FolderUnusable(
        Path(tempfile.gettempdir()),
        "no private folder for the database's socket could be made there; set TMPDIR to a short path of your own",
    )


def _parents(account: Account) -> list[Path]:
    # A runtime folder of root's own is closed to the account that the server runs as.
    runtime = os.environ.get("XDG_RUNTIME_DIR") if account.is_ours else "/run" if sys.platform == "linux" else None
    parents = [Path(runtime)] if runtime and Path(runtime).is_dir() else []
    return [*parents, Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - the folder's owner is checked


def _clear(folder: Path) -> None:
    # The server lock is ours, so a socket here is left over; PostgreSQL would believe it if its pid were in use again.
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        with suppress(OSError):
            (folder / name).unlink()
