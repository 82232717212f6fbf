"""The scripted behaviours of accounts, with one meaning at all partners (docs of the cohort files)."""

from __future__ import annotations

from enum import StrEnum

PENDING_LOOKUPS = 2
"""So many look-ups say *pending* before a `pending_then_*` payout settles."""
NOT_FOUND_LOOKUPS = 2
"""So many look-ups say *not found* before a `false_not_found` payout shows."""
TROUBLED_CHECKS = 2
"""So many NIK checks fail or stay open before they answer."""
SLOW_S = 3.0
"""`pay:slow` answers after this long; never scaled."""


class Behaviour(StrEnum):
    """The `behaviour` column of world.csv. `link:*` belongs to the person at the page: a mock ignores it."""

    NONE = ""
    LOST_ANSWER = "pay:lost_answer"
    TIMEOUT_NO_CREDIT = "pay:timeout_no_credit"
    FALSE_NOT_FOUND = "pay:false_not_found"
    PENDING_THEN_SUCCESS = "pay:pending_then_success"
    PENDING_THEN_FAILED = "pay:pending_then_failed"
    SLOW = "pay:slow"
    REVERSED_LATER = "pay:reversed_later"
    UNAVAILABLE_TWICE = "verify:unavailable_twice"
    IN_PROGRESS = "verify:in_progress"
    DENY = "link:deny"
    ABANDON = "link:abandon"
    CALLBACK_TWICE = "link:callback_twice"
