"""Where the arguments of steps come from."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

import orjson
import strawberry

from engine.provenance import Origin, decode, edited_origins, plain_origins, referred_keys, sentence
from engine.tools import Registry
from persistence.reads import ApprovalRow, OriginsRow, StepPlace, StepRow
from persistence.states import OriginKind, Trust
from schema.api.loaders import Loaders
from schema.api.types.base import Lazy, StepRef, described, show
from schema.shared.visible import visible, visible_or_none

__all__ = ["ArgOrigin", "PlannedOrigin", "origins_of_approval", "origins_of_step", "outside_destinations"]


@strawberry.type(
    description=(
        "Where a value of a step's arguments comes from; it holds for all below its path that has no origin of its own."
    )
)
class ArgOrigin(Lazy):
    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "steps": lambda origin: origin.neighbours(origin.origin.steps),
        "outside": lambda origin: origin.neighbours(origin.origin.outside),
    }

    path: list[str] = described("From the arguments' root.")
    kind: OriginKind = described("What it comes from.")
    trust: Trust = described("How much of it others decide.")
    expression: str | None = described("RESULT: the expression of the reference.")
    steps: list[StepRef] = described("RESULT: the steps at which the expression looks.")
    outside: list[StepRef] = described("The steps behind it that read what others can write.")
    destination: bool = described("Whether it says to whom, where, which or how much.")
    start: int | None = described(
        "Where in the run's sentence the part begins that it was read from, in code points; null when it was not."
    )
    end: int | None = described("Where that part ends.")

    origin: strawberry.Private[Origin]
    run: strawberry.Private[UUID]
    loaders: strawberry.Private[Any]

    def __init__(self, origin: Origin, run: UUID, loaders: Loaders) -> None:
        self.origin = origin
        self.run = run
        self.loaders = loaders
        self.path = _path(origin)
        self.kind = origin.kind
        self.trust = origin.trust
        self.expression = visible_or_none(origin.expression)
        self.destination = origin.destination
        self.start = self.end = None

    def neighbours(self, positions: Sequence[int]) -> Any:
        """The run's steps at these positions."""
        return show(self.loaders.neighbours(self.run, positions), self.loaders)


@strawberry.type(
    description="Where a value of a planned step's arguments comes from. Steps are named by their keys in the plan."
)
class PlannedOrigin:
    path: list[str] = described("From the arguments' root.")
    kind: OriginKind = described("What it comes from.")
    trust: Trust = described("How much of it others decide.")
    expression: str | None = described("RESULT: the expression of the reference.")
    steps: list[str] = described("RESULT: the steps at which the expression looks.")
    outside: list[str] = described("The steps behind it that read what others can write.")
    destination: bool = described("Whether it says to whom, where, which or how much.")
    start: int | None = described(
        "Where in the sentence the part begins that it was read from, in code points; null when it was not."
    )
    end: int | None = described("Where that part ends.")

    def __init__(self, origin: Origin, keys: Sequence[str]) -> None:
        self.path = _path(origin)
        self.kind = origin.kind
        self.trust = origin.trust
        self.expression = visible_or_none(origin.expression)
        self.steps = [keys[place] for place in origin.steps]
        self.outside = [keys[place] for place in origin.outside]
        self.destination = origin.destination
        self.start = self.end = None


async def origins_of_step(place: StepPlace, loaders: Loaders, registry: Registry) -> list[ArgOrigin]:
    """Where the arguments of the step at this place come from."""
    row = await loaders.origins.load(place)
    found = [] if row is None else await _origins(row, loaders, registry)
    return [ArgOrigin(each, place[0], loaders) for each in found]


async def origins_of_approval(row: ApprovalRow, loaders: Loaders, registry: Registry) -> list[ArgOrigin]:
    """Where the arguments come from that an approval is about; those that were edited, from the person who did it."""
    found = await _of_approval(row, loaders, registry)
    return [ArgOrigin(each, row.run_id, loaders) for each in found]


async def outside_destinations(row: ApprovalRow, loaders: Loaders, registry: Registry) -> list[str]:
    """A sentence for each destination that outside text decides."""
    found = [each for each in await _of_approval(row, loaders, registry) if each.is_outside_destination]
    places = sorted({place for each in found for place in each.outside})
    steps = await _now(loaders.neighbours(row.run_id, places))
    sources = {step.position: (step.key, step.tool) for step in steps}
    said = [sentence([each.name], each.outside, sources) for each in found]
    return [visible(f"{text[0].upper()}{text[1:]}.") for text in said]


async def _of_approval(row: ApprovalRow, loaders: Loaders, registry: Registry) -> list[Origin]:
    stored = await loaders.origins.load((row.run_id, row.position))
    if stored is None:
        return []
    found = await _origins(stored, loaders, registry)
    if row.edited_args is None or row.proposed_args is None:
        return found
    tool = registry.get(stored.tool)
    destinations = () if tool is None else tool.destinations
    return edited_origins(found, orjson.loads(row.proposed_args), orjson.loads(row.edited_args), destinations)


async def _origins(row: OriginsRow, loaders: Loaders, registry: Registry) -> list[Origin]:
    if row.origins is not None:
        return decode(row.origins)
    args: dict[str, Any] = orjson.loads(row.args or "{}")
    place_of: dict[str, int] = {}
    if keys := referred_keys(args):
        found = await loaders.positions.load_many([(row.run_id, key) for key in sorted(keys)])
        place_of = {key: place for key, place in zip(sorted(keys), found, strict=True) if place is not None}
    return plain_origins(args, registry.get(row.tool), place_of, row.depends_on)


async def _now(found: list[StepRow] | Awaitable[list[StepRow]]) -> list[StepRow]:
    return found if isinstance(found, list) else await found


def _path(origin: Origin) -> list[str]:
    return [visible(str(part)) for part in origin.path]
