"""Customers of the partners whose mocks keep consents as SNAP's customer tokens, one of each account."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from contracts.linking import Grant
from contracts.secret import Secret
from mock_partners.kit.snap.links import Consent, Links
from mock_partners.kit.world import Account, World

if TYPE_CHECKING:
    from tests.sim.partners import PartnerSide


def customer_token(world: World, account: Account) -> str:
    """A token of a linked customer, made behind the counter."""
    links: Links = world.keep("links", missing)
    held = links.holder(account)
    if held is not None:
        return str(links.refresh(held.refresh_token).value)
    return str(links.establish(links.take_code(links.give_code(account, "u-1"))).value)


def grant(world: World, account: Account, n: int, rng: Random) -> Grant:
    """The n-th person's consent, as the mock would have given it after its pages."""
    links: Links = world.keep("links", missing)
    token = links.establish(Consent(account, f"L{n:05d}", None, float("inf")))
    return Grant(access_token=Secret(token.value), refresh_token=Secret(token.subject.refresh_token))


async def revoke(side: PartnerSide, account: Account) -> bool:
    """The customer ends the link in the partner's own app; False: there is none."""
    links: Links = side.world.keep("links", missing)
    link = links.holder(account)
    if link is not None:
        links.end(link)
    return link is not None


def missing() -> Any:
    """What a mock keeps under a name that the tests know."""
    raise LookupError("the mock keeps its links under another name")
