"""JSON values in as many lines as somebody wants to read: what is left out is counted, and said where it would stand.

Short values come first in importance (to whom, how much, where), then texts, from their beginning; lists and objects
inside objects are the first to be only counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from console.plain import name_line, readable

_LONGEST_LINE: Final = 400
_LONGEST_INLINE: Final = 160
_FEWEST: Final = 3
_MOST_ENTRIES: Final = 20
_INDENT: Final = "  "


def bounded(value: Any, most: int) -> tuple[list[str], bool]:
    """The value in about `most` lines, and whether that is all of it."""
    whole = readable(value)
    if len(whole) <= most and all(len(line) <= _LONGEST_LINE for line in whole):
        return whole, True
    if isinstance(value, dict):
        lines = list(_entries(cast("Mapping[str, Any]", value), most))
    elif isinstance(value, list):
        lines = list(_items(cast("Sequence[Any]", value), most))
    else:
        lines = _text(whole, most)
    return lines, False


def _entries(value: Mapping[str, Any], most: int) -> Iterator[str]:
    """An object's entries, each with its share of the lines."""
    names = list(value)[:most]
    whole = {name: readable(value[name]) for name in names}
    shares = _shares({name: (value[name], whole[name]) for name in names}, most)
    for name in names:
        yield from _entry(name, value[name], whole[name], shares[name])
    if len(names) < len(value):
        yield f"… {len(value) - len(names):,} more"


def _shares(entries: Mapping[str, tuple[Any, list[str]]], most: int) -> dict[str, int]:
    """How many lines each may take: first what makes sense of it, then texts what they lack, then the others."""
    shares = dict.fromkeys(entries, 1)
    left = most - 2 * len(entries)  # a line for its name, and one for what it is

    def give(name: str, wanted: int, *, in_part: bool) -> None:
        nonlocal left
        lacks = wanted - shares[name]
        given = min(lacks, max(0, left)) if in_part else lacks * (lacks <= left)
        shares[name] += given
        left -= given

    shortest_first = sorted(entries, key=lambda name: len(entries[name][1]))
    for name in shortest_first:
        give(name, _least(*entries[name]), in_part=True)
    for name in shortest_first:
        # A part of a text is worth reading; more of an object than its short form is not, unless it is all of it.
        if isinstance(entries[name][0], str):
            give(name, len(entries[name][1]), in_part=True)
    for name in shortest_first:
        give(name, len(entries[name][1]), in_part=False)
    return shares


def _least(value: Any, whole: list[str]) -> int:
    if isinstance(value, dict | list):
        return min(len(whole), _MOST_ENTRIES, len(cast("Sequence[Any]", value)))
    return min(len(whole), _FEWEST)


def _entry(name: str, value: Any, whole: list[str], share: int) -> Iterator[str]:
    label = name_line(name)
    if not _is_deep(value):
        yield _cut(f"{label} {whole[0]}")
        return
    yield label
    if len(whole) <= share:
        lines: list[str] = list(map(_cut, whole))
    elif isinstance(value, dict):
        lines = list(_short_entries(cast("Mapping[str, Any]", value), share))
    elif isinstance(value, list):
        lines = list(_items(cast("Sequence[Any]", value), share))
    else:
        lines = _text(whole, share)
    for line in lines:
        yield f"{_INDENT}{line}"


def _short_entries(value: Mapping[str, Any], most: int) -> Iterator[str]:
    """An object's own short values; what is long in it is only counted."""
    for name in list(value)[:most]:
        yield _short(name_line(name), value[name])
    if most < len(value):
        yield f"… {len(value) - most:,} more"


def _items(value: Sequence[Any], most: int) -> Iterator[str]:
    shown = value if len(value) <= most else value[: max(1, most - 1)]
    for item in shown:
        yield _short("-", item)
    if len(shown) < len(value):
        yield f"… {len(value) - len(shown):,} more"


def _short(label: str, value: Any) -> str:
    """A value on one line: as it is where it fits there, else what it is called and how long it is."""
    inline = _inline(value)
    if inline is not None:
        return _cut(f"{label} {inline}")
    lines = f"{len(readable(value)):,} lines"
    if isinstance(value, list):
        count = len(cast("Sequence[Any]", value))
        return f"{label} … ({count:,} item{'' if count == 1 else 's'}, {lines})"
    if isinstance(value, dict) and (called := _called(cast("Mapping[str, Any]", value))):
        return f"{label} {called} … ({lines})"
    return f"{label} … ({lines})"


def _inline(value: Any) -> str | None:
    """A single value, or a few of them, on one line; None for what is longer or deeper."""
    if isinstance(value, dict) and value:
        entries = cast("Mapping[str, Any]", value)
        found = [(name, readable(item)) for name, item in entries.items() if not _is_deep(item)]
        parts = [f"{name_line(name)} {lines[0]}" for name, lines in found]
    elif isinstance(value, list) and value:
        entries = cast("Sequence[Any]", value)
        parts = [readable(item)[0] for item in entries if not _is_deep(item)]
    else:
        return None if _is_deep(value) else readable(value)[0]
    text = ", ".join(parts)
    return text if len(parts) == len(entries) and len(text) <= _LONGEST_INLINE else None


def _is_deep(value: Any) -> bool:
    if isinstance(value, str):
        return "\n" in value
    return isinstance(value, dict | list) and len(cast("Sequence[Any]", value)) > 0


def _called(value: Mapping[str, Any]) -> str:
    """An object's first short texts: enough to tell one from another."""
    texts = [_cut(readable(text)[0], 80) for text in value.values() if isinstance(text, str) and not _is_deep(text)]
    return ", ".join(texts[:3])


def _text(lines: list[str], most: int) -> list[str]:
    shown = lines[: max(1, most - 1)]
    rest = [f"… {len(lines) - len(shown):,} more lines"] if len(shown) < len(lines) else []
    return [*map(_cut, shown), *rest]


def _cut(line: str, longest: int = _LONGEST_LINE) -> str:
    return line if len(line) <= longest else f"{line[:longest]} … ({len(line) - longest:,} more characters)"
