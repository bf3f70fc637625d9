"""What resolvers are told about the operation that they answer."""

from typing import TYPE_CHECKING, Any, Final, cast

import strawberry
from graphql import FieldNode, FragmentSpreadNode, Node, OperationDefinitionNode, SelectionSetNode

if TYPE_CHECKING:
    from schema.context import Context
    from schema.loaders import Loaders

    Info = strawberry.Info[Context, None]
else:
    # The context makes the loaders, which make the types, which name this: at run time it is not looked at.
    Info = strawberry.Info

__all__ = ["Info", "load"]

_MOST_KEPT: Final = 512


def load(info: Info) -> "Loaders":
    """The loaders of this operation."""
    return info.context.loaders(_field_names(info))


_kept: dict[int, tuple[OperationDefinitionNode, frozenset[str]]] = {}


def _field_names(info: Info) -> frozenset[str]:
    """The names of all fields that the operation selects anywhere."""
    operation = info.operation
    known = _kept.get(id(operation))
    if known is None:
        # There is no public way to the fragments.
        fragments = cast("Any", info)._raw_info.fragments  # noqa: SLF001
        # The entry holds the operation, so that its id stays its own.
        known = (operation, frozenset(_names(operation.selection_set, fragments)))
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[id(operation)] = known
    return known[1]


def _names(selections: SelectionSetNode, fragments: Any) -> set[str]:
    names: set[str] = set()
    spread: set[str] = set()
    pending: list[Any] = [selections]
    while pending:
        node: Node = pending.pop()
        if isinstance(node, SelectionSetNode):
            pending += node.selections
            continue
        if isinstance(node, FieldNode):
            names.add(node.name.value)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
            spread.add(node.name.value)
            pending.append(fragments[node.name.value].selection_set)
        inner = getattr(node, "selection_set", None)
        if inner is not None:
            pending.append(inner)
    return names
