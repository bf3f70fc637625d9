"""Programs that speak to a server, and the tools that they need."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[2]
NODE = Path(__file__).parent / "node"
TYPESCRIPT = ROOT / "clients" / "typescript"
PYTHON = ROOT / "clients" / "python"


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("LIFEOS_TEST_EVERYTHING"):
        pytest.fail(what)
    pytest.skip(what)


def npm_folder(folder: Path) -> Path:
    """The folder with what its lock file names installed, which happens once."""
    if not (shutil.which("node") and shutil.which("npm")):
        missing("no node and npm: apt-get install nodejs npm (node 20 or newer)")
    once(
        folder / "node_modules", [folder / "package-lock.json"], lambda: run(["npm", "ci", "--ignore-scripts"], folder)
    )
    return folder


def built_typescript() -> Path:
    """The TypeScript client, compiled."""
    folder = npm_folder(TYPESCRIPT)
    sources = [*folder.glob("tsconfig*.json"), *folder.glob("src/**/*.ts")]
    once(folder / "dist", sources, lambda: run(["npx", "tsc", "--project", "tsconfig.build.json"], folder))
    return folder


def built_example() -> Path:
    """The TypeScript client's folder, with its example compiled too."""
    folder = built_typescript()
    sources = [*folder.glob("tsconfig*.json"), *folder.glob("src/**/*.ts"), *folder.glob("example/*.ts")]
    once(folder / "example" / "dist", sources, lambda: run(["npx", "tsc", "--project", "example"], folder))
    return folder


def relay_artifacts() -> Path:
    """What Relay's compiler makes of the operations in `relay`."""
    folder = npm_folder(NODE)
    sources = [folder / "relay.config.json", folder / "relay" / "LifeOS.js", ROOT / "schema" / "schema.graphql"]
    artifacts = folder / "relay" / "__generated__"
    once(artifacts, sources, lambda: run(["npx", "relay-compiler"], folder))
    return artifacts


def generator_environment() -> Path:
    """The virtual environment in which the Python client is generated and built."""
    place = PYTHON / ".venv"
    requirements = PYTHON / "generator" / "requirements.txt"

    def make() -> None:
        run([sys.executable, "-m", "venv", "--clear", str(place)], PYTHON)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--requirement", str(requirements)], PYTHON)

    once(place, [requirements], make)
    return place


def once(target: Path, sources: list[Path], make: Callable[[], Any]) -> None:
    """Make the target, unless it was made from the same sources; one process does while the others wait."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()
    with (target.parent / f".{target.name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() == digest and target.is_dir():
            return
        lock.truncate(0)
        make()
        lock.write(digest)


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a program printed that has to succeed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Program:
    """A running program, read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self) -> str | None:
        """The next line; None after the last."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            text = (await self.process.stdout.readline()).decode()
        if not text:
            return None
        self.lines.append(text.rstrip("\n"))
        return self.lines[-1]

    async def until(self, holds: Callable[[str], bool]) -> str:
        """The first line of those to come for which it holds."""
        while (text := await self.line()) is not None:
            if holds(text):
                return text
        raise AssertionError(f"the program ended:\n{await self.transcript()}")

    async def rest(self) -> list[str]:
        """All its lines, once it has ended well."""
        while await self.line() is not None:
            pass
        assert await self.process.wait() == 0, await self.transcript()
        return self.lines

    async def transcript(self) -> str:
        """What it said, and what went wrong."""
        assert self.process.stderr is not None
        return "\n".join([*self.lines, (await self.process.stderr.read()).decode()])


@asynccontextmanager
async def program(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], *, stdin: int | None = None
) -> AsyncGenerator[Program]:
    """A program, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def objects(lines: list[str], key: str) -> list[dict[str, Any]]:
    """The lines that are JSON objects with the key."""
    return [found for found in map(json.loads, lines) if key in found]
