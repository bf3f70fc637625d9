"""A request that runs out of time over a link that has gone silent costs its connection, and no traceback."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.faults.keeper import ROOT
from tests.faults.proxy import link_to

_PROGRAM = """
import asyncio, gc, sys
from persistence.database import Database, DatabaseSettings
from persistence.logs import configure_logs

async def main():
    configure_logs()
    database = Database(DatabaseSettings(dsn=sys.argv[1], connections=1, acquire_seconds=2))
    await database.open()
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    asking = asyncio.create_task(database.fetch("SELECT 1"))
    for _ in range(3):
        # A deadline, and another one around it: whoever asked is gone before the pool has its connection back.
        await asyncio.sleep(0.2)
        asking.cancel()
    await asyncio.wait([asking])
    del asking
    await asyncio.sleep(4)
    gc.collect()
    print("over", flush=True)

asyncio.run(main())
"""


async def test_a_request_that_is_given_up_on_a_silent_link_leaves_a_warning(dsn: str) -> None:
    async with link_to(dsn) as proxy:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, proxy.dsn, cwd=ROOT, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        proxy.freeze()
        _, said = await process.communicate(b"\n")

    lines = [json.loads(line) for line in said.decode().splitlines()]
    assert "connection_given_up" in {line["event"] for line in lines}
    assert {line["level"] for line in lines} == {"warning"}
    assert "Traceback" not in said.decode()
