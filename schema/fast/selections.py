"""Which fields an operation selects, wherever they stand in it."""

from typing import cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
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

__all__ = ["selected_fields"]


def selected_fields(
    schema: GraphQLSchema, document: DocumentNode | None, operation: OperationDefinitionNode
) -> frozenset[str]:
    """The fields that an operation selects anywhere, as `Type.field`; each fragment is looked at once."""
    definitions = document.definitions if document is not None else ()
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
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
