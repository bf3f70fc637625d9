"""Walks a whole schema: every field of every type is asked for, from every root, with every argument.

Nothing here names what there is to ask, so a field added tomorrow is walked too. What can't be guessed (the values of
arguments) comes from a table, and what is missing there is an error that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
    is_required_argument,
)

Values = Mapping[str, Sequence[Any]]
"""The values to try, by `Type.field(argument)`; None leaves an optional argument out."""


@dataclass
class Asked:
    """One operation, and what it asks for as `Type.field`."""

    root: str
    query: str
    variables: dict[str, Any]


@dataclass
class Walk:
    """`deepest`: how many fields stand inside each other; it has to be enough for every field to be reached."""

    schema: GraphQLSchema
    values: Values
    deepest: int = 5
    reached: set[str] = field(default_factory=set[str])
    used: set[str] = field(default_factory=set[str])

    def of(self, root: GraphQLObjectType) -> Iterator[Asked]:
        """An operation for each field of this root and each way to ask for it."""
        keyword = {self.schema.query_type: "query", self.schema.subscription_type: "subscription"}[root]
        for name, each in root.fields.items():
            self.reached.add(f"{root.name}.{name}")
            body = self._selection(get_named_type(each.type), self.deepest - 1)
            for given in self._ways(root, name, each):
                declared = ", ".join(f"${arg}: {each.args[arg].type}" for arg in given)
                passed = ", ".join(f"{arg}: ${arg}" for arg in given)
                query = (
                    f"{keyword}{f'({declared})' if declared else ''} {{{name}{f'({passed})' if passed else ''}{body}}}"
                )
                yield Asked(f"{root.name}.{name}", query, given)

    def everything(self) -> set[str]:
        """All fields of all object types that can be reached from the roots that only look."""
        found: set[str] = set()
        pending: list[GraphQLNamedType | None] = [self.schema.query_type, self.schema.subscription_type]
        seen: set[GraphQLNamedType] = set()
        while pending:
            type_ = pending.pop()
            if type_ is None or type_ in seen:
                continue
            seen.add(type_)
            if isinstance(type_, GraphQLInterfaceType):
                pending += self.schema.get_possible_types(type_)
            if isinstance(type_, GraphQLObjectType):
                found |= {f"{type_.name}.{name}" for name in type_.fields}
                pending += [get_named_type(each.type) for each in type_.fields.values()]
        return found

    def _ways(self, type_: GraphQLObjectType, name: str, of: GraphQLField) -> Iterator[dict[str, Any]]:
        choices = [self._choices(f"{type_.name}.{name}({arg})") for arg in of.args]
        for chosen in product(*choices):
            given = {arg: value for arg, value in zip(of.args, chosen, strict=True) if value is not None}
            yield given

    def _choices(self, argument: str) -> Sequence[Any]:
        self.used.add(argument)
        if argument not in self.values:
            raise AssertionError(f"{argument} is new: say in the table which values to try for it")
        return self.values[argument]

    def _selection(self, type_: GraphQLNamedType, depth: int, above: tuple[str, ...] = ()) -> str:
        if not is_composite_type(type_):
            return ""
        if isinstance(type_, GraphQLInterfaceType):
            parts = [
                f"... on {each.name}{self._selection(each, depth, above)}"
                for each in self.schema.get_possible_types(type_)
            ]
            return f" {{__typename {' '.join(parts)}}}"
        assert isinstance(type_, GraphQLObjectType)
        if type_.name in above:
            # A step of a step of a step: what leads on from there was asked for above.
            depth = min(depth, 3 - above.count(type_.name))
        above = (*above, type_.name)
        parts = ["__typename"]
        for name, each in type_.fields.items():
            inner = get_named_type(each.type)
            if is_composite_type(inner) and depth <= 1:
                continue
            self.reached.add(f"{type_.name}.{name}")
            parts.append(f"{name}{self._arguments(type_, name, each)}{self._selection(inner, depth - 1, above)}")
        return f" {{{' '.join(parts)}}}"

    def _arguments(self, type_: GraphQLObjectType, name: str, of: GraphQLField) -> str:
        for arg, each in of.args.items():
            self._choices(f"{type_.name}.{name}({arg})")
            assert not is_required_argument(each), f"{type_.name}.{name} needs an argument: teach the walk to give it"
        return ""


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar in an answer."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def answered(value: Any, type_: str | None = None) -> Iterator[str]:
    """Every `Type.field` that an answer holds something for; each object of it tells its `__typename`."""
    if isinstance(value, list):
        for inner in value:
            yield from answered(inner)
    elif isinstance(value, dict):
        type_ = value.get("__typename")
        for name, inner in value.items():
            if inner is not None and inner != []:
                yield f"{type_}.{name}"
            yield from answered(inner)
