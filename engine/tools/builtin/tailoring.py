"""Fits a CV to a posting by choosing and ordering what it says: nothing is ever added or reworded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.tools.builtin.postings import Posting
from engine.tools.builtin.resumes import Project, Resume, Skill, Work
from engine.tools.builtin.words import words_of

MOST_HIGHLIGHTS: Final = 4
"""The most points of one position or project that fits the posting."""

FEWEST_HIGHLIGHTS: Final = 2
"""What is kept of a position that does not fit: it stays, so that the CV has no gap."""

MOST_PROJECTS: Final = 3

_SMALL_WORDS: Final = frozenset(
    words_of(
        "a an and are as at be by for from has in is it of on one or our that the their they to we who with you your"
    )
)


@dataclass(frozen=True, slots=True)
class Match:
    """How well a CV answers a posting: `score` is the part of the skills asked for that it shows, 0 to 1."""

    score: float
    matched: list[str]
    missing: list[str]
    explanation: list[str]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a posting asks for: its skills as runs of words, and the words of its texts."""

    skills: dict[str, tuple[str, ...]]
    words: frozenset[str]

    def weight(self, *texts: str | None) -> int:
        """How much texts answer the posting: a skill counts as much as five other words."""
        said = [words_of(text) for text in texts if text]
        skills = sum(any(_contains(words, skill) for words in said) for skill in self.skills.values())
        return 5 * skills + len(self.words & {word for words in said for word in words})


def tailor(resume: Resume, posting: Posting) -> tuple[Resume, Match]:
    """The CV with what answers the posting first, and the rest of it shortened; and how well it answers."""
    wanted = _wanted(posting)
    skills = _skills(resume.skills, wanted)
    work = [_work(each, wanted) for each in resume.work]
    projects = _projects(resume.projects, wanted)
    parts = {"skills": skills, "work": work, "projects": projects}
    said = {name: part for name, part in parts.items() if name in resume.model_fields_set}
    return resume.model_copy(update=said), _match(resume, posting, wanted, work, projects)


def _wanted(posting: Posting) -> _Wanted:
    asked = posting.skills or [word for word in words_of(posting.title) if word not in _SMALL_WORDS]
    skills = {skill: words for skill in asked if (words := words_of(skill))}
    return _Wanted(skills, frozenset(words_of(f"{posting.title} {posting.description}")) - _SMALL_WORDS)


def _skills(skills: Sequence[Skill], wanted: _Wanted) -> list[Skill]:
    ordered = [
        skill.model_copy(update={"keywords": _by_weight(skill.keywords, wanted)}) if skill.keywords else skill
        for skill in skills
    ]
    return sorted(ordered, key=lambda skill: -wanted.weight(skill.name, *skill.keywords))


def _work(work: Work, wanted: _Wanted) -> Work:
    return work.model_copy(update={"highlights": _chosen(work.highlights, wanted)}) if work.highlights else work


def _projects(projects: Sequence[Project], wanted: _Wanted) -> list[Project]:
    weights = {
        id(each): wanted.weight(each.name, each.description, *each.highlights, *each.keywords) for each in projects
    }
    ordered = sorted(projects, key=lambda each: -weights[id(each)])
    fitting = [each for each in ordered if weights[id(each)] > 0] or ordered[:1]
    return [
        each.model_copy(
            update={
                name: value
                for name, value in (
                    ("highlights", _chosen(each.highlights, wanted)),
                    ("keywords", _by_weight(each.keywords, wanted)),
                )
                if value
            }
        )
        for each in fitting[:MOST_PROJECTS]
    ]


def _chosen(points: Sequence[str], wanted: _Wanted) -> list[str]:
    """The points that answer the posting, best first, then others up to the fewest that a position keeps."""
    ordered = _by_weight(points, wanted)
    fitting = sum(wanted.weight(point) > 0 for point in ordered)
    return ordered[: max(min(fitting, MOST_HIGHLIGHTS), FEWEST_HIGHLIGHTS)]


def _by_weight(texts: Iterable[str], wanted: _Wanted) -> list[str]:
    return sorted(texts, key=lambda text: -wanted.weight(text))


def _match(
    resume: Resume, posting: Posting, wanted: _Wanted, work: Sequence[Work], projects: Sequence[Project]
) -> Match:
    places = {skill: place for skill, words in wanted.skills.items() if (place := _place(resume, words))}
    missing = [skill for skill in wanted.skills if skill not in places]
    kept = sum(len(each.highlights) for each in work)
    had = sum(len(each.highlights) for each in resume.work)
    explanation = [
        f"{posting.title} asks for {len(wanted.skills)} skills; this CV shows {len(places)} of them.",
        *(f"{skill}: {place}." for skill, place in places.items()),
        *([f"Not shown: {', '.join(missing)}. Nothing was added for them."] if missing else []),
        f"Kept {kept} of {had} points of work and {len(projects)} of {len(resume.projects)} projects.",
        "What answers the posting comes first; positions stay in their order.",
    ]
    score = round(len(places) / len(wanted.skills), 2) if wanted.skills else 0.0
    return Match(score, list(places), missing, explanation)


def _place(resume: Resume, skill: tuple[str, ...]) -> str | None:
    """The first place in the CV that shows a skill, in words."""
    places = (
        place for place, texts in _places(resume) if any(_contains(words_of(text), skill) for text in texts if text)
    )
    return next(places, None)


def _places(resume: Resume) -> Iterator[tuple[str, list[str | None]]]:
    """What the CV says, by where it says it."""
    for group in resume.skills:
        yield f"listed under {group.name}" if group.name else "listed among the skills", [group.name, *group.keywords]
    for work in resume.work:
        where = f"shown at {work.name}" if work.name else "shown at work"
        yield where, [work.position, work.summary, *work.highlights]
    for project in resume.projects:
        where = f"shown in the project {project.name}" if project.name else "shown in a project"
        yield where, [project.description, *project.highlights, *project.keywords]
    for certificate in resume.certificates:
        yield "shown by a certificate", [certificate.name, certificate.issuer]
    for volunteer in resume.volunteer:
        where = f"shown at {volunteer.organization}" if volunteer.organization else "shown in volunteer work"
        yield where, [volunteer.position, volunteer.summary, *volunteer.highlights]
    for education in resume.education:
        where = f"studied at {education.institution}" if education.institution else "studied"
        yield where, [education.area, *education.courses]
    for each in resume.languages:
        yield "a language spoken", [each.language]
    yield "said in the summary", [f"{resume.basics.label or ''} {resume.basics.summary or ''}"]


def _contains(words: Sequence[str], run: Sequence[str]) -> bool:
    length = len(run)
    return any(tuple(words[start : start + length]) == tuple(run) for start in range(len(words) - length + 1))
