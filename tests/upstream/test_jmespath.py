"""jmespath: its interpreter is bounded, and its syntax trees are looked through before they run."""

import jmespath
import pytest
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter

from engine.expressions import _BUILDING, _SAME
from tests.upstream.leaning import there


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        (TreeInterpreter, "visit", "each step of an evaluation is counted there"),
        (Functions, "call_function", "a function that multiplies is bounded there"),
    ],
)
def test_what_is_overridden_is_there(owner: type, name: str, reason: str):
    there(owner, name, reason)


@pytest.mark.parametrize(
    "kind", sorted(_BUILDING | {*_SAME, "field", "identity", "current", "literal", "key_val_pair"})
)
def test_the_trees_have_the_kinds_of_nodes_that_they_had(kind: str):
    # The parser makes a node and the interpreter visits it by the same word.
    there(TreeInterpreter, f"visit_{kind}", f"trees are bounded and looked through by the node {kind}")


def test_a_tree_is_made_of_types_and_children():
    parsed = jmespath.compile("a.b[*].{c: d}")

    assert isinstance(parsed, ParsedResult)
    assert {"type", "children"} <= parsed.parsed.keys(), "a tree's nodes are dicts with type and children"


def test_every_step_goes_through_the_one_method():
    seen: list[str] = []

    class Watching(TreeInterpreter):
        def visit(self, node, *args, **kwargs):  # pyright: ignore[reportMissingParameterType]
            seen.append(node["type"])
            return super().visit(node, *args, **kwargs)

    Watching(Options()).visit(jmespath.compile("a[*].b | length(@)").parsed, {"a": [{"b": 1}, {"b": 2}]})

    assert seen.count("field") == 3, "an evaluation's steps are counted in TreeInterpreter.visit"
    assert "function_expression" in seen
