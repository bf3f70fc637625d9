"""Conditions with their values, put together one by one, and the one rule of which user sees which run."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any
from uuid import UUID

from persistence.database import Connection
from persistence.scope import Reach, Scope


class Where:
    """A growing list of conditions; each `{}` in one becomes the number of its value's parameter.

    Only conditions that are wanted are added, so that each statement is planned for just what it asks
    (`$1 IS NULL OR …` would be planned for the worst). Conditions that share a list of values stand in one statement.
    """

    def __init__(self, values: list[Any] | None = None) -> None:
        self.values: list[Any] = [] if values is None else values
        self._conditions: list[str] = []

    def value(self, value: object) -> str:
        """The parameter that stands for this value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str, *values: object) -> None:
        """One more condition."""
        self._conditions.append(condition.format(*map(self.value, values)))

    def is_one_of(self, column: str, words: Collection[StrEnum]) -> None:
        """The column holds one of these words.

        They stand in the statement itself, so that it can be planned for them: most states are rare, and have an index
        of their own.
        """
        named = ", ".join(f"'{word}'" for word in sorted(set(words)))
        self._conditions.append(f"{column} IN ({named})" if named else "false")

    def seen_by(self, scope: Scope, runs: str = "r") -> None:
        """Only what belongs to runs that the reader sees: the rule, in its one place."""
        if scope.reach is Reach.OWN:
            self.add(f"{runs}.submitted_by = {{}}", scope.user)
        elif scope.reach is Reach.ASKED:
            self.add(f"({runs}.submitted_by = {{}} OR {runs}.asked)", scope.user)
        else:
            assert scope.reach is Reach.ALL

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self._conditions)}" if self._conditions else ""


async def submitter_of(tx: Connection, scope: Scope, run: UUID) -> UUID | None:
    """The submitter of a run, for those who are about to change it; None when there is no such run in the scope.

    Takes no lock: nobody waits for a run, or holds it up, that they can't see. A run's submitter never changes.
    """
    where = Where()
    where.add("r.id = {}", run)
    where.seen_by(scope)
    return await tx.fetchval(f"SELECT r.submitted_by FROM runs r {where}", *where.values)
