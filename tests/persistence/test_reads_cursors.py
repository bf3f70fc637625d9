from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from persistence.ids import new_id
from persistence.reads.cursors import (
    APPROVALS,
    DEAD_LETTERS,
    RUNS,
    BadCursor,
    Position,
    read_child,
    read_event,
    read_place,
    write_child,
    write_event,
    write_place,
)

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@given(some.datetimes(timezones=some.just(UTC)), some.uuids(), some.integers(0, 2**31 - 1))
def test_a_cursor_gives_back_the_very_place(at, id_, position):
    place = Position(at, id_, position)

    assert read_place(RUNS, write_place(RUNS, place)) == place


@given(some.text())
def test_any_other_text_is_refused(text):
    with pytest.raises(BadCursor):
        read_place(RUNS, text)
    with pytest.raises(BadCursor):
        read_event(new_id(), text)


@given(some.binary(min_size=29, max_size=29))
def test_bytes_of_the_right_length_are_a_place_or_refused(packed):
    cursor = urlsafe_b64encode(packed).rstrip(b"=").decode()

    try:
        place = read_place(RUNS, cursor)
    except BadCursor:
        return
    assert write_place(RUNS, place) == cursor


def test_a_cursor_is_good_only_in_its_own_list():
    runs, approvals = (write_place(kind, Position(MOMENT, new_id())) for kind in (RUNS, APPROVALS))

    for kind, cursor in ((APPROVALS, runs), (DEAD_LETTERS, runs), (RUNS, approvals), (RUNS, write_event(new_id(), 3))):
        with pytest.raises(BadCursor):
            read_place(kind, cursor)


def test_a_childs_cursor_is_good_only_among_the_children_of_its_step():
    run = new_id()
    cursor = write_child(run, 3, 7)

    assert read_child(run, 3, cursor) == 7
    for other, parent, text in ((run, 4, cursor), (new_id(), 3, cursor), (run, 3, write_event(run, 7)), (run, 3, "x")):
        with pytest.raises(BadCursor):
            read_child(other, parent, text)


def test_a_cursor_is_good_only_in_its_own_run():
    run = new_id()

    assert read_event(run, write_event(run, 7)) == 7
    with pytest.raises(BadCursor):
        read_event(new_id(), write_event(run, 7))


def test_a_cursor_written_otherwise_is_refused():
    cursor = write_place(RUNS, Position(MOMENT, new_id()))

    for other in ("", cursor + "=", cursor[:-1], cursor + "A", " " + cursor, cursor + "\n", cursor.swapcase()):
        if other != cursor:
            with pytest.raises(BadCursor):
                read_place(RUNS, other)


def test_a_place_beyond_the_calendar_is_refused():
    latest = write_place(RUNS, Position(datetime.max.replace(tzinfo=UTC) - timedelta(days=1), new_id()))

    assert read_place(RUNS, latest)
