"""Texts and JSON values as people can read them: complete, and with nothing in them that hides.

What comes from outside (postings, CVs, tools' messages) may hold escape sequences for the terminal, or characters
that reorder or hide what stands beside them. A person who approves something has to see what is there, so these are
shown escaped.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

# Joiners belong to scripts and emoji, and hide nothing.
_HARMLESS: Final = frozenset({"\n", "\t", "\u200c", "\u200d"})
_HIDING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks that are drawn as nothing.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_INDENT: Final = "  "


def visible(text: str) -> str:
    """The text with control, format and private characters escaped; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _hides(character) else character for character in text)


def one_line(text: str) -> str:
    """The same without line breaks and tabs, which become spaces."""
    return visible(" ".join(text.splitlines()).replace("\t", " "))


def readable(value: Any) -> list[str]:
    r"""A JSON value in lines, all of it.

    Objects and lists are indented; a text is quoted as JSON does, except that one of several lines stands as it is,
    each line after a bar, so that indentation and empty lines at its end can be seen. Different values look different.

    >>> print("\n".join(readable({"to": "Ada", "text": "Hello\n  Ada"})))
    to: "Ada"
    text:
      │ Hello
      │   Ada
    """
    return list(_lines(value))


def name_line(key: str) -> str:
    """The name of an object's entry, before its value."""
    return f"{_name(key)}:"


def _lines(value: Any) -> Iterator[str]:
    match value:
        case dict() if value:
            for key, item in cast("dict[str, Any]", value).items():
                yield from _under(name_line(key), item)
        case list() if value:
            for item in cast("list[Any]", value):
                yield from _under("-", item)
        case str() if "\n" in value:
            for line in value.split("\n"):
                yield _barred(line)
        case _:
            yield _scalar(value)


def _barred(line: str) -> str:
    if any(map(_hides, line)):
        # Another bar, and backslashes of its own doubled: what is escaped here can't be taken for what is written.
        doubled = line.replace("\\", "\\\\")
        return f"┆ {visible(doubled)}"
    return f"│ {line}" if line else "│"


def _under(label: str, value: Any) -> Iterator[str]:
    lines = _lines(value)
    if label == "-":
        for number, line in enumerate(lines):
            yield f"{'- ' if number == 0 else _INDENT}{line}"
    elif (isinstance(value, Mapping | list) and value) or (isinstance(value, str) and "\n" in value):
        yield label
        for line in lines:
            yield f"{_INDENT}{line}"
    else:
        yield f"{label} {next(lines)}"


def _name(key: str) -> str:
    return key if key and all(character.isalnum() or character in "_$-" for character in key) else _scalar(key)


def _scalar(value: Any) -> str:
    return visible(json.dumps(value, ensure_ascii=False))


def _hides(character: str) -> bool:
    if character in _BLANK:
        return True
    return unicodedata.category(character) in _HIDING and character not in _HARMLESS


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
