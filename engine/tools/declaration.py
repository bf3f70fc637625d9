"""The decorator that makes a function a tool."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from engine.nearest import Hints
from engine.phrases import Phrase, Template
from engine.risk import MOST_ATTEMPTS
from engine.tools.arguments import Arguments, Prepare
from engine.tools.errors import ToolDeclarationError
from engine.tools.labels import destinations_of, own_parts
from engine.tools.signature import read_signature, where
from engine.tools.tool import Tool
from persistence.states import Risk

Function = TypeVar("Function", bound=Callable[..., object])

_MARK: Final = "__lifeos_tool__"
_MAX_NAME: Final = 100


def tool(
    risk: Risk | str = "L1",
    *,
    idempotent: bool | None = None,
    timeout: float | None = None,
    max_attempts: int | None = None,
    phrases: Sequence[Phrase | str] = (),
    prepare: Prepare | None = None,
    reads_outside: bool = False,
    outward: bool | None = None,
) -> Callable[[Function], Function]:
    """Declare a function as a tool; the function itself stays as it is.

    `idempotent` is True by default below L3: a call that may have happened is made again under the same
    execution key. `timeout` is in seconds; `max_attempts` 0 means without end. `phrases` are ways to ask for
    it, as templates ("send a postcard to {to}") or built. Raises ToolDeclarationError, which names the
    function and says what to mend.

    `prepare` composes what the tool would else add by itself, so that it is shown, approved and digested: a plain
    function that is given the arguments as JSON, checked and with their defaults, and returns those to call with. It
    is called whenever arguments become known, edited ones too: it must give the same for the same arguments, leave
    alone what is there already, and look at nothing else. A reference to a secret stands as it is. What it raises
    makes the arguments unfit: a ToolError with its message alone, an ArgsUnfit at its paths.

    `reads_outside`: others can write what it returns; fields that the service itself assigns are then
    `Annotated[…, Own]`. `outward`: its effect is seen by others, or leaves; the arguments that say to whom, where,
    which or how much are `Annotated[…, Destination]`. What says nothing counts as outward from L2 up, with every
    argument a destination.
    """
    if callable(risk):
        raise ToolDeclarationError(f"tool {where(cast('Any', risk))}: write @tool() with its brackets")

    def declare(function: Function) -> Function:
        name = where(function)
        _check_function(name, function)
        level = _risk(name, risk)
        _check_numbers(name, timeout, max_attempts)
        _check_prepare(name, prepare)
        signature = read_signature(function)
        destinations = destinations_of(signature.args_schema)
        _check_labels(name, outward, destinations)
        declared = Tool(
            name=function.__name__,
            description=_description(function),
            risk=level,
            idempotent=level < Risk.L3 if idempotent is None else idempotent,
            timeout_seconds=timeout,
            max_attempts=max_attempts,
            args_schema=signature.args_schema,
            result_schema=signature.result_schema,
            phrases=_phrases(name, phrases, signature.args_schema),
            is_async=inspect.iscoroutinefunction(function),
            function=function,
            takes_context=signature.takes_context,
            context_by_name=signature.context_by_name,
            arguments=Arguments(signature, prepare),
            reads_outside=reads_outside,
            declared_outward=outward,
            declared_destinations=destinations,
            own=own_parts(signature.result_schema),
        )
        setattr(function, _MARK, declared)
        return function

    return declare


def declared_tool(thing: object) -> Tool | None:
    """The tool that a value is, or that a decorated function was declared as; None for anything else."""
    if isinstance(thing, Tool):
        return thing
    if not inspect.isfunction(thing):
        return None  # a mock or a module has every attribute that it is asked for
    found = getattr(thing, _MARK, None)
    return found if isinstance(found, Tool) else None


def _check_function(name: str, function: Callable[..., object]) -> None:
    if not inspect.isfunction(function):
        raise ToolDeclarationError(f"tool {name}: only a function declared with def can be a tool")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ToolDeclarationError(f"tool {name}: a generator has no one result; return it instead of yielding")
    if not function.__name__.isidentifier():
        raise ToolDeclarationError(f"tool {name}: {function.__name__!r} is no name for a tool; use def")
    if len(function.__name__) > _MAX_NAME:
        raise ToolDeclarationError(f"tool {name}: its name is longer than {_MAX_NAME} characters")


def _risk(name: str, risk: Risk | str) -> Risk:
    if isinstance(risk, Risk):
        return risk
    if not isinstance(cast("object", risk), str) or risk not in Risk.__members__:
        levels = ", ".join(Risk.__members__)
        raise ToolDeclarationError(f"tool {name}: its risk {risk!r} is none of {levels}")
    return Risk[risk]


def _check_numbers(name: str, timeout: float | None, max_attempts: int | None) -> None:
    if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
        raise ToolDeclarationError(f"tool {name}: its timeout of {timeout} should be some seconds, more than 0")
    if max_attempts is not None and not 0 <= max_attempts <= MOST_ATTEMPTS:
        raise ToolDeclarationError(
            f"tool {name}: max_attempts of {max_attempts} should be 1 to {MOST_ATTEMPTS}, or 0 for without end"
        )


def _check_prepare(name: str, prepare: object) -> None:
    if prepare is None:
        return
    if not callable(prepare) or inspect.iscoroutinefunction(prepare):
        raise ToolDeclarationError(f"tool {name}: its prepare should be a function declared with a plain def")


def _check_labels(name: str, outward: bool | None, destinations: Sequence[str]) -> None:  # noqa: FBT001 - as declared
    if outward is False and destinations:
        raise ToolDeclarationError(
            f"tool {name}: {destinations[0]!r} is a destination, and outward=False says that nothing leaves; "
            "leave one of them out"
        )


def _phrases(name: str, phrases: Sequence[Phrase | str], schema: Mapping[str, Any]) -> tuple[Phrase, ...]:
    if isinstance(phrases, str):
        raise ToolDeclarationError(f"tool {name}: phrases should be a list of them: [{phrases!r}]")
    return tuple(_phrase(name, phrase, schema) for phrase in phrases)


def _phrase(name: str, phrase: Phrase | str, schema: Mapping[str, Any]) -> Phrase:
    try:
        read = Phrase.parse(phrase) if isinstance(phrase, str) else phrase
    except ValueError as error:
        raise ToolDeclarationError(f"tool {name}: {error}") from error
    known = list(schema.get("properties", ()))
    unknown = sorted(read.placeholders.difference(known)) if isinstance(read, Template) else []
    if unknown:
        near = Hints().near(unknown[0], known)
        raise ToolDeclarationError(
            f"tool {name}: the phrase {phrase!r} names {', '.join(unknown)}, which it has no parameter for{near}"
        )
    return read


def _description(function: Callable[..., object]) -> str:
    written = inspect.getdoc(function)
    return written.strip() if written else function.__name__.replace("_", " ").capitalize() + "."
