"""All that was seen: the database, the ledger, what people and subscribers were told, the faults, the processes' ends.

Plain JSON, so that it can be kept, looked at, and spoilt on purpose.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg

History = dict[str, Any]
Line = dict[str, Any]

_TABLES: Final = {
    "users": "SELECT id, name, roles FROM users",
    "runs": "SELECT * FROM runs ORDER BY created_at",
    "steps": "SELECT * FROM steps ORDER BY run_id, position",
    "directives": "SELECT * FROM step_directives ORDER BY run_id, position",
    "answers": "SELECT * FROM run_answers ORDER BY run_id",
    "approvals": "SELECT * FROM approvals ORDER BY created_at",
    "calls": "SELECT * FROM tool_calls ORDER BY run_id, position, attempt",
    "events": "SELECT * FROM timeline_events ORDER BY run_id, seq",
    "workers": "SELECT * FROM workers ORDER BY started_at",
    "audit": "SELECT * FROM audit_lines ORDER BY id",
    "sessions": "SELECT pid, application_name, state, wait_event_type, now() - state_change > interval '10 s' AS old "
    "FROM pg_stat_activity WHERE application_name LIKE 'lifeos%'",
    "locks": "SELECT pid, mode FROM pg_locks WHERE NOT granted",
}


async def dump(dsn: str) -> History:
    """The whole database, as JSON."""
    connection = await asyncpg.connect(dsn)
    try:
        return {
            name: [
                json.loads(row[0]) for row in await connection.fetch(f"SELECT row_to_json(t) FROM ({statement}) AS t")
            ]
            for name, statement in _TABLES.items()
        }
    finally:
        await connection.close()


def book(path: Path) -> list[Line]:
    """The ledger's lines; each knows its number."""
    lines = path.read_text().splitlines()
    return [{"line": number, **json.loads(text)} for number, text in enumerate(lines, 1)]


async def collect(
    dsn: str,
    ledger: Path,
    *,
    people: Sequence[Line],
    followers: Sequence[Line],
    faults: Sequence[Line],
    endings: Sequence[Mapping[str, Any]],
    logs: Mapping[str, str],
) -> History:
    """Everything in one."""
    return {
        **await dump(dsn),
        "ledger": book(ledger),
        "people": list(people),
        "followers": list(followers),
        "faults": list(faults),
        "endings": [dict(each) for each in endings],
        "logs": dict(logs),
        "at": time.time(),
    }
