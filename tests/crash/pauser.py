"""An operator pauses partners, again and again, while payouts run and processes die: once it is answered that a partner
is `paused`, nothing that moves money may reach it until it is resumed, and no instruction is made there. A create that
was in doubt when the pause held may come, also for the first time where its worker died before it left (ADR 13): it
moves nothing, and nobody can withdraw what is in doubt. Which were is asked of the store, payout by payout.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import datetime
from typing import Any

import asyncpg
import httpx

from adapters.registry import PARTNERS
from gateway.demo.cluster import Cluster
from gateway.demo.core import ApiError, Client

MOVES, CREATES = "payout", "payout-create"
"""The mocks' words for calls that move money, or make an instruction."""
CREATED_UNDER = "x-idempotency-key"
"""The header in which a create carries our reference."""
ON_ITS_WAY_S = 0.25
"""What left before the answer may take so long to the mock's log on a busy machine."""
PAUSED_WITHIN_S = 60.0
"""All that had begun has left by then, or never will; that of a worker that was killed too."""
AGAIN_S = 0.2
MOST_SHOWN = 500


class Pauser:
    """The operator, and what was found."""

    def __init__(self, operator: Client, pages: httpx.AsyncClient, cluster: Cluster, rng: random.Random) -> None:
        self._operator, self._pages, self._rng = operator, pages, rng
        self._mocks, self._database_url = cluster.mocks, cluster.database_url
        self.answered = self.waited = 0
        """Pauses that were answered `paused`, and how many of them were `pausing` at first."""
        self.in_doubt = 0
        """Creates after it, of payouts that were in doubt before."""
        self.left: list[str] = []
        """What left all the same."""

    async def run(self, over: asyncio.Event, *, every_s: float, hold_s: float) -> None:
        """Pause after pause until it is over; ends with everything resumed."""
        while not over.is_set():
            await asyncio.sleep(self._rng.uniform(0.2, 1.8) * every_s)
            partner = self._rng.choice(sorted(PARTNERS))
            in_doubt = await self._pause(partner)
            if in_doubt is not None:
                await self._nothing_leaves(partner, in_doubt, self._rng.uniform(0.5, 1.5) * hold_s)
            paused = (await self._view(partner))["paused"]
            if paused is not None:
                await self._ask("POST", f"/v1/partners/{partner}/resume", json={"read": paused["read"]})

    async def _pause(self, partner: str) -> set[str] | None:
        """The references of the creates in doubt once the pause held; None: it was not `paused` in its time."""
        body = {"reason": "an operator's pause while processes die"}
        view = await self._ask("POST", f"/v1/partners/{partner}/pause", json=body)
        in_doubt = await self._preparing(partner)  # the pause is committed: nobody begins from here on
        self.waited += view["paused"]["state"] == "pausing"
        until = time.monotonic() + PAUSED_WITHIN_S
        while view["paused"]["state"] != "paused":
            if time.monotonic() > until:
                self.left.append(f"{partner} is still {view['paused']} after {PAUSED_WITHIN_S:.0f} s")
                return None
            await asyncio.sleep(AGAIN_S)
            view = await self._view(partner)
        return in_doubt

    async def _preparing(self, partner: str) -> set[str]:
        """What the store says; asked again while it is killed."""
        query = "SELECT reference FROM payouts WHERE partner = $1 AND state = 'preparing'"
        for _ in range(round(PAUSED_WITHIN_S / AGAIN_S)):
            try:
                connection = await asyncpg.connect(self._database_url, timeout=5)
                try:
                    return {row["reference"] for row in await connection.fetch(query, partner)}
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(AGAIN_S)
        raise AssertionError("the database does not come back")

    async def _nothing_leaves(self, partner: str, in_doubt: set[str], hold_s: float) -> None:
        since = time.time() + ON_ITS_WAY_S
        self.answered += 1
        await asyncio.sleep(hold_s + ON_ITS_WAY_S)
        until = time.time()
        for word in (MOVES, CREATES):
            query = {"operation": word, "limit": str(MOST_SHOWN)}
            reply = await self._pages.get(f"{self._mocks[partner]}/__mock__/requests", params=query)
            for call in reply.json()["requests"]:
                if not since <= datetime.fromisoformat(call["at"]).timestamp() < until:
                    continue
                if word == CREATES and call["headers"].get(CREATED_UNDER) in in_doubt:
                    self.in_doubt += 1
                    continue
                self.left.append(f"{partner}: {call['operation']} at {call['at']}, paused since {since:.3f}")

    async def _view(self, partner: str) -> dict[str, Any]:
        partners = (await self._ask("GET", "/v1/partners"))["partners"]
        return next(dict(one) for one in partners if one["partner"] == partner)

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        """The API's answer; asked again while it is killed, or its database is away."""
        for _ in range(round(PAUSED_WITHIN_S / AGAIN_S)):
            try:
                return await self._operator.call(method, path, **options)
            except httpx.TransportError:
                await asyncio.sleep(AGAIN_S)
            except ApiError as error:
                if error.status < 500:
                    raise
                await asyncio.sleep(AGAIN_S)
        raise AssertionError(f"{method} {path} is not answered")
