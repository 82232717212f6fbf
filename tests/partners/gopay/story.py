"""What the suites do at GoPay beside its client's calls."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from contracts.linking import Grant
from contracts.secret import Secret
from mock_partners.gopay.notices import Link
from mock_partners.kit.world import Account, World
from tests.partners.consents import missing
from tests.partners.kit import CREATES, MOVES, NIK_WORDS, REJECTS, VERIFY, WRITE, Crowds, Writes

if TYPE_CHECKING:
    from tests.sim.partners import PartnerSide

TOKEN_LATER = ("verify_nik",)
"""GoPay ID's 401 is looked at by service 08."""
GOES_ON: dict[str, dict[str, Any]] = {}
WRITES: Writes = {
    "/iris/api/v1/payouts": (CREATES, ""),
    "/iris/api/v1/payouts/approve": (MOVES, ""),
    "/iris/api/v1/payouts/reject": (REJECTS, ""),
}
CHANGED = ("/users/submissions/current", "data.submissionId", "data.result", "INVALID")
CROWD: Crowds = {VERIFY: NIK_WORDS, WRITE: ({"fail_code": "002"}, {"fail_code": "012"}, {"fail_code": "018"})}
"""Iris reads nothing first."""
NOT_ASKED_THEN = {("identity.name", "missing")}
"""Whose KYC is incomplete is not asked for a name."""


def customer_token(world: World, account: Account) -> str:
    """A token of a linked customer, made behind the counter."""
    return _linked(world, account, f"customer-{len(world.keep('gopay.links', missing).links)}")


def grant(world: World, account: Account, n: int, rng: Random) -> Grant:
    """The n-th person's consent, as the mock would have given it after its pages."""
    return Grant(access_token=Secret(_linked(world, account, f"{rng.getrandbits(256):064x}")))


async def revoke(side: PartnerSide, account: Account) -> bool:
    """The customer ends the link in the app; False: there is none."""
    target = f"/__mock__/unlink?phone=%2B{account.phone.removeprefix('+')}"
    return (await side.answer("POST", target, {}, b"")).status == 200


def _linked(world: World, account: Account, token: str) -> str:
    desk = world.keep("gopay.links", missing)
    link = Link(account, token)
    desk.links[link.token] = desk.enabled[account.account] = link
    return token
