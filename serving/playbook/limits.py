"""Time limits and when they end: hours, calendar days, and working days of the Chinese calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from chinese_calendar import is_workday  # type: ignore[import-untyped]

from serving.playbook.fields import Fields
from serving.playbook.nodes import Item

UNITS = ("hours", "working_days", "calendar_days")
_MOST = {"hours": 24 * 366, "working_days": 366, "calendar_days": 366}
# Limits in days end with the last second of the day, local time.
_DAY_ENDS = time(23, 59, 59)


class NoCalendar(LookupError):
    """The working-day calendar holds no data for ``year``."""

    def __init__(self, year: int) -> None:
        self.year = year
        super().__init__(f"no working-day calendar for {year}")


@dataclass(frozen=True, slots=True)
class Limit:
    """So many hours, working days or calendar days."""

    unit: str
    count: int

    def end(self, start: datetime) -> datetime:
        """When the limit ends that starts at ``start`` (zone-aware; the answer has its zone).

        Days are counted from the day after the start (Civil Code art. 201) to the end of the last one.
        A last calendar day that is a holiday is not moved back (art. 203 would allow it): an earlier date
        is the safe one. Raises NoCalendar, and OverflowError beyond the year 9999.
        """
        if self.unit == "hours":
            # In UTC: an hour is an hour, also where clocks change.
            return (start.astimezone(UTC) + timedelta(hours=self.count)).astimezone(start.tzinfo)
        if self.unit == "calendar_days":
            last = start.date() + timedelta(days=self.count)
        else:
            last = add_working_days(start.date(), self.count)
        return datetime.combine(last, _DAY_ENDS, start.tzinfo)

    def earliest(self, start: datetime) -> datetime:
        """A time that the end cannot precede, known without a calendar; only good for ordering."""
        try:
            if self.unit == "hours":
                return start + timedelta(hours=self.count)
            # Days end at a whole second; what comes after it within that second must not look later.
            return start.replace(microsecond=0) + timedelta(days=self.count)
        except OverflowError:
            return datetime.max.replace(tzinfo=start.tzinfo)

    def to_dict(self) -> dict[str, int]:
        """As JSON: the unit names the number."""
        return {self.unit: self.count}


def working_day(day: date) -> bool:
    """Whether China works on ``day``, make-up workdays and holidays counted; raises NoCalendar."""
    works = _works(day)
    if works is None:
        raise NoCalendar(day.year)
    return works


@lru_cache(maxsize=4096)
def _works(day: date) -> bool | None:
    # Kept, as the package looks through all its holidays on every call; None where it has no data.
    try:
        return bool(is_workday(day))
    except NotImplementedError:
        return None


def add_working_days(day: date, count: int) -> date:
    """The ``count``-th working day after ``day``; raises NoCalendar rather than guess a year."""
    for _ in range(count):
        day += timedelta(days=1)
        while not working_day(day):
            day += timedelta(days=1)
    return day


def read_limit(fields: Fields, item: Item) -> Limit | None:
    """A limit from ``{hours: 4}``, ``{working_days: 7}`` or ``{calendar_days: 15}``."""
    parts = fields.mapping(item, (), UNITS)
    if len(parts) != 1:
        if isinstance(item.value, dict):
            fields.wrong(item, f"needs exactly one of {', '.join(UNITS)}")
        return None
    ((unit, number),) = parts.items()
    return Limit(unit, fields.integer(number, 1, _MOST[unit]))
