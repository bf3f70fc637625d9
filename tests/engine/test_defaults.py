"""Defaults stand in what is approved: another process's are neither called with nor slipped in."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, create_model

from engine.errors import InvalidInput, InvalidPlan
from engine.plans import PlanStep
from engine.tools import Registry, ToolError, tool
from tests.engine.harness import APPROVE, Running, running, step

PAID: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def nothing_paid() -> None:
    PAID.clear()


def bank(**fields: Any) -> Registry:
    """A registry with a tool whose argument is a model of these fields."""
    money = create_model("Money", value=(int, ...), **fields)

    def pay(money: BaseModel) -> None:
        PAID.append(money.model_dump())

    pay.__annotations__ = {"money": money, "return": None}
    return Registry.of(tool(risk="L3")(pay))


async def asked_by(it: Running, **args: Any) -> tuple[Any, dict[str, Any]]:
    run = await it.submit(step("a", "pay", args=args))
    return run, await it.asked(run)


async def test_a_default_inside_a_model_is_shown_and_is_what_is_sent(dsn: str) -> None:
    async with running(dsn, bank(currency=(str, "EUR"))) as it:
        run, approval = await asked_by(it, money={"value": 5})

        assert approval["proposed_args"] == {"money": {"value": 5, "currency": "EUR"}}
        await it.decide(approval, APPROVE)
        await it.finished(run)

    assert PAID == [{"value": 5, "currency": "EUR"}]


async def test_a_default_that_came_after_the_approval_is_not_called_with(dsn: str) -> None:
    async with running(dsn, bank(), executes=False) as it:
        run, approval = await asked_by(it, money={"value": 5})
        await it.decide(approval, APPROVE)

        async with running(dsn, bank(currency=(str, "USD"))) as other:
            row = await other.finished(run)

            assert row["state"] == "FAILED"
            assert (await it.steps(run))["a"]["error_code"] == "ARGS_CHANGED"
            assert PAID == []

            # Sent back, it is asked about with the default that is in force now.
            await other.retry(run, "a")
            again = await other.asked(run, times=2)
            assert again["proposed_args"] == {"money": {"value": 5, "currency": "USD"}}
            assert again["digest"] != approval["digest"]
            await other.decide(again, APPROVE)
            await other.finished(run, after=row["last_seq"])

    assert PAID == [{"value": 5, "currency": "USD"}]


async def test_a_child_that_is_sent_back_is_asked_about_with_the_default_in_force_too(dsn: str) -> None:
    each = PlanStep("each", "pay", for_each={"$jmespath": "`[5, 6]`"}, args={"money": {"value": {"$jmespath": "item"}}})
    async with running(dsn, bank(), executes=False) as it:
        run = await it.submit(each)
        approvals = [await it.asked(run, times=times) for times in (1, 2)]
        for approval in approvals:
            await it.decide(approval, APPROVE)

        async with running(dsn, bank(currency=(str, "USD"))) as other:
            row = await other.finished(run)
            assert (await it.steps(run))["each[1]"]["error_code"] == "ARGS_CHANGED"

            await other.retry(run, "each")
            again = [await other.asked(run, times=times) for times in (3, 4)]
            assert [each["proposed_args"]["money"] for each in again] == [
                {"value": 5, "currency": "USD"},
                {"value": 6, "currency": "USD"},
            ]
            for approval in again:
                await other.decide(approval, APPROVE)
            await other.finished(run, after=row["last_seq"])

    assert sorted(each["value"] for each in PAID) == [5, 6]


async def test_a_default_that_was_changed_after_the_approval_is_not_called_with(dsn: str) -> None:
    async with running(dsn, bank(currency=(str, "EUR")), executes=False) as it:
        run, approval = await asked_by(it, money={"value": 5})
        await it.decide(approval, APPROVE)

        async with running(dsn, bank(currency=(str, "USD"))) as other:
            await other.finished(run)

    assert PAID == [{"value": 5, "currency": "EUR"}]


async def test_edited_arguments_get_their_defaults_too(dsn: str) -> None:
    async with running(dsn, bank(currency=(str, "EUR"))) as it:
        run, approval = await asked_by(it, money={"value": 5})

        await it.decide(approval, APPROVE, edited={"money": {"value": 4}})
        await it.finished(run)

        assert (await it.approval(approval["id"]))["edited_args"] == {"money": {"value": 4, "currency": "EUR"}}
    assert PAID == [{"value": 4, "currency": "EUR"}]


def _composed(args: dict[str, Any]) -> dict[str, Any]:
    if not args["to"]:
        raise ToolError("nobody to write to")
    return {**args, "text": args["text"] or f"Dear {args['to']}"}


def letters() -> Registry:
    @tool(risk="L3", prepare=_composed)
    def write(to: str, text: str | None = None) -> None:
        PAID.append({"to": to, "text": text})

    return Registry.of(write)


async def test_what_a_tool_composes_is_approved_and_may_be_edited(dsn: str) -> None:
    async with running(dsn, letters()) as it:
        run = await it.submit(step("a", "write", args={"to": "Ann"}))
        approval = await it.asked(run)
        assert approval["proposed_args"] == {"to": "Ann", "text": "Dear Ann"}

        with pytest.raises(InvalidInput) as error:
            await it.decide(approval, APPROVE, edited={"to": ""})
        assert [(fault.path, fault.message) for fault in error.value.faults] == [
            (("editedArgs",), "nobody to write to")
        ]
        await it.decide(approval, APPROVE, edited={"to": "Ann", "text": "Hi"})
        await it.finished(run)

    assert PAID == [{"to": "Ann", "text": "Hi"}]


async def test_what_can_not_be_composed_is_refused_when_it_is_planned(dsn: str) -> None:
    async with running(dsn, letters()) as it:
        with pytest.raises(InvalidPlan) as error:
            await it.submit(step("a", "write", args={"to": ""}))

    assert [(fault.path, fault.message) for fault in error.value.faults] == [
        (("plan", "steps", 0, "args"), "nobody to write to")
    ]


async def test_what_is_filled_in_counts_for_the_size_of_arguments(dsn: str) -> None:
    async with running(dsn, letters(), max_json_bytes=100) as it:
        with pytest.raises(InvalidPlan) as error:
            await it.submit(step("a", "write", args={"to": "A" * 60}))

    assert [(fault.path, fault.message) for fault in error.value.faults] == [
        (
            ("plan", "steps", 0, "args"),
            "the arguments with what is filled in take 144 bytes as JSON, more than the 100 allowed",
        )
    ]
