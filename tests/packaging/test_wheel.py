"""The wheel, built from what is committed and installed where nothing else is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from tests.packaging.processes import ROOT, Ended, environment, run, started
from tests.packaging.test_first_use import is_alive, postgres_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CAN_BUILD_THE_PAGE = shutil.which("npm") is not None


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an empty virtual environment with the wheel in it, far from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    env = {**os.environ, **({} if CAN_BUILD_THE_PAGE else {"LIFEOS_SKIP_CONSOLE": "1"})}
    tree = folder / "tree"
    _copy_of_the_tree(tree)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _done(run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, tree], env=env, cwd=folder, timeout_seconds=300))
    (wheel,) = folder.glob("lifeos-*.whl")
    venv.create(folder / "venv", symlinks=True)
    shutil.rmtree(tree)
    install = ["--python", folder / "venv", "install", "--constraint", ROOT / "constraints.txt", wheel]
    _done(run([*pip, *install], env=env, cwd=folder, timeout_seconds=300))
    return folder / "venv" / "bin"


def _copy_of_the_tree(target: Path) -> None:
    """What is in the commit, or, where there is no repository, what is in the folder."""
    target.mkdir()
    if (ROOT / ".git").exists():
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", target], input=archive.stdout, check=True)
    else:
        skip = shutil.ignore_patterns(".venv", "node_modules", "static", "__pycache__", "build", "dist")
        shutil.copytree(ROOT, target, ignore=skip, dirs_exist_ok=True)


def _done(ended: Ended) -> None:
    assert ended.status == 0, f"{ended.output}\n{ended.errors}"


@pytest.fixture
def env(tmp_path: Path, installed: Path) -> dict[str, str]:
    """Of a person who has this environment and no other; the checkout is nowhere on the path."""
    found = environment(tmp_path)
    return found | {"PATH": f"{installed}{os.pathsep}{os.defpath}"}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_nothing_of_ours_stands_in_the_place_of_a_library(installed: Path) -> None:
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")

    assert not (packages / "alembic" / "versions").exists()
    assert (packages / "alembic" / "__init__.py").exists()
    assert (packages / "persistence" / "migrations" / "versions").is_dir()
    assert not (packages / "tests").exists()
    assert not (packages / "examples").exists()
    assert not (packages / "console" / "graphiql").exists()


def test_the_commands_that_need_no_server_answer(installed: Path, env: dict[str, str], empty: Path) -> None:
    helped = run([installed / "lifeos", "--help"], env=env, cwd=empty)
    printed = run([installed / "lifeos", "schema"], env=env, cwd=empty)

    assert (helped.status, "serve" in helped.output) == (0, True)
    assert (printed.status, printed.output) == (0, (ROOT / "schema" / "schema.graphql").read_text())


def test_the_demo_runs_to_its_end_in_an_empty_folder(installed: Path, env: dict[str, str], empty: Path) -> None:
    ended = run([installed / "lifeos", "demo", "--yes"], env=env, cwd=empty)

    assert (ended.status, ended.errors) == (0, "")
    assert "COMPLETED (CLEAN) 7/7" in ended.output
    assert not list(empty.iterdir())


def test_the_server_shows_graphiql_and_leaves_nothing_running(
    installed: Path, env: dict[str, str], empty: Path, tmp_path: Path
) -> None:
    with started([installed / "lifeos", "serve", "--port", "0"], env=env, cwd=empty) as server:
        postgres = postgres_of(tmp_path / "data")
        with httpx.Client(base_url=server.url, follow_redirects=True, headers={"Accept": "text/html"}) as browser:
            page = browser.get("/graphql", params={"token": server.token})
            scripts = [part.split('"')[0] for part in page.text.split('src="')[1:]]
            answers = [browser.get(script).status_code for script in scripts]

        status = server.stop(signal.SIGTERM)

    assert page.status_code == 200
    assert (bool(scripts), set(answers)) == ((True, {200}) if CAN_BUILD_THE_PAGE else (False, set[int]()))
    assert status == 0
    assert not is_alive(postgres)


def test_uvicorn_finds_the_application(installed: Path, env: dict[str, str], empty: Path) -> None:
    command = [installed / "uvicorn", "server:app", "--port", "0"]
    with started(command, env=env, cwd=empty, ready=False) as program:
        program.wait_until_it_logs("running on http://")
        url = program.log().split("running on ")[1].split()[0]

        assert httpx.get(f"{url}/readyz").json()["status"] == "ready"
        # uvicorn ends itself by the signal that it was sent, once it has stopped cleanly.
        assert program.stop() in (0, -signal.SIGTERM)
