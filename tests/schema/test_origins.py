"""Where arguments come from, as clients see it: in previews, on steps, on approvals; and what an approval must name."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from engine.tools import Destination, InDoubt, Own, Registry, tool
from persistence import ids
from persistence.states import Role, UserKind
from tests.schema.world import World, world


class Bill(BaseModel):
    number: Annotated[str, Own]
    iban: str
    total: float


class Payment(BaseModel):
    to: Annotated[str, Destination]
    amount: float


@tool("L0", reads_outside=True)
def read_file(path: str) -> Bill:
    """Reads a file that others write."""
    return Bill(number="7", iban="DE02", total=12.5)


@tool("L1", outward=True, phrases=["pay {recipient}"])
def send(recipient: Annotated[str, Destination], amount: Annotated[float, Destination] = 1.0, subject: str = "") -> str:
    """Sends money."""
    return f"{amount} to {recipient}"


@tool("L1", outward=True)
def pay(payments: list[Payment]) -> int:
    """Pays."""
    return len(payments)


@tool("L0")
def note(text: str = "") -> dict[str, str]:
    """Notes."""
    return {"text": text}


@tool("L3")
def vanish() -> None:
    """Leaves everybody in doubt."""
    raise InDoubt("The line went dead")


TOOLS = Registry.of(read_file, send, pay, note, vanish)
SUBMIT = (
    "mutation ($input: SubmitWorkflowInput!) {it: submitWorkflow(input: $input) {run {id} errors {code path message}}}"
)
DECIDE = """mutation ($input: DecideApprovalInput!) {it: decideApproval(input: $input) {
    approval {status origins {path kind trust} outsideDestinations} errors {code path message}}}"""
RESOLVE = """mutation ($input: ResolveInDoubtInput!) {it: resolveInDoubt(input: $input) {
    approval {status} errors {code path message}}}"""
ORIGIN = "path kind trust expression steps {key} outside {key} destination start end"


def ref(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


BILL = {"key": "bill", "tool": "read_file", "args": {"path": "bill.txt"}}
PAY = {
    "key": "pay",
    "tool": "send",
    "dependsOn": ["bill"],
    "args": {"recipient": ref("bill.iban"), "amount": ref("bill.total"), "subject": "rent"},
}
POISONED = {"steps": [BILL, PAY]}
SENTENCES = [
    "Its recipient comes from bill (read_file), which others can write.",
    "Its amount comes from bill (read_file), which others can write.",
]


def run_of(public_id: str) -> UUID:
    run = ids.parse_as(ids.RUN, public_id)
    assert run is not None
    return run


async def begun(it: World, plan: Any, viewer: Any = None) -> str:
    payload = (await it.ask(viewer or it.admin, SUBMIT, input={"plan": plan}))["it"]
    assert payload["errors"] == []
    return payload["run"]["id"]


async def asked(it: World, run: str, step: str = "pay") -> dict[str, Any]:
    await it.it.asked(run_of(run), step)
    data = await it.ask(it.admin, "query ($id: ID!) {run(id: $id) {approvals {id reason step {key}}}}", id=run)
    return next(each for each in data["run"]["approvals"] if each["step"]["key"] == step)


async def decide(it: World, approval: dict[str, Any], viewer: Any = None, **more: Any) -> Any:
    given = {"approvalId": approval["id"], "decision": "APPROVE", **more}
    return (await it.ask(viewer or it.admin, DECIDE, input=given))["it"]


async def test_a_preview_says_where_arguments_come_from_before_anything_is_read(dsn: str) -> None:
    async with world(dsn, executes=False, tools=TOOLS) as it:
        data = await it.ask(
            it.admin,
            """query ($plan: PlanInput!) {previewPlan(plan: $plan) {riskLevel steps {key riskLevel requiresApproval
            origins {path kind trust expression steps outside destination start end}}}}""",
            plan=POISONED,
        )

    preview = data["previewPlan"]
    bill, pay_ = preview["steps"]
    assert (preview["riskLevel"], pay_["riskLevel"], pay_["requiresApproval"]) == ("L3", "L3", True)
    assert [(each["path"], each["kind"], each["trust"]) for each in bill["origins"]] == [(["path"], "PLAN", "PLAN")]
    assert pay_["origins"][0] == {
        "path": ["recipient"],
        "kind": "RESULT",
        "trust": "OUTSIDE",
        "expression": "bill.iban",
        "steps": ["bill"],
        "outside": ["bill"],
        "destination": True,
        "start": None,
        "end": None,
    }


async def test_a_step_and_its_approval_name_the_source_of_a_poisoned_recipient(dsn: str) -> None:
    async with world(dsn, tools=TOOLS) as it:
        run = await begun(it, POISONED)
        approval = await asked(it, run)

        data = await it.ask(
            it.admin,
            f"""query ($id: ID!) {{run(id: $id) {{steps {{key trust riskLevel maxAttempts origins {{{ORIGIN}}}}}
            approvals {{reason outsideDestinations origins {{{ORIGIN}}}}}}}}}""",
            id=run,
        )

        bill, pay_ = data["run"]["steps"]
        [shown] = data["run"]["approvals"]
        assert (bill["trust"], pay_["trust"], pay_["riskLevel"], pay_["maxAttempts"]) == ("OUTSIDE", "OUTSIDE", "L3", 3)
        assert shown["outsideDestinations"] == SENTENCES
        assert "its recipient and amount come from bill (read_file), which others can write." in approval["reason"]
        assert shown["origins"] == pay_["origins"]
        assert [(each["path"], each["trust"], each["destination"]) for each in shown["origins"]] == [
            (["recipient"], "OUTSIDE", True),
            (["amount"], "OUTSIDE", True),
            (["subject"], "PLAN", False),
        ]
        assert shown["origins"][0]["steps"] == shown["origins"][0]["outside"] == [{"key": "bill"}]


async def test_a_run_that_nobody_else_decides_has_the_origins_that_its_plan_says(dsn: str) -> None:
    steps = [
        {"key": "a", "tool": "note", "args": {"text": "hello"}},
        {"key": "b", "tool": "send", "dependsOn": ["a"], "args": {"recipient": ref("a.text"), "subject": "x"}},
    ]
    async with world(dsn, tools=TOOLS) as it:
        run = await begun(it, {"steps": steps})

        data = await it.ask(
            it.admin, f"query ($id: ID!) {{run(id: $id) {{steps {{trust origins {{{ORIGIN}}}}}}}}}", id=run
        )

        assert await it.it.database.fetchval("SELECT count(*) FROM step_origins") == 0
        assert [each["trust"] for each in data["run"]["steps"]] == ["PLAN", "PLAN"]
        nothing: dict[str, Any] = {"outside": [], "start": None, "end": None, "trust": "PLAN"}
        assert data["run"]["steps"][1]["origins"] == [
            {
                "path": ["recipient"],
                "kind": "RESULT",
                "expression": "a.text",
                "steps": [{"key": "a"}],
                "destination": True,
                **nothing,
            },
            {"path": ["subject"], "kind": "PLAN", "expression": None, "steps": [], "destination": False, **nothing},
            {"path": ["amount"], "kind": "DEFAULT", "expression": None, "steps": [], "destination": True, **nothing},
        ]


async def test_submissions_with_and_without_origins_are_stored_together(dsn: str) -> None:
    calm = {"steps": [{"key": "a", "tool": "note"}]}
    async with world(dsn, tools=TOOLS) as it:
        runs = await asyncio.gather(*(begun(it, POISONED if number % 3 else calm) for number in range(12)))

        for run in runs:
            if run in runs[::3]:
                assert (await it.it.finished(run_of(run)))["state"] == "COMPLETED"
            else:
                await it.it.asked(run_of(run), "pay")
        assert await it.it.database.fetchval("SELECT count(*) FROM step_origins") == 16


# Accepting what others decide


async def test_an_approval_must_name_what_it_accepts_where_the_server_wants_it(dsn: str) -> None:
    async with world(dsn, tools=TOOLS, accept_outside=True) as it:
        run = await begun(it, POISONED)
        approval = await asked(it, run)

        nothing = await decide(it, approval)
        half = await decide(it, approval, acceptOutside=["recipient"])
        done = await decide(it, approval, acceptOutside=["amount", "recipient"])

        assert [(each["code"], each["path"]) for each in nothing["errors"]] == [("INVALID_INPUT", ["acceptOutside"])]
        assert "recipient" in nothing["errors"][0]["message"]
        assert [(each["code"], each["path"]) for each in half["errors"]] == [("INVALID_INPUT", ["acceptOutside"])]
        assert "amount" in half["errors"][0]["message"]
        assert "recipient" not in half["errors"][0]["message"]
        assert (done["errors"], done["approval"]["status"]) == ([], "APPROVED")


@pytest.mark.parametrize("accept_outside", [True, False])
async def test_a_name_that_is_no_outside_destination_is_refused_always(dsn: str, *, accept_outside: bool) -> None:
    async with world(dsn, tools=TOOLS, accept_outside=accept_outside) as it:
        approval = await asked(it, await begun(it, POISONED))

        payload = await decide(it, approval, acceptOutside=["recipient", "subject", "amount"])

        assert [(each["code"], each["path"]) for each in payload["errors"]] == [
            ("INVALID_INPUT", ["acceptOutside", "1"])
        ]
        assert payload["approval"]["status"] == "REQUIRED"


async def test_nobody_has_to_name_anything_elsewhere_and_a_rejection_never_has_to(dsn: str) -> None:
    async with world(dsn, tools=TOOLS) as it:
        assert (await decide(it, await asked(it, await begun(it, POISONED))))["errors"] == []
    async with world(dsn, tools=TOOLS, accept_outside=True) as it:
        approval = await asked(it, await begun(it, POISONED))

        payload = await decide(it, approval, decision="REJECT")

        assert (payload["errors"], payload["approval"]["status"]) == ([], "REJECTED")


async def test_what_an_edit_changes_is_the_persons_own_and_needs_no_name(dsn: str) -> None:
    async with world(dsn, tools=TOOLS, accept_outside=True) as it:
        approval = await asked(it, await begun(it, POISONED))
        edited = {"recipient": "Ann", "amount": 12.5, "subject": "rent"}

        left = await decide(it, approval, editedArgs=edited)
        done = await decide(it, approval, editedArgs=edited, acceptOutside=["amount"])

        assert "amount" in left["errors"][0]["message"]
        assert "recipient" not in left["errors"][0]["message"]
        assert done["errors"] == []
        assert {".".join(each["path"]): (each["kind"], each["trust"]) for each in done["approval"]["origins"]} == {
            "recipient": ("EDIT", "PLAN"),
            "amount": ("RESULT", "OUTSIDE"),
            "subject": ("PLAN", "PLAN"),
        }
        assert done["approval"]["outsideDestinations"] == SENTENCES[1:]


# Kinds of users


async def test_an_agents_plan_asks_about_what_it_wrote_itself(dsn: str) -> None:
    steps = [{"key": "pay", "tool": "send", "args": {"recipient": "DE02"}}]
    async with world(dsn, tools=TOOLS) as it:
        agent = await it.viewer(Role.SUBMITTER, kind=UserKind.AGENT)
        service = await it.viewer(Role.SUBMITTER, kind=UserKind.SERVICE)

        approval = await asked(it, await begun(it, {"steps": steps}, agent))
        calm = await begun(it, {"steps": steps}, service)

        data = await it.ask(it.admin, "query ($id: ID!) {approval(id: $id) {outsideDestinations}}", id=approval["id"])
        assert data["approval"]["outsideDestinations"] == [
            "Its recipient was written by an agent, which may have read anything."
        ]
        shown = await it.ask(it.admin, "query ($id: ID!) {run(id: $id) {riskLevel submittedBy {kind}}}", id=calm)
        assert shown["run"] == {"riskLevel": "L1", "submittedBy": {"kind": "SERVICE"}}


async def test_what_an_agent_says_in_a_sentence_is_outside_too(dsn: str) -> None:
    async with world(dsn, tools=TOOLS) as it:
        agent = await it.viewer(Role.SUBMITTER, kind=UserKind.AGENT)

        for viewer, risk in ((agent, "L3"), (it.admin, "L1")):
            payload = (await it.ask(viewer, SUBMIT, input={"intent": "pay Ann"}))["it"]
            await it.it.until(run_of(payload["run"]["id"]), "WORKFLOW_PLANNED")
            data = await it.ask(viewer, "query ($id: ID!) {run(id: $id) {riskLevel}}", id=payload["run"]["id"])
            assert data["run"]["riskLevel"] == risk


async def test_a_preview_is_the_viewers_own(dsn: str) -> None:
    steps = [{"key": "pay", "tool": "send", "args": {"recipient": "DE02"}}]
    query = "query ($plan: PlanInput!) {previewPlan(plan: $plan) {riskLevel}}"
    async with world(dsn, executes=False, tools=TOOLS) as it:
        agent = await it.viewer(Role.SUBMITTER, kind=UserKind.AGENT)

        risks = [(await it.ask(each, query, plan={"steps": steps}))["previewPlan"] for each in (agent, it.admin)]

    assert risks == [{"riskLevel": "L3"}, {"riskLevel": "L1"}]


@pytest.mark.parametrize("roles", [(Role.ADMIN,), (Role.APPROVER,), (Role.SUBMITTER,)])
async def test_an_agent_decides_nothing_whatever_its_roles(dsn: str, roles: tuple[Role, ...]) -> None:
    plan = {"steps": [{"key": "pay", "tool": "send", "args": {"recipient": "x"}, "riskLevel": "L3"}]}
    async with world(dsn, tools=TOOLS) as it:
        agent = await it.viewer(*roles, Role.SUBMITTER, kind=UserKind.AGENT)
        approval = await asked(it, await begun(it, plan, agent))
        digest = await it.it.database.fetchval("SELECT digest FROM approvals")

        answers = [
            await decide(it, approval, agent),
            await decide(it, approval, agent, argsDigest=digest),
            await decide(it, approval, agent, decision="REJECT"),
            await decide(it, approval, agent, editedArgs={"recipient": "y"}),
        ]

        for payload in answers:
            assert [each["code"] for each in payload["errors"]] == ["FORBIDDEN"]
            assert "agent decides nothing" in payload["errors"][0]["message"]
            assert payload["approval"]["status"] == "REQUIRED"


async def test_a_service_decides_what_its_roles_say_and_an_agent_resolves_no_doubt(dsn: str) -> None:
    async with world(dsn, tools=TOOLS) as it:
        agent = await it.viewer(Role.ADMIN, kind=UserKind.AGENT)
        service = await it.viewer(Role.APPROVER, kind=UserKind.SERVICE)
        run = await begun(it, {"steps": [{"key": "pay", "tool": "vanish"}]})
        approval = await asked(it, run)
        assert (await decide(it, approval, service))["errors"] == []
        doubt = await it.it.asked(run_of(run), "pay", times=2)
        given = {"approvalId": f"appr_{doubt['id'].hex}", "resolution": "DID_NOT_HAPPEN"}

        payload = (await it.ask(agent, RESOLVE, input=given))["it"]

        assert [each["code"] for each in payload["errors"]] == ["FORBIDDEN"]
        assert payload["approval"]["status"] == "REQUIRED"


async def test_users_are_made_with_a_kind_and_an_agent_makes_none(dsn: str) -> None:
    create = "mutation ($input: CreateUserInput!) {it: createUser(input: $input) {user {name kind} errors {code}}}"
    async with world(dsn, executes=False, tools=TOOLS) as it:
        agent = await it.viewer(Role.ADMIN, kind=UserKind.AGENT)

        made = [
            (await it.ask(it.admin, create, input={"name": name, "roles": ["SUBMITTER"], **more}))["it"]
            for name, more in (("Ann", {}), ("Bot", {"kind": "AGENT"}), ("Job", {"kind": "SERVICE"}))
        ]
        refused = (await it.ask(agent, create, input={"name": "Mole", "roles": ["ADMIN"]}))["it"]

        assert [each["user"]["kind"] for each in made] == ["PERSON", "AGENT", "SERVICE"]
        assert [each["code"] for each in refused["errors"]] == ["FORBIDDEN"]
        assert (await it.ask(agent, "{viewer {kind}}"))["viewer"] == {"kind": "AGENT"}


# What else there is


async def test_tools_say_their_labels(dsn: str) -> None:
    async with world(dsn, executes=False, tools=TOOLS) as it:
        data = await it.ask(
            it.admin, "{tools {name readsOutside outward destinations available unavailableBecause resultSchema}}"
        )

    shown = {each["name"]: each for each in data["tools"]}
    assert {name: (each["readsOutside"], each["outward"], each["destinations"]) for name, each in shown.items()} == {
        "note": (False, False, []),
        "pay": (False, True, ["payments.to"]),
        "read_file": (True, False, []),
        "send": (False, True, ["recipient", "amount"]),
        "vanish": (False, True, []),
    }
    assert all(each["available"] and each["unavailableBecause"] is None for each in shown.values())
    assert shown["read_file"]["resultSchema"]["properties"]["number"]["x-own"] is True


async def test_the_trust_of_an_answer_is_shown_and_is_null_without_one(dsn: str) -> None:
    async with world(dsn, executes=False, tools=TOOLS) as it:
        runs = [await begun(it, {"steps": [{"key": "a", "tool": "note"}]}) for _ in range(2)]
        await it.it.database.execute(
            "INSERT INTO run_answers (run_id, planned, needs, trust) VALUES ($1, '1', '{}', 2)", run_of(runs[0])
        )

        data = [await it.ask(it.admin, "query ($id: ID!) {run(id: $id) {answerTrust}}", id=run) for run in runs]

        assert [each["run"]["answerTrust"] for each in data] == ["OUTSIDE", None]


@pytest.mark.parametrize("plan", ["poisoned", "calm"])
async def test_the_origins_of_many_steps_take_as_many_statements_as_those_of_one(dsn: str, plan: str) -> None:
    first = BILL if plan == "poisoned" else {"key": "bill", "tool": "note"}
    async with world(dsn, executes=False, tools=TOOLS) as it:
        counts: list[int] = []
        for many in (1, 60):
            steps = [{**PAY, "key": f"p{n}", "args": {"recipient": ref("bill.iban")}} for n in range(many)]
            run = await begun(it, {"steps": [first, *steps]})
            it.statements.clear()

            data = await it.ask(
                it.admin,
                f"""query ($id: ID!) {{run(id: $id) {{
                    steps {{trust origins {{{ORIGIN}}}}} approvals {{outsideDestinations}}}}}}""",
                id=run,
            )

            assert [each["origins"][0]["steps"] for each in data["run"]["steps"][1:]] == [[{"key": "bill"}]] * many
            counts.append(len(it.statements))
    assert counts[0] == counts[1] <= 6
