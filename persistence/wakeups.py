"""Wake-ups: "look again at these runs". The news itself is always read from the database.

They are published after the commit, on a connection of their own, many in one message: NOTIFY inside the hot
transactions makes every commit in the database queue behind one lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID, uuid4

import structlog
from broadcaster import Broadcast

from persistence.broadcast import MISSED, PostgresBackend
from persistence.moves.row import RunMark
from persistence.states import RunState
from persistence.supervisor import Background, failed, known

log = structlog.get_logger()

_CHANNEL: Final = "wake"
_MARKS_A_MESSAGE: Final = 100
"""A notification's payload ends at 8,000 bytes; a mark takes up to 50."""


_LISTENS_SECONDS: Final = 5.0
"""How long a start waits for the listening connection."""

Listener = Callable[[Sequence[RunMark]], None]


class Wakeups:
    """Informs listeners of commits: in this process at once, in other processes through the broadcaster.

    Listeners are plain functions that must not block: `on_runs` gets what moved, `on_work` that steps wait for a
    worker, `on_plans` that intents do, `on_missed` that anything may have been missed.
    """

    def __init__(self, broadcast: Broadcast, backend: PostgresBackend | None) -> None:
        self._broadcast = broadcast
        self._backend = backend
        self._origin = uuid4().hex[:12]
        self._marks: dict[UUID, RunMark] = {}
        self._work = self._plans = False
        self._something = asyncio.Event()
        self._listening = Background("wakeups-listen", self._listen, again=self._deafened)
        self._publishing = Background("wakeups-publish", self._publish, again=self._something.set)
        self._was_deaf = False
        self._on_runs: list[Listener] = []
        self._on_work: list[Callable[[], None]] = []
        self._on_plans: list[Callable[[], None]] = []
        self._on_missed: list[Callable[[], None]] = []
        self.published = 0
        self.failed = 0

    def listen(
        self,
        *,
        on_runs: Listener | None = None,
        on_work: Callable[[], None] | None = None,
        on_plans: Callable[[], None] | None = None,
        on_missed: Callable[[], None] | None = None,
    ) -> None:
        """Add listeners; they stay as long as this does."""
        if on_runs is not None:
            self._on_runs.append(on_runs)
        if on_work is not None:
            self._on_work.append(on_work)
        if on_plans is not None:
            self._on_plans.append(on_plans)
        if on_missed is not None:
            self._on_missed.append(on_missed)

    @property
    def is_listening(self) -> bool:
        """Whether wake-ups of other processes arrive at this moment, as far as is known."""
        return self._listening.is_well and (self._backend is None or self._backend.listening.is_set())

    async def open(self) -> None:
        """Start listening and publishing; returns once it listens, or when that takes too long for a start."""
        await self._broadcast.connect()
        self._listening.open()
        self._publishing.open()
        if self._backend is not None:
            # The caller goes on to say "ready", and is not ready before it hears the others. If it can't yet, sweeps
            # make up for it: that is no reason not to start.
            try:
                async with asyncio.timeout(_LISTENS_SECONDS):
                    await self._backend.listening.wait()
            except TimeoutError:
                log.warning("not_listening_yet", seconds=_LISTENS_SECONDS)
            except asyncio.CancelledError:
                await self.close()
                raise

    async def close(self) -> None:
        """Stop; the others' sweeps find the news that was not published yet."""
        await self._listening.close()
        await self._publishing.close()
        with suppress(asyncio.CancelledError):
            await self._broadcast.disconnect()

    def announce(self, marks: Iterable[RunMark] = (), *, work: bool = False, plans: bool = False) -> None:
        """Announce a commit: the runs that moved, that steps wait (`work`), that intents wait (`plans`).

        Returns at once; a lost message costs others at most a sweep's time.
        """
        marks = list(marks)
        if marks:
            for mark in marks:
                self._marks[mark.run] = _together(mark, self._marks.get(mark.run))
            self._tell_runs(marks)
        self._work |= work
        self._plans |= plans
        self._tell_workers(work=work, plans=plans)
        self._something.set()

    def _tell_workers(self, *, work: bool, plans: bool) -> None:
        for listener in self._on_work if work else ():
            _tell(listener)
        for listener in self._on_plans if plans else ():
            _tell(listener)

    def _tell_runs(self, marks: Sequence[RunMark]) -> None:
        for listener in self._on_runs:
            _tell(listener, marks)

    async def _publish(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            marks, self._marks = list(self._marks.values()), {}
            work, self._work = self._work, False
            plans, self._plans = self._plans, False
            while marks or work or plans:
                part, marks = marks[:_MARKS_A_MESSAGE], marks[_MARKS_A_MESSAGE:]
                message = _written(self._origin, part, work=work, plans=plans)
                work = plans = False
                try:
                    await self._broadcast.publish(_CHANNEL, message)
                    self.published += 1
                except Exception as error:  # noqa: BLE001 - whatever the broadcaster's backend raises, sweeps make up for it
                    self.failed += 1
                    log.warning("wakeup_not_published", error=str(error) or type(error).__name__)

    def _deafened(self) -> None:
        self._was_deaf = True

    async def _listen(self) -> None:
        async with self._broadcast.subscribe(_CHANNEL) as subscriber:
            if self._was_deaf:
                self._was_deaf = False
                self._hear(MISSED)
            while True:
                event = await subscriber.get()
                self._hear(str(event.message))

    def _hear(self, message: str) -> None:
        if message == MISSED:
            for listener in self._on_missed:
                _tell(listener)
            self._tell_workers(work=True, plans=True)
            return
        origin, _, rest = message.partition(" ")
        if origin == self._origin:
            return
        try:
            marks, work, plans = _read(rest)
        except (ValueError, KeyError):
            log.warning("wakeup_not_understood", message=message[:100])
            return
        if marks:
            self._tell_runs(marks)
        self._tell_workers(work=work, plans=plans)


_LISTENERS: Final = known("wakeups-listener")


def _tell(listener: Callable[..., None], *news: object) -> None:
    """An error of one listener does not touch the others; a sweep finds the news that it missed."""
    try:
        listener(*news)
    except Exception as error:  # noqa: BLE001 - logged and counted
        failed(_LISTENERS, error, listener=getattr(listener, "__qualname__", repr(listener)))


def _together(mark: RunMark, earlier: RunMark | None) -> RunMark:
    """Of several commits the last one counts, in whatever order they arrive; and an approval touched by any of them."""
    if earlier is None:
        return mark
    last = max(mark, earlier, key=lambda each: each.seq)
    return last._replace(judged=mark.judged or earlier.judged)


_STATES: Final = {state.value[:4]: state for state in RunState}
"""A run's state in four letters: a message has room for 8,000."""


def _written(origin: str, marks: list[RunMark], *, work: bool, plans: bool) -> str:
    lines = ";".join(f"{mark.run.hex}:{mark.seq}:{mark.state[:4]}:{mark.ready}:{mark.judged:d}" for mark in marks)
    return f"{origin} {'w' if work else '-'}{'p' if plans else '-'} {lines}"


def _read(message: str) -> tuple[list[RunMark], bool, bool]:
    waiting, _, lines = message.partition(" ")
    marks: list[RunMark] = []
    for line in filter(None, lines.split(";")):
        run, seq, state, ready, judged = line.split(":")
        marks.append(RunMark(UUID(hex=run), int(seq), _STATES[state], int(ready), judged == "1"))
    return marks, "w" in waiting, "p" in waiting
