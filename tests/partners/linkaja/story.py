"""What the suites do at LinkAja beside its client's calls."""

from __future__ import annotations

from tests.partners.consents import customer_token, grant, revoke
from tests.partners.kit import FAILS, LINK, MOVES, NIK_WORDS, READ, VERIFY, WRITE, Crowds, Writes, link_words

__all__ = ["CHANGED", "CROWD", "GOES_ON", "WRITES", "customer_token", "grant", "revoke"]

GOES_ON = {
    "payout.inquiry": {"responseCode": "00", "sessionID": "S-1"},
    "link.refresh": {"responseCode": "4017400"},
    "token.legacy.refresh": {"status": "401"},
}
WRITES: Writes = {"/v1/cashin/confirm": (MOVES, "merchantTrxID")}
CHANGED = ("/v1/cashin/check", "data.linkRefNum", "data.responseCode", "26")
_BLOCKED = {"body": '{"data":{"responseCode":"62","responseMessage":"Account Blocked"}}'}
CROWD: Crowds = {LINK: link_words("403xx18"), VERIFY: (*NIK_WORDS, _BLOCKED), READ: (_BLOCKED,), WRITE: (FAILS,)}
