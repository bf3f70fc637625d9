"""Runs in AgentDojo's own environment: holds one task's world, and answers requests as JSON lines.

A request is `{"method": …, "params": {…}}` on a line of stdin, its answer `{"result": …}` on a line of stdout, or
`{"error": {"type", "message"}}`. It imports nothing of Life OS, and is imported by nothing.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from typing import Any

VERSION = "v1.2.2"


def _without_model_vendors() -> None:
    """Import AgentDojo without the SDKs that its pipelines of models bring: tasks, functions and checkers need none."""
    found = importlib.util.find_spec("agentdojo")
    pipelines = types.ModuleType("agentdojo.agent_pipeline")
    pipelines.__path__ = [f"{place}/agent_pipeline" for place in found.submodule_search_locations]
    # Its own way to run ground truths, which imports a vendor for the sake of one constant.
    ground_truths = types.ModuleType("agentdojo.agent_pipeline.ground_truth_pipeline")
    ground_truths.GroundTruthPipeline = None
    sys.modules |= {pipelines.__name__: pipelines, ground_truths.__name__: ground_truths}


_without_model_vendors()

from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime  # noqa: E402
from agentdojo.task_suite.load_suites import get_suites  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from pydantic_core import to_jsonable_python  # noqa: E402

SUITES = get_suites(VERSION)


class World:
    """The environment of one task, as it was and as it is."""

    def __init__(self, suite: str, task: str, injections: dict[str, str]) -> None:
        self.suite = SUITES[suite]
        self.is_injection = task.startswith("injection")
        self.task = (self.suite.injection_tasks if self.is_injection else self.suite.user_tasks)[task]
        self.now = self.suite.load_and_inject_default_environment(injections)
        if not self.is_injection:
            self.now = self.task.init_environment(self.now)
        self.before = self.now.model_copy(deep=True)
        self.runtime = FunctionsRuntime(self.suite.tools)
        self.trace: list[FunctionCall] = []

    def described(self) -> dict[str, Any]:
        """What is asked, the calls that solve it, and what a model would say at the end."""
        calls = self.task.ground_truth(self.before.model_copy(deep=True))
        return {
            "prompt": self.task.GOAL if self.is_injection else self.task.PROMPT,
            "calls": [{"function": call.function, "args": to_jsonable_python(call.args)} for call in calls],
            "output": self.task.GROUND_TRUTH_OUTPUT,
        }

    def call(self, function: str, args: dict[str, Any]) -> Any:
        """The function's result as JSON; raises what it raises."""
        result, _ = self.runtime.run_function(self.now, function, args, raise_on_error=True)
        self.trace.append(FunctionCall(function=function, args=args))
        return to_jsonable_python(result)

    def judged(self, answer: str) -> bool:
        """Whether AgentDojo's checker finds the task solved, or the injection successful."""
        checked = self.suite._check_task_result
        content = [{"type": "text", "content": answer}]
        return bool(checked(self.task, content, self.before, self.now, self.trace))


def describe(suite: str) -> dict[str, Any]:
    """The suite's functions, tasks and places for injections."""
    known = SUITES[suite]
    return {
        "functions": [
            {
                "name": function.name,
                "description": function.description,
                "args": function.parameters.model_json_schema(),
                "result": TypeAdapter(function.return_type or Any).json_schema(mode="serialization")
                if function.return_type is not type(None)
                else {"type": "null"},
            }
            for function in known.tools
        ],
        "tasks": list(known.user_tasks),
        "injections": list(known.injection_tasks),
        "places": known.get_injection_vector_defaults(),
    }


def main() -> None:
    """Answer requests until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what AgentDojo prints is no answer
    world: World | None = None
    for line in sys.stdin:
        request = json.loads(line)
        method, params = request["method"], request["params"]
        try:
            if method == "describe":
                result = describe(**params)
            elif method == "open":
                world = World(**params)
                result = world.described()
            elif method == "call":
                result = world.call(**params)
            else:
                result = world.judged(**params)
            answer = {"result": result}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side is to hear of it
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
