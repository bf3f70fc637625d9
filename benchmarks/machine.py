"""What the machine is, and who uses it: CPU time of our processes, of others, and of the hypervisor. Linux only."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from benchmarks.figures import Load

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ROOT: Final = Path(__file__).parent.parent


class Moment(NamedTuple):
    """CPU seconds since the machine started."""

    at: float
    busy: float
    stolen: float
    own: float


def moment() -> Moment:
    """CPU time up to now: the whole machine's, and that of this process with everything below it."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks
    busy = (user + nice + system + irq + softirq) / _TICKS
    return Moment(time.monotonic(), busy, steal / _TICKS, sum(_seconds_with_reaped(pid) for pid in family(os.getpid())))


def load_between(before: Moment, after: Moment) -> Load:
    """What the machine did in between."""
    seconds = max(after.at - before.at, 1e-6)
    own = (after.own - before.own) / seconds
    return Load(
        seconds=seconds,
        own_cores=own,
        foreign_cores=max(0.0, (after.busy - before.busy) / seconds - own),
        stolen_cores=(after.stolen - before.stolen) / seconds,
    )


class Meter:
    """Watches the machine for the length of a block; then `load` says what went on."""

    def __enter__(self) -> Self:
        self._before = moment()
        self.load: Load | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self.load = load_between(self._before, moment())


class CpuWatch:
    """CPU seconds of some processes since it was made: to the microsecond for those that live all the while.

    `families` are processes with all their descendants: of these, those that ended meanwhile are counted in ticks.
    """

    def __init__(self, *families: int) -> None:
        self._families = families
        self._before = {root: _family_seconds(root) for root in families}

    def seconds(self) -> list[float]:
        """So far, of each family."""
        return [_family_seconds(root) - self._before[root] for root in self._families]


def family(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, ())
    return found


def rss_bytes(pid: int) -> int:
    """The memory that the process has resident."""
    return int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pss_bytes(root: int) -> int:
    """The memory of a family of processes, what they share counted once."""
    total = 0
    for pid in family(root):
        with suppress(OSError):
            for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def facts(folder: Path) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "file_system": _file_system(folder),
        "fdatasync_microseconds": fdatasync_microseconds(folder),
        "load_1_5_15": [round(each, 2) for each in os.getloadavg()],
        "commit": _commit(),
    }


_PACKAGES: Final = (
    "asyncpg",
    "graphql-core",
    "orjson",
    "starlette",
    "strawberry-graphql",
    "uvicorn",
    "uvloop",
    "websockets",
)


def _family_seconds(root: int) -> float:
    total = 0.0
    for pid in family(root):
        # The clock of another process's CPU time, as in clock_getcpuclockid(3).
        with suppress(OSError):
            total += time.clock_gettime((~pid << 3) | 2)
        total += _reaped_seconds(pid)
    return total


def _fields(pid: int) -> list[str] | None:
    """From the state on: the name before it may hold anything."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _reaped_seconds(pid: int) -> float:
    fields = _fields(pid)
    return 0.0 if fields is None else (int(fields[13]) + int(fields[14])) / _TICKS


def _seconds_with_reaped(pid: int) -> float:
    fields = _fields(pid)
    return 0.0 if fields is None else sum(int(each) for each in fields[11:15]) / _TICKS


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if folder.is_relative_to(place) and len(place) > len(best[0]):
            best = (place, kind)
    return best[1]


def fdatasync_microseconds(folder: Path, *, times: int = 200) -> float:
    """What a commit pays the disk for: the median of writing 8 kB and having it on disk."""
    path = folder / "fdatasync-probe"
    took: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, bytes(8192 * times), 0)
        os.fsync(descriptor)
        for number in range(times):
            before = time.perf_counter()
            os.pwrite(descriptor, bytes([number % 256]) * 8192, 8192 * number)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - before)
    finally:
        os.close(descriptor)
        path.unlink()
    return round(statistics.median(took) * 1e6)


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = git(
            "status", "--porcelain", "--", "server.py", "serving", "schema", "engine", "persistence", "alembic"
        )
    except OSError:
        return ""
    return f"{commit}{' with changes' if changed else ''}"
