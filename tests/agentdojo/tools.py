"""AgentDojo's functions as Life OS tools, made from what AgentDojo says of them and from our table of labels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from pydantic import Field, create_model

from engine.tools import Destination, Own, ToolError, tool
from tests.agentdojo.bridge import Bridge, Refused
from tests.agentdojo.labels import LABELS, OWN, Labels

Function = Callable[..., Any]
_PLAIN = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}


def tools_of(functions: Sequence[Mapping[str, Any]], bridge: Bridge) -> list[Function]:
    """A tool for each function that AgentDojo describes; a call goes over the bridge into the open world."""
    return [_tool(each, bridge) for each in functions]


def _tool(described: Mapping[str, Any], bridge: Bridge) -> Function:
    name, labels = described["name"], LABELS[described["name"]]

    async def call(**args: Any) -> Any:
        try:
            return await bridge.call(name, args)
        except Refused as refused:
            raise ToolError(str(refused), retryable=False) from None

    call.__name__ = call.__qualname__ = name
    call.__doc__ = described["description"]
    call.__signature__ = inspect.Signature(_parameters(described["args"], labels), return_annotation=_result(described))
    return tool(labels.risk, reads_outside=labels.reads_outside, outward=labels.outward)(call)


def _parameters(schema: Mapping[str, Any], labels: Labels) -> list[inspect.Parameter]:
    types = _Types(schema)
    assert {*labels.destinations} <= schema.get("properties", {}).keys(), labels
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=_marked(
                Annotated[types.of(field), Field(description=field["description"])],
                Destination if name in labels.destinations else None,
            ),
            default=field.get("default", inspect.Parameter.empty),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _result(described: Mapping[str, Any]) -> Any:
    return _Types(described["result"]).of(described["result"])


class _Types:
    """From JSON Schema back to the annotations that it was made from."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._forms = root.get("$defs", {})
        self._made: dict[str, Any] = {}

    def of(self, schema: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            return self._named(schema["$ref"].rpartition("/")[2])
        if "anyOf" in schema:
            return Union[tuple(self.of(each) for each in schema["anyOf"])]  # noqa: UP007 - as many as there are
        if "enum" in schema:
            return Literal[tuple(schema["enum"])]
        kind = schema.get("type")
        if kind == "array":
            return list[self.of(schema["items"])]
        if kind == "object" and "properties" in schema:
            return self._model(schema)
        if kind == "object":
            values = schema.get("additionalProperties")
            return dict[str, self.of(values) if isinstance(values, Mapping) else Any]
        return _PLAIN.get(kind, Any)

    def _named(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self.of(self._forms[name])
        return self._made[name]

    def _model(self, schema: Mapping[str, Any]) -> Any:
        own = OWN.get(schema["title"], ())
        fields = {
            name: (
                _marked(self.of(field), Own if name in own else None),
                Field(description=field.get("description")),
            )
            for name, field in schema["properties"].items()
        }
        return create_model(schema["title"], **fields)


def _marked(annotation: Any, mark: Any) -> Any:
    return annotation if mark is None else Annotated[annotation, mark]
