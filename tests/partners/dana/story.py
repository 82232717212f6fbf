"""What the suites do at DANA beside its client's calls."""

from __future__ import annotations

import json
from random import Random

import msgspec

from contracts.linking import Grant
from contracts.plan import Response
from contracts.secret import Secret
from mock_partners.dana.profile import SCOPE_OF
from mock_partners.kit.keys import partner_key
from mock_partners.kit.snap.signatures import sign_asymmetric
from mock_partners.kit.world import Account, World
from tests.partners import consents
from tests.partners.consents import customer_token, missing, revoke
from tests.partners.kit import FAILS, MOVES, NIK_WORDS, READ, SNAP_WORDS, VERIFY, WRITE, Crowds, Writes

__all__ = [
    "CHANGED",
    "CROWD",
    "GOES_ON",
    "KEEPS_REFERENCES",
    "WRITES",
    "customer_token",
    "grant",
    "revoke",
    "signed_again",
]

GOES_ON = {"payout.inquiry": {"responseCode": "2003700"}}
WRITES: Writes = {"/rest/v1.0/emoney/topup": (MOVES, "partnerReferenceNo")}
KEEPS_REFERENCES = True
"""A reference is the key of its top-up for ever (decision D12); SNAP's others are good for a day."""
CHANGED = ("/emoney/topup-status", "amount.value", "latestTransactionStatus", "03")
CROWD: Crowds = {VERIFY: NIK_WORDS, READ: SNAP_WORDS, WRITE: (*SNAP_WORDS, FAILS)}


def grant(world: World, account: Account, n: int, rng: Random) -> Grant:
    """The n-th person's consent, with the account that the adapter keeps beside it."""
    held = consents.grant(world, account, n, rng)
    scopes: dict[str, frozenset[str]] = world.keep("dana.scopes", missing)
    scopes[f"L{n:05d}"] = frozenset(SCOPE_OF.values())
    return msgspec.structs.replace(held, extra={"account": Secret(account.account)})


def signed_again(reply: Response) -> Response:
    """A recorded answer of the profile query under the mock's signature: what was hidden in it broke its own."""
    told = json.loads(reply.content)
    if "response" not in told:
        return reply
    text = json.dumps(told["response"]).encode()
    signed = {"response": msgspec.Raw(text), "signature": sign_asymmetric(partner_key("dana"), text)}
    return msgspec.structs.replace(reply, content=msgspec.json.encode(signed))
