"""Tools."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

import strawberry

from engine.tools import Tool as EngineTool
from persistence.states import Risk
from schema.api.types.base import described
from schema.fast.scalars import JSON

__all__ = ["Tool"]


@strawberry.type(description="Something that a step can call.")
class Tool:
    name: str = described("What plans call it by.")
    description: str = described("What it does.")
    risk_level: Risk = described("How dangerous it is; a plan can raise that and never lower it.")
    args_schema: JSON = described("JSON Schema.")
    result_schema: JSON | None = described("JSON Schema of what it gives back, if that is known.")
    idempotent: bool = described(
        "Whether it can be called again under the same execution key when nobody knows if a call happened."
    )

    reads_outside: bool = described("Whether others can write what it gives back.")
    outward: bool = described(
        "Whether its effect is seen by others, or leaves; what says nothing counts so from L2 up."
    )
    destinations: list[str] = described(
        "The arguments that say to whom, where, which or how much, as dotted names; everything below one counts."
    )
    available: bool = described("Whether it can be called here.")
    unavailable_because: str | None = described("What to install or set, if it is not available.")

    def __init__(self, tool: EngineTool) -> None:
        self.name = tool.name
        self.description = tool.description
        self.risk_level = tool.risk
        self.args_schema = JSON(tool.args_schema)
        self.result_schema = None if tool.result_schema is None else JSON(tool.result_schema)
        self.idempotent = tool.idempotent
        self.reads_outside = tool.reads_outside
        self.outward = tool.outward
        self.destinations = list(tool.destinations)
        self.available = True
        self.unavailable_because = None
