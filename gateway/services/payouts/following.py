"""Following what has left: look-ups, confirmations, creates in doubt, instructions to withdraw, and the one resend."""

from __future__ import annotations

from datetime import timedelta

import structlog

from contracts.errors import OutcomeUnknown, PartnerError
from contracts.observation import Source
from contracts.partner import Capability
from contracts.payout import Outcome, OutcomeKind, PayoutState, unknown
from gateway import tracing
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.services.payouts.absence import (
    Calendar,
    NoPermit,
    ResendPermit,
    enough_readings,
    key_until,
    listed_from,
    resend_permit,
)
from gateway.services.payouts.apply import Applied
from gateway.services.payouts.commits import Commits
from gateway.services.payouts.sending import ANSWER_S, Answer, Sending, within
from gateway.services.payouts.words import Finding, What, Word, agreed
from gateway.storage.payouts.queue import Leased
from gateway.storage.reconciliation import lookalikes, statements

_log = structlog.get_logger(__name__)
_S, _K = PayoutState, OutcomeKind


class Following:
    """Follows leased payouts of all partners to their end."""

    def __init__(self, resources: Resources, commits: Commits, sending: Sending, worker: str) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._desks = resources.desks
        self._act_on_assumed = resources.settings.resend_on_assumed_absence
        self._commits = commits
        self._sending = sending
        self._worker = worker

    async def follow(self, leased: Leased) -> None:
        """Do the next thing for one payout whose next step is due."""
        payout = leased.payout
        tracing.about(tracing.of_incentive(payout.incentive))
        if payout.state is _S.PREPARING:
            await self._create_again(leased)
        elif payout.state is _S.REJECTED and payout.reason_due_at is not None:
            await self._no_reason_came(leased)
        else:
            await self._look(leased)

    async def withdraw(self, leased: Leased) -> None:
        """Have the partner reject an instruction that stands there and may no longer be paid."""
        desk, payout = self._desks[leased.payout.partner], leased.payout
        tracing.about(tracing.of_incentive(payout.incentive))
        deadline = self._clock.now() + timedelta(seconds=ANSWER_S["payout"])  # for a look and a request, no standstill
        await self._commits.outcomes.add(
            Finding(payout=payout.id, what=What.WITHDRAWING, worker=self._worker, keep_lease=True)
        )
        applied = await self._ask(desk, leased, withdrawing=True)
        if applied is None or applied.payout.state is not _S.PREPARED or applied.heard[-1].kind is not _K.QUEUED:
            return
        order = self._sending.order(leased)
        try:
            outcome = await desk.run(
                "withdraw",
                lambda context: within(desk.partner.withdraw(context, order), self._clock, deadline),
                subject=str(payout.id),
            )
        except OutcomeUnknown as error:
            outcome = unknown(partner_code=error.partner_code, retry_after_s=error.retry_after_s)
        except PartnerError as error:
            await self._in_vain(leased, error)
            return
        await self._tell(leased, Source.REPLY, outcome)

    async def _look(self, leased: Leased) -> None:
        desk = self._desks[leased.payout.partner]
        applied = await self._ask(desk, leased, withdrawing=False)
        if applied is None:
            return
        leased.payout = applied.payout
        if applied.payout.state is not _S.UNKNOWN or applied.heard[-1].kind is not _K.NOT_FOUND:
            return
        permit = resend_permit(
            self._commits.terms[desk.slug],
            applied.payout,
            applied.heard,
            now=self._clock.now(),
            answer_s=ANSWER_S["payout"],
            act_on_assumed=self._act_on_assumed,
        )
        same = isinstance(permit, ResendPermit) and self._sending.is_body(permit.frozen_hash, leased)
        if isinstance(permit, ResendPermit) and same and not await self._perhaps_listed(applied.payout.id):
            await self._sending.send_again(permit, leased)
            return
        if permit is NoPermit.ASSUMED:
            await self._commits.outcomes.add(
                Finding(
                    payout=applied.payout.id,
                    what=What.ASSUMED_ABSENT,
                    detail=f"{desk.pace.absence_lookups} look-ups over {desk.pace.absence_s:.0f} s do not find it;"
                    " that this proves its absence is assumed",
                    worker=self._worker,
                )
            )
            return
        await self._commits.give_back([applied.payout.id])

    async def _perhaps_listed(self, payout: int) -> bool:
        """Whether a statement has a credit that may be this payout, whatever look-ups say."""
        async with self._database.connection() as connection:
            return bool(await lookalikes.of(connection, [payout]))

    async def _ask(self, desk: Desk, leased: Leased, *, withdrawing: bool) -> Applied | None:
        """One look-up, and what it says applied; None: it said nothing."""
        order, attempt = self._sending.order(leased), leased.payout.attempt
        try:
            outcome = await desk.run(
                "find_payout", lambda context: desk.partner.find_payout(context, order), subject=str(leased.payout.id)
            )
        except PartnerError as error:
            await self._in_vain(leased, error)
            return None
        outcome = agreed(outcome, leased.payout, order.account)
        keep = outcome.kind is _K.NOT_FOUND or (withdrawing and outcome.kind is _K.QUEUED)
        return await self._tell(leased, Source.LOOKUP, outcome, attempt=attempt, keep_lease=keep)

    async def _tell(
        self, leased: Leased, source: Source, outcome: Outcome, *, attempt: int | None = None, keep_lease: bool = False
    ) -> Applied:
        return await self._commits.outcomes.add(
            Word(
                payout=leased.payout.id,
                source=source,
                outcome=outcome,
                attempt=leased.payout.attempt if attempt is None else attempt,
                worker=self._worker,
                keep_lease=keep_lease,
            )
        )

    async def _in_vain(self, leased: Leased, error: PartnerError) -> None:
        _log.info("looked_in_vain", payout=leased.payout.id, error=type(error).__name__, hint=error.hint.value)
        await self._commits.outcomes.add(
            Finding(payout=leased.payout.id, what=What.LOOKED_IN_VAIN, hint=error.hint, worker=self._worker)
        )

    async def _create_again(self, leased: Leased) -> None:
        """The same create under the same key, as long as the partner keeps the key; then it is an operator's."""
        desk, payout = self._desks[leased.payout.partner], leased.payout
        until = key_until(desk.manifest.lifetimes, payout.first_sent_at or payout.created_at)
        over = None
        if until is None:
            over = "a create is in doubt and the partner promises nothing about sending it again"
        elif self._clock.now() + timedelta(seconds=ANSWER_S["prepare"]) > until:
            over = "a create is in doubt and the life of its key is over: find it at the partner, by our reference"
        elif payout.frozen_hash is None or not self._sending.is_body(payout.frozen_hash, leased):
            over = "a create is in doubt and its body can no longer be made as it was sent"
        if over is None:
            answer = await self._sending.send(leased)
            if answer is Answer.SKIPPED and leased.payout.state is _S.PREPARING:
                # Held by a recovery, say, which asks for it itself and may take a day.
                await self._commits.outcomes.add(
                    Finding(payout=payout.id, what=What.LOOKED_IN_VAIN, worker=self._worker)
                )
        else:
            await self._commits.outcomes.add(
                Finding(payout=payout.id, what=What.KEY_OVER, detail=over, worker=self._worker)
            )

    async def _no_reason_came(self, leased: Leased) -> None:
        """The wait for a reason is over: once the statements have been read since, it is an operator's."""
        payout, now = leased.payout, self._clock.now()
        desk = self._desks[payout.partner]
        assert payout.reason_due_at is not None
        first_day = listed_from(payout)
        if Capability.STATEMENT in desk.manifest.capabilities:
            async with self._database.connection() as connection:
                reads = await statements.reads(connection, desk.slug, first_day)
            readings = enough_readings(first_day, payout.reason_due_at, Calendar(reads), now=now, again_s=None)
            if not readings.enough:
                await self._commits.outcomes.add(
                    Finding(payout=payout.id, what=What.LOOKED_IN_VAIN, worker=self._worker)
                )
                return
        detail = "the partner said failed and neither a notification nor its statement says why"
        await self._commits.outcomes.add(
            Finding(payout=payout.id, what=What.REASON_MISSING, detail=detail, worker=self._worker)
        )
