"""Taking a payout to its partner: intent committed, plan run once, outcome committed. No transaction spans a call."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from contracts.errors import CallerError, Hint, OutcomeUnknown, PartnerError, PartnerUnavailable
from contracts.linking import LinkHealth
from contracts.observation import Source
from contracts.partner import Context
from contracts.payout import Outcome, OutcomeKind, PayoutOrder, PayoutState, unknown
from contracts.plan import Effect, Plan
from contracts.secret import Secret
from gateway import tracing
from gateway.clock import Clock
from gateway.partners.desk import Desk
from gateway.partners.executor import HeldBack
from gateway.resources import Resources
from gateway.security import approval, places
from gateway.security.sealed import open_grant
from gateway.services.payouts.absence import ResendPermit
from gateway.services.payouts.commits import Commits
from gateway.services.payouts.stops import Stops, Watched
from gateway.services.payouts.words import Finding, What, Word, WordOrFinding, agreed
from gateway.storage.ops.switches import LEAVES_S
from gateway.storage.payouts.queue import Begun, Intent, Leased

T = TypeVar("T")
READ_S, WRITE_S, SPARE_S = 15.0, 30.0, 5.0
"""Time-outs of a payout plan's requests, and what comes on top before an attempt counts as unanswered."""
ANSWER_S = {"payout": READ_S + WRITE_S + SPARE_S, "prepare": WRITE_S + SPARE_S, "approve": WRITE_S + SPARE_S}
"""How long after its intent an attempt of each operation may take."""
assert LEAVES_S <= WRITE_S - SPARE_S, "what a pause says about the last WRITE to leave would not be true"
LINK_PROOF_S = 86_400.0
"""A wallet's link must have been proved alive within this time."""
_OF_THE_PERSON = frozenset({Hint.CUSTOMER_TOKEN, Hint.SESSION})

_log = structlog.get_logger(__name__)
_S, _K = PayoutState, OutcomeKind


class Links(Protocol):
    """What sending needs from account linking."""

    async def prove(self, link_id: str) -> LinkHealth:
        """Look at a link under the participant's token, now; raises `PartnerError` when the partner cannot say."""

    async def customer_token_refused(self, link_id: str) -> bool:
        """The partner refused the participant's token: True, it was renewed; False, the link is gone."""


class Answer(enum.Enum):
    """What a try told about the partner, for whoever decides whether to go on feeding it."""

    SPOKE = "spoke"
    NOTHING_DONE = "nothing_done"
    NO_ANSWER = "no_answer"
    SKIPPED = "skipped"
    """It was not asked."""


class Gate(Protocol):
    """Whether a partner is to be fed, asked and told for every attempt while it holds its seat."""

    def admit(self) -> bool:
        """Whether one more attempt may leave now."""

    def note(self, answer: Answer) -> None:
        """What it told about the partner."""


class _Open:
    """Feeds whatever happens."""

    def admit(self) -> bool:
        return True

    def note(self, answer: Answer) -> None:
        """Nobody wants to know."""


OPEN: Gate = _Open()


class Try(NamedTuple):
    """One try at a partner: what is asked, and the intent that is committed first."""

    desk: Desk
    leased: Leased
    order: PayoutOrder
    operation: str
    make: Callable[[Context, PayoutOrder], Plan[Outcome]]
    frozen: bytes
    """Hash of the first WRITE's body."""
    intent: Intent


class Left:
    """Whether an attempt has handed out its WRITE: without it, nothing has left whatever happened."""

    def __init__(self) -> None:
        self.wrote = False


def within(plan: Plan[T], clock: Clock, deadline: datetime, left: Left | None = None) -> Plan[T]:
    """The plan, but its WRITE leaves only while it can still be answered before the deadline, whatever time it asks;
    noted in `left`.
    """
    try:
        request = next(plan)
        while True:
            answer_s = max(request.timeout_s, WRITE_S)
            if request.effect is Effect.WRITE and clock.now() + timedelta(seconds=answer_s) > deadline:
                raise PartnerUnavailable("too late to send within the attempt's deadline")
            if left is not None:
                left.wrote = request.effect is Effect.WRITE
            request = plan.send((yield request))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        plan.close()


def frozen_hash(desk: Desk, order: PayoutOrder) -> bytes:
    """Hash of what stays the same in the first WRITE's body over all attempts; the store keeps `approval.kept_hash`."""
    return hashlib.sha256(desk.partner.frozen_body(desk.bare_context(), order)).digest()


class Sending:
    """Sends leased payouts of all partners."""

    def __init__(self, resources: Resources, links: Links, commits: Commits, stops: Stops, worker: str) -> None:
        self._clock = resources.clock
        self._on_time = resources.on_time
        self._vault = resources.vault
        self._desks = resources.desks
        self._links = links
        self._commits = commits
        self._stops = stops
        self._worker = worker
        in_flight = resources.settings.max_in_flight
        self._seats = {slug: asyncio.Semaphore(in_flight) for slug in resources.desks}

    async def send(self, leased: Leased, gate: Gate = OPEN) -> Answer:
        """Take one leased payout as far as it goes now: reserved, prepared, or a create in doubt.

        `gate` has the last word once there is a seat: an outage may have become known while it waited for one.
        """
        tracing.about(tracing.of_incentive(leased.payout.incentive))
        desk = self._desks[leased.payout.partner]
        if not desk.manifest.min_amount_rupiah <= leased.payout.amount_rupiah <= desk.manifest.max_amount_rupiah:
            over = Finding(payout=leased.payout.id, what=What.OVER_LIMIT, worker=self._worker)
            await self._commits.outcomes.add(over)
            return Answer.SKIPPED
        order = self.order(leased)
        if leased.payout.state is not _S.PREPARING and not await self._link_stands(desk, leased):
            return Answer.SKIPPED
        if not desk.manifest.two_step:
            return await self._attempt(desk, leased, order, "payout", desk.partner.payout, gate)
        if leased.payout.state in (_S.RESERVED, _S.PREPARING):
            answer = await self._attempt(desk, leased, order, "prepare", desk.partner.prepare, gate)
            if not leased.prepared:
                return answer
            order = msgspec.structs.replace(order, partner_reference=leased.payout.partner_reference)
        return await self._attempt(desk, leased, order, "approve", desk.partner.approve, gate)

    def as_created(self, leased: Leased) -> bool:
        """Whether the instruction that stands at the partner is the one that we would make now."""
        stored = leased.payout.frozen_hash
        return stored is None or self.is_body(stored, leased)

    def is_body(self, stored: bytes, leased: Leased) -> bool:
        """Whether what the store keeps is of the body that we would send now."""
        frozen = frozen_hash(self._desks[leased.payout.partner], self.order(leased))
        return approval.kept_hash(self._vault, frozen, stored) == stored

    async def send_again(self, permit: ResendPermit, leased: Leased) -> Answer:
        """The one resend that a permit allows: same reference, same frozen body."""
        if permit.payout != leased.payout.id:
            raise ValueError("this permit is for another payout")
        desk = self._desks[leased.payout.partner]
        if not await self._link_stands(desk, leased):
            return Answer.SKIPPED
        return await self._attempt(desk, leased, self.order(leased), "payout", desk.partner.payout, permit=permit)

    def order(self, leased: Leased) -> PayoutOrder:
        """What the partner is told, from stored facts alone; raises `SealBroken`."""
        payout, vault = leased.payout, self._vault
        grant = None if leased.grant_sealed is None else open_grant(vault, payout.link_id, leased.grant_sealed)
        return PayoutOrder(
            reference=payout.reference,
            amount_rupiah=payout.amount_rupiah,
            account=Secret(vault.open(places.link_account(payout.link_id), leased.account_sealed)),
            phone=Secret(vault.open(places.phone(leased.participant_id), leased.phone_sealed)),
            name=Secret(vault.open(places.name(leased.participant_id), leased.name_sealed)),
            created_at=payout.created_at,
            grant=grant,
            partner_reference=payout.partner_reference,
            first_sent_at=payout.first_sent_at,
        )

    async def _attempt(
        self,
        desk: Desk,
        leased: Leased,
        order: PayoutOrder,
        operation: str,
        make: Callable[[Context, PayoutOrder], Plan[Outcome]],
        gate: Gate = OPEN,
        *,
        permit: ResendPermit | None = None,
    ) -> Answer:
        """Commit the intent, run the plan, commit what came of it; `leased.payout` is then as stored."""
        payout, prepares = leased.payout, operation == "prepare"
        attempt = payout.attempt if prepares else payout.attempt + 1
        frozen = frozen_hash(desk, order)
        intent = Intent(
            payout=payout.id,
            before=payout.state,
            after=_S.PREPARING if prepares else _S.SUBMITTING,
            attempt=attempt,
            hash=approval.kept_hash(self._vault, frozen, payout.frozen_hash),
            answer_s=ANSWER_S[operation],
            proved_after=self._proved_after(desk),
            not_after=permit.window_until if permit else None,
            last_heard=permit.last_heard if permit else None,
        )
        one = Try(desk, leased, order, operation, make, frozen, intent)
        watching = self._stops.watch(payout, moves_nothing=payout.state is _S.PREPARING, again=permit is not None)
        # No more than the seats can be in doubt when the partner or we go down.
        async with self._seats[desk.slug]:
            if not gate.admit():
                await self._commits.give_back([payout.id])
                return Answer.SKIPPED
            self._on_time()  # the clock may have been set while this one waited
            with watching as watch:
                begun = await self._commits.intents.add(intent)
                if begun is None:
                    return Answer.SKIPPED
                item, hint = self._differs(one, begun), Hint.NONE
                if item is None:
                    item, hint = await self._run(one, begun.deadline, watch)
            answer = _answer(item, hint)
            gate.note(answer)
        applied = await self._commits.outcomes.add(item)
        leased.payout = applied.payout
        await self._mind(leased, hint)
        return answer

    def _differs(self, one: Try, begun: Begun) -> WordOrFinding | None:
        """What becomes of an attempt whose rows are not the ones that two people approved; None: they are.

        The account is the one that the order pays, whatever the rows say of it.
        """
        intent = one.intent
        if intent.before is _S.PREPARING:
            return None  # a create that is in doubt: it moves nothing, and without it nobody can withdraw it
        account = self._vault.index(places.account_index(one.desk.slug), one.order.account.reveal())
        if one.leased.paid_by_ledger:
            detail = "the ledger has its incentive paid: rows of before were put back"
            _log.error("paid_by_ledger", payout=intent.payout)
            what = What.APPROVAL_MISMATCH
            return Finding(payout=intent.payout, what=what, attempt=intent.attempt, worker=self._worker, detail=detail)
        if (
            (under := one.leased.approved_under) is not None
            and begun.approved_row is not None
            and begun.digest is not None
            and hmac.compare_digest(approval.digest(self._vault, begun.approved_row, account, under), begun.digest)
        ):
            return None
        _log.error("approval_mismatch", payout=intent.payout)
        return Finding(payout=intent.payout, what=What.APPROVAL_MISMATCH, attempt=intent.attempt, worker=self._worker)

    async def _run(self, one: Try, deadline: datetime, watch: Watched) -> tuple[WordOrFinding, Hint]:
        payout, attempt, left = one.intent.payout, one.intent.attempt, Left()

        def said(outcome: Outcome) -> tuple[WordOrFinding, Hint]:
            if outcome.kind is _K.REJECTED and outcome.reason is not None and not left.wrote:
                what = What.REFUSED
                return Finding(
                    payout=payout, what=what, attempt=attempt, refused=outcome, worker=self._worker
                ), outcome.hint
            word = Word(
                payout=payout,
                source=Source.REPLY,
                outcome=agreed(outcome, one.leased.payout, one.order.account),
                attempt=attempt,
                worker=self._worker,
                keep_lease=one.operation == "prepare",
            )
            return word, outcome.hint

        try:
            async with self._clock.timeout((deadline - self._clock.now()).total_seconds() + 1.0):
                outcome = await one.desk.run(
                    one.operation,
                    lambda context: within(one.make(context, one.order), self._clock, deadline, left),
                    subject=str(payout),
                    # The approval's own body is another one; it is keyed by the partner's number.
                    frozen_hash=None if one.operation == "approve" else one.frozen,
                    last_look=lambda: self._last_look(watch, deadline),
                )
        except (PartnerError, CallerError) as error:
            hint = error.hint if isinstance(error, PartnerError) else Hint.NONE
            return self._nothing_left(payout, attempt, error), hint
        except OutcomeUnknown as error:
            return said(unknown(partner_code=error.partner_code, retry_after_s=error.retry_after_s))
        except TimeoutError as error:
            if not left.wrote:  # our token, a READ: it took too long, and nothing is in doubt
                return self._nothing_left(payout, attempt, PartnerUnavailable(type(error).__name__)), Hint.NONE
            return said(unknown())
        return said(outcome)

    async def _last_look(self, watch: Watched, deadline: datetime) -> None:
        """Right before the WRITE: nothing has stopped it, and the look itself has not taken the time that its answer
        may need. Raises `HeldBack`.
        """
        await self._stops.look(watch)
        if self._clock.now() + timedelta(seconds=WRITE_S) > deadline:
            raise HeldBack("the last look took too long for the attempt's deadline")

    def _nothing_left(self, payout: int, attempt: int, error: PartnerError | CallerError) -> Finding:
        hint, retry_after_s = Hint.NONE, None
        if isinstance(error, PartnerError):
            hint, retry_after_s = error.hint, error.retry_after_s
        _log.info("nothing_left", payout=payout, error=type(error).__name__, hint=hint.value)
        return Finding(
            payout=payout,
            what=What.STOPPED if isinstance(error, HeldBack) else What.NOTHING_LEFT,
            attempt=attempt,
            hint=hint,
            retry_after_s=retry_after_s,
            worker=self._worker,
        )

    async def _mind(self, leased: Leased, hint: Hint) -> None:
        """Renew the grant that the partner refused, so that the next try is not refused for the same reason. Where
        that fails, the next try is refused, and asks again.
        """
        if hint is Hint.CUSTOMER_TOKEN:
            try:
                await self._links.customer_token_refused(leased.payout.link_id)
            except PartnerError as error:
                _log.info("grant_not_renewed", payout=leased.payout.id, error=type(error).__name__)

    async def _link_stands(self, desk: Desk, leased: Leased) -> bool:
        """Prove the link alive where the partner's payouts need it and nobody did within the last day."""
        proved_after = self._proved_after(desk)
        if proved_after is None:
            return True
        fresh = proved_after + timedelta(seconds=ANSWER_S["prepare"] + ANSWER_S["approve"])
        if leased.proved_at is not None and leased.proved_at > fresh:
            return True
        payout = leased.payout
        try:
            health = await self._links.prove(payout.link_id)
        except PartnerError as error:
            await self._commits.outcomes.add(self._nothing_left(payout.id, payout.attempt, error))
            return False
        if health is not LinkHealth.ACTIVE:
            await self._commits.give_back([payout.id])
            return False
        return True

    def _proved_after(self, desk: Desk) -> datetime | None:
        if not desk.manifest.payout_needs_live_link or desk.manifest.payout_proves_link:
            return None
        return self._clock.now() - timedelta(seconds=LINK_PROOF_S)


def _answer(item: WordOrFinding, hint: Hint) -> Answer:
    if isinstance(item, Finding):
        if item.what in (What.STOPPED, What.APPROVAL_MISMATCH):
            return Answer.SKIPPED  # by us
        return Answer.SPOKE if item.what is What.REFUSED or hint in _OF_THE_PERSON else Answer.NOTHING_DONE
    kind = item.outcome.kind
    if kind is _K.UNKNOWN:
        return Answer.NO_ANSWER
    return Answer.NOTHING_DONE if kind is _K.NOT_ACCEPTED and hint not in _OF_THE_PERSON else Answer.SPOKE
