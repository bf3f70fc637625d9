"""What the plans need of the language, counted, and compared with what README.md says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agentdojo.features import MODEL, letters
from tests.agentdojo.notation import step, task
from tests.agentdojo.plans import PLANS

pytestmark = pytest.mark.slow

README = Path(__file__).with_name("README.md").read_text()


def test_ninety_tasks_can_be_said_and_fifty_eight_without_a_model() -> None:
    said = [letters(each) for tasks in PLANS.values() for each in tasks.values()]

    assert (len(said), sum(MODEL not in each for each in said)) == (90, 58)


@pytest.mark.parametrize("suite", PLANS)
def test_the_table_says_what_each_plan_needs(suite: str) -> None:
    heads, rows = _table("| suite |")
    row = next(row for row in rows if row[0] == suite)
    shown = {number: head for head, cell in zip(heads, row, strict=True) for number in _numbers(head, cell)}

    assert shown == {number: letters(each) for number, each in PLANS[suite].items()}


def test_every_other_task_has_a_reason() -> None:
    _, rows = _table("| task | why not |")
    named = {(name.split()[0], int(number)) for name, _ in rows for number in re.findall(r"\d+", name)}
    counts = {"workspace": 40, "travel": 20, "banking": 16, "slack": 21}

    assert named == {(suite, n) for suite, count in counts.items() for n in range(count) if n not in PLANS[suite]}


def test_a_plan_that_needs_nothing_new_has_a_letter_of_its_own() -> None:
    assert letters(task(step("a", "noop", value={"$jmespath": "max_by(b, &c).d"}))) == "S"
    assert letters(task(step("a", "noop", value={"$jmespath": "items(b)"}))) == "F"
    assert letters(task(step("a", "noop"), answer=[{"$jmespath": "let $a = b in $a"}])) == "F"


def _table(head: str) -> tuple[list[str], list[list[str]]]:
    lines = README[README.index(head) :].split("\n\n")[0].strip().splitlines()
    first, _, *rest = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return first, rest


def _numbers(head: str, cell: str) -> Iterator[int]:
    if re.fullmatch("[SFWLX]+", head):
        for first, last in re.findall(r"(\d+)(?:–(\d+))?", cell):
            yield from range(int(first), int(last or first) + 1)
