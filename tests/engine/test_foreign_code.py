"""What a tool's author wrote may raise anything, anywhere: it is that step's own trouble, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, Field
from structlog.testing import capture_logs

from engine.errors import InvalidInput, InvalidPlan, InvalidState
from engine.planner.asking import PlannerFailed
from engine.plans import Plan
from engine.tools import InDoubt, Registry, ToolContext, tool
from persistence.database import Unavailable
from tests.engine.harness import APPROVE, HAPPENED, Act, intent, running, step


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    # The picture that structlog draws by itself asks errors for their text without a guard; our own logs do not.
    with capture_logs():
        yield


class Mute(ValueError):
    def __str__(self) -> str:
        raise SystemExit(4)


SURPRISES: dict[str, BaseException] = {
    "an ordinary exception": RuntimeError("odd"),
    "a file that is not there": FileNotFoundError("rates.csv"),
    "a time-out": TimeoutError("its server is slow"),
    "a connection": ConnectionRefusedError("its server is gone"),
    "what we raise for the database": Unavailable("the pool is closed"),
    "the end of the program": SystemExit(3),
    "an interrupt": KeyboardInterrupt(),
    "a cancellation": asyncio.CancelledError(),
    "the end of a generator": GeneratorExit(),
    "the end of an iterator": StopIteration(),
    "too little memory": MemoryError(),
    "a recursion": RecursionError("deep"),
    "an error whose text raises": Mute(),
}


class Word(BaseModel):
    """One that is checked by its author's own code."""

    text: str

    def model_post_init(self, _context: Any) -> None:
        if self.text in SURPRISES:
            raise SURPRISES[self.text]


def checked(text: str) -> str:
    if text in SURPRISES:
        raise SURPRISES[text]
    return text


def made() -> str:
    raise SystemExit(7)


class Lazy(BaseModel):
    text: str = Field(default_factory=made)


@tool(risk="L0")
async def checks(value: Annotated[str, AfterValidator(checked)]) -> str:
    """Takes a word that it checks."""
    return value


@tool(risk="L0")
async def models(value: Word) -> str:
    """Takes a model that checks itself."""
    return value.text


@tool(risk="L0")
async def defaults(value: Lazy) -> str:
    """Takes a model that makes its own default."""
    return value.text


@tool(risk="L3")
async def sends(value: Annotated[str, AfterValidator(checked)] = "hello") -> str:
    """Sends a word that it checks."""
    return value


def upstream(result: object) -> Act:
    return Act("before", result, risk="L2", idempotent=False)


@pytest.mark.parametrize("surprise", SURPRISES)
@pytest.mark.parametrize("kind", ["checks", "models"])
async def test_a_check_that_raises_fails_its_own_step_and_not_the_one_before_it(
    dsn: str, kind: str, surprise: str
) -> None:
    before = upstream({"word": surprise})
    async with running(dsn, Registry.of(before.tool, checks, models)) as it:
        word: Any = {"$jmespath": "a.word"}
        run = await it.submit(
            step("a", "before"),
            step("b", kind, args={"value": {"text": word} if kind == "models" else word}, after=["a"]),
            step("c", "checks", args={"value": "fine"}, after=["a"]),
        )

        row = await it.finished(run)

        assert await it.states(run) == {"a": "SUCCEEDED", "b": "FAILED", "c": "SUCCEEDED"}
        assert (row["state"], before.calls) == ("FAILED", 1)
        assert await it.approvals(run) == []
        failed = (await it.steps(run))["b"]
        assert failed["error_code"] == "ARGS_UNFIT"
        assert failed["error_message"].startswith("args can't be checked: ")
        # Whatever it was, the process goes on.
        again = await it.submit(step("a", "checks", args={"value": "well"}))
        assert (await it.finished(again))["state"] == "COMPLETED"


async def test_a_default_that_raises_fails_its_own_step(dsn: str) -> None:
    before = upstream({"value": {}})
    async with running(dsn, Registry.of(before.tool, defaults)) as it:
        run = await it.submit(
            step("a", "before"), step("b", "defaults", args={"value": {"$jmespath": "a.value"}}, after=["a"])
        )

        await it.finished(run)

        assert await it.states(run) == {"a": "SUCCEEDED", "b": "FAILED"}
        assert "SystemExit: 7" in (await it.steps(run))["b"]["error_message"]


@pytest.mark.parametrize("surprise", SURPRISES)
async def test_a_check_that_raises_refuses_a_plan_and_an_edit_and_a_retry(dsn: str, surprise: str) -> None:
    before = upstream(surprise)
    async with running(dsn, Registry.of(before.tool, checks, sends)) as it:
        planned = step("a", "checks", args={"value": surprise})
        with pytest.raises(InvalidPlan) as refused:
            await it.submit(planned)
        assert [fault.path for fault in refused.value.faults] == [("plan", "steps", 0, "args")]
        with pytest.raises(InvalidPlan):
            await it.engine.preview(it.admin, intent=None, plan=Plan((planned,)))

        run = await it.submit(step("a", "sends"))
        asked = await it.asked(run)
        with pytest.raises(InvalidInput):
            await it.decide(asked, APPROVE, edited={"value": surprise})
        await it.decide(asked, APPROVE)
        assert (await it.finished(run))["state"] == "COMPLETED"

        run = await it.submit(step("a", "before"), step("b", "checks", args={"value": {"$jmespath": "a"}}, after=["a"]))
        await it.finished(run)
        with pytest.raises(InvalidState) as stays:
            await it.retry(run, "b")
        assert "its arguments still can't be resolved" in stays.value.why


async def test_a_check_that_raises_does_not_keep_a_doubt_from_being_resolved(dsn: str) -> None:
    @tool(risk="L3")
    async def vanish(ctx: ToolContext) -> None:
        """Leaves everybody in doubt."""
        raise InDoubt("gone")

    async with running(dsn, Registry.of(vanish, checks)) as it:
        run = await it.submit(step("a", "vanish"), step("b", "checks", args={"value": {"$jmespath": "a"}}, after=["a"]))
        await it.decide(await it.asked(run), APPROVE)
        doubt = await it.asked(run, times=2)

        await it.resolve(doubt, HAPPENED, result="a file that is not there")

        await it.finished(run)
        assert await it.states(run) == {"a": "SUCCEEDED", "b": "FAILED"}


class Raising:
    """A planner of somebody's own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def plan(self, *_args: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("surprise", SURPRISES)
async def test_a_planner_that_raises_fails_its_own_run(dsn: str, surprise: str) -> None:
    async with running(dsn, Registry.of(checks), planner=Raising(SURPRISES[surprise])) as it:
        with pytest.raises(PlannerFailed):
            await it.engine.preview(it.admin, intent="do it", plan=None)

        run = await it.engine.submit(it.admin, intent("do it"))

        row = await it.finished(run)
        assert (row["state"], row["error_code"]) == ("FAILED", "PLANNER_FAILED")
        again = await it.submit(step("a", "checks", args={"value": "well"}))
        assert (await it.finished(again))["state"] == "COMPLETED"
