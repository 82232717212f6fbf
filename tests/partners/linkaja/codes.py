"""What wallets.md 4.7 and decisions L5-L9 say of LinkAja's two-digit codes, and of Kong's 401 in front of them."""

from __future__ import annotations

from tests.partners.kit import Codes

CODES = Codes(
    nothing_done=frozenset({"401", "40", "51"}),
    may_refuse=frozenset({"15", "62"}),
    pending=frozenset({"26"}),
    not_known=frozenset({"25", "26"}),
    no_account=frozenset({"14"}),
    blocked=frozenset({"62"}),
    account=frozenset({"msisdn"}),
    reference=frozenset({"merchantTrxID"}),
)
