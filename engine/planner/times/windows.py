"""Stretches of the calendar, and where they begin and end: “this week”, “starting Monday”, “until Friday”."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.planner.times.atoms import Starting, Until, Window, WindowName
from engine.planner.times.days import read_day
from engine.planner.times.lengths import days_and_months
from engine.planner.times.reading import Found, Tokens, skip, word_at

_NAMES: Final[Mapping[tuple[str, str], WindowName]] = {
    ("this", "week"): "this week", ("next", "week"): "next week",
    ("coming", "week"): "next week", ("this", "weekend"): "this weekend", ("next", "weekend"): "next weekend",
    ("coming", "weekend"): "this weekend", ("the", "weekend"): "this weekend", ("this", "month"): "this month",
    ("next", "month"): "next month", ("coming", "month"): "next month",
}  # fmt: skip


def read_window(tokens: Tokens, at: int) -> Found | None:
    """Days within which some are free to choose."""
    place = skip(tokens, at, "over", "during", "within", "in", "for", "on", "at")
    if found := _named(tokens, place):
        return found
    lead = word_at(tokens, at)
    after = skip(tokens, place, "the next", "the coming", "the following")
    if lead == "for" or (after == place and lead != "within"):
        return None
    found = days_and_months(tokens, after)
    return (Window("days", found[0]), found[2]) if found and not found[1] else None


def _named(tokens: Tokens, at: int) -> tuple[Window, int] | None:
    place = skip(tokens, at, "the rest of")
    after = skip(tokens, place, "this coming", "the coming", "this", "coming", "the", "next")
    shift, name = word_at(tokens, after - 1) if after > place else "", word_at(tokens, after)
    if shift == "the" and name == "week":
        return Window("this week") if place > at else Window("days", 7), after + 1
    window = _NAMES.get((shift, name))
    return (Window(window), after + 1) if window else None


def read_starting(tokens: Tokens, at: int) -> Found | None:
    """From which day on."""
    place = skip(tokens, at, "starting from", "starting on", "starting", "beginning on", "beginning", "as of", "from")
    if place == at:
        return None
    place = skip(tokens, place, "on")
    if window := _named(tokens, place):
        return Starting(window[0]), window[1]
    day = read_day(tokens, place) or read_day(tokens, skip(tokens, place, "the"))
    if not day:
        return None
    return Starting(day[0]), skip(tokens, day[1], "onwards", "onward")


def read_until(tokens: Tokens, at: int) -> Found | None:
    """Up to and including which day."""
    place = skip(tokens, at, "until", "till", "through", "up until", "up to", "ending on", "ending")
    day = read_day(tokens, place) if place > at else None
    return (Until(day[0]), day[1]) if day else None
