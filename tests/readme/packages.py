"""What a reader of the README installs, without touching what the tests themselves run with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clients.programs import NODE, TYPESCRIPT, generator_environment, npm_folder, relay_artifacts, run
from tests.readme.markdown import ROOT, Block

_NOT_COMMITTED = shutil.ignore_patterns("__pycache__", "node_modules", "dist", ".venv", ".*.lock", "*.tgz")


def clients_of_the_checkout(home: Path) -> None:
    """Put the clients into the reader's checkout."""
    shutil.copytree(ROOT / "clients", home / "clients", ignore=_NOT_COMMITTED)


def installing(home: Path) -> dict[str, str]:
    """How `pip` and `npm` are configured on this machine, and where Python finds what the reader installs."""
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "NPM_CONFIG_"))}
    at_home = {
        "PIP_CONFIG_FILE": Path.home() / ".config" / "pip" / "pip.conf",
        "NPM_CONFIG_USERCONFIG": Path.home() / ".npmrc",
        "NPM_CONFIG_CACHE": Path.home() / ".npm",
    }
    found = {name: str(path) for name, path in at_home.items() if path.exists()}
    return found | kept | {"PYTHONPATH": str(home / "site")}


def provide(blocks: Sequence[Block], home: Path) -> None:
    """Have ready what a section's blocks would fetch from elsewhere; skips the test where there is no node."""
    kinds = {block.kind for block in blocks}
    if any("pip install" in block.text for block in blocks):
        # It installs into a folder of the reader's. What the client needs is there, as the server needs it too, and
        # what builds it is in the generator's environment.
        offline = f"--no-deps --no-build-isolation --target '{home / 'site'}'"
        pip = home / "bin" / "pip"
        pip.parent.mkdir()
        pip.write_text(f"#!/bin/sh\nexec '{generator_environment() / 'bin' / 'python'}' -m pip \"$@\" {offline}\n")
        pip.chmod(0o755)
    if "ts" in kinds:
        # With what compiles it in place, `npm install` there finds nothing to do.
        modules = npm_folder(TYPESCRIPT) / "node_modules"
        shutil.copytree(modules, home / "clients" / "typescript" / "node_modules", symlinks=True)
    if "js" in kinds:
        (home / "node_modules").symlink_to(npm_folder(NODE) / "node_modules")
        (home / "__generated__").symlink_to(relay_artifacts())
        (home / "package.json").write_text('{"type": "module"}')


def typescript(script: str, home: Path, env: Mapping[str, str]) -> Sequence[str | Path]:
    """The command that runs a script in TypeScript, once it has passed the strict compiler."""
    (home / "block.mts").write_text(script)
    installed = home / "clients" / "typescript" / "node_modules"
    types = ["--types", "node", "--typeRoots", str(installed / "@types")]
    strictly = ["--strict", "--target", "es2022", "--module", "nodenext", *types]
    run([str(installed / ".bin" / "tsc"), *strictly, "block.mts"], home, env)
    return [*NODE_WITH_SOCKETS, "block.mjs"]


def javascript(script: str, home: Path) -> Sequence[str | Path]:
    """The command that runs a script in JavaScript."""
    (home / "block.js").write_text(script)
    return [*NODE_WITH_SOCKETS, "block.js"]


NODE_WITH_SOCKETS = ("node", "--experimental-websocket")
"""Browsers, and node from version 22 on, have WebSockets by themselves; the flag stands for them in version 20."""
