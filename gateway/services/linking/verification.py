"""NIK verification: open rows are asked about until a partner gives a verdict; what it means for participant, account
and link is stored with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import structlog

from contracts.brake import GOOD_FOR_S, OF_A_PERSON
from contracts.errors import Conflict, Hint, NotFound, OutcomeUnknown, PartnerError
from contracts.events import EventType
from contracts.hold import HoldStage
from contracts.identity import VERDICT_BLOCKER, IdentityAnswer, IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkState
from contracts.nik import Nik
from contracts.partner import Capability
from contracts.secret import Secret
from gateway import tracing
from gateway.partners.desk import Pace
from gateway.resources import Resources
from gateway.security import places
from gateway.security.sealed import open_grant
from gateway.services.brake import brake
from gateway.services.each import each
from gateway.services.linking import facts, proof
from gateway.services.linking.links import Linking
from gateway.storage.base.database import Connection
from gateway.storage.base.ids import new_id
from gateway.storage.brake import refusals
from gateway.storage.intake import participants
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, owners, proofs, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.linking.verifications import VerificationRow
from gateway.storage.messages import events

_LEASE = timedelta(seconds=120)
"""Longer than the time-outs of one check together."""
_SLOW_S, _SLOWEST_S = 600.0, 21_600.0
"""Once the quick tries are used up."""
_log = structlog.get_logger(__name__)


class VerificationView(msgspec.Struct, frozen=True, kw_only=True):
    """One check and its verdict; no personal data."""

    verification_id: str
    participant_id: str
    link_id: str
    state: str
    verdict: str | None
    tries: int
    next_attempt_at: datetime | None
    decided_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class Verification:
    """Asks partners whether a participant's NIK is the one on the account."""

    def __init__(self, resources: Resources) -> None:
        self._settings = resources.settings
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks
        self._linking = Linking(resources)

    async def request(self, participant_id: str) -> VerificationView:
        """Have a participant's NIK checked now; a check that is open already is brought forward."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.find(connection, participant_id, lock=True)
            if person is None:
                raise NotFound("There is no incentive for this participant.")
            if not person.link_active or person.link_id is None:
                raise Conflict(
                    "The participant has no active link.", code="link_required", remedy="Link the account first."
                )
            number = await self.open_for(connection, person, person.link_id, now)
            row = await verifications.get(connection, number)
        if row is None:
            raise LookupError("the row just written is not there")
        return _view(row, person)

    async def view(self, verification_id: int) -> VerificationView:
        """Where a check stands; raises `NotFound`."""
        async with self._database.connection() as connection:
            row = await verifications.get(connection, verification_id)
            if row is None:
                raise NotFound("There is no such verification.")
            return _view(row, await participants.get(connection, row.participant))

    async def open_for(self, connection: Connection, person: ParticipantRow, link_id: str, now: datetime) -> int:
        """Open a check in the caller's transaction."""
        return await verifications.open_for(connection, person.id, link_id, person.nik_index, now)

    async def tick(self, limit: int = 50, partner: str | None = None) -> int:
        """Make the checks that are due, side by side."""
        return await each("verification", await self.claim(partner, limit), self.check, at_once=limit)

    async def claim(self, partner: str | None, limit: int) -> list[VerificationRow]:
        """Lease checks that are due; of one partner, so that a slow one holds up no other."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            return await verifications.lease(connection, now, now + _LEASE, limit, partner)

    async def tick_expired(self, limit: int = 100) -> int:
        """Verdicts that became too old are asked for again by themselves; they are never mismatches."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await participants.expired(connection, now, limit)
        return await each("expired", due, self._renew)

    async def _renew(self, participant: int) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, participant, lock=True)
            if not person.verified or person.link_id is None or person.verified_until is None:
                return
            if person.verified_until <= now:
                code = BlockerCode.VERIFICATION_EXPIRED
                await participants.not_verified(connection, person.id, person.link_id, code, now)
                await self.open_for(connection, person, person.link_id, now)

    async def check(self, row: VerificationRow) -> None:
        """Make one check that was leased."""
        async with self._database.connection() as connection:
            person = await participants.get(connection, row.participant)
            link = await links.get(connection, row.link_id)
            reference = f"{self._settings.instance}{await new_id(connection, self._clock.now())}"
        if link is None or link.grant_sealed is None or not _concerns(row, person, link):
            await self._drop(row)
            return
        try:
            answer = await self._ask(row, person, link, link.grant_sealed, reference)
        except (PartnerError, OutcomeUnknown) as error:
            _log.info("nik_not_checked", verification=row.id, partner=link.partner, partner_code=error.partner_code)
            refused = isinstance(error, PartnerError) and error.hint is Hint.CUSTOMER_TOKEN
            if refused and not await self._linking.token_still_good(link.id):
                return  # the link was revoked, and with it this check was dropped
            after_s = error.retry_after_s if isinstance(error, PartnerError) else None
            await self._later(row, link, BlockerCode.PARTNER_UNAVAILABLE, error.partner_code, after_s)
            return
        if answer.verdict is Verdict.PENDING:
            await self._later(row, link, BlockerCode.VERIFICATION_PENDING, answer.partner_code, None)
        else:
            await self._decide(row, link, answer)

    async def _ask(
        self, row: VerificationRow, person: ParticipantRow, link: LinkRow, grant_sealed: bytes, reference: str
    ) -> IdentityAnswer:
        desk = self._desks[link.partner]
        if Capability.VERIFY_NIK not in desk.manifest.capabilities:
            return IdentityAnswer(verdict=Verdict.UNSUPPORTED)
        query = IdentityQuery(
            reference=reference,
            nik=Nik(
                self._vault.open_indexed(
                    places.nik(person.participant_id), person.nik_sealed, places.NIK_INDEX, person.nik_index
                )
            ),
            account=Secret(
                self._vault.open_indexed(
                    places.link_account(link.id),
                    link.account_sealed,
                    places.account_index(link.partner),
                    link.account_index,
                )
            ),
            phone=Secret(self._vault.open(places.phone(person.participant_id), person.phone_sealed)),
            grant=open_grant(self._vault, link.id, grant_sealed),
        )
        tracing.about(link.id)
        return await desk.run(
            "verify_nik", lambda context: desk.partner.verify_nik(context, query), subject=str(row.id)
        )

    async def _drop(self, row: VerificationRow) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await verifications.drop(connection, row.link_id, now)

    async def _later(
        self,
        row: VerificationRow,
        link: LinkRow,
        standing: BlockerCode,
        partner_code: str | None,
        retry_after_s: float | None,
    ) -> None:
        """No verdict. After the quick tries it is a blocker of the partner's, and is still asked about, slowly. A
        verdict that still holds is not lost by it.
        """
        now = self._clock.now()
        pace = self._desks[link.partner].pace
        wait_s = max(_wait_s(pace, row.tries), retry_after_s or 0.0)
        async with self._database.transaction() as connection:
            person = await participants.get(connection, row.participant, lock=True)
            kept = await verifications.put_off(connection, row, partner_code, now + timedelta(seconds=wait_s))
            if kept and row.tries >= pace.verification_tries and not person.verified:
                await participants.not_verified(connection, person.id, link.id, standing, now)

    async def _decide(self, row: VerificationRow, asked: LinkRow, answer: IdentityAnswer) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if asked.grant_index is not None:
                await proofs.lock_token(connection, asked.partner, asked.grant_index)
            person = await participants.get(connection, row.participant, lock=True)
            link = await links.get(connection, row.link_id, lock=True)
            if link is None or not _concerns(row, person, link):
                await verifications.drop(connection, row.link_id, now)
                return
            told = answer.verdict
            answer = msgspec.structs.replace(answer, verdict=await _of_the_account(connection, person, link, answer))
            if (
                row.canary
                and answer.verdict is not Verdict.MATCH
                and await brake.holds_crowd(connection, link.partner, HoldStage.VERIFY)
            ):
                await verifications.drop(connection, link.id, now)
                return  # a held partner's word against somebody it was asked about for the hold's sake alone
            until = now + timedelta(seconds=self._settings.verdict_life_s)
            matched = answer.verdict is Verdict.MATCH
            if not await verifications.decide(
                connection, row, answer.verdict, answer.partner_code, until if matched else None, now
            ):
                return
            hard = await self._weigh(connection, person, link, answer, told, now)
            standing = await self._apply(connection, person, link, answer.verdict, until, now, hard=hard)
            data = {
                "verification_id": str(row.id),
                "participant_id": person.participant_id,
                "link_id": link.id,
                "partner": link.partner,
                "verdict": answer.verdict.value,
                "blocker": standing.value if standing else None,
            }
            await events.emit(connection, now, [(EventType.VERIFICATION_COMPLETED, str(row.id), data)])

    async def _weigh(
        self,
        connection: Connection,
        person: ParticipantRow,
        link: LinkRow,
        answer: IdentityAnswer,
        told: Verdict,
        now: datetime,
    ) -> bool:
        """Count the answer among those of this partner; a refusal that comes in a crowd holds the stage. Whether what
        is hard to undo may follow from it. `told`: the partner's own word, before what else is known of the account: a
        match that counts for nothing is no refusal of the partner's.
        """
        await refusals.good(connection, link.partner, HoldStage.PROOF, known=True, answers=1)  # its token was taken
        if link.doubted_at is not None:
            await links.proved(connection, link.id, now)
        good_at = await refusals.matched_at(connection, now, link.partner, person.id, link.account_index)
        known = good_at is not None and good_at > now - timedelta(seconds=GOOD_FOR_S)
        if answer.verdict is Verdict.MATCH:
            await refusals.good(connection, link.partner, HoldStage.VERIFY, known=known, answers=1)
        code = VERDICT_BLOCKER[answer.verdict]
        if code is None or code not in OF_A_PERSON or told is Verdict.MATCH:
            return False
        said = refusals.NewRefusal(
            partner=link.partner,
            stage=HoldStage.VERIFY,
            known=known,
            participant=person.id,
            account_index=link.account_index,
            code=code,
            partner_code=answer.partner_code,
            good_at=good_at,
        )
        pace = self._desks[link.partner].pace
        return (await brake.refused(connection, now, said, pace.looks_s)).hard(now, pace.hard_s)

    async def _apply(
        self,
        connection: Connection,
        person: ParticipantRow,
        link: LinkRow,
        verdict: Verdict,
        until: datetime,
        now: datetime,
        *,
        hard: bool,
    ) -> BlockerCode | None:
        """What a verdict means, and the blocker that now holds. Unless `hard`, nothing follows that is hard to undo: a
        later look decides.
        """
        standing = VERDICT_BLOCKER[verdict]
        if verdict is Verdict.MATCH:
            await links.proved(connection, link.id, now)
            if await owners.claim(connection, person, link.partner, link.account_index, now):
                await participants.verified(connection, person.id, link.id, until, now)
                return None
            standing = BlockerCode.ACCOUNT_SHARED
            await proof.doubt_holders(connection, person, link, now)
        await participants.not_verified(connection, person.id, link.id, standing, now)
        if verdict is Verdict.MISMATCH and hard:
            await facts.let_go(connection, person.id, link.partner, link.account_index, now)
            if self._desks[link.partner].manifest.link_exclusive:
                # Nobody else can link the account while this one holds it.
                code = BlockerCode.NIK_MISMATCH
                await facts.give_back(connection, link, code, now, due_at=now)
        return standing


async def _of_the_account(
    connection: Connection, person: ParticipantRow, link: LinkRow, answer: IdentityAnswer
) -> Verdict:
    """The verdict, weighed with what else is known about whose the account is: a match under a token that turned up
    under another account is none, and two people's document from the partner makes one of an unproved account.
    """
    unproved = answer.verdict is Verdict.ACCOUNT_UNPROVED
    if answer.verdict is Verdict.MATCH and link.grant_index is not None:
        others = await proofs.under_other_accounts(
            connection, link.partner, link.grant_index, link.account_index, person.id
        )
        unproved = bool(others)
    if not unproved:
        return answer.verdict
    return Verdict.MATCH if await proofs.proved(connection, person) else Verdict.ACCOUNT_UNPROVED


def _concerns(row: VerificationRow, person: ParticipantRow, link: LinkRow) -> bool:
    """Whether the check still is about the participant's NIK, link and account."""
    return (
        link.state is LinkState.ACTIVE
        and person.link_id == link.id
        and person.nik_index == row.nik_index
        and person.account_index == link.account_index
    )


def _wait_s(pace: Pace, tries: int) -> float:
    """How long after the n-th try the next one follows: doubling; slowly once the quick tries are used up."""
    if tries < pace.verification_tries:
        return pace.verification_retry_s * 2.0 ** (tries - 1)
    return min(_SLOW_S * 2.0 ** min(tries - pace.verification_tries, 10), _SLOWEST_S)


def _view(row: VerificationRow, person: ParticipantRow) -> VerificationView:
    return VerificationView(
        verification_id=str(row.id),
        participant_id=person.participant_id,
        link_id=row.link_id,
        state=row.state,
        verdict=row.verdict,
        tries=row.tries,
        next_attempt_at=row.next_attempt_at,
        decided_at=row.decided_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
