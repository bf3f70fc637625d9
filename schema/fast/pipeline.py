"""From the text of a request to its answers: the same way for HTTP, sockets and event streams.

Strawberry builds the schema and graphql-core runs the operation. What lies
between is ours, so that texts are read once, limits hold before validation
starts, everything has a deadline and every error a code.
"""

# graphql-core's executor is generic in what only @defer needs, and never named with it.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from asyncio import get_running_loop, sleep, timeout
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

import strawberry
from graphql import ExecutionResult as CoreResult
from graphql import (
    GraphQLError,
    OperationType,
    create_source_event_stream,
    default_field_resolver,
    default_type_resolver,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.base import StrawberryType
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType as AllowedOperation

from schema.fast.documents import Document, Documents, Operation
from schema.fast.eager import in_time
from schema.fast.execution import FastExecutor, Memo, SharedData, check_executor
from schema.fast.limits import Analysis, Limits
from schema.fast.scalars import SCALARS
from schema.fast.spending import AnswerTooLarge, TooMuchJson, spending
from schema.fast.variables import read_into_objects
from schema.shared.faults import BAD_USER_INPUT, NO_QUERY, RequestError, present, refusal, unavailable

__all__ = ["OperationNotAllowed", "Schema", "StreamEnded"]

T = TypeVar("T")

Admit = Callable[[Any, Analysis], None]
"""Called for each operation before it runs, with its context; raises `RequestError` to refuse it."""


class OperationNotAllowed(RequestError):
    """The operation is of a kind that can't be asked for in this way."""

    def __init__(self, kind: OperationType) -> None:
        super().__init__(_NOT_ALLOWED[kind], BAD_USER_INPUT)
        self.kind = kind


_NOT_ALLOWED = {
    OperationType.QUERY: "A query can't be asked for in this way.",
    OperationType.MUTATION: "A mutation has to be sent by POST.",
    OperationType.SUBSCRIPTION: "A subscription needs a WebSocket, or to accept text/event-stream.",
}


@dataclass
class StreamEnded(PreExecutionError):
    """The errors that ended a subscription after it had begun."""


@dataclass(slots=True)
class _Ready:
    """An operation that may run."""

    document: Document
    operation: Operation
    variables: dict[str, Any] | None
    name: str | None


class Schema(strawberry.Schema):
    """A Strawberry schema that runs operations through the fast executor, within limits and deadlines.

    `unavailable` are the exceptions by which resolvers say that the database
    is away, `refusals` the clients' messages for others. `admit` sees every
    operation's analysis before it runs. A context with a `compiled` gets what
    is known of its operation, the `forget()` of one is called when its query or
    mutation is answered. Strawberry's schema extensions do
    not run here.
    """

    def __init__(
        self,
        query: type,
        mutation: type | None = None,
        subscription: type | None = None,
        *,
        types: Iterable[type | StrawberryType] = (),
        limits: Limits | None = None,
        request_timeout_seconds: float = 10.0,
        unavailable: tuple[type[BaseException], ...] = (),
        refusals: Mapping[type[BaseException], RequestError] | None = None,
        admit: Admit | None = None,
        scalar_map: Mapping[object, Any] | None = None,
    ) -> None:
        super().__init__(
            query,
            mutation,
            subscription,
            types=types,
            config=StrawberryConfig(scalar_map={**SCALARS, **(scalar_map or {})}),
            execution_context_class=FastExecutor,
        )
        read_into_objects(self._schema)
        check_executor(self._schema)
        self.limits = limits or Limits()
        self.documents = Documents(self._schema, self.limits)
        self._request_timeout_seconds = request_timeout_seconds
        self._unavailable = unavailable
        self._refusals = refusals
        self._admit = admit
        self._reader = ThreadPoolExecutor(1, "documents")

    async def execute(  # noqa: PLR0917 - Strawberry's signature
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[AllowedOperation] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """The answer to a query or mutation; a `PreExecutionError` if it could not begin."""
        del operation_extensions
        allowed = _ANSWERED_ONCE if allowed_operation_types is None else allowed_operation_types
        ready = await self._ready(query, variable_values, context_value, operation_name, allowed)
        if isinstance(ready, list):
            return PreExecutionError(None, ready)
        return await self._run(ready, context_value, root_value)

    async def stream(  # noqa: PLR0917 - Strawberry's signature
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[AllowedOperation] | None = None,
        *,
        push: Callable[[SharedData], bool] | None = None,
    ) -> AsyncGenerator[ExecutionResult, None]:
        """Any operation's answers, one after the other.

        While nobody is busy with the last one, those that many get may be handed to `push` instead, in their order. It
        must not wait; when it says False, the answer comes as the others do.

        A `PreExecutionError` is the last: nothing began, or (`StreamEnded`) it ended early. What may come later, but
        not now, is a `RequestError` with its `retry_after_seconds` before there is any answer.
        """
        del operation_extensions
        allowed = tuple(AllowedOperation) if allowed_operation_types is None else allowed_operation_types
        ready = await self._ready(query, variable_values, context_value, operation_name, allowed)
        if isinstance(ready, list):
            cause = ready[0].original_error
            if isinstance(cause, RequestError) and cause.retry_after_seconds is not None:
                raise cause
        return self._answers(ready, context_value, root_value, push)

    async def operation_kind(self, query: str, operation_name: str | None) -> OperationType | None:
        """What kind of operation would run; None if that can't be said."""
        try:
            document = self.documents.known(query) or await self._aside(query, partial(self.documents.parse, query))
            return document.operation(operation_name).node.operation
        except (GraphQLError, RequestError, TimeoutError):
            return None

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing here: what deserves the log gets there when it is presented, with its id."""

    async def _ready(
        self,
        query: str | None,
        variables: dict[str, Any] | None,
        context: Any,
        operation_name: str | None,
        allowed: Iterable[AllowedOperation],
    ) -> "_Ready | list[GraphQLError]":
        try:
            if not query:
                raise RequestError(NO_QUERY, BAD_USER_INPUT)  # noqa: TRY301 - answered like any other
            document = self.documents.known(query)
            if document is None:
                document = await self._aside(
                    query, partial(self._first_read, query, variables, operation_name, allowed)
                )
            operation, analysis = self._measured(document, variables, operation_name, allowed)
            if errors := document.errors():
                return errors
            # What may not run is not worth its memory.
            self.documents.keep(query, document)
            if self._admit is not None:
                self._admit(context, analysis)
        except GraphQLError as error:
            return [error]
        except RequestError as error:
            return [refusal(error)]
        except TimeoutError:
            return [refusal(unavailable())]
        return _Ready(document, operation, variables, operation_name)

    def _first_read(
        self,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        allowed: Iterable[AllowedOperation],
    ) -> Document:
        """The document, with all that takes long in it done, as far as its operation may be run at all."""
        document = self.documents.parse(query)
        with suppress(GraphQLError, RequestError):
            self._measured(document, variables, operation_name, allowed)
            document.errors()
        return document

    def _measured(
        self,
        document: Document,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        allowed: Iterable[AllowedOperation],
    ) -> tuple[Operation, Analysis]:
        operation = document.operation(operation_name)
        self._check_kind(operation.node.operation, allowed)
        analysis = operation.shape.with_variables(variables)
        self.limits.check(analysis)
        return operation, analysis

    async def _aside(self, query: str, work: Callable[[], T]) -> T:
        """What comes of `work`, done in another thread if the text is long: others are answered meanwhile.

        There is one such thread, so that many long texts take no more from the others than one does.
        """
        if len(query) < _LONG_TEXT:
            return work()
        async with timeout(self._request_timeout_seconds):
            return await get_running_loop().run_in_executor(self._reader, work)

    def _check_kind(self, kind: OperationType, allowed: Iterable[AllowedOperation]) -> None:
        if all(kind.value != each.value for each in allowed):
            raise OperationNotAllowed(kind)

    def _executor(self, ready: "_Ready", context: Any, root_value: Any) -> FastExecutor | list[GraphQLError]:
        operation = ready.operation
        if hasattr(context, "compiled"):
            context.compiled = operation.compiled
        variables = operation.variables.read(ready.variables or {})
        if variables is not None:
            return FastExecutor(
                self._schema,
                {name: each.definition for name, each in operation.fragments.items()},
                operation.fragments,
                root_value,
                context,
                operation.node,
                variables,
                default_field_resolver,
                default_type_resolver,
                default_field_resolver,
                is_awaitable=cast("Any", optimized_is_awaitable),
                compiled=operation.compiled,
            )
        executor = FastExecutor.build(
            self._schema,
            ready.document.node,
            root_value,
            context,
            ready.variables,
            ready.name,
            is_awaitable=cast("Any", optimized_is_awaitable),
            compiled=operation.compiled,
        )
        if isinstance(executor, list):
            return [present(error, otherwise=BAD_USER_INPUT) for error in executor]
        return cast("FastExecutor", executor)

    async def _run(self, ready: "_Ready", context: Any, root_value: Any) -> ExecutionResult:
        executor = self._executor(ready, context, root_value)
        if isinstance(executor, list):
            return PreExecutionError(None, executor)
        try:
            deadline = get_running_loop().time() + self._request_timeout_seconds
            with spending(self.limits.entries, self.limits.json_bytes):
                result = executor.execute_operation()
                if not isinstance(result, CoreResult):
                    result = await in_time(deadline, cast("Coroutine[Any, Any, CoreResult]", result))
        except TimeoutError:
            return ExecutionResult(None, [refusal(unavailable())])
        except AnswerTooLarge as error:
            return ExecutionResult(None, [refusal(self._too_large(error))])
        finally:
            if (forget := getattr(context, "forget", None)) is not None:
                forget()
        return self._shown(result)

    async def _answers(
        self,
        ready: "_Ready | list[GraphQLError]",
        context: Any,
        root_value: Any,
        push: Callable[[SharedData], bool] | None,
    ) -> AsyncGenerator[ExecutionResult, None]:
        if isinstance(ready, list):
            yield PreExecutionError(None, ready)
            return
        if ready.operation.node.operation is not OperationType.SUBSCRIPTION:
            yield await self._run(ready, context, root_value)
            return
        executor = self._executor(ready, context, root_value)
        if push is not None and isinstance(executor, FastExecutor) and hasattr(context, "push"):
            context.push = partial(_pushed, executor, push, self.limits)
        source = executor if isinstance(executor, list) else await self._source(executor)
        if isinstance(source, list):
            yield PreExecutionError(None, source)
            return
        async with aclosing(source):
            async for answer in self._follow(cast("FastExecutor", executor), source):
                yield answer

    async def _source(self, executor: FastExecutor) -> AsyncGenerator[Any, None] | list[GraphQLError]:
        try:
            async with timeout(self._request_timeout_seconds):
                source = create_source_event_stream(executor)
                if optimized_is_awaitable(source):
                    source = await cast("Awaitable[Any]", source)
        except TimeoutError:
            return [refusal(unavailable())]
        if isinstance(source, CoreResult):
            return self._presented(source.errors or [])
        return cast("AsyncGenerator[Any, None]", source)

    async def _follow(
        self, executor: FastExecutor, source: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[ExecutionResult, None]:
        answered = 0
        while True:
            try:
                event = await anext(source)
            except StopAsyncIteration:
                return
            except Exception as error:  # noqa: BLE001 - whatever ends the stream, the client gets the reason
                yield StreamEnded(None, [self._present(GraphQLError(str(error), original_error=error))])
                return
            try:
                async with timeout(self._request_timeout_seconds):
                    with spending(self.limits.entries, self.limits.json_bytes):
                        result = executor.answer(event)
                        if not isinstance(result, CoreResult):
                            result = await result
            except TimeoutError:
                # The stream ends here, so that the client goes on from the event it knows.
                yield StreamEnded(None, [refusal(unavailable())])
                return
            except AnswerTooLarge as error:
                yield StreamEnded(None, [refusal(self._too_large(error))])
                return
            yield self._shown(result)
            answered += 1
            if answered % _EVENTS_IN_A_ROW == 0:
                # Neither a full buffer to read from nor an empty one to send into ever waits.
                await sleep(0)

    def _too_large(self, error: AnswerTooLarge) -> RequestError:
        return self.limits.too_much_json() if isinstance(error, TooMuchJson) else self.limits.too_large_an_answer()

    def _shown(self, result: CoreResult) -> ExecutionResult:
        return ExecutionResult(result.data, self._presented(result.errors) if result.errors else None)

    def _presented(self, errors: Iterable[GraphQLError]) -> list[GraphQLError]:
        return [self._present(error) for error in errors]

    def _present(self, error: GraphQLError) -> GraphQLError:
        return present(error, unavailable_types=self._unavailable, refusals=self._refusals)


def _pushed(
    executor: FastExecutor, push: Callable[[SharedData], bool], limits: Limits, memo: Memo, make: Callable[[], object]
) -> bool:
    data = executor.known(memo)
    if data is None:
        # With a budget of its own: the task that this runs in was begun by the request that moved the run.
        with spending(limits.entries, limits.json_bytes):
            data = executor.shared(memo, make)
    return data is not None and push(data)


_ANSWERED_ONCE: Final = (AllowedOperation.QUERY, AllowedOperation.MUTATION)
_EVENTS_IN_A_ROW: Final = 32
_LONG_TEXT: Final = 400
"""Characters; reading a shorter text takes less than changing threads may."""
