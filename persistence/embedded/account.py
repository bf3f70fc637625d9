"""The account PostgreSQL runs as, and what that account can reach."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from persistence.embedded.errors import FolderUnusable, NoAccount

_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user and its group."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """Whether this is the account that we run as, so that no rights need to be dropped."""
        return self.uid == os.geteuid()


def account_for(data_dir: Path, cluster: Path) -> Account:
    """The account that runs the server on the database in `cluster`, which need not exist yet.

    Ourselves, unless we are root. Then the owner of the database or of the data folder, so that what one account made
    stays with it, else an account that exists for such uses. No account is ever created.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    owner = (cluster if cluster.exists() else data_dir).stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    if cluster.exists():
        raise FolderUnusable(
            cluster, "it belongs to root, which PostgreSQL does not run as; give it to another account with chown -R"
        )
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise NoAccount(_UNPRIVILEGED)


def can_use(account: Account, path: Path) -> bool:
    """Whether the mode bits let the account read `path` (and enter or run it) through all folders above."""
    if account.is_ours:
        return True
    path = path.resolve()
    return _permits(account, path, stat.S_IROTH | stat.S_IXOTH) and all(
        _permits(account, folder, stat.S_IXOTH) for folder in path.parents
    )


def _permits(account: Account, path: Path, wanted: int) -> bool:
    status = path.stat()
    if account.uid == status.st_uid:
        granted = status.st_mode >> 6
    elif account.gid == status.st_gid:
        granted = status.st_mode >> 3
    else:
        granted = status.st_mode
    return granted & wanted == wanted
