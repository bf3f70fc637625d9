"""The table of moves is whole, and what follows from it stands nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from persistence import models
from persistence.moves import row, table
from persistence.moves.begin import NewStep
from persistence.moves.events import by_move, event_rows, metadata, words
from persistence.moves.record import MOVES_OF_SUCCESS
from persistence.moves.table import MOVES, STEP_MOVES, Event, Move, touched
from persistence.states import FINISHED_STEP_STATES, EventType, SkipReason, StepState

ROOT = Path(__file__).parents[2]
SOURCES = {path: path.read_text() for folder in ("persistence", "engine") for path in (ROOT / folder).rglob("*.py")}
PERSON_DECIDES = {EventType.APPROVAL_APPROVED, EventType.APPROVAL_REJECTED, EventType.APPROVAL_EXPIRED}
"""The events whose words the engine says, since they name people."""


def events() -> list[Event]:
    """All events that the table has."""
    found = [each for each in vars(table).values() if isinstance(each, Event)]
    of_moves = [event for move in MOVES for event in (move.event, move.then) if event is not None]
    return [*found, *of_moves, *table.ASKED.values()]


def test_every_move_is_in_the_list() -> None:
    named = [each for each in vars(table).values() if isinstance(each, Move)]

    assert [id(move) for move in named] == [id(move) for move in MOVES]


def test_no_move_leaves_a_step_where_it_was_or_a_success_or_a_cancelled_step() -> None:
    assert all(move.enters not in move.leaves for move in MOVES)
    assert {state for state, after in STEP_MOVES.items() if not after} == {StepState.SUCCEEDED, StepState.CANCELLED}


def test_moves_between_the_same_states_differ_by_their_reasons() -> None:
    ends = [(leaves, move.enters, move.reason) for move in MOVES for leaves in move.leaves]

    assert len(ends) == len(set(ends))


def test_every_event_but_a_persons_decisions_has_its_words_in_the_table() -> None:
    assert {event.type for event in events()} == set(EventType) - PERSON_DECIDES


def test_a_success_touches_the_counters_of_the_states_that_its_moves_leave_and_enter() -> None:
    assert touched(MOVES_OF_SUCCESS) == tuple(
        state for state in StepState if state not in FINISHED_STEP_STATES or state is StepState.SUCCEEDED
    )


def test_every_reason_to_skip_a_step_has_words() -> None:
    assert set(table.SKIPPED_BECAUSE) == set(SkipReason)


TEXTS = sorted(
    {
        text.strip(" :;()")
        for message in [
            *(event.message for event in events()),
            *table.SKIPPED_BECAUSE.values(),
            table.IN_DOUBT_REASON,
            table.RUN_ERROR,
        ]
        for text, *_ in Formatter().parse(message)
        if len(text.strip(" :;()")) > 6
    }
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_stands_in_the_table_alone(text: str) -> None:
    stands = [
        path.relative_to(ROOT)
        for path, source in SOURCES.items()
        # In SQL, that is: between single quotes, and beside what the statement adds.
        if path.name != "table.py" and re.search(rf"'[^'\n]*{re.escape(text)}[^'\n]*' *(\|\||THEN|ELSE|END|,)", source)
    ]

    assert stands == []


@pytest.mark.parametrize("table", ["timeline_events", "tool_calls", "approvals"])
def test_no_statement_writes_these_rows_but_by_a_piece(table: str) -> None:
    assert [path.name for path, source in SOURCES.items() if f"INSERT INTO {table}" in source] == []


def test_the_rows_of_an_event_are_written_in_one_place() -> None:
    assert [path.name for path, source in SOURCES.items() if 'insert("timeline_events"' in source] == ["events.py"]


def test_the_rows_of_an_event_have_all_columns_of_their_table() -> None:
    (insert,) = event_rows("somewhere").values()

    assert re.findall(r"\w+", insert[insert.index("(") : insert.index(")")]) == [
        column.name for column in models.timeline_events.columns
    ]


def test_a_claimed_steps_columns_are_columns_of_steps_or_say_what_they_are() -> None:
    known = {column.name for column in models.steps.columns}

    assert [each.name for each in row.COLUMNS if each.name not in known and not each.source] == []


def test_a_new_steps_columns_are_columns_of_steps() -> None:
    known = {column.name for column in models.steps.columns}

    assert [each.name for each in row.columns_of(NewStep) if each.name not in known] == []


def test_a_run_has_a_counter_for_each_state_of_a_step() -> None:
    assert {state.value.lower() for state in StepState} <= {column.name for column in models.runs.columns}


def test_words_become_sql() -> None:
    assert words("{name} is ready") == "name || ' is ready'"
    assert words("{name} is ready", name="s.name") == "s.name || ' is ready'"
    assert words("it's {n} {n|step|steps}") == "'it''s ' || n || ' ' || CASE n WHEN 1 THEN 'step' ELSE 'steps' END"
    assert words("{name} is running{again}", again="") == "name || ' is running'"


def test_metadata_becomes_sql() -> None:
    assert metadata(table.RESUMED) == "'{}'::json"
    assert metadata(table.START.event, attempt="next.attempt") == "json_build_object('attempt', next.attempt)"


def test_a_case_has_a_branch_for_each_part_that_differs() -> None:
    type_of = by_move((table.SUCCEED, table.CONFIRM, table.RETRY, table.RESCUE, table.RELEASE), "enters", _type)
    reasons = by_move((table.RETRY, table.RESCUE, table.HAND_BACK), "enters", lambda move: str(move.reason))

    assert type_of == (
        "CASE enters WHEN 'SUCCEEDED' THEN STEP_SUCCEEDED "
        "ELSE CASE WHEN leaves = 'BLOCKED' THEN STEP_READY ELSE STEP_RETRYING END END"
    )
    assert reasons == "CASE WHEN reason = 'LOST' THEN LOST WHEN reason = 'HANDED_BACK' THEN HANDED_BACK ELSE None END"
    assert by_move((table.GATE,), "enters", _type) == "STEP_BLOCKED"


def _type(move: Move) -> str:
    return str(move.event.type)
