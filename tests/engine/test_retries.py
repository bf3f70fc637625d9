"""Failed attempts: what counts as one, how many there are, when the next one comes, and what nobody knows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel, model_serializer

from engine.tools import InDoubt, Registry, ToolContext, ToolError, tool
from persistence.states import Risk
from tests.engine.harness import APPROVE, Act, Running, acting, forever, running, step


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Deadly(Exception):
    def __str__(self) -> str:
        raise SystemExit(4)


class Bare(ToolError):
    def __init__(self) -> None:
        """Forgets to call its parent."""


class Doubt(InDoubt):
    def __init__(self) -> None:
        """Forgets to call its parent."""


class Traps(ToolError):
    """Every look at it raises, and worse."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        if name in {"message", "retryable", "retry_after"}:
            raise SystemExit(5)
        return super().__getattribute__(name)


class Many(BaseException):
    """Like those that the interpreter raises to end a program."""


ZOO: dict[str, tuple[BaseException, str]] = {
    "a tool's own word": (ToolError("try later"), "try later"),
    "an ordinary exception": (ValueError("odd"), "ValueError: odd"),
    "one without a text": (OSError(), "OSError"),
    "an assertion": (AssertionError("never"), "AssertionError: never"),
    "a time-out of its own": (TimeoutError("its server is slow"), "TimeoutError: its server is slow"),
    "the end of the program": (SystemExit(3), "SystemExit: 3"),
    "an interrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "the end of a generator": (GeneratorExit(), "GeneratorExit"),
    "the end of an iterator": (StopIteration(7), "StopIteration"),
    "the end of an async iterator": (StopAsyncIteration(7), "StopAsyncIteration"),
    "a cancellation of its own": (asyncio.CancelledError(), "ancel"),
    "a base exception": (Many("base"), "Many: base"),
    "a group": (ExceptionGroup("several", [ValueError("x")]), "several"),
    "one whose text raises": (Mute(), "Mute"),
    "one whose text ends the program": (Deadly(), "Deadly"),
    "one that is half made": (Bare(), "Bare"),
    "a doubt that is half made": (Doubt(), "Doubt"),
    "one that no one can look at": (Traps(), "Traps"),
    "an endless text": (ValueError("x" * 10_000_000), "(10000012 characters)"),
    "a text that no database keeps": (ValueError("a\x00b\ud800"), "a␀b?"),
    "a text that is none": (ToolError({"what": "odd"}), "odd"),  # type: ignore[arg-type]
    "memory": (MemoryError(), "MemoryError"),
    "recursion": (RecursionError("deep"), "RecursionError: deep"),
}


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_whatever_a_tool_raises_is_a_failed_attempt_and_is_retried(dsn: str, where: str) -> None:
    tries: dict[str, int] = {}

    def act(ctx: ToolContext, what: str) -> str:
        tries[what] = tries.get(what, 0) + 1
        if tries[what] == 1:
            raise ZOO[what][0]
        return what

    async def act_async(ctx: ToolContext, what: str) -> str:
        return act(ctx, what)

    run_by = act if where == "thread" else act_async
    run_by.__name__ = "act"
    async with running(dsn, Registry.of(tool("L0")(run_by))) as it:
        run = await it.submit(*(step(what, "act", args={"what": what}) for what in ZOO))

        row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        assert tries == dict.fromkeys(ZOO, 2)
        for what, (_, words) in ZOO.items():
            (retrying,) = await it.happened(run, "STEP_RETRYING", what)
            assert retrying["reason"] == "FAILED"
            assert words in retrying["error"], what
            assert len(retrying["error"]) < 2100


async def test_a_failed_attempt_stands_on_its_call(dsn: str) -> None:
    async with running(dsn, acting(Act("flaky", ToolError("first"), OSError("second"), {"ok": True}))) as it:
        run = await it.submit(step("a", "flaky"))

        await it.finished(run)

        assert [(call["attempt"], call["status"], call["error_message"]) for call in await it.calls(run)] == [
            (1, "FAILED", "first"),
            (2, "FAILED", "OSError: second"),
            (3, "SUCCEEDED", None),
        ]
        assert (await it.steps(run))["a"]["attempt"] == 3


async def test_every_attempt_has_the_same_execution_key_and_its_own_number(dsn: str) -> None:
    act = Act("flaky", OSError("1"), OSError("2"), {"ok": True})
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "flaky"))
        await it.finished(run)

        assert [context.attempt for context in act.contexts] == [1, 2, 3]
        assert {context.execution_key for context in act.contexts} == {f"exec_{run.hex}_0"}
        assert {context.run_id for context in act.contexts} == {f"run_{run.hex}"}
        assert {context.step_id for context in act.contexts} == {f"step_{run.hex}_0"}
        assert {context.user_id for context in act.contexts} == {f"user_{it.admin.id.hex}"}


async def test_what_is_not_retryable_is_tried_once(dsn: str) -> None:
    act = Act("broken", ToolError("no such card", retryable=False))
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "broken", max_attempts=0))

        await it.finished(run)

        assert act.calls == 1
        failed = (await it.steps(run))["a"]
        assert (failed["error_code"], failed["error_message"]) == ("TOOL_ERROR", "no such card")


async def test_a_step_is_tried_as_often_as_its_level_lets_it(dsn: str) -> None:
    table = [
        ("L0", None, None, 3),
        ("L1", None, None, 3),
        ("L2", None, None, 3),
        ("L3", None, None, 3),
        ("L0", 5, None, 5),
        ("L1", 5, 2, 2),
        ("L2", None, 7, 7),
        ("L3", 10, None, 3),
        ("L3", None, 10, 3),
        ("L3", None, 0, 3),
        ("L3", 0, None, 3),
        ("L3", None, 1, 1),
    ]
    acts = [
        Act(f"broken{number}", OSError("down"), risk=risk, max_attempts=declared, idempotent=True)
        for number, (risk, declared, _, _) in enumerate(table)
    ]
    async with running(dsn, acting(*acts)) as it:
        for act, (risk, declared, planned, calls) in zip(acts, table, strict=True):
            run = await it.submit(step("a", act.tool.__name__, max_attempts=planned))
            if risk == "L3":
                await it.decide(await it.asked(run), APPROVE)

            await it.finished(run)

            assert act.calls == calls, (risk, declared, planned)
            assert len(await it.happened(run, "STEP_RETRYING")) == calls - 1
            assert (await it.story(run))[-3:] == ["STEP_FAILED a", "STEP_DEAD_LETTERED a", "WORKFLOW_FAILED"]


async def test_a_plan_that_raises_the_level_lowers_the_attempts(dsn: str) -> None:
    act = Act("broken", OSError("down"), risk="L0", max_attempts=0)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "broken", risk=Risk.L3))
        await it.decide(await it.asked(run), APPROVE)

        await it.finished(run)

        assert act.calls == 3


async def test_attempts_without_end_go_on(dsn: str) -> None:
    act = Act("flaky", *[OSError("down")] * 30, {"ok": True})
    async with running(dsn, acting(act), retry_base_seconds=0.001, retry_cap_seconds=0.001) as it:
        run = await it.submit(step("a", "flaky", max_attempts=0))

        row = await it.finished(run)

        assert (row["state"], act.calls) == ("COMPLETED", 31)
        assert (await it.steps(run))["a"]["max_attempts"] is None


async def test_a_tool_sets_the_least_time_until_its_next_attempt(dsn: str) -> None:
    act = Act("busy", ToolError("wait", retry_after=0.3), {"ok": True})
    async with running(dsn, acting(act), retry_base_seconds=0.001, retry_cap_seconds=0.001) as it:
        run = await it.submit(step("a", "busy"))

        await it.finished(run)

        times = {event.type: event.created_at for event in await it.events(run) if event.position == 0}
        assert (times["STEP_RUNNING"] - times["STEP_RETRYING"]).total_seconds() >= 0.3
        (retrying,) = await it.happened(run, "STEP_RETRYING")
        assert retrying["delaySeconds"] == 0.3


YEAR = 366 * 86_400
TIMES: dict[str, tuple[Any, float, str]] = {
    "for ever": (float("inf"), YEAR, "its retry_after of inf was cut to 31622400 seconds"),
    "a float without end": (1e300, YEAR, "its retry_after of 1e+300 was cut to 31622400 seconds"),
    "an integer without end": (10**400, YEAR, "was cut to 31622400 seconds"),
    "a little too long": (YEAR + 1, YEAR, "its retry_after of 31622401 was cut to 31622400 seconds"),
    "as long as may be": (YEAR, YEAR, ""),
    "before now": (-5, 0, "its retry_after of -5 is no time to wait, and was not heeded"),
    "no number": (float("nan"), 0, "its retry_after of nan is no time to wait, and was not heeded"),
    "a word": ("soon", 0, "its retry_after of 'soon' is no time to wait, and was not heeded"),
    "a text": ("30", 0, "its retry_after of '30' is no time to wait, and was not heeded"),
    "a yes": (True, 0, "its retry_after of True is no time to wait, and was not heeded"),
    "at once": (0, 0, ""),
    "nothing": (None, 0, ""),
}
"""What a tool asks for, the least delay that it gets, and the words about it in the event."""


async def test_a_time_that_is_not_heeded_as_it_stands_is_named_in_the_event(dsn: str) -> None:
    acts = [
        Act(f"odd{n}", ToolError("wait", retry_after=after), {"ok": True})
        for n, (after, _, _) in enumerate(TIMES.values())
    ]
    async with running(dsn, acting(*acts), retry_base_seconds=0, retry_cap_seconds=0) as it:
        runs = [await it.submit(step("a", f"odd{n}")) for n in range(len(TIMES))]

        events = [await it.until(run, "STEP_RETRYING", "STEP_FAILED") for run in runs]

        assert {event.type for event in events} == {"STEP_RETRYING"}
        for run, event, (_, seconds, words) in zip(runs, events, TIMES.values(), strict=True):
            (retrying,) = await it.happened(run, "STEP_RETRYING")
            assert retrying["delaySeconds"] == seconds
            assert retrying["error"] == "wait" or words
            assert words in retrying["error"]
            assert words in event.message


async def test_the_time_to_the_next_attempt_grows_and_is_bounded(dsn: str) -> None:
    act = Act("broken", OSError("down"))
    async with running(dsn, acting(act), retry_base_seconds=0.001, retry_cap_seconds=0.004) as it:
        runs = [await it.submit(step("a", "broken", max_attempts=8)) for _ in range(10)]
        delays = []
        for run in runs:
            await it.finished(run)
            delays.append([told["delaySeconds"] for told in await it.happened(run, "STEP_RETRYING")])

        assert all(0 <= delay <= 0.001 * 2**n for each in delays for n, delay in enumerate(each))
        assert max(delay for each in delays for delay in each) <= 0.004
        assert len({delay for each in delays for delay in each}) > 20, "no jitter"


# Time-outs


async def test_a_call_of_an_idempotent_tool_that_takes_too_long_is_made_again(dsn: str) -> None:
    act = Act("slow", forever, {"ok": True}, timeout=0.05)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "slow"))

        await it.finished(run)

        assert [(call["status"], call["error_code"]) for call in await it.calls(run)] == [
            ("FAILED", "TIMEOUT"),
            ("SUCCEEDED", None),
        ]


async def test_a_call_of_another_tool_that_takes_too_long_is_in_doubt(dsn: str) -> None:
    act = Act("slow", forever, timeout=0.05, idempotent=False)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "slow"))

        approval = await it.asked(run)

        assert (approval["kind"], approval["expires_at"]) == ("IN_DOUBT", None)
        assert await it.states(run) == {"a": "BLOCKED"}
        assert act.calls == 1


async def test_time_outs_use_up_attempts(dsn: str) -> None:
    act = Act("slow", forever, timeout=0.02, max_attempts=2)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "slow"))

        await it.finished(run)

        assert act.calls == 2
        assert (await it.steps(run))["a"]["error_code"] == "TIMEOUT"


async def test_the_plans_time_out_replaces_the_tools_which_replaces_the_policys(dsn: str) -> None:
    act, plain = Act("slow", forever, timeout=0.01, max_attempts=1), Act("plain", forever, max_attempts=1)
    async with running(dsn, acting(act, plain), step_timeout_seconds=0.07) as it:
        run = await it.submit(step("tool", "slow"), step("plan", "slow", timeout_seconds=0.04), step("policy", "plain"))

        await it.finished(run)

        steps = await it.steps(run)
        assert {key: each["timeout_seconds"] for key, each in steps.items()} == {
            "tool": 0.01,
            "plan": 0.04,
            "policy": 0.07,
        }
        assert "0.04 s" in steps["plan"]["error_message"]


async def test_a_tool_that_ignores_its_cancellation_is_left_behind(dsn: str) -> None:
    let_go = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn(_ctx: ToolContext) -> str:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        return "too late"

    act = Act("slow", stubborn, {"in": "time"}, timeout=0.05)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "slow"))

        await it.finished(run)
        let_go.set()
        await ended.wait()

        assert (await it.steps(run))["a"]["result"] == {"in": "time"}


async def test_a_thread_that_sleeps_on_is_left_behind(dsn: str) -> None:
    let_go = threading.Event()
    tries: list[int] = []

    @tool(risk="L0", timeout=0.05)
    def slow(ctx: ToolContext) -> str:
        tries.append(ctx.attempt)
        if ctx.attempt == 1:
            let_go.wait(10)
            return "too late"
        return "in time"

    async with running(dsn, Registry.of(slow)) as it:
        run = await it.submit(step("a", "slow"))

        await it.finished(run)
        let_go.set()

        assert tries == [1, 2]
        assert (await it.steps(run))["a"]["result"] == "in time"


# Doubts of idempotent tools


async def test_an_idempotent_tool_in_doubt_is_called_again_under_the_same_key(dsn: str) -> None:
    act = Act("unsure", InDoubt("the line went dead"), {"ok": True}, idempotent=True)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "unsure"))

        row = await it.finished(run)

        assert (row["state"], act.calls) == ("COMPLETED", 2)
        assert len({context.execution_key for context in act.contexts}) == 1


# Results that can't be kept


class Strange(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise RuntimeError("closed")

    def __iter__(self) -> Iterator[str]:
        return iter(["x"])

    def __len__(self) -> int:
        return 1


def unfit_results() -> dict[str, Any]:
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    shared: Any = ["x" * 1000]
    for _ in range(40):
        shared = [shared, shared]
    return {
        "nan": float("nan"),
        "bytes": b"x",
        "set": {1},
        "object": object(),
        "exception": ValueError("returned"),
        "function": len,
        "large integer": 2**53,
        "huge integer": 2**80,
        "number as key": {1: 2},
        "nul": "a\x00b",
        "half a pair": {"x": ["\ud800"]},
        "circle": circle,
        "deep": deep,
        "shared": shared,
        "too large": "x" * 1001,
        "strange mapping": Strange(),
    }


async def _unfit(it: Running, *, gated: bool = False) -> None:
    runs = {what: await it.submit(step("a", "act", args={"what": what})) for what in unfit_results()}
    for what, run in runs.items():
        event = await it.until(run, "STEP_FAILED", "STEP_IN_DOUBT", "STEP_SUCCEEDED", "STEP_RETRYING")
        assert event.type == ("STEP_IN_DOUBT" if gated else "STEP_FAILED"), what
        (call,) = await it.calls(run)
        assert call["error_code"] == "RESULT_UNFIT", what
        assert call["status"] == ("IN_DOUBT" if gated else "FAILED"), what
        assert "result" in call["error_message"], what


@pytest.mark.timeout(60)
async def test_a_result_that_can_not_be_kept_fails_the_step_and_is_not_retried(dsn: str) -> None:
    results = unfit_results()

    @tool(risk="L0")
    async def act(what: str) -> Any:
        return results[what]

    async with running(dsn, Registry.of(act), max_json_bytes=1000) as it:
        await _unfit(it)


@pytest.mark.timeout(60)
async def test_a_result_that_can_not_be_kept_leaves_a_call_that_must_not_be_repeated_in_doubt(dsn: str) -> None:
    results = unfit_results()

    @tool(risk="L0", idempotent=False)
    async def act(what: str) -> Any:
        return results[what]

    async with running(dsn, Registry.of(act), max_json_bytes=1000) as it:
        await _unfit(it, gated=True)


async def test_a_result_of_just_the_largest_size_is_kept(dsn: str) -> None:
    async with running(dsn, acting(Act("big", "x" * 998)), max_json_bytes=1000) as it:
        run = await it.submit(step("a", "big"))

        await it.finished(run)

        assert (await it.steps(run))["a"]["result"] == "x" * 998


async def test_a_step_whose_tool_this_process_lacks_fails_with_a_clear_word(dsn: str) -> None:
    async with running(dsn, acting(Act("rare")), executes=False) as it:
        run = await it.submit(step("a", "rare"))

        async with running(dsn, acting(Act("common"))) as other:
            await other.finished(run)

        failed = (await it.steps(run))["a"]
        assert (failed["error_code"], failed["state"]) == ("TOOL_MISSING", "FAILED")
        assert "rare" in failed["error_message"]


class Trap(dict[str, Any]):
    """A result that ends the program when it is read."""

    def items(self) -> Any:
        raise SystemExit(6)


class Bomb(BaseModel):
    n: int = 1

    @model_serializer
    def write(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("result", [Trap(a=1), Bomb(), {"deep": [Bomb()]}], ids=["mapping", "model", "nested"])
async def test_a_result_that_ends_the_program_when_it_is_read_ends_its_own_step_alone(dsn: str, result: Any) -> None:
    async with running(dsn, acting(Act("odd", lambda _ctx: result), Act("well"))) as it:
        run = await it.submit(step("a", "odd"), step("b", "well"))

        await it.finished(run)

        assert await it.states(run) == {"a": "FAILED", "b": "SUCCEEDED"}
        assert (await it.steps(run))["a"]["error_code"] == "RESULT_UNFIT"
