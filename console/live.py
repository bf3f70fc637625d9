"""A run followed to its end: a picture that moves on a terminal, lines in a pipe, JSON for programs."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from console.children import with_children
from console.client import Client
from console.complaints import complain
from console.delays import growing_delays
from console.errors import ConsoleError
from console.models import Event, Run, Step
from console.plain import one_line
from console.render import STEP_COLUMNS, event_line, notice_lines, run_line, step_row
from console.screen import Screen, table_of

Respond = Callable[[Event], Awaitable[None]]
"""Awaited after each event is shown, before the next is taken."""

_ACTIVE = ("RUNNING", "BLOCKED", "FAILED", "READY")
_LOOKS_APART_SECONDS = 0.2
_MOST_NOTICES = 5
"""How many the picture has room for; `show` has them all."""


class Spectator(Protocol):
    """Shows the events of a run."""

    async def __aenter__(self) -> Self:
        """Begin to show."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""
        ...

    def saw(self, event: Event) -> None:
        """Show an event."""
        ...

    def lost(self, error: ConsoleError) -> None:
        """Show that the connection broke and is being replaced."""
        ...

    def found(self) -> None:
        """Show that there is a connection."""
        ...

    def ended(self, run: Run) -> None:
        """Show the run as it is in the end."""
        ...

    @contextmanager
    def paused(self) -> Generator[None]:
        """Leave the terminal to somebody else for a while."""
        ...


async def watch(
    client: Client, run_id: str, spectator: Spectator, *, after: str | None = None, respond: Respond | None = None
) -> Run:
    """The run as it ended, shown to the spectator from the cursor on."""
    cursor = after
    for delay in growing_delays(0.1, 2.0):
        async with aclosing(
            client.follow_run(run_id, cursor, on_lost=spectator.lost, on_open=spectator.found)
        ) as events:
            async for event in events:
                cursor = event.cursor
                spectator.saw(event)
                if respond is not None:
                    await respond(event)
        run = await client.run(run_id)
        if run.has_ended:
            spectator.ended(run)
            return run
        # A person sent it on its way again just now.
        await asyncio.sleep(delay)
    raise AssertionError("the delays never end")


class Lines:
    """A spectator who writes one line for each event, for pipes and logs."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def saw(self, event: Event) -> None:
        """Write the event's line."""
        self._screen.line(event_line(event))

    def lost(self, error: ConsoleError) -> None:
        """Say it beside the events."""
        complain(f"{error}; trying again")

    def found(self) -> None:
        """The events say it."""

    def ended(self, run: Run) -> None:
        """Say how the run ended; the last event has said the rest."""
        for line in notice_lines(run):
            self._screen.line(line)

    @contextmanager
    def paused(self) -> Generator[None]:
        """Lines get in nobody's way."""
        yield


class JsonLines(Lines):
    """A spectator who writes each event as JSON on one line."""

    def saw(self, event: Event) -> None:
        """Write the event."""
        self._screen.json_line(event.as_json())

    def ended(self, run: Run) -> None:
        """Programs read the run itself: nothing but JSON is written here."""


class Picture(Lines):
    """A spectator for terminals: events scroll past above a table of the steps that stays.

    An event says that something changed; what is drawn is asked of the server, at most a few times a second.
    """

    def __init__(self, screen: Screen, client: Client, run_id: str) -> None:
        super().__init__(screen)
        self._client = client
        self._run_id = run_id
        self._run: Run | None = None
        self._lost: ConsoleError | None = None
        self._changed = asyncio.Event()
        self._live: Live | None = None
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._changed.set()
        self._looking = asyncio.create_task(self._keep_looking())
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(leave_picture=error is None)
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    def saw(self, event: Event) -> None:
        """Let the event scroll past, and look again."""
        super().saw(event)
        self._changed.set()

    def lost(self, error: ConsoleError) -> None:
        """Say it within the picture."""
        self._lost = error
        self._refresh()

    def found(self) -> None:
        """Look again, as things may have changed."""
        self._lost = None
        self._changed.set()

    def ended(self, run: Run) -> None:
        """Draw the run as it ended."""
        self._run = run

    @contextmanager
    def paused(self) -> Generator[None]:
        """Take the picture away, and draw it again afterwards."""
        self._stop(leave_picture=False)
        try:
            yield
        finally:
            self._start()

    def _start(self) -> None:
        self._live = Live(
            get_renderable=self._draw,
            console=self._screen.console,
            # A thread that draws beside us would move the cursor up by a picture that is no longer there, over events.
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.refresh()

    def _stop(self, *, leave_picture: bool) -> None:
        if self._live is not None:
            self._live.transient = not leave_picture
            self._live.stop()
            self._live = None

    async def look(self) -> None:
        """Draw the run as it is now."""
        self._run = await self._client.run(self._run_id)
        self._refresh()

    async def _keep_looking(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            began = monotonic()
            with suppress(ConsoleError):  # the follower of the timeline reports the error
                await self.look()
            # A large run costs the server more to show: look at it less often.
            await asyncio.sleep(max(_LOOKS_APART_SECONDS, 4 * (monotonic() - began)))

    def _draw(self) -> RenderableType:
        if self._run is None:
            return Text(f"{self._run_id} …", style="dim")
        notices = notice_lines(self._run)
        if len(notices) > _MOST_NOTICES:
            more = Text(f"… and {len(notices) - _MOST_NOTICES} more notices", style="dim")
            notices = [*notices[:_MOST_NOTICES], more]
        room = max(3, self._screen.console.height - 6 - len(notices))
        steps = list(with_children(self._run.steps))
        shown = worth_showing(steps, room)
        parts: list[RenderableType] = [Text(), _on_one_row(run_line(self._run)), _bar(self._run)]
        parts.append(table_of(STEP_COLUMNS, (step_row(step) for step in shown)))
        left = max(len(steps), self._run.progress.total) - len(shown)
        if left:
            parts.append(_on_one_row(Text(f"… and {left:,} more steps", style="dim")))
        parts += map(_on_one_row, notices)
        if self._lost is not None:
            parts.append(_on_one_row(Text(f"{one_line(str(self._lost))}; trying again …", style="yellow")))
        return Group(*parts)


def spectator_for(screen: Screen, client: Client, run_id: str, *, as_json: bool = False) -> Spectator:
    """The spectator that fits where the output goes."""
    if as_json:
        return JsonLines(screen)
    return Picture(screen, client, run_id) if screen.is_terminal else Lines(screen)


def worth_showing(steps: Sequence[Step], room: int) -> list[Step]:
    """At most `room` steps, in plan order: rather those that something happens to, then those that wait."""
    if len(steps) <= room:
        return list(steps)
    by_interest = sorted(steps, key=lambda step: 0 if step.state in _ACTIVE else 1 if step.state == "PENDING" else 2)
    chosen = {step.id for step in by_interest[:room]}
    return [step for step in steps if step.id in chosen]


def _on_one_row(text: Text) -> Text:
    """The text cut to the terminal's width: the picture is as high whatever is written above it at that moment."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _bar(run: Run) -> RenderableType:
    progress = run.progress
    done = progress.succeeded + progress.failed + progress.skipped + progress.cancelled
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(1, progress.total), completed=done, width=40), f"{done}/{progress.total}")
    return grid
