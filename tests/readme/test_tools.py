"""The page on tools: where a user's own files are, and what they look like."""

from __future__ import annotations

from pathlib import Path

from engine.tools.builtin.postings import OWN_FILE as OWN_JOBS
from engine.tools.builtin.postings import AddressedPosting, postings_of
from engine.tools.builtin.resumes.files import OWN_FILE as OWN_RESUME
from tests.readme.markdown import PAGES, blocks_of, table_after

PAGE = PAGES["docs/tools.md"]


def test_the_users_own_files_stand_in_the_first_screen() -> None:
    files = [row[0] for row in table_after(PAGE, "Where your files are")]

    assert files == [OWN_RESUME, OWN_JOBS, "outbox/", "calendar.ics"]
    assert "calendar.ics" in "\n".join(PAGE.splitlines()[:20])


def test_the_posting_that_is_shown_can_be_searched_and_applied_for(tmp_path: Path) -> None:
    (block,) = (block for block in blocks_of(PAGE) if block.words == ("json", "jobs"))
    (tmp_path / OWN_JOBS).write_text(block.text)

    (posting,) = postings_of(tmp_path)

    AddressedPosting.model_validate(posting.model_dump())
