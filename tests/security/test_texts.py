"""Texts that mean to deceive: whoever decides, and whoever reads the log, sees what is there."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
import unicodedata
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import structlog
from hypothesis import given
from hypothesis import strategies as st

from persistence import ids
from persistence.logs import configure_logs
from persistence.states import Role
from schema.shared.visible import hidden_in, visible
from tests.schema.world import World, world
from tests.security.house import program

# ── what is shown ──


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("pay \u202eevil\u202c now", "pay ⟦U+202E⟧evil⟦U+202C⟧ now"),
        ("\u2066isolated\u2069", "⟦U+2066⟧isolated⟦U+2069⟧"),
        ("left\u200eright\u200f", "left⟦U+200E⟧right⟦U+200F⟧"),
        ("zero\u200bwidth\u2060\ufeff", "zero⟦U+200B⟧width⟦U+2060⟧⟦U+FEFF⟧"),
        ("so\u00adft", "so⟦U+00AD⟧ft"),
        ("a\u200db", "a⟦U+200D⟧b"),
        ("line\u2028paragraph\u2029", "line⟦U+2028⟧paragraph⟦U+2029⟧"),
        ("\x1b[31mred\x07\r\x85", "⟦U+001B⟧[31mred⟦U+0007⟧⟦U+000D⟧⟦U+0085⟧"),
        ("tags \U000e0041\U000e0042", "tags ⟦U+E0041⟧⟦U+E0042⟧"),
        ("private \ue000", "private ⟦U+E000⟧"),
        ("filler \u3164\u115f\u2800", "filler ⟦U+3164⟧⟦U+115F⟧⟦U+2800⟧"),
        ("x" + " " * 5000 + "y", "x ⟦5000 blanks⟧ y"),
        ("x" + "\n" * 5000 + "y", "x ⟦5000 blanks⟧ y"),
        ("x" + "\u00a0" * 40 + "y", "x ⟦40 blanks⟧ y"),
    ],
)
def test_what_would_hide_is_shown(text: str, shown: str):
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Grüße, Αθήνα, Привет",
        "שלום עולם",
        "مرحبا بالعالم",
        "می\u200cخواهم",
        "क्\u200dष",
        "你好，世界",
        "👩\u200d🔬 👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👍🏽\u200d♂\ufe0f",
        "e\u0301 n\u0303",
        "10\u00a0000\u202f€",
        "“quoted” — and …",
    ],
)
def test_what_people_write_stays_as_it_is(text: str):
    assert visible(text) == text


@given(st.text(max_size=60))
def test_nothing_hides_in_what_is_shown(text: str):
    shown = visible(text)

    for at, character in enumerate(shown):
        if character in "\n\t\u200c\u200d":
            continue
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}, (at, shown)
    assert visible(shown) == shown


def test_long_texts_are_shown_quickly():
    import time  # noqa: PLC0415

    begun = time.process_time()
    visible("ü" * 8192)
    visible("ü\u202e" * 4096)
    assert time.process_time() - begun < 0.5


def test_hidden_things_in_arguments_are_named_by_their_place():
    args = {"to": "evil\u202e", "list": [{"deep": "a\u200bb"}], "bad\u202ekey": 1, "fine": "Grüße", "n": 1, "no": None}

    assert list(hidden_in(args, "proposedArgs")) == [
        "A name in proposedArgs holds what does not show: U+202E RIGHT-TO-LEFT OVERRIDE.",
        "proposedArgs.to holds what does not show: U+202E RIGHT-TO-LEFT OVERRIDE.",
        "proposedArgs.list.0.deep holds what does not show: U+200B ZERO WIDTH SPACE.",
    ]
    assert list(hidden_in({"a": "x" + " " * 500 + "y"}, "args")) == [
        "args.a holds many blanks in a row, with more text behind them perhaps."
    ]
    assert list(hidden_in(None, "editedArgs")) == []
    assert len(list(hidden_in(["\u202e"] * 10_000, "args"))) == 20
    [sentence] = hidden_in({"k" * 100_000: {"a" + chr(0x202E): 1}}, "args")
    assert sentence.startswith("A name in args.kkkk")
    assert len(sentence) < 200
    [sentence] = hidden_in("".join(map(chr, range(0xE000, 0xE100))), "args")
    assert sentence.endswith("and 236 more.")


# ── to approvers ──

EVIL = "Pay Ada\u202e 000,01 \u2066EUR\u200b" + " " * 300 + "and Bob too\x1b[2K"


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as opened:
        yield opened


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an answer with its place, but for what is JSON as it was given."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("proposedArgs", "editedArgs", "args", "resolvedArgs", "metadata", "result"):
                yield from texts(inner, f"{path}.{name}")


async def test_an_approver_sees_what_hides_and_the_arguments_as_they_are(house: World):
    submitter = await house.viewer(Role.SUBMITTER)
    step = {"key": "a\u202eb", "tool": "pay", "name": EVIL, "args": {"amount": 1}}
    later = {"key": "b", "tool": "note", "name": EVIL, "args": {"text": EVIL}, "dependsOn": ["a\u202eb"]}
    submitted = await house.ask(
        submitter,
        "mutation($i: SubmitWorkflowInput!) {it: submitWorkflow(input: $i) {run {id} errors {message}}}",
        i={"plan": {"steps": [step, later]}},
    )
    assert submitted["it"]["errors"] == []
    run = submitted["it"]["run"]["id"]
    uuid = ids.parse_as(ids.RUN, run)
    assert uuid is not None
    await house.it.until(uuid, "WORKFLOW_WAITING_APPROVAL")
    approver = await house.viewer(Role.APPROVER)
    [asked] = (await house.ask(approver, "{approvals {nodes {id}}}"))["approvals"]["nodes"]
    await house.ask(
        approver,
        "mutation($i: DecideApprovalInput!) {it: decideApproval(input: $i) {errors {message}}}",
        i={"approvalId": asked["id"], "decision": "APPROVE", "reason": EVIL},
    )
    await house.it.finished(uuid)

    shown = await house.ask(
        approver,
        """query($r: ID!) {run(id: $r) {intent diagram submittedBy {name} error {message}
            steps {key name waitingFor args result error {message} approvals {reason decisionReason proposedArgs}}
            timeline {nodes {message metadata}}}}""",
        r=run,
    )

    found = list(texts(shown))
    assert {path for path, text in found if visible(text) != text} == set()
    assert any("⟦U+202E⟧" in text for _, text in found)
    steps = shown["run"]["steps"]
    assert steps[0]["name"].startswith("Pay Ada⟦U+202E⟧ 000,01 ⟦U+2066⟧EUR⟦U+200B⟧ ⟦300 blanks⟧ and Bob too⟦U+001B⟧")
    assert steps[1]["args"] == {"text": EVIL}
    assert steps[1]["result"] == {"text": EVIL}


async def test_arguments_that_hide_something_are_flagged_and_digested_as_they_are(house: World):
    submitted = await house.ask(
        house.admin,
        """mutation($i: SubmitWorkflowInput!) {it: submitWorkflow(input: $i) {run {id} errors {message}}}""",
        i={
            "plan": {"steps": [{"key": "a", "tool": "note", "args": {"text": EVIL}, "riskLevel": "L3"}]},
        },
    )
    uuid = ids.parse_as(ids.RUN, submitted["it"]["run"]["id"])
    assert uuid is not None
    await house.it.until(uuid, "WORKFLOW_WAITING_APPROVAL")

    [asked] = (await house.ask(house.admin, "{approvals {nodes {warnings proposedArgs argsDigest}}}"))["approvals"][
        "nodes"
    ]
    alone = (await house.ask(house.admin, "{approvals {nodes {warnings}}}"))["approvals"]["nodes"]

    assert asked["proposedArgs"] == {"text": EVIL}
    digested = rfc8785.dumps({"args": asked["proposedArgs"], "tool": "note"})
    assert asked["argsDigest"] == hashlib.sha256(digested).hexdigest()
    assert [warning.split(":")[0] for warning in asked["warnings"]] == [
        "proposedArgs.text holds what does not show",
        "proposedArgs.text holds many blanks in a row, with more text behind them perhaps.",
    ]
    assert "RIGHT-TO-LEFT OVERRIDE" in asked["warnings"][0]
    assert alone == [{"warnings": asked["warnings"]}]


# ── in logs ──

INJECTION = 'x\n{"event": "forged", "level": "info"}\r\n\x1b]0;title\x07\u2028forged'


async def test_nothing_that_is_sent_writes_a_line_of_its_own_into_the_log(dsn: str, tmp_path: Path):
    async with program(dsn, tmp_path) as server:
        await server.submit(
            "an-administrators-token",
            {"key": "a", "tool": "fail", "name": INJECTION, "args": {"text": INJECTION}},
            {"key": "b", "tool": "echo", "name": INJECTION, "args": {"secret": INJECTION}},
        )
        run = await server.submit("an-administrators-token", intent=INJECTION)
        await server.finished(run)
        await server.post("{viewer {name}}", headers={"X-Forwarded-For": "1.2.3.4\tforged", "User-Agent": "forged"})
        await server.http.get("/graphql%0aforged", params={"query": INJECTION})
        answer = await server.http.post(
            "/graphql",
            json={"query": "query A {viewer {name}}", "operationName": INJECTION},
            headers={"Authorization": "Bearer an-administrators-token"},
        )
        assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        lines = server.said().splitlines()

    records = [json.loads(line) for line in lines if not line.startswith(("Life OS is ready", "  http"))]
    assert records
    assert "forged" not in {record.get("event") for record in records}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    root, level = logging.getLogger().handlers[:], logging.getLogger().level
    configure_logs(redact=lambda text: text.replace("hunter2", "[secret]"))
    yield screen
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = root
    logging.getLogger().setLevel(level)


def test_a_log_on_a_terminal_is_steered_by_no_text(terminal: io.StringIO):
    structlog.get_logger("fresh").error("failed", text=INJECTION, inner=[INJECTION], exc_info=RuntimeError(INJECTION))
    logging.getLogger("a.library").warning("said %s", INJECTION)

    written = terminal.getvalue()
    assert "\x1b]0;" not in written
    assert "\x07" not in written
    assert "\r" not in written
    assert "\u2028" not in written
    assert not any(line.startswith('{"event"') for line in written.splitlines())


def test_a_log_on_a_terminal_tells_no_secret(terminal: io.StringIO):
    failed = RuntimeError("hunter2")
    structlog.get_logger("another").error("failed hunter2", text="hunter2", inner=["hunter2"], exc_info=failed)
    logging.getLogger("a.library").warning("said %s", "hunter2")

    assert "hunter2" not in terminal.getvalue()
    assert terminal.getvalue().count("[secret]") >= 4
