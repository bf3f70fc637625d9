"""Whether this process can take requests: what `/readyz` asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from persistence.database import Unavailable
from persistence.revisions import may_be_used, revision_of
from serving.parts import Parts


def checks_of(parts: Parts, *, is_stopping: Callable[[], bool]) -> dict[str, Callable[[], Awaitable[bool]]]:
    """Each check by its name; the process is ready when all are true."""

    async def database() -> bool:
        try:
            return await parts.database.answers()
        except Unavailable:
            return False

    async def migrations() -> bool:
        try:
            return may_be_used(await revision_of(parts.database))
        except Unavailable:
            return False

    async def listener() -> bool:
        return parts.wakeups.is_listening

    async def staying() -> bool:
        return not is_stopping()

    return {"database": database, "migrations": migrations, "listener": listener, "staying": staying}
