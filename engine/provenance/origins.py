"""Where one value of a step's arguments comes from, and the sentence that says so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from persistence.states import OriginKind, Trust

Path = tuple[str | int, ...]
_MOST_NAMED: Final = 3


class Origin(NamedTuple):
    """Of the value at `path`, and of all below it that has no origin of its own. Steps are positions in the plan.

    `expression` is a reference's, `steps` are those that it looks at, `outside` those behind it that read what others
    can write. `destination`: it says to whom, where, which or how much.
    """

    path: Path
    kind: OriginKind
    trust: Trust
    expression: str | None = None
    steps: tuple[int, ...] = ()
    outside: tuple[int, ...] = ()
    destination: bool = False

    @property
    def name(self) -> str:
        """Its path in one word: `to`, `message.to`, `guests.0`."""
        return ".".join(map(str, self.path))

    @property
    def is_outside_destination(self) -> bool:
        """Whether outside text decides where the effect goes."""
        return self.destination and self.trust is Trust.OUTSIDE


Sources = Mapping[int, tuple[str, str]]
"""Of steps, by position: their keys, and the tools that they call."""


def encode(origins: Iterable[Origin]) -> str:
    """The origins as JSON text: the API's ArgOrigin, with positions in the place of steps."""
    return orjson.dumps(
        [
            {
                "path": list(map(str, each.path)),
                "kind": each.kind,
                "trust": each.trust.name,
                "expression": each.expression,
                "steps": each.steps,
                "outside": each.outside,
                "destination": each.destination,
            }
            for each in origins
        ]
    ).decode()


def decode(text: str) -> list[Origin]:
    """The origins of a step as they were stored; paths are texts alone."""
    return [_origin(each) for each in orjson.loads(text)]


def _origin(stored: Mapping[str, Any]) -> Origin:
    return Origin(
        path=tuple(stored["path"]),
        kind=OriginKind(stored["kind"]),
        trust=Trust[stored["trust"]],
        expression=stored["expression"],
        steps=tuple(stored["steps"]),
        outside=tuple(stored["outside"]),
        destination=stored["destination"],
    )


def sentence(names: Sequence[str], outside: Sequence[int], sources: Sources) -> str:
    """Why somebody should look twice at these destinations, which have their text from the same steps.

    >>> sentence(["to"], [0], {0: ("bill", "read_file")})
    'its to comes from bill (read_file), which others can write'
    """
    what = _and(names)
    if not outside:
        return f"its {what} {_verb(names, 'was', 'were')} written by an agent, which may have read anything"
    readers = [f"{sources[place][0]} ({sources[place][1]})" for place in outside if place in sources]
    return f"its {what} {_verb(names, 'comes', 'come')} from {_and(readers) or 'a step'}, which others can write"


def _verb(names: Sequence[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many


def _and(words: Sequence[str]) -> str:
    if len(words) > _MOST_NAMED:
        words = [*words[:_MOST_NAMED], f"{len(words) - _MOST_NAMED} more"]
    return words[0] if len(words) == 1 else " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
