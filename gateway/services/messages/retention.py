"""What is forgotten once it is old, and how old: what others were told and have read, what came and was applied; and
what an earlier version kept in a plainer form.

Kept for good, as evidence: consents, approvals and account proofs (who agreed to what), the ledger and partners' words
on payouts (what became of the money), the audit log, and statement lines, by which a second credit is known for one.
"""

from __future__ import annotations

from datetime import timedelta

from gateway.clock import Clock
from gateway.security import approval
from gateway.security.vault import Vault
from gateway.storage.access import idempotency
from gateway.storage.base.database import Database
from gateway.storage.messages import events, inbox
from gateway.storage.ops import journal
from gateway.storage.payouts import payouts

EVENTS_KEPT = timedelta(days=400)
"""A reader of `/v1/events` has more than a year."""
NOTIFICATIONS_KEPT = timedelta(days=90)
"""After they were applied; what came of them is in the observations."""
EXCHANGES_KEPT = timedelta(days=180)
"""The journal of calls to partners, which is for people who look into something."""


class Retention:
    """Forgets, a piece at a time."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    async def tick(self, most: int = 1_000) -> int:
        """Forget up to `most` rows of each kind; how many there were."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            gone = await events.purge(connection, now - EVENTS_KEPT, most)
            gone += await inbox.purge(connection, now - NOTIFICATIONS_KEPT, most)
            gone += await journal.purge(connection, now - EXCHANGES_KEPT, most)
            gone += await idempotency.purge(connection, now, most)
        async with self._database.transaction() as connection:
            plain = await payouts.plain_hashes(connection, most)
            await payouts.key_hashes(
                connection, {number: approval.kept_hash(self._vault, frozen) for number, frozen in plain.items()}
            )
        return gone
