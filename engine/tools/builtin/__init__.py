"""The tools that come with the engine: they work on local data, with no network and no account."""

from engine.tools.builtin.events import calendar_create
from engine.tools.builtin.groceries import grocery_plan
from engine.tools.builtin.search import job_search
from engine.tools.builtin.submit import job_submit
from engine.tools.builtin.tailor import cv_tailor

__all__ = ["calendar_create", "cv_tailor", "grocery_plan", "job_search", "job_submit"]
