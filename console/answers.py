"""A person's answers, line by line from standard input, while the event loop goes on."""

import asyncio
import os
import sys
from asyncio import AbstractEventLoop

_CHUNK_BYTES = 4096


class Answers:
    """Standard input as lines. Waiting for one can be cancelled, which `input()` in a thread can't."""

    def __init__(self) -> None:
        self._read_so_far = b""

    async def ask(self, question: str) -> str | None:
        """The line that was typed after the question, or None where input has ended.

        At a keyboard, what was typed before it is forgotten: nobody had read yet what they would have agreed to.
        """
        if _is_keyboard():
            self._read_so_far = b""
            _forget_typed()
        sys.stdout.write(question)
        sys.stdout.flush()
        while b"\n" not in self._read_so_far:
            chunk = await _read()
            if not chunk:
                break
            self._read_so_far += chunk
        line, newline, self._read_so_far = self._read_so_far.partition(b"\n")
        if not line and not newline:
            return None
        return line.decode(errors="replace").strip()


def _is_keyboard() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _forget_typed() -> None:
    try:
        import termios  # noqa: PLC0415 - not on every platform
    except ImportError:
        return
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


async def _read() -> bytes:
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or replaced by something that is no file
        return b""
    loop = asyncio.get_running_loop()
    try:
        await _readable(loop, descriptor)
    except NotImplementedError:  # Windows' event loop watches no terminals
        return await asyncio.to_thread(os.read, descriptor, _CHUNK_BYTES)
    except PermissionError:  # a regular file, or /dev/null: always readable, and nothing to watch
        pass
    return os.read(descriptor, _CHUNK_BYTES)


async def _readable(loop: AbstractEventLoop, descriptor: int) -> None:
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
