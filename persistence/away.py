"""Whether a database that does not answer may answer soon."""

from __future__ import annotations

import asyncpg


def is_away(error: BaseException | None) -> bool:
    """Whether waiting may help: nothing answers, or it is just starting. SQLAlchemy wraps what the driver raises."""
    while error is not None:
        if isinstance(
            error,
            OSError
            | TimeoutError
            | asyncpg.PostgresConnectionError
            | asyncpg.OperatorInterventionError  # shutting down, or just starting
            | asyncpg.TooManyConnectionsError,
        ):
            return True
        error = error.__cause__ or getattr(error, "orig", None)
    return False
