"""What the suites do at OVO beside its client's calls."""

from __future__ import annotations

from tests.partners.consents import customer_token, grant, revoke
from tests.partners.kit import (
    FAILS,
    LINK,
    MOVES,
    NIK_WORDS,
    READ,
    SNAP_WORDS,
    VERIFY,
    WRITE,
    Crowds,
    Writes,
    link_words,
)

__all__ = ["CHANGED", "CROWD", "GOES_ON", "WRITES", "customer_token", "grant", "revoke"]

GOES_ON = {
    "payout.inquiry": {"responseCode": "2003700"},
    "unlink.begin": {"responseCode": "2000900", "accessToken": "unbind-token-1"},
    "link.refresh": {"responseCode": "4017400"},
}
WRITES: Writes = {"/OVOSNAP/v2.0/emoney/topup": (MOVES, "partnerReferenceNo")}
CHANGED = ("/emoney/topup-status", "amount.value", "latestTransactionStatus", "03")
CROWD: Crowds = {
    LINK: link_words("403xx07"),
    VERIFY: (*NIK_WORDS, *SNAP_WORDS),
    READ: SNAP_WORDS,
    WRITE: (*SNAP_WORDS, FAILS),
}
