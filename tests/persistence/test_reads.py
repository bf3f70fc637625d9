import asyncio
import random
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from persistence.database import Database
from persistence.ids import new_id
from persistence.reads import (
    ApprovalFilter,
    ChildrenAfter,
    EventsAfter,
    Position,
    Reads,
    RunFilter,
    TooManyBytes,
)
from persistence.scope import Reach, Scope
from persistence.states import ApprovalStatus, Risk, Role, RunState, StepState
from tests.schema.stories import Person, Stories, Told

GATED = Told("pay", risk=Risk.L3, args={"amount": 5})


@pytest.fixture
def stories(database: Database) -> Stories:
    return Stories(database)


@pytest.fixture
def reads(database: Database) -> Reads:
    return Reads(database)


def own(person: Person) -> Scope:
    return Scope(person.id, Reach.OWN)


def asked(person: Person) -> Scope:
    return Scope(person.id, Reach.ASKED)


def everything() -> Scope:
    return Scope(new_id(), Reach.ALL)


async def everything_of(reads: Reads, scope: Scope, run: UUID) -> list[int]:
    """How much each way to a run's rows shows."""
    approvals = [row.id for row in await reads.approvals_of_runs(everything(), [run])]
    places = [(run, position) for position in range(3)]
    return [
        len(await reads.runs(scope, [run])),
        len(await reads.steps(scope, places)),
        len(await reads.approvals(scope, approvals)),
        len(await reads.steps_of_runs(scope, [run])),
        len(await reads.steps_of_runs(scope, [run], states=list(StepState))),
        len(await reads.approvals_of_runs(scope, [run])),
        len(await reads.approvals_of_runs(scope, [run], statuses=list(ApprovalStatus))),
        len(await reads.approvals_of_steps(scope, places)),
        len(await reads.tool_calls_of_steps(scope, places)),
        len((await reads.page_of_runs(scope, RunFilter(), first=10)).rows),
        await reads.count_runs(scope, RunFilter()),
        len((await reads.page_of_approvals(scope, ApprovalFilter(run=run), first=10)).rows),
        await reads.count_approvals(scope, ApprovalFilter()),
        len((await reads.page_of_dead_letters(scope, first=10)).rows),
        await reads.count_dead_letters(scope),
        len(await reads.pages_of_events(scope, [EventsAfter(run, 0, 100)])),
    ]


async def test_every_way_to_a_run_shows_it_to_whom_it_is_shown_and_to_nobody_else(stories: Stories, reads: Reads):
    owner, other = await stories.person("owner"), await stories.person("other", Role.APPROVER)
    run = await stories.run(owner, [Told("safe"), GATED])
    await stories.claim()
    await stories.fail(run, 0)

    shown = [1, 2, 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert await everything_of(reads, own(owner), run) == shown
    assert await everything_of(reads, asked(other), run) == shown
    assert await everything_of(reads, everything(), run) == shown
    assert await everything_of(reads, own(other), run) == [0] * len(shown)


async def test_a_run_that_never_asked_is_hidden_from_approvers(stories: Stories, reads: Reads):
    owner, approver = await stories.person("owner"), await stories.person("approver", Role.APPROVER)
    run = await stories.run(owner)

    assert await everything_of(reads, asked(approver), run) == [0] * 16
    assert set(await reads.runs(asked(owner), [run])) == {run}


CHILD = """
INSERT INTO steps SELECT (json_populate_record(s, json_build_object(
    'position', $2::int, 'key', $3::text, 'parent', 0, 'index', $4::int, 'due_at', $5::timestamptz))).*
FROM steps s WHERE s.run_id = $1 AND s.position = 0"""
"""Makes a step like the first one, as its child."""


async def with_children(stories: Stories, run: UUID) -> None:
    """The run's first step gets two children, of which one may run at a time, and the run an answer."""
    database = stories.database
    await database.execute("UPDATE runs SET elaborate = true WHERE id = $1", run)
    await database.execute(
        "INSERT INTO step_directives (run_id, position, for_each, max_parallel) VALUES ($1, 0, 'list', 1)",
        run,
    )
    await database.execute(
        "INSERT INTO run_answers (run_id, planned, needs, trust, answer) VALUES ($1, '1', '{}', 0, '{\"a\": 1}')", run
    )
    for index, due in enumerate((datetime(2026, 1, 2, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))):
        await database.execute(CHILD, run, 2 + index, f"safe[{index}]", index, due)


async def elaborate_of(reads: Reads, scope: Scope, run: UUID) -> list[int]:
    """How much each way to what only elaborate runs have shows."""
    return [
        len(await reads.answers_of_runs(scope, [run])),
        len(await reads.directives_of_steps(scope, [(run, 0), (run, 1)])),
        len(await reads.parallel_children(scope, [(run, 0)])),
        len(await reads.pages_of_children(scope, [ChildrenAfter(run, 0, -1, 10)])),
        len(await reads.count_children(scope, [(run, 0)])),
        len(await reads.steps(scope, [(run, 2)])),
    ]


async def test_what_only_elaborate_runs_have_is_shown_to_the_same_people(stories: Stories, reads: Reads):
    owner, other = await stories.person("owner"), await stories.person("other", Role.APPROVER)
    run, silent = await stories.run(owner, [Told("safe"), GATED]), await stories.run(owner, [Told("safe"), Told("b")])
    for each in (run, silent):
        await with_children(stories, each)

    assert await elaborate_of(reads, own(owner), run) == [1] * 6
    assert await elaborate_of(reads, asked(other), run) == [1] * 6
    assert await elaborate_of(reads, own(other), run) == [0] * 6
    assert await elaborate_of(reads, asked(other), silent) == [0] * 6


async def test_children_are_no_planned_steps_and_come_by_their_index(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told("safe", args={"a": 1}), GATED])
    await with_children(stories, run)
    first, second, ready, none = [
        ChildrenAfter(run, parent, after, most)
        for parent, after, most in ((0, -1, 1), (0, 0, 5), (0, -1, 5), (1, -1, 5))
    ]

    planned = await reads.steps_of_runs(own(owner), [run])
    pages = await reads.pages_of_children(own(owner), [first, second, ready, none])
    failed = await reads.pages_of_children(own(owner), [ready], states=[StepState.FAILED])
    bare = await reads.pages_of_children(own(owner), [ready], states=[StepState.READY], texts=frozenset())

    assert [row.key for row in planned] == ["safe", "pay"]
    assert [[row.key for row in pages[each].rows] for each in (first, second, ready)] == [
        ["safe[0]"], ["safe[1]"], ["safe[0]", "safe[1]"],
    ]  # fmt: skip
    assert [pages[each].has_more for each in (first, second, ready)] == [True, False, False]
    assert none not in pages
    assert failed == {}
    assert [row.args for row in pages[ready].rows] == ['{"a":1}'] * 2
    assert [row.args for row in bare[ready].rows] == [None] * 2
    assert await reads.count_children(own(owner), [(run, 0), (run, 1)]) == {(run, 0): 2}
    assert await reads.count_children(own(owner), [(run, 0)], states=[StepState.RUNNING]) == {}


async def test_a_child_that_is_held_back_has_no_time(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told("safe"), GATED])
    await with_children(stories, run)

    due, held = (await reads.steps(own(owner), [(run, 2), (run, 3)])).values()

    assert (due.due_at, due.is_due, due.is_held) == (datetime(2026, 1, 2, tzinfo=UTC), True, False)
    assert (held.due_at, held.is_due, held.is_held) == (None, False, True)
    assert await reads.parallel_children(own(owner), [(run, 0)]) == {(run, 0): (run, 0, 0, 1)}


async def test_people_are_known_to_whom_a_run_shows_them(stories: Stories, reads: Reads):
    owner, approver, stranger = [await stories.person(name) for name in ("owner", "approver", "stranger")]
    run = await stories.run(owner, [GATED])
    ids = [owner.id, approver.id, stranger.id]

    assert set(await reads.users(own(owner), ids)) == {owner.id}
    assert set(await reads.users(asked(approver), ids)) == {owner.id, approver.id}
    assert set(await reads.users(own(stranger), ids)) == {stranger.id}
    assert set(await reads.users(everything(), ids)) == set(ids)
    await stories.decide(run, 0, approver, approve=True)
    assert set(await reads.users(own(owner), ids)) == {owner.id, approver.id}


async def test_pages_follow_each_other_without_gap_or_overlap(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    made = [await stories.run(owner) for _ in range(5)]

    seen: list[UUID] = []
    after = None
    for has_more in (True, True, False):
        page = await reads.page_of_runs(own(owner), RunFilter(), first=2, after=after)
        assert page.has_more is has_more
        seen += [row.id for row in page.rows]
        after = Position(page.rows[-1].created_at, page.rows[-1].id)

    assert seen == made[::-1]


async def test_runs_are_found_by_state_time_and_words(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    gym = await stories.intent(owner, "Schedule GYM 100% of_it")
    done = await stories.run(owner)
    await stories.claim()
    await stories.settle(done, 0)
    gym_row = (await reads.runs(own(owner), [gym]))[gym]

    async def found(wanted: RunFilter) -> list[UUID]:
        page = await reads.page_of_runs(own(owner), wanted, first=10)
        assert await reads.count_runs(own(owner), wanted) == len(page.rows)
        return [row.id for row in page.rows]

    assert await found(RunFilter(states=[RunState.QUEUED])) == [gym]
    assert await found(RunFilter(states=[RunState.COMPLETED, RunState.QUEUED])) == [done, gym]
    assert await found(RunFilter(states=[])) == []
    assert await found(RunFilter(intent_contains="gym 100%")) == [gym]
    assert await found(RunFilter(intent_contains="of%it")) == []
    assert await found(RunFilter(created_after=gym_row.created_at)) == [done]
    assert await found(RunFilter(created_before=gym_row.created_at)) == []


async def test_approvals_are_found_by_status_and_run(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    first, second = await stories.run(owner, [GATED]), await stories.run(owner, [GATED])
    decided = await stories.decide(first, 0, owner, approve=False, reason="no")
    open_ = await stories.open_approval(second, 0)

    async def found(wanted: ApprovalFilter) -> list[UUID]:
        page = await reads.page_of_approvals(own(owner), wanted, first=10)
        assert await reads.count_approvals(own(owner), wanted) == len(page.rows)
        return [row.id for row in page.rows]

    assert await found(ApprovalFilter()) == [open_, decided]
    assert await found(ApprovalFilter(statuses=[ApprovalStatus.REQUIRED])) == [open_]
    assert await found(ApprovalFilter(run=first)) == [decided]
    row = (await reads.approvals(own(owner), [decided]))[decided]
    assert (row.decider_name, row.decision_reason, row.submitted_by) == ("owner", "no", owner.id)


async def test_open_approvals_are_found_by_their_own_index_among_any_number_of_decided_ones(
    stories: Stories, database: Database
):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told(f"pay {n}", risk=Risk.L3) for n in range(400)])
    await database.execute("UPDATE approvals SET status = 'CANCELLED' WHERE run_id = $1 AND position > 2", run)
    await database.execute("ANALYZE")
    asked_for: list[str] = []

    class Explaining(Database):
        def __init__(self) -> None:
            pass

        async def fetch(self, statement: str, *values: object) -> list[Any]:
            asked_for.extend(row[0] for row in await database.fetch(f"EXPLAIN {statement}", *values))
            return []

    await Reads(Explaining()).page_of_approvals(
        everything(), ApprovalFilter(statuses=[ApprovalStatus.REQUIRED]), first=20
    )

    plan = "\n".join(map(str, asked_for))
    assert "approvals_one_open" in plan or "approvals_expiring" in plan, plan


@pytest.mark.parametrize(
    ("read", "risk"),
    [(Reads.steps, Risk.L0), (Reads.tool_calls_of_steps, Risk.L0), (Reads.approvals_of_steps, Risk.L3)],
)
async def test_only_these_places_are_looked_up_however_little_is_known_of_the_tables(
    stories: Stories, database: Database, read: Any, risk: Risk
):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told(f"note {n}", risk=risk) for n in range(1000)])
    await database.execute(
        """INSERT INTO tool_calls (run_id, position, attempt, tool, args, status, started_at)
        SELECT run_id, position, 1, tool, args, 'STARTED', now() FROM steps WHERE NOT gated"""
    )
    plan: list[str] = []

    class Explaining(Database):
        def __init__(self) -> None:
            pass

        async def fetch(self, statement: str, *values: Any) -> list[Any]:
            lists = ", ".join(
                f"{value}" if isinstance(value, int) else f"'{{{','.join(map(str, value))}}}'" for value in values
            )
            async with database.connection() as connection:
                await connection.execute(f"PREPARE looked_at AS {statement}")
                rows = await connection.fetch(f"EXPLAIN (ANALYZE) EXECUTE looked_at({lists})")
                await connection.execute("DEALLOCATE looked_at")
            plan.extend(row[0] for row in rows)
            return []

    for step in (1, 2):
        plan.clear()
        await read(Reads(Explaining()), everything(), [(run, position) for position in range(0, 1000, step)])

        assert f"rows={1000 // step}" in plan[0]
        assert not [line for line in plan if "Rows Removed by" in line], "\n".join(plan)


async def test_dead_letters_come_newest_first_and_not_from_cancelled_runs(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    runs = [await stories.run(owner, [Told("breaks"), Told("goes on")]) for _ in range(3)]
    await stories.claim()
    for run in runs:
        await stories.fail(run, 0)
    await stories.cancel(runs[1])

    page = await reads.page_of_dead_letters(own(owner), first=1)
    last = page.rows[0]
    rest = await reads.page_of_dead_letters(
        own(owner), first=5, after=Position(last.finished_at or last.created_at, last.run_id, last.position)
    )

    assert [row.run_id for row in page.rows] == [runs[2]]
    assert page.has_more
    assert [row.run_id for row in rest.rows] == [runs[0]]
    assert await reads.count_dead_letters(own(owner)) == 2


async def test_json_that_is_not_looked_at_is_not_read(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told("note", args={"text": "hello"}), GATED])
    await stories.claim()
    await stories.settle(run, 0, result={"ok": True})

    full, gated = await reads.steps_of_runs(own(owner), [run])
    bare, _ = await reads.steps_of_runs(own(owner), [run], texts=frozenset({"result"}))
    (approval,) = await reads.approvals_of_runs(own(owner), [run], texts=frozenset())

    assert (full.args, full.resolved_args, full.result) == ('{"text":"hello"}', '{"text":"hello"}', '{"ok":true}')
    assert (bare.args, bare.resolved_args, bare.result) == (None, None, '{"ok":true}')
    assert gated.resolved_args == '{"amount":5}'
    assert approval.proposed_args is None


async def test_a_step_that_waits_has_no_resolved_arguments(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told("first"), Told("second", after=("first",), args={"a": 1})])

    rows = await reads.steps(own(owner), [(run, 1), (run, 7)])

    assert set(rows) == {(run, 1)}
    assert (rows[run, 1].args, rows[run, 1].resolved_args) == ('{"a":1}', None)


async def test_a_step_says_whether_it_is_due_or_in_doubt(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told("later"), Told("doubt"), Told("now"), GATED])
    await stories.claim(3)
    await stories.settle(run, 0, StepState.READY, reason="FAILED", delay_seconds=600, error_code="X", error_message="x")
    await stories.settle(run, 1, StepState.BLOCKED, error_code="IN_DOUBT", error_message="gone")
    await stories.settle(run, 2, StepState.READY, reason="FAILED", error_code="X", error_message="x")

    later, doubt, now, gated = await reads.steps_of_runs(own(owner), [run])

    assert [later.is_due, doubt.is_due, now.is_due, gated.is_due] == [False, False, True, False]
    assert [later.is_in_doubt, doubt.is_in_doubt, gated.is_in_doubt] == [False, True, False]


async def test_pages_of_many_timelines_come_in_one_statement(stories: Stories, reads: Reads):
    owner = await stories.person("owner")
    one, other = await stories.run(owner), await stories.run(owner)
    asked_for = [EventsAfter(one, 0, 2), EventsAfter(one, 2, 2), EventsAfter(other, 1, 9), EventsAfter(other, 3, 9)]

    pages = await reads.pages_of_events(own(owner), asked_for)

    assert [[row.seq for row in pages[each].rows] for each in asked_for] == [[1, 2], [3], [2, 3], []]
    assert [pages[each].has_more for each in asked_for] == [True, False, False, False]
    assert {row.run_id for row in pages[asked_for[2]].rows} == {other}


@pytest.mark.parametrize("most", [3 * 29, 3 * 29 - 1], ids=["at the limit", "past it"])
async def test_no_more_json_is_read_than_may_be_held(stories: Stories, database: Database, most: int):
    owner = await stories.person("owner")
    texts = [f'{{"text":"{letter * 18}"}}' for letter in "abc"]
    assert {len(text) for text in texts} == {29}
    free, gated = [
        await stories.run(owner, [Told(letter, risk=risk, args={"text": letter * 18}) for letter in "abc"])
        for risk in (Risk.L0, Risk.L3)
    ]
    await stories.claim()
    reads = Reads(database, most_bytes=most)
    args, proposed = frozenset({"args"}), frozenset({"proposed_args"})

    async def those(read: Awaitable[Any], column: str) -> list[str]:
        found = await read
        rows = found.values() if isinstance(found, dict) else getattr(found, "rows", found)
        return [getattr(row, column) for row in rows]

    def places(run: UUID) -> list[tuple[UUID, int]]:
        return [(run, position) for position in range(3)]

    for answer in (
        those(reads.anew().steps_of_runs(own(owner), [free], texts=args), "args"),
        those(reads.anew().steps(own(owner), places(free), texts=args), "args"),
        those(reads.anew().tool_calls_of_steps(own(owner), places(free), texts=args), "args"),
        those(reads.anew().approvals_of_runs(own(owner), [gated], texts=proposed), "proposed_args"),
        those(reads.anew().approvals_of_steps(own(owner), places(gated), texts=proposed), "proposed_args"),
        those(reads.anew().page_of_approvals(own(owner), ApprovalFilter(), first=5, texts=proposed), "proposed_args"),
    ):
        if most < 3 * 29:
            with pytest.raises(TooManyBytes):
                await answer
        else:
            assert sorted(await answer) == texts


async def test_all_questions_together_read_no_more_json_than_may_be_held(stories: Stories, database: Database):
    owner = await stories.person("owner")
    run = await stories.run(owner, [Told(letter, args={"text": letter * 18}) for letter in "ab"])
    reads, args = Reads(database, most_bytes=5 * 29), frozenset({"args"})

    found = await asyncio.gather(
        *(reads.steps_of_runs(own(owner), [run], texts=args) for _ in range(4)), return_exceptions=True
    )

    assert [isinstance(each, TooManyBytes) for each in found] == [False, False, True, True]
    assert len(await reads.anew().steps_of_runs(own(owner), [run], texts=args)) == 2


@pytest.mark.parametrize("seed", range(5))
async def test_any_places_of_several_runs_are_found_and_no_others(stories: Stories, reads: Reads, seed: int):
    dice = random.Random(seed)
    owner = await stories.person("owner")
    runs = [await stories.run(owner, [Told(f"note {n}") for n in range(12)]) for _ in range(3)]
    places = [(run, position) for run in runs for position in range(-1, 14) if dice.random() < 0.5] * 2
    dice.shuffle(places)

    found = await reads.steps(everything(), places)

    assert set(found) == {(run, position) for run, position in places if 0 <= position < 12}
