"""The real programs, as processes: started, waited for and stopped as an operator does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
STOP_SECONDS = 60


def environment(home: Path, **settings: str) -> dict[str, str]:
    """What a program sees on a machine without settings of ours: a path, a home, and what is given."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "PIP_INDEX_URL", "PIP_CERT") if name in os.environ}
    return {
        **kept,
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "LIFEOS_DATA_DIR": str(home / "data"),
        **settings,
    }


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended."""

    status: int
    output: str
    errors: str


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, timeout_seconds: float = 110, stdin: str = ""
) -> Ended:
    """Run a program to its end."""
    done = subprocess.run(
        [*map(str, command)],
        check=False,
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(slots=True)
class Program:
    """A program that runs on until it is stopped."""

    process: subprocess.Popen[str]
    data_dir: str
    errors: IO[str]
    said: str = ""

    @property
    def url(self) -> str:
        """Where a server says that it is."""
        return self.said.split("/graphql?token=")[0].split()[-1]

    @property
    def token(self) -> str:
        """The token in the address that a server printed."""
        return self.said.split("?token=")[1].split()[0]

    def wait_until_ready(self) -> None:
        """Read its output up to what it says when it is ready; fails when it ends instead."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if "?token=" in line or "worker is ready" in line:
                return
        raise AssertionError(f"it ended with {self.process.wait()}: {self.log()}")

    def wait_until_it_logs(self, text: str) -> None:
        """Read its log until it has the text; fails when it ends before."""
        while text not in self.log():
            try:
                status = self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"it ended with {status}: {self.log()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def log(self) -> str:
        """What it has written to standard error."""
        self.errors.seek(0)
        return self.errors.read()


@contextmanager
def started(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, ready: bool = True
) -> Generator[Program]:
    """A program for the length of the block; `ready`: once it has said that it is."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [*map(str, command)], env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        program = Program(process, env["LIFEOS_DATA_DIR"], errors)
        try:
            if ready:
                program.wait_until_ready()
            yield program
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
