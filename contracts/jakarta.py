"""The zone that the programme and its partners live by."""

from __future__ import annotations

from datetime import timedelta, timezone

JAKARTA = timezone(timedelta(hours=7), "Asia/Jakarta")
"""No daylight saving: a fixed offset of +07:00."""
