"""The executor: graphql-core's, with the parts that repeat worked out once.

Three things are remembered with a document, because they follow from its text
alone: which fields a selection set collects, how each plain attribute among
them becomes JSON, and which variables matter below a subscription's root. And
one with an event: its answer, which every subscriber asking the same shares.

Whatever is not as plain as it looked (an awaitable, an exception, a value of an
unforeseen type) goes graphql-core's own way, and answers as it always did.
"""

# graphql-core's list and non-null types are generic, and named without their parameter in its own unions.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportUnknownLambdaType=false

from collections.abc import (
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cached_property, partial
from math import isfinite
from operator import attrgetter
from types import NoneType
from typing import Any, Final, NamedTuple, cast
from uuid import UUID
from weakref import proxy

from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    Node,
    OperationDefinitionNode,
    VariableNode,
    get_nullable_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_scalar_type,
    parse,
)
from graphql.execution.collect_fields import CollectedFields, DeferUsage, FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path, Undefined
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.base import BaseSchema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE
from strawberry.types.field import StrawberryField

from schema.fast.selections import selected_fields
from schema.fast.spending import ONE_BY_ONE, AnswerTooLarge, back_to, in_turn, is_long, spend, standing, with_pauses
from schema.shared.jsontext import JsonText, encode

__all__ = [
    "AT_HAND",
    "Compiled",
    "FastExecutor",
    "LibraryChanged",
    "Memo",
    "SharedData",
    "check_executor",
    "nodes_below",
]

Memo = MutableMapping[Hashable, ExecutionResult]
"""What an event's attribute `memo` holds: its answers, by who asked what. It dies with the event."""

_INERT: Final = frozenset({str, int, float, bool, dict, list, tuple, datetime, date, time, UUID, Decimal, JsonText})
"""Types whose values are never awaitable and never exceptions."""

_MOST_SHAPES: Final = 32
_MOST_ANSWERS: Final = 256
_DEFINITION: Final = "strawberry-definition"

AT_HAND: Final = "at hand"
"""In a resolver's metadata: the attribute that has its value where it is known already, and raises where it is not."""


class SharedData(dict[str, Any]):
    """The `data` of an answer that many get; it becomes text once."""

    __slots__ = ("_text", "frames")
    _text: str

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.frames: dict[str, bytes] = {}
        """What was made of the text for those who get it, by what stands before it there."""

    @property
    def text(self) -> str:
        """The JSON text of it all."""
        try:
            return self._text
        except AttributeError:
            self._text = encode(self).decode()
            return self._text


class FastExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor with Strawberry's info, and short cuts for what is plain.

    Give it `compiled` to keep what follows from the operation's text across
    requests. Nothing here changes an answer; it only comes sooner.
    """

    def __init__(self, *args: Any, compiled: "Compiled | None" = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The base's helpers hold it in turn: all that an operation read would stay until garbage is collected.
        it = proxy(self)
        self.async_helpers = GraphQLResolveInfoHelpers(
            gather=partial(FastExecutor.gather_async_work, it), track=partial(FastExecutor.track_async_work, it)
        )
        middleware = self.middleware_manager
        self._is_plain = middleware is None or not middleware.middlewares
        if compiled is None or not compiled.is_fixed:
            # What @skip and @include leave depends on this request's variables.
            compiled = Compiled(self.schema, compiled.document if compiled else None, self.operation)
        self._compiled = compiled
        self._relevant_sub_fields = compiled.sub_fields

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,  # noqa: FBT001 - the base's signature
        new_defer_usages: Sequence[DeferUsage],
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Execute the same field lists each time, so that all that is remembered about them is found again."""
        if not new_defer_usages:
            if self._compiled.root is None:
                self._compiled.root = grouped_field_set
            grouped_field_set = self._compiled.root
            if self._compiled.is_plain is None:
                self._compiled.is_plain = self._is_plain_throughout(root_type, grouped_field_set)
        return super().execute_collected_root_fields(
            root_type, root_value, grouped_field_set, serially, new_defer_usages
        )

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Read the plain attributes at once, and leave the rest of the fields to graphql-core."""
        if self._is_plain and position_context is None:
            plan = self._plan(parent_type, grouped_field_set)
            before = standing()
            try:
                row = plan.row(source_value) if plan.parts else None
            except AnswerTooLarge as refused:
                return _raised(refused)
            if row is None:
                back_to(before)
            else:
                if not plan.rest:
                    return row
                rest = super().execute_fields(parent_type, source_value, path, plan.rest, position_context)
                return plan.join(row, rest) if isinstance(rest, dict) else plan.join_later(row, rest)
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def complete_iterable_value(  # noqa: PLR0917 - the base's signature
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo,
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        """Complete a list of plain objects in one loop."""
        if isinstance(items, list | tuple):
            plain = self._is_plain and position_context is None
            convert = self._branch(item_type, field_details_list) if plain else None
            entries = len(items) * (1 if convert is not None else ONE_BY_ONE)
            has_pauses = is_long(entries)
            try:
                spend(entries, at_once=not has_pauses)
                if convert is None:
                    items = in_turn(items, ONE_BY_ONE) if has_pauses else items
                elif has_pauses:
                    return self._converted(convert, item_type, field_details_list, info, path, items)
                else:
                    before = standing()
                    with suppress(Exception):
                        return [convert(item) for item in items]
                    back_to(before)
            except AnswerTooLarge as refused:
                return _raised(refused)
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    @staticmethod
    def complete_leaf_value(return_type: GraphQLLeafType, result: Any) -> Any:
        """Complete a leaf; one that is too much is refused where it is awaited, beside all else that was begun."""
        try:
            return StrawberryGraphQLCoreExecutionContext.complete_leaf_value(return_type, result)
        except AnswerTooLarge as refused:
            return _raised(refused)

    async def _converted(  # noqa: PLR0917 - as above
        self,
        convert: Callable[[Any], Any],
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo,
        path: Path,
        items: Sequence[Any],
    ) -> list[Any]:
        # What an attempt that failed has counted stays counted: others have counted theirs in the pauses.
        with suppress(Exception):
            return await with_pauses(items, convert)
        rest = super().complete_iterable_value(item_type, field_details_list, info, path, items, None)
        return rest if isinstance(rest, list) else await rest

    # ── events ──

    def answer(self, event: Any) -> AwaitableOrValue[ExecutionResult]:
        """A subscription's answer to one event, shared with the subscribers that asked the same and may see the same.

        An answer that had to be awaited, or holds errors, is nobody else's.
        """
        memo: Memo | None = getattr(event, "memo", None)
        key = self._key if memo is not None else None
        known = memo.get(key) if memo is not None and key is not None else None
        if known is not None:
            return known
        executor = self.build_per_event_executor(event)
        result = executor.execute_operation(False)  # noqa: FBT003 - the base's signature
        if isinstance(result, ExecutionResult) and not result.errors and result.data is not None:
            result = ExecutionResult(SharedData(result.data), None)
            if memo is not None and key is not None and len(memo) < _MOST_ANSWERS:
                memo[key] = result
        return cast("AwaitableOrValue[ExecutionResult]", result)

    def shared(self, memo: Memo, make: Callable[[], object]) -> SharedData | None:
        """The data of the answer to the event of this memo, which `make` makes; None unless it is plain throughout."""
        if not self._compiled.is_plain:
            return None
        known = self.known(memo)
        if known is not None:
            return known
        answer = self.answer(make())
        data = answer.data if isinstance(answer, ExecutionResult) and not answer.errors else None
        return data if isinstance(data, SharedData) else None

    def known(self, memo: Memo) -> SharedData | None:
        """The same, if it has been made already."""
        answer = memo.get(self._key) if self._key is not None else None
        return cast("SharedData", answer.data) if answer is not None else None

    def build_per_event_executor(self, payload: Any) -> "FastExecutor":
        """The executor of one event; a context with `for_event()` gives each event a fresh one."""
        executor = cast("FastExecutor", super().build_per_event_executor(payload))
        renew = getattr(self.context_value, "for_event", None)
        if renew is not None:
            executor.context_value = renew()
        return executor

    @cached_property
    def _key(self) -> Hashable | None:
        scope: Hashable = getattr(self.context_value, "scope", None)
        if scope is None:
            return None
        given = self.variable_values.coerced
        asked = tuple((name, repr(given.get(name))) for name in self._compiled.inner_variables)
        return (self._compiled.key, asked, scope)

    # ── plans ──

    def _is_plain_throughout(self, root_type: GraphQLObjectType, fields: GroupedFieldSet) -> bool:
        """Whether all below the root is plain, so that nothing of an answer can have to be awaited."""
        if not self._is_plain:
            return False
        for details in fields.values():
            field = root_type.fields.get(details[0].node.name.value)
            branch = None if field is None else self._branch(field.type, details)
            if branch is None or not branch.is_certain:
                return False
        return True

    def _plan(self, parent_type: GraphQLObjectType, fields: GroupedFieldSet) -> "_Plan":
        plans = self._compiled.plans
        plan = plans.get(id(fields))
        # A plan holds its fields: as long as it is there, no others have their id.
        if plan is None or plan.fields is not fields:
            plans[id(fields)] = plan = self._make_plan(parent_type, fields)
        return plan

    def _make_plan(
        self, parent_type: GraphQLObjectType, fields: GroupedFieldSet, *, takes_at_hand: bool = False
    ) -> "_Plan":
        template: dict[str, Any] = {}
        parts: dict[str, _Part] = {}
        rest: GroupedFieldSet = {}
        for name, details in fields.items():
            template[name] = None
            if details[0].node.name.value == "__typename":
                template[name] = parent_type.name
                continue
            part = self._part(parent_type, details, takes_at_hand=takes_at_hand)
            if part is None:
                rest[name] = details
            else:
                parts[name] = part
        return _Plan(fields, template, parts, rest)

    def _part(
        self, parent_type: GraphQLObjectType, details: FieldDetailsList, *, takes_at_hand: bool
    ) -> "_Part | None":
        """How this field is read, if it is a plain attribute; None if graphql-core has to resolve it."""
        node = details[0].node
        field = parent_type.fields.get(node.name.value)
        plain = field.extensions.get(_DEFINITION) if field and not field.args else None
        if (
            field is None
            or not isinstance(plain, StrawberryField)
            or (attribute := _attribute(plain, takes_at_hand=takes_at_hand)) is None
            or plain.default_resolver is not getattr
            or node.arguments
            or self._strawberry_schema.exception_handlers
            or any(each.fragment_variable_values is not None for each in details)
        ):
            return None
        nullable = not is_non_null_type(field.type)
        type_ = get_nullable_type(field.type)
        leaf = _leaf(type_) or _leaves(type_)
        if leaf is not None:
            return leaf._replace(attribute=attribute, nullable=nullable)
        if is_list_type(type_):
            entry = self._branch(type_.of_type, details)
            if entry is None:
                return None

            def entries(items: Sequence[Any]) -> list[Any]:
                spend(len(items))
                return [entry(item) for item in items]

            return _Part(attribute, _LISTS, entries, nullable, entry.is_certain)
        inner = self._branch(field.type, details)
        if inner is None:
            return None
        return _Part(attribute, None, inner, nullable, inner.is_certain and plain.is_basic_field)

    def _branch(self, type_: GraphQLOutputType, details: FieldDetailsList) -> "_Branch | None":
        """What turns an object of this type into its part of the answer, if all below it is plain."""
        branches = self._compiled.branches
        key = (id(details), type_)
        known = branches.get(key)
        # As with plans: the entry holds the details.
        if known is None or known[0] is not details:
            known = branches[key] = (details, self._make_branch(type_, details))
        return known[1]

    def _make_branch(self, type_: GraphQLOutputType, details: FieldDetailsList) -> "_Branch | None":
        object_type = get_nullable_type(type_)
        if not is_object_type(object_type) or any(each.node.directives for each in details):
            return None
        definition = object_type.extensions.get(_DEFINITION)
        if not isinstance(definition, StrawberryObjectDefinition) or definition.is_type_of is not None:
            return None
        fields, deferred, _ = self.collect_subfields(object_type, details)
        plan = self._make_plan(object_type, fields, takes_at_hand=True)
        if deferred or plan.rest:
            return None
        return _Branch(plan, object_type, nullable=not is_non_null_type(type_))

    @property
    def _strawberry_schema(self) -> BaseSchema:
        return self.schema.extensions[_DEFINITION]


class Compiled:
    """What is worked out about one operation and holds for all requests with its text."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode | None, operation: OperationDefinitionNode
    ) -> None:
        self.schema = schema
        self.document = document
        self.operation = operation
        self.key = object()
        """Tells it from all others; who keeps it keeps nothing else of it."""
        self.root: GroupedFieldSet | None = None
        self.is_plain: bool | None = None
        """Whether everything below the root is a plain attribute; None before the first answer."""
        self.sub_fields: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]] = {}
        self.plans: dict[int, _Plan] = {}
        self.branches: dict[tuple[int, GraphQLOutputType], tuple[FieldDetailsList, _Branch | None]] = {}

    @cached_property
    def is_fixed(self) -> bool:
        """Whether the fields collected are the same under all variables: no directive has a say in it."""
        return self.document is not None and not any(
            isinstance(node, DirectiveNode) for node in nodes_below(self.document)
        )

    @cached_property
    def selected(self) -> frozenset[str]:
        """The fields that the operation selects anywhere, as `Type.field`."""
        return selected_fields(self.schema, self.document, self.operation)

    @cached_property
    def inner_variables(self) -> tuple[str, ...]:
        """The variables that can change an event's answer: all but those only the root field's arguments use."""
        pending: list[Node] = []
        for node in self.operation.selection_set.selections:
            if isinstance(node, FieldNode):
                pending += [*(node.directives or ()), *([node.selection_set] if node.selection_set else [])]
            else:
                pending.append(node)
        if self.document is not None:
            pending += [node for node in self.document.definitions if node is not self.operation]
        used = {node.name.value for top in pending for node in nodes_below(top) if isinstance(node, VariableNode)}
        return tuple(sorted(used))


class LibraryChanged(Exception):
    """A library is not as this program needs it to be; the text says which of its names, and why it matters."""


LEANED_ON: Final = {
    "_relevant_sub_fields": "it keeps the fields that selection sets collect, and ours are kept across requests there",
}
"""What is no public part of graphql-core's executor, and yet leaned on."""

_PROBE: Final = "{__schema {queryType {name}}}"


def check_executor(schema: GraphQLSchema) -> None:
    """Raise `LibraryChanged` unless graphql-core's executor works with what is ours as it did.

    If it did not, answers would still come, and hold what others asked for or take ten times as long: better none.
    """
    document = parse(_PROBE)
    operation = cast("OperationDefinitionNode", document.definitions[0])
    theirs = StrawberryGraphQLCoreExecutionContext.build(schema, document)
    for name, reason in LEANED_ON.items():
        if not hasattr(theirs, name):
            raise LibraryChanged(f"graphql-core's Executor has no {name} any more: {reason}.")
    compiled = Compiled(schema, document, operation)
    ours = FastExecutor.build(schema, document, compiled=compiled)
    assert isinstance(ours, FastExecutor)
    answer = ours.execute_operation()
    if not isinstance(answer, ExecutionResult) or answer.errors:
        raise LibraryChanged(f"graphql-core's Executor does not answer {_PROBE} with ours in its place.")
    if len(compiled.sub_fields) != 2:
        raise LibraryChanged("graphql-core's Executor does not use its _relevant_sub_fields as it did.")
    if compiled.root is None or len(compiled.plans) != 3:
        raise LibraryChanged(
            "graphql-core's Executor does not call execute_collected_root_fields and execute_fields as it did."
        )


class _Part(NamedTuple):
    """A plain attribute: the exact types its value may have (None: any), and how it becomes JSON."""

    attribute: str
    types: frozenset[type] | None
    convert: Callable[[Any], Any] | None
    nullable: bool
    is_certain: bool = True
    """Whether it is there for every object, and not only where it was read before."""


async def _raised(error: BaseException) -> Any:
    """Raise it where it is awaited: what else was begun for the answer is awaited beside it, and not left behind."""
    raise error


class _Odd(Exception):
    """A value that is not as plain as its field."""


class _Plan:
    """How the plain fields of a selection set are read from an object, and which fields are left."""

    def __init__(
        self, fields: GroupedFieldSet, template: dict[str, Any], parts: Mapping[str, _Part], rest: GroupedFieldSet
    ) -> None:
        self.fields = fields
        self.template = template
        self.parts = parts
        self.rest = rest
        self.is_certain = all(part.is_certain for part in parts.values())
        self._names = tuple(parts)
        self._converts = {name: (name, part.convert) for name, part in parts.items() if part.convert is not None}
        self._read = _reader([part.attribute for part in parts.values()])
        self._shapes: dict[tuple[type, ...], list[tuple[str, Callable[[Any], Any]]]] = {}

    def row(self, source: Any) -> dict[str, Any] | None:
        """The plain fields' values with room for the others; None if one of them is odd after all."""
        try:
            values = self._read(source)
            kinds = tuple(map(type, values))
            steps = self._shapes.get(kinds)
            if steps is None:
                steps = self._steps(kinds)
            row = self.template.copy()
            row.update(zip(self._names, values, strict=True))
            for name, convert in steps:
                row[name] = convert(row[name])
        except Exception:  # noqa: BLE001 - whatever it is, graphql-core meets it again and reports it
            return None
        return row

    def _steps(self, kinds: tuple[type, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
        """What is left to do for values of just these types; most are JSON as they are."""
        steps: list[tuple[str, Callable[[Any], Any]]] = []
        for kind, (name, part) in zip(kinds, self.parts.items(), strict=True):
            if kind is NoneType:
                if not part.nullable:
                    raise _Odd
            elif part.types is not None and kind not in part.types:
                raise _Odd
            elif part.convert is not None:
                steps.append(self._converts[name])
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[kinds] = steps
        return steps

    def join(self, row: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """The whole object, its fields in the order they were asked for."""
        row.update(rest)
        if len(rest) != len(self.rest):
            for name in self.rest:
                if name not in rest:
                    del row[name]
        return row

    async def join_later(self, row: dict[str, Any], rest: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """The same when the other fields have to be awaited."""
        return self.join(row, await rest)


class _Branch:
    """Turns an object, all of whose selected fields are plain, into its part of the answer."""

    def __init__(self, plan: _Plan, type_: GraphQLObjectType, *, nullable: bool) -> None:
        self.is_certain = plan.is_certain
        self._plan = plan
        self._type = type_
        self._nullable = nullable
        self._trusted: dict[type, bool] = {}
        """Types whose values are plain; and whether such a value may have been marked by `strawberry.cast`."""

    def __call__(self, value: Any) -> dict[str, Any] | None:
        kind = type(value)
        markable = self._trusted.get(kind)
        if markable is None:
            if value is None:
                if self._nullable:
                    return None
                raise _Odd
            self._examine(value, kind)
        elif markable and TYPE_CAST_ATTRIBUTE in value.__dict__:
            raise _Odd
        row = self._plan.row(value)
        if row is None:
            raise _Odd
        return row

    def _examine(self, value: Any, kind: type) -> None:
        if isinstance(value, Exception) or optimized_is_awaitable(value):
            raise _Odd
        is_type_of = self._type.is_type_of
        if is_type_of is not None and not is_type_of(value, cast("Any", None)):
            raise _Odd
        markable = is_type_of is not None and bool(kind.__dictoffset__)
        if not markable or TYPE_CAST_ATTRIBUTE not in value.__dict__:
            # A mark is about this one object; its type says nothing about the next.
            self._trusted[kind] = markable


def _attribute(field: StrawberryField, *, takes_at_hand: bool) -> str | None:
    """What the field is read from, if it is a plain attribute, or may be at hand."""
    if field.is_basic_field:
        return field.python_name
    return field.metadata.get(AT_HAND) if takes_at_hand and not field.extensions else None


def _reader(attributes: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(attributes) > 1:
        return attrgetter(*attributes)
    if not attributes:
        return lambda _source: ()
    read = attrgetter(attributes[0])
    return lambda source: (read(source),)


def _leaf(type_: Any) -> _Part | None:
    """How a value of this leaf type becomes JSON, without name and nullability; None for other types."""
    builtin = _BUILTIN.get(type_) if is_scalar_type(type_) else None
    if builtin is not None:
        return builtin
    if is_enum_type(type_):
        wrapped = getattr(type_, "wrapped_cls", None)
        if isinstance(wrapped, type) and issubclass(wrapped, Enum):
            names = {member: type_.coerce_output_value(member) for member in wrapped}
            return _Part("", frozenset({wrapped}), names.__getitem__, nullable=False)
    return _Part("", _INERT, _scalar(type_), nullable=False) if is_scalar_type(type_) else None


def _leaves(type_: Any) -> _Part | None:
    """The same for a list of leaves."""
    if not is_list_type(type_):
        return None
    leaf = _leaf(get_nullable_type(type_.of_type))
    if leaf is None or leaf.types is None:
        return None
    types, convert = leaf.types, leaf.convert
    nullable = not is_non_null_type(type_.of_type)

    def entry(value: Any) -> Any:
        if value is None and nullable:
            return None
        if type(value) not in types:
            raise _Odd
        return value if convert is None else convert(value)

    return _Part("", _LISTS, lambda values: [entry(value) for value in values], nullable=False)


_LISTS: Final = frozenset({list, tuple})


def _int32(value: int) -> int:
    if -(2**31) <= value < 2**31:
        return value
    raise _Odd


def _finite(value: float) -> float:
    if isfinite(value):
        return value
    raise _Odd


_BUILTIN: Final = {
    GraphQLString: _Part("", frozenset({str}), None, nullable=False),
    GraphQLID: _Part("", frozenset({str}), None, nullable=False),
    GraphQLBoolean: _Part("", frozenset({bool}), None, nullable=False),
    GraphQLInt: _Part("", frozenset({int}), _int32, nullable=False),
    GraphQLFloat: _Part("", frozenset({float}), _finite, nullable=False),
}


def _scalar(type_: GraphQLScalarType) -> Callable[[Any], Any]:
    coerce = type_.coerce_output_value

    def convert(value: Any) -> Any:
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise _Odd
        return coerced

    return convert


def nodes_below(top: Node) -> Iterator[Node]:
    """Every node of the tree that begins at `top`."""
    pending: list[Any] = [top]
    while pending:
        node = pending.pop()
        if isinstance(node, Node):
            yield node
            pending.extend(getattr(node, key) for key in node.keys)
        elif isinstance(node, tuple | list):
            pending.extend(node)
