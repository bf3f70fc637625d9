"""typer: how a command ends is ours to say."""

import inspect

import typer
from typer.core import TyperGroup

from console.exits import OneLineErrors


def test_the_group_runs_where_ours_does():
    theirs = list(inspect.signature(TyperGroup.main).parameters)
    ours = list(inspect.signature(OneLineErrors.main).parameters)

    assert theirs == ours, f"TyperGroup.main takes {theirs} now: every command ends with one line there"


def test_a_usage_error_can_be_told_in_one_line():
    for name in ("exit_code", "format_message"):
        assert hasattr(typer.TyperException, name), (
            f"TyperException has no {name} any more: usage errors are told by it"
        )
