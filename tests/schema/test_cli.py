"""The commands against the real server, as a person and as a script use them."""

import asyncio
import fcntl
import io
import json
import os
import pty
import re
import signal
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from console.client import Client
from console.commands import app
from console.demo import INTENT, run_demo
from console.errors import RunNotCompleted
from console.gate import NobodyAnswers
from console.models import Event
from console.settings import Address
from serving import parts
from serving.settings import Settings
from serving.uvicorn_server import serving
from tests.lending import LastingDatabase

TOKEN = "the-administrators-token"
ROOT = Path(__file__).parents[2]

Write = Callable[[str], str]


@dataclass
class LifeOS:
    """A server, and the commands as its administrator."""

    address: Address
    data_dir: Path

    async def __call__(self, *args: str, token: str = TOKEN, stdin: str | None = None) -> Result:
        runner = CliRunner(env={"LIFEOS_URL": self.address.url, "LIFEOS_TOKEN": token})
        return await asyncio.to_thread(runner.invoke, app, list(args), input=stdin, prog_name="lifeos")

    async def done(self, *args: str) -> str:
        """What a command that has to succeed writes."""
        result = await self(*args)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    async def submitted(self, *tools: tuple[str, dict[str, Any]], plan: Write) -> str:
        """The id of a run of these tools, one after the other."""
        steps = [
            {"key": f"s{number}", "tool": name, "args": args, "dependsOn": [f"s{number - 1}"] if number else []}
            for number, (name, args) in enumerate(tools)
        ]
        return (await self.done("submit", "--plan", plan(json.dumps({"steps": steps})))).strip()

    async def asked(self, run_id: str) -> dict[str, Any]:
        """The first approval that the run asks for."""
        async with Client(self.address) as client:
            async for event in client.follow_run(run_id):
                if event.type == "WORKFLOW_WAITING_APPROVAL":
                    break
        return json.loads(await self.done("approvals", "--run", run_id, "--json"))[0]


@asynccontextmanager
async def life_os(dsn: str, data_dir: Path, *, port: int = 0) -> AsyncIterator[LifeOS]:
    settings = Settings(  # pyright: ignore[reportCallIssue] - the rest comes from the environment
        database_url=dsn, data_dir=data_dir, admin_token=SecretStr(TOKEN), tools="tests.schema.cli_tools"
    )
    # What a server's new sessions learn about the schema is most of what its start costs.
    with patch.object(parts, "Database", LastingDatabase):
        async with serving(settings, host="127.0.0.1", port=port) as served:
            yield LifeOS(Address(served.url, served.token), data_dir)


@pytest.fixture
async def lifeos(dsn: str, tmp_path: Path) -> AsyncIterator[LifeOS]:
    async with life_os(dsn, tmp_path / "data") as running:
        yield running


@pytest.fixture
def plan(tmp_path: Path) -> Write:
    """Writes a plan into a file and says where."""

    def write(content: str) -> str:
        path = tmp_path / "plan.json"
        path.write_text(content)
        return str(path)

    return write


def the_line(result: Result, *, status: int = 1) -> str:
    """The one line on standard error of a command that failed."""
    assert result.exit_code == status
    assert re.fullmatch(r"lifeos: [^\n]+\n", result.stderr)
    return result.stderr.removeprefix("lifeos: ").rstrip("\n")


def events_of(output: str) -> list[Event]:
    return [Event.model_validate_json(line) for line in output.splitlines()]


async def test_a_sentence_is_submitted_and_watched_to_its_end(lifeos: LifeOS) -> None:
    written = (await lifeos.done("submit", "plan groceries for 3 people", "--watch", "--json")).splitlines()

    run, events = json.loads(written[0]), events_of("\n".join(written[1:]))
    assert run["id"].startswith("run_")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].type == "WORKFLOW_STARTED"
    assert events[-1].type == "WORKFLOW_COMPLETE"
    assert {event.run_id for event in events} == {run["id"]}


async def test_in_a_pipe_there_are_lines_without_escape_codes(lifeos: LifeOS) -> None:
    lines = (await lifeos.done("submit", "plan groceries", "--watch")).splitlines()

    assert re.fullmatch(r"run_\w+", lines[0])
    assert re.match(r"\d\d:\d\d:\d\d #1   WORKFLOW_STARTED  ", lines[1])
    assert lines[-1].startswith(f"{lines[0]} COMPLETED (CLEAN) 1/1 ")
    assert "\x1b" not in "".join(lines)


async def test_watching_goes_on_from_a_cursor(lifeos: LifeOS) -> None:
    run_id = (await lifeos.done("submit", "plan groceries")).strip()
    events = events_of(await lifeos.done("watch", run_id, "--json"))

    later = events_of(await lifeos.done("watch", run_id, "--after", events[2].cursor, "--json"))

    assert later == events[3:]
    assert "BAD_USER_INPUT" in the_line(await lifeos("watch", run_id, "--after", "nonsense"))


async def test_a_person_sees_the_exact_arguments_and_decides_on_them(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("pay", {"amount": 5}), plan=plan)
    asked = await lifeos.asked(run_id)
    assert asked["proposedArgs"] == {"amount": 5, "to": "Ada"}
    shown = await lifeos.done("approvals")
    assert sorted(shown.partition("args:\n")[2].splitlines()) == ["  amount: 5", '  to: "Ada"']
    assert f"digest:  {asked['argsDigest']}\n" in shown

    wrong = await lifeos("decide", asked["id"], "approve", "--digest", "0" * 64)
    assert the_line(wrong).startswith("ARGS_CHANGED: ")

    decided = await lifeos.done("decide", asked["id"], "approve", "--digest", asked["argsDigest"], "--json")
    assert json.loads(decided)["status"] == "APPROVED"
    again = await lifeos("decide", asked["id"], "reject")
    assert the_line(again).startswith("ALREADY_DECIDED: ")
    await lifeos.done("watch", run_id)
    assert await lifeos.done("approvals") == ""
    assert json.loads(await lifeos.done("show", run_id, "--json"))["steps"][0]["result"] == {"paid": 5, "to": "Ada"}


async def test_what_a_person_edits_is_what_is_sent(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("pay", {"amount": 5}), plan=plan)
    asked = await lifeos.asked(run_id)

    unfit = await lifeos("decide", asked["id"], "approve", "--edit", '{"amount": "much"}')
    assert re.match(r"INVALID_INPUT: .* \(editedArgs\.amount\)$", the_line(unfit))

    await lifeos.done("decide", asked["id"], "approve", "--edit", '{"amount": 4}')
    await lifeos.done("watch", run_id)
    shown = json.loads(await lifeos.done("show", run_id, "--json"))
    assert shown["steps"][0]["result"] == {"paid": 4, "to": "Ada"}


async def test_a_call_in_doubt_is_resolved_by_a_person(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("vanish", {}), plan=plan)
    asked = await lifeos.asked(run_id)
    await lifeos.done("decide", asked["id"], "approve")
    async with Client(lifeos.address) as client:
        async for event in client.follow_run(run_id):
            if event.type == "STEP_IN_DOUBT":
                break
    doubt = json.loads(await lifeos.done("approvals", "--json"))[0]
    assert doubt["kind"] == "IN_DOUBT"
    refused = the_line(await lifeos("decide", doubt["id"], "approve"))
    assert refused.startswith("INVALID_STATE: ")
    assert "lifeos resolve" in refused
    assert "resolveInDoubt" not in refused

    said = await lifeos.done("resolve", doubt["id"], "happened", "--result", '{"sent": true}', "--reason", "I looked")
    assert (
        said == f"Recorded by admin: it happened: the step is done, and is not called again. s0 (vanish) of {run_id}\n"
    )

    await lifeos.done("watch", run_id)
    assert json.loads(await lifeos.done("show", run_id, "--json"))["steps"][0]["result"] == {"sent": True}


async def test_a_failed_run_ends_watching_with_status_3_and_why(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("fail", {}), plan=plan)

    line = the_line(await lifeos("watch", run_id), status=3)

    step_id = json.loads(await lifeos.done("show", run_id, "--json"))["steps"][0]["id"]
    assert re.fullmatch(rf"{run_id} is FAILED: s0 \({step_id}\) failed with \w+: .*it ⟦U\+001B⟧\[31mbroke", line)


async def test_a_notice_is_shown_with_the_run_and_with_its_step(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("look_for", {"wanted": 2, "there": 1}), ("note", {}), plan=plan)

    watched = (await lifeos.done("watch", run_id)).splitlines()
    shown = (await lifeos.done("show", run_id)).splitlines()
    full = (await lifeos.done("show", run_id, "--full")).splitlines()
    read = json.loads(await lifeos.done("show", run_id, "--json"))

    notice = "Notice: 1 of 2⟦U+001B⟧[31m found"
    assert watched.count(notice) == 1
    assert watched[-1].startswith(f"{run_id} COMPLETED (CLEAN) 2/2")
    assert shown[1] == full[1] == notice
    assert [line.split("\t")[5] for line in shown if re.match(r"s\d\t", line)] == [notice.removeprefix("Notice: "), ""]
    assert read["notices"] == read["steps"][0]["notices"] == [notice.removeprefix("Notice: ")]
    assert read["steps"][1]["notices"] == []


async def test_a_failed_step_is_brought_back(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("note", {}), ("fail", {}), ("note", {}), plan=plan)
    assert (await lifeos("watch", run_id)).exit_code == 3
    steps = json.loads(await lifeos.done("show", run_id, "--json"))["steps"]
    assert the_line(await lifeos("retry", steps[0]["id"])).startswith("INVALID_STATE: ")

    # What is shown is read after the retry: by then a worker may have begun, or ended, the next attempt.
    retried = await lifeos.done("retry", steps[1]["id"], "--reason", "again")
    assert re.search(r"\tfail\tL0\t(READY|RUNNING|FAILED)\t", retried)

    result = await lifeos("watch", run_id, "--json")
    assert result.exit_code == 3
    assert [event.type for event in events_of(result.stdout)].count("STEP_REDRIVEN") == 2


async def test_a_sentence_that_nothing_can_do_says_which_part(lifeos: LifeOS) -> None:
    line = the_line(await lifeos("submit", "plan groceries and fly to the moon", "--watch"), status=3)

    assert "is FAILED: UNPLANNABLE_INTENT: " in line
    assert "fly to the moon" in line
    assert "fly to the moon" in the_line(await lifeos("preview", "plan groceries and fly to the moon"))


async def test_submitting_what_nothing_can_do_fails_without_being_watched_too(lifeos: LifeOS) -> None:
    result = await lifeos("submit", "plan groceries and fly to the moon")

    run_id = result.stdout.strip()
    line = the_line(result, status=3)
    assert line.startswith(f"{run_id} is FAILED: UNPLANNABLE_INTENT: ")
    assert "fly to the moon" in line


async def test_results_are_shown_by_watching_and_by_showing(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("note", {"text": "hello\nAda"}), plan=plan)

    watched = (await lifeos.done("watch", run_id)).splitlines()
    shown = (await lifeos.done("show", run_id)).splitlines()

    result = ["s0: s0", "  text:", "    │ hello", "    │ Ada"]
    assert watched[-5:-1] == result
    assert watched[-1].startswith(f"{run_id} COMPLETED (CLEAN) 1/1 ")
    assert shown[-4:] == result


async def test_a_list_is_shown_with_its_children_and_a_run_with_its_answer(lifeos: LifeOS, plan: Write) -> None:
    each = {
        "key": "each",
        "tool": "note",
        "forEach": {"$jmespath": '`["a", "b", "c"]`'},
        "args": {"text": {"$jmespath": "item"}},
    }
    written = plan(json.dumps({"steps": [each], "answer": {"$jmespath": "each[].result.text"}}))
    run_id = (await lifeos.done("submit", "--plan", written)).strip()

    watched = (await lifeos.done("watch", run_id)).splitlines()
    shown = (await lifeos.done("show", run_id)).splitlines()
    full = (await lifeos.done("show", run_id, "--full")).splitlines()
    read = json.loads(await lifeos.done("show", run_id, "--json"))

    answer = ["Answer:", '  - "a"', '  - "b"', '  - "c"']
    assert watched[-5:-1] == shown[-4:] == full[-4:] == answer
    assert watched[-1].startswith(f"{run_id} COMPLETED (CLEAN) 4/4 ")
    rows = [line.split("\t") for line in shown if "\t" in line]
    assert [row[0] for row in rows] == ["each", "each[0]", "each[1]", "each[2]"]
    assert rows[0][5] == "3 of 3 done"
    assert sum(line.strip().startswith("each[") for line in full) == 3
    children = read["steps"][0]["children"]
    assert (children["totalCount"], children["pageInfo"]["hasNextPage"]) == (3, False)
    assert [(child["index"], child["result"]) for child in children["nodes"]] == [
        (0, {"text": "a"}),
        (1, {"text": "b"}),
        (2, {"text": "c"}),
    ]
    assert read["answer"] == ["a", "b", "c"]
    assert read["answerError"] is None


async def test_a_cancelled_run_ends_watching_with_status_4(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("pay", {"amount": 5}), plan=plan)

    assert " CANCELLED " in await lifeos.done("cancel", run_id, "--reason", "changed my mind")
    await lifeos.done("cancel", run_id)

    assert the_line(await lifeos("watch", run_id), status=4) == f"{run_id} is CANCELLED"


async def test_a_faulty_plan_names_every_fault_at_its_place(lifeos: LifeOS, plan: Write) -> None:
    faulty = '{"steps": [{"key": "a", "tool": "fly"}, {"key": "b", "tool": "note", "dependsOn": ["x"]}]}'

    line = the_line(await lifeos("submit", "--plan", plan(faulty)))

    assert re.search(r"UNKNOWN_TOOL: .*\(plan\.steps\.0\.tool\)", line)
    assert re.search(r"INVALID_PLAN: .*\(plan\.steps\.1\.dependsOn\.0\)", line)


@pytest.mark.parametrize("content", ["[]", "{}", '{"steps": 3}', '"x"', '{"steps": [{"tool": "note"}]}'])
async def test_a_file_that_is_no_plan_is_one_clear_line(content: str, lifeos: LifeOS, plan: Write) -> None:
    assert re.match(r"[A-Z_]+: ", the_line(await lifeos("submit", "--plan", plan(content))))


async def test_the_same_key_starts_nothing_twice(lifeos: LifeOS) -> None:
    first = await lifeos.done("submit", "plan groceries", "--key", "k")

    assert await lifeos.done("submit", "plan groceries", "--key", "k") == first
    other = await lifeos("submit", "plan groceries for 9", "--key", "k")
    assert the_line(other).startswith("IDEMPOTENCY_CONFLICT: ")
    assert len((await lifeos.done("runs")).splitlines()) == 1


async def test_stricter_approval_asks_about_more(lifeos: LifeOS) -> None:
    run_id = (await lifeos.done("submit", "plan groceries", "--approve-from", "L0")).strip()

    asked = await lifeos.asked(run_id)

    assert asked["step"]["tool"] == "grocery_plan"


async def test_a_user_is_made_and_has_a_role_and_is_sent_away(lifeos: LifeOS) -> None:
    made = json.loads(await lifeos.done("user", "create", "bob", "--role", "SUBMITTER", "--json"))
    token = made["token"]
    assert made["user"]["roles"] == ["SUBMITTER"]
    assert (await lifeos("runs", token=token)).exit_code == 0
    refused = await lifeos("user", "create", "eve", "--role", "ADMIN", token=token)
    assert "FORBIDDEN: " in the_line(refused)

    assert "NOT_FOUND: " in the_line(await lifeos("user", "revoke", "bobby"))
    assert made["user"]["id"] in await lifeos.done("user", "revoke", "bob")

    async with asyncio.timeout(10):  # it may be believed for a moment yet
        while (refused := await lifeos("runs", token=token)).exit_code == 0:
            pass
    assert the_line(refused).startswith("UNAUTHENTICATED: ")


async def test_an_agent_is_made_and_decides_nothing(lifeos: LifeOS, plan: Write) -> None:
    token = json.loads(await lifeos.done("user", "create", "bot", "--role", "ADMIN", "--kind", "AGENT", "--json"))[
        "token"
    ]
    asked = await lifeos.asked(await lifeos.submitted(("pay", {"amount": 5}), plan=plan))

    refused = await lifeos("decide", asked["id"], "approve", token=token)
    unknown = await lifeos("decide", asked["id"], "approve", "--accept-outside", "amount")

    assert the_line(refused).startswith("FORBIDDEN: ")
    assert "an agent decides nothing" in the_line(refused)
    assert re.match(r"INVALID_INPUT: .* \(acceptOutside\.0\)$", the_line(unknown))


async def test_what_is_not_there_is_not_found(lifeos: LifeOS) -> None:
    for args in (("show", "run_0"), ("watch", "run_0"), ("cancel", "run_0"), ("retry", "step_0")):
        assert "NOT_FOUND: " in the_line(await lifeos(*args))
    assert "NOT_FOUND: " in the_line(await lifeos("decide", "appr_0", "approve"))


async def test_runs_can_be_listed_by_state_over_all_pages(lifeos: LifeOS, plan: Write) -> None:
    waiting = await lifeos.submitted(("pay", {"amount": 1}), plan=plan)
    async with Client(lifeos.address) as client:
        ended = [(await client.submit(plan={"steps": [{"key": "n", "tool": "note"}]})).id for _ in range(3)]
        for run_id in ended:
            assert [event async for event in client.follow_run(run_id)][-1].type == "WORKFLOW_COMPLETE"

    listed = json.loads(await lifeos.done("runs", "--json", "--state", "COMPLETED", "--limit", "2"))

    assert [run["id"] for run in listed] == ended[:0:-1]
    assert waiting in await lifeos.done("runs")


async def test_a_plan_is_previewed_and_nothing_starts(lifeos: LifeOS) -> None:
    shown = await lifeos.done("preview", INTENT)

    assert [line.split()[1] for line in shown.splitlines() if not line.startswith(" ")].count("job_submit") == 2
    assert "job_submit L3  asks first  after cv_1" in shown
    assert (await lifeos.done("preview", INTENT, "--diagram")).startswith("flowchart ")
    assert await lifeos.done("runs") == ""


async def test_watching_survives_a_restart_of_the_server(dsn: str, tmp_path: Path, plan: Write) -> None:
    async with life_os(dsn, tmp_path / "data") as first:
        run_id = await first.submitted(("pay", {"amount": 5}), plan=plan)
        asked = await first.asked(run_id)
        watching = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "console", "watch", run_id, "--json"),
            cwd=ROOT,
            env={**os.environ, "LIFEOS_URL": first.address.url, "LIFEOS_TOKEN": TOKEN},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert watching.stdout is not None
        early = [await watching.stdout.readline() for _ in range(4)]
    assert watching.stderr is not None
    assert b"trying again" in await watching.stderr.readline()
    async with life_os(dsn, tmp_path / "data", port=int(first.address.url.rsplit(":", maxsplit=1)[1])) as second:
        await second.done("decide", asked["id"], "approve")
        late, _ = await watching.communicate()

    events = events_of((b"".join(early) + late).decode())
    assert watching.returncode == 0
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "WORKFLOW_COMPLETE"


async def test_the_demo_in_a_pipe_shows_everything_and_what_was_made(
    lifeos: LifeOS, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Client(lifeos.address) as client:
        await run_demo(client, yes=True, data_dir=lifeos.data_dir)

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("Answered yes without asking") == 2
    assert out.count("    │ # Sam Sample") == 2
    assert re.search(r"WORKFLOW_COMPLETE ", out)
    packages = re.findall(r"^Applied for .*: (/.*)$", out, flags=re.MULTILINE)
    calendars = re.findall(r"^Put 3 events into (/.*)$", out, flags=re.MULTILINE)
    assert [len(packages), len(calendars)] == [2, 1]
    assert all(map(os.path.isfile, [*(f"{package}/application.eml" for package in packages), *calendars]))
    assert "Shopping list\n" in out


@pytest.mark.parametrize(("typed", "ends"), [("y\nperhaps\nn\n", "(PARTIAL) 6/7"), ("yes\nYES\n", "(CLEAN) 7/7")])
async def test_the_demo_takes_answers_from_a_pipe(
    typed: str, ends: str, lifeos: LifeOS, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with io.FileIO(writing, "w") as keyboard:
        keyboard.write(typed.encode())
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        async with Client(lifeos.address) as client:
            await run_demo(client, yes=False)

    out = capsys.readouterr().out
    assert f"COMPLETED {ends} " in out.splitlines()[-1]
    assert out.count("Send exactly this? [y]es, [n]o: ") == typed.count("\n")


async def test_the_demo_without_anybody_to_answer_says_so_and_leaves_nothing_open(
    lifeos: LifeOS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    async with Client(lifeos.address) as client:
        with pytest.raises(NobodyAnswers, match="YES=1"):
            await run_demo(client, yes=False)

        assert await client.open_approvals() == []
        assert [run.state for run in await client.runs()] == ["CANCELLED"]


async def test_a_demo_that_fails_is_an_error(lifeos: LifeOS) -> None:
    async with Client(lifeos.address) as client:
        with pytest.raises(RunNotCompleted, match="UNPLANNABLE_INTENT"):
            await run_demo(client, yes=True, intent="fly to the moon")


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self) -> None:
        self.said = ""
        self._changed = asyncio.Event()
        self._hung_up = False
        self._descriptor, self._command_end = pty.openpty()
        self.process: asyncio.subprocess.Process

    async def start(self, *command: str, lifeos: LifeOS, **more: str) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            cwd=ROOT,
            env={**os.environ, "LIFEOS_URL": lifeos.address.url, "LIFEOS_TOKEN": TOKEN, "TERM": "xterm", **more},
            stdin=self._command_end,
            stdout=self._command_end,
            stderr=self._command_end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C is a signal
        )
        os.close(self._command_end)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, 65536)
        except OSError:  # the command has gone
            chunk = b""
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._hung_up = True
        self.said += chunk.decode(errors="replace")
        self._changed.set()

    async def until(self, text: str, *, times: int = 1) -> None:
        """Wait until the text was shown, so many times."""
        while self.said.count(text) < times:
            assert not self._hung_up, self.said
            self._changed.clear()
            await self._changed.wait()

    def press(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    async def ended(self) -> int:
        """The exit status."""
        status = await self.process.wait()
        while not self._hung_up:
            self._changed.clear()
            await self._changed.wait()
        return status

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


@asynccontextmanager
async def in_a_terminal(*command: str, lifeos: LifeOS, **more: str) -> AsyncIterator[Terminal]:
    terminal = Terminal()
    await terminal.start(*command, lifeos=lifeos, **more)
    try:
        yield terminal
    finally:
        await terminal.close()


async def test_on_a_terminal_the_steps_are_drawn_and_ctrl_c_leaves_the_run_alone(lifeos: LifeOS, plan: Write) -> None:
    run_id = await lifeos.submitted(("pay", {"amount": 5}), plan=plan)
    asked = await lifeos.asked(run_id)

    async with in_a_terminal("-m", "console", "watch", run_id, lifeos=lifeos) as terminal:
        await terminal.until(asked["id"])
        terminal.press("\x03")
        status = await terminal.ended()

    assert status == 130
    assert "BLOCKED" in terminal.said
    assert f"lifeos: stopped watching; the run goes on: lifeos watch {run_id}\r\n" in terminal.said
    assert "Traceback" not in terminal.said
    assert "\x1b[?25h" in terminal.said.split("stopped watching")[0]  # the cursor is visible again
    assert json.loads(await lifeos.done("show", run_id, "--json"))["state"] == "WAITING_APPROVAL"


async def test_on_a_terminal_a_run_is_drawn_to_its_end(lifeos: LifeOS) -> None:
    async with in_a_terminal("-m", "console", "submit", "plan groceries", "--watch", lifeos=lifeos) as terminal:
        status = await terminal.ended()

    assert status == 0
    assert "\x1b[" in terminal.said
    assert "grocery_plan" in terminal.said


DEMO = """
import asyncio
from console.client import Client
from console.demo import run_demo
from console.settings import read_address

async def main():
    async with Client(read_address()) as client:
        await run_demo(client, yes=False, intent="apply to 1 backend job")

asyncio.run(main())
"""


async def test_on_a_terminal_the_demo_lets_people_edit_what_is_sent(lifeos: LifeOS, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/.markdown.: .*/"markdown": "Hello",/\' "$1"\n')
    editor.chmod(0o700)
    async with in_a_terminal("-c", DEMO, lifeos=lifeos, EDITOR=str(editor)) as terminal:
        await terminal.until("in your editor: ")
        terminal.press("e\n")
        await terminal.until("Send this changed version? [y]es, [n]o, [e]dit again: ")
        assert await lifeos.done("approvals") != ""  # nothing is sent yet
        changed = terminal.said.partition("would be called with this instead:")[2]
        assert '  markdown: "Hello"' in changed
        assert '  + markdown: "Hello"' in changed.partition("What was changed")[2]
        terminal.press("n\n")
        await terminal.until("Nothing was sent.")
        await terminal.until("in your editor: ", times=2)
        terminal.press("e\n")
        await terminal.until("Send this changed version? [y]es, [n]o, [e]dit again: ", times=2)
        terminal.press("y\n")
        status = await terminal.ended()

    assert status == 0
    assert "Approved: apply" in terminal.said
    run = json.loads(await lifeos.done("runs", "--json"))[0]
    shown = json.loads(await lifeos.done("show", run["id"], "--json"))["steps"][-1]
    assert shown["tool"] == "job_submit"
    assert shown["resolvedArgs"]["markdown"] == "Hello"


@pytest.mark.parametrize(("typed", "status", "paid"), [("y\n", 0, 4), ("n\n", 1, None), ("\n", 1, None)])
async def test_on_a_terminal_an_edit_is_shown_and_asked_about_before_it_is_sent(
    typed: str, status: int, paid: int | None, lifeos: LifeOS, plan: Write
) -> None:
    run_id = await lifeos.submitted(("pay", {"amount": 5}), plan=plan)
    asked = await lifeos.asked(run_id)

    command = ("-m", "console", "decide", asked["id"], "approve", "--edit", '{"amount": 4}')
    async with in_a_terminal(*command, lifeos=lifeos) as terminal:
        await terminal.until("Send exactly this instead? [y]es, [n]o: ")
        assert "  - amount: 5\r\n  + amount: 4\r\n" in terminal.said.replace('  - to: "Ada"\r\n', "")
        assert asked["id"] in await lifeos.done("approvals")
        terminal.press(typed)
        assert await terminal.ended() == status

    assert ("nothing was decided" in terminal.said) is (paid is None)
    assert (await lifeos.done("approvals") == "") is (paid is not None)
    if paid is not None:
        await lifeos.done("watch", run_id)
        assert json.loads(await lifeos.done("show", run_id, "--json"))["steps"][0]["result"]["paid"] == paid


async def test_on_a_terminal_leaving_the_demo_leaves_nothing_open(lifeos: LifeOS) -> None:
    async with in_a_terminal("-c", DEMO, lifeos=lifeos) as terminal:
        await terminal.until("in your editor: ")
        terminal.press("\x03")
        status = await terminal.ended()

    assert status == -signal.SIGINT
    assert await lifeos.done("approvals") == ""
    assert json.loads(await lifeos.done("runs", "--json"))[0]["state"] == "CANCELLED"


async def test_a_reader_that_leaves_is_no_error(lifeos: LifeOS) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.FileIO(writing, "w") as nobody:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "console", "tools"),
            cwd=ROOT,
            env={**os.environ, "LIFEOS_URL": lifeos.address.url, "LIFEOS_TOKEN": TOKEN},
            stdout=nobody,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaints = await process.communicate()

    assert complaints == b""
    assert process.returncode == 1
