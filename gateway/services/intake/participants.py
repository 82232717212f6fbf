"""What the core platform may know and change about a participant: links, verdict, what is needed, another account."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.incentive import BLOCKERS, BlockerCode, Owner
from contracts.linking import LinkState
from contracts.secret import Secret
from gateway.resources import Resources
from gateway.security import places
from gateway.services.intake.rows import PHONE
from gateway.services.linking import facts
from gateway.services.payouts.ends import LIFTED_BY_ACCOUNT
from gateway.storage.base.database import Connection
from gateway.storage.intake import batches, participants, reapprovals
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, owners, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.ops import audit
from gateway.storage.payouts import payouts

_LINKS_SHOWN = 20


class LinkLine(msgspec.Struct, frozen=True, kw_only=True):
    """One of the participant's links."""

    link_id: str
    partner: str
    state: LinkState
    ended_because: str | None
    created_at: datetime
    updated_at: datetime


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The newest check of the NIK."""

    verification_id: str
    state: str
    verdict: str | None
    next_attempt_at: datetime | None
    decided_at: datetime | None


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps all of the participant's incentives, and who must act."""

    code: str
    owner: Owner
    indonesian: str
    english: str
    since: datetime


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    """A participant without a word about who it is."""

    participant_id: str
    partner: str
    link_active: bool
    verified: bool
    verified_until: datetime | None
    needs: Need | None
    links: list[LinkLine]
    verification: Verdict | None


class Participants:
    """Reads participants and changes their accounts."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks

    async def view(self, participant_id: str) -> ParticipantView:
        """Links, verdict, and what is needed."""
        async with self._database.connection() as connection:
            person = await _known(connection, participant_id)
            return await _view(connection, person)

    async def stop(self, participant_id: str, actor: str) -> ParticipantView:
        """Cancel whatever of the participant's incentives has not left; what has left is followed to its end."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await _known(connection, participant_id, lock=True)
            if stopped := await batches.stop_incentives(connection, "participant", person.id, now):
                await audit.record(connection, now, actor, "participant.stop", participant_id, {"incentives": stopped})
                await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
            return await _view(connection, person)

    async def change_account(
        self, participant_id: str, partner: str, account: Secret, phone: Secret, actor: str
    ) -> ParticipantView:
        """Another account, perhaps at another partner: link and verdict end, and approvals lapse (`Batches.reapprove`).
        Refused while a payout is open.
        """
        self._check(partner, account, phone)
        now = self._clock.now()
        index = self._vault.index(places.account_index(partner), account.reveal())
        async with self._database.transaction() as connection:
            person = await _known(connection, participant_id, lock=True)
            if await participants.payout_open(connection, person.id):
                raise Conflict(
                    "A payout to the present account is open.",
                    code="payout_open",
                    remedy="Change the account once the payout has ended.",
                )
            if (person.partner, person.account_index) != (partner, index):
                await self._leave(connection, person, now)
                await participants.change_account(
                    connection,
                    person.id,
                    partner=partner,
                    account_sealed=self._vault.seal(places.account(participant_id), account.reveal()),
                    account_index=index,
                    now=now,
                )
                await reapprovals.lapse_account(connection, person.id, now)
                await payouts.lift(connection, now, person.id, LIFTED_BY_ACCOUNT)
            sealed = self._vault.seal(places.phone(participant_id), phone.reveal())
            phone_index = self._vault.index(places.PHONE_INDEX, phone.reveal())
            await participants.change_phone(connection, person.id, sealed, phone_index)
            await audit.record(connection, now, actor, "participant.account", participant_id, {"partner": partner})
            return await _view(connection, await participants.get(connection, person.id))

    def _check(self, partner: str, account: Secret, phone: Secret) -> None:
        desk = self._desks.get(partner)
        if desk is None:
            raise InvalidRequest(
                "There is no such partner.", field="partner", code="partner_unknown", remedy="GET /v1/partners."
            )
        if not re.fullmatch(desk.manifest.account_pattern, account.reveal(), re.ASCII):
            raise InvalidRequest("This is not an account at that partner.", field="account", code="field_invalid")
        if not PHONE.fullmatch(phone.reveal()):
            raise InvalidRequest("Give the phone as +62 and 8 to 13 digits.", field="phone", code="field_invalid")

    async def _leave(self, connection: Connection, person: ParticipantRow, now: datetime) -> None:
        """End what belongs to the account that is left; where linking is exclusive, the partner is told."""
        link = await links.live(connection, person.id)
        if link is not None:
            await self._end(connection, person, link, now)
            await verifications.drop(connection, link.id, now)
        await owners.release(connection, person.id, person.partner, person.account_index)

    async def _end(self, connection: Connection, person: ParticipantRow, link: LinkRow, now: datetime) -> None:
        code = BlockerCode.LINK_REQUIRED
        exclusive = self._desks[link.partner].manifest.link_exclusive
        match link.state:
            case LinkState.UNLINKING if exclusive:
                return
            case LinkState.EXCHANGING:
                moved = None
            case LinkState.ACTIVE if exclusive:
                moved = await facts.give_back(connection, person, link, code, now, due_at=now)
            case LinkState.ACTIVE | LinkState.UNLINKING:
                moved = await facts.ended(connection, person, link, LinkState.UNLINKED, code, now)
            case _:
                moved = await facts.ended(connection, person, link, LinkState.FAILED, code, now)
        if moved is None:
            raise Conflict("The participant is being linked at this moment.", code="link_in_progress")


async def _known(connection: Connection, participant_id: str, *, lock: bool = False) -> ParticipantRow:
    person = await participants.find(connection, participant_id, lock=lock)
    if person is None:
        raise NotFound("There is no incentive for this participant.")
    return person


async def _view(connection: Connection, person: ParticipantRow) -> ParticipantView:
    shown = await links.recent(connection, person.id, _LINKS_SHOWN)
    check = await verifications.latest(connection, person.id)
    return ParticipantView(
        participant_id=person.participant_id,
        partner=person.partner,
        link_active=person.link_active,
        verified=person.verified,
        verified_until=person.verified_until,
        needs=_need(person),
        links=[
            LinkLine(
                link_id=link.id,
                partner=link.partner,
                state=link.state,
                ended_because=link.ended_because,
                created_at=link.created_at,
                updated_at=link.updated_at,
            )
            for link in shown
        ],
        verification=None
        if check is None
        else Verdict(
            verification_id=str(check.id),
            state=check.state,
            verdict=check.verdict,
            next_attempt_at=check.next_attempt_at,
            decided_at=check.decided_at,
        ),
    )


def _need(person: ParticipantRow) -> Need | None:
    if person.link_active and person.verified:
        return None
    if person.standing is not None:
        code = BlockerCode(person.standing)
    elif not person.link_active:
        code = BlockerCode.LINK_REQUIRED
    else:
        return None  # the NIK is being checked
    text = BLOCKERS[code]
    return Need(
        code=code.value, owner=text.owner, indonesian=text.indonesian, english=text.english, since=person.facts_at
    )
