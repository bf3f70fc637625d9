"""Which places in a tool's arguments are destinations. Pure."""

from __future__ import annotations

from collections.abc import Iterable

Path = tuple[str | int, ...]


class Destinations:
    """Of one tool, from the dotted names of its destinations; everything below one counts."""

    __slots__ = ("_inside", "_whole", "are_none")

    def __init__(self, names: Iterable[str]) -> None:
        parts = [tuple(name.split(".")) for name in names]
        self._whole = frozenset(each[0] for each in parts if len(each) == 1)
        self._inside = [each for each in parts if len(each) > 1]
        self.are_none = not parts

    def hold(self, path: Path, others: Iterable[Path] = ()) -> bool:
        """Whether the value at this path is one, is inside of one, or has one inside that no origin of `others` has."""
        if not path:
            return not self.are_none
        if path[0] in self._whole:
            return True
        if not self._inside:
            return False
        names = _names(path)
        return any(
            names[: len(each)] == each or (each[: len(names)] == names and not _is_covered(each, path, others))
            for each in self._inside
        )


def _is_covered(destination: Path, path: Path, others: Iterable[Path]) -> bool:
    """Whether another origin, further inside, answers for the destination; in a list's entry it does for that alone."""
    return any(
        len(other) > len(path) and other[: len(path)] == path and _names(other) == other == destination[: len(other)]
        for other in others
    )


def _names(path: Path) -> Path:
    """The path without the places in lists; stored paths have them as texts."""
    return tuple(part for part in path if isinstance(part, str) and not part.isdecimal())
