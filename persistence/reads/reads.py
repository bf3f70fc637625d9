"""The reads: each is one statement for any number of keys.

Every read takes the reader's `Scope`: each statement carries the rule of which rows that reader sees
(`Where.seen_by`), so that no path through related rows avoids it. A hidden row is like one that does not exist.
`texts` names the JSON that is looked at.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from persistence.database import Database
from persistence.reads import columns
from persistence.reads.cursors import Position
from persistence.reads.rows import (
    AnswerRow,
    ApprovalRow,
    DirectiveRow,
    EventRow,
    OriginsRow,
    ParallelRow,
    RunRow,
    StepRow,
    ToolCallRow,
    UserRow,
)
from persistence.reads.where import Where
from persistence.scope import Reach, Scope
from persistence.states import ApprovalStatus, RunState, StepState

T = TypeVar("T")

MOST_BYTES: Final = 32 * 1024 * 1024
"""How much JSON one answer may have: a hundred of the largest results, and much more than anybody reads at once."""

StepPlace = tuple[UUID, int]
"""A step by its run and its position."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list in its order; `has_more` says that others follow."""

    rows: list[T]
    has_more: bool


class EventsAfter(NamedTuple):
    """The first `first` events of a run's timeline after that seq."""

    run: UUID
    seq: int
    first: int


class ChildrenAfter(NamedTuple):
    """The first `first` children of a step, after that place in its list; -1 for its beginning."""

    run: UUID
    parent: int
    after: int
    first: int


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; fields that are None do not filter."""

    states: Collection[RunState] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    intent_contains: str | None = None

    def apply(self, where: Where) -> None:
        """Add what is asked for."""
        if self.states is not None:
            where.is_one_of("r.state", self.states)
        if self.created_after is not None:
            where.add("r.created_at > {}::timestamptz", self.created_after)
        if self.created_before is not None:
            where.add("r.created_at < {}::timestamptz", self.created_before)
        if self.intent_contains:
            where.add("strpos(lower(r.intent), lower({}::text)) > 0", self.intent_contains)


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """Which approvals; fields that are None do not filter."""

    statuses: Collection[ApprovalStatus] | None = None
    run: UUID | None = None

    def apply(self, where: Where) -> None:
        """Add what is asked for."""
        if self.statuses is not None:
            where.is_one_of("a.status", self.statuses)
        if self.run is not None:
            where.add("a.run_id = {}::uuid", self.run)


class TooManyBytes(Exception):
    """The arguments and results that one question asks for are more than may be held in memory at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"more than {most} bytes of JSON")


class Reads:
    """Answers from the database. Raises `Unavailable` when it is away.

    All reads of one instance share a limit on the JSON that they return: past it they raise `TooManyBytes`, and no more
    is read. `anew` gives a fresh instance for the next operation.
    """

    def __init__(self, database: Database, *, most_bytes: int = MOST_BYTES) -> None:
        self._database = database
        self._most_bytes = self._bytes_left = most_bytes
        self._turn = asyncio.Lock()

    def anew(self) -> Reads:
        """The same with all of it left."""
        return Reads(self._database, most_bytes=self._most_bytes)

    # ── by id ──

    async def runs(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, RunRow]:
        """Those of these runs that the reader sees, by id."""
        where = Where()
        where.add("r.id = ANY({}::uuid[])", list(ids))
        where.seen_by(scope)
        rows = await self._rows(RunRow, f"SELECT {columns.RUN} FROM {columns.RUNS} {where}", where)
        return {row.id: row for row in rows}

    async def steps(
        self, scope: Scope, places: Collection[StepPlace], *, texts: frozenset[str] = columns.TEXTS
    ) -> dict[StepPlace, StepRow]:
        """Those of these steps that the reader sees, by place."""
        where = Where()
        steps = _at(where, places, "steps", "s")
        where.seen_by(scope)
        rows = await self._rows(StepRow, f"SELECT {columns.step(texts)} FROM {steps} {where}", where, texts)
        return {(row.run_id, row.position): row for row in rows}

    async def approvals(
        self, scope: Scope, ids: Collection[UUID], *, texts: frozenset[str] = columns.TEXTS
    ) -> dict[UUID, ApprovalRow]:
        """Those of these approvals that the reader sees, by id."""
        where = Where()
        where.add("a.id = ANY({}::uuid[])", list(ids))
        where.seen_by(scope)
        return {row.id: row for row in await self._approvals(where, texts)}

    async def users(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, UserRow]:
        """Those of these people that the reader may know, by id.

        Readers who do not see every run see themselves, and the people whom their visible runs name: the submitters of
        those runs, and the deciders of their approvals.
        """
        where = Where()
        where.add("u.id = ANY({}::uuid[])", list(ids))
        if scope.reach is not Reach.ALL:
            seen = Where(where.values)
            seen.seen_by(scope)
            rule = str(seen)
            where.add(
                f"""(u.id = {{}}
                OR EXISTS (SELECT FROM runs r {rule} AND r.submitted_by = u.id)
                OR EXISTS (SELECT FROM {columns.APPROVALS} {rule} AND a.decided_by = u.id))""",
                scope.user,
            )
        rows = await self._rows(UserRow, f"SELECT {columns.USER} FROM {columns.USERS} {where}", where)
        return {row.id: row for row in rows}

    # ── by what they belong to ──

    async def steps_of_runs(
        self,
        scope: Scope,
        runs: Collection[UUID],
        *,
        states: Collection[StepState] | None = None,
        texts: frozenset[str] = columns.TEXTS,
    ) -> list[StepRow]:
        """The planned steps of these runs (in these states), each run's in plan order."""
        where = Where()
        where.add("s.run_id = ANY({}::uuid[])", list(runs))
        where.add("s.parent IS NULL")
        if states is not None:
            where.is_one_of("s.state", states)
        where.seen_by(scope)
        return await self._rows(
            StepRow,
            f"SELECT {columns.step(texts)} FROM {columns.STEPS} {where} ORDER BY s.run_id, s.position",
            where,
            texts,
        )

    async def approvals_of_runs(
        self,
        scope: Scope,
        runs: Collection[UUID],
        *,
        statuses: Collection[ApprovalStatus] | None = None,
        texts: frozenset[str] = columns.TEXTS,
    ) -> list[ApprovalRow]:
        """The approvals of these runs (in these statuses), oldest first."""
        where = Where()
        where.add("a.run_id = ANY({}::uuid[])", list(runs))
        if statuses is not None:
            where.is_one_of("a.status", statuses)
        where.seen_by(scope)
        return await self._approvals(where, texts, order="ORDER BY a.created_at, a.position, a.id")

    async def approvals_of_steps(
        self, scope: Scope, places: Collection[StepPlace], *, texts: frozenset[str] = columns.TEXTS
    ) -> list[ApprovalRow]:
        """The approvals of these steps, oldest first."""
        where = Where()
        approvals = _at(where, places, "approvals", "a")
        where.seen_by(scope)
        return await self._rows(
            ApprovalRow,
            f"SELECT {columns.approval(texts)} FROM {approvals} {columns.DECIDERS} {where} ORDER BY a.created_at, a.id",
            where,
            texts,
        )

    async def tool_calls_of_steps(
        self, scope: Scope, places: Collection[StepPlace], *, texts: frozenset[str] = columns.TEXTS
    ) -> list[ToolCallRow]:
        """The tool calls of these steps, each step's by attempt."""
        where = Where()
        calls = _at(where, places, "tool_calls", "c")
        where.seen_by(scope)
        return await self._rows(
            ToolCallRow,
            f"SELECT {columns.tool_call(texts)} FROM {calls} {where} ORDER BY c.attempt",
            where,
            texts,
        )

    async def notices_of_steps(self, scope: Scope, places: Collection[StepPlace]) -> dict[StepPlace, list[str]]:
        """The notices of these steps, by place; most have none."""
        where = Where()
        notices = _at(where, places, "notices", "n")
        where.seen_by(scope)
        rows = await self._database.fetch(f"SELECT n.run_id, n.position, n.texts FROM {notices} {where}", *where.values)
        return {(run, position): texts for run, position, texts in rows}

    async def notices_of_runs(self, scope: Scope, runs: Collection[UUID], *, most: int) -> dict[UUID, list[str]]:
        """The first `most` notices of these runs' steps, by run; one more says how many are left out.

        They are in plan order, those of children after their parent's.
        """
        where = Where()
        where.add("n.run_id = ANY({}::uuid[])", list(runs))
        where.seen_by(scope)
        rows = await self._database.fetch(
            f"""SELECT run_id, array_agg(text ORDER BY nth) FILTER (WHERE nth <= {where.value(most)}), count(*)::int
            FROM (
                SELECT n.run_id, t.text, row_number() OVER (
                    PARTITION BY n.run_id ORDER BY coalesce(s.parent, n.position), n.position, t.place) AS nth
                FROM notices n JOIN runs r ON r.id = n.run_id
                    LEFT JOIN steps s ON r.elaborate AND s.run_id = n.run_id AND s.position = n.position,
                    unnest(n.texts) WITH ORDINALITY AS t (text, place)
                {where}) AS said
            GROUP BY run_id""",
            *where.values,
        )
        return {
            run: texts if count <= most else [*texts, f"… and {count - most} more notices, with their steps"]
            for run, texts, count in rows
        }

    # ── what only elaborate runs have ──

    async def answers_of_runs(
        self, scope: Scope, runs: Collection[UUID], *, texts: frozenset[str] = columns.TEXTS
    ) -> dict[UUID, AnswerRow]:
        """The answers of these runs, by run; those that were to answer nothing are missing."""
        where = Where()
        where.add("w.run_id = ANY({}::uuid[])", list(runs))
        where.seen_by(scope)
        statement = f"SELECT {columns.answer(texts)} FROM run_answers w JOIN runs r ON r.id = w.run_id {where}"
        return {row.run_id: row for row in await self._rows(AnswerRow, statement, where, texts)}

    async def directives_of_steps(self, scope: Scope, places: Collection[StepPlace]) -> dict[StepPlace, DirectiveRow]:
        """What the plan says of these steps beside their calls, by place; most have nothing of it."""
        where = Where()
        directives = _at(where, places, "step_directives", "d")
        where.seen_by(scope)
        rows = await self._rows(DirectiveRow, f"SELECT {columns.DIRECTIVE} FROM {directives} {where}", where)
        return {(row.run_id, row.position): row for row in rows}

    async def parallel_children(self, scope: Scope, parents: Collection[StepPlace]) -> dict[StepPlace, ParallelRow]:
        """How many children of these steps run, and may, by place of the parent."""
        where = Where()
        directives = _at(where, parents, "step_directives", "d")
        where.seen_by(scope)
        rows = await self._rows(
            ParallelRow,
            f"""SELECT d.run_id, d.position,
                (SELECT count(*)::int FROM steps s
                    WHERE s.run_id = d.run_id AND s.parent = d.position AND s.state = '{StepState.RUNNING}'),
                d.max_parallel
            FROM {directives} {where}""",
            where,
        )
        return {(row.run_id, row.position): row for row in rows}

    async def pages_of_children(
        self,
        scope: Scope,
        wanted: Sequence[ChildrenAfter],
        *,
        states: Collection[StepState] | None = None,
        texts: frozenset[str] = columns.TEXTS,
    ) -> dict[ChildrenAfter, Page[StepRow]]:
        """Pages of these steps' children (in these states), in their lists' order; empty ones are missing."""
        where = Where()
        runs, parents, places, limits = (
            where.value([each[field] for each in wanted]) for field in range(len(ChildrenAfter._fields))
        )
        inner = Where(where.values)
        inner.add("c.run_id = g.run_id AND c.parent = g.parent AND c.index > g.place")
        if states is not None:
            inner.is_one_of("c.state", states)
        where.seen_by(scope)
        records = await self._records(
            f"""SELECT g.nth, {columns.step(texts)}
            FROM unnest({runs}::uuid[], {parents}::int[], {places}::int[], {limits}::int[]) WITH ORDINALITY
                AS g (run_id, parent, place, first, nth)
            CROSS JOIN LATERAL (SELECT * FROM steps c {inner} ORDER BY c.index LIMIT g.first + 1) AS s
            JOIN runs r ON r.id = g.run_id
            {where} ORDER BY g.nth, s.index""",
            where,
            texts.intersection(StepRow._fields),
        )
        rows: defaultdict[ChildrenAfter, list[StepRow]] = defaultdict(list)
        for nth, *values in records:
            rows[wanted[nth - 1]].append(StepRow._make(values))
        return {each: _page(page, each.first) for each, page in rows.items()}

    async def count_children(
        self, scope: Scope, parents: Collection[StepPlace], *, states: Collection[StepState] | None = None
    ) -> dict[StepPlace, int]:
        """How many children (in these states) these steps have, by place of the parent; those with none are missing."""
        where = Where()
        runs = where.value([run for run, _ in parents])
        positions = where.value([position for _, position in parents])
        if states is not None:
            where.is_one_of("s.state", states)
        where.seen_by(scope)
        rows = await self._database.fetch(
            f"""SELECT s.run_id, s.parent, count(*)
            FROM unnest({runs}::uuid[], {positions}::int[]) AS g (run_id, parent)
            JOIN steps s ON s.run_id = g.run_id AND s.parent = g.parent
            JOIN runs r ON r.id = g.run_id
            {where} GROUP BY s.run_id, s.parent""",
            *where.values,
        )
        return {(run, parent): count for run, parent, count in rows}

    async def origins_of_steps(self, scope: Scope, places: Collection[StepPlace]) -> dict[StepPlace, OriginsRow]:
        """Where the arguments of these steps come from, by place."""
        where = Where()
        steps = _at(where, places, "steps", "s")
        where.seen_by(scope)
        rows = await self._rows(
            OriginsRow,
            f"SELECT {columns.ORIGINS} FROM {steps} {columns.ORIGINS_OF_STEPS} {where}",
            where,
            frozenset({"args", "origins"}),
        )
        return {(row.run_id, row.position): row for row in rows}

    async def positions(self, scope: Scope, keys: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], int]:
        """The positions of steps by their runs and keys; of some others too, which have the keys in other runs."""
        where = Where()
        where.add("s.run_id = ANY({}::uuid[])", list({run for run, _ in keys}))
        where.add("s.key = ANY({}::text[])", list({key for _, key in keys}))
        where.seen_by(scope)
        rows = await self._database.fetch(
            f"SELECT s.run_id, s.key, s.position FROM {columns.STEPS} {where}", *where.values
        )
        return {(run, key): position for run, key, position in rows}

    async def answer_trusts(self, scope: Scope, runs: Collection[UUID]) -> dict[UUID, int]:
        """The trust of what these runs answer, by run; most answer nothing."""
        where = Where()
        where.add("a.run_id = ANY({}::uuid[])", list(runs))
        where.seen_by(scope)
        rows = await self._database.fetch(
            f"SELECT a.run_id, a.trust FROM run_answers a JOIN runs r ON r.id = a.run_id {where}", *where.values
        )
        return {row["run_id"]: row["trust"] for row in rows}

    # ── pages, newest first ──

    async def page_of_runs(
        self, scope: Scope, wanted: RunFilter, *, first: int, after: Position | None = None
    ) -> Page[RunRow]:
        """The newest `first` runs that are wanted, after that place."""
        where = Where()
        wanted.apply(where)
        where.seen_by(scope)
        if after is not None:
            where.add("(r.created_at, r.id) < ({}::timestamptz, {}::uuid)", after.at, after.id)
        order = f"ORDER BY r.created_at DESC, r.id DESC LIMIT {where.value(first + 1)}"
        rows = await self._rows(RunRow, f"SELECT {columns.RUN} FROM {columns.RUNS} {where} {order}", where)
        return _page(rows, first)

    async def count_runs(self, scope: Scope, wanted: RunFilter) -> int:
        """How many runs are wanted."""
        where = Where()
        wanted.apply(where)
        where.seen_by(scope)
        return await self._count(f"SELECT count(*) FROM runs r {where}", where)

    async def page_of_approvals(
        self,
        scope: Scope,
        wanted: ApprovalFilter,
        *,
        first: int,
        after: Position | None = None,
        texts: frozenset[str] = columns.TEXTS,
    ) -> Page[ApprovalRow]:
        """The newest `first` approvals that are wanted, after that place."""
        where = Where()
        wanted.apply(where)
        where.seen_by(scope)
        if after is not None:
            where.add("(a.created_at, a.id) < ({}::timestamptz, {}::uuid)", after.at, after.id)
        order = f"ORDER BY a.created_at DESC, a.id DESC LIMIT {where.value(first + 1)}"
        return _page(await self._approvals(where, texts, order=order), first)

    async def count_approvals(self, scope: Scope, wanted: ApprovalFilter) -> int:
        """How many approvals are wanted."""
        where = Where()
        wanted.apply(where)
        where.seen_by(scope)
        return await self._count(f"SELECT count(*) FROM {columns.APPROVALS} {where}", where)

    async def page_of_dead_letters(
        self, scope: Scope, *, first: int, after: Position | None = None, texts: frozenset[str] = columns.TEXTS
    ) -> Page[StepRow]:
        """The `first` dead letters that died last, after that place; a cancelled run's wait for nobody."""
        where = _dead_letters(scope)
        if after is not None:
            where.add(
                "(s.finished_at, s.run_id, s.position) < ({}::timestamptz, {}::uuid, {}::int)",
                after.at,
                after.id,
                after.position,
            )
        order = f"ORDER BY s.finished_at DESC, s.run_id DESC, s.position DESC LIMIT {where.value(first + 1)}"
        statement = f"SELECT {columns.step(texts)} FROM {columns.STEPS} {where} {order}"
        rows = await self._rows(StepRow, statement, where, texts)
        return _page(rows, first)

    async def count_dead_letters(self, scope: Scope) -> int:
        """How many dead letters there are."""
        where = _dead_letters(scope)
        return await self._count(f"SELECT count(*) FROM {columns.STEPS} {where}", where)

    # ── the timeline ──

    async def pages_of_events(self, scope: Scope, wanted: Sequence[EventsAfter]) -> dict[EventsAfter, Page[EventRow]]:
        """Pages of these runs' timelines, those of unseen runs missing."""
        where = Where()
        runs = where.value([each.run for each in wanted])
        seqs = where.value([each.seq for each in wanted])
        limits = where.value([each.first + 1 for each in wanted])
        where.seen_by(scope)
        records = await self._database.fetch(
            f"""SELECT g.nth, {columns.EVENT}
            FROM unnest({runs}::uuid[], {seqs}::int[], {limits}::int[]) WITH ORDINALITY AS g (run_id, seq, most, nth)
            JOIN runs r ON r.id = g.run_id
            LEFT JOIN LATERAL (
                SELECT * FROM timeline_events e WHERE e.run_id = g.run_id AND e.seq > g.seq ORDER BY e.seq LIMIT g.most
            ) AS e ON true
            {where} ORDER BY g.nth, e.seq""",
            *where.values,
        )
        rows: dict[EventsAfter, list[EventRow]] = {}
        for record in records:
            nth, *values = tuple(record)
            page = rows.setdefault(wanted[int(nth) - 1], [])
            if values[0] is not None:
                page.append(EventRow(*values))
        return {each: _page(page, each.first) for each, page in rows.items()}

    # ── how ──

    async def _approvals(self, where: Where, texts: frozenset[str], *, order: str = "") -> list[ApprovalRow]:
        statement = f"SELECT {columns.approval(texts)} FROM {columns.APPROVALS} {columns.DECIDERS} {where} {order}"
        return await self._rows(ApprovalRow, statement, where, texts)

    async def _rows(self, row: Any, statement: str, where: Where, texts: frozenset[str] = frozenset()) -> list[Any]:
        make: Callable[[Iterable[Any]], Any] = row._make
        return list(map(make, await self._records(statement, where, texts.intersection(row._fields))))

    async def _records(self, statement: str, where: Where, texts: frozenset[str]) -> Sequence[Any]:
        if not texts:
            return await self._database.fetch(statement, *where.values)
        # One after the other: together they could each read what is left.
        async with self._turn:
            if self._bytes_left <= 0:
                raise TooManyBytes(self._most_bytes)
            bounded = columns.bounded(statement, sorted(texts), where.value(self._bytes_left))
            records = await self._database.fetch(bounded, *where.values)
            if records:
                self._bytes_left -= records[-1]["bytes"]
            if self._bytes_left < 0:
                raise TooManyBytes(self._most_bytes)
        return [record[:-1] for record in records]

    async def _count(self, statement: str, where: Where) -> int:
        return await self._database.fetchval(statement, *where.values)


def _dead_letters(scope: Scope) -> Where:
    where = Where()
    where.add("s.dead_lettered")
    where.add(f"r.state <> '{RunState.CANCELLED}'")
    where.seen_by(scope)
    return where


def _at(where: Where, places: Collection[StepPlace], table: str, alias: str) -> str:
    """The rows of a table with a run and a position, at these positions of these runs.

    Each stretch of places is looked up by itself (OFFSET 0 keeps the planner from joining otherwise): a plan made while
    nothing is known of the table would look at all rows of a run for each of its places.
    """
    stretches = _stretches(places)
    runs = where.value([run for run, _, _ in stretches])
    firsts, lasts = where.value([first for _, first, _ in stretches]), where.value([last for *_, last in stretches])
    return f"""unnest({runs}::uuid[], {firsts}::int[], {lasts}::int[]) AS g (run_id, first, last)
        CROSS JOIN LATERAL (
            SELECT * FROM {table} t WHERE t.run_id = g.run_id AND t.position BETWEEN g.first AND g.last OFFSET 0
        ) AS {alias}
        JOIN runs r ON r.id = g.run_id"""


def _stretches(places: Iterable[StepPlace]) -> list[tuple[UUID, int, int]]:
    """The same places as runs of consecutive ones, first and last: mostly all steps of a run are asked about."""
    by_run: defaultdict[UUID, set[int]] = defaultdict(set)
    for run, position in places:
        by_run[run].add(position)
    found: list[tuple[UUID, int, int]] = []
    for run, positions in by_run.items():
        # Where one follows on the other, a position grows as its index does.
        for _, pairs in groupby(enumerate(sorted(positions)), key=lambda pair: pair[1] - pair[0]):
            stretch = [position for _, position in pairs]
            found.append((run, stretch[0], stretch[-1]))
    return found


def _page(rows: Sequence[T], first: int) -> Page[T]:
    return Page(list(rows[:first]), len(rows) > first)
