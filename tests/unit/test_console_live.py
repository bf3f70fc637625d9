"""The picture of a run on a terminal: what scrolls past above it is never eaten by it."""

from __future__ import annotations

import io
import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from console.client import Client
from console.live import Picture
from console.models import Event, Progress, Run
from console.screen import Screen

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
LONG = "Apply to 2 backend jobs, schedule gym 3x this week, and plan groceries for 3 people for 7 days"
_CONTROL = re.compile(r"\x1b\[(\?25[lh]|[0-9;]*[mAK])")


class Server(Client):
    """What the picture asks: there is one run, and it is always the same."""

    def __init__(self, run: Run) -> None:
        self._answer = run

    async def run(self, run_id: str, *, whole: bool = False) -> Run:
        return self._answer


def screen_of(width: int) -> tuple[Screen, io.StringIO]:
    """A terminal of a width, and what is written to it."""
    written = io.StringIO()
    screen = Screen()
    screen.is_terminal = True
    screen.console = Console(file=written, force_terminal=True, width=width, height=50, color_system=None, markup=False)
    return screen, written


def lines_on_a_terminal(written: str, width: int) -> list[str]:
    """What is to be seen in the end: a terminal that knows as much as the picture uses."""
    lines, row, column = [""], 0, 0
    for part in re.split(r"(\x1b\[[^A-Za-z]*[A-Za-z]|\n|\r)", written):
        if part == "\n":
            row, column = row + 1, 0
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b"):
            assert _CONTROL.fullmatch(part), repr(part)
            if part.endswith("A"):
                row -= int(part[2:-1] or 1)
                assert row >= 0
            elif part.endswith("K"):
                lines[row] = ""
        else:
            for character in part:
                if column == width:
                    row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
                lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
                column += 1
        lines += [""] * (row + 1 - len(lines))
    return lines


def event(seq: int) -> Event:
    given: dict[str, Any] = {
        "cursor": f"c{seq}",
        "seq": seq,
        "type": "STEP_READY",
        "message": "is ready",
        "metadata": {},
    }
    return Event(**given, created_at=NOW, run_id="run_1")


def run_of(*steps: dict[str, Any]) -> Run:
    given = {"id": "run_01a201b7e6ff7604b2cf58b939487ba9", "state": "EXECUTING", "riskLevel": "L0", "intent": LONG}
    return Run.model_validate({**given, "createdAt": NOW, "steps": steps, "progress": {"total": 2, "succeeded": 0}})


@pytest.mark.parametrize("width", [40, 60, 99, 100, 101, 200])
async def test_every_event_stays_on_the_terminal_whatever_its_width(width: int) -> None:
    steps = [
        {"id": f"step_{key}", "key": key, "name": key, "tool": "send", "riskLevel": "L3", "state": "PENDING"}
        | {"waitingFor": f"Waiting for “{LONG}”."}
        for key in ("one", "two")
    ]
    screen, written = screen_of(width)
    shown = run_of(*steps)

    async with Picture(screen, Server(shown), shown.id) as picture:
        await picture.look()
        for seq in range(1, 30):
            picture.saw(event(seq))
            if seq % 3 == 0:
                await picture.look()
        picture.ended(shown)

    seen = [
        int(found[1])
        for line in lines_on_a_terminal(written.getvalue(), width)
        if (found := re.search(r"#(\d+)", line))
    ]
    assert seen == list(range(1, 30))


async def test_what_there_is_to_know_of_a_run_is_drawn_below_it_and_fits() -> None:
    screen, written = screen_of(60)
    screen.console.height = 20
    notices = [f"{number} of 9 found" for number in range(8)]
    steps = [
        {"id": f"step_{n}", "key": f"k{n}", "name": f"k{n}", "tool": "send", "riskLevel": "L0", "state": "PENDING"}
        for n in range(40)
    ]
    shown = run_of(*steps).model_copy(update={"notices": tuple(notices)})

    async with Picture(screen, Server(shown), shown.id) as picture:
        await picture.look()
        picture.ended(shown)

    seen = [line.strip() for line in lines_on_a_terminal(written.getvalue(), 60) if line.strip()]
    assert seen[-6:] == [*(f"Notice: {notice}" for notice in notices[:5]), "… and 3 more notices"]
    assert len(seen) <= 20


async def test_children_are_drawn_under_their_step_as_far_as_there_is_room() -> None:
    screen, written = screen_of(100)
    screen.console.height = 20
    given = {"tool": "send", "riskLevel": "L0", "state": "RUNNING"}
    children = [{**given, "id": f"step_{n}", "key": f"each[{n}]", "name": "each", "index": n} for n in range(30, 40)]
    each = {**given, "id": "step_each", "key": "each", "name": "each", "children": {"totalCount": 1000}}
    each |= {"notable": {"nodes": children}, "ended": {"totalCount": 30}}
    shown = run_of(each).model_copy(update={"progress": Progress(total=1001, succeeded=30, running=11, ready=960)})

    async with Picture(screen, Server(shown), shown.id) as picture:
        await picture.look()
        picture.ended(shown)

    seen = [line.rstrip() for line in lines_on_a_terminal(written.getvalue(), 100) if line.strip()]
    assert [line.split()[0] for line in seen[-12:-1]] == ["each", *(f"each[{n}]" for n in range(30, 40))]
    assert "30 of 1,000 done" in seen[-12]
    assert seen[-11].startswith("  each[30]")
    assert seen[-1] == "… and 990 more steps"
    assert len(seen) <= 20


async def test_nobody_else_draws_while_events_are_written() -> None:
    screen, _ = screen_of(80)
    before = threading.active_count()

    async with Picture(screen, Server(run_of()), "run_1"):
        # A second thread that draws would move the cursor by what the picture was before the event.
        assert threading.active_count() == before
