from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import pytest

from engine.phrases import Phrase, Template
from engine.planner import PlanningContext, Unplannable, plan
from engine.tools import Registry, load_registry, tool
from tests.unit.sentences import NOW


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark_blue"


@tool(risk="L1", phrases=["send a postcard to {to}[ saying {text}]"])
def send_postcard(to: str, text: str = "Hello") -> None: ...


@tool(risk="L1", phrases=["log {glasses} glasses of water[ on {day}]"])
def log_water(glasses: int, day: date | None = None) -> None: ...


@tool(risk="L3", phrases=["wire {amount} to {to}"])
def wire_money(amount: float, to: str) -> None: ...


@tool(risk="L1", phrases=["paint {rooms} in {colour}", "paint the house {colour}"])
def paint(colour: Colour, rooms: list[str] | None = None) -> None: ...


@tool(risk="L0", phrases=["wake me at {when}[ with lights {lights}]"])
def wake(when: datetime, *, lights: bool = True) -> None: ...


@tool(risk="L0", phrases=["water the plants every {unit}"])
def water(unit: Literal["day", "week"]) -> None: ...


OWN = Registry.of(send_postcard, log_water, wire_money, paint, wake, water)
ALL = Registry([*load_registry(), *OWN])
CONTEXT = PlanningContext(NOW)


@pytest.mark.parametrize(
    ("intent", "name", "args"),
    [
        ("send a postcard to Ann saying see you soon", "send_postcard", {"to": "Ann", "text": "see you soon"}),
        ("Please send postcard to Ann", "send_postcard", {"to": "Ann"}),
        ("send the postcard to my dear Aunt Mary", "send_postcard", {"to": "my dear Aunt Mary"}),
        (
            'send a postcard to "Ann and Bob" saying "Hi, if it rains"',
            "send_postcard",
            {"to": "Ann and Bob", "text": "Hi, if it rains"},
        ),
        (
            "send a postcard to Ann saying wish you were here, love Bob",
            "send_postcard",
            {"to": "Ann", "text": "wish you were here, love Bob"},
        ),
        ("log 3 glasses of water", "log_water", {"glasses": 3}),
        ("log two glasses of water on Friday, please", "log_water", {"glasses": 2, "day": "2026-11-20"}),
        ("wire 250 to Ann", "wire_money", {"amount": 250, "to": "Ann"}),
        ("wire 12.50 to Ann", "wire_money", {"amount": 12.5, "to": "Ann"}),
        (
            "paint kitchen, bath and hall in dark blue",
            "paint",
            {"rooms": ["kitchen", "bath", "hall"], "colour": "dark_blue"},
        ),
        ("paint the house red", "paint", {"colour": "red"}),
        ("wake me at 7am tomorrow", "wake", {"when": "2026-11-19T07:00:00+01:00"}),
        ("wake me at 6:30 on Friday with lights off", "wake", {"when": "2026-11-20T06:30:00+01:00", "lights": False}),
        ("water the plants every week", "water", {"unit": "week"}),
    ],
)  # fmt: skip
async def test_a_template_is_enough_for_a_tool_to_be_planned(intent, name, args):
    (step,) = (await plan(intent, ALL, CONTEXT)).steps

    assert (step.key, step.tool, dict(step.args), step.depends_on) == (name, name, args, ())
    declared = ALL.get(name)
    assert declared is not None
    assert declared.faults(step.args) == []


@pytest.mark.parametrize(
    ("intent", "part"),
    [
        ("log many glasses of water", "many"),
        ("log 3 glasses of water on Mars", "Mars"),
        ("log 3 glasses of water daily", "log 3 glasses of water daily"),
        ("wire 250 to Ann if she wins", "Ann if she wins"),
        ("wire some to Ann", "some"),
        ("wire to Ann", "wire to Ann"),
        ("paint the house green", "green"),
        ("send a postcard to Ann by pigeon", "Ann by pigeon"),
        ("send a postcard", "send a postcard"),
        ("don't wire 250 to Ann", "don't wire 250 to Ann"),
        ("wake me at 7am on Monday and Friday", "Friday"),
    ],
)
async def test_what_does_not_fit_the_parameters_is_refused_with_the_part(intent, part):
    with pytest.raises(Unplannable) as refused:
        await plan(intent, ALL, CONTEXT)

    assert refused.value.parts == (part,)


async def test_own_tools_and_built_in_ones_are_planned_from_one_sentence():
    steps = (
        await plan("send a postcard to Ann saying hello, plan groceries, then log 2 glasses of water", ALL, CONTEXT)
    ).steps

    assert [(step.key, step.depends_on) for step in steps] == [
        ("send_postcard", ()),
        ("plan_groceries", ()),
        ("log_water", ("send_postcard", "plan_groceries")),
    ]


async def test_the_step_is_named_as_it_was_asked_for():
    (step,) = (await plan("send a postcard to Ann", ALL, CONTEXT)).steps

    assert step.name == "Send a postcard to Ann"


async def test_words_that_may_mean_a_high_risk_tool_or_another_are_refused():
    @tool(risk="L3", phrases=["ring {whom}"])
    def ring_for_real(whom: str) -> None: ...

    @tool(risk="L0", phrases=["ring {name}"])
    def ring_for_fun(name: str) -> None: ...

    with pytest.raises(Unplannable, match="may mean any of ring_for_fun, ring_for_real"):
        await plan("ring Ann", Registry.of(ring_for_real, ring_for_fun), CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "{to}", "send {to", "send to}", "send {to}{text}", "send {to} {text}", "send {to} and {to}", "a [b",
        "a ]b[", "a [b [c]]", "go {1x}", "a[b][c][d][e][f][g]",
    ],
)  # fmt: skip
def test_what_is_no_template_is_refused_when_it_is_declared(text):
    with pytest.raises(ValueError, match="phrase"):
        Phrase.parse(text)


def test_a_template_knows_its_placeholders_and_variants():
    template = Phrase.parse("Send a card to {to}[ saying: {text}]")

    assert isinstance(template, Template)
    assert template.placeholders == {"to", "text"}
    assert [len(parts) for parts in template.variants] == [7, 5]
