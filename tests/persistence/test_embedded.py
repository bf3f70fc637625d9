import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.embedded import (
    DataFolderInUse,
    EmbeddedPostgres,
    FolderUnusable,
    NotTheMainThread,
    OtherMajorVersion,
    StartFailed,
    account,
    binaries,
    postgres,
)
from persistence.migrate import async_url

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30
CARELESS = {"fsync": "off"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

# A process like `lifeos serve`: it says who it and its server are, then lives until it is killed.
SERVE = """
import json, os, signal, sys
from pathlib import Path
from persistence.embedded import EmbeddedPostgres, child

child.KERNEL_TELLS_CHILDREN = json.loads(sys.argv[2])
server = EmbeddedPostgres(Path(sys.argv[1]))
dsn = server.start()
server.announce("127.0.0.1:8000")
print(json.dumps({"pid": os.getpid(), "server_pid": server.pid, "dsn": dsn}), flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Served:
    process: "subprocess.Popen[str]"
    server_pid: int
    dsn: str


@contextmanager
def served(data_dir: Path, *, kernel_tells: bool = sys.platform == "linux") -> Generator[Served]:
    """Another process that serves the folder; killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(data_dir), json.dumps(kernel_tells)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Served(process, said["server_pid"], said["dsn"])
        finally:
            process.kill()


def wait_for_the_end_of(pid: int) -> None:
    """Return when the process, which need not be our child, has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], f"process {pid} lives on"
    finally:
        os.close(descriptor)


async def execute(dsn: str, *statements: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        result = None
        for statement in statements:
            result = await connection.fetchval(statement)
        return result
    finally:
        await connection.close()


def socket_folder(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["host"][0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a database in it, which tests leave as they found it: stopped."""
    data_dir = tmp_path_factory.mktemp("embedded")
    server = EmbeddedPostgres(data_dir, settings=CARELESS)
    server.start()
    server.stop()
    return data_dir


@pytest.fixture
def reachable() -> Iterator[Path]:
    """An empty folder that every account can reach, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="lifeos-embedded-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextmanager
def running(data_dir: Path) -> Generator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir, settings=CARELESS)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def test_an_empty_folder_becomes_a_durable_database(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "made" / "by us")

    try:
        dsn = server.start()

        assert dsn == server.dsn
        assert await execute(dsn, "SELECT current_database()") == "lifeos"
        assert await execute(dsn, "SHOW fsync") == "on"
        assert await execute(dsn, "SHOW full_page_writes") == "on"
        assert await execute(dsn, "SHOW synchronous_commit") == "on"
        assert (
            await execute(
                dsn, "SELECT lower('ÄÖÜ') || (SELECT string_agg(x, '' ORDER BY x) FROM unnest('{a,B}'::text[]) x)"
            )
            == "äöüBa"
        )
    finally:
        server.stop()


async def test_what_was_written_is_there_at_the_next_start(folder: Path) -> None:
    with running(folder) as server:
        await execute(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")

    with running(folder) as server:
        assert await execute(server.dsn, "SELECT answer FROM kept") == 42
        await execute(server.dsn, "DROP TABLE kept")


async def test_sqlalchemy_takes_the_dsn_too(folder: Path) -> None:
    with running(folder) as server:
        engine = create_async_engine(async_url(server.dsn))
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT current_user"))).scalar() == "lifeos"
        await engine.dispose()


async def test_the_environment_does_not_lead_the_dsn_astray(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")

    with running(folder) as server:
        assert await execute(server.dsn, "SELECT current_database()") == "lifeos"


async def test_settings_are_passed_on(folder: Path) -> None:
    with running(folder) as server:
        assert await execute(server.dsn, "SHOW fsync") == "off"


def test_starting_twice_is_starting_once(folder: Path) -> None:
    with running(folder) as server:
        pid = server.pid

        assert server.start() == server.dsn
        assert server.pid == pid


def test_stopping_ends_the_server_and_removes_its_socket(folder: Path) -> None:
    with running(folder) as server:
        pid = server.pid
        assert pid is not None

    assert server.pid is None
    assert not server.is_running()
    assert not socket_folder(server.dsn).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_server_that_died_may_be_started_again(folder: Path) -> None:
    with running(folder) as server:
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for_the_end_of(pid)
        assert not server.is_running()

        server.start()

        assert await execute(server.dsn, "SELECT 1") == 1


def test_a_second_process_learns_which_process_holds_the_folder(folder: Path) -> None:
    with served(folder) as first:
        with pytest.raises(DataFolderInUse) as refused:
            EmbeddedPostgres(folder).start()

        assert refused.value.pid == first.process.pid
        assert refused.value.address == "127.0.0.1:8000"
        assert str(first.process.pid) in str(refused.value)
        assert "127.0.0.1:8000" in str(refused.value)


def test_of_two_that_start_at_once_one_serves(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path), "true"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        by_stderr = {process.stderr: process for process in processes if process.stderr is not None}
        ended, _, _ = select.select(list(by_stderr), [], [], PATIENCE_SECONDS)
        loser = by_stderr[ended[0]]
        winner = next(p for p in processes if p is not loser)
        complaint = loser.communicate(timeout=PATIENCE_SECONDS)[1]

        assert f"in use by process {winner.pid}" in complaint
        assert winner.stdout is not None
        assert json.loads(winner.stdout.readline())["pid"] == winner.pid
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kernel_tells", [pytest.param(True, marks=ON_LINUX), False])
def test_the_server_goes_when_its_parent_is_killed(folder: Path, sent: signal.Signals, *, kernel_tells: bool) -> None:
    with served(folder, kernel_tells=kernel_tells) as parent:
        parent.process.send_signal(sent)

        wait_for_the_end_of(parent.server_pid)

        assert parent.process.wait(PATIENCE_SECONDS) == -sent


def test_ctrl_c_reaches_the_server_only_through_us(folder: Path) -> None:
    with running(folder) as server:
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)


async def test_what_was_committed_survives_the_death_of_the_parent(folder: Path) -> None:
    with served(folder) as parent:
        await execute(parent.dsn, "CREATE TABLE survivors AS SELECT generate_series(1, 1000)")
        parent.process.kill()

    with running(folder) as server:  # at once, while the server before it may still write its checkpoint
        assert await execute(server.dsn, "SELECT count(*) FROM survivors") == 1000
        await execute(server.dsn, "DROP TABLE survivors")


async def test_what_was_committed_survives_the_death_of_parent_and_server(folder: Path) -> None:
    with served(folder) as parent:
        await execute(parent.dsn, "CREATE TABLE survivors AS SELECT generate_series(1, 1000)")
        os.kill(parent.server_pid, signal.SIGKILL)
        parent.process.kill()

    with running(folder) as server:
        assert await execute(server.dsn, "SELECT count(*) FROM survivors") == 1000
        await execute(server.dsn, "DROP TABLE survivors")


@ON_LINUX
def test_a_start_waits_for_the_server_of_a_killed_process(folder: Path) -> None:
    with served(folder) as parent:
        os.kill(parent.server_pid, signal.SIGSTOP)  # a shutdown that takes its time
        parent.process.kill()
        parent.process.wait(PATIENCE_SECONDS)
        with ThreadPoolExecutor(1) as thread:
            server = EmbeddedPostgres(folder, settings=CARELESS)
            # Started here, in the main thread; the other lets the old server go on once we wait for it.
            going_on = thread.submit(resume_when_locked_out, folder, parent.server_pid)

            server.start()

            going_on.result()
            server.stop()


def test_a_server_that_does_not_end_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_LAST_SERVER_SECONDS", 0.1)
    with served(folder) as parent:
        os.kill(parent.server_pid, signal.SIGSTOP)
        parent.process.kill()
        parent.process.wait(PATIENCE_SECONDS)
        try:
            with pytest.raises(DataFolderInUse) as refused:
                EmbeddedPostgres(folder).start()
        finally:
            os.kill(parent.server_pid, signal.SIGCONT)
            wait_for_the_end_of(parent.server_pid)

    assert refused.value.pid == parent.server_pid


def resume_when_locked_out(folder: Path, pid: int) -> None:
    lock = (folder / "lifeos.lock").stat()
    wanted = f":{lock.st_ino} "  # the new one holds the folder and is about to wait
    deadline = time.monotonic() + PATIENCE_SECONDS / 6
    while wanted not in Path("/proc/locks").read_text() and time.monotonic() < deadline:
        os.sched_yield()
    os.kill(pid, signal.SIGCONT)


def test_a_stale_lock_file_is_not_in_the_way(folder: Path) -> None:
    (folder / "lifeos.lock").write_text(json.dumps({"pid": os.getppid(), "address": "127.0.0.1:1"}))

    with running(folder) as server:
        assert server.is_running()


@ON_LINUX
def test_a_pid_file_whose_pid_belongs_to_somebody_else_is_not_in_the_way(folder: Path) -> None:
    with served(folder) as parent:
        pid_file = folder / "postgres" / "postmaster.pid"
        left = pid_file.read_text()
        os.kill(parent.server_pid, signal.SIGKILL)
        parent.process.kill()
        parent.process.wait(PATIENCE_SECONDS)
    with subprocess.Popen(["/bin/sleep", "1000"]) as somebody:
        pid_file.write_text(left.replace(str(parent.server_pid), str(somebody.pid), 1))
        try:
            with running(folder) as server:
                assert server.is_running()
        finally:
            somebody.kill()


@ON_LINUX
def test_a_server_started_by_hand_is_left_alone(folder: Path) -> None:
    with served(folder) as parent:
        os.kill(parent.server_pid, 0)
        for name in ("lifeos.lock", "postgres.lock"):  # as if it had never asked for them
            (folder / name).unlink()

        with pytest.raises(DataFolderInUse) as refused:
            EmbeddedPostgres(folder).start()

        assert refused.value.pid == parent.server_pid


def test_another_major_version_is_named(folder: Path) -> None:
    version = folder / "postgres" / "PG_VERSION"
    version.write_text("16\n")

    try:
        with pytest.raises(OtherMajorVersion, match=r"PostgreSQL 16.*PostgreSQL 18.*pg_dump") as refused:
            EmbeddedPostgres(folder).start()
    finally:
        version.write_text("18\n")

    assert (refused.value.found, refused.value.ours) == ("16", 18)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letter.txt").touch()
    give_away(tmp_path / "postgres")

    with pytest.raises(FolderUnusable, match="not a PostgreSQL database"):
        EmbeddedPostgres(tmp_path).start()


def test_an_initdb_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    draft = tmp_path / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")

    with running(tmp_path) as server:
        assert server.is_running()
    assert not draft.exists()


def test_a_failed_start_says_what_postgres_said_and_frees_the_folder(folder: Path) -> None:
    with pytest.raises(StartFailed) as failed:
        EmbeddedPostgres(folder, settings={"shared_buffers": "plenty"}).start()

    assert 'invalid value for parameter "shared_buffers": "plenty"' in failed.value.log_tail
    assert "LIFEOS_DATABASE_URL" in str(failed.value)
    with running(folder) as server:
        assert server.is_running()


@AS_ROOT
@ON_LINUX
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(tmp_path)], check=False).returncode:
        pytest.skip("may not mount")
    try:
        with pytest.raises(StartFailed, match=r"The disk is full"):
            EmbeddedPostgres(tmp_path).start()
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FolderUnusable, match="file/data"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_only_the_main_thread_may_start_it(folder: Path) -> None:
    with ThreadPoolExecutor(1) as thread, pytest.raises(NotTheMainThread):
        thread.submit(EmbeddedPostgres(folder).start).result()


async def test_a_path_longer_than_any_socket_may_have_works(folder: Path) -> None:
    data_dir = folder / ("long" * 20) / ("longer" * 20) / "data"
    data_dir.mkdir(parents=True)
    (folder / "postgres").rename(data_dir / "postgres")

    try:
        with running(data_dir) as server:
            assert await execute(server.dsn, "SELECT 1") == 1
    finally:
        (data_dir / "postgres").rename(folder / "postgres")


def test_only_its_account_reaches_the_socket(folder: Path) -> None:
    with running(folder) as server:
        sockets = socket_folder(server.dsn)
        found = sockets.stat()

        assert stat.S_IMODE(found.st_mode) == 0o700
        assert found.st_uid == (folder / "postgres").stat().st_uid
        assert stat.S_IMODE((sockets / ".s.PGSQL.5432").stat().st_mode) == 0o700


async def test_it_listens_on_no_network_address(folder: Path) -> None:
    with running(folder) as server:
        assert await execute(server.dsn, "SHOW listen_addresses") == ""


@AS_ROOT
async def test_as_root_a_folder_below_a_private_home_works_and_stays_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    data_dir = home / ".local" / "share" / "lifeos"

    with running(data_dir) as server:
        await execute(server.dsn, "SELECT 1")

        assert server.pid is not None
        assert process_owner(server.pid) != 0
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert home.stat().st_uid == 0
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


@AS_ROOT
async def test_as_root_somebody_elses_folder_is_served_as_its_owner(reachable: Path) -> None:
    data_dir = reachable / "data"
    data_dir.mkdir(mode=0o700)
    give_away(data_dir)

    with running(data_dir) as server:
        assert await execute(server.dsn, "SHOW data_directory") == str(data_dir / "postgres")
        assert server.pid is not None
        assert process_owner(server.pid) == data_dir.stat().st_uid
    assert {path.stat().st_uid for path in data_dir.iterdir()} == {data_dir.stat().st_uid}


@AS_ROOT
def test_as_root_a_planted_link_is_not_followed(reachable: Path) -> None:
    victim = reachable / "victim"
    victim.write_text("precious")
    data_dir = reachable / "data"
    data_dir.mkdir()
    (data_dir / "lifeos.lock").symlink_to(victim)

    with pytest.raises(FolderUnusable):
        EmbeddedPostgres(data_dir).start()

    assert victim.read_text() == "precious"


@AS_ROOT
def test_as_root_programs_below_a_private_home_are_copied_once(
    tmp_path: Path, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.package_folder()
    private = tmp_path / "site-packages" / package.name
    shutil.copytree(package / "pginstall18", private / "pginstall18")
    shutil.copytree(package.with_suffix(".libs"), private.with_suffix(".libs"))
    private.parent.chmod(0o700)
    monkeypatch.setattr(binaries, "package_folder", lambda: private)
    monkeypatch.setattr(binaries, "_CACHES", (reachable / "cache",))
    nobody = account.Account(65534, 65534)

    with ThreadPoolExecutor(4) as threads:
        programs = set(threads.map(binaries.programs_for, [nobody] * 4))

    assert len(programs) == 1
    assert [path.name for path in (reachable / "cache").iterdir()] == [programs.pop().parents[2].name]
    with running(tmp_path / "data") as server:
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(reachable)


@AS_ROOT
def test_as_root_a_cache_that_somebody_else_made_is_not_trusted(
    tmp_path: Path, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, open_to_all, ours = (reachable / name for name in ("taken", "open", "ours"))
    taken.mkdir()
    give_away(taken)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (reachable / "link").symlink_to(tmp_path)
    monkeypatch.setattr(binaries, "_CACHES", (taken, open_to_all, reachable / "link", ours))

    assert binaries.cache_folder() == ours


@AS_ROOT
async def test_a_socket_folder_that_somebody_else_made_is_left_to_them(
    folder: Path, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(folder) as server:
        usual = socket_folder(server.dsn)
    usual.mkdir()  # root's, not the account's

    try:
        with running(folder) as server:
            assert socket_folder(server.dsn) != usual
            assert await execute(server.dsn, "SELECT 1") == 1
    finally:
        usual.rmdir()


def give_away(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)


def process_owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
