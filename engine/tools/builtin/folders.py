"""Where people's files lie, and how they are written so that a crash leaves the old or the new one whole."""

from __future__ import annotations

import fcntl
import os
import tempfile
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from engine.tools.context import ToolContext
from engine.tools.errors import ToolError

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_LARGEST_BYTES: Final = 8 * 2**20


def user_folder(ctx: ToolContext) -> Path:
    """The folder of the user whose step this is, made if need be; nobody else on the machine may read it."""
    folder = folder_to_read(ctx)
    make_private(folder)
    return folder


def folder_to_read(ctx: ToolContext) -> Path:
    """The same folder for a tool that only reads: it may not be there."""
    return ctx.data_dir / "users" / _as_name(ctx.user_id)


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, that only this account may enter."""
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    folder.chmod(_PRIVATE_FOLDER)


def relative(ctx: ToolContext, path: Path) -> str:
    """A path as results name it: from the data folder."""
    return path.relative_to(ctx.data_dir).as_posix()


def shipped(name: str) -> bytes:
    """The content of a file that comes with the built-in tools."""
    return files("engine.tools.builtin").joinpath("data", name).read_bytes()


def read_own(path: Path) -> bytes | None:
    """The content of a user's own file, or None if there is none; ToolError for what can't be read."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ToolError(f"{path.name} is larger than {_LARGEST_BYTES} bytes", retryable=False)
        return path.read_bytes()
    except FileNotFoundError:
        return None


def decoded(content: bytes) -> str:
    """A JSON file's text: UTF-8 as it should be, or UTF-16 where it begins with that one's byte order mark.

    Editors on Windows write such a mark before UTF-8 too. Raises UnicodeDecodeError.
    """
    return content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once, for this account's eyes only, and not return before it is on the disk."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # made with mode 600
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    keep(path.parent)


def keep(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the only lock on a file, against other threads and other processes; a crash sets it free."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _as_name(user_id: str) -> str:
    """An id as the name of a folder: no separator, and never "." or ".."."""
    name = quote(user_id, safe="").replace(".", "%2E")
    if not 0 < len(name) <= 200:
        raise ToolError("the user's id can't name a folder", retryable=False)
    return name
