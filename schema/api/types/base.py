"""What several types share."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from asyncio import ensure_future
from collections.abc import Awaitable, Callable, Mapping
from operator import attrgetter
from types import CoroutineType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeVar, cast

import strawberry

from schema.api.loaders import Loaders
from schema.fast.execution import AT_HAND
from schema.shared.jsontext import JsonText
from schema.shared.visible import visible

__all__ = [
    "ApprovalRef",
    "Failure",
    "Lazy",
    "Node",
    "RunRef",
    "StepRef",
    "StepsRef",
    "ToolCallRef",
    "described",
    "json_of",
    "later",
    "related",
    "show",
    "shown_texts",
    "shows",
]

C = TypeVar("C", bound=type)
R = TypeVar("R")
T = TypeVar("T")

if TYPE_CHECKING:
    # The types refer to one another; by their names alone, none of them has to import the others.
    RunRef = StepRef = StepsRef = ApprovalRef = ToolCallRef = Any
else:
    RunRef, StepRef, StepsRef, ApprovalRef, ToolCallRef = (
        Annotated[name, strawberry.lazy(f"schema.api.types.{module}")]
        for name, module in (
            ("Run", "runs"),
            ("Step", "steps"),
            ("StepConnection", "steps"),
            ("Approval", "approvals"),
            ("ToolCall", "tool_calls"),
        )
    )

_TYPES: Final[dict[type, Callable[[Any, Loaders], Any]]] = {}


def shows(row: type) -> Callable[[C], C]:
    """Declares that clients see such rows as objects of this type, which is made from a row and the loaders."""

    def declare(type_: C) -> C:
        _TYPES[row] = type_
        return type_

    return declare


def show(found: Any, loaders: Loaders) -> Any:
    """What clients see of a row, of a list of rows, of None, or later of an awaitable of them.

    Each row becomes one object, however many fields lead to it.
    """
    # Lists come by the thousand, and most of their rows are known: each is looked up here, without a call.
    known = loaders.shown
    if type(found) is list:
        return [known.get(id(row)) or _shown(row, loaders) for row in cast("list[Any]", found)]
    if found is None:
        return None
    if type(found) in _TYPES:
        return known.get(id(found)) or _shown(found, loaders)
    return _show_later(found, loaders)


def _shown(row: Any, loaders: Loaders) -> Any:
    # What is made holds its row, so that no other row gets the same identity.
    shown = loaders.shown[id(row)] = _TYPES[type(row)](row, loaders)
    return shown


def later(found: T | Awaitable[T], make: Callable[[T], R]) -> R | Awaitable[R]:
    """What is made of something that is there, at once; or later, when it comes."""
    if isinstance(found, Awaitable):
        return _made_later(cast("Awaitable[T]", found), make)
    return make(found)


async def _made_later(found: Awaitable[T], make: Callable[[T], R]) -> R:
    return make(await found)


async def _show_later(found: Awaitable[Any], loaders: Loaders) -> Any:
    return show(await found, loaders)


def shown_texts(found: list[str] | Awaitable[list[str]]) -> Any:
    """Texts of others as clients see them, at once or later."""
    return [visible(text) for text in found] if isinstance(found, list) else _texts_later(found)


async def _texts_later(found: Awaitable[list[str]]) -> list[str]:
    return [visible(text) for text in await found]


def related(type_: Any, description: str, *, at_hand: str) -> Any:
    """A resolver's field for a related object; the attribute `at_hand` has it where it was read with its list."""
    return strawberry.field(graphql_type=type_, description=description, metadata={AT_HAND: at_hand})


def described(description: str) -> Any:
    """An attribute as a field, described for the client."""
    return strawberry.field(description=description)


@strawberry.interface(
    description="Anything with a globally unique id. Ids are opaque, prefixed with their type: run_…, step_…, appr_…"
)
class Node:
    id: strawberry.ID = described("Opaque; the same for ever.")


@strawberry.type(name="Error", description="A failure that is a fact about the run, not about the request.")
class Failure:
    code: str = described("Of which kind it is, for programs.")
    message: str = described("What went wrong, for people.")

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = visible(message)

    @staticmethod
    def of(code: str | None, message: str | None) -> "Failure | None":
        """The failure that a row tells of, if it does."""
        return None if code is None else Failure(code, message or code)


class Lazy:
    """Gives its type the attributes named in `lazily`, each worked out when it is first looked at.

    They are declared as plain fields, so that the executor reads them like any other attribute.
    """

    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            read = type(self).lazily.get(name)
            if read is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            value = read(self)
            if type(value) is CoroutineType:
                # A document may ask for it twice, and a coroutine can be awaited once.
                value = ensure_future(value)
            setattr(self, name, value)
            return value


def json_of(column: str) -> Callable[[Any], Any]:
    """The JSON text of the row's column."""
    text_of = attrgetter(f"row.{column}")

    def read(thing: Any) -> Any:
        text = text_of(thing)
        return None if text is None else JsonText(text)

    return read
