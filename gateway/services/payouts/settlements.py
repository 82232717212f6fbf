"""Settles by a partner's document what its systems leave in doubt: one person brings it, another confirms it.

It is a word of the partner like any other, stored as an observation: it ends a payout by the same rules, contradicts
what contradicts it, and never sends anything by itself.
"""

from __future__ import annotations

import enum

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import IN_DOUBT, Outcome, PayoutState, rejected, succeeded
from gateway.clock import Clock
from gateway.security import personal
from gateway.services.payouts.driver import Payouts
from gateway.storage.access import clients
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.ops import audit
from gateway.storage.payouts import payouts, settlements
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.payouts.settlements import Settlement

REFUSED_FOR = (
    BlockerCode.ACCOUNT_NOT_FOUND,
    BlockerCode.ACCOUNT_BLOCKED,
    BlockerCode.BALANCE_LIMIT,
    BlockerCode.MONTHLY_LIMIT,
    BlockerCode.PARTNER_REJECTED,
)
"""Why a document may say that somebody was not paid, as partners' codes do. Under any other blocker the incentive would
wait for an answer to what nobody has asked.
"""


class SettledAs(enum.Enum):
    """What the document says became of the money."""

    PAID = "paid"
    REFUSED = "refused"


class Settlements:
    """Proposals and confirmations."""

    def __init__(self, database: Database, clock: Clock, driver: Payouts) -> None:
        self._database = database
        self._clock = clock
        self._driver = driver

    async def propose(
        self, payout: int, verdict: SettledAs, *, reason: BlockerCode | None, document: str, why: str, actor: str
    ) -> Settlement:
        """Bring a document; nothing changes until another person confirms it. Raises `NotFound`, `Conflict` where the
        payout is in no doubt or a refusal comes while an attempt is on its way, `InvalidRequest` for a reason of
        something that was paid, or one that is none of `REFUSED_FOR`.
        """
        if verdict is SettledAs.PAID and reason is not None:
            raise InvalidRequest("What was paid has no reason for a refusal.", field="reason")
        if reason is not None and reason not in REFUSED_FOR:
            raise InvalidRequest(
                "No partner refuses a payment for this.",
                field="reason",
                code="field_invalid",
                remedy=f"Give one of {', '.join(one.value for one in REFUSED_FOR)}, or none.",
            )
        personal.refuse(document, "document")
        personal.refuse(why, "why")
        now = self._clock.now()

        async def work(connection: Connection) -> Settlement:
            row = await self._in_doubt(connection, payout, verdict)
            made = await settlements.propose(
                connection,
                now,
                payout,
                attempt=row.attempt,
                verdict=verdict.value,
                reason=None if reason is None else reason.value,
                document=document,
                why=why,
                by=actor,
            )
            await audit.record(
                connection, now, actor, "payout.settle", str(payout), {"settlement": made.id, "verdict": verdict.value}
            )
            return made

        return await transact(self._database, work)

    async def confirm(self, settlement: int, *, actor: str) -> PayoutRow:
        """Take the document for the partner's word. Raises `NotFound`, `Conflict` for the one who brought it, for one
        that is over, where the partner has spoken meanwhile, and for a refusal of what was sent again since.
        """
        now = self._clock.now()

        async def work(connection: Connection) -> PayoutRow:
            found = await settlements.lock(connection, settlement)
            if found is None:
                raise NotFound("There is no such settlement.")
            if found.confirmed_at is not None or found.dropped_at is not None:
                raise Conflict("It is over.", code="settlement_over", remedy="Bring the document again if need be.")
            if not await clients.seconded(connection, found.proposed_by, actor):
                raise Conflict(
                    "Who brought the document cannot confirm it, nor does it count once their client is disabled.",
                    code="second_person_needed",
                    remedy="Have another person look at the document and confirm it, or bring it again.",
                )
            row = await self._in_doubt(connection, found.payout, SettledAs(found.verdict))
            if found.verdict == SettledAs.REFUSED.value and found.attempt not in (None, row.attempt):
                raise Conflict(
                    "It was sent again after the document was brought, which says nothing of that.",
                    code="sent_since",
                    remedy="Ask the partner about it again, and bring what it says then.",
                )
            await settlements.confirm(connection, now, settlement, actor)
            data = {"settlement": settlement, "verdict": found.verdict, "proposed_by": found.proposed_by}
            await audit.record(connection, now, actor, "payout.settle.confirm", str(found.payout), data)
            applied = await self._driver.observe(
                connection, found.payout, Source.DOCUMENT, _outcome(found), f"document:{settlement}"
            )
            return applied.payout

        return await transact(self._database, work)

    async def _in_doubt(self, connection: Connection, payout: int, verdict: SettledAs) -> PayoutRow:
        """Lock it; raises where its end is known, where nothing has left that a document could be about, or where an
        attempt that a refusal cannot be about is leaving.
        """
        rows, _ = await payouts.lock(connection, [payout])
        row = next((one for one in rows if one.id == payout), None)
        if row is None:
            raise NotFound("There is no such payout.")
        unconfirmed = row.reason is not None and row.confirmed_at is None
        refused = row.state is PayoutState.REJECTED and (row.released_at is None or unconfirmed)
        if row.state not in IN_DOUBT and not refused:
            raise Conflict(
                f"The payout is {row.state.value}: nothing about it is in doubt.",
                code="not_in_doubt",
                remedy="Nothing has left: cancel the incentive, if it is not to be paid."
                if row.state in (PayoutState.RESERVED, PayoutState.PREPARED)
                else "A document that contradicts the end is the partner's contradiction: reconcile the day. An"
                " incentive that waits for staff all the same is cancelled, and handed over again if it is still"
                " to be paid.",
            )
        if verdict is SettledAs.REFUSED and row.state is PayoutState.SUBMITTING:
            raise Conflict(
                "An attempt is on its way to the partner: no document can speak of it yet.",
                code="on_its_way",
                remedy=f"Wait for its answer, which is due by {row.sent_deadline:%H:%M:%S} UTC.",
            )
        return row


def _outcome(found: Settlement) -> Outcome:
    if found.verdict == SettledAs.PAID.value:
        return succeeded()
    reason = None if found.reason is None else BlockerCode(found.reason)
    return rejected(reason, technical=reason is None, partner_code="document")
