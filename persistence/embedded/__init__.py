"""The embedded PostgreSQL, for machines where nobody has set up a database."""

from persistence.embedded.errors import (
    BinariesMissing,
    DataFolderInUse,
    EmbeddedError,
    FolderUnusable,
    NoAccount,
    NotTheMainThread,
    OtherMajorVersion,
    StartFailed,
)
from persistence.embedded.postgres import SETTINGS, EmbeddedPostgres

__all__ = [
    "SETTINGS",
    "BinariesMissing",
    "DataFolderInUse",
    "EmbeddedError",
    "EmbeddedPostgres",
    "FolderUnusable",
    "NoAccount",
    "NotTheMainThread",
    "OtherMajorVersion",
    "StartFailed",
]
