"""What resolvers are told about the operation that they answer."""

from typing import TYPE_CHECKING, Any, Final, cast

import strawberry
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

if TYPE_CHECKING:
    from schema.context import Context
    from schema.loaders import Loaders

    Info = strawberry.Info[Context, None]
else:
    # The context makes the loaders, which make the types, which name this: at run time it is not looked at.
    Info = strawberry.Info

__all__ = ["Info", "load", "selected_fields"]

_MOST_KEPT: Final = 512


def load(info: Info) -> "Loaders":
    """The loaders of this operation."""
    # There is no public way to the fragments.
    raw = cast("Any", info)._raw_info  # noqa: SLF001
    operation: OperationDefinitionNode = raw.operation
    known = _kept.get(id(operation))
    if known is None:
        # The entry holds the operation, so that its id stays its own.
        known = (operation, selected_fields(raw.schema, operation, raw.fragments))
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[id(operation)] = known
    return info.context.loaders(known[1])


_kept: dict[int, tuple[OperationDefinitionNode, frozenset[str]]] = {}


def selected_fields(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Any) -> frozenset[str]:
    """The fields that an operation selects anywhere, as `Type.field`; each fragment is looked at once."""
    found: set[str] = set()
    spread: set[str] = set()
    pending: list[tuple[SelectionSetNode, GraphQLNamedType | None]] = [
        (operation.selection_set, schema.get_root_type(operation.operation))
    ]
    while pending:
        selection_set, type_ = pending.pop()
        for node in selection_set.selections:
            match node:
                case FieldNode():
                    if type_ is not None:
                        found.add(f"{type_.name}.{node.name.value}")
                    if node.selection_set is not None:
                        pending.append((node.selection_set, _type_of(type_, node.name.value)))
                case InlineFragmentNode():
                    on = node.type_condition
                    pending.append((node.selection_set, type_ if on is None else schema.get_type(on.name.value)))
                case FragmentSpreadNode() if node.name.value not in spread:
                    spread.add(node.name.value)
                    fragment = fragments[node.name.value]
                    pending.append((fragment.selection_set, schema.get_type(fragment.type_condition.name.value)))
                case _:
                    pass
    return frozenset(found)


def _type_of(parent: GraphQLNamedType | None, name: str) -> GraphQLNamedType | None:
    if parent is None or not (is_object_type(parent) or is_interface_type(parent)):
        return None
    field = parent.fields.get(name)
    return None if field is None else cast("GraphQLNamedType", get_named_type(field.type))
