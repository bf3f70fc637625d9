"""Every command ends with status 0, or with one clear line on standard error."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from console.commands import app
from console.settings import Address
from tests.unit.console_peer import TOKEN, answer, failure, http_peer

RUN = {
    "id": "run_1",
    "intent": "plan \x1b[31mgroceries",
    "state": "EXECUTING",
    "riskLevel": "L3",
    "createdAt": "2025-01-02T03:04:05Z",
    "progress": {"total": 3, "succeeded": 1},
    "steps": [],
}
APPROVAL = {
    "id": "appr_1",
    "kind": "EXECUTE",
    "status": "REQUIRED",
    "riskLevel": "L3",
    "reason": "job_submit writes to the outside",
    "proposedArgs": {"markdown": "# Ada\n\nEngineer", "to": "\x1b[2Jboss@example.org"},
    "argsDigest": "d" * 64,
    "createdAt": "2025-01-02T03:04:05Z",
    "expiresAt": None,
    "run": {"id": "run_1", "intent": "apply"},
    "step": {"id": "step_1", "key": "submit", "name": "Submit", "tool": "job_submit"},
    "decidedBy": None,
    "decidedAt": None,
    "decisionReason": None,
    "editedArgs": None,
}


def lifeos(*args: str, url: str = "http://127.0.0.1:1", stdin: str | None = None, **environment: str) -> Result:
    runner = CliRunner(env={"LIFEOS_URL": url, "LIFEOS_TOKEN": TOKEN, **environment})
    return runner.invoke(app, list(args), input=stdin, prog_name="lifeos")


async def lifeos_at(address: Address, *args: str, stdin: str | None = None) -> Result:
    """The same against a peer in this event loop."""
    return await asyncio.to_thread(lifeos, *args, url=address.url, stdin=stdin)


def the_line(result: Result) -> str:
    """The one line on standard error."""
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("lifeos: ")
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("lifeos: ").rstrip("\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("fly",), "No such command"),
        (("submit", "--fast"), "No such option"),
        (("decide",), "Missing argument"),
        (("decide", "appr_1", "maybe"), "'maybe' is not one of"),
        (("runs", "--limit", "0"), "Invalid value for '--limit'"),
        (("user", "create", "ada"), "Missing option '--role'"),
        (("user", "create", "ada", "--role", "KING"), "'KING' is not one of"),
    ],
)
def test_a_wrong_use_is_one_line_that_names_the_help(args: tuple[str, ...], says: str) -> None:
    result = lifeos(*args)

    assert result.exit_code == 2
    assert says in the_line(result)
    assert "--help" in the_line(result)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("submit",), "give either an intent or --plan FILE.json"),
        (("submit", "x", "--plan", "p.json"), "give either an intent or --plan FILE.json"),
        (("submit", "--plan", "nowhere.json"), "the plan can't be read from nowhere.json: No such file or directory"),
        (("submit", "--plan", "."), "the plan can't be read from .: Is a directory"),
        (("decide", "run_1", "approve"), "'run_1' is no approval's id: those begin with appr_"),
        (("resolve", "1", "abandon"), "'1' is no approval's id: those begin with appr_"),
        (("watch", "appr_1"), "'appr_1' is no run's id: those begin with run_"),
        (("show", "step_1"), "'step_1' is no run's id: those begin with run_"),
        (("cancel", ""), "'' is no run's id: those begin with run_"),
        (("retry", "run_1"), "'run_1' is no step's id: those begin with step_"),
        (("approvals", "--run", "x"), "'x' is no run's id: those begin with run_"),
        (("decide", "appr_1", "approve", "--edit", "{nope"), "--edit is not JSON"),
        (("decide", "appr_1", "approve", "--edit", '{"n": NaN}'), "--edit is not JSON: NaN is no JSON number"),
        (("resolve", "appr_1", "happened", "--result", "["), "--result is not JSON"),
    ],
)
def test_what_is_given_wrongly_is_named(args: tuple[str, ...], says: str) -> None:
    result = lifeos(*args)

    assert result.exit_code == 1
    assert the_line(result).startswith(says)


@pytest.mark.parametrize("command", ["runs", "approvals", "tools"])
def test_without_a_server_it_says_so(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

    result = lifeos(command, url=url)

    assert result.exit_code == 1
    assert the_line(result).startswith(f"no server answers at {url} (connection refused)")


def test_without_a_token_it_says_so(tmp_path: Path) -> None:
    result = lifeos("runs", LIFEOS_TOKEN="", LIFEOS_DATA_DIR=str(tmp_path))

    assert result.exit_code == 1
    assert the_line(result).startswith("no token: set LIFEOS_TOKEN")


def test_help_is_no_error() -> None:
    result = lifeos("submit", "--help")

    assert result.exit_code == 0
    assert "--approve-from" in result.stdout


async def test_faults_of_an_input_are_one_line() -> None:
    errors = [
        {"code": "UNKNOWN_TOOL", "message": "there is no\ntool \x1b[31mfly", "path": ["plan", "steps", "0", "tool"]},
        {"code": "INVALID_PLAN", "message": "a cycle: a, b", "path": ["plan"]},
    ]
    async with http_peer(answer({"data": {"submitWorkflow": {"run": None, "errors": errors}}})) as peer:
        result = await lifeos_at(peer.address, "submit", "--plan", "-", stdin='{"steps": []}')

    assert result.exit_code == 1
    assert the_line(result) == (
        r"UNKNOWN_TOOL: there is no tool \x1b[31mfly (plan.steps.0.tool); INVALID_PLAN: a cycle: a, b (plan)"
    )
    assert peer.requests[0]["variables"]["input"]["plan"] == {"steps": []}


async def test_a_refusal_is_one_line() -> None:
    said = answer(failure("UNAUTHENTICATED", "a token is needed"), status="401 Unauthorized")
    async with http_peer(said) as peer:
        result = await lifeos_at(peer.address, "runs")

    assert result.exit_code == 1
    assert the_line(result).startswith("UNAUTHENTICATED: the server does not know this token; set LIFEOS_TOKEN")


async def test_in_a_pipe_submit_prints_the_runs_id_alone() -> None:
    async with http_peer(answer({"data": {"submitWorkflow": {"run": RUN, "errors": []}}})) as peer:
        result = await lifeos_at(peer.address, "submit", "plan groceries", "--key", "k", "--approve-from", "L1")

    assert result.exit_code == 0
    assert result.stdout == "run_1\n"
    assert peer.requests[0]["variables"]["input"] == {
        "intent": "plan groceries",
        "idempotencyKey": "k",
        "requireApprovalFrom": "L1",
    }


async def test_json_is_what_the_api_answered() -> None:
    async with http_peer(answer({"data": {"submitWorkflow": {"run": RUN, "errors": []}}})) as peer:
        result = await lifeos_at(peer.address, "submit", "x", "--json")

    written = json.loads(result.stdout)
    assert written["id"] == "run_1"
    assert written["riskLevel"] == "L3"
    assert written["intent"] == RUN["intent"]
    assert "\x1b" not in result.stdout


async def test_in_a_pipe_a_list_is_a_line_for_each_without_escape_codes() -> None:
    page = {"nodes": [RUN, {**RUN, "id": "run_2"}], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    async with http_peer(answer({"data": {"runs": page}})) as peer:
        result = await lifeos_at(peer.address, "runs")

    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [cells[:2] for cells in lines] == [["run_1", "EXECUTING"], ["run_2", "EXECUTING"]]
    assert lines[0][-1] == r"plan \x1b[31mgroceries"
    assert "\x1b" not in result.output


async def test_approvals_show_the_exact_arguments() -> None:
    page = {"nodes": [APPROVAL], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    async with http_peer(answer({"data": {"approvals": page}})) as peer:
        result = await lifeos_at(peer.address, "approvals")

    assert peer.requests[0]["variables"]["filter"] == {"statuses": ["REQUIRED"]}
    assert result.stdout.endswith(
        'args:\n  markdown:\n    │ # Ada\n    │\n    │ Engineer\n  to: "\\u001b[2Jboss@example.org"\n'
    )
    assert f"digest:  {'d' * 64}\n" in result.stdout


LONG = "\n".join(f"line {number}" for number in range(200))


async def test_long_approvals_are_shown_in_part_that_says_so_and_where_the_rest_is() -> None:
    args = {"text": LONG, "to": "boss@example.org", "resume": {"work": [{"name": f"w{n}"} for n in range(90)]}}
    nodes = [{**APPROVAL, "id": f"appr_{number}", "proposedArgs": args} for number in range(2)]
    page = {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}
    async with http_peer(answer({"data": {"approvals": page}})) as peer:
        result = await lifeos_at(peer.address, "approvals")
        full = await lifeos_at(peer.address, "approvals", "--full")

    lines = result.stdout.splitlines()
    assert len(lines) <= 90
    assert lines.count('  to: "boss@example.org"') == 2
    assert lines.count("    │ line 0") == 2
    assert sum("more lines" in line for line in lines) == 2
    assert lines[-1] == "This is a part. Before you decide, see all that would be sent: lifeos approvals appr_1 --full"
    assert full.stdout.count("    │ line 199\n") == 2
    assert "This is a part" not in full.stdout


async def test_one_approval_can_be_asked_for() -> None:
    async with http_peer(answer({"data": {"approval": APPROVAL}})) as peer:
        result = await lifeos_at(peer.address, "approvals", "appr_1", "--full")

    assert peer.requests[0]["variables"] == {"id": "appr_1"}
    assert result.stdout.startswith("appr_1  EXECUTE  L3  REQUIRED\n")


async def test_of_many_approvals_the_first_are_shown_and_programs_get_all() -> None:
    nodes = [{**APPROVAL, "id": f"appr_{number}"} for number in range(21)]
    page = {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}
    async with http_peer(answer({"data": {"approvals": page}})) as peer:
        result = await lifeos_at(peer.address, "approvals")
        programs = await lifeos_at(peer.address, "approvals", "--json")

    assert result.stdout.count("REQUIRED") == 20
    assert result.stdout.endswith("… and more wait for a decision: lifeos approvals --limit 40\n")
    assert len(json.loads(programs.stdout)) == 21


@pytest.mark.parametrize(
    ("resolution", "status", "means"),
    [
        ("did-not-happen", "APPROVED", "it did not happen: it is called again"),
        ("happened", "APPROVED", "it happened: the step is done, and is not called again"),
        ("abandon", "REJECTED", "given up: the step is left out, with all that depends on it"),
    ],
)
async def test_a_resolution_says_what_it_means(resolution: str, status: str, means: str) -> None:
    resolved = {**APPROVAL, "kind": "IN_DOUBT", "status": status, "decidedBy": {"id": "user_1", "name": "Ada"}}
    async with http_peer(answer({"data": {"resolveInDoubt": {"approval": resolved, "errors": []}}})) as peer:
        result = await lifeos_at(peer.address, "resolve", "appr_1", resolution)

    assert result.stdout == f"Recorded by Ada: {means}. submit (job_submit) of run_1\n"


async def test_the_apis_words_are_shown_in_the_words_of_the_commands() -> None:
    errors = [{"code": "INVALID_STATE", "message": "answer with resolveInDoubt", "path": ["approvalId"]}]
    async with http_peer(answer({"data": {"decideApproval": {"approval": None, "errors": errors}}})) as peer:
        result = await lifeos_at(peer.address, "decide", "appr_1", "approve")

    assert result.exit_code == 1
    assert the_line(result) == (
        "INVALID_STATE: answer with lifeos resolve ID happened|did-not-happen|abandon (approvalId)"
    )


@pytest.mark.parametrize("edit_in_file", [False, True])
async def test_a_decision_carries_the_digest_and_the_edit(tmp_path: Path, *, edit_in_file: bool) -> None:
    edited: dict[str, Any] = {"to": "other@example.org"}
    given = json.dumps(edited)
    if edit_in_file:
        path = tmp_path / "edit.json"
        path.write_text(given)
        given = str(path)
    decided = {**APPROVAL, "status": "APPROVED", "editedArgs": edited, "decidedBy": {"id": "user_1", "name": "Ada"}}
    async with http_peer(answer({"data": {"decideApproval": {"approval": decided, "errors": []}}})) as peer:
        result = await lifeos_at(
            peer.address, "decide", "appr_1", "approve", "--digest", "d" * 64, "--edit", given, "--reason", "fine"
        )

    assert result.exit_code == 0
    assert result.stdout.startswith("appr_1\tAPPROVED\t")
    assert peer.requests[0]["variables"]["input"] == {
        "approvalId": "appr_1",
        "decision": "APPROVE",
        "reason": "fine",
        "argsDigest": "d" * 64,
        "editedArgs": edited,
    }


async def test_a_resolution_carries_what_the_call_answered() -> None:
    resolved = {**APPROVAL, "kind": "IN_DOUBT", "status": "APPROVED"}
    async with http_peer(answer({"data": {"resolveInDoubt": {"approval": resolved, "errors": []}}})) as peer:
        result = await lifeos_at(peer.address, "resolve", "appr_1", "did-not-happen", "--json")
        assert (await lifeos_at(peer.address, "resolve", "appr_1", "happened", "--result", '{"id": 1}')).exit_code == 0

    assert json.loads(result.stdout)["kind"] == "IN_DOUBT"
    sent = [request["variables"]["input"] for request in peer.requests]
    assert [(each["resolution"], each["result"]) for each in sent] == [
        ("DID_NOT_HAPPEN", None),
        ("HAPPENED", {"id": 1}),
    ]


async def test_in_a_pipe_a_new_user_is_the_token_alone() -> None:
    payload = {
        "user": {"id": "user_2", "name": "bob", "roles": ["SUBMITTER", "APPROVER"]},
        "token": "t-1",
        "errors": [],
    }
    async with http_peer(answer({"data": {"createUser": payload}})) as peer:
        result = await lifeos_at(peer.address, "user", "create", "bob", "--role", "SUBMITTER", "--role", "APPROVER")

    assert result.stdout == "t-1\n"
    assert peer.requests[0]["variables"]["input"] == {"name": "bob", "roles": ["SUBMITTER", "APPROVER"]}


async def test_what_nobody_expected_is_one_line_too() -> None:
    async with http_peer(answer({"data": {"runs": None}})) as peer:
        result = await lifeos_at(peer.address, "runs")

    assert result.exit_code == 1
    assert the_line(result).startswith("an unexpected error: TypeError")
