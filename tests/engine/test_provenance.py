"""Where arguments come from, in plans: what is asked, what is refused, what is kept; and what nobody can clean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from engine.digest import args_digest
from engine.errors import InvalidPlan
from engine.plans import Plan, PlanStep
from engine.provenance import Origin, decode, origins_in
from engine.settings import EngineSettings
from engine.tools import Destination, Own, Registry, ToolDeclarationError, tool
from engine.validation import SoundPlan, check_plan
from persistence.states import OriginKind, Risk, Trust

OURS, CHOSEN, OUTSIDE = Trust
SETTINGS = EngineSettings(data_dir=Path("/nowhere"))


class Bill(BaseModel):
    number: Annotated[str, Own]
    iban: str
    total: float = 0.0


class Payment(BaseModel):
    to: Annotated[str, Destination]
    amount: Annotated[float, Destination]
    note: str = ""


@tool("L0", reads_outside=True)
def read_file(path: str) -> Bill:
    """Reads a file that others write."""
    raise NotImplementedError


@tool("L0", reads_outside=True)
def inbox(folder: str = "all") -> list[Bill]:
    """Reads mails."""
    raise NotImplementedError


@tool("L0")
def balance() -> dict[str, Any]:
    """The bank's own amounts."""
    raise NotImplementedError


@tool("L0")
def extract(text: Any) -> dict[str, Any]:
    """Turns text into data."""
    raise NotImplementedError


@tool("L1", outward=True, max_attempts=9)
def send(
    recipient: Annotated[str, Destination], amount: Annotated[float, Destination] = 1.0, subject: str = ""
) -> None:
    """Sends."""


@tool("L1", outward=True)
def pay(payments: list[Payment], memo: str = "") -> None:
    """Pays."""


@tool("L3")
def transfer(recipient: str, amount: float = 1.0) -> None:
    """Says nothing of itself."""


@tool("L2")
def publish(text: str) -> None:
    """Says nothing of itself."""


@tool("L1")
def note(text: Any = None) -> dict[str, Any]:
    """Says nothing of itself, and is harmless."""
    raise NotImplementedError


@tool("L3", outward=False)
def erase(name: str) -> None:
    """Deletes something here."""


TOOLS = Registry.of(read_file, inbox, balance, extract, send, pay, transfer, publish, note, erase)
BILL = PlanStep("bill", "read_file", args={"path": "bill.txt"})


def ref(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


def then(key: str, tool_name: str, *after: str, **more: Any) -> PlanStep:
    args = more.pop("args", {})
    return PlanStep(key, tool_name, args=args, depends_on=after, **more)


def plan(*steps: PlanStep, answer: Any = None) -> Plan:
    return Plan(steps, answer)


def sound(*steps: PlanStep, literals: Trust = OURS, **settings: Any) -> SoundPlan:
    given = EngineSettings(data_dir=Path("/nowhere"), **settings)
    return check_plan(plan(*steps), TOOLS, given, approve_from=Risk.L3, literals=literals)


def origins(checked: SoundPlan, place: int) -> dict[str, Origin]:
    [row] = [each for each in checked.origins if each.position == place]
    return {each.name: each for each in decode(row.origins)}


# What is asked


def test_a_poisoned_recipient_makes_a_step_ask_and_the_reason_names_its_source() -> None:
    checked = sound(BILL, then("pay", "send", "bill", args={"recipient": ref("bill.iban"), "subject": "rent"}))

    step = checked.steps[1]
    assert (step.risk, step.gated, checked.risk) == (Risk.L3, True, Risk.L3)
    assert step.gate_reason is not None
    assert step.gate_reason.endswith("; its recipient comes from bill (read_file), which others can write.")
    assert "raised it from L1" in step.gate_reason
    assert "the plan raised" not in step.gate_reason


def test_what_asks_because_of_others_is_tried_three_times_at_most_and_stays_idempotent() -> None:
    checked = sound(BILL, then("pay", "send", "bill", args={"recipient": ref("bill.iban")}))
    calm = sound(BILL, then("pay", "send", "bill", args={"recipient": "Ann"}))

    assert (checked.steps[1].max_attempts, checked.steps[1].tool.idempotent) == (3, True)
    assert (calm.steps[1].max_attempts, calm.steps[1].gated, calm.steps[1].risk) == (9, False, Risk.L1)


def test_text_that_is_no_destination_asks_nobody() -> None:
    checked = sound(BILL, then("pay", "send", "bill", args={"recipient": "Ann", "subject": ref("bill.iban")}))

    assert not checked.steps[1].gated
    assert origins(checked, 1)["subject"].trust is OUTSIDE
    assert not origins(checked, 1)["subject"].destination


def test_the_services_own_field_stays_ours() -> None:
    checked = sound(BILL, then("pay", "send", "bill", args={"recipient": ref("bill.number")}))

    assert not checked.steps[1].gated
    assert 1 not in {each.position for each in checked.origins}  # as the plan says it, and so nothing is stored


def test_what_outside_text_only_selects_is_chosen_and_asks_nobody() -> None:
    args = {"recipient": ref("inbox[?total > `5`] | [0].number")}
    checked = sound(then("inbox", "inbox"), then("pay", "send", "inbox", args=args))

    found = origins(checked, 1)["recipient"]
    assert (found.trust, found.outside, found.destination) == (CHOSEN, (0,), True)
    assert not checked.steps[1].gated


def test_a_banks_own_amounts_ask_nobody() -> None:
    args = {"recipient": "Ann", "amount": ref("balance.left")}
    checked = sound(then("balance", "balance"), then("pay", "send", "balance", args=args))

    assert not checked.steps[1].gated
    assert checked.origins == ()


@pytest.mark.parametrize("way", ["extract", "note"])
def test_no_tool_cleans_a_value(way: str) -> None:
    name = {"extract": "text", "note": "text"}[way]
    checked = sound(
        BILL,
        then("copy", way, "bill", args={name: ref("bill.iban")}),
        then("again", way, "copy", args={name: ref("copy")}),
        then("pay", "send", "again", args={"recipient": ref("again.x")}),
    )

    assert checked.steps[3].risk is Risk.L3
    assert "its recipient comes from bill (read_file)" in (checked.steps[3].gate_reason or "")
    assert {each.position: each.trust for each in checked.origins} == {0: 2, 1: 2, 2: 2, 3: 2}


def test_several_destinations_are_named_together_by_their_sources() -> None:
    checked = sound(
        BILL,
        then("mails", "inbox"),
        then(
            "pay",
            "pay",
            "bill",
            "mails",
            args={
                "payments": [
                    {"to": ref("bill.iban"), "amount": ref("bill.total")},
                    {"to": ref("mails[0].iban"), "amount": 1.5, "note": ref("bill.iban")},
                ]
            },
        ),
    )

    reason = checked.steps[2].gate_reason or ""
    assert "its payments.0.to and payments.0.amount come from bill (read_file), which others can write" in reason
    assert "its payments.1.to comes from mails (inbox), which others can write" in reason
    assert "note" not in reason


def test_a_whole_list_from_outside_is_a_destination_for_what_is_inside_of_it() -> None:
    checked = sound(then("mails", "inbox"), then("pay", "pay", "mails", args={"payments": ref("mails")}))

    assert checked.steps[1].risk is Risk.L3
    assert origins(checked, 1)["payments"].destination


@pytest.mark.parametrize(("name", "argument"), [("transfer", "recipient"), ("publish", "text")])
def test_a_risky_tool_that_says_nothing_has_every_argument_as_a_destination(name: str, argument: str) -> None:
    checked = sound(BILL, then("out", name, "bill", args={argument: ref("bill.iban")}))

    assert checked.steps[1].risk is Risk.L3
    assert f"its {argument} comes from bill" in (checked.steps[1].gate_reason or "")


@pytest.mark.parametrize("name", ["note", "erase"])
def test_what_does_not_leave_has_no_destinations(name: str) -> None:
    argument = {"note": "text", "erase": "name"}[name]
    checked = sound(BILL, then("here", name, "bill", args={argument: ref("bill.iban")}))

    assert "comes from" not in (checked.steps[1].gate_reason or "")
    assert not origins(checked, 1)[argument].destination


def test_a_step_that_others_make_ask_has_a_digest_of_what_runs() -> None:
    checked = sound(then("pay", "send", args={"recipient": "Ann"}), literals=OUTSIDE)

    assert checked.steps[0].digest == args_digest("send", {"recipient": "Ann", "amount": 1.0, "subject": ""})


def test_a_server_may_refuse_instead() -> None:
    args = {"payments": [{"to": ref("bill.iban"), "amount": 1.0}]}
    with pytest.raises(InvalidPlan) as refused:
        sound(BILL, then("pay", "pay", "bill", args=args), outside_destination="refuse")

    [fault] = refused.value.faults
    assert fault.path == ("plan", "steps", 1, "args", "payments", 0, "to")
    assert "bill (read_file), which others can write" in fault.message


# Origins


def test_every_argument_has_an_origin_and_every_reference_its_own() -> None:
    args = {
        "recipient": {"$secret": "BOSS"},
        "subject": ref("join('', ['re ', bill.iban])"),
    }
    checked = sound(BILL, then("pay", "send", "bill", args=args))

    assert origins(checked, 1) == {
        "recipient": Origin(("recipient",), OriginKind.SECRET, OURS, destination=True),
        "subject": Origin(
            ("subject",), OriginKind.RESULT, OUTSIDE, "join('', ['re ', bill.iban])", steps=(0,), outside=(0,)
        ),
        "amount": Origin(("amount",), OriginKind.DEFAULT, OURS, destination=True),
    }


def test_a_literal_is_the_plans_and_a_mixed_argument_has_both() -> None:
    args = {"text": {"a": {"$literal": ref("bill.iban")}, "b": [1, ref("bill.iban")], "c": ref("'x'")}}
    checked = sound(BILL, then("keep", "note", "bill", args=args))

    found = origins(checked, 1)
    assert {name: (each.kind, each.trust) for name, each in found.items()} == {
        "text": (OriginKind.PLAN, OURS),
        "text.b.1": (OriginKind.RESULT, OUTSIDE),
        "text.c": (OriginKind.PLAN, OURS),
    }


def test_a_plan_that_nobody_else_decides_stores_no_origins_and_has_them_all_the_same() -> None:
    steps = (
        then("balance", "balance"),
        then("pay", "send", "balance", args={"recipient": "Ann", "amount": ref("balance.left")}),
    )
    checked = sound(*steps)

    assert checked.origins == ()
    assert origins_in(plan(*steps), checked)(1) == [
        Origin(("recipient",), OriginKind.PLAN, OURS, destination=True),
        Origin(("amount",), OriginKind.RESULT, OURS, "balance.left", steps=(0,), destination=True),
        Origin(("subject",), OriginKind.DEFAULT, OURS),
    ]


# Agents


def test_what_an_agent_writes_is_outside() -> None:
    checked = sound(then("pay", "send", args={"recipient": "DE02", "subject": "hi"}), literals=OUTSIDE)

    step = checked.steps[0]
    assert (step.risk, step.gated) == (Risk.L3, True)
    assert "its recipient was written by an agent, which may have read anything" in (step.gate_reason or "")
    assert {name: each.trust for name, each in origins(checked, 0).items()} == {
        "recipient": OUTSIDE,
        "subject": OUTSIDE,
        "amount": OURS,
    }


def test_what_an_agent_refers_to_has_the_trust_of_what_it_is() -> None:
    args = {"recipient": ref("balance.owner")}
    checked = sound(then("balance", "balance"), then("pay", "send", "balance", args=args), literals=OUTSIDE)

    assert not checked.steps[1].gated
    assert {each.position for each in checked.origins} == set()


def test_results_of_what_an_agent_asked_for_are_outside() -> None:
    checked = sound(
        then("note", "note", args={"text": "DE02"}),
        then("pay", "send", "note", args={"recipient": ref("note.text")}),
        literals=OUTSIDE,
    )

    assert checked.steps[1].risk is Risk.L3
    assert origins(checked, 1)["recipient"].trust is OUTSIDE


# Conditions, lists, joins and answers


def check(given: Plan, literals: Trust = OURS) -> SoundPlan:
    """The plan, checked and traced."""
    return check_plan(given, TOOLS, SETTINGS, approve_from=Risk.L3, literals=literals)


def test_a_condition_on_outside_text_makes_everything_under_it_chosen_but_not_what_comes_after() -> None:
    checked = check(
        plan(
            BILL,
            then("pay", "send", "bill", args={"recipient": "Ann"}, when=ref("bill.iban")),
            then("tell", "note", "pay", args={"text": "paid"}),
            then("clean", "note", args={"text": "done"}, after=("pay",)),
        )
    )

    found = origins(checked, 1)
    assert {each.trust for each in found.values()} == {CHOSEN}
    assert {each.outside for each in found.values()} == {(0,)}
    assert not checked.steps[1].gated
    assert origins(checked, 2)["text"].trust is CHOSEN
    assert {each.position: each.trust for each in checked.origins} == {0: 2, 1: 1, 2: 1}


def test_a_condition_on_what_is_ours_lends_nothing() -> None:
    checked = check(
        plan(
            then("balance", "balance"), then("pay", "send", "balance", args={"recipient": "Ann"}, when=ref("balance.x"))
        )
    )

    assert checked.origins == ()


def each_mail(**args: Any) -> SoundPlan:
    return check(plan(then("mails", "inbox"), then("pay", "send", "mails", args=args, for_each=ref("mails"))))


def test_a_list_from_outside_makes_what_is_under_it_chosen() -> None:
    checked = each_mail(recipient="Ann", subject="hi")

    assert {each.trust for each in origins(checked, 1).values()} == {CHOSEN}
    assert not checked.steps[1].gated


def test_an_entry_has_its_lists_own_trust_and_steps() -> None:
    poisoned, ours = each_mail(recipient=ref("item.iban")), each_mail(recipient=ref("item.number"))

    assert poisoned.steps[1].risk is Risk.L3
    assert "its recipient comes from mails (inbox)" in (poisoned.steps[1].gate_reason or "")
    found = origins(poisoned, 1)["recipient"]
    assert (found.kind, found.steps, found.outside) == (OriginKind.RESULT, (0,), (0,))
    assert origins(ours, 1)["recipient"].trust is CHOSEN
    assert not ours.steps[1].gated


def test_a_lists_results_keep_the_labels_of_their_parts() -> None:
    def trust(expression: str) -> Trust:
        checked = check(
            plan(
                then("mails", "inbox"),
                then("read", "read_file", "mails", args={"path": "x"}, for_each=ref("mails")),
                then("pay", "send", "read", args={"recipient": ref(expression)}),
            )
        )
        return origins(checked, 2)["recipient"].trust

    assert trust("read[0].result.iban") is OUTSIDE
    assert trust("read[0].item.iban") is OUTSIDE
    assert trust("read[0].result.number") is CHOSEN
    assert trust("read[*].item.number") is CHOSEN


def test_a_list_of_our_own_still_says_which_steps_an_entry_is_from() -> None:
    checked = check(
        plan(
            then("balance", "balance"),
            then("pay", "send", "balance", args={"recipient": ref("item.x")}, for_each=ref("balance.owners")),
        )
    )

    found = origins(checked, 1)["recipient"]
    assert (found.kind, found.trust, found.steps) == (OriginKind.RESULT, OURS, (0,))


def test_an_answer_has_the_highest_trust_of_its_references() -> None:
    def trust(answer: Any, literals: Trust = OURS) -> int:
        checked = check(plan(BILL, then("balance", "balance"), answer=answer), literals)
        assert checked.answer is not None
        return checked.answer.trust

    assert trust({"a": ref("bill.iban"), "b": "text"}) == OUTSIDE
    assert trust({"a": ref("bill.number")}) == OURS
    assert trust([ref("balance"), ref("@")]) == OUTSIDE
    assert trust("text") == OURS
    assert trust("text", OUTSIDE) == OUTSIDE


# Declarations


def test_a_tool_that_marks_a_destination_leaves_unless_it_contradicts_itself() -> None:
    @tool("L0")
    def look_up(address: Annotated[str, Destination]) -> None:
        """Asks somebody."""

    assert Registry.of(look_up).get("look_up").outward  # pyright: ignore[reportOptionalMemberAccess]

    with pytest.raises(ToolDeclarationError, match="outward=False"):

        @tool("L0", outward=False)
        def contradictory(address: Annotated[str, Destination]) -> None:
            """Asks somebody."""
