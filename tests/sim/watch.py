"""Watches the requests that may move money, where they leave the gateway and where they arrive at a partner.

A payment that is made twice may still look right in both books for a while; a request that should not have left shows
at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from adapters.registry import PARTNERS
from tests.partners import each
from tests.partners.kit import CREATES, MOVES, REJECTS
from tests.sim.snapshot import Payout

if TYPE_CHECKING:
    from tests.sim.partners import PartnerSide
    from tests.sim.town import Town

WRITES = {(slug, path): does for slug, story in each("story").items() for path, does in story.WRITES.items()}
"""By partner and path: what it does, and the field that names our payout (Iris: a header, or its own number)."""
assert {slug for slug, _ in WRITES} == PARTNERS.keys(), "each partner's WRITEs are watched"
_STATE = {MOVES: "submitting", CREATES: "preparing", REJECTS: "prepared"}
"""What a payout must be in the store, committed, before the request leaves."""
_MAY_ARRIVE = {"submitting", "unknown", "pending", "prepared"}
"""What a payout may be when the partner takes money for it. `prepared`: a late approval of an instruction that a
look-up found unapproved; until the partner rejects it, it is to be approved again anyway.
"""


class Write(NamedTuple):
    """One request that may move money."""

    does: str
    key: str
    """Our reference, or Iris' number."""

    def of(self, town: Town, slug: str) -> Payout | None:
        """The payout that it is about, as the store has it."""
        for payout in town.state.payouts:
            if payout.partner == slug and self.key in (payout.reference, payout.number):
                return payout
        return None


def write_of(slug: str, method: str, path: str, headers: dict[str, str], content: bytes) -> Write | None:
    """What a request is, where it may move money."""
    found = WRITES.get((slug, path)) if method == "POST" else None
    if found is None:
        return None
    does, field = found
    body: dict[str, Any] = msgspec.json.decode(content)
    if field:
        return Write(does, body[field])
    return Write(does, headers["x-idempotency-key"] if does is CREATES else body["reference_nos"][0])


def leaves(town: Town, side: PartnerSide, write: Write, timeout_s: float) -> None:
    """A request is handed to the network: its intent must be committed, current, and have time for an answer."""
    if town.baton.actor in town.survivors:
        return  # its intent was committed in a store that is no more
    # The recovery asks for a create once more under its key: whether one stands is what it has to find out.
    asked_by_key = write.does is CREATES and town.baton.actor is not None and town.baton.actor.name == "recover"
    held = any((one.partner, one.by) == (side.slug, "recovery") for one in town.state.paused)
    if held and write.does is not REJECTS and not asked_by_key:
        town.bad(f"a request that {write.does} left for {side.slug}, and nobody knows what was forgotten there")
    payout = write.of(town, side.slug)
    if payout is None:
        town.bad(f"{side.slug}: a request that {write.does} left for no payout of ours")
        return
    if payout.state != _STATE[write.does]:
        town.bad(f"payout {payout.id} is {payout.state}, and a request that {write.does} left for it")
    if write.does is REJECTS or asked_by_key:  # for the second the key's life is what bounds it
        return
    if payout.sent_deadline_s is None or town.now_s + timeout_s > payout.sent_deadline_s + 0.001:
        town.bad(f"payout {payout.id}: a request that {write.does} left too late for its deadline")
    attempt = (payout.id, write.does, payout.sent_deadline_s)
    if attempt in town.left:
        town.bad(f"payout {payout.id}: a second request that {write.does} left in one attempt")
    town.left.add(attempt)


def taken(town: Town, side: PartnerSide, write: Write) -> None:
    """The partner takes money out of our deposit for a request."""
    if town.baton.actor in town.survivors or write.key in town.loose:
        return  # it left before the store was put back
    payout = write.of(town, side.slug)
    if payout is None or payout.state not in _MAY_ARRIVE or payout.released_s is not None:
        stood = "no payout" if payout is None else f"payout {payout.id}, which is {payout.state}"
        town.bad(f"{side.slug} took money for {stood}")
