"""What authors of tools import, and the registry that the engine reads them from."""

from engine.tools.context import ToolContext
from engine.tools.declaration import tool
from engine.tools.errors import ArgsUnfit, Fault, InDoubt, ResultUnfit, ToolDeclarationError, ToolError
from engine.tools.labels import Destination, Own
from engine.tools.notices import LONGEST_NOTICE
from engine.tools.registry import Registry, load_registry
from engine.tools.results import plain
from engine.tools.tool import Tool

__all__ = [
    "LONGEST_NOTICE",
    "ArgsUnfit",
    "Destination",
    "Fault",
    "InDoubt",
    "Own",
    "Registry",
    "ResultUnfit",
    "Tool",
    "ToolContext",
    "ToolDeclarationError",
    "ToolError",
    "load_registry",
    "plain",
    "tool",
]
