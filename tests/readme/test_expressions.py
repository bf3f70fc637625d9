"""The page on expressions: each example has the value that is shown, and each function has its row."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from engine.expressions import Evaluation
from engine.expressions.functions import TABLE, least_arguments
from tests.readme.markdown import PAGES, blocks_of, code_in, tables_of

PAGE = PAGES["docs/expressions.md"]
(DATA,) = (json.loads(block.text) for block in blocks_of(PAGE) if block.words == ("json", "data"))
SUBMITTED = "2026-11-29T09:00:00.000Z"
TABLES = list(tables_of(PAGE))
FUNCTIONS = [
    [code_in(row[0]), code_in(row[2])] for table in TABLES if table.head[0] == "function" for row in table.rows
]


def examples() -> Iterator[tuple[str, str]]:
    for table in TABLES:
        for row in table.rows:
            yield code_in(row[-2]), code_in(row[-1])


@pytest.mark.parametrize(("expression", "shown"), list(examples()))
def test_an_example_has_the_value_that_is_shown(expression: str, shown: str) -> None:
    value = Evaluation(DATA, now=SUBMITTED).value_of(expression)

    assert json.dumps(value, ensure_ascii=False) == shown


def test_every_function_has_one_row_whose_example_calls_it() -> None:
    names = [declared.partition("(")[0] for declared, _ in FUNCTIONS]

    assert sorted(names) == sorted(TABLE)
    assert all(f"{name}(" in example for name, (_, example) in zip(names, FUNCTIONS, strict=True))


def test_brackets_stand_around_the_arguments_that_may_be_left_out() -> None:
    for declared, _ in FUNCTIONS:
        name, _, inside = declared.partition("(")
        needed = [each for each in inside.rstrip(")").partition("[")[0].split(",") if each.strip(" …")]

        assert len(needed) == least_arguments(TABLE[name]), declared
        assert declared.count("[") == len(TABLE[name]) - least_arguments(TABLE[name]), declared
