"""Become a PostgreSQL program that ends with the process that started it.

Run as a script by `postgres.py` (`python -I -S launcher.py ...`), never imported. What is done here must
happen between fork and exec; as a `preexec_fn` it would run Python in the fork of a threaded
process, which may deadlock, and would keep subprocess from using vfork.

Arguments: the starter's pid, the user and group id to run as, the signal that its death sends, and a file
descriptor that reads to its end when the starter dies (or -1 to let the kernel watch); then the command.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def main() -> None:
    """Run the command of the arguments in place of this program."""
    starter, uid, gid, death_signal, lifeline = map(int, sys.argv[1:6])
    command = sys.argv[6:]
    try:
        if uid != os.geteuid():
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        # Only now: the kernel forgets the death signal when the credentials change.
        if lifeline < 0:
            _end_with_the_parent(death_signal)
            if os.getppid() != starter:  # it died before we asked for the signal
                return
        else:
            _fork_watchdog(lifeline, death_signal)
        os.execv(command[0], command)  # noqa: S606 - a list of arguments, no shell
    except OSError as error:
        sys.exit(f"cannot run {command[0]} as user id {uid}: {error}")


def _end_with_the_parent(death_signal: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _fork_watchdog(lifeline: int, death_signal: int) -> None:
    """Leave a child behind that signals us, under whatever program we become, when the lifeline ends."""
    watched = os.getpid()
    if os.fork():
        os.close(lifeline)
        return
    # A process that waits for the lock that the server inherits must not wait for the watchdog.
    for descriptor in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 - pathlib would double this program's start
        if descriptor != lifeline:
            with contextlib.suppress(OSError):  # listing took one itself
                os.close(descriptor)
    while os.getppid() == watched:
        if select.select([lifeline], [], [], _LOOK_SECONDS)[0]:
            os.kill(watched, death_signal)
            break
    os._exit(0)  # an exit status that PostgreSQL does not take for a crashed backend


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
