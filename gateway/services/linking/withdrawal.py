"""A participant withdraws their consent, on a page of their own: nothing is read of the account or paid to it after."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

import msgspec

from contracts.errors import Conflict, LinkStateInvalid
from contracts.incentive import BlockerCode
from contracts.linking import LinkState
from contracts.partner import Capability
from contracts.secret import Secret
from gateway.security.clients import hashed
from gateway.services.linking import facts
from gateway.services.linking.bound import well_formed
from gateway.services.linking.endings import OPENS_FOR, UNLINK_LEASE, LinkEndings
from gateway.storage.intake import participants
from gateway.storage.linking import links, verifications
from gateway.storage.linking.links import LinkRow
from gateway.storage.ops import audit

ACTOR = "participant"
_WITHDRAWN = BlockerCode.CONSENT_WITHDRAWN


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """Where the participant withdraws: an address for them alone."""

    url: str
    expires_at: datetime


class LinkWithdrawals(LinkEndings):
    """Offers the page of one link for ten minutes, and does what its button says.

    The address holds until when it is good and a keyed digest of that, so that nothing is stored before somebody acts.
    """

    async def offer_withdrawal(self, link_id: str) -> Withdrawal:
        """The page's address, for core to show to its signed-in participant. Raises `Conflict` without an active
        link.
        """
        link = await self._get(link_id)
        if link.state is not LinkState.ACTIVE:
            raise Conflict(
                "This link gives no access that could be withdrawn.", code="link_not_active", remedy="Read the link."
            )
        until = int((self._clock.now() + OPENS_FOR).timestamp())
        url = f"{self._settings.public_url}/connect/{link.id}/withdrawal/{until}/{self._withdrawal_token(link, until)}"
        return Withdrawal(url=url, expires_at=datetime.fromtimestamp(until, UTC))

    async def withdrawal(self, link_id: str, until: int, token: str) -> LinkRow:
        """The link that an address is for. Raises `LinkStateInvalid`."""
        async with self._database.connection() as connection:
            link = await links.get(connection, link_id)
        if link is None or not hmac.compare_digest(
            self._withdrawal_token(link, until).encode(), well_formed(token).encode()
        ):
            raise LinkStateInvalid
        if until <= self._clock.now().timestamp():
            raise LinkStateInvalid("This address was to be opened within ten minutes.")
        return link

    def withdrawal_csrf(self, link: LinkRow, until: int) -> str:
        """Stands in the page's form."""
        return self._vault.token(f"withdrawal-form:{link.id}:{until}")

    async def withdraw(self, link_id: str, until: int, token: str, csrf: str) -> tuple[LinkRow, Secret | None]:
        """The button was pressed: consent is over at once, whatever the partner does about it, and the link is given
        back. The link as it is then, and a cookie for the browser that goes on where the partner wants a code for it;
        None: it was over already.
        """
        link = await self.withdrawal(link_id, until, token)
        if not hmac.compare_digest(self.withdrawal_csrf(link, until).encode(), csrf.encode()):
            raise LinkStateInvalid
        if link.state is not LinkState.ACTIVE:
            return link, None
        cookie, now = self._secret(), self._clock.now()
        more = {"cookie_hash": hashed(cookie)}
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            # On a token that several links share, the partner would end all of them (decision G4).
            shared = await links.others_on_grant(connection, link)
            if shared or Capability.UNLINK not in self._desks[link.partner].manifest.capabilities:
                moved = await facts.ended(connection, person, link, LinkState.UNLINKED, _WITHDRAWN, now, **more)
            else:
                due_at = now + UNLINK_LEASE
                moved = await facts.give_back(connection, link, _WITHDRAWN, now, due_at=due_at, **more)
            if moved is not None:
                await participants.link_ended(connection, person.id, link.id, _WITHDRAWN, now)
                await verifications.drop(connection, link.id, now)
                await audit.record(connection, now, ACTOR, "link.withdraw", link.id, {"channel": "page"})
        if moved is None:
            return await self._get(link.id), None
        if moved.state is LinkState.UNLINKING:
            await self._hand_back(moved, {})
        return await self._get(link.id), Secret(cookie)

    def _withdrawal_token(self, link: LinkRow, until: int) -> str:
        return self._vault.token(f"withdrawal:{link.id}:{until}")
