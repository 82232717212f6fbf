"""The NIK check as every partner makes it: what the account's script and a scenario say, then the NIK on file."""

from __future__ import annotations

import hmac
from enum import StrEnum

from mock_partners.kit.behaviour import TROUBLED_CHECKS, Behaviour
from mock_partners.kit.turn import effect
from mock_partners.kit.world import Account


class Match(StrEnum):
    """How a check came out; each partner has words of its own for it. `NONE`: no NIK on file."""

    SAME = "same"
    OTHER = "other"
    NONE = "none"
    RUNNING = "running"
    UNAVAILABLE = "unavailable"


def checked(account: Account, nik: str) -> Match:
    """Compares a NIK with the one on file, which is never told. An account of basic KYC has none."""
    match verify_behaviour(account):
        case Behaviour.UNAVAILABLE_TWICE:
            return Match.UNAVAILABLE
        case Behaviour.IN_PROGRESS:
            return Match.RUNNING
    if not account.nik_on_file or account.kyc != "full":
        return Match.NONE
    return Match.SAME if hmac.compare_digest(account.nik_on_file.encode(), nik.encode()) else Match.OTHER


def verify_behaviour(account: Account) -> Behaviour:
    """The script for this NIK check; the account's first two checks are the troubled ones. A scenario goes first."""
    staged = {"unavailable": Behaviour.UNAVAILABLE_TWICE, "in_progress": Behaviour.IN_PROGRESS}.get(effect("nik_check"))
    if staged is not None:
        return staged
    if not account.behaviour.startswith("verify:"):
        return Behaviour.NONE
    account.nik_checks += 1
    return account.behaviour if account.nik_checks <= TROUBLED_CHECKS else Behaviour.NONE
