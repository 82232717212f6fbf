"""The scripted behaviours of accounts, with one meaning at all partners (docs of the cohort files)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from mock_partners.kit.turn import effect, effects

if TYPE_CHECKING:
    from mock_partners.kit.world import Account

PENDING_LOOKUPS = 2
"""So many look-ups say *pending* before a `pending_then_*` payout settles."""
NOT_FOUND_LOOKUPS = 2
"""So many look-ups say *not found* before a `false_not_found` payout shows."""
TROUBLED_CHECKS = 2
"""So many NIK checks fail or stay open before they answer."""
PENDING_ATOMS = frozenset({"pending_lookups", "pending_s", "settle_after_s"})
"""A scenario's ways of leaving a payout pending."""
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


def pay_behaviour(account: Account, reference: str) -> Behaviour:
    """The script for this payout WRITE, to be asked only for one that the mock accepts.

    A `pay:` behaviour belongs to the account's first accepted payout and to resends of its reference. A scenario's
    word for this call comes before it.
    """
    staged = _staged_payout()
    if staged is not None:
        return staged
    if not account.behaviour.startswith("pay:"):
        return Behaviour.NONE
    if account.scripted_reference is None:
        account.scripted_reference = reference
    return account.behaviour if account.scripted_reference == reference else Behaviour.NONE


def verify_behaviour(account: Account) -> Behaviour:
    """The script for this NIK check; the account's first two checks are the troubled ones. A scenario goes first."""
    staged = {"unavailable": Behaviour.UNAVAILABLE_TWICE, "in_progress": Behaviour.IN_PROGRESS}.get(effect("nik_check"))
    if staged is not None:
        return staged
    if not account.behaviour.startswith("verify:"):
        return Behaviour.NONE
    account.nik_checks += 1
    return account.behaviour if account.nik_checks <= TROUBLED_CHECKS else Behaviour.NONE


def _staged_payout() -> Behaviour | None:
    """What a scenario wants of the payout call in progress, in the nearest word that every partner knows."""
    staged = effects()
    if not staged:
        return None
    if "behave" in staged:
        return Behaviour(staged["behave"])
    if "fail" in staged:
        return Behaviour.PENDING_THEN_FAILED
    if PENDING_ATOMS & staged.keys():
        return Behaviour.PENDING_THEN_SUCCESS
    if staged.get("not_found_lookups"):
        return Behaviour.FALSE_NOT_FOUND
    return Behaviour.REVERSED_LATER if "reverse_after_s" in staged else None
