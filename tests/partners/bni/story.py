"""What the suites do at BNI beside its client's calls."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from contracts.linking import Grant
from contracts.secret import Secret
from mock_partners.bni.autopay import Desk
from mock_partners.kit.world import Account, World
from tests.partners.consents import missing
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

if TYPE_CHECKING:
    from tests.sim.partners import PartnerSide

GOES_ON = {"payout.inquiry": {"responseCode": "2001500", "beneficiaryAccountNo": "0115476151"}}
WRITES: Writes = {"/snap-service/v1/transfer-intrabank": (MOVES, "partnerReferenceNo")}
CHANGED = ("/transfer/status", "amount.value", "latestTransactionStatus", "06")
CROWD: Crowds = {
    LINK: link_words("403xx18"),
    VERIFY: (*NIK_WORDS, *SNAP_WORDS),
    READ: SNAP_WORDS,
    WRITE: (*SNAP_WORDS, FAILS),
}


def customer_token(world: World, account: Account) -> str:
    """BNI shows no customer's token in a header."""
    return ""


def grant(world: World, account: Account, n: int, rng: Random) -> Grant:
    """A card token, which no payout shows."""
    return Grant(access_token=Secret(f"card-{n}"))


async def revoke(side: PartnerSide, account: Account) -> bool:
    """The customer ends the link at the bank."""
    desk: Desk = side.world.keep("links", missing)
    found = [link for link in desk.links.values() if link.account is account and link.active]
    for link in found:
        link.active = False
    return bool(found)
