"""What an operation asks for, found in one pass over the document before anything else reads it.

Every fragment is summed up once and the sum is used wherever it is spread, so
that a chain of fragments which each spread the next one twice costs as much
as its text is long, and is seen to ask for 2ⁿ fields.
"""

# graphql-core's list and non-null types are generic, and named without their parameter in its own unions.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_interface_type,
    is_list_type,
    is_object_type,
)
from graphql.pyutils import Undefined

from schema.shared.faults import LIMIT_EXCEEDED, RequestError

__all__ = ["Analysis", "Limits", "OperationShape", "analyse", "shape_of"]

_PAGE_ARGUMENT: Final = "first"
_FEW: Final = 16
_INTROSPECTION: Final = ("__schema", "__type")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one operation may ask for, its fragments expanded."""

    tokens: int = 2000
    depth: int = 12
    aliases: int = 30
    directives: int = 10
    nodes: int = 10_000
    json_bytes: int = 32 * 1024 * 1024
    """How many bytes of arguments and results one answer may have."""
    page: int = 100
    """The most that `first` may ask for, and where a field has its own: `{"Type.field": 1000}`.

    The resolvers refuse more, so no more than this is counted.
    """
    pages: Mapping[str, int] = field(default_factory=dict[str, int])

    def page_of(self, type_name: str, field_name: str) -> int:
        """The most that `first` of this field may ask for."""
        return self.pages.get(f"{type_name}.{field_name}", self.page)

    @property
    def characters(self) -> int:
        """The longest text that is even read: long comments and strings are few tokens, but slow to lex."""
        return 32 * self.tokens

    @property
    def entries(self) -> int:
        """The most entries that the lists of one answer may have, unpaged ones too: no text says how many they are.

        A twentieth of it where their fields are resolved one by one: more than the nodes that a text may ask for.
        """
        return 25 * self.nodes

    @property
    def comparisons(self) -> int:
        """The budget of the one validation rule whose cost grows with the square of the text."""
        return 4 * self.tokens

    def check(self, analysis: "Analysis") -> None:
        """Refuse what is over a limit with `LIMIT_EXCEEDED`, naming the limit, its value and what was asked."""
        for name, asked, limit, what in (
            ("MAX_QUERY_TOKENS", analysis.tokens, self.tokens, "tokens"),
            ("MAX_QUERY_DEPTH", analysis.depth, self.depth, "levels of fields"),
            ("MAX_QUERY_ALIASES", analysis.aliases, self.aliases, "aliases"),
            ("MAX_QUERY_DIRECTIVES", analysis.directives, self.directives, "directives"),
            ("MAX_QUERY_NODES", analysis.fields, self.nodes, "fields, its fragments expanded"),
            ("MAX_QUERY_NODES", analysis.nodes, self.nodes, "nodes"),
        ):
            if asked > limit:
                raise over(name, limit, f"The operation has {_rounded(asked)} {what}")
        # Each pair costs validation two comparisons, and more below it.
        if 2 * analysis.repeats > self.comparisons:
            raise self.too_many_repeats()

    def too_large_an_answer(self) -> RequestError:
        """The refusal of an operation whose lists, within lists, turn out to be too long."""
        return over("MAX_QUERY_NODES", self.entries, "The lists of the answer have too many entries")

    def too_much_json(self) -> RequestError:
        """The refusal of an operation whose answer would have too much JSON in it."""
        return over(
            "MAX_ANSWER_JSON_BYTES", self.json_bytes, "The arguments and results asked for are too long for one answer"
        )

    def too_many_repeats(self) -> RequestError:
        """The refusal of a document in which too many fields have to be compared with each other."""
        return over("MAX_QUERY_TOKENS", self.comparisons, "The document repeats its fields too often to compare them")


def over(name: str, limit: int, found: str) -> RequestError:
    """The refusal of what is past the limit called `name`."""
    return RequestError(f"{found}; at most {limit} are allowed.", LIMIT_EXCEEDED, limit=name, maximum=limit)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one operation asks for; `nodes` is the most objects it may be answered with."""

    tokens: int
    depth: int
    aliases: int
    directives: int
    fields: int
    nodes: int
    repeats: int
    """Pairs of fields in one selection set that share a response name: validation compares them all."""

    @property
    def points(self) -> int:
        """What the operation costs a user's budget: one, and one for each node it may return."""
        return 1 + self.nodes


class _Sum(NamedTuple):
    """What a selection set adds up to, wherever it stands.

    Nodes come in two kinds: those of single objects, and those of lists, which
    count once for each entry of the page that the selection set belongs to.
    """

    depth: int
    aliases: int
    directives: int
    fields: int
    single_nodes: int
    listed_nodes: int


_NOTHING: Final = _Sum(0, 0, 0, 0, 0, 0)


def analyse(
    document: DocumentNode,
    operation_name: str | None,
    variables: Mapping[str, Any] | None,
    schema: GraphQLSchema,
    limits: Limits | None = None,
) -> Analysis | None:
    """What the operation that would run asks for; None if the document has no such operation.

    The document need not be valid: what the schema does not know is counted
    as it stands. `variables` are as the client sent them.
    """
    operation = find_operation(document, operation_name)
    if operation is None:
        return None
    return shape_of(document, operation, schema, limits or Limits()).with_variables(variables)


def find_operation(document: DocumentNode, operation_name: str | None) -> OperationDefinitionNode | None:
    """The operation that would run: the named one, or the only one."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if operation_name is None:
        return operations[0] if len(operations) == 1 else None
    return next((node for node in operations if node.name and node.name.value == operation_name), None)


def shape_of(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    schema: GraphQLSchema,
    limits: Limits,
    *,
    tokens: int | None = None,
) -> "OperationShape":
    """The operation's analysis, ready for any variables; keep it with the document."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return OperationShape(schema, limits, operation, fragments, tokens or document.token_count or 0)


@dataclass
class OperationShape:
    """An operation as one text; only its page sizes may still depend on variables."""

    schema: GraphQLSchema
    limits: Limits
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    tokens: int

    @cached_property
    def _fixed(self) -> Analysis | None:
        walk = self._walk({})
        analysis = walk.analysis
        return None if walk.saw_variables else analysis

    def with_variables(self, variables: Mapping[str, Any] | None) -> Analysis:
        """The analysis under these variables; computed once if no page size is a variable."""
        return self._fixed or self._walk(variables or {}).analysis

    def _walk(self, variables: Mapping[str, Any]) -> "_Pass":
        return _Pass(self, {**self._defaults, **variables})

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return {
            definition.variable.name.value: _whole(definition.default_value)
            for definition in self.operation.variable_definitions or ()
            if isinstance(definition.default_value, IntValueNode)
        }


@dataclass
class _Pass:
    shape: OperationShape
    variables: Mapping[str, Any]
    saw_variables: bool = False
    _sums: dict[str, _Sum] = field(default_factory=dict[str, _Sum])
    _repeats: int = 0

    @cached_property
    def analysis(self) -> Analysis:
        operation, schema = self.shape.operation, self.shape.schema
        try:
            total = self._selections(operation.selection_set, schema.get_root_type(operation.operation))
        except RecursionError:
            total = None
        if total is None:
            raise RequestError("The operation is nested too deeply.", LIMIT_EXCEEDED, limit="MAX_QUERY_DEPTH")
        own_directives = len(operation.directives or ()) + sum(
            len(definition.directives or ()) for definition in operation.variable_definitions or ()
        )
        return Analysis(
            tokens=self.shape.tokens,
            depth=total.depth,
            aliases=total.aliases,
            directives=total.directives + own_directives,
            fields=total.fields,
            nodes=total.single_nodes + total.listed_nodes,
            repeats=self._repeats,
        )

    def _selections(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None) -> _Sum:
        if len(selection_set.selections) > _FEW:
            self._repeats += _pairs(selection_set)
        depth = aliases = directives = fields = single_nodes = listed_nodes = 0
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                part = self._field(node, parent)
            elif isinstance(node, FragmentSpreadNode):
                part = self._fragment(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                part = self._selections(
                    node.selection_set, self.shape.schema.get_type(condition.name.value) if condition else parent
                )
            else:
                continue
            depth = max(depth, part.depth)
            aliases += part.aliases
            directives += part.directives + len(node.directives or ())
            fields += part.fields
            single_nodes += part.single_nodes
            listed_nodes += part.listed_nodes
        return _Sum(depth, aliases, directives, fields, single_nodes, listed_nodes)

    def _fragment(self, name: str) -> _Sum:
        known = self._sums.get(name)
        if known is None:
            # A cycle counts for nothing here: validation refuses it.
            self._sums[name] = known = _NOTHING
            definition = self.shape.fragments.get(name)
            if definition is not None:
                on = self.shape.schema.get_type(definition.type_condition.name.value)
                known = self._selections(definition.selection_set, on)
                known = known._replace(directives=known.directives + len(definition.directives or ()))
                self._sums[name] = known
        return known

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> _Sum:
        name = node.name.value
        aliases = int(node.alias is not None)
        if node.selection_set is None:
            return _Sum(1, aliases, 0, 1, 0, 0)
        definition = self._definition(parent, name)
        inner = self._selections(node.selection_set, get_named_type(definition.type) if definition else None)
        depth = 1 if name in _INTROSPECTION else 1 + inner.depth
        page = self._page_size(node, parent, definition)
        listed = definition is not None and is_list_type(get_nullable_type(definition.type))
        if page is None or not listed:
            # An object. If it is a page, then its lists are as long as was asked for.
            nodes = 1 + inner.single_nodes + inner.listed_nodes * (1 if page is None else page)
        else:
            nodes = page * (1 + inner.single_nodes + inner.listed_nodes)
        single, many = (0, nodes) if listed and page is None else (nodes, 0)
        return _Sum(depth, inner.aliases + aliases, inner.directives, inner.fields + 1, single, many)

    def _definition(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        if is_object_type(parent) or is_interface_type(parent):
            return self.shape.schema.get_field(parent, name)
        return None

    def _page_size(
        self, node: FieldNode, parent: GraphQLNamedType | None, definition: GraphQLField | None
    ) -> int | None:
        """The entries that a paged field is asked for; None if it is no paged field."""
        argument = definition.args.get(_PAGE_ARGUMENT) if definition else None
        if argument is None or parent is None:
            return None
        asked = self._given(node)
        if asked is None and argument.default_value is not Undefined:
            asked = argument.default_value
        # What is no fit size is refused by the resolver, in its own words.
        asked = asked if isinstance(asked, int) else 0
        return max(0, min(asked, self.shape.limits.page_of(parent.name, node.name.value)))

    def _given(self, node: FieldNode) -> Any:
        for given in node.arguments or ():
            if given.name.value == _PAGE_ARGUMENT and isinstance(given.value, IntValueNode):
                return _whole(given.value)
            if given.name.value == _PAGE_ARGUMENT and isinstance(given.value, VariableNode):
                self.saw_variables = True
                return self.variables.get(given.value.name.value)
        return None


def _pairs(selection_set: SelectionSetNode) -> int:
    names = Counter((node.alias or node.name).value for node in selection_set.selections if isinstance(node, FieldNode))
    return sum(count * (count - 1) // 2 for count in names.values())


def _whole(node: IntValueNode) -> int:
    # Python refuses to read thousands of digits; whatever they say, it is no page size.
    return int(node.value) if len(node.value) < 20 else 0


def _rounded(number: int) -> str:
    return str(number) if number < 10**9 else f"more than 10^{len(str(number)) - 1}"
