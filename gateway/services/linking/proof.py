"""The account consented to, checked and paid is one: what speaks against it, and the document that proves it."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.incentive import BlockerCode
from contracts.linking import LinkState
from gateway.resources import Resources
from gateway.security.tenancy import must_be_enabled
from gateway.services.linking import facts
from gateway.storage.base.database import Connection
from gateway.storage.intake import participants
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, proofs, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.linking.proofs import TokenHolder
from gateway.storage.ops import audit

_UNPROVED = BlockerCode.ACCOUNT_UNPROVED


DOCUMENT = r"^(?!.*[0-9]{10})[A-Za-z0-9][A-Za-z0-9 ./_-]{2,63}$"
"""How a document is named: by its file, with nothing of the person (no long number)."""


class ProofView(msgspec.Struct, frozen=True, kw_only=True):
    """Who has handed in the partner's document about a participant's present account."""

    participant_id: str
    partner: str
    given_by: list[str]
    proved: bool
    """Two people have: the NIK is checked again, and the account counts as proved."""


class AccountProofs:
    """Takes partners' documents."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database

    async def give(self, participant_id: str, document: str, actor: str) -> ProofView:
        """Hand in a document that says whose the participant's present account is; it counts once another one has
        done the same. Raises `NotFound`, and `Conflict` where there is nothing to prove or the same one comes again.
        """
        if re.fullmatch(DOCUMENT, document) is None:  # a schema's `$` lets a line end pass
            raise InvalidRequest("The document has another name than any can have.", field="document")
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.find(connection, participant_id, lock=True)
            if person is None:
                raise NotFound("There is no incentive for this participant.")
            await must_be_enabled(connection, actor)
            if await proofs.given_by_person(connection, person, actor):
                raise Conflict(
                    "You have handed in a document about this account already.",
                    code="second_person_needed",
                    remedy="A second person must look at the document too.",
                )
            if person.standing != _UNPROVED.value:
                raise Conflict("The participant's account is not unproved.", code="nothing_to_prove")
            await proofs.give(connection, person, document, actor, now)
            data = {"partner": person.partner, "document": document}
            await audit.record(connection, now, actor, "participant.account_proof", participant_id, data)
            given = await proofs.givers(connection, person)
            proved = await proofs.proved(connection, person)
            if proved and person.link_id is not None:
                await check_again(connection, person, person.link_id, now)
        return ProofView(participant_id=participant_id, partner=person.partner, given_by=given, proved=proved)


async def check_again(connection: Connection, person: ParticipantRow, link_id: str, now: datetime) -> None:
    """What was believed of the account is asked again; nothing is paid to it until then. `person` is locked."""
    if person.link_active:
        await participants.not_verified(connection, person.id, link_id, None, now)
        await verifications.open_for(connection, person.id, link_id, person.nik_index, now)
    else:
        await participants.link_ended(connection, person.id, link_id, BlockerCode.LINK_REQUIRED, now)


async def others_with(
    connection: Connection, link: LinkRow, grant_index: bytes
) -> tuple[ParticipantRow, list[tuple[TokenHolder, ParticipantRow]]]:
    """The link's participant, and who else knows the token under another account; all locked, in one order."""
    await proofs.lock_token(connection, link.partner, grant_index)
    holders = await proofs.under_other_accounts(
        connection, link.partner, grant_index, link.account_index, link.participant
    )
    people = {}
    for number in sorted({link.participant, *(holder.participant for holder in holders)}):
        people[number] = await participants.get(connection, number, lock=True)
    return people[link.participant], [(holder, people[holder.participant]) for holder in holders]


async def refuse(
    connection: Connection, person: ParticipantRow, link: LinkRow, grant_index: bytes, now: datetime
) -> LinkRow | None:
    """The token is known under another account: which of them it opens, nobody has proved."""
    moved = await facts.ended(connection, person, link, LinkState.FAILED, _UNPROVED, now)
    if moved is not None:
        await proofs.note_token(connection, link.id, grant_index)
    return moved


async def doubt(
    connection: Connection, link: LinkRow, others: list[tuple[TokenHolder, ParticipantRow]], now: datetime
) -> None:
    """What was believed of this token under other accounts is believed no longer, documents aside."""
    for holder, person in others:
        data = {"token_also_of": link.id}
        await audit.record(connection, now, "gateway", "link.token_under_two_accounts", holder.link_id, data)
        if person.link_id != holder.link_id or not person.link_active or await proofs.proved(connection, person):
            continue
        await participants.not_verified(connection, person.id, holder.link_id, _UNPROVED, now)
        await verifications.drop(connection, holder.link_id, now)
        held = await links.get(connection, holder.link_id)
        if held is not None:
            await facts.let_go(connection, person.id, held.partner, held.account_index, now)


async def doubt_holders(connection: Connection, person: ParticipantRow, link: LinkRow, now: datetime) -> None:
    """The account matched this NIK though another's match holds it: phone numbers go to somebody else in time. Whoever
    holds it is asked about again, and paid nothing until then.
    """
    for holder in await participants.with_account(connection, link.partner, link.account_index):
        if holder.verified and holder.nik_index != person.nik_index and holder.link_id is not None:
            data = {"also_of": link.id}
            await audit.record(connection, now, "gateway", "link.account_of_two_niks", holder.link_id, data)
            await verifications.open_beside(connection, holder.id, holder.link_id, holder.nik_index, now)
            await participants.unsure(connection, holder.id, now)
