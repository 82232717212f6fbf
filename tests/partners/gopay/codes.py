"""What wallets.md 2.5 and 2.6 say of GoPay ID's and Iris' answers."""

from __future__ import annotations

from tests.partners.kit import Codes

CODES = Codes(
    nothing_done=frozenset({"401"}),
    may_refuse=frozenset({"400"}),
    no_account=frozenset({"1519"}),
    account=frozenset({"beneficiary_account"}),
    reference=frozenset({"reference_no"}),
)
