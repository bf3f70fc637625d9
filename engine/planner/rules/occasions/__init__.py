"""From what was said of time to concrete dates, all of them in the future.

How the open questions are settled:

- Weeks begin on Monday. “Next Tuesday” is the one of next week, a plain “Tuesday” the next to come.
- A time without morning or afternoon, as a start or as an interval's, is the one nearest to the title's usual
  time (“dinner at 8”); without one, that of its two readings which is in waking hours, 07:00 to 21:59, the morning
  if both are. A part of the day, or the end of the interval, tells first (“from 2 to 4pm”). What was taken without
  a word that tells is said in `remarks`.
- “Every other Friday” and “for 5 times” are planned one by one, as far as they have an end.
- Without a time: the title's usual one (lunch at 12:30), else 18:00 on weekdays and 10:00 at weekends; today,
  when that has passed, the next full hour up to 21:00.
- “3x this week” spreads evenly over what is left of the week, today included. When fewer days are left than were
  asked for, all of them are taken and the rest spreads over the week after, which the step's name says: on a Sunday
  evening that is today, if anything is left of it, then Wednesday, Friday. Such starts are `movable`.
- “3x” without more is meant for the seven days from today on, “3x a week” for each such seven days.
- What was said of a day that has passed is refused; nothing is ever moved into the past or out of a named day.
  A plain “Monday” whose time has passed today is the next Monday.
- One occasion for whose time nothing is left (“this weekend at 10”, said on Sunday at 11) is refused as well.
- “In 2 weeks on Friday” is refused: it is not clear which Friday is meant. “Two weeks from Friday” is.
- “For 4 weeks” counts from the first occasion, that day included.
- What does not go together is refused: nothing that was said of time is left away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.phrases import Occasions, Refusal
from engine.planner.rules.occasions.calendar import MOST_STARTS, date_of
from engine.planner.rules.occasions.off import days_off
from engine.planner.rules.occasions.periods import period
from engine.planner.rules.occasions.recurring import for_a_while, recurring
from engine.planner.rules.occasions.remarks import remarks_on
from engine.planner.rules.occasions.said import HALF_NOT_SAID, Said, settled
from engine.planner.rules.occasions.starts import next_at, on_named_days, once, spread, times_of_day
from engine.planner.rules.times import Atom

__all__ = ["HALF_NOT_SAID", "date_of", "occasions", "period", "settled"]


def occasions(
    atoms: Sequence[Atom],
    now: datetime,
    *,
    number: int | None = None,
    usual: int | None = None,
    whole_days: bool = False,
) -> Occasions:
    """The starts that were asked for.

    `number` is a count said elsewhere (“3 gym sessions”), `usual` the minutes of the day at which such a thing
    usually begins. With `whole_days`, what has no time of day takes each of its days whole. Raises Refusal when
    what was said contradicts itself, lies in the past, or is not clear.
    """
    try:
        said = Said.of(atoms, now, number=number, usual=usual)
        takes_days = whole_days and not said.is_timed and said.minutes is None and not said.moments
        found = days_off(said) if takes_days else replace(_occasions(said), remarks=said.remarks)
        found = replace(found, remarks=(*found.remarks, *remarks_on(said, found)))
    except (OverflowError, ValueError) as error:
        raise Refusal(f"there is no such date ({error})") from error
    if len(found.starts) > MOST_STARTS:
        raise Refusal(f"that makes {len(found.starts)} entries; at most {MOST_STARTS} at once")
    return found


def _occasions(said: Said) -> Occasions:
    if said.moments:
        said.expect_only("moments")
        if said.is_timed:
            raise Refusal("says two different times")
        return once(said, said.moments)
    if said.every is not None or (said.times is not None and said.times.per is not None):
        return recurring(said)
    if said.stretch is not None or said.until is not None:
        return for_a_while(said)
    if said.days:
        said.expect_only("days", "window", "times")
        return once(said, on_named_days(said))
    said.expect_only("times", "window")
    if said.times is not None or said.window is not None:
        return replace(once(said, spread(said, said.times.number if said.times else 1)), movable=True)
    if said.is_timed:
        return once(said, [next_at(minutes, said.now) for minutes in times_of_day(said)])
    raise Refusal("says no day or time")
