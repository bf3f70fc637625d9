"""Cursors: the place of a row in its order, opaque, and good only where it came from."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID


class BadCursor(ValueError):
    """A text that is no cursor of the list it was given for."""


class Position(NamedTuple):
    """Where a row stands in a list that is ordered by time: its time, its id, and its position if it is a step."""

    at: datetime
    id: UUID
    position: int = 0


RUNS: Final = b"R"
APPROVALS: Final = b"A"
DEAD_LETTERS: Final = b"D"
_EVENTS: Final = b"E"
_CHILDREN: Final = b"C"

_PLACE: Final = struct.Struct(">cq16sI")
_EVENT: Final = struct.Struct(">c16sI")
_CHILD: Final = struct.Struct(">c16sII")
_NUMBER: Final = struct.Struct(">cQ")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST: Final = 2**31 - 1


def write_place(of: bytes, place: Position) -> str:
    """The cursor of a row in the list that `of` names."""
    return _text(_PLACE.pack(of, (place.at - _EPOCH) // _MICROSECOND, place.id.bytes, place.position))


def read_place(of: bytes, cursor: str) -> Position:
    """The place that a cursor of that list names; BadCursor for any other text."""
    packed = _packed(cursor, _PLACE)
    kind, microseconds, id_, position = _PLACE.unpack(packed)
    try:
        at = _EPOCH + microseconds * _MICROSECOND
    except OverflowError:
        raise BadCursor from None
    if kind != of or position > _MOST:
        raise BadCursor
    return Position(at, UUID(bytes=id_), position)


def write_event(run: UUID, seq: int) -> str:
    """The cursor of an event in its run's timeline."""
    return _text(_EVENT.pack(_EVENTS, run.bytes, seq))


def read_event(run: UUID, cursor: str) -> int:
    """The seq that a cursor of this run's timeline names; BadCursor for any other text."""
    kind, of, seq = _EVENT.unpack(_packed(cursor, _EVENT))
    if kind != _EVENTS or of != run.bytes or not 0 < seq <= _MOST:
        raise BadCursor
    return seq


def write_child(run: UUID, parent: int, index: int) -> str:
    """The cursor of a child among those of the step at the position `parent` of the run."""
    return _text(_CHILD.pack(_CHILDREN, run.bytes, parent, index))


def read_child(run: UUID, parent: int, cursor: str) -> int:
    """The index that a cursor of that step's children names; BadCursor for any other text."""
    kind, of, step, index = _CHILD.unpack(_packed(cursor, _CHILD))
    if kind != _CHILDREN or (of, step) != (run.bytes, parent) or index > _MOST:
        raise BadCursor
    return index


def write_number(of: bytes, number: int) -> str:
    """The cursor of a row in a list that is ordered by a number."""
    return _text(_NUMBER.pack(of, number))


def read_number(of: bytes, cursor: str) -> int:
    """The number that a cursor of that list names; BadCursor for any other text."""
    kind, number = _NUMBER.unpack(_packed(cursor, _NUMBER))
    if kind != of or number >= 2**63:
        raise BadCursor
    return number


def _text(packed: bytes) -> str:
    return urlsafe_b64encode(packed).rstrip(b"=").decode()


def _packed(cursor: str, shape: struct.Struct) -> bytes:
    # One place has one cursor: what decodes to the same bytes but is written otherwise is none of ours.
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (NoBase64, ValueError):
        raise BadCursor from None
    if len(packed) != shape.size or _text(packed) != cursor:
        raise BadCursor
    return packed
