"""Texts of operations, read once: parsed, measured, validated, and kept for whoever sends the same text again."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.validation import (
    ASTValidationRule,
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.execution import Compiled
from schema.faults import BAD_USER_INPUT, GRAPHQL_VALIDATION_FAILED, RequestError, present, refusal
from schema.limits import Limits, OperationShape, find_operation, over, shape_of
from schema.variables import Variables

__all__ = ["Document", "Documents", "Operation"]

_KEPT_TOKENS: Final = 60_000
"""How much is kept, in tokens of all the kept documents: about 1 KB of memory each."""

_MANY: Final = 32
_LONGEST_KEPT: Final = 32_768
_MOST_ERRORS: Final = 20
_GAVE_UP: Final = "Validation aborted."
_NUL: Final = re.compile(r"\x00|\\u0000|\\u\{0+\}")


@dataclass(slots=True)
class Operation:
    """One operation of a document, with what is known about it before it runs."""

    node: OperationDefinitionNode
    shape: OperationShape
    compiled: Compiled
    variables: Variables
    fragments: dict[str, FragmentDetails]


@dataclass
class Document:
    """A document within the limits of what is read; `errors` are those of its validation."""

    node: DocumentNode
    tokens: int
    limits: Limits
    schema: GraphQLSchema
    _operations: dict[str | None, Operation] = field(default_factory=dict[str | None, Operation])
    _errors: list[GraphQLError] | None = None

    def operation(self, name: str | None) -> Operation:
        """The operation that would run; a `RequestError` if there is none."""
        known = self._operations.get(name)
        if known is None:
            node = find_operation(self.node, name)
            if node is None:
                raise RequestError(_no_operation(name), GRAPHQL_VALIDATION_FAILED)
            known = Operation(
                node,
                shape_of(self.node, node, self.schema, self.limits, tokens=self.tokens),
                Compiled(self.schema, self.node, node),
                Variables(self.schema, node),
                self.fragments,
            )
            self._operations[name] = known
        return known

    @cached_property
    def fragments(self) -> dict[str, FragmentDetails]:
        """Its fragments by name, as graphql-core's executor wants them; none has variables of its own."""
        return {
            node.name.value: FragmentDetails(node)
            for node in self.node.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    def errors(self) -> list[GraphQLError]:
        """What validation finds wrong, in a client's words."""
        if self._errors is None:
            found = validate(self.schema, self.node, _rules(self.limits), max_errors=_MOST_ERRORS)
            self._errors = [self._present(error) for error in found]
        return self._errors

    def _present(self, error: GraphQLError) -> GraphQLError:
        if error.message == _GAVE_UP:
            return refusal(self.limits.too_many_repeats())
        return present(error, otherwise=GRAPHQL_VALIDATION_FAILED)


@dataclass
class Documents:
    """The documents of one schema; the longest unused are dropped first."""

    schema: GraphQLSchema
    limits: Limits
    _kept: OrderedDict[str, Document] = field(default_factory=OrderedDict[str, Document])
    _kept_tokens: int = 0

    def read(self, text: str) -> Document:
        """The document that `text` is; a `GraphQLError` with a code if it is none, or too large."""
        document = self.known(text)
        if document is None:
            document = self.parse(text)
            self.keep(text, document)
        return document

    def known(self, text: str) -> Document | None:
        """The document that was kept for `text`, if there is one."""
        document = self._kept.get(text)
        if document is not None:
            self._kept.move_to_end(text)
        return document

    def parse(self, text: str) -> Document:
        """The document that `text` is, made anew; any thread may ask."""
        node = self._parse(text)
        return Document(without_repeats(node), node.token_count or 0, self.limits, self.schema)

    def keep(self, text: str, document: Document) -> None:
        """Have it ready for whoever sends the same text."""
        if len(text) <= _LONGEST_KEPT and text not in self._kept:
            self._keep(text, document)

    def _parse(self, text: str) -> DocumentNode:
        limits = self.limits
        if len(text) > limits.characters:
            raise refusal(over("MAX_QUERY_TOKENS", limits.characters, f"The document has {len(text)} characters"))
        if _NUL.search(text):
            raise refusal(RequestError("Text can't hold the character NUL.", BAD_USER_INPUT))
        try:
            return parse(text, max_tokens=limits.tokens)
        except GraphQLError as error:
            if f"more than {limits.tokens} tokens" in error.message:
                raise refusal(over("MAX_QUERY_TOKENS", limits.tokens, "The document has too many tokens")) from None
            raise present(error, otherwise=GRAPHQL_VALIDATION_FAILED) from None

    def _keep(self, text: str, document: Document) -> None:
        self._kept[text] = document
        self._kept_tokens += document.tokens
        while self._kept_tokens > _KEPT_TOKENS:
            _, dropped = self._kept.popitem(last=False)
            self._kept_tokens -= dropped.tokens


def without_repeats(document: DocumentNode) -> DocumentNode:
    """The document with each plain leaf once in its selection set, where one of them is there many times.

    It asks for the same; validation would compare each with each.
    """
    if not any(_has_repeats(selection_set) for selection_set in _selection_sets(document)):
        return document
    return visit(document, _OneOfEach())


def _selection_sets(document: DocumentNode) -> Iterator[SelectionSetNode]:
    """Every selection set: what stands in arguments has none, and is not walked."""
    waiting = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        selection_set = waiting.pop()
        yield selection_set
        waiting.extend(
            node.selection_set
            for node in selection_set.selections
            if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None
        )


def _has_repeats(selection_set: SelectionSetNode) -> bool:
    selections = selection_set.selections
    return len(selections) > _MANY and len({_plain_name(node) or id(node) for node in selections}) < len(selections)


def _plain_name(node: SelectionNode) -> str | None:
    """The name of a field that is nothing but its name."""
    if isinstance(node, FieldNode) and not (node.alias or node.arguments or node.directives or node.selection_set):
        return node.name.value
    return None


class _OneOfEach(Visitor):
    def leave_selection_set(self, node: SelectionSetNode, *_: Any) -> SelectionSetNode:
        once: dict[str | int, SelectionNode] = {}
        for selection in node.selections:
            once.setdefault(_plain_name(selection) or id(selection), selection)
        return SelectionSetNode(selections=tuple(once.values()), loc=node.loc)


def _no_operation(name: str | None) -> str:
    if name is None:
        return "The document holds no operation, or several: say which one runs in operationName."
    return f"The document holds no operation named {name!r}."


def _rules(limits: Limits) -> tuple[type[ASTValidationRule], ...]:
    class BoundedOverlappingFields(OverlappingFieldsCanBeMergedRule):
        """The rule that compares fields pairwise, with a budget in proportion to the longest text."""

        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self.rule_context.remaining_complexity_budget = limits.comparisons

    return (
        *(BoundedOverlappingFields if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules),
        MaybeNullValidationRule,
        OneOfInputValidationRule,
    )
