"""When limits end: working days across holidays and make-up workdays, calendar days, hours, zones."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving.playbook.limits import Limit, NoCalendar, add_working_days, working_day
from tests.playbook.cases import SHANGHAI, at


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        # Spring Festival 2025: Sunday 26 January and Saturday 8 February are worked.
        (date(2025, 1, 24), 1, date(2025, 1, 26)),
        (date(2025, 1, 24), 3, date(2025, 2, 5)),
        (date(2025, 1, 24), 6, date(2025, 2, 8)),
        # National Day 2025: Sunday 28 September and Saturday 11 October are worked, 1 to 8 October is free.
        (date(2025, 9, 26), 1, date(2025, 9, 28)),
        (date(2025, 9, 30), 1, date(2025, 10, 9)),
        (date(2025, 9, 30), 3, date(2025, 10, 11)),
        (date(2025, 9, 30), 7, date(2025, 10, 16)),
        # Over the year's end: 1 to 3 January 2026 free, Sunday 4 January worked.
        (date(2025, 12, 31), 1, date(2026, 1, 4)),
        (date(2025, 12, 30), 7, date(2026, 1, 9)),
        # Spring Festival 2026: Saturdays 14 and 28 February worked, 15 to 23 free.
        (date(2026, 2, 13), 1, date(2026, 2, 14)),
        (date(2026, 2, 13), 2, date(2026, 2, 24)),
        (date(2026, 2, 13), 6, date(2026, 2, 28)),
        # From a free day: the first working day after it counts as one.
        (date(2026, 5, 2), 1, date(2026, 5, 6)),
        (date(2026, 5, 8), 1, date(2026, 5, 9)),
    ],
)
def test_working_days_follow_the_chinese_calendar(start: date, count: int, end: date) -> None:
    assert add_working_days(start, count) == end


@given(st.dates(date(2024, 1, 1), date(2026, 6, 30)), st.integers(1, 60))
def test_working_days_between_are_as_many_as_asked(start: date, count: int) -> None:
    end = add_working_days(start, count)
    between = [start + timedelta(days=i) for i in range(1, (end - start).days + 1)]
    assert working_day(end)
    assert sum(map(working_day, between)) == count


@pytest.mark.parametrize("start", [date(2003, 12, 1), date(2090, 1, 4)])
def test_working_days_of_a_missing_year_are_not_guessed(start: date) -> None:
    with pytest.raises(NoCalendar) as caught:
        add_working_days(start, 1)
    assert caught.value.year == start.year


def test_limit_of_days_ends_with_the_day() -> None:
    assert Limit("calendar_days", 15).end(at(2025, 3, 1, 9, 30)) == at(2025, 3, 16, 23, 59, 59)
    assert Limit("working_days", 2).end(at(2025, 9, 30, 23, 59)) == at(2025, 10, 10, 23, 59, 59)


def test_limit_of_hours_counts_through_nights_and_years() -> None:
    assert Limit("hours", 24).end(at(2025, 12, 31, 20)) == at(2026, 1, 1, 20)


def test_limit_of_hours_is_real_time_where_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    end = Limit("hours", 4).end(datetime(2025, 3, 30, 1, tzinfo=berlin))
    assert end == datetime(2025, 3, 30, 6, tzinfo=berlin)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["hours", "calendar_days"]),
    st.integers(1, 300),
)
@example(datetime(2000, 1, 1, 23, 59, 59, 1), "calendar_days", 1)
def test_limit_never_ends_before_its_earliest(start: datetime, unit: str, count: int) -> None:
    limit, begin = Limit(unit, count), start.replace(tzinfo=SHANGHAI)
    assert limit.end(begin) >= limit.earliest(begin)
