"""What an approval has to say of the destinations that outside text decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.errors import Fault, InvalidInput
from engine.provenance import Origin, decode, edited_origins
from engine.verbs.resources import Resources
from persistence.database import Connection
from persistence.moves.decide import ApprovalFacts, proposed_args
from persistence.moves.origins import origins_of


async def check_accepted(
    resources: Resources,
    tx: Connection,
    facts: ApprovalFacts,
    accepted: Sequence[str],
    *,
    edited: str | None,
    must_name: bool,
) -> None:
    """Raises InvalidInput for names that are no outside destination, and, if it `must_name` them, for those left out.

    `accepted` are paths joined by dots. What the edit (JSON) changes is the person's own, and needs no name.
    """
    stored = await origins_of(tx, facts.run, facts.position)
    origins = [] if stored is None else decode(stored)
    named = {each.name for each in origins if each.is_outside_destination}
    faults = [
        Fault(("acceptOutside", place), f"{name!r:.100} is no outside destination of this step{_those(named)}")
        for place, name in enumerate(accepted)
        if name not in named
    ]
    if not faults and must_name and named:
        left = await _left_open(resources, tx, facts, origins, edited)
        if missing := sorted(left.difference(accepted)):
            message = f"text of others decides {', '.join(missing)}: name what you accept, or edit it"
            faults.append(Fault(("acceptOutside",), message))
    if faults:
        raise InvalidInput(tuple(faults))


async def _left_open(
    resources: Resources, tx: Connection, facts: ApprovalFacts, origins: Sequence[Origin], edited: str | None
) -> set[str]:
    """The outside destinations that the edit leaves as they are."""
    if edited is not None:
        proposed: Mapping[str, Any] = orjson.loads(await proposed_args(tx, facts.id))
        tool = resources.registry.get(facts.tool)
        destinations = () if tool is None else tool.destinations
        origins = edited_origins(origins, proposed, orjson.loads(edited), destinations)
    return {each.name for each in origins if each.is_outside_destination}


def _those(named: set[str]) -> str:
    return f"; there {'is' if len(named) == 1 else 'are'} {', '.join(sorted(named))}" if named else "; it has none"
