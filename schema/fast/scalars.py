"""The scalars that clients see: times in RFC 3339, and JSON that every reader reads alike."""

from datetime import UTC, datetime
from typing import Final, NewType

import orjson
import strawberry
from strawberry.types.scalar import ScalarDefinition

from schema.fast.spending import spend_json
from schema.shared.faults import BAD_USER_INPUT, RequestError
from schema.shared.jsontext import JsonText, check_json

__all__ = ["JSON", "MAX_JSON_DEPTH", "SCALARS", "write_time"]

JSON = NewType("JSON", object)
"""Any JSON value."""

MAX_JSON_DEPTH: Final = 64


def write_time(moment: datetime) -> str:
    """`moment` in RFC 3339, in UTC.

    >>> write_time(datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))
    '2026-01-02T03:04:05.678Z'
    """
    # Large answers hold thousands of times, and isoformat takes four times as long.
    text = orjson.dumps(moment if moment.tzinfo is UTC else moment.astimezone(UTC), option=orjson.OPT_UTC_Z).decode()
    if moment.microsecond == 0:
        return f"{text[1:-2]}.000Z"
    return f"{text[1:-5]}Z" if moment.microsecond % 1000 == 0 else text[1:-1]


def read_time(value: object) -> datetime:
    """The moment that an RFC 3339 text names, in UTC; it must have an offset."""
    if isinstance(value, datetime):
        return value
    try:
        if not isinstance(value, str) or len(value) > 64 or "T" not in value.upper():
            raise ValueError  # noqa: TRY301 - every way to be no time ends in one sentence
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError  # noqa: TRY301
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError(
            f"{str(value)[:64]!r} is no time in RFC 3339 with an offset, such as 2026-01-02T03:04:05Z.",
            BAD_USER_INPUT,
        ) from None


def read_json(value: object) -> object:
    """`value`, if it can be kept exactly."""
    check_json(value, what="The JSON", max_depth=MAX_JSON_DEPTH)
    return value


def show_json(value: object) -> object:
    """`value` for the answer, in which only so much JSON may be."""
    if type(value) is not JsonText:
        return value
    spend_json(value.size)
    return value.shown()


SCALARS: Final[dict[object, ScalarDefinition]] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in RFC 3339, in UTC.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=write_time,
        parse_value=read_time,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=show_json,
        parse_value=read_json,
    ),
}
"""Give this to `StrawberryConfig(scalar_map=SCALARS)`."""
