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

from engine.tools import ArgsUnfit, Tool, ToolContext, load_registry, plain
from engine.tools.builtin import submit
from engine.values import fault_of
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
    assert json.loads((package / "posting.json").read_bytes()) == JOB
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


async def test_a_cv_without_a_usable_address_is_sent_from_none_that_exists(tmp_path, submit_as):
    for number, email in enumerate([None, "nonsense", "a@b.example\nBcc: all@c.example"]):
        basics = {"name": "Ann\nBcc: x@y.example", **({} if email is None else {"email": email})}

        result = await submit_as(str(number), resume={"basics": basics})

        message = mail_in(tmp_path / result["package"])
        assert message["From"].addresses[0].addr_spec == "no-address@lifeos.invalid"
        assert message["Bcc"] is None


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
