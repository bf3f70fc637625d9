"""Processes that own steps: their rows, their leases, and the signs of life of the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.ids import new_id

SIGN_SPACE: Final = 0x11FE
"""The first half of every life sign's advisory lock; the second is the worker's number."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One life of one process: after a lost lease the same process comes back as another worker."""

    id: UUID
    sign: int


async def register(tx: Connection, *, lease_seconds: float) -> Worker:
    """A new worker with a lease that starts now, its life sign taken on this connection.

    The sign is held as long as the connection's session lives: a killed process's is free within milliseconds.
    """
    worker = new_id()
    sign = await tx.fetchval(
        """INSERT INTO workers (id, host, pid, lease_until)
        VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 second') RETURNING sign""",
        worker,
        socket.gethostname(),
        os.getpid(),
        lease_seconds,
    )
    await tx.execute("SELECT pg_advisory_lock($1, $2)", SIGN_SPACE, sign)
    return Worker(worker, sign)


async def take_sign(tx: Connection, worker: Worker) -> None:
    """Take the worker's life sign on this connection, in place of one that was lost with another.

    The other's session may still hold it: the server learns late, or never, that a link went silent.
    """
    await tx.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = $1::int::oid AND objid = $2::int::oid AND objsubid = 2
            AND pid <> pg_backend_pid()
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        SIGN_SPACE,
        worker.sign,
    )
    await tx.execute("SELECT pg_advisory_lock($1, $2)", SIGN_SPACE, worker.sign)


async def extend(tx: Connection, worker: UUID, *, lease_seconds: float) -> bool:
    """Renew the lease of everything that the worker owns; False when it was over, and its steps are others'."""
    status = await tx.execute(
        """UPDATE workers SET lease_until = clock_timestamp() + $2 * interval '1 second'
        WHERE id = $1 AND ended_at IS NULL AND lease_until > clock_timestamp()""",
        worker,
        lease_seconds,
    )
    return status == "UPDATE 1"


async def end(tx: Connection, workers: Sequence[UUID]) -> None:
    """Declare these workers dead: what they still own may be taken from them, and they renew nothing more."""
    await tx.execute(
        "UPDATE workers SET ended_at = clock_timestamp() WHERE id = ANY($1::uuid[]) AND ended_at IS NULL",
        list(workers),
    )


async def end_expired(tx: Connection) -> list[UUID]:
    """Declare the workers dead whose lease is over; they, and whom others declared dead while owning something."""
    await tx.execute(
        "UPDATE workers SET ended_at = clock_timestamp() WHERE ended_at IS NULL AND lease_until < clock_timestamp()"
    )
    rows = await tx.fetch(
        """SELECT id FROM workers WHERE ended_at IS NOT NULL AND id = ANY(ARRAY(
            SELECT owner FROM steps WHERE owner IS NOT NULL
            UNION SELECT planner FROM runs WHERE planner IS NOT NULL))"""
    )
    return [row["id"] for row in rows]


async def signless(tx: Connection) -> list[UUID]:
    """Workers with a lease whose life sign nobody holds: killed, or just cut off from the database for a moment."""
    rows = await tx.fetch(
        """SELECT id FROM workers w WHERE ended_at IS NULL AND NOT EXISTS (
            SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::int::oid
                AND l.objid = w.sign::oid AND l.objsubid = 2
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))""",
        SIGN_SPACE,
    )
    return [row["id"] for row in rows]
