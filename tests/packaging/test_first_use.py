"""What somebody meets who starts, stops and mistypes: the real commands as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from tests.databases import cluster_dsn, fresh_database
from tests.packaging.processes import PROGRAMS, environment, run, started

LIFEOS = PROGRAMS / "lifeos"
SERVE = [LIFEOS, "serve", "--port", "0"]
AWAY = "postgresql://127.0.0.1:1/lifeos"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path)


@pytest.fixture
def dsn() -> Generator[str]:
    """A new, empty database."""
    with asyncio.Runner() as runner:
        database = fresh_database()
        yield runner.run(database.__aenter__())
        runner.run(database.__aexit__(None, None, None))


def refused(command: list[str | Path], env: dict[str, str], cwd: Path) -> str:
    """The one line that a command ends with."""
    ended = run(command, env=env, cwd=cwd)
    lines = [line for line in ended.errors.splitlines() if not line.startswith("{")]
    assert ended.status != 0
    assert (len(lines), ended.output) == (1, ""), ended.errors
    assert "unexpected" not in lines[0]
    return lines[0]


def test_one_data_folder_serves_one_server_and_names_it_to_the_next(env: dict[str, str], tmp_path: Path) -> None:
    with started(SERVE, env=env, cwd=tmp_path) as first:
        second = refused(SERVE, env, tmp_path)

        assert f"process {first.process.pid}" in second
        assert first.url in second
        assert refused([LIFEOS, "migrate"], env, tmp_path) == second
        assert first.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_with_status_0_and_its_postgres_too(
    number: int, env: dict[str, str], tmp_path: Path
) -> None:
    with started(SERVE, env=env, cwd=tmp_path) as server:
        postgres = postgres_of(tmp_path / "data")

        status = server.stop(number)

    assert status == 0
    assert not is_alive(postgres)


def test_a_server_killed_outright_starts_again_with_what_it_had(env: dict[str, str], tmp_path: Path) -> None:
    with started(SERVE, env=env, cwd=tmp_path) as server:
        made = run([LIFEOS, "submit", "Plan groceries"], env={**env, "LIFEOS_URL": server.url}, cwd=tmp_path)
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with started(SERVE, env=env, cwd=tmp_path) as again:
        watched = run([LIFEOS, "watch", made.output.strip()], env={**env, "LIFEOS_URL": again.url}, cwd=tmp_path)

        assert again.token == server.token
        assert (watched.status, "WORKFLOW_COMPLETE" in watched.output) == (0, True), watched.errors


def test_a_port_in_use_is_one_clear_line(env: dict[str, str], tmp_path: Path, dsn: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        said = refused([LIFEOS, "serve", "--port", str(port)], {**env, "LIFEOS_DATABASE_URL": dsn}, tmp_path)

    assert f"127.0.0.1:{port}" in said
    assert "in use" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONCURRENCY", "many"),
        ("LEASE_SECONDS", "-1"),
        ("APPROVE_FROM", "L9"),
        ("DATABASE_URL", "mysql://127.0.0.1/lifeos"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("ADMIN_TOKEN", "short"),
        ("METRICS_PUBLIC", "perhaps"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_bad_setting_is_one_clear_line_before_anything_else(
    command: str, name: str, value: str, env: dict[str, str], tmp_path: Path
) -> None:
    said = refused([LIFEOS, command], {**env, f"LIFEOS_{name}": value}, tmp_path)

    assert f"LIFEOS_{name}" in said
    assert not (tmp_path / "data").exists()


def test_a_tool_module_that_is_not_there_is_one_clear_line(env: dict[str, str], tmp_path: Path) -> None:
    said = refused(SERVE, {**env, "LIFEOS_TOOLS": "no_such_tools"}, tmp_path)

    assert "no_such_tools" in said
    assert not (tmp_path / "data").exists()


def test_a_worker_needs_a_database_to_share(env: dict[str, str], tmp_path: Path) -> None:
    assert "LIFEOS_DATABASE_URL" in refused([LIFEOS, "worker"], env, tmp_path)


def test_a_database_that_does_not_exist_is_one_clear_line(env: dict[str, str], tmp_path: Path) -> None:
    wrong = urlsplit(cluster_dsn())._replace(path="/no_such_database").geturl()

    said = refused([LIFEOS, "worker"], {**env, "LIFEOS_DATABASE_URL": wrong}, tmp_path)

    assert "no_such_database" in said
    assert "LIFEOS_DATABASE_URL" in said


@pytest.mark.slow
def test_a_database_that_stays_away_is_waited_for_and_then_named(env: dict[str, str], tmp_path: Path) -> None:
    said = refused(SERVE, {**env, "LIFEOS_DATABASE_URL": AWAY}, tmp_path)

    assert "the database can't be used" in said
    assert "LIFEOS_DATABASE_URL" in said


@pytest.mark.parametrize("command", [SERVE, [LIFEOS, "worker"]], ids=["serve", "worker"])
def test_who_still_waits_for_a_database_can_be_stopped(
    command: list[str | Path], env: dict[str, str], tmp_path: Path
) -> None:
    with started(command, env={**env, "LIFEOS_DATABASE_URL": AWAY}, cwd=tmp_path, ready=False) as waiting:
        waiting.wait_until_it_logs("waiting_for_the_database")

        assert waiting.stop() == 0


def test_a_database_that_comes_late_is_waited_for(env: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "database"
    late = {**env, "LIFEOS_DATA_DIR": str(place)}
    with started(SERVE, env=late, cwd=tmp_path) as first:
        address = dsn_of(place)
        assert first.stop() == 0

    with started(SERVE, env={**env, "LIFEOS_DATABASE_URL": address}, cwd=tmp_path, ready=False) as waiting:
        waiting.wait_until_it_logs("waiting_for_the_database")
        with started(SERVE, env=late, cwd=tmp_path):
            waiting.wait_until_ready()

            assert httpx.get(f"{waiting.url}/readyz").json()["status"] == "ready"
            assert waiting.stop() == 0


def test_a_worker_runs_what_a_server_without_an_engine_takes(env: dict[str, str], tmp_path: Path, dsn: str) -> None:
    shared = {**env, "LIFEOS_DATABASE_URL": dsn}
    with (
        started([*SERVE, "--no-engine"], env=shared, cwd=tmp_path) as server,
        started([LIFEOS, "worker"], env=shared, cwd=tmp_path) as worker,
    ):
        done = run(
            [LIFEOS, "submit", "Plan groceries", "--watch"], env={**shared, "LIFEOS_URL": server.url}, cwd=tmp_path
        )

        assert (done.status, "WORKFLOW_COMPLETE" in done.output) == (0, True), done.errors
        assert worker.stop(signal.SIGINT) == 0
        assert server.stop(signal.SIGINT) == 0


def test_uvicorn_serves_the_same_application(env: dict[str, str], tmp_path: Path, dsn: str) -> None:
    token = "a-token-of-sixteen-or-more"
    settings = {**env, "LIFEOS_DATABASE_URL": dsn, "LIFEOS_ADMIN_TOKEN": token}
    command = [PROGRAMS / "uvicorn", "server:app", "--port", "0", "--app-dir", str(Path(__file__).parents[2])]
    with started(command, env=settings, cwd=tmp_path, ready=False) as program:
        program.wait_until_it_logs("running on http://")
        url = program.log().split("running on ")[1].split()[0]

        assert httpx.get(f"{url}/readyz").json()["status"] == "ready"
        answer = httpx.post(
            f"{url}/graphql", json={"query": "{ viewer { roles } }"}, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json() == {"data": {"viewer": {"roles": ["ADMIN"]}}}


async def test_migrating_tells_the_revision_and_may_be_repeated(env: dict[str, str], tmp_path: Path) -> None:
    async with fresh_database() as address:
        settings = {**env, "LIFEOS_DATABASE_URL": address}

        first, again = [await asyncio.to_thread(run, [LIFEOS, "migrate"], env=settings, cwd=tmp_path) for _ in range(2)]

        connection = await asyncpg.connect(address)
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
        await connection.close()
    assert first.output == again.output
    assert (first.status, again.status) == (0, 0)
    assert revision in first.output


def postgres_of(data_dir: Path) -> int:
    """The process id of the embedded server."""
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def dsn_of(data_dir: Path) -> str:
    """The address of the embedded server; its socket's folder is named after the data folder."""
    sockets = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    return f"postgresql://lifeos@/lifeos?host={sockets}"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
