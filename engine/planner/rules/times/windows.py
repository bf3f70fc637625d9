"""Stretches of the calendar, and where they begin and end: “this week”, “starting Monday”, “until Friday”."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.planner.rules.numbers import ordinal
from engine.planner.rules.times.atoms import After, Fixed, NthOf, Starting, Until, Window, WindowName
from engine.planner.rules.times.dates import read_year
from engine.planner.rules.times.days import read_day
from engine.planner.rules.times.lengths import days_and_months
from engine.planner.rules.times.names import MONTH
from engine.planner.rules.times.reading import Found, Tokens, skip, word_at

_NAMES: Final[Mapping[tuple[str, str], WindowName]] = {
    ("this", "week"): "this week", ("next", "week"): "next week", ("current", "week"): "this week",
    ("following", "week"): "next week", ("current", "month"): "this month", ("following", "month"): "next month",
    ("coming", "week"): "next week", ("this", "weekend"): "this weekend", ("next", "weekend"): "next weekend",
    ("coming", "weekend"): "this weekend", ("the", "weekend"): "this weekend", ("this", "month"): "this month",
    ("next", "month"): "next month", ("coming", "month"): "next month",
}  # fmt: skip

_SATURDAY: Final = 5


def read_window(tokens: Tokens, at: int) -> Found | None:
    """Days within which some are free to choose."""
    place = skip(tokens, at, "over", "during", "within", "in", "for", "on", "at")
    if found := _of_a_month(tokens, at, place) or _named(tokens, place):
        return found
    lead = word_at(tokens, at)
    after = skip(tokens, place, "the next", "the coming", "the following")
    if lead == "for" or (after == place and lead != "within"):
        return None
    found = days_and_months(tokens, after)
    return (Window("days", found[0]), found[2]) if found and not found[1] else None


def _named(tokens: Tokens, at: int) -> tuple[Window, int] | None:
    place = skip(tokens, at, "the rest of")
    after = skip(
        tokens, place,
        "this coming", "the coming", "this", "coming", "the current", "current", "the following", "the", "next",
    )  # fmt: skip
    shift, name = word_at(tokens, after - 1) if after > place else "", word_at(tokens, after)
    if shift == "the" and name == "week":
        return Window("this week") if place > at else Window("days", 7), after + 1
    window = _NAMES.get((shift, name))
    return (Window(window), after + 1) if window else None


def _of_a_month(tokens: Tokens, at: int, place: int) -> tuple[Window, int] | None:
    """“In March”, “the first week of June”, “the last weekend of October”, “the week of October 7th”."""
    if word_at(tokens, at) in {"in", "during", "within"} and (month := MONTH.get(word_at(tokens, place))):
        if read_day(tokens, place):
            return None  # "in March 3rd" is no way to say it
        year, end = read_year(tokens, place + 1)
        return Window("month", month=month, year=year), end
    week = skip(tokens, place, "the week of", "week of")
    if week > place and (day := read_day(tokens, week)):
        return Window("week of", day=day[0]), day[1]
    article = skip(tokens, place, "the")
    nth = (-1, article + 1) if word_at(tokens, article) == "last" else ordinal(tokens, article)
    kind = skip(tokens, nth[1], "week of", "week in", "weekend of", "weekend in") if nth else 0
    month = MONTH.get(word_at(tokens, kind)) if nth and kind > nth[1] else None
    if not nth or not month:
        return None
    year, end = read_year(tokens, kind + 1)
    if word_at(tokens, nth[1]) == "weekend" and nth[0] <= 4:
        return Window("weekend of", day=NthOf(nth[0], _SATURDAY, month, year)), end
    is_first_week = word_at(tokens, nth[1]) == "week" and nth[0] == 1
    return (Window("first week", month=month, year=year), end) if is_first_week else None


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
    if place == at:
        return None
    if day := read_day(tokens, place):
        return Until(day[0]), day[1]
    month = MONTH.get(word_at(tokens, place))
    if month is None or word_at(tokens, at) not in {"until", "till"}:
        return None
    year, end = read_year(tokens, place + 1)
    return Until(After(Fixed(1, month, year), days=-1)), end  # “until November” ends with October
