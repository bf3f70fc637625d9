"""The page on sentences: each is planned, or refused, as its table shows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.planner import PlanningContext, Unplannable, plan
from engine.plans import PlanStep
from engine.tools import load_registry
from tests.readme.markdown import PAGES, tables_of
from tests.unit.sentences import NOW

PAGE = PAGES["docs/sentences.md"]
TABLES = list(tables_of(PAGE))


def rows_with(*head: str) -> list[list[str]]:
    rows = [row for table in TABLES if table.head == ["sentence", *head] for row in table.rows]
    assert rows
    return rows


async def steps_of(sentence: str) -> Sequence[PlanStep]:
    return (await plan(sentence, load_registry(), PlanningContext(NOW))).steps


def test_the_page_says_which_moment_it_is() -> None:
    assert f"it is {NOW:%A}, {NOW:%Y-%m-%d}, five past ten in Berlin" in PAGE
    assert f"{NOW:%H:%M}" == "10:05"


def test_every_table_is_of_a_kind_that_is_compared() -> None:
    assert {tuple(table.head[1:]) for table in TABLES} == {
        ("steps",),
        ("starts",),
        ("left out",),
        ("part at fault", "reason"),
    }


@pytest.mark.parametrize(("sentence", "names"), rows_with("steps"))
async def test_a_sentence_becomes_these_steps(sentence: str, names: str) -> None:
    assert "; ".join(step.name or "" for step in await steps_of(sentence)) == names


@pytest.mark.parametrize(("sentence", "starts"), rows_with("starts"))
async def test_an_entry_begins_at_these_times(sentence: str, starts: str) -> None:
    (step,) = await steps_of(sentence)

    assert ", ".join(start[:16].replace("T", " ") for start in step.args["starts"]) == starts


@pytest.mark.parametrize(("sentence", "words"), rows_with("left out"))
async def test_a_menu_leaves_these_out(sentence: str, words: str) -> None:
    (step,) = await steps_of(sentence)

    assert ", ".join(step.args["exclude"]) == words


@pytest.mark.parametrize(("sentence", "part", "reason"), rows_with("part at fault", "reason"))
async def test_a_sentence_is_refused_with_this_part_and_reason(sentence: str, part: str, reason: str) -> None:
    with pytest.raises(Unplannable) as refused:
        await steps_of(sentence)

    assert refused.value.parts == (part,)
    assert f"“{part}”: {reason}" in str(refused.value)
