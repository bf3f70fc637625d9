"""What a person's edit does to origins: the one thing that cleans a value. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from engine.provenance.derived import marking_destinations
from engine.provenance.destinations import Destinations
from engine.provenance.origins import Origin, Path
from persistence.states import OriginKind, Trust


def edited_origins(
    origins: Sequence[Origin], proposed: Mapping[str, Any], edited: Mapping[str, Any], destinations: Sequence[str]
) -> list[Origin]:
    """The origins of arguments that a person has edited: the paths whose value changed are theirs.

    `destinations` are the tool's, by their dotted names; none where the tool is not known any more.
    """
    changed = [tuple(map(str, path)) for path in _changes(proposed, edited, ())]
    kept = [each for each in origins if not any(_is_within(each.path, path) for path in changed)]
    found = [*kept, *(Origin(path, OriginKind.EDIT, Trust.PLAN) for path in changed)]
    # Without the tool, what was stored of its destinations still holds.
    return marking_destinations(found, Destinations(destinations)) if destinations else found


def _changes(before: object, after: object, path: Path) -> Iterator[Path]:
    """The places whose value is another now, as far inside as they can be named; a whole where all of it is."""
    parts, added = _parts(before, after)
    if parts is None:
        if not _is_same(before, after):
            yield path
        return
    inside = [[*_changes(old, new, (*path, name))] for name, old, new in parts]
    all_new = all(found == [(*path, name)] for (name, _, _), found in zip(parts, inside, strict=True))
    if path and (parts or added) and all_new:
        yield path
        return
    for found in inside:
        yield from found
    yield from ((*path, name) for name in added)


def _parts(before: object, after: object) -> tuple[list[tuple[str | int, object, object]] | None, list[str]]:
    """What two objects, or two lists of one length, have at the same places, and the new names; else None."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, object]", before), cast("dict[str, object]", after)
        return [(name, old[name], new[name]) for name in new if name in old], [name for name in new if name not in old]
    if isinstance(before, list) and isinstance(after, list):
        olds, news = cast("list[object]", before), cast("list[object]", after)
        if len(olds) == len(news):
            return [(place, *pair) for place, pair in enumerate(zip(olds, news, strict=True))], []
    return None, []


def _is_within(path: Path, other: Path) -> bool:
    return tuple(map(str, path[: len(other)])) == other


def _is_same(one: object, other: object) -> bool:
    """Whether two values say the same JSON: 1 and 1.0 do, 1 and true do not."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)
