"""What a reader of the pages finds: a checkout with everything installed, and a server."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from persistence.embedded.binaries import MAJOR_VERSION, package_folder
from tests.databases import fresh_database
from tests.packaging.processes import PROGRAMS, Program, environment, started
from tests.readme.markdown import ROOT
from tests.readme.packages import clients_of_the_checkout, installing


class Databases:
    """Databases by the names that a text gives them; each is made when it is first named."""

    def __init__(self, runner: asyncio.Runner, stack: AsyncExitStack) -> None:
        self._runner = runner
        self._stack = stack
        self._addresses: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        if name not in self._addresses:
            self._addresses[name] = self._runner.run(self._stack.enter_async_context(fresh_database()))
        return self._addresses[name]


def _databases() -> Iterator[Callable[[str], str]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        yield Databases(runner, stack)
        runner.run(stack.aclose())


databases = pytest.fixture(_databases)
lasting_databases = pytest.fixture(_databases, scope="session")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A checkout as the reader has it: examples, clients, and `.venv` with everything installed."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    clients_of_the_checkout(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def env(home: Path, databases: Callable[[str], str]) -> dict[str, str]:
    """Of somebody who has set nothing; a throw-away database stands for the embedded one, to save its start."""
    found = environment(home, LIFEOS_DATABASE_URL=databases("embedded"))
    programs = package_folder() / f"pginstall{MAJOR_VERSION}" / "bin"  # pg_dump, which may not be older than the server
    return found | installing(home) | {"PATH": f"{home / 'bin'}:{programs}:{found['PATH']}"}


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory, lasting_databases: Callable[[str], str]) -> Iterator[Program]:
    """What `make serve` starts, for all who need no other."""
    folder = tmp_path_factory.mktemp("serving")
    env = environment(folder, LIFEOS_DATABASE_URL=lasting_databases("embedded"))
    with started([PROGRAMS / "lifeos", "serve", "--port", "0"], env=env, cwd=folder) as program:
        yield program
        assert program.stop() == 0
