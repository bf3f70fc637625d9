"""The demo: one sentence becomes a run, a person is asked, and what was made can be looked at."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.text import Text

from console.client import Client
from console.errors import ConsoleError, RunNotCompleted
from console.gate import Gate
from console.live import spectator_for, watch
from console.made import made_lines
from console.render import answer_lines, notice_lines, run_line, why_not_completed
from console.screen import Screen

INTENT: Final = "Apply to 2 backend jobs, schedule gym 3x this week, and plan groceries"

# The server may be on its way out as well.
_LAST_WORD_SECONDS: Final = 3


async def run_demo(client: Client, *, yes: bool, intent: str = INTENT, data_dir: Path | None = None) -> None:
    """Submit the intent, show all that happens, ask at each approval (`yes` answers itself), show what was made.

    A ConsoleError says what went wrong; a run that did not complete is one, RunNotCompleted. Where the data folder
    is known, files are named by where they lie on this machine.
    """
    screen = Screen()
    screen.line(Text(f"> {intent}", style="bold"))
    run = await client.submit(intent=intent)
    async with spectator_for(screen, client, run.id) as spectator:
        gate = Gate(client, screen, spectator, yes=yes)
        try:
            run = await watch(client, run.id, spectator, respond=gate.respond)
        except (ConsoleError, asyncio.CancelledError):
            # Nothing that asks a person for a decision is left behind.
            with suppress(ConsoleError, TimeoutError):
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await client.cancel(run.id, reason="the demo was left before it ended")
            raise
    run = await client.run(run.id, whole=True)
    screen.line()
    for line in (*made_lines(run, data_dir=data_dir), *answer_lines(run)):
        screen.line(line)
    for line in notice_lines(run):
        screen.line(line)
    screen.line(run_line(run))
    if run.state != "COMPLETED":
        raise RunNotCompleted(run.id, run.state, why_not_completed(run))
