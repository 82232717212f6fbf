"""What the core platform may know about a participant: links, verdict, what is needed; and how to stop it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.errors import NotFound
from contracts.incentive import BLOCKERS, BlockerCode, Owner
from contracts.linking import LinkState
from contracts.text import Text
from gateway.resources import Resources
from gateway.storage.base.database import Connection, transact
from gateway.storage.intake import entitlements, participants, stopping
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, verifications
from gateway.storage.ops import audit

_LINKS_SHOWN = 20


class ParticipantLink(msgspec.Struct, frozen=True, kw_only=True):
    """One of the participant's links."""

    link_id: str
    partner: str
    state: LinkState
    ended_because: str | None
    created_at: datetime
    updated_at: datetime


class NewestCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The newest check of the NIK."""

    verification_id: str
    state: str
    verdict: str | None
    next_attempt_at: datetime | None
    decided_at: datetime | None


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps all of the participant's incentives, and who must act."""

    code: BlockerCode
    owner: Owner
    text: Text
    since: datetime


class PendingCorrection(msgspec.Struct, frozen=True, kw_only=True):
    """Another NIK of somebody who was paid: it counts once another client sends the same within seven days."""

    asked_by: str
    asked_at: datetime


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    """A participant without a word about who it is."""

    participant_id: str
    partner: str
    link_active: bool
    verified: bool
    verified_until: datetime | None
    needs: Need | None
    links: list[ParticipantLink]
    verification: NewestCheck | None
    correction: PendingCorrection | None
    """Another NIK that waits for a second client's word."""


class Participants:
    """Reads participants and stops their payments."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database

    async def view(self, participant_id: str) -> ParticipantView:
        """Links, verdict, and what is needed."""
        async with self._database.connection() as connection:
            person = await known(connection, participant_id)
            return await view_of(connection, person)

    async def stop(self, participant_id: str, actor: str) -> ParticipantView:
        """Cancel whatever of the participant's incentives has not left, and what they are entitled to under plans, so
        that no later notice makes more; what has left is followed to its end. The same under every other id that the
        organisation has for the NIK. Who approves a later row is told of it.
        """

        async def store(connection: Connection) -> ParticipantView:
            now = self._clock.now()
            # First the entitlements, then the person: who takes a notice locks them in this order.
            ids = await participants.ids_of(connection, await known(connection, participant_id))
            ended = await entitlements.cancel_of(connection, ids, now)
            people = [await participants.get(connection, one, lock=True) for one in ids]
            person = next(one for one in people if one.participant_id == participant_id)
            stopped = (await stopping.stop_incentives(connection, "participant", ids, now)).total()
            if await participants.stop(connection, person, now) or stopped or ended:
                also = [one.participant_id for one in people if one is not person]
                about = {"incentives": stopped, "entitlements": ended, **({"also": also} if also else {})}
                await audit.record(connection, now, actor, "participant.stop", participant_id, about)
                await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
            return await view_of(connection, person)

        return await transact(self._database, store)


async def known(connection: Connection, participant_id: str, *, lock: bool = False) -> ParticipantRow:
    """The participant; raises `NotFound`."""
    person = await participants.find(connection, participant_id, lock=lock)
    if person is None:
        raise NotFound("There is no incentive for this participant.")
    return person


async def view_of(connection: Connection, person: ParticipantRow) -> ParticipantView:
    """The participant as clients see it, in the caller's transaction."""
    pending = await participants.nik_correction(connection, person.id)
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
            ParticipantLink(
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
        else NewestCheck(
            verification_id=str(check.id),
            state=check.state,
            verdict=check.verdict,
            next_attempt_at=check.next_attempt_at,
            decided_at=check.decided_at,
        ),
        correction=None if pending is None else PendingCorrection(asked_by=pending.asked_by, asked_at=pending.asked_at),
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
    return Need(code=code, owner=text.owner, text=Text(text.indonesian, text.english), since=person.facts_at)
