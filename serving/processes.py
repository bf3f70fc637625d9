"""The commands that run something: a server, a worker, a migration, the demo."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import Any

import typer

from console.client import Client
from console.demo import run_demo
from console.settings import Address
from persistence.logs import configure_logs
from persistence.revisions import head
from schema.api.schema import sdl
from serving.database import database_address, migrated
from serving.errors import StartError
from serving.parts import running_parts
from serving.settings import Settings, read_settings
from serving.uvicorn_server import serving


async def _serve(settings: Settings, *, host: str, port: int, executes: bool) -> None:
    async with serving(settings, host=host, port=port, executes=executes) as served:
        typer.echo(f"Life OS is ready. Open GraphiQL at\n  {served.url}/graphql?token={served.token}")
        sys.stdout.flush()
        await served.server.ended.wait()


def serve(*, host: str, port: int, engine: bool) -> None:
    """Serve the API, and run steps, in one process."""
    settings = read_settings()
    configure_logs(redact=settings.redaction().of_text)
    _run(_serve(settings, host=host, port=port, executes=engine))


def worker() -> None:
    """Run steps alone; any number of workers share one database."""
    settings = read_settings()
    if settings.database_url is None:
        raise StartError(
            "a worker needs LIFEOS_DATABASE_URL: an embedded database serves one `lifeos serve`, "
            "which runs steps itself"
        )
    configure_logs(redact=settings.redaction().of_text)
    _run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    starting = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        if starting is not None:
            starting.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    with contextlib.suppress(asyncio.CancelledError):
        async with running_parts(settings, executes=True):
            starting = None
            print("The worker is ready.", flush=True)  # noqa: T201
            await stop.wait()


def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = read_settings()
    configure_logs()

    async def work() -> None:
        async with database_address(settings) as (dsn, _):
            await migrated(dsn)

    _run(work())
    typer.echo(f"The database is at revision {head()}.")


def schema() -> None:
    """Print the GraphQL schema in its own language."""
    typer.echo(sdl(), nl=False)


def demo(*, yes: bool) -> None:
    """Run the demo against a server of its own: one sentence, a plan, two approvals, and what was made."""
    settings = read_settings()
    configure_logs(quiet=True, redact=settings.redaction().of_text)

    async def work() -> None:
        async with (
            # Ctrl-C is for the demo, which then cancels its run while the server is still there.
            serving(settings, host="127.0.0.1", port=0, heeds_signals=False) as served,
            Client(Address(served.url, served.token)) as client,
        ):
            await run_demo(client, yes=yes, data_dir=settings.data_dir.expanduser())

    _run(work())


def _run(work: Any) -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
