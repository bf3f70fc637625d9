"""The wheel, built from what is committed and installed where nothing else is."""

from __future__ import annotations

import os
import re
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

BUILT_PAGE = ROOT / "console" / "static"
CAN_BUILD_THE_PAGE = shutil.which("npm") is not None
HAS_PAGE = CAN_BUILD_THE_PAGE or BUILT_PAGE.is_dir()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_wheel_in_an_empty_environment_is_all_it_takes(tmp_path: Path) -> None:
    """One test, so that what it builds is built once, however many workers share the tests."""
    programs = installed(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    # Neither the checkout nor its environment is anywhere on the path.
    env = environment(tmp_path) | {"PATH": f"{programs}{os.pathsep}{os.defpath}"}

    nothing_of_ours_stands_in_the_place_of_a_library(programs)
    what_needs_no_server_answers(programs, env, empty)
    the_demo_runs_to_its_end(programs, env, empty)
    the_server_shows_graphiql_and_leaves_nothing_running(programs, env, empty)
    uvicorn_finds_the_application(programs, env, empty)
    assert not list(empty.iterdir())


def installed(folder: Path) -> Path:
    """The `bin` of a new virtual environment with the wheel in it."""
    tree, environment_folder = folder / "tree", folder / "venv"
    copy_the_tree(tree)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    env = {**os.environ, **({} if CAN_BUILD_THE_PAGE else {"LIFEOS_SKIP_CONSOLE": "1"})}
    done(run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, tree], env=env, cwd=folder, timeout_seconds=300))
    shutil.rmtree(tree)
    (wheel,) = folder.glob("lifeos-*.whl")
    venv.create(environment_folder, symlinks=True)
    # Without compiling what nobody will import.
    install = [
        "--python",
        environment_folder,
        "install",
        "--no-compile",
        "--constraint",
        ROOT / "constraints.txt",
        wheel,
    ]
    done(run([*pip, *install], env=env, cwd=folder, timeout_seconds=300))
    return environment_folder / "bin"


def copy_the_tree(target: Path) -> None:
    """What is committed (or, without a repository, all there is), and the page if the checkout has built it."""
    target.mkdir()
    if (ROOT / ".git").exists():
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", target], input=archive.stdout, check=True)
    else:
        skip = shutil.ignore_patterns(".*", "node_modules", "static", "__pycache__", "build", "dist")
        shutil.copytree(ROOT, target, ignore=skip, dirs_exist_ok=True)
    if BUILT_PAGE.is_dir():
        shutil.copytree(BUILT_PAGE, target / "console" / "static")


def done(ended: Ended) -> None:
    assert ended.status == 0, f"{ended.output}\n{ended.errors}"


def nothing_of_ours_stands_in_the_place_of_a_library(programs: Path) -> None:
    (packages,) = (programs.parent / "lib").glob("python*/site-packages")
    (record,) = packages.glob("lifeos-*.dist-info/RECORD")
    ours = {line.split(",")[0].split("/")[0] for line in record.read_text().splitlines()}

    assert {name for name in ours if not name.startswith(("lifeos-", ".."))} == {
        "server.py",
        "serving",
        "schema",
        "engine",
        "persistence",
        "console",
    }
    assert list((packages / "persistence" / "migrations" / "versions").glob("0001_*.py"))
    assert not (packages / "console" / "graphiql").exists()


def what_needs_no_server_answers(programs: Path, env: dict[str, str], empty: Path) -> None:
    helped = run([programs / "lifeos", "--help"], env=env, cwd=empty)
    printed = run([programs / "lifeos", "schema"], env=env, cwd=empty)

    assert (helped.status, "serve" in helped.output) == (0, True)
    assert (printed.status, printed.output.startswith(('"""', "type ", "schema "))) == (0, True)


def the_demo_runs_to_its_end(programs: Path, env: dict[str, str], empty: Path) -> None:
    ended = run([programs / "lifeos", "demo", "--yes"], env=env, cwd=empty)

    assert (ended.status, ended.errors) == (0, "")
    assert "COMPLETED (CLEAN) 7/7" in ended.output


def the_server_shows_graphiql_and_leaves_nothing_running(programs: Path, env: dict[str, str], empty: Path) -> None:
    with started([programs / "lifeos", "serve", "--port", "0"], env=env, cwd=empty) as server:
        postgres = postgres_of(Path(server.data_dir))
        with httpx.Client(base_url=server.url, follow_redirects=True, headers={"Accept": "text/html"}) as browser:
            page = browser.get("/graphql", params={"token": server.token})
            scripts = re.findall(r'src="([^"]+)"', page.text)
            answers = {browser.get(script).status_code for script in scripts}

        status = server.stop(signal.SIGTERM)

    assert page.status_code == 200
    assert (len(scripts) > 0, answers) == ((True, {200}) if HAS_PAGE else (False, set[int]()))
    assert status == 0
    assert not is_alive(postgres)


def uvicorn_finds_the_application(programs: Path, env: dict[str, str], empty: Path) -> None:
    with started([programs / "uvicorn", "server:app", "--port", "0"], env=env, cwd=empty, ready=False) as program:
        program.wait_until_it_logs("running on http://")
        url = program.log().split("running on ")[1].split()[0]

        assert httpx.get(f"{url}/readyz").json()["status"] == "ready"
        # uvicorn ends itself by the signal that it was sent, once it has stopped cleanly.
        assert program.stop() in (0, -signal.SIGTERM)
