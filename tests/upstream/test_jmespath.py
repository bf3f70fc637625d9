"""jmespath: its grammar is extended, its interpreter bounded, and its trees are looked through before they run."""

import jmespath
import pytest
from jmespath.functions import Functions
from jmespath.lexer import Lexer
from jmespath.parser import ParsedResult, Parser
from jmespath.visitor import Options, TreeInterpreter

from engine.expressions.evaluation import _BUILDING, _SAME
from engine.expressions.language import parse
from tests.upstream.leaning import there


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        (TreeInterpreter, "visit", "each step of an evaluation is counted there"),
        (Functions, "call_function", "a function that multiplies is bounded there"),
        (Functions, "_validate_arguments", "optional arguments are known there"),
        (Functions, "FUNCTION_TABLE", "calls are checked against it before anything runs"),
        *(
            (Parser, name, "let, variables and arithmetic have their places in its grammar")
            for name in (
                "BINDING_POWER",
                "_do_parse",
                "_parse",
                "_expression",
                "_token_nud_unquoted_identifier",
                "_advance",
                "_match",
                "_current_token",
                "_lookahead_token",
            )
        ),
        *(
            (Lexer, name, "it reads what lies between the added tokens")
            for name in ("tokenize", "START_IDENTIFIER", "VALID_IDENTIFIER")
        ),
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


@pytest.mark.parametrize(
    "expression",
    ["a.b[*].c", "a[?b == `1` && !c].d | [0]", "a[].{x: b, y: c[1:3]}", "sort_by(a, &b)[-1]", "*.a || b", '"let".in'],
)
def test_what_it_reads_itself_is_read_the_same_with_the_added_tokens(expression: str):
    assert parse(expression).parsed == jmespath.compile(expression).parsed


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
