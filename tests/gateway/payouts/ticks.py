"""A worker's payouts with ticks: what its lanes do side by side and for ever, once, and awaited by the test."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.services.each import each
from gateway.services.payouts.driver import Payouts
from gateway.storage.payouts.queue import Leased


class Ticking(Payouts):
    """The service, driven by hand."""

    async def tick_send(self, partner: str, limit: int = 32) -> int:
        """Claim and send up to `limit` payouts."""
        leased = await self.claim(partner, limit)
        await each("send", leased, self.send, at_once=self._at_once)
        return len(leased)

    async def tick_lookups(self, partner: str, limit: int = 32) -> int:
        """Do what is due for up to `limit` payouts that have left."""
        leased = await self.claim_followed(partner, limit)
        await each("follow", leased, self.follow, at_once=self._at_once)
        return len(leased)

    async def give_back(self, leased: Sequence[Leased]) -> None:
        """End leases of payouts that were not sent."""
        self._looked_at.clear()
        await self._commits.give_back([one.payout.id for one in leased])
