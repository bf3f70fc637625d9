"""References in arguments: what they may look at, and what they stand for. Pure.

`{"$jmespath": "EXPR"}` stands for the expression's value over an object that maps the key of each step that this one
depends on to its result; `{"$literal": X}` is X untouched; `{"$secret": "NAME"}` stays what it is until the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from engine.expressions import Budget, Evaluation, ExpressionFault, look
from engine.tools.errors import ArgsUnfit, Fault
from engine.values import fault_of

JMESPATH: Final = "$jmespath"
LITERAL: Final = "$literal"
SECRET: Final = "$secret"  # noqa: S105 - the word that marks a reference to a secret
_MARKS: Final = frozenset({JMESPATH, LITERAL, SECRET})
_SECRET_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

Path = tuple[str | int, ...]


class Unresolvable(Exception):
    """A reference that has no value; `path` leads to it from the arguments."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class References:
    """What planned arguments refer to: step keys (`everything`: all that there are), and what is wrong with them.

    `keys` come with the place of the reference, one entry for each that a reference looks at; `expressions` with it
    too, and with the keys that each looks at (None: all). `calls_now` says whether one of them calls `now()`. `marks`
    are the references, secrets and literals themselves, each with its place, its word and what stands behind it.
    """

    keys: tuple[tuple[Path, str], ...]
    everything: bool
    dynamic: bool
    faults: tuple[Fault, ...]
    calls_now: bool = False
    expressions: tuple[tuple[Path, str, frozenset[str] | None], ...] = ()
    marks: tuple[tuple[Path, str, Any], ...] = ()


def references(args: object) -> References:
    """All references in planned arguments, or in another value. Depth is bounded by who checked it as JSON before."""
    keys: list[tuple[Path, str]] = []
    expressions: list[tuple[Path, str, frozenset[str] | None]] = []
    everything = dynamic = calls_now = False
    faults: list[Fault] = []
    marks = tuple(_marked(args, ()))
    for path, mark, value in marks:
        if mark == JMESPATH:
            dynamic = True
            try:
                found, is_timely = look(value)
            except ExpressionFault as error:
                faults.append(Fault(path, str(error)))
                continue
            everything = everything or found is None
            calls_now = calls_now or is_timely
            expressions.append((path, value, found))
            keys.extend((path, key) for key in sorted(found or ()))
        elif mark == LITERAL:
            dynamic = True
            faults.extend(
                Fault((*path, LITERAL, *inner), "a $literal can't hold a $secret: write the secret outside of it")
                for inner in secrets_in(value)
            )
        else:
            faults.extend(_secret_faults(path, value))
    faults.extend(_crowded(args, ()))
    return References(tuple(keys), everything, dynamic, tuple(faults), calls_now, tuple(expressions), marks)


def resolve(
    args: Mapping[str, Any], results: Mapping[str, Any], budget: Budget | None = None, *, now: str | None = None
) -> dict[str, Any]:
    """The arguments with every reference replaced by what it stands for; secrets stay references.

    With a `budget`, its expressions share their work with others'. `now` is when the run was submitted, in RFC 3339
    with Z.

    Raises Unresolvable at the first expression that has no value at all (a wrong type, an unknown function), one that
    can't be kept as JSON, or one that holds a secret's reference: only those that the plan wrote are left in the end.
    """
    found = cast("dict[str, Any]", _resolved(dict(args), Evaluation(results, budget, now=now), ()))
    fault = fault_of(found)
    if fault is not None:
        raise Unresolvable(fault.path, fault.message)
    _refuse_foreign_secrets(args, found)
    return found


def _refuse_foreign_secrets(args: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """A secret that a tool gave back stands in its result as a reference, and so in what an expression takes from it.

    Where the call is made nobody could tell it from one that the plan wrote, and a result could have a secret sent to
    where the plan never did.
    """
    if not _has_secret(found):
        return
    own = {path for path, mark, _ in _marked(args, ()) if mark == SECRET}
    for path in secrets_in(found):
        if path not in own:
            raise Unresolvable(path, "is a $secret out of a result, and only a plan or an edit may write one")


def _has_secret(value: object) -> bool:
    """Whether `secrets_in` finds any; several times as fast."""
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if SECRET in item:
                    return True
                below += cast("dict[str, Any]", item).values()
            elif isinstance(item, list):
                below += cast("list[Any]", item)
        level = below
    return False


def secrets_in(value: object, path: Path = ()) -> Iterator[Path]:
    """The places of all secret references in a value."""
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if len(entries) == 1 and SECRET in entries:
            yield path
            return
        for key, inner in entries.items():
            yield from secrets_in(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(cast("list[object]", value)):
            yield from secrets_in(inner, (*path, place))


def check_secrets(args: object) -> None:
    """Raises ArgsUnfit when a secret reference of resolved arguments names none."""
    faults = [fault for path in secrets_in(args) for fault in _secret_faults(path, _at(args, path)[SECRET])]
    if faults:
        raise ArgsUnfit(faults)


def marked(args: Mapping[str, Any]) -> Iterator[tuple[Path, str, Any]]:
    """The references, secrets and literals in planned arguments: place, word, and what stands behind it."""
    return _marked(args, ())


def _marked(value: object, path: Path) -> Iterator[tuple[Path, str, Any]]:
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if len(entries) == 1:
            ((mark, inner),) = entries.items()
            if mark in _MARKS:
                yield path, mark, inner
                return
        for key, inner in entries.items():
            yield from _marked(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(cast("list[object]", value)):
            yield from _marked(inner, (*path, place))


def _crowded(value: object, path: Path) -> Iterator[Fault]:
    """A mark beside other keys is most likely a mistake, and would be sent as it stands."""
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        marks = _MARKS.intersection(entries)
        if marks and len(entries) > 1:
            yield Fault(path, f"{min(marks)} must be the only key of its object")
        elif LITERAL not in entries:
            for key, inner in entries.items():
                yield from _crowded(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(cast("list[object]", value)):
            yield from _crowded(inner, (*path, place))


def _secret_faults(path: Path, name: object) -> list[Fault]:
    if isinstance(name, str) and _SECRET_NAME.fullmatch(name):
        return []
    return [Fault(path, "a $secret is the name of one: letters, digits and underscores")]


def _resolved(value: object, evaluation: Evaluation, path: Path) -> object:
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if len(entries) == 1:
            ((mark, inner),) = entries.items()
            if mark == JMESPATH:
                return _value_of(inner, evaluation, path)
            if mark == LITERAL:
                return inner
            if mark == SECRET:
                return entries
        return {key: _resolved(inner, evaluation, (*path, key)) for key, inner in entries.items()}
    if isinstance(value, list):
        return [_resolved(inner, evaluation, (*path, place)) for place, inner in enumerate(cast("list[object]", value))]
    return value


def _value_of(expression: object, evaluation: Evaluation, path: Path) -> object:
    try:
        return evaluation.value_of(expression)
    except ExpressionFault as error:
        raise Unresolvable(path, str(error)) from error


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value
