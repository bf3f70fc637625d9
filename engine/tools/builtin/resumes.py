"""CVs in the form of JSON Resume (jsonresume.org/schema): what we read of it, and the rest kept as it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from engine.tools.builtin.folders import read_own, shipped
from engine.tools.builtin.postings import checked

Text = Annotated[str, Field(max_length=10_000)]
Day = Annotated[str, Field(pattern=r"^[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$")]
"""A date as JSON Resume writes it: a year, a month or a day."""
Texts = Annotated[list[Text], Field(max_length=200)]


def _title(name: str, _field: object) -> str:
    return name.replace("_", " ").capitalize()


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", alias_generator=to_camel, field_title_generator=_title)


class Place(_Part):
    """Where somebody lives."""

    address: Text | None = None
    postal_code: Text | None = None
    city: Text | None = None
    country_code: Text | None = None
    region: Text | None = None


class Profile(_Part):
    """An account somewhere else."""

    network: Text | None = None
    username: Text | None = None
    url: Text | None = None


class Basics(_Part):
    """Who it is."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    label: Text | None = None
    email: Annotated[str, Field(max_length=254)] | None = None
    phone: Text | None = None
    url: Text | None = None
    summary: Text | None = None
    location: Place | None = None
    profiles: Annotated[list[Profile], Field(max_length=50)] = []


class Work(_Part):
    """One position."""

    name: Text | None = None
    position: Text | None = None
    location: Text | None = None
    url: Text | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    summary: Text | None = None
    highlights: Texts = []


class Education(_Part):
    """One course of study."""

    institution: Text | None = None
    area: Text | None = None
    study_type: Text | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    score: Text | None = None
    courses: Texts = []


class Skill(_Part):
    """A group of skills."""

    name: Text | None = None
    level: Text | None = None
    keywords: Texts = []


class Project(_Part):
    """Something made."""

    name: Text | None = None
    description: Text | None = None
    highlights: Texts = []
    keywords: Texts = []
    start_date: Day | None = None
    end_date: Day | None = None
    url: Text | None = None


class Language(_Part):
    """A language spoken."""

    language: Text | None = None
    fluency: Text | None = None


class Resume(_Part):
    """A whole CV; `basics.name` alone is required."""

    basics: Basics
    work: Annotated[list[Work], Field(max_length=100)] = []
    education: Annotated[list[Education], Field(max_length=50)] = []
    skills: Annotated[list[Skill], Field(max_length=100)] = []
    projects: Annotated[list[Project], Field(max_length=100)] = []
    languages: Annotated[list[Language], Field(max_length=50)] = []


OWN_FILE: Final = "resume.json"
_RESUME: Final = TypeAdapter(Resume)


def own_resume(folder: Path) -> Resume | None:
    """The CV in the user's folder, or None; ToolError if it does not have the form it should."""
    own = read_own(folder / OWN_FILE)
    return None if own is None else checked(_RESUME, own, OWN_FILE)


@cache
def sample_resume() -> Resume:
    """The CV of somebody who does not exist, for trying things out."""
    return _RESUME.validate_json(shipped(OWN_FILE), strict=True)


def as_json(resume: Resume) -> dict[str, Any]:
    """The CV as JSON Resume; what was not said stays unsaid."""
    # Arguments have every default written out, null and empty lists, which is no longer unset.
    return resume.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_defaults=True)


def as_markdown(resume: Resume) -> str:
    """The CV for people to read."""
    return "\n\n".join([*_heading(resume.basics), *_sections(resume)]) + "\n"


def _heading(basics: Basics) -> list[str]:
    place = basics.location.city if basics.location else None
    contact = [basics.email, basics.phone, basics.url, place, *(profile.url for profile in basics.profiles)]
    said = [f"# {_line(basics.name)}", f"**{_line(basics.label)}**" if basics.label else ""]
    said += [" · ".join(_line(each) for each in contact if each), basics.summary or ""]
    return [each for each in said if each]


def _sections(resume: Resume) -> list[str]:
    sections: dict[str, list[str]] = {
        "Skills": [_skill(skill) for skill in resume.skills],
        "Work": [_work(work) for work in resume.work],
        "Projects": [_project(project) for project in resume.projects],
        "Education": [_education(education) for education in resume.education],
        "Languages": [f"- {_joined([each.language, each.fluency])}" for each in resume.languages],
    }
    lists = {"Skills", "Languages"}
    return [
        f"## {title}\n\n" + ("\n" if title in lists else "\n\n").join(entries)
        for title, entries in sections.items()
        if entries
    ]


def _skill(skill: Skill) -> str:
    name = f"**{_line(skill.name)}**: " if skill.name else ""
    return f"- {name}{_joined(skill.keywords) or _line(skill.level or '')}"


def _work(work: Work) -> str:
    title = _joined([work.position, work.name])
    return _entry(title, _time(work.start_date, work.end_date, runs=True), work.summary, work.highlights)


def _project(project: Project) -> str:
    when = _time(project.start_date, project.end_date, runs=False)
    return _entry(_line(project.name or "Project"), when, project.description, project.highlights)


def _education(education: Education) -> str:
    title = _joined([education.study_type, education.area, education.institution])
    return _entry(title, _time(education.start_date, education.end_date, runs=False), None, education.courses)


def _entry(title: str, when: str, text: str | None, points: list[str]) -> str:
    parts = [f"### {title}" + (f" ({when})" if when else "")]
    parts += [text] if text else []
    parts += ["\n".join(f"- {_line(point)}" for point in points)] if points else []
    return "\n\n".join(parts)


def _time(start: str | None, end: str | None, *, runs: bool) -> str:
    """A stretch of time; without an end, work goes on, and other things have one date."""
    if start and (end or runs):
        return f"{start} – {end or 'now'}"
    return start or end or ""


def _joined(parts: list[str] | list[str | None]) -> str:
    return ", ".join(_line(part) for part in parts if part)


def _line(text: str) -> str:
    return " ".join(text.split())
