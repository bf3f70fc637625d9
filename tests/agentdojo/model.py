"""A model played by a script: it finds in each task's texts what is declared beside the plan, and refuses all else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema

from engine.tools import ToolError, tool
from tests.agentdojo.notation import Reading, texts_in


class ScriptedModel:
    """The tools `extract` and `write`, as a model without tools would serve them, for one task."""

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self._readings = readings
        self.tools: tuple[Callable[..., Any], ...] = (self._extract(), self._write())

    def _read(self, question: str, source: Any) -> Any:
        reading = self._readings.get(question)
        if reading is None:
            raise ToolError(f"nobody declared what {question!r} finds", retryable=False)
        if not any(reading.seen in text for text in texts_in(source)):
            raise ToolError(f"{reading.seen!r} is not in what {question!r} is asked about", retryable=False)
        return reading.value

    def _extract(self) -> Callable[..., Any]:
        async def extract(**args: Any) -> Any:
            value = self._read(args["question"], args["from"])
            if value is None:
                return {"found": False}
            jsonschema.validate(value, args["schema"])
            return {"found": True, "value": value}

        extract.__doc__ = "A model without tools finds data in a text."
        return _declared(extract, {"from": Any, "question": str, "schema": dict[str, Any]})

    def _write(self) -> Callable[..., Any]:
        async def write(**args: Any) -> Any:
            return {"text": self._read(args["instruction"], args["from"])}

        write.__doc__ = "A model without tools writes a text about another."
        return _declared(write, {"from": Any, "instruction": str})


def _declared(function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """The function as a tool with these parameters, of which one has a name that Python keeps for itself."""
    made = []
    for name, annotation in parameters.items():
        parameter = inspect.Parameter("_", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        parameter._name = name
        made.append(parameter)
    signature = inspect.Signature()
    signature._parameters = {parameter.name: parameter for parameter in made}
    function.__signature__ = signature
    return tool("L0")(function)
