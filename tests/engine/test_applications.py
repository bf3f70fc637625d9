"""An application from its plan to its mail: what was approved, or edited, is what the mail says."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidPlan
from engine.plans import PlanStep
from engine.tools import load_registry
from tests.engine.harness import APPROVE, Running, running, step

JOB = {"id": "1", "title": "=?utf-8?q?Boss=0D=0ABcc=3A_e=40evil=2Eexample?= x", "company": "Acme, evil@evil.example"}
CV = {"basics": {"name": "Ann", "email": "ann@otter.example"}}
ARGS = {"job": {**JOB, "apply_to": "jobs@acme.example"}, "resume": CV}


def mail_of(folder: Path) -> EmailMessage:
    [path] = folder.rglob("*.eml")
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def said_by(message: EmailMessage) -> dict[str, Any]:
    body = message.get_body()
    assert body is not None
    markdown, resume = message.iter_attachments()
    [sender], [recipient] = message["From"].addresses, message["To"].addresses
    return {
        "sender": {"name": sender.display_name, "address": sender.addr_spec},
        "recipient": {"name": recipient.display_name, "address": recipient.addr_spec},
        "subject": message["Subject"],
        "cover_letter": body.get_content().replace("\r\n", "\n"),
        "markdown": markdown.get_content(),
        "file_names": {"markdown": markdown.get_filename(), "resume": resume.get_filename()},
    }


async def test_the_mail_says_what_was_approved(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, load_registry(), data_dir=tmp_path) as it:
        run = await it.submit(step("a", "job_submit", args=ARGS))
        approval = await it.asked(run)
        await it.decide(approval, APPROVE, digest=approval["digest"])
        assert (await it.finished(run))["state"] == "COMPLETED"

    proposed, message = approval["proposed_args"], mail_of(tmp_path)
    assert {name: proposed[name] for name in said_by(message)} == said_by(message)
    assert proposed["subject"] == f"Application for {JOB['title']}: Ann"
    assert proposed["job"]["remote"] is False
    assert set(map(str.lower, message)) == {
        *("message-id", "date", "from", "to", "subject", "mime-version", "content-type")
    }


async def test_the_mail_says_what_was_edited(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, load_registry(), data_dir=tmp_path) as it:
        run = await it.submit(step("a", "job_submit", args=ARGS))
        approval = await it.asked(run)
        edited = {
            **approval["proposed_args"],
            "subject": "Hello",
            "cover_letter": "Good morning\n",
            "recipient": {"name": "The boss", "address": "boss@acme.example"},
        }
        await it.decide(approval, APPROVE, edited=edited)
        assert (await it.finished(run))["state"] == "COMPLETED"

    said = said_by(mail_of(tmp_path))
    assert {name: edited[name] for name in said} == said


async def applied(it: Running, folder: Path, email: str | None) -> dict[str, Any]:
    user = folder / "users" / f"user_{it.admin.id.hex}"
    user.mkdir(parents=True)
    (user / "resume.json").write_text(json.dumps({"basics": {"name": "Ann", "email": email}}))
    run = await it.submit(
        PlanStep("cv", "cv_tailor", args={"job": ARGS["job"]}),
        step("apply", "job_submit", after=["cv"], args={"job": ARGS["job"], "resume": {"$jmespath": "cv.resume"}}),
    )
    await it.finished(run)
    return (await it.steps(run))["apply"]


async def test_a_cv_without_an_address_is_named_before_anybody_is_asked(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, load_registry(), data_dir=tmp_path) as it:
        found = await applied(it, tmp_path, None)

    assert (found["state"], found["error_code"]) == ("FAILED", "ARGS_UNFIT")
    assert "args.resume.basics.email the CV has no address to send from: write it into" in found["error_message"]


@pytest.mark.parametrize("address", ["a..b@acme.example", "jobs.@acme.example", "jobs@acme"])
async def test_an_address_that_can_not_be_written_to_is_refused_when_it_is_planned(dsn: str, address: str) -> None:
    async with running(dsn, load_registry()) as it:
        with pytest.raises(InvalidPlan) as error:
            await it.submit(step("a", "job_submit", args={**ARGS, "job": {**JOB, "apply_to": address}}))

    assert [fault.path for fault in error.value.faults] == [("plan", "steps", 0, "args", "job", "apply_to")]
