"""Putting right what was handed over about a person: NIK, name, phone, partner and account.

What is open was approved for the person and account as they were, so that another NIK or account ends its approvals and
verdicts. Once somebody was paid, another NIK is the word of two people, each with a client of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from contracts.batch import ENTITLED_UNDER_THE_NIK, NIKS_EXCHANGED, PERSON, Fault, RowCode, row_fault
from contracts.errors import Conflict, Forbidden, InvalidRequest
from contracts.incentive import BlockerCode
from contracts.linking import LinkState
from contracts.secret import Secret
from contracts.text import Text
from gateway.resources import Resources
from gateway.security import places
from gateway.services.intake.cells import cleaned, folded, name_index
from gateway.services.intake.participants import ParticipantView, known, view_of
from gateway.services.intake.row_faults import RowConflict, RowInvalid
from gateway.services.intake.rows import Checker, rules_of
from gateway.services.linking import facts
from gateway.services.payouts.ends import LIFTED_BY_ACCOUNT
from gateway.storage.access import clients
from gateway.storage.base.database import Connection, transact
from gateway.storage.intake import entitlements, incentive_timers, participants, reapprovals
from gateway.storage.intake.entitlements import Entitled
from gateway.storage.intake.participants import InstalmentHolder, ParticipantRow
from gateway.storage.linking import links, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.ops import audit
from gateway.storage.reconciliation import recovery, strays

SECOND_WORD_WITHIN = timedelta(days=7)
"""A first client's word on a NIK is forgotten after this."""
_OF_THE_NIK = frozenset({BlockerCode.NIK_MISMATCH.value, BlockerCode.ACCOUNT_SHARED.value})
"""What the last check found and another NIK answers."""


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """The participant as it stands, and whether a second client has to say the same."""

    participant: ParticipantView
    waits_for_second: bool


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, indexed; None: as it is."""

    values: Mapping[str, str]
    nik_index: bytes | None
    partner: str
    account_index: bytes | None

    def __repr__(self) -> str:
        return f"_Wanted({', '.join(self.values)})"


class Corrections:
    """Corrects participants."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks
        rules = rules_of({slug: desk.manifest for slug, desk in resources.desks.items()})
        self._checker = Checker(rules, resources.vault, {}, b"")

    async def correct(
        self, participant_id: str, given: Mapping[str, Secret], actor: str, *, may_begin: bool = True
    ) -> Corrected:
        """Put the `given` fields (names of `PERSON`) in the place of what is known; the others stay.

        Another NIK of somebody who was paid waits until a second client asks for the same; what else is given is
        taken at once. `may_begin`: whether this client may do more than confirm that. Raises `InvalidRequest`,
        `NotFound`, `Forbidden`, and `Conflict` while a payout is open, while a recovery holds the partner that is left,
        or where another participant holds an instalment under the NIK.
        """
        values = {name: cleaned(value.reveal()) for name, value in given.items()}
        if not values:
            raise InvalidRequest(
                "Nothing is to be corrected.", code="field_missing", remedy=f"Give one or more of {', '.join(PERSON)}."
            )

        async def work(connection: Connection) -> Corrected:
            now = self._clock.now()
            person = await known(connection, participant_id, lock=True)
            facts.must_be_known(person)
            wanted = self._wanted(person, values)
            pending = await participants.nik_correction(connection, person.id)
            confirms = (
                pending is not None
                and pending.nik_index == wanted.nik_index
                and pending.asked_at > now - SECOND_WORD_WITHIN
                and await clients.seconded(connection, pending.asked_by, actor)
            )
            if not may_begin and not (confirms and set(values) == {"nik"}):
                raise Forbidden(
                    "This client may only confirm another NIK that a first one has asked for.",
                    code="scope_missing",
                    remedy="Have a client with the scope incentives or batches correct it; then confirm its NIK alone.",
                )
            return await self._apply(connection, person, wanted, actor, now, confirms=confirms)

        return await transact(self._database, work)

    async def tick_forget(self, limit: int = 100) -> int:
        """Forget first words that nobody has confirmed in time; how many."""
        async with self._database.connection() as connection:
            before = self._clock.now() - SECOND_WORD_WITHIN
            return await participants.forget_nik_corrections(connection, before, limit)

    def _wanted(self, person: ParticipantRow, values: Mapping[str, str]) -> _Wanted:
        partner = values.get("partner", person.partner)
        if partner != person.partner and "account" not in values:
            fault = Fault("account", RowCode.FIELD_MISSING.value)
            raise RowInvalid([row_fault(fault)])
        if faults := self._checker.person_faults({"partner": partner, **values}):
            raise RowInvalid([row_fault(fault) for fault in faults])
        nik, account = values.get("nik"), values.get("account")
        nik_index = None if nik is None else self._vault.index(places.NIK_INDEX, nik)
        account_index = None if account is None else self._vault.index(places.account_index(partner), account)
        return _Wanted(
            values=values,
            nik_index=None if nik_index == person.nik_index else nik_index,
            partner=partner,
            account_index=None if (partner, account_index) == (person.partner, person.account_index) else account_index,
        )

    async def _apply(
        self,
        connection: Connection,
        person: ParticipantRow,
        wanted: _Wanted,
        actor: str,
        now: datetime,
        *,
        confirms: bool,
    ) -> Corrected:
        waits = False
        if wanted.nik_index is not None and not confirms:
            waits = await participants.was_paid(connection, person.id)
        moves = wanted.account_index is not None or (wanted.nik_index is not None and not waits)
        if moves and await participants.payout_open(connection, person.id):
            raise Conflict(
                "A payout to the participant as known is open.",
                code="payout_open",
                remedy="Change the NIK or the account once the payout has ended.",
            )
        if wanted.partner != person.partner:
            await _may_leave(connection, person, wanted)
        changed = await self._contact(connection, person, wanted, now)
        if wanted.account_index is not None:
            changed += ["partner"] if wanted.partner != person.partner else []
            changed.append("account")
            await self._account(connection, person, wanted, now)
        if wanted.nik_index is not None:
            if waits:
                await self._free(connection, person, wanted.nik_index)
                await participants.ask_nik(connection, person.id, wanted.nik_index, actor, now)
            else:
                changed.append("nik")
                await self._nik(connection, await participants.get(connection, person.id), wanted, now)
        if changed or waits:
            data = {"fields": changed, "asked_for": ["nik"] if waits else []}
            await audit.record(connection, now, actor, "participant.correct", person.participant_id, data)
        after = await participants.get(connection, person.id)
        return Corrected(participant=await view_of(connection, after), waits_for_second=waits)

    async def _contact(
        self, connection: Connection, person: ParticipantRow, wanted: _Wanted, now: datetime
    ) -> list[str]:
        changed, pid = [], person.participant_id
        vault = self._vault
        contacts: tuple[tuple[str, Literal["name", "phone"], str, Callable[[str], bytes]], ...] = (
            ("full_name", "name", places.name(pid), lambda name: name_index(vault, name, folded(name))),
            ("phone", "phone", places.phone(pid), lambda phone: vault.index(places.PHONE_INDEX, phone)),
        )
        for field, column, place, index in contacts:
            value = wanted.values.get(field)
            if value is not None:
                sealed, indexed = vault.seal(place, value), index(value)
                if await participants.change_contact(connection, person.id, column, sealed, indexed, now):
                    changed.append(field)
        return changed

    async def _account(self, connection: Connection, person: ParticipantRow, wanted: _Wanted, now: datetime) -> None:
        assert wanted.account_index is not None
        await self._leave(connection, person, now)
        account = wanted.values["account"]
        await participants.change_account(
            connection,
            person.id,
            partner=wanted.partner,
            account_sealed=self._vault.seal(places.account(person.participant_id), account),
            account_index=wanted.account_index,
            now=now,
        )
        await reapprovals.lapse_person(connection, person.id, "account_changed", now)
        await incentive_timers.lift(connection, now, person.id, LIFTED_BY_ACCOUNT)

    async def _nik(self, connection: Connection, person: ParticipantRow, wanted: _Wanted, now: datetime) -> None:
        """`person`: as it stands after a change of account."""
        assert wanted.nik_index is not None
        await self._free(connection, person, wanted.nik_index)
        sealed = self._vault.seal(places.nik(person.participant_id), wanted.values["nik"])
        await participants.change_nik(connection, person.id, sealed, wanted.nik_index, now)
        await reapprovals.lapse_person(connection, person.id, "nik_changed", now)
        await facts.let_go(connection, person.id, person.partner, person.account_index, now)
        if person.link_id is None:
            return
        await verifications.drop(connection, person.link_id, now)
        if person.link_active:
            await participants.not_verified(connection, person.id, person.link_id, None, now)
            await verifications.open_for(connection, person.id, person.link_id, wanted.nik_index, now)
        elif person.standing in _OF_THE_NIK:
            await participants.link_ended(connection, person.id, person.link_id, BlockerCode.LINK_REQUIRED, now)

    async def _free(self, connection: Connection, person: ParticipantRow, nik_index: bytes) -> None:
        if holder := await participants.instalment_of_another(connection, person.id, nik_index):
            raise _of_another(
                f"participant {holder.participant_id}, incentive {holder.incentive}", holder, NIKS_EXCHANGED
            )
        if entitled := await entitlements.entitled_beside(connection, person.id, nik_index):
            raise _of_another(f"participant {entitled.participant_id}", entitled, ENTITLED_UNDER_THE_NIK)
        if await participants.paid_and_erased(connection, person.id, nik_index):
            raise RowConflict([row_fault(Fault("nik", RowCode.INSTALMENT_PAID.value, None, ("nik",)))])

    async def _leave(self, connection: Connection, person: ParticipantRow, now: datetime) -> None:
        """End what belongs to the account that is left; where linking is exclusive, the partner is told."""
        link = await links.live(connection, person.id)
        if link is not None:
            await self._end(connection, person, link, now)
            await verifications.drop(connection, link.id, now)
        await facts.let_go(connection, person.id, person.partner, person.account_index, now)

    async def _end(self, connection: Connection, person: ParticipantRow, link: LinkRow, now: datetime) -> None:
        code = BlockerCode.LINK_REQUIRED
        exclusive = self._desks[link.partner].manifest.link_exclusive
        match link.state:
            case LinkState.UNLINKING if exclusive:
                return
            case LinkState.EXCHANGING:
                moved = None
            case LinkState.ACTIVE if exclusive:
                moved = await facts.give_back(connection, link, code, now, due_at=now)
            case LinkState.ACTIVE | LinkState.UNLINKING:
                moved = await facts.ended(connection, person, link, LinkState.UNLINKED, code, now)
            case _:
                moved = await facts.ended(connection, person, link, LinkState.FAILED, code, now)
        if moved is None:
            raise Conflict(
                "The participant is being linked at this moment.",
                code="link_in_progress",
                remedy="Send the same again in a minute, when the partner has answered.",
            )


async def _may_leave(connection: Connection, person: ParticipantRow, wanted: _Wanted) -> None:
    """Raise `Conflict` where a recovery holds the partner that is left: what it has paid may be forgotten, and another
    one, let go sooner, would pay it again. Where that one has a credit for the account, the change itself is forgotten.
    """
    held = {one.partner for one in await recovery.open_ones(connection)}
    if person.partner not in held:
        return
    if wanted.account_index is None or not await strays.waits_for(connection, wanted.partner, wanted.account_index):
        raise Conflict(
            f"A recovery holds {person.partner}: the participant may have been paid there since the copy.",
            code="recovery_holds",
            remedy="Send the same again once the recovery is over: the event partner.recovery_ended tells.",
        )


def _of_another(who: str, held: InstalmentHolder | Entitled, besides: Text) -> RowConflict:
    """Somebody else has the NIK; what is another organisation's is not told."""
    fault = row_fault(Fault("nik", RowCode.NIK_DUPLICATE.value, who if held.ours else None, ("nik",)))
    if held.ours:
        told = Text(fault.remedy.id + besides.id, fault.remedy.en + besides.en)
        fault = msgspec.structs.replace(fault, remedy=told)
    return RowConflict([fault])
