from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from engine.tools import ArgsUnfit, Tool, ToolContext, ToolError, load_registry, plain
from engine.tools.builtin import mails, submit
from engine.values import dotted, fault_of
from persistence.states import Risk

TOOL = load_registry().get("job_submit")
assert TOOL is not None
SUBMIT: Tool = TOOL

JOB = {"id": "j1", "title": "Gärtner", "company": "Park & Söhne", "apply_to": "jobs@park.example", "score": 1.5}
CV = {"basics": {"name": "Ann Ötter", "email": "ann@otter.example"}}


@pytest.fixture
def submit_as(tmp_path) -> Callable[..., Any]:
    async def call(key: str = "key", **args: Any) -> Any:
        ctx = ToolContext(key, "run_1", "step_1", 1, "user_1", "tool", tmp_path)
        return await SUBMIT.call(ctx, SUBMIT.fit({"job": JOB, "resume": CV, **args}))

    return call


def packages(data_dir: Path) -> list[Path]:
    return sorted(each for each in (data_dir / "users/user_1/outbox").iterdir() if each.is_dir())


def contents(data_dir: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in data_dir.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def mail_in(package: Path) -> EmailMessage:
    message = message_from_bytes((package / "application.eml").read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_it_always_needs_a_person_and_may_be_called_again():
    assert SUBMIT.risk is Risk.L3
    assert SUBMIT.idempotent is True


async def test_the_package_holds_a_mail_that_a_mail_program_reads(tmp_path, submit_as):
    result = await submit_as(markdown="# Ann\n", cover_letter="Dear Park,\nplease.\n")

    message = mail_in(tmp_path / result["package"])
    assert message["To"].addresses[0].addr_spec == "jobs@park.example"
    assert message["To"].addresses[0].display_name == "Park & Söhne"
    assert message["From"].addresses[0].addr_spec == "ann@otter.example"
    assert message["Subject"] == "Application for Gärtner: Ann Ötter"
    assert message["Message-ID"] == result["message_id"]
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None
    body = message.get_body()
    assert body is not None
    assert body.get_content().splitlines() == ["Dear Park,", "please."]
    markdown, resume = message.iter_attachments()
    assert (markdown.get_filename(), markdown.get_content().strip()) == ("ann-otter.md", "# Ann")
    assert (resume.get_filename(), json.loads(resume.get_content())) == ("ann-otter.json", CV)


async def test_the_result_and_the_files_say_what_was_sent(tmp_path, submit_as):
    result = await submit_as()

    package = tmp_path / result["package"]
    assert result["submitted"] is True
    assert result["job"] == {"id": "j1", "title": "Gärtner", "company": "Park & Söhne", "apply_to": "jobs@park.example"}
    assert result["recipient"] == "jobs@park.example"
    posting = json.loads((package / "posting.json").read_bytes())
    assert posting == SUBMIT.fit({"job": JOB, "resume": CV})["job"]
    assert posting.items() >= JOB.items()
    assert json.loads((package / "resume.json").read_bytes()) == CV
    assert fault_of(plain(result)) is None
    body = mail_in(package).get_body()
    assert body is not None
    assert "position of Gärtner (reference j1)" in body.get_content()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "users").rglob("*"))


async def test_the_same_execution_key_answers_the_same_and_writes_nothing(tmp_path, submit_as):
    first = await submit_as()
    before = contents(tmp_path)

    again = await submit_as()

    assert again == first
    assert contents(tmp_path) == before


async def test_another_execution_key_is_another_application(tmp_path, submit_as):
    first = await submit_as("key 1")
    second = await submit_as("key 2")

    assert first["message_id"] != second["message_id"]
    assert len(packages(tmp_path)) == 2


@pytest.mark.parametrize("at", ["_appear", "write_whole", "_message"])
async def test_a_crash_in_the_middle_leaves_no_package_and_the_next_attempt_makes_it(
    tmp_path, submit_as, monkeypatch, at
):
    def die(*_args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(submit, at, die)
        with pytest.raises(SystemExit):
            await submit_as()
    assert not [each for each in packages(tmp_path) if not each.name.startswith(".")]

    result = await submit_as()

    assert packages(tmp_path) == [tmp_path / result["package"]]


async def test_a_crash_right_after_it_appeared_counts_as_done(tmp_path, submit_as, monkeypatch):
    def die(*_args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(submit, "keep", die)
        with pytest.raises(SystemExit):
            await submit_as()
    before = contents(tmp_path)

    result = await submit_as()

    assert contents(tmp_path) == before
    assert mail_in(tmp_path / result["package"])["Message-ID"] == result["message_id"]


async def test_attempts_at_the_same_time_write_one_package(tmp_path, submit_as):
    results = await asyncio.gather(*(submit_as() for _ in range(6)))

    assert all(result == results[0] for result in results)
    assert len(packages(tmp_path)) == 1


def faults_of(**args: Any) -> dict[str, str]:
    with pytest.raises(ArgsUnfit) as unfit:
        SUBMIT.fit({"job": JOB, "resume": CV, **args})
    return {dotted(fault.path): fault.message for fault in unfit.value.faults}


def test_everything_that_the_mail_says_stands_in_the_arguments():
    fitted = SUBMIT.fit({"job": JOB, "resume": CV})

    assert fitted["job"]["remote"] is False
    assert fitted["resume"]["basics"]["phone"] is None
    assert fitted["sender"] == {"name": "Ann Ötter", "address": "ann@otter.example"}
    assert fitted["recipient"] == {"name": "Park & Söhne", "address": "jobs@park.example"}
    assert fitted["subject"] == "Application for Gärtner: Ann Ötter"
    assert fitted["cover_letter"].startswith("Dear Park & Söhne,\n\nI should like to apply for the position of Gärtner")
    assert fitted["markdown"] == "# Ann Ötter\n\nann@otter.example\n"
    assert fitted["file_names"] == {"markdown": "ann-otter.md", "resume": "ann-otter.json"}
    assert SUBMIT.fit(fitted) == fitted


async def test_what_is_edited_is_what_is_sent(tmp_path, submit_as):
    result = await submit_as(
        subject="Gärtner, bitte",
        cover_letter="Hello\n",
        sender={"name": "A. Ö.", "address": "a@otter.example"},
        recipient={"address": "boss@park.example"},
        file_names={"markdown": "cv.txt", "resume": "cv.json"},
    )

    message = mail_in(tmp_path / result["package"])
    assert message["Subject"] == "Gärtner, bitte"
    assert [(each.display_name, each.addr_spec) for each in message["From"].addresses] == [("A. Ö.", "a@otter.example")]
    assert [(each.display_name, each.addr_spec) for each in message["To"].addresses] == [("", "boss@park.example")]
    assert [each.get_filename() for each in message.iter_attachments()] == ["cv.txt", "cv.json"]
    assert result["recipient"] == "boss@park.example"


@pytest.mark.parametrize("email", [None, "", "  ", "nonsense", "a..b@otter.example", "ann.@otter.example"])
def test_without_an_address_to_send_from_nobody_is_asked_and_it_says_where_to_write_one(email):
    faults = faults_of(resume={"basics": {"name": "Ann", "email": email}})

    assert list(faults) == ["resume.basics.email"]
    assert "write it into basics.email of your resume.json" in faults["resume.basics.email"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (" ann@otter.example ", "ann@otter.example"),
        ("mailto:ann@otter.example", "ann@otter.example"),
        ("ann@ötter.example", "ann@ötter.example"),
    ],
)
async def test_an_address_as_people_write_it_in_a_cv_is_the_one_sent_from(tmp_path, submit_as, written, read):
    resume = {"basics": {"name": "Ann", "email": written}}

    result = await submit_as(resume=resume)

    assert SUBMIT.fit({"job": JOB, "resume": resume})["sender"] == {"name": "Ann", "address": read}
    sender = mail_in(tmp_path / result["package"])["From"].addresses[0]
    assert sender.addr_spec == read.replace("ötter", "xn--tter-4qa")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("a..b@park.example", "two periods in a row"),
        ("jobs.@park.example", "a period immediately before the @-sign"),
        (" jobs@park.example", "without blanks around it"),
        ("mailto:jobs@park.example", "without mailto:"),
        ("jobs", "must have an @-sign"),
        ("jobs@park", "should have a period"),
        ("jörg@park.example", "before the @-sign are not supported"),
        ("Jobs <jobs@park.example>", "should be an e-mail address"),
        ("=?utf-8?q?jobs?=@park.example", "should have no =?"),
        ("jobs@park.example, boss@park.example", "should be an e-mail address"),
    ],
)
def test_an_address_that_can_not_be_written_to_is_named_when_it_is_planned(address, says):
    assert says in faults_of(job={**JOB, "apply_to": address})["job.apply_to"]
    assert says in faults_of(recipient={"address": address})["recipient.address"]
    with_reference = {"job": {"$jmespath": "a"}, "resume": CV, "recipient": {"address": address}}
    assert [fault.path for fault in SUBMIT.faults(with_reference)] == [("recipient", "address")]


async def test_a_domain_in_any_script_is_written_as_servers_know_it(tmp_path, submit_as):
    result = await submit_as(job={**JOB, "apply_to": "jobs@bücher.example"})

    assert b"<jobs@xn--bcher-kva.example>" in (tmp_path / result["package"] / "application.eml").read_bytes()
    assert result["recipient"] == "jobs@bücher.example"


def test_what_holds_a_secret_is_not_composed_from():
    secret = {"$secret": "NAME"}
    faults = faults_of(resume={"basics": {"name": secret, "email": "a@otter.example"}})

    assert "holds a $secret, so sender, recipient, subject" in faults["resume"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("url", "javascript:alert(1)", "should be a web address"),
        ("url", "https://park.example/a\nb", "should be a web address"),
        ("url", "park.example", "should be a web address"),
        ("posted_at", "2026-02-30", "day is out of range"),
        ("title", "a\x1bb", "should be one line of text, and has the control character U+001B"),
    ],
)
def test_what_else_a_posting_says_is_looked_at_too(field, value, says):
    assert says in faults_of(job={**JOB, field: value})[f"job.{field}"]


async def test_a_mail_that_would_read_differently_is_not_written(tmp_path, submit_as, monkeypatch):
    monkeypatch.setattr(mails, "_words", lambda text: "=?utf-8?q?Application=0D=0ABcc=3A_evil=40evil=2Eexample?=")

    with pytest.raises(ToolError, match="nothing was written") as error:
        await submit_as()

    assert error.value.retryable is False
    assert packages(tmp_path) == []


@pytest.mark.parametrize(
    "job",
    [
        {**JOB, "apply_to": None},
        {key: value for key, value in JOB.items() if key != "apply_to"},
        {**JOB, "apply_to": "jobs@park.example\nBcc: x@y.example"},
        {**JOB, "apply_to": "a@b.example, c@d.example"},
        {**JOB, "title": "x\nBcc: x@y.example"},
        {**JOB, "company": "x\u2028y"},
    ],
)
def test_a_posting_that_can_not_be_answered_is_refused_before_anybody_is_asked(job):
    with pytest.raises(ArgsUnfit):
        SUBMIT.fit({"job": job, "resume": CV})
