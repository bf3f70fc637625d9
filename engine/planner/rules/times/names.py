"""What days, months and stretches of time are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.planner.rules.times.atoms import Shift

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT: Final = {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
WEEKDAY: Final = {**{name: place for place, name in enumerate(_WEEKDAYS)}, **_SHORT}
WEEKDAYS_PLURAL: Final = {f"{name}s": place for place, name in enumerate(_WEEKDAYS)}
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
MONTH: Final = {
    **{name: place for place, name in enumerate(_MONTHS, start=1)},
    **{name[:3]: place for place, name in enumerate(_MONTHS, start=1)},
    "sept": 9,
}
NEAR_DAYS: Final = {"today": 0, "tomorrow": 1, "tmrw": 1, "tmr": 1}
POSSESSIVE: Final[Mapping[str, str]] = {f"{name}'s": name for name in (*NEAR_DAYS, *_WEEKDAYS)}
"""“Tomorrow's dinner” is a dinner tomorrow."""
LIST_MARKS: Final = (", and", ",", "and", "&", "/", "+")
"""What may stand between the members of a list of days."""
RANGE_MARKS: Final = ("to the", "to", "through", "thru", "until", "till", "-", "–", "—")
"""What may stand between the ends of a range."""
MONTHS_POINTED_AT: Final[tuple[tuple[Shift, tuple[str, ...]], ...]] = (
    ("this", ("the current month", "this month", "current month")),
    ("next", ("next month", "the next month", "the following month", "the coming month")),
    ("", ("the month",)),
)
