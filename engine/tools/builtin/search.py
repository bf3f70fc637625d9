"""The connector `job_search`: finds postings in a catalogue of local data."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from engine.tools.builtin import phrases
from engine.tools.builtin.folders import folder_to_read
from engine.tools.builtin.postings import Posting, Seniority, postings_of
from engine.tools.builtin.ranking import rank
from engine.tools.builtin.words import words_of
from engine.tools.context import ToolContext
from engine.tools.declaration import tool


class FoundJob(Posting):
    """A posting that was found. What somebody's own file says beyond its fields comes along, and is not promised."""

    model_config = ConfigDict(extra="ignore")

    score: float
    """How well it answers the query; the best come first."""
    why: str


class FoundJobs(TypedDict):
    """What a search gives."""

    jobs: list[FoundJob]
    found: int
    unknown_words: list[str]


# Companies write postings, not the user.
@tool(risk="L0", phrases=phrases.JOB_SEARCH, reads_outside=True)
def job_search(
    ctx: ToolContext,
    query: Annotated[str, Field(max_length=500)],
    *,
    count: Annotated[int, Field(ge=1, le=50)] = 10,
    location: Annotated[str, Field(max_length=200)] | None = None,
    remote: bool | None = None,
    min_salary: Annotated[int, Field(ge=0, le=10**9)] | None = None,
    seniority: Seniority | None = None,
) -> FoundJobs:
    """Finds job postings, best first, in your own jobs.json or else in the catalogue of examples.

    Each filter must hold: the posting's location has the words of `location`, and its salary, in its own
    currency, can reach `min_salary`. `found` counts all that fit; `unknown_words` are those of the query
    that no posting has. Fewer than `count`, and such words, are a notice too.
    """
    postings = [
        posting
        for posting in postings_of(folder_to_read(ctx))
        if (location is None or _is_in(posting, location))
        and (remote is None or posting.remote == remote)
        and (min_salary is None or (posting.salary is not None and posting.salary.max >= min_salary))
        and (seniority is None or posting.seniority == seniority)
    ]
    found, unknown = rank(postings, query)
    # The annotation says their form; here they are JSON already.
    jobs = cast(
        "list[FoundJob]",
        [
            {**ranked.posting.model_dump(mode="json"), "score": ranked.score, "why": ranked.why}
            for ranked in found[:count]
        ],
    )
    if len(jobs) < count:
        ctx.notice(f"{len(jobs)} of {count} found")
    if unknown and postings:
        ctx.notice(f"no posting has the word{'s' * (len(unknown) > 1)} {', '.join(unknown)}")
    return {"jobs": jobs, "found": len(found), "unknown_words": unknown}


def _is_in(posting: Posting, location: str) -> bool:
    here = set(words_of(posting.location or ""))
    if posting.remote:
        here.add("remote")
    wanted = words_of(location)
    return all(word in here for word in wanted)
