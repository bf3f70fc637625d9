"""CVs in the form of JSON Resume (jsonresume.org/schema), as people's files really are."""

from engine.tools.builtin.resumes.files import OWN_FILE, own_resume, sample_resume
from engine.tools.builtin.resumes.markdown import as_markdown
from engine.tools.builtin.resumes.model import Project, Resume, Skill, Work, as_json

__all__ = [
    "OWN_FILE",
    "Project",
    "Resume",
    "Skill",
    "Work",
    "as_json",
    "as_markdown",
    "own_resume",
    "sample_resume",
]
