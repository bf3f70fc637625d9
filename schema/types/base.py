"""What several types share."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from schema.execution import AT_HAND
from schema.jsontext import JsonText
from schema.visible import visible

if TYPE_CHECKING:
    from schema.types.approvals import Approval
    from schema.types.runs import Run
    from schema.types.steps import Step
    from schema.types.tool_calls import ToolCall

__all__ = [
    "ApprovalRef",
    "Failure",
    "Lazy",
    "Node",
    "RunRef",
    "StepRef",
    "ToolCallRef",
    "described",
    "json_of",
    "related",
]

RunRef = Annotated["Run", strawberry.lazy("schema.types.runs")]
StepRef = Annotated["Step", strawberry.lazy("schema.types.steps")]
ApprovalRef = Annotated["Approval", strawberry.lazy("schema.types.approvals")]
ToolCallRef = Annotated["ToolCall", strawberry.lazy("schema.types.tool_calls")]


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
            setattr(self, name, value)
            return value


def json_of(column: str) -> Callable[[Any], Any]:
    """The JSON text of the row's column."""
    text_of = attrgetter(f"row.{column}")

    def read(thing: Any) -> Any:
        text = text_of(thing)
        return None if text is None else JsonText(text)

    return read
