"""How links end or begin anew: given back on request or to free an account, out of time, freed for who waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from contracts.errors import Conflict, Hint, OutcomeUnknown, PartnerError
from contracts.incentive import BlockerCode
from contracts.linking import LinkInputs, LinkState, Unlinked, UnlinkOrder, UnlinkStep
from contracts.partner import Capability
from contracts.secret import Secret
from gateway.security.clients import hashed
from gateway.security.sealed import open_grant, open_map, seal_map
from gateway.services.each import each
from gateway.services.kept import kept
from gateway.services.linking import facts
from gateway.services.linking.upkeep import KEPT_TRIES, LinkUpkeep
from gateway.storage.base.database import Connection
from gateway.storage.intake import participants
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, owners, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.ops import audit, cases
from gateway.storage.ops.cases import NewCase

OPENS_FOR = timedelta(minutes=10)
"""From a challenge to its opening."""
EXCHANGE_GRACE = timedelta(seconds=120)
"""Longer than the time-outs of any exchange together; one that takes longer died with its process."""
MOST_CHALLENGES = 5
"""A link that waits is challenged this often in all before its participant must start again."""
MOST_ANSWERS = 10
"""Forms taken for one link; partners count wrong OTPs themselves, a card number is asked for again without end."""
UNLINK_TRIES = 16
UNLINK_LEASE = timedelta(seconds=120)
_UNLINK_SLOWEST_S = 3_600.0
_log = structlog.get_logger(__name__)


class LinkEndings(LinkUpkeep):
    """Ends links, and lets the next participant have an account that became free."""

    async def _end(self, link_id: str, actor: str) -> LinkRow:
        """End a link on request. An active one is given back to the partner: at once, later by itself while the
        partner cannot be asked, or once the participant typed what the partner wants (`wants`).
        """
        link = await self._get(link_id)
        if link.state is LinkState.EXCHANGING:
            raise Conflict("The participant is being linked at this moment.", code="link_in_progress")
        local = True
        if link.state is LinkState.ACTIVE:
            async with self._database.connection() as connection:
                # On a token that several links share, the partner would end all of them (decision G4).
                local = await links.others_on_grant(connection, link)
            if not local:
                self._desks[link.partner].require(Capability.UNLINK)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            because = BlockerCode.LINK_REQUIRED
            match link.state:
                case LinkState.CHALLENGED | LinkState.OPENED | LinkState.WAITING:
                    moved = await facts.ended(connection, person, link, LinkState.FAILED, because, now)
                case LinkState.ACTIVE if local:
                    moved = await facts.ended(connection, person, link, LinkState.UNLINKED, because, now)
                case LinkState.ACTIVE:
                    lease = now + UNLINK_LEASE
                    moved = await facts.give_back(connection, link, because, now, due_at=lease)
                case _:
                    return link
            if moved is None:
                raise Conflict("The link changed at the same moment.", code="link_in_progress")
            await audit.record(connection, now, actor, "link.delete", link.id, {"state": link.state.value})
        if moved.state is LinkState.UNLINKING:
            await self._hand_back(moved, {})
            return await self._get(link_id)
        return moved

    async def _answer_unlinking(self, link: LinkRow, inputs: Mapping[str, Secret]) -> LinkRow:
        """What the participant typed so that the link may be given back; the caller checked it against `wants`."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            taken = await links.move(
                connection, link, link.state, now, wants=[], unlink_due_at=now + UNLINK_LEASE, answers=link.answers + 1
            )
        if taken is None:
            raise Conflict("Another answer is being passed on.", code="link_in_progress")
        await self._hand_back(taken, inputs)
        return await self._get(link.id)

    async def _hand_back(self, link: LinkRow, inputs: Mapping[str, Secret]) -> None:
        """One try; it may follow one with unknown outcome, as *already gone* is `Unlinked` too."""
        if link.grant_sealed is None:
            return
        desk = self._desks[link.partner]
        person = await self._person(link.participant)
        account = self._account(link)
        order = UnlinkOrder(
            link_id=link.id,
            reference=await self._reference(),
            account=account,
            phone=account if desk.manifest.account_is_phone else self._phone(person),
            grant=open_grant(self._vault, link.id, link.grant_sealed),
            inputs=inputs,
            carry=open_map(self._vault, link.id, link.carry_sealed),
        )
        try:
            step = await desk.run("unlink", lambda context: desk.partner.unlink(context, order), subject=link.id)
        except (PartnerError, OutcomeUnknown) as error:
            refused = isinstance(error, PartnerError) and error.hint is Hint.CUSTOMER_TOKEN
            if not refused or await self.token_still_good(link.id):
                await self._hand_back_later(link)
            _log.info("link_not_given_back", link=link.id, partner_code=error.partner_code)
            return
        await kept(self._clock, lambda: self._handed_back(link, step), tries=KEPT_TRIES)

    async def _handed_back(self, link: LinkRow, step: UnlinkStep) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            if isinstance(step, Unlinked):
                because = BlockerCode(link.ended_because or BlockerCode.LINK_REQUIRED.value)
                await facts.ended(connection, person, link, LinkState.UNLINKED, because, now)
                return
            await self._ask_to_unlink(connection, link, step)

    async def _ask_to_unlink(self, connection: Connection, link: LinkRow, step: LinkInputs) -> None:
        now = self._clock.now()
        if link.answers >= MOST_ANSWERS:
            await self._stays(connection, await participants.get(connection, link.participant), link, now)
            return
        await links.move(
            connection,
            link,
            link.state,
            now,
            wants=list(step.names),
            carry_sealed=seal_map(self._vault, link.id, step.carry),
            last_input_wrong=step.again,
            unlink_due_at=None,
            lives_until=now + timedelta(seconds=self._settings.waits.link_life_s),
        )

    async def _hand_back_later(self, link: LinkRow) -> None:
        now = self._clock.now()
        tries = link.unlink_tries + 1
        first_s = self._desks[link.partner].pace.verification_retry_s
        wait_s = min(first_s * 2.0 ** (tries - 1), max(first_s, _UNLINK_SLOWEST_S))
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            if tries < UNLINK_TRIES:
                await links.move(
                    connection,
                    link,
                    link.state,
                    now,
                    unlink_tries=tries,
                    unlink_due_at=now + timedelta(seconds=wait_s),
                    carry_sealed=None,
                )
                return
            await self._stays(connection, person, link, now)

    async def _stays(self, connection: Connection, person: ParticipantRow, link: LinkRow, now: datetime) -> None:
        """A link that could not be given back stays active; a check of the NIK that was dropped meanwhile is due. It is
        over all the same where its participant has left it for another account, since it would bar the next one, and
        where their consent is withdrawn.
        """
        withdrawn = link.ended_because == BlockerCode.CONSENT_WITHDRAWN.value
        if withdrawn or person.link_id != link.id:
            because = BlockerCode.CONSENT_WITHDRAWN if withdrawn else BlockerCode.LINK_REQUIRED
            await facts.ended(connection, person, link, LinkState.UNLINKED, because, now)
            if withdrawn:
                await cases.open_cases(connection, now, [_not_given_back(link)])
            return
        stays = await links.move(connection, link, LinkState.ACTIVE, now, **_STAYS)
        if stays is None:
            return
        if not person.verified and person.standing is None:
            await verifications.open_for(connection, person.id, link.id, person.nik_index, now)

    async def tick_unlinking(self, limit: int = 20) -> int:
        """Give back the links that are to be given back."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await links.lease_unlinking(connection, now, now + UNLINK_LEASE, limit)
        return await each("unlinking", due, lambda link: self._hand_back(link, {}), at_once=limit)

    async def tick_expiry(self, limit: int = 100) -> int:
        """End links whose time is over."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await links.overdue(connection, now, now - EXCHANGE_GRACE, limit)
        return await each("expiry", due, self._expire)

    async def _expire(self, link: LinkRow) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            if link.state is LinkState.UNLINKING:
                # Nobody typed the OTP: the link was never given back.
                await self._stays(connection, person, link, now)
                return
            # A process that died in an exchange is not the participant's doing: they start again.
            code = BlockerCode.CONSENT_ABANDONED if link.state is LinkState.OPENED else BlockerCode.LINK_REQUIRED
            died = link.state is LinkState.EXCHANGING
            await facts.ended(connection, person, link, LinkState.FAILED, code, now, unanswered=died)

    async def tick_waiting(self, limit: int = 20) -> int:
        """Decide about links that wait for an account: over once another participant's match holds it, challenged
        anew, one at a time, once none of our links does.
        """
        async with self._database.connection() as connection:
            accounts = await links.waiting_accounts(connection, limit)
        return await each("waiting", accounts, self._settle_waiting)

    async def _settle_waiting(self, account: tuple[str, bytes]) -> None:
        now = self._clock.now()
        partner, account_index = account
        async with self._database.connection() as connection:
            holder = await owners.owner(connection, partner, account_index)
            waiting = await links.waiting_for(connection, partner, account_index)
            free = not await links.held_by_us(connection, partner, account_index)
        for link in waiting:
            shared = holder is not None and holder != link.participant
            if not shared and not free:
                continue
            async with self._database.transaction() as connection:
                person = await participants.get(connection, link.participant, lock=True)
                if shared:
                    code = BlockerCode.ACCOUNT_SHARED
                    await facts.ended(connection, person, link, LinkState.FAILED, code, now)
                elif link.challenge_no >= MOST_CHALLENGES:
                    # None of our links holds it: the participant must release it in the partner's app first.
                    code = BlockerCode.LINK_REQUIRED
                    await facts.ended(connection, person, link, LinkState.FAILED, code, now)
                else:
                    await self._challenge_again(connection, link)
                    free = False

    async def _challenge_again(self, connection: Connection, link: LinkRow) -> LinkRow | None:
        """A new challenge for a link whose account became free; None: someone else has given it one."""
        now = self._clock.now()
        number = link.challenge_no + 1
        return await links.move(
            connection,
            link,
            LinkState.CHALLENGED,
            now,
            challenge_no=number,
            connect_hash=hashed(self.connect_token(link.id, number)),
            carry_sealed=None,
            wants=[],
            answers=0,
            opens_until=now + OPENS_FOR,
            lives_until=None,
        )

    def connect_token(self, link_id: str, challenge_no: int) -> str:
        """The one-time token of a challenge's address; it is derived, only its hash is stored."""
        return self._vault.token(f"connect:{link_id}:{challenge_no}")


_STAYS: dict[str, object] = {
    "ended_because": None,
    "wants": [],
    "carry_sealed": None,
    "unlink_due_at": None,
    "lives_until": None,
    "answers": 0,
}


def _not_given_back(link: LinkRow) -> NewCase:
    """Nothing of ours uses the access any more, but a participant who withdrew has been told that it ends."""
    detail = f"the consent to link {link.id} was withdrawn and the partner has not unbound it: ask it to do so"
    return NewCase(code=BlockerCode.CONSENT_WITHDRAWN, partner=link.partner, detail=detail)
