"""A process gets SIGTERM while people ask and steps run: each client learns the state of its request."""

from __future__ import annotations

import asyncio
import json

import asyncpg

from persistence import ids
from tests.engine.harness import PATIENCE_SECONDS
from tests.faults.test_database_away import Place, place, submitted, until

__all__ = ["place"]


async def test_a_request_that_outlasts_the_grace_time_is_answered_that_nobody_knows(place: Place) -> None:
    server, crowd = await place.server()
    run = await submitted(crowd, {"key": "s0", "tool": "gated", "args": {"n": 0}})
    holder, observer = await asyncpg.connect(place.keeper.dsn), await asyncpg.connect(place.keeper.dsn)
    async with asyncio.timeout(PATIENCE_SECONDS), holder.transaction():
        await holder.execute("SELECT FROM runs WHERE id = $1 FOR UPDATE", ids.parse_as(ids.RUN, run))
        asking = asyncio.create_task(
            crowd.api.ask(crowd.admin, "cancelRun", {"input": {"runId": run, "reason": "enough"}})
        )
        await until(observer, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

        server.signal(15, by="SIGTERM")
        line = await asking
        await server.ended()

    assert (line["outcome"], line["code"]) == ("unknown", "UNAVAILABLE")
    assert "errors" in json.loads(line["body"])
    assert place.fleet.endings[-1].status == 0
    assert "Traceback" not in (place.folder / "server.log").read_text()
    await holder.close()
    await observer.close()
    await crowd.api.close()
