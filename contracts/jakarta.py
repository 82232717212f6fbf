"""The zone that the programme and its partners live by."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta, timezone

JAKARTA = timezone(timedelta(hours=7), "Asia/Jakarta")
"""No daylight saving: a fixed offset of +07:00."""


def long_before(now: datetime, seconds: float, *, weekends: bool) -> datetime:
    """So many seconds before `now`; without `weekends`, Saturdays and Sundays are passed over."""
    at, left = now.astimezone(JAKARTA), timedelta(seconds=seconds)
    while left and not weekends:
        begins = (at - timedelta.resolution).replace(hour=0, minute=0, second=0, microsecond=0)
        worked = min(left, at - begins) if begins.weekday() < calendar.SATURDAY else timedelta()
        at, left = at - worked if worked else begins, left - worked
    return at - left
