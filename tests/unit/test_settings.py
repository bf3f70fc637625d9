"""Every setting that is wrong is reported at the start, by its name, and nothing else happens."""

import asyncio
import gc
import weakref
from asyncio import Future, get_running_loop
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console import environment
from console.errors import BadInput, ConsoleError
from console.settings import read_address
from persistence import addresses
from persistence.addresses import place_of
from schema.edge.http.connections import Connections
from serving import settings
from serving.application import Application
from serving.errors import StartError

INTEGER = ("many", "1.5", "-1", "1e3x", "٣x")
SECONDS = ("soon", "-1", "nan", "inf", "-inf", "1e300")

BAD: dict[str, tuple[str, ...]] = {
    "DATABASE_URL": (
        "localhost",
        "mysql://127.0.0.1/lifeos",
        "POSTGRESQL://127.0.0.1/lifeos",
        "postgresql+asyncpg://127.0.0.1/lifeos",
        "postgresql://one:5432,two:5432/lifeos",
        "postgresql://one,two/lifeos?target_session_attrs=read-write",
        "postgresql:///lifeos?host=one,two",
        "postgresql://127.0.0.1:99999/lifeos",
        "postgresql://127.0.0.1:0/lifeos",
        "postgresql://127.0.0.1:-5/lifeos",
        "postgresql://127.0.0.1:port/lifeos",
        "postgresql:///lifeos?host=/tmp&port=port",
        "postgresql://[::1/lifeos",
        "postgresql://ada:pass#word@127.0.0.1/lifeos",
        "postgresql://ada:pass/word@127.0.0.1/lifeos",
        "postgresql://ada:pass word@127.0.0.1/lifeos",
    ),
    "DATA_DIR": ("~nobody-of-that-name/lifeos",),
    "BROADCAST_URL": (
        "redis",
        "ftp://127.0.0.1",
        "memory://",
        "kafka://127.0.0.1",
        "redis://127.0.0.1:99999",
        "redis://127.0.0.1:port",
        "redis://[::1",
        "postgres://one,two/lifeos",
    ),
    "ADMIN_TOKEN": ("short", "a token with blanks in it", "ein-schönes-langes-token", "a-token-with\na-line-break"),
    "APPROVE_FROM": ("L9", "l3", "3"),
    "SEPARATION_OF_DUTIES": ("perhaps", "2"),
    "OUTSIDE_DESTINATION": ("show", "ASK", "true"),
    "ACCEPT_OUTSIDE": ("perhaps", "2"),
    "APPROVAL_TIMEOUT_SECONDS": SECONDS,
    "CONCURRENCY": (*INTEGER, "0", "1000000"),
    "LEASE_SECONDS": (*SECONDS, "0.5"),
    "SWEEP_SECONDS": (*SECONDS, "0"),
    "STEP_TIMEOUT_SECONDS": (*SECONDS, "0"),
    "GRACE_SECONDS": SECONDS,
    "RETRY_BASE_SECONDS": SECONDS,
    "RETRY_CAP_SECONDS": SECONDS,
    "MAX_PLAN_STEPS": (*INTEGER, "0"),
    "MAX_RUN_STEPS": (*INTEGER, "0"),
    "MAX_JSON_BYTES": (*INTEGER, "5"),
    "MAX_BODY_BYTES": (*INTEGER, "5"),
    "MAX_QUERY_TOKENS": (*INTEGER, "0"),
    "MAX_QUERY_DEPTH": (*INTEGER, "0"),
    "MAX_QUERY_ALIASES": INTEGER,
    "MAX_QUERY_DIRECTIVES": INTEGER,
    "MAX_QUERY_NODES": (*INTEGER, "0"),
    "MAX_PAGE": (*INTEGER, "0"),
    "MAX_SOCKETS_PER_USER": (*INTEGER, "0"),
    "MAX_OPERATIONS_PER_SOCKET": (*INTEGER, "0"),
    "REQUEST_TIMEOUT_SECONDS": (*SECONDS, "0"),
    "RATE_POINTS_PER_MINUTE": INTEGER,
    "METRICS_PUBLIC": ("perhaps", "2"),
    "OIDC_ISSUER": (
        "id.example.com",
        "http://id.example.com",
        "https://",
        "https://[::1",
        "https://id.example.com:99999",
    ),
    "TIME_ZONE": ("Mars/Olympus", "Europe", "/etc/localtime", "../UTC"),
}
ANY_TEXT = {"TOOLS", "OIDC_AUDIENCE", "OIDC_ROLE_CLAIM"}
"""What can only be found out by trying it."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in environment._set():
        if not name.startswith("TEST_"):
            monkeypatch.delenv(f"LIFEOS_{name}", raising=False)
    monkeypatch.setenv("LIFEOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIFEOS_TOKEN", "a-token")
    monkeypatch.chdir(tmp_path)


def refused(name: str) -> str:
    """What is said of the one setting that is wrong."""
    with pytest.raises(StartError) as caught:
        settings.read_settings()
    said = str(caught.value)
    assert said.startswith(f"bad settings: LIFEOS_{name} ")
    assert said.count("LIFEOS_") == 1
    assert "\n" not in said
    return said


def test_the_table_has_bad_values_for_every_setting() -> None:
    assert set(BAD) | ANY_TEXT == {name.upper() for name in settings.Settings.model_fields}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_one_line_that_names_the_setting_and_not_the_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LIFEOS_{name}", value)

    said = refused(name)

    assert "://" not in value or name == "OIDC_ISSUER" or value not in said
    assert name != "ADMIN_TOKEN" or value not in said
    assert "pass" not in said.replace("password@host", "").replace("a / in a password", "")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", "postgresql://one:5432,two:5432/lifeos", "names several hosts"),
        ("DATABASE_URL", "postgresql://one:99999/lifeos", "ports are 1 to 65535"),
        ("BROADCAST_URL", "ftp://127.0.0.1", "its scheme can't be used"),
        ("TIME_ZONE", "Europe/Berln", "should be a time zone like Europe/Berlin"),
    ],
)
def test_the_line_says_what_to_do(name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LIFEOS_{name}", value)

    assert says in refused(name)


@pytest.mark.parametrize("url", ["redis://127.0.0.1", "rediss://:secret@redis.example:6380/1"])
def test_redis_without_its_package_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "find_spec", lambda _name: None)
    monkeypatch.setenv("LIFEOS_BROADCAST_URL", url)

    said = refused("BROADCAST_URL")

    assert "pip install 'lifeos[redis]'" in said
    assert "secret" not in said


def test_redis_with_its_package_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "find_spec", lambda _name: find_spec("json"))
    monkeypatch.setenv("LIFEOS_BROADCAST_URL", "redis://127.0.0.1:6379/1")

    assert settings.read_settings().broadcast_url == "redis://127.0.0.1:6379/1"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://ada:secret@db.example:6432/lifeos", "db.example:6432"),
        ("postgres://db.example/lifeos", "db.example:5432"),
        ("postgresql://[::1]:6432/lifeos", "[::1]:6432"),
        ("postgresql://ada@/lifeos?host=/run/postgresql&port=6432", "/run/postgresql (port 6432)"),
        ("postgresql:///lifeos", "localhost:5432"),
        ("redis://cache.example", "cache.example:6379"),
    ],
)
def test_sound_addresses_lead_somewhere(url: str, place: str) -> None:
    assert addresses.fault_of_database(url) is None or url.startswith("redis")
    assert place_of(url) == place


# ── names ──


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("APPROVE_FORM", "APPROVE_FROM"),
        ("APROVAL_TIMEOUT_SECONDS", "APPROVAL_TIMEOUT_SECONDS"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("SECRETS_KEYS", "SECRETS_KEY"),
        ("PLANNER_MODLE", "PLANNER_MODEL"),
        ("TOKENS", "TOKEN"),
        ("approve_form", "APPROVE_FROM"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_name_that_nobody_knows_is_an_error_that_names_the_nearest(
    name: str, near: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "file":
        Path(".env").write_text(f"OTHER=1\nLIFEOS_{name}=L0\n")
    else:
        monkeypatch.setenv(f"LIFEOS_{name}", "L0")
    expected = f"bad settings: LIFEOS_{name.upper()} is not known (is LIFEOS_{near} meant?)"

    with pytest.raises(StartError) as caught:
        settings.read_settings()
    assert str(caught.value) == expected
    with pytest.raises(BadInput) as caught_by_command:
        read_address()
    assert str(caught_by_command.value) == expected


def test_bad_values_and_unknown_names_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFEOS_XYZZY", "1")
    monkeypatch.setenv("LIFEOS_CONCURRENCY", "many")

    with pytest.raises(StartError, match=r"LIFEOS_XYZZY is not known; LIFEOS_CONCURRENCY should be"):
        settings.read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_PIN", "1234"),
        ("URL", "http://127.0.0.1:9"),
        ("WEBHOOK_SECRET", "whsec_x"),
        ("SKIP_CONSOLE", "1"),
        ("TEST_EVERYTHING", "1"),
        ("QUEUE_URL", "redis://127.0.0.1"),
        ("L3_NEEDS_PASSKEY", "true"),
        # What Kubernetes sets in every container beside a service that is called lifeos.
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT_HTTP", "8000"),
        ("PORT", "tcp://10.0.0.1:8000"),
        ("PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("API_PORT", "tcp://10.0.0.1:8000"),
    ],
)
def test_what_means_something_to_another_process_is_known(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LIFEOS_{name}", value)

    assert settings.read_settings().concurrency == 100


def test_a_port_that_somebody_means_for_us_is_not_taken_for_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFEOS_PORT", "9000")

    with pytest.raises(StartError, match="LIFEOS_PORT is not known"):
        settings.read_settings()


def test_every_setting_that_a_server_reads_is_in_the_table() -> None:
    assert {name.upper() for name in settings.Settings.model_fields} <= environment.OF_SERVERS


def test_a_name_that_this_version_does_not_use_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFEOS_L3_NEEDS_PASSKEY", "true")
    monkeypatch.setenv("LIFEOS_CONCURRENCY", "5")
    used = {name.upper() for name in settings.Settings.model_fields}

    assert environment.unused_names(used) == ["LIFEOS_L3_NEEDS_PASSKEY"]
    assert environment.unused_names({*used, "L3_NEEDS_PASSKEY"}) == []


@pytest.mark.parametrize("read", [settings.read_settings, read_address])
def test_a_file_that_is_not_text_is_one_clear_line(read: Any) -> None:
    Path(".env").write_bytes(b"LIFEOS_CONCURRENCY=\xff\xfe\n")

    with pytest.raises(ConsoleError, match=r"^the file \.env in the working folder is not UTF-8$"):
        read()


# ── the end ──


class Slow:
    """A connection that takes its time to close, and that nobody else holds."""

    viewer = SimpleNamespace(id=1)
    token = "t"

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.closed = asyncio.Event()
        self.waits: Callable[[], Future[None] | None] = lambda: None

    async def close(self, code: int, reason: str) -> None:
        future: Future[None] = get_running_loop().create_future()
        self.waits = weakref.ref(future)
        self.begun.set()
        await future
        self.closed.set()


async def test_what_closes_the_sockets_is_held_until_it_is_done() -> None:
    application, connections, slow = Application(), Connections(max_per_user=1), Slow()
    connections.add(slow)
    application._site = SimpleNamespace(view=SimpleNamespace(connections=connections))  # pyright: ignore[reportAttributeAccessIssue]

    application.stop()
    await slow.begun.wait()
    gc.collect()

    waits = slow.waits()
    assert waits is not None, "the closing was collected as garbage"
    waits.set_result(None)
    await slow.closed.wait()
