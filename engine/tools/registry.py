"""All the tools that a process knows: the built-in ones, a person's own modules, and installed packages'."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from engine.tools.declaration import declared_tool
from engine.tools.errors import ToolDeclarationError
from engine.tools.signature import where
from engine.tools.tool import Tool

ENTRY_POINTS: Final = "lifeos.tools"
"""The entry-point group in which packages offer a module with tools, or one tool."""

BUILTIN: Final = EntryPoint("builtin", "engine.tools.builtin", ENTRY_POINTS)
"""The entry point of the tools that come with the engine, as `pyproject.toml` declares it.

A checkout that is not installed, or was before this was declared, has it all the same.
"""


class Registry:
    """Tools by name; never changes once made."""

    __slots__ = ("_tools",)

    def __init__(self, tools: Iterable[Tool]) -> None:
        found: dict[str, Tool] = {}
        for each in tools:
            other = found.setdefault(each.name, each)
            if other is not each:
                raise ToolDeclarationError(
                    f"two tools are named {each.name!r}: {where(other.function)} and {where(each.function)}; "
                    "rename one of the functions"
                )
        self._tools = dict(sorted(found.items()))

    @classmethod
    def of(cls, *tools: Tool | Callable[..., object]) -> Registry:
        """A registry of these tools or decorated functions alone."""
        return cls(_tool_of(each) for each in tools)

    def get(self, name: str) -> Tool | None:
        """The tool of that name, or None."""
        return self._tools.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every tool's name, sorted."""
        return tuple(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools


def load_registry(modules: Sequence[str] = ()) -> Registry:
    """The tools that installed packages offer, the engine's own among them, and those of the modules by import path.

    The working folder is on the path for `modules`. Raises ToolDeclarationError for a module that can't be
    imported or offers no tool, and for two tools of one name.
    """
    if modules:
        _put_working_folder_on_path()
    tools: list[Tool] = []
    for point in _points():
        source = f"entry point {point.name!r} ({point.value})"
        tools.extend(_offered(source, _loaded(point, source)))
    for name in modules:
        source = f"the tool module {name!r} of LIFEOS_TOOLS"
        tools.extend(_offered(source, _imported(name, source)))
    return Registry(tools)


def _points() -> list[EntryPoint]:
    """The entry points with tools, each once, by name; the engine's own come first."""
    others = {point for point in entry_points(group=ENTRY_POINTS) if point.value != BUILTIN.value}
    return [BUILTIN, *sorted(others, key=lambda point: (point.name, point.value))]


def tools_of(module: ModuleType) -> list[Tool]:
    """The tools among a module's names, those that it imported from elsewhere too; each once."""
    found = (declared_tool(value) for value in vars(module).values())
    return list(dict.fromkeys(each for each in found if each is not None))


def _tool_of(thing: Tool | Callable[..., object]) -> Tool:
    found = declared_tool(thing)
    if found is None:
        raise ToolDeclarationError(f"{where(thing)} is no tool; decorate it with @tool()")  # pyright: ignore[reportArgumentType] -- a Tool was found above
    return found


def _imported(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ToolDeclarationError as error:
        raise ToolDeclarationError(f"{source}: {error}") from error
    except (Exception, SystemExit) as error:
        raise _unusable(source, error) from error


def _loaded(point: EntryPoint, source: str) -> object:
    try:
        return point.load()
    except ToolDeclarationError as error:
        raise ToolDeclarationError(f"{source}: {error}") from error
    except (Exception, SystemExit) as error:
        raise _unusable(source, error) from error


def _unusable(source: str, error: BaseException) -> ToolDeclarationError:
    return ToolDeclarationError(f"{source} can't be imported: {type(error).__name__}: {error}")


def _offered(source: str, thing: object) -> list[Tool]:
    if inspect.ismodule(thing):
        tools = tools_of(thing)
    else:
        one = declared_tool(thing)
        tools = [] if one is None else [one]
    if not tools:
        raise ToolDeclarationError(f"{source} offers no tool; decorate a function with @tool()")
    return tools


def _put_working_folder_on_path() -> None:
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
