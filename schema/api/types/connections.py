"""Connections: lists in pages, with the cursors of their entries. What all of them have is written once, here."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar, get_args

import strawberry

from schema.api.types.base import described
from schema.api.types.pages import PageInfo, page_info

__all__ = ["DEFAULT_PAGE", "After", "Connection", "Count", "Counted", "First", "connection"]

N = TypeVar("N")
C = TypeVar("C", bound="Connection[Any]")

Count = Callable[[], Awaitable[int]]
"""Counts all that match; asked only when a client wants to know."""

DEFAULT_PAGE: Final = 20
"""How many entries a page has where nobody asks for another number."""

First = Annotated[int | None, strawberry.argument(description="How many entries at most.")]
After = Annotated[str | None, strawberry.argument(description="The cursor of the entry to go on from.")]


class Connection(Generic[N]):
    """A page of a list: its entries (`nodes`), each with its cursor too (`edges`), and its place (`page_info`)."""

    edge: type[Any]

    def __init__(self, nodes: list[N], cursors: Sequence[str], *, has_more: bool, after: object | None) -> None:
        self.nodes = nodes
        self.edges = [self.edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)]
        self.page_info = page_info(cursors, has_more=has_more, after=after)


class Counted(Connection[N]):
    """A connection that can say how many entries there are on all pages."""

    def __init__(
        self, nodes: list[N], cursors: Sequence[str], *, has_more: bool, after: object | None, count: Count
    ) -> None:
        super().__init__(nodes, cursors, has_more=has_more, after=after)
        self.count = count


def connection(
    one: str, many: str, *, description: str | None = None, within: str = "list"
) -> Callable[[type[C]], type[C]]:
    """Declares a `Connection` of some type, and its edges, to clients; `one` and `many` are words for its entries.

    @connection("run", "runs")
    class RunConnection(Counted[Run]): ...
    """

    def declare(type_: type[C]) -> type[C]:
        (node,) = get_args(type_.__dict__["__orig_bases__"][0])
        type_.edge = _fields(
            type(type_.__name__.replace("Connection", "Edge"), (), {}),
            f"{_an(one)} and its place in the {within}.",
            cursor=(str, "Where it stands."),
            node=(node, f"The {one}."),
        )
        if issubclass(type_, Counted):
            total = strawberry.field(_total_count, description="How many match, on all pages.")
            setattr(type_, "total_count", total)  # noqa: B010 - a field, of which the class itself says nothing
        # Its own, or the dataclass that Strawberry makes of it would get another one.
        setattr(type_, "__init__", type_.__init__)  # noqa: B010
        return _fields(
            type_,
            description or f"A page of {many}.",
            edges=(list[type_.edge], f"The {many} with their cursors."),
            nodes=(list[node], f"The {many}."),
            page_info=(PageInfo, "Where this page stands."),
        )

    return declare


async def _total_count(self: Counted[Any]) -> int:
    return await self.count()


def _an(noun: str) -> str:
    return f"{'An' if noun[0] in _VOWELS else 'A'} {noun}"


_VOWELS: Final = "aeiou"


def _fields(type_: type[Any], description: str, **fields: tuple[Any, str]) -> type[Any]:
    """Strawberry's type with these fields, each given as its type and description."""
    type_.__annotations__ = {name: field for name, (field, _) in fields.items()}
    for name, (_, text) in fields.items():
        setattr(type_, name, described(text))
    return strawberry.type(type_, description=description)
