"""Upkeep of links that were granted: whether they still stand, fresh grants, and their end when the partner says so."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from contracts.brake import Level
from contracts.errors import Hint, NotFound, OutcomeUnknown, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkHealth, LinkState
from contracts.partner import Capability
from contracts.secret import Secret
from gateway.resources import Resources
from gateway.security import places
from gateway.security.sealed import open_grant, seal_grant
from gateway.services.brake import brake
from gateway.services.each import each
from gateway.services.kept import kept
from gateway.services.linking import facts
from gateway.storage.base.database import Connection
from gateway.storage.base.ids import new_id
from gateway.storage.brake import refusals
from gateway.storage.intake import participants
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links, looks, proofs, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.ops import audit, holds

LOOK_AGAIN = timedelta(seconds=60)
"""A look or refresh that could not be made is made again this much later."""
KEPT_TRIES = 50
"""So often an answer is written again while the database is away: less than two minutes, as a browser may wait, and a
link that is being exchanged is over after that.
"""
_log = structlog.get_logger(__name__)


class LinkUpkeep:
    """Looks at links, keeps their grants fresh, and ends those that the partner has ended."""

    def __init__(self, resources: Resources) -> None:
        self._settings = resources.settings
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks
        self._secret = resources.secret

    async def prove(self, link_id: str) -> LinkHealth:
        """Look at an active link under the participant's token; what it shows is stored.

        Raises `NotSupported` where the partner has no such call, `PartnerError` when it could not be asked.
        """
        link = await self._get(link_id)
        try:
            health = await self._look(link)
        except PartnerProtocolError:
            # Of this person alone, perhaps: tried again by itself, and told if that is in vain.
            async with self._database.connection() as connection:
                await looks.to_be_looked_at(connection, link_id, self._clock.now() + LOOK_AGAIN)
            raise
        if health is LinkHealth.REVOKED:
            if not await self._refreshed(link):
                return health
            link = await self._get(link_id)
            health = await self._look(link)
        match health:
            case LinkHealth.ACTIVE:
                await self._stands(link)
            case LinkHealth.BLOCKED:
                await self._blocked(link)
            case LinkHealth.REVOKED:
                await self._revoke(link)
        return health

    async def customer_token_refused(self, link_id: str) -> bool:
        """The partner refused the participant's token. True: it is good all the same, or there is a fresh one, go on;
        False: the link is revoked. Where a token cannot be refreshed but the partner can be asked about the link, its
        answer to that decides: the refusal may have been meant for us (decision G6).

        Raises `PartnerError` when it could not be found out: ask again later.
        """
        link = await self._get(link_id)
        if link.state not in (LinkState.ACTIVE, LinkState.UNLINKING) or link.grant_sealed is None:
            return False
        can = self._desks[link.partner].manifest.capabilities
        if (
            Capability.LINK_STATUS in can
            and Capability.GRANT_REFRESH not in can
            and await self._health_of(link) is not LinkHealth.REVOKED
        ):
            return True
        return await self._refreshed(link)

    async def _refreshed(self, link: LinkRow) -> bool:
        """Put a fresh grant in the place of a refused one; False: there is none, the link is revoked."""
        if link.state not in (LinkState.ACTIVE, LinkState.UNLINKING) or link.grant_sealed is None:
            return False
        desk = self._desks[link.partner]
        if Capability.GRANT_REFRESH in desk.manifest.capabilities:
            held = open_grant(self._vault, link.id, link.grant_sealed)
            try:
                fresh = await desk.run(
                    "refresh_grant", lambda context: desk.partner.refresh_grant(context, held), subject=link.id
                )
            except OutcomeUnknown as error:
                raise PartnerUnavailable(
                    "the refresh brought no readable answer", partner_code=error.partner_code
                ) from error
            if fresh is not None:
                await self._keep(link, fresh)
                return True
        # Revoked only if nobody put a fresh grant in the place of the one that was refused.
        return not await self._revoke(link)

    async def token_still_good(self, link_id: str) -> bool:
        """The same for who has another try anyway: what cannot be found out now counts as good."""
        try:
            return await self.customer_token_refused(link_id)
        except PartnerError:
            return True

    async def tick_health(self, limit: int = 50) -> int:
        """Look at the links that a notification pointed to; the look made after the last hint decides (decision G4)."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await links.lease_health(connection, now, now + LOOK_AGAIN, limit)
        return await each("health", due, self._health, at_once=limit)

    async def _health(self, link: LinkRow) -> None:
        try:
            await self._look_again(link)
        except PartnerError as error:
            _log.info("link_not_looked_at", link=link.id, partner_code=error.partner_code)
            return
        async with self._database.connection() as connection:
            await links.looked_at(connection, link.id, link.health_due_at)

    async def _look_again(self, link: LinkRow) -> None:
        """Have the partner say whether it takes a link's token, by the call that it has for that; else the NIK is
        checked under it, which says it too. Raises `PartnerError` when it could not be asked.
        """
        can = self._desks[link.partner].manifest.capabilities
        if Capability.LINK_STATUS in can:
            await self.prove(link.id)
        elif Capability.GRANT_REFRESH in can:
            await self.customer_token_refused(link.id)
        else:
            now = self._clock.now()
            async with self._database.transaction() as connection:
                person = await participants.get(connection, link.participant, lock=True)
                current = await links.get(connection, link.id, lock=True)
                if current is not None and current.state is LinkState.ACTIVE and current.doubted_at is not None:
                    await facts.stands(connection, person, current, now)

    async def tick_refresh(self, limit: int = 50) -> int:
        """Refresh grants that are near their end."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await links.lease_refresh(connection, now, now + LOOK_AGAIN, limit)
        return await each("refresh", due, self._refresh, at_once=limit)

    async def _refresh(self, link: LinkRow) -> None:
        if Capability.GRANT_REFRESH not in self._desks[link.partner].manifest.capabilities:
            async with self._database.transaction() as connection:
                await links.move(connection, link, link.state, self._clock.now(), refresh_at=None)
            return
        try:
            await self.customer_token_refused(link.id)
        except PartnerError as error:
            _log.info("grant_not_refreshed", link=link.id, partner_code=error.partner_code)

    async def _look(self, link: LinkRow) -> LinkHealth:
        self._desks[link.partner].require(Capability.LINK_STATUS)
        return LinkHealth.REVOKED if link.state is not LinkState.ACTIVE else await self._health_of(link)

    async def _health_of(self, link: LinkRow) -> LinkHealth:
        desk = self._desks[link.partner]
        if link.grant_sealed is None:
            return LinkHealth.REVOKED
        grant = open_grant(self._vault, link.id, link.grant_sealed)
        try:
            return await desk.run(
                "link_health", lambda context: desk.partner.link_health(context, grant), subject=link.id
            )
        except PartnerUnavailable as error:
            if error.hint is Hint.CUSTOMER_TOKEN:
                return LinkHealth.REVOKED
            raise

    async def _stands(self, link: LinkRow) -> None:
        """The partner takes the link's token."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            current = await links.get(connection, link.id, lock=True)
            if current is None or current.state is not LinkState.ACTIVE:
                return
            if current.doubted_at is not None or person.standing == BlockerCode.ACCOUNT_BLOCKED.value:
                await facts.stands(connection, person, current, now)
            await links.proved(connection, link.id, now)
            await refusals.good(connection, link.partner, HoldStage.PROOF, known=True, answers=1)

    async def _blocked(self, link: LinkRow) -> None:
        """A check of the NIK that is still open would lift the blocker again, and says nothing about it."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            current = await links.get(connection, link.id, lock=True)
            if current is None or current.state is not LinkState.ACTIVE or person.link_id != link.id:
                return
            if current.doubted_at is not None:  # the token is taken, after all
                await participants.link_granted(connection, person.id, link.id, now)
                await links.proved(connection, link.id, now)
            await participants.not_verified(connection, person.id, link.id, BlockerCode.ACCOUNT_BLOCKED, now)
            await verifications.drop(connection, link.id, now)
            await self._weigh(connection, current, BlockerCode.ACCOUNT_BLOCKED, now)

    async def _revoke(self, link: LinkRow) -> bool:
        """The partner no longer takes a link's grant, as it was read: the link is in doubt, and over once that was said
        a day ago, is still said, and is no crowd's word. False: it has a fresh grant by now.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            current = await links.get(connection, link.id, lock=True)
            if current is None or current.grant_sealed is None:
                return True
            # Not by the bytes of the seal: a change of keys seals the same grant anew.
            if (current.grant_index, current.grant_expires_at) != (link.grant_index, link.grant_expires_at):
                return False
            if current.state is LinkState.UNLINKING or await self._believed(connection, current, now):
                withdrawn = current.ended_because == BlockerCode.CONSENT_WITHDRAWN.value
                because = BlockerCode.CONSENT_WITHDRAWN if withdrawn else BlockerCode.LINK_REVOKED
                await facts.ended(connection, person, current, LinkState.REVOKED, because, now)
            else:
                await facts.doubted(connection, person, current, now)
        return True

    async def _believed(self, connection: Connection, link: LinkRow, now: datetime) -> bool:
        """Whether an active link may end because the partner refuses its token."""
        level = await self._weigh(connection, link, BlockerCode.LINK_REVOKED, now)
        held = any(h.stops and h.stage is HoldStage.PROOF for h in await holds.open_holds(connection, link.partner))
        old = timedelta(seconds=self._desks[link.partner].pace.hard_s)
        return level is Level.CALM and not held and link.doubted_at is not None and now >= link.doubted_at + old

    async def _weigh(self, connection: Connection, link: LinkRow, code: BlockerCode, now: datetime) -> Level:
        """Weigh a refusal under the participant's token with the partner's others."""
        said = refusals.NewRefusal(
            partner=link.partner,
            stage=HoldStage.PROOF,
            known=True,
            participant=link.participant,
            account_index=link.account_index,
            code=code,
            partner_code=None,
            good_at=link.proved_at,
        )
        return (await brake.refused(connection, now, said, self._desks[link.partner].pace.looks_s)).level

    async def _keep(self, link: LinkRow, fresh: Grant) -> None:
        """Raises `PartnerUnavailable` where it is another account's token: an answer to somebody else's request."""
        if not await kept(self._clock, lambda: self._write_fresh(link, fresh), tries=KEPT_TRIES):
            raise PartnerUnavailable("the refresh brought the token of another account")

    async def _write_fresh(self, link: LinkRow, fresh: Grant) -> bool:
        now = self._clock.now()
        fresh_index = self._vault.index(places.grant_index(link.partner), fresh.access_token.reveal())
        async with self._database.transaction() as connection:
            await proofs.lock_token(connection, link.partner, fresh_index)
            person = await participants.get(connection, link.participant, lock=True)
            current = await links.get(connection, link.id, lock=True)
            if await proofs.under_other_accounts(
                connection, link.partner, fresh_index, link.account_index, link.participant
            ):
                data = {"partner": link.partner}
                await audit.record(connection, now, "gateway", "link.token_of_another_account", link.id, data)
                return False
            written = await links.refreshed(
                connection,
                link,
                grant_sealed=seal_grant(self._vault, link.id, fresh),
                grant_index=fresh_index,
                grant_expires_at=fresh.expires_at,
                refresh_at=facts.refresh_at(fresh, now),
                now=now,
            )
            if written and current is not None and current.state is LinkState.ACTIVE:
                if current.doubted_at is not None:
                    await facts.stands(connection, person, current, now)
                await refusals.good(connection, link.partner, HoldStage.PROOF, known=True, answers=1)
        return True

    async def _get(self, link_id: str) -> LinkRow:
        async with self._database.connection() as connection:
            link = await links.get(connection, link_id)
        if link is None:
            raise NotFound("There is no such link.")
        return link

    async def _person(self, participant: int) -> ParticipantRow:
        async with self._database.connection() as connection:
            return await participants.get(connection, participant)

    async def _reference(self) -> str:
        """A partner reference of 19 digits that was never used."""
        async with self._database.connection() as connection:
            return f"{self._settings.instance}{await new_id(connection, self._clock.now())}"

    def _account(self, link: LinkRow) -> Secret:
        kind = places.account_index(link.partner)
        return Secret(
            self._vault.open_indexed(places.link_account(link.id), link.account_sealed, kind, link.account_index)
        )

    def _phone(self, person: ParticipantRow) -> Secret:
        return Secret(self._vault.open(places.phone(person.participant_id), person.phone_sealed))

    def _name(self, person: ParticipantRow) -> Secret:
        return Secret(self._vault.open(places.name(person.participant_id), person.name_sealed))
