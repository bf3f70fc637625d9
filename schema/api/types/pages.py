"""Pages of lists: what is asked for, and what all connections have in common."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Callable, Sequence
from typing import TypeVar

import strawberry

from schema.api.types.base import described
from schema.shared.faults import BAD_USER_INPUT, RequestError

__all__ = ["PageInfo", "bad_cursor", "given", "page_info", "page_size", "place_after"]

T = TypeVar("T")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = described("Whether more follows.")
    has_previous_page: bool = described("Whether this page began after a cursor.")
    start_cursor: str | None = described("The cursor of the first entry; null if the page is empty.")
    end_cursor: str | None = described("The cursor of the last entry: the `after` of the next page.")


def given(value: T | None) -> T | None:
    """An argument's value; None too where it was left out."""
    return None if value is strawberry.UNSET else value


def page_size(first: int | None, *, default: int, most: int) -> int:
    """How many entries are asked for; a `RequestError` for more than the limit, or less than none."""
    if first is None:
        return min(default, most)
    if not 0 <= first <= most:
        raise RequestError(f"first is {first} here; it has to be from 0 to {most}.", BAD_USER_INPUT)
    return first


def place_after(after: str | None, read: Callable[[str], T]) -> T | None:
    """Where the page begins, None for the start; a `RequestError` for a text that is no cursor of this list."""
    if after is None:
        return None
    try:
        return read(after)
    except ValueError:
        raise bad_cursor() from None


def bad_cursor() -> RequestError:
    """The refusal of an `after` that came from nowhere, or from another list."""
    return RequestError("after is no cursor of this list.", BAD_USER_INPUT)


def page_info(cursors: Sequence[str], *, has_more: bool, after: object | None) -> PageInfo:
    """The page's place, by the cursors of its entries."""
    return PageInfo(
        has_next_page=has_more,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
