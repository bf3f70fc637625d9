"""AgentDojo's own environment: made once for all tests, with nothing in it that the suites don't import."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parents[1] / ".venv" / "agentdojo"
CONSTRAINTS = HERE / "constraints.txt"
_AWAY = ("Retrying (", "Could not fetch URL", "Failed to establish", "Temporary failure in name resolution")


class IndexAway(Exception):
    """The package index can't be reached, and the environment was not made before."""


def python() -> Path:
    """The interpreter of the environment, which is made when it is not there, or for other versions than are asked for.

    Raises IndexAway, and CalledProcessError for all else that goes wrong.
    """
    PLACE.parent.mkdir(exist_ok=True)
    with PLACE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # each worker of pytest comes by
        wanted = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
        stamp = PLACE / "constraints.sha256"
        if not stamp.exists() or stamp.read_text() != wanted:
            _make()
            stamp.write_text(wanted)
    return PLACE / "bin" / "python"


def _make() -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
    install = [PLACE / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*install, "--retries", "1", "--no-deps", "--requirement", CONSTRAINTS],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode and any(sign in done.stderr for sign in _AWAY):
        raise IndexAway(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
