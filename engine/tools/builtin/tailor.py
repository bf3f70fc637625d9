"""The connector `cv_tailor`: fits the user's CV to a posting."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from typing_extensions import TypedDict

from engine.tools.builtin import phrases
from engine.tools.builtin.folders import folder_to_read, relative
from engine.tools.builtin.postings import Posting
from engine.tools.builtin.resumes import OWN_FILE, Resume, as_json, as_markdown, own_resume, sample_resume
from engine.tools.builtin.tailoring import Match, tailor
from engine.tools.context import ToolContext
from engine.tools.declaration import tool


class TailoredResume(TypedDict):
    """A CV as JSON Resume and as text, and how well it answers the posting."""

    resume: Resume
    markdown: str
    match: Match
    sample: bool


@tool(risk="L0", phrases=phrases.CV_TAILOR)
def cv_tailor(ctx: ToolContext, job: Posting, resume: Resume | None = None) -> TailoredResume:
    """Fits a CV (JSON Resume) to a job posting by choosing and ordering what it says; it adds nothing.

    The CV is the one given, else your own resume.json, else that of a sample person, and `sample` says so. Dates,
    numbers and older field names are read as people write them; what was left out is a notice.
    """
    folder = folder_to_read(ctx)
    chosen = resume or own_resume(folder)
    sample = chosen is None
    for remark in chosen.left_out if chosen else ():
        ctx.notice(remark)
    tailored, match = tailor(chosen or sample_resume(), job)
    if sample:
        own = relative(ctx, folder / OWN_FILE)
        said = f"This is the CV of a sample person: put your own into the data folder at {own}."
        match.explanation.insert(0, said)
        ctx.notice(said)
    made = {"resume": as_json(tailored), "markdown": as_markdown(tailored), "match": asdict(match), "sample": sample}
    # The annotation says its form; here it is JSON already.
    return cast("TailoredResume", made)
