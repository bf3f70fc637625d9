"""Programs that end when we do, even by kill -9 or a SIGTERM that skips our clean-up."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from persistence.embedded.account import Account

# Elsewhere a forked watchdog waits for the end of a pipe that only we hold open.
KERNEL_TELLS_CHILDREN = sys.platform == "linux"

_LAUNCHER = Path(__file__).with_name("launcher.py")
# A fast shutdown, one without a checkpoint, and the end; each with its patience.
_ENDINGS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


@contextmanager
def child(
    command: Sequence[str], *, account: Account, log: int, inherits: Sequence[int] = ()
) -> Generator[subprocess.Popen[bytes]]:
    """Run a PostgreSQL program as the account for at most as long as the block lasts.

    Leaving the block ends the program the gentlest way that works. Only the main thread may call this: the kernel
    counts as the parent's death that of the thread which started the child.
    """
    lifeline = None if KERNEL_TELLS_CHILDREN else os.pipe()
    watched = -1 if lifeline is None else lifeline[0]
    who = [os.getpid(), account.uid, account.gid, signal.SIGINT.value, watched]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own launcher and PostgreSQL's programs
            [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, who), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            pass_fds=[*inherits, *(() if lifeline is None else (watched,))],
            start_new_session=True,  # Ctrl-C in our terminal is for us; we stop the server in our own time
        )
        try:
            yield process
        finally:
            _end(process)
    finally:
        for descriptor in lifeline or ():
            os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    for ending, patience_seconds in _ENDINGS:
        if process.poll() is not None:
            return
        process.send_signal(ending)
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            continue


def _environment() -> dict[str, str]:
    # Nothing of PGDATA, PGOPTIONS or the person's language may reach the server.
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"} | {k: os.environ[k] for k in kept if k in os.environ}
