"""One declared tool: what the planner may ask of it and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from engine.tools.arguments import Arguments
from engine.tools.context import ToolContext
from engine.tools.errors import Fault
from engine.tools.labels import Known
from engine.tools.threads import ToolThreads
from persistence.states import Risk

if TYPE_CHECKING:
    from engine.phrases import Phrase

THREADS: Final = ToolThreads()
"""Where plain functions run, unless a call names other threads."""


_OUTWARD_FROM: Final = Risk.L2


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A function that plans may call, with all that is known of it before it is called."""

    name: str
    description: str
    risk: Risk
    idempotent: bool
    """Whether a call that may have happened can be made again under the same execution key."""
    timeout_seconds: float | None
    max_attempts: int | None
    """0: without end. None: the risk level's default."""
    args_schema: dict[str, Any]
    """JSON Schema 2020-12 of the arguments, the context left out."""
    result_schema: dict[str, Any] | None
    phrases: tuple[Phrase, ...]
    is_async: bool
    function: Callable[..., object] = field(repr=False)
    takes_context: bool = field(repr=False)
    context_by_name: str | None = field(repr=False)
    arguments: Arguments = field(repr=False)
    reads_outside: bool = False
    """Whether others can write what it returns."""
    declared_outward: bool | None = None
    """Whether its effect leaves; None where its author does not say."""
    declared_destinations: tuple[str, ...] = ()
    """Dotted names of the arguments that are marked as destinations; everything below one counts."""
    own: Known | None = field(default=None, repr=False)
    """Which fields of its result the service itself assigns; None: none."""

    @property
    def outward(self) -> bool:
        """Whether its effect leaves, or may: what says nothing and is risky counts as if it did."""
        if self.declared_outward is not None:
            return self.declared_outward
        return bool(self.declared_destinations) or self.risk >= _OUTWARD_FROM

    @property
    def destinations(self) -> tuple[str, ...]:
        """The arguments that say to whom, where, which or how much: those marked, or all where nothing is said."""
        if self.declared_destinations or self.declared_outward is not None or not self.outward:
            return self.declared_destinations
        return tuple(self.args_schema.get("properties", ()))

    @property
    def defaults(self) -> tuple[str, ...]:
        """The arguments that may be left out."""
        return tuple(name for name, each in self.args_schema.get("properties", {}).items() if "default" in each)

    @property
    def wants_context(self) -> bool:
        """Whether the function takes the facts about its call."""
        return self.takes_context or self.context_by_name is not None

    def faults(self, args: Mapping[str, object]) -> list[Fault]:
        """Everything wrong with planned arguments, each at its path; none means that `fit` succeeds.

        `{"$jmespath": …}` and `{"$secret": …}` at any depth stand for any value, `{"$literal": X}` for X.
        """
        return self.arguments.faults(args)

    def fit(self, args: dict[str, Any]) -> dict[str, Any]:
        """Resolved arguments with the defaults filled in at every depth, and what the tool's `prepare` makes of them.

        Otherwise unchanged; what came from here comes back the same. Raises ArgsUnfit with every fault.
        `{"$secret": …}` still stands for any value.
        """
        return self.arguments.fit(args)

    async def call(
        self, ctx: ToolContext | None, args: dict[str, Any], *, threads: ToolThreads | None = None
    ) -> object:
        """What the function returns for arguments in which nothing is left to resolve; `ctx` for one that wants it.

        Raises what the function raises, and ArgsUnfit before it is called. A plain function runs in
        `threads`: when this call is cancelled, it is left to end by itself.
        """
        values = self.arguments.values(args)
        if self.context_by_name is not None:
            call = partial(self.function, **{self.context_by_name: ctx}, **values)
        elif self.takes_context:
            call = partial(self.function, ctx, **values)
        else:
            call = partial(self.function, **values)
        if self.is_async:
            return await cast("Awaitable[object]", call())
        returned = await (threads or THREADS).run(call)
        # A wrapper that is not async itself may still give back what its coroutine function gave it.
        return await cast("Awaitable[object]", returned) if inspect.isawaitable(returned) else returned
