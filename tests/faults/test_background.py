"""Each loop in the background: something in it raises once, it goes on, and `/metrics` has counted that."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from engine.gather import Gather
from persistence import approvals_feed, lifesign, wakeups
from persistence.supervisor import FAILURES, Background
from serving import application
from tests.schema.serving import until
from tests.security.house import ADMIN, House, house


class Odd(Exception):
    """What nobody expects."""


@dataclass
class Once:
    """Raises when it is called for the first time, and is what it stands for from then on."""

    real: Callable[..., Any]
    calls: int = 0
    went_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def __call__(self, *values: Any, **more: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise Odd("for once")
        self.loop.call_soon_threadsafe(self.went_on.set)
        return self.real(*values, **more)


@pytest.fixture
async def home(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(application, "_RECHECK_SECONDS", 0.05)
    with capture_logs():
        async with house(dsn, tmp_path, sweep_seconds=0.05, lease_seconds=1) as opened:
            yield opened


async def counted(home: House, task: str) -> int:
    text = (await home.http.get("/metrics", headers={"Authorization": f"Bearer {ADMIN}"})).text
    (line,) = [line for line in text.splitlines() if f'lifeos_background_failures_total{{task="{task}"}}' in line]
    return round(float(line.split()[-1]))


async def notify(home: House, message: str) -> None:
    """What another process says to all."""
    await home.database.execute("SELECT pg_notify('lifeos', $1)", f"wake {message}")


async def wake_up(home: House) -> None:
    await notify(home, "another wp ")


async def ready(home: House) -> None:
    while not (await home.http.get("/readyz")).is_success:  # noqa: ASYNC110 - a server tells nobody
        await asyncio.sleep(0.02)


def parts(home: House) -> Any:
    parts = home.application.parts
    assert parts is not None
    return parts


async def nothing(_home: House) -> None:
    """It comes by itself."""


async def announced(home: House) -> None:
    parts(home).wakeups.announce(work=True)


async def stranger(home: House) -> None:
    assert (await home.post("{viewer {id}}", "nobody")).status_code == 401


Trigger = Callable[[House], Awaitable[None]]
LOOPS: dict[str, tuple[Callable[[House], tuple[Any, str]], Trigger]] = {
    "claimer": (lambda home: (home.engine._executor._claiming, "_claim_all"), wake_up),
    "planning": (lambda home: (home.engine._planning, "_plan_some"), wake_up),
    "scheduler": (lambda home: (home.engine._scheduler, "sweep"), nothing),
    "audit-strangers": (lambda home: (home.engine.audit, "_write"), stranger),
    "wakeups-listen": (lambda home: (parts(home).wakeups, "_hear"), wake_up),
    "wakeups-publish": (lambda _: (wakeups, "_written"), announced),
    "wakeups-listener": (lambda home: (parts(home).wakeups, "listen"), wake_up),
    "broadcast-listener": (lambda home: (parts(home).wakeups._backend, "_watch"), nothing),
    "lifesign": (lambda _: (lifesign.workers, "extend"), nothing),
    "recheck": (lambda home: (home.application._site.view, "recheck"), nothing),  # type: ignore[union-attr]
    "loop-lag": (lambda home: (parts(home).lag, "_note"), nothing),
}
"""What runs in each turn of the loop, and what makes it turn."""


@pytest.mark.parametrize("task", LOOPS)
async def test_a_loop_goes_on_after_what_nobody_expects_and_counts_it(
    home: House, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    find, trigger = LOOPS[task]
    before = await counted(home, task)
    owner, name = find(home)
    if task == "wakeups-listener":
        once = Once(lambda: None)
        owner.listen(on_work=once)
    else:
        once = Once(getattr(owner, name))
        monkeypatch.setattr(owner, name, once)
    if task == "broadcast-listener":
        # Its turn begins with a new connection.
        await home.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'lifeos listen' AND datname = current_database()"
        )

    async with asyncio.timeout(20):
        while not once.went_on.is_set():
            await trigger(home)
            await asyncio.sleep(0.02)

        assert await counted(home, task) > before
        # Well as a whole, too: it hears, and does what it is asked to.
        await ready(home)
        await home.finished(await home.submit(ADMIN, {"key": "a", "tool": "note"}))


async def test_a_raising_listener_keeps_no_other_from_hearing_and_fails_nobodys_announcement(home: House) -> None:
    heard: list[str] = []
    post = parts(home).wakeups

    def raises(*_news: object) -> None:
        raise Odd("always")

    post.listen(on_runs=raises, on_work=raises, on_plans=raises, on_missed=raises)
    post.listen(on_work=lambda: heard.append("work"), on_missed=lambda: heard.append("missed"))

    await notify(home, "another w- ")
    async with asyncio.timeout(20):
        await until(lambda: "work" in heard)
        await notify(home, "?")
        await until(lambda: "missed" in heard)
        run = await home.submit(ADMIN, {"key": "a", "tool": "note"})
        await home.finished(run)
    assert post.is_listening


async def test_who_does_not_listen_is_not_ready(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    post = parts(home).wakeups

    def raises(_message: str) -> None:
        raise Odd("always")

    monkeypatch.setattr(post, "_hear", raises)
    async with asyncio.timeout(20):
        while (await home.http.get("/readyz")).is_success:
            await wake_up(home)
        monkeypatch.undo()
        await ready(home)


async def test_what_was_said_while_nobody_listened_counts_as_missed(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = asyncio.Event()
    post = parts(home).wakeups
    post.listen(on_missed=missed.set)
    monkeypatch.setattr(post, "_hear", Once(post._hear))

    await wake_up(home)

    async with asyncio.timeout(20):
        await missed.wait()


async def test_followers_of_approvals_hear_of_the_next_one_after_a_fault(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await counted(home, "approvals-feed")
    async with home.socket(ADMIN) as socket:
        query = "subscription {approvals {status}}"
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        await home.submit(ADMIN, {"key": "a", "tool": "pay", "args": {"amount": 1}})
        assert "REQUIRED" in str(await socket.recv())
        monkeypatch.setattr(approvals_feed, "ApprovalChange", Once(approvals_feed.ApprovalChange))

        await home.submit(ADMIN, {"key": "a", "tool": "pay", "args": {"amount": 2}})

        async with asyncio.timeout(20):
            assert "REQUIRED" in str(await socket.recv())
    assert await counted(home, "approvals-feed") == before + 1


async def test_followers_of_a_run_get_every_event_after_a_fault_in_the_push(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await counted(home, "timeline-push")
    run = await home.submit(ADMIN, {"key": "a", "tool": "pay", "args": {"amount": 1}})
    async with aclosing(home.follow(ADMIN, run)) as events:
        seen = [await anext(events)]
        while seen[-1]["type"] != "APPROVAL_REQUIRED":
            seen.append(await anext(events))
        once = Once(parts(home).timeline._push_these)
        monkeypatch.setattr(parts(home).timeline, "_push_these", once)

        await home.ask("mutation($i: CancelRunInput!) {cancelRun(input: $i) {errors {message}}}", i={"runId": run})

        async with asyncio.timeout(20):
            types = [event["type"] async for event in events]
    assert types[-1] == "WORKFLOW_CANCELLED"
    assert await counted(home, "timeline-push") == before + 1


async def test_one_part_of_a_sweep_that_always_fails_keeps_none_of_the_others_from_being_done(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = home.engine._scheduler
    done = {name: asyncio.Event() for name in scheduler._parts}

    async def fails() -> None:
        raise Odd("always")

    def watched(name: str, part: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def watch() -> None:
            await part()
            done[name].set()

        return watch

    assert list(done) == ["sweep-rescue", "sweep-expiry", "sweep-steps", "sweep-approvals", "sweep-timelines"]
    for broken in scheduler._parts:
        before = await counted(home, broken)
        for event in done.values():
            event.clear()
        with monkeypatch.context() as patch:
            for name, part in tuple(scheduler._parts.items()):
                patch.setitem(scheduler._parts, name, fails if name == broken else watched(name, part))
            async with asyncio.timeout(20):
                await asyncio.gather(*(event.wait() for name, event in done.items() if name != broken))
        assert await counted(home, broken) > before


async def test_a_revoked_token_ends_though_another_one_can_not_be_checked(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, token = await home.user("Ann", "SUBMITTER")
    others = [(await home.user(f"Odd {number}", "SUBMITTER"))[1] for number in range(5)]
    view = home.application._site.view  # type: ignore[union-attr]
    real = view._authenticate

    async def authenticate(asked: str) -> Any:
        if asked in others:
            raise Odd("for these, always")
        return await real(asked)

    async with asyncio.timeout(20):
        async with home.socket(token) as socket:
            kept = [home.socket(other) for other in others]
            opened = [await each.__aenter__() for each in kept]
            monkeypatch.setattr(view, "_authenticate", authenticate)
            await home.ask(
                "mutation($i: RevokeTokensInput!) {revokeTokens(input: $i) {errors {message}}}", i={"userId": user}
            )
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4403
            for each in opened:
                await each.ping()
            monkeypatch.undo()
            for each in kept:
                await each.__aexit__(None, None, None)
    assert await counted(home, "recheck") > 0


async def test_an_answer_that_can_not_be_delivered_keeps_no_other_from_being_delivered() -> None:
    before = FAILURES["group-answers"]

    async def write(items: Any) -> Any:
        return list(items)

    told: list[object] = []
    gather: Gather[int, int] = Gather(write, at_most=10, name="test")

    def raises(_answer: object) -> None:
        raise Odd("always")

    with capture_logs():
        gather.tell(1, told.append)
        gather.tell(2, raises)
        gather.tell(3, told.append)
        answer = await gather.add(4)

    assert (told, answer) == ([1, 3], 4)
    assert FAILURES["group-answers"] == before + 1


async def test_answers_that_are_missing_leave_nobody_waiting() -> None:
    written: list[int] = []

    async def write(items: Any) -> Any:
        written.extend(items)
        return list(items)[:-1]

    gather: Gather[int, int] = Gather(write, at_most=10, name="test")

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(gather.add(number) for number in range(3)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [RuntimeError] * 3
    assert written == [0, 1, 2]


@pytest.mark.parametrize("error", [Odd("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
async def test_a_loop_that_ended_for_any_reason_is_restarted_after_a_pause(error: BaseException) -> None:
    begun: list[float] = []
    again: list[int] = []
    loop = asyncio.get_running_loop()

    async def work() -> None:
        begun.append(loop.time())
        if len(begun) < 4:
            await asyncio.sleep(0)
            raise error

    before = FAILURES["test"]
    background = Background("test", work, again=lambda: again.append(len(begun)))
    with capture_logs() as log:
        background.open()
        assert background.is_well
        async with asyncio.timeout(10):
            await background.finished()

    assert not background.is_well
    assert FAILURES["test"] == before + 3
    assert again == [1, 2, 3]
    assert [entry["event"] for entry in log] == ["background_failed"] * 3
    pauses = [after - start for start, after in pairwise(begun)]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True))
    del FAILURES["test"]


async def test_a_loop_ends_when_it_is_closed_in_its_work_and_in_its_pause() -> None:
    async def rest() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        raise Odd("always")

    for work in (rest, fail):
        background = Background("test", work)
        with capture_logs():
            background.open()
            await asyncio.sleep(0.01)
            async with asyncio.timeout(5):
                await background.close()
        assert not background.is_well
    del FAILURES["test"]


async def test_every_background_task_of_the_server_has_a_test_here(home: House) -> None:
    tested = {
        *LOOPS,
        "approvals-feed",
        "timeline-push",
        "group-answers",
        *home.engine._scheduler._parts,
    }

    assert set(FAILURES) == tested
