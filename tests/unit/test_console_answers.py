"""A person's answers come line by line, and waiting for one can be given up."""

import asyncio
import io
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.answers import Answers


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """What is written into it arrives at standard input."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as stdin, io.FileIO(writing, "w") as typed:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typed


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """What is typed at a terminal that is standard input."""
    person, command = pty.openpty()
    with open(command, encoding="utf-8") as stdin, io.FileIO(person, "w") as typed:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typed


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A file that is standard input, which no event loop can watch."""
    path = tmp_path / "typed"
    path.write_text("yes\nno\n")
    with path.open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield


async def test_each_question_gets_its_line(keyboard: io.FileIO, capsys: pytest.CaptureFixture[str]) -> None:
    answers = Answers()
    keyboard.write(b"yes\nno\n")

    assert [await answers.ask("first? "), await answers.ask("second? ")] == ["yes", "no"]
    assert capsys.readouterr().out == "first? second? "


async def test_a_line_may_come_in_pieces_while_other_things_go_on(keyboard: io.FileIO) -> None:
    asked = asyncio.create_task(Answers().ask("? "))
    keyboard.write(b"y")
    await asyncio.sleep(0)
    assert not asked.done()

    keyboard.write(b"es\n")

    assert await asked == "yes"


async def test_the_end_of_input_is_no_answer(keyboard: io.FileIO) -> None:
    keyboard.close()

    assert await Answers().ask("? ") is None


async def test_a_last_line_without_its_end_counts(keyboard: io.FileIO) -> None:
    answers = Answers()
    keyboard.write(b"yes")
    keyboard.close()

    assert [await answers.ask("? "), await answers.ask("? ")] == ["yes", None]


@pytest.mark.usefixtures("file")
async def test_answers_can_be_in_a_file() -> None:
    answers = Answers()

    assert [await answers.ask("? ") for _ in range(3)] == ["yes", "no", None]


@pytest.mark.parametrize("stdin", [None, io.StringIO("yes\n")])
async def test_an_input_that_is_no_file_is_no_answer(
    stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)

    assert await Answers().ask("? ") is None


async def test_giving_up_leaves_the_input_to_the_next(keyboard: io.FileIO) -> None:
    answers = Answers()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await answers.ask("? ")

    keyboard.write(b"late\n")

    assert await answers.ask("? ") == "late"


async def test_what_was_typed_before_the_question_is_no_answer_to_it(terminal: io.FileIO) -> None:
    answers = Answers()
    terminal.write(b"yes\nyes\n")
    waiting = asyncio.create_task(answers.ask("send this? "))
    await asyncio.sleep(0)  # it asks
    terminal.write(b"no\nyes\n")

    assert await waiting == "no"

    again = asyncio.create_task(answers.ask("and this? "))
    await asyncio.sleep(0)
    terminal.write(b"n\n")

    assert await again == "n"
