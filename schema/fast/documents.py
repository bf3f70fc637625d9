"""Texts of operations, read once: parsed, measured, validated, and kept for the next request with the same text."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from sys import getsizeof
from typing import Any, Final, NamedTuple

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

from schema.fast.execution import Compiled
from schema.fast.limits import Limits, OperationShape, find_operation, over, shape_of
from schema.fast.variables import Variables
from schema.shared.faults import BAD_USER_INPUT, GRAPHQL_VALIDATION_FAILED, RequestError, present, refusal

__all__ = ["Document", "Documents", "Operation"]

_KEPT_BYTES: Final = 64 * 1024 * 1024
"""How much memory all that is kept of documents may take: their texts and trees, analyses and plans."""

_MOST_OF_IT: Final = 1 / 8
"""What of it one document may take: it would drive out those of everybody else."""

# What parts of a document take in memory at most, as measured with tracemalloc (tests/schema/test_limits.py does).
_BYTES_PER_TOKEN: Final = 500
_BYTES_PER_FIELD: Final = 2000
_BYTES_PER_OPERATION: Final = 8000
_BYTES_PER_DOCUMENT: Final = 4000

_MANY: Final = 32
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

    @property
    def most_bytes(self) -> int:
        """What is known about it takes no more memory than this, however often it runs."""
        # Plans are made of fields with all fragments expanded, whatever the variables.
        return _BYTES_PER_OPERATION + _BYTES_PER_FIELD * self.shape.with_variables(None).fields


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

    @property
    def operations(self) -> int:
        """How many of its operations were looked at to run them, those by no name counted apart."""
        return len(self._operations)

    def most_bytes(self, text: str) -> int:
        """It takes no more memory than this with its text, and all that is known of the operations that ran."""
        # Strings in it are there a second time, in the tree.
        own = _BYTES_PER_DOCUMENT + 2 * getsizeof(text) + _BYTES_PER_TOKEN * self.tokens
        return own + sum(operation.most_bytes for operation in self._operations.values())

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


class _Kept(NamedTuple):
    document: Document
    operations: int
    size: int


@dataclass
class Documents:
    """The documents of one schema, in so much memory; the longest unused are dropped first."""

    schema: GraphQLSchema
    limits: Limits
    kept_bytes: int = _KEPT_BYTES
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict[str, _Kept])
    _bytes: int = 0

    def read(self, text: str) -> Document:
        """The document that `text` is; a `GraphQLError` with a code if it is none, or too large."""
        document = self.known(text)
        if document is None:
            document = self.parse(text)
            self.keep(text, document)
        return document

    def known(self, text: str) -> Document | None:
        """The document that was kept for `text`, if there is one."""
        kept = self._kept.get(text)
        if kept is None:
            return None
        self._kept.move_to_end(text)
        return kept.document

    def parse(self, text: str) -> Document:
        """The document that `text` is, made anew; any thread may ask."""
        node = self._parse(text)
        return Document(without_repeats(node), node.token_count or 0, self.limits, self.schema)

    def keep(self, text: str, document: Document) -> None:
        """Keep it for the next request with the same text; call it again when another of its operations is to run."""
        kept = self._kept.get(text)
        operations = document.operations
        if kept is not None and kept.operations == operations:
            return
        size = document.most_bytes(text)
        if kept is not None:
            self._bytes -= kept.size
            del self._kept[text]
        if size > self.kept_bytes * _MOST_OF_IT:
            return
        self._kept[text] = _Kept(document, operations, size)
        self._bytes += size
        while self._bytes > self.kept_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].size

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
