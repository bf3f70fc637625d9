"""How much stands where, for the metrics: each from an index of live rows, whatever history there is."""

from __future__ import annotations

from persistence.database import Database

_GAUGES = """
SELECT
    (SELECT count(*) FROM steps WHERE due_at IS NOT NULL) AS ready,
    (SELECT count(*) FROM steps WHERE owner IS NOT NULL) AS running,
    (SELECT count(*) FROM steps WHERE dead_lettered) AS dead_letters,
    (SELECT count(*) FROM approvals WHERE status = 'REQUIRED') AS approvals_open,
    (SELECT count(*) FROM runs WHERE state = 'QUEUED') AS runs_queued,
    (SELECT count(*) FROM workers WHERE ended_at IS NULL AND lease_until > clock_timestamp()) AS workers_alive
"""


async def gauges(database: Database) -> dict[str, int]:
    """Steps ready, running and dead-lettered, approvals open, runs queued, workers alive."""
    row = await database.fetchrow(_GAUGES)
    assert row is not None
    return dict(row)
