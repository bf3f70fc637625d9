"""The scalars that clients see."""

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from schema.fast.scalars import read_time, write_time

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC) | OFFSETS)  # noqa: DTZ001 - hypothesis adds the zone


@given(MOMENTS, st.sampled_from([1, 1000, 1_000_000]))
def test_a_time_is_written_in_utc_as_exactly_as_needed_and_means_the_same(moment: datetime, whole: int):
    moment = moment.replace(microsecond=moment.microsecond // whole * whole)

    text = write_time(moment)

    assert read_time(text) == moment
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(\d{3})?Z", text)
    assert not text.endswith("000Z") or len(text) == len("2026-01-02T03:04:05.000Z")
