"""What somebody meets who starts, stops and mistypes: the real commands as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from serving import database
from serving.errors import StartError
from serving.parts import running_parts
from serving.settings import read_settings
from tests.databases import cluster_dsn, fresh_database
from tests.packaging.processes import PROGRAMS, environment, run, started

pytestmark = pytest.mark.timeout(300)  # several real processes, one after another

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


def test_one_data_folder_serves_one_server_until_that_is_interrupted(env: dict[str, str], tmp_path: Path) -> None:
    with started(SERVE, env=env, cwd=tmp_path) as first:
        postgres = postgres_of(tmp_path / "data")

        second = refused(SERVE, env, tmp_path)

        assert f"process {first.process.pid}" in second
        assert first.url in second
        assert first.stop(signal.SIGINT) == 0
        assert not is_alive(postgres)


def test_a_server_killed_outright_starts_again_with_what_it_had(env: dict[str, str], tmp_path: Path) -> None:
    with started(SERVE, env=env, cwd=tmp_path) as server:
        made = run([LIFEOS, "submit", "Plan groceries"], env={**env, "LIFEOS_URL": server.url}, cwd=tmp_path)
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    with started(SERVE, env=env, cwd=tmp_path) as again:
        postgres = postgres_of(tmp_path / "data")

        watched = run([LIFEOS, "watch", made.output.strip()], env={**env, "LIFEOS_URL": again.url}, cwd=tmp_path)

        assert again.token == server.token
        assert (watched.status, "WORKFLOW_COMPLETE" in watched.output) == (0, True), watched.errors
        assert again.stop(signal.SIGTERM) == 0
        assert not is_alive(postgres)


def test_a_port_in_use_is_one_clear_line(env: dict[str, str], tmp_path: Path, dsn: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        said = refused([LIFEOS, "serve", "--port", str(port)], {**env, "LIFEOS_DATABASE_URL": dsn}, tmp_path)

    assert f"127.0.0.1:{port}" in said
    assert "in use" in said


BAD = {
    "DATABASE_URL": "mysql://127.0.0.1/lifeos",
    "ADMIN_TOKEN": "short",
    "APPROVE_FROM": "L9",
    "CONCURRENCY": "many",
    "LEASE_SECONDS": "-1",
    "SWEEP_SECONDS": "nan",
    "RETRY_CAP_SECONDS": "inf",
    "METRICS_PUBLIC": "perhaps",
    "TIME_ZONE": "Mars/Olympus",
}


def test_bad_settings_are_one_line_that_names_each_before_anything_else(env: dict[str, str], tmp_path: Path) -> None:
    said = refused([LIFEOS, "serve"], {**env, **{f"LIFEOS_{name}": value for name, value in BAD.items()}}, tmp_path)

    assert [name for name in BAD if f"LIFEOS_{name} " not in said] == []
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_a_bad_setting_is_named_and_its_value_is_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LIFEOS_{name}", value)

    with pytest.raises(StartError, match=f"LIFEOS_{name} ") as caught:
        read_settings()

    assert value not in str(caught.value)


@pytest.mark.parametrize(("path", "means"), [("file", "It is a file"), ("file/below", "A part of its path is a file")])
def test_a_data_folder_that_can_not_be_one_is_one_clear_line(
    path: str, means: str, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / path

    said = refused(SERVE, {**env, "LIFEOS_DATA_DIR": str(folder)}, tmp_path)

    assert said.startswith(f"lifeos: The folder {folder} cannot be used: ")
    assert said.endswith(f"{means}: choose another LIFEOS_DATA_DIR.")
    assert "Errno" not in said


def test_a_mistyped_name_is_reported_in_plain_words(env: dict[str, str], tmp_path: Path) -> None:
    port = refused([LIFEOS, "serve", "--port", "many"], env, tmp_path)
    word = refused([LIFEOS, "decide", "appr_1", "perhaps"], env, tmp_path)

    assert port.startswith("lifeos: Invalid value for '--port': should be a valid integer (")
    assert word.startswith("lifeos: Invalid value for 'decision': 'perhaps' is not one of 'approve', 'reject' (")


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


async def test_a_database_that_stays_away_is_named_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_WAIT_FOR_DATABASE_SECONDS", 0.6)
    monkeypatch.setenv("LIFEOS_DATABASE_URL", AWAY)

    with pytest.raises(StartError) as caught:
        async with running_parts(read_settings(), executes=True):
            pytest.fail("there is nothing to run on")

    assert str(caught.value).startswith("the database at 127.0.0.1:1 can't be used: ")
    assert str(caught.value).endswith("; look at LIFEOS_DATABASE_URL")


@pytest.mark.parametrize("command", [SERVE, [LIFEOS, "worker"]], ids=["serve", "worker"])
def test_who_still_waits_for_a_database_can_be_stopped(
    command: list[str | Path], env: dict[str, str], tmp_path: Path
) -> None:
    with started(command, env={**env, "LIFEOS_DATABASE_URL": AWAY}, cwd=tmp_path, ready=False) as waiting:
        waiting.wait_until_it_logs("waiting_for_the_database")

        assert waiting.stop() == 0


def test_what_is_waited_for_is_named(env: dict[str, str], tmp_path: Path) -> None:
    with started([LIFEOS, "worker"], env={**env, "LIFEOS_DATABASE_URL": AWAY}, cwd=tmp_path, ready=False) as waiting:
        waiting.wait_until_it_logs("waiting_for_the_database")

        assert '"at": "127.0.0.1:1"' in waiting.log()


SEVERAL = "postgresql://one:5432,two:5432/lifeos"


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "demo"])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("APPROVE_FORM", "L0", "LIFEOS_APPROVE_FORM is not known (is LIFEOS_APPROVE_FROM meant?)"),
        ("BROADCAST_URL", "ftp://127.0.0.1", "LIFEOS_BROADCAST_URL should be like redis://"),
        ("DATABASE_URL", SEVERAL, "LIFEOS_DATABASE_URL names several hosts"),
    ],
)
def test_every_command_that_starts_a_process_tells_a_wrong_setting(
    command: str, name: str, value: str, says: str, env: dict[str, str], tmp_path: Path
) -> None:
    said = refused([LIFEOS, command], {**env, f"LIFEOS_{name}": value}, tmp_path)

    assert says in said
    assert not (tmp_path / "data").exists()


def test_a_process_manager_gets_the_same_message(env: dict[str, str], tmp_path: Path) -> None:
    command = [PROGRAMS / "uvicorn", "server:app", "--port", "0"]

    ended = run(command, env={**env, "LIFEOS_APPROVE_FORM": "L0"}, cwd=tmp_path)

    assert ended.status != 0
    assert "LIFEOS_APPROVE_FORM is not known (is LIFEOS_APPROVE_FROM meant?)" in ended.errors
    assert "Traceback" not in ended.errors


def test_a_data_folder_that_is_a_file_is_reported_beside_a_database_too(
    env: dict[str, str], tmp_path: Path, dsn: str
) -> None:
    (tmp_path / "file").touch()

    said = refused([LIFEOS, "worker"], {**env, "LIFEOS_DATABASE_URL": dsn, "LIFEOS_DATA_DIR": "file"}, tmp_path)

    assert said == "lifeos: LIFEOS_DATA_DIR can't be used: file/admin-token: File exists"


def test_an_address_may_say_how_to_encrypt(env: dict[str, str], tmp_path: Path, dsn: str) -> None:
    env["LIFEOS_DATABASE_URL"] = f"{dsn}&sslmode=prefer"

    migrated = run([LIFEOS, "migrate"], env=env, cwd=tmp_path)

    assert (migrated.status, migrated.output[:29]) == (0, "The database is at revision 0"), migrated.errors


def test_a_database_that_comes_late_is_waited_for(env: dict[str, str], tmp_path: Path, dsn: str) -> None:
    (sockets,) = parse_qs(urlsplit(dsn).query)["host"]
    late = tmp_path / "sockets"
    address = dsn.replace(quote(sockets), quote(str(late)))

    with started(SERVE, env={**env, "LIFEOS_DATABASE_URL": address}, cwd=tmp_path, ready=False) as waiting:
        waiting.wait_until_it_logs("waiting_for_the_database")
        late.symlink_to(sockets)
        waiting.wait_until_ready()

        assert httpx.get(f"{waiting.url}/readyz").json()["status"] == "ready"
        assert waiting.stop() == 0


def postgres_of(data_dir: Path) -> int:
    """The process id of the embedded server."""
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
