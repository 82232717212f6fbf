"""Account linking: from the core platform's request over the participant's browser to the partner's grant.

The checks that protect a participant (token, cookie, state, single use, life) are made here, before any adapter code
sees what a browser brought, and no adapter can change them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from contracts.errors import (
    Conflict,
    InvalidRequest,
    LinkStateInvalid,
    NotFound,
    NotSupported,
    PartnerError,
    PartnerUnavailable,
)
from contracts.incentive import BlockerCode
from contracts.linking import LinkHeld, LinkRefused, LinkState
from contracts.partner import Capability
from contracts.secret import Secret
from gateway import tracing
from gateway.security import places
from gateway.security.clients import hashed
from gateway.services.linking import facts
from gateway.services.linking.bound import (
    OtherBrowser,
    check_cookie,
    in_time,
    is_formed,
    is_of,
    other_browser,
    well_formed,
)
from gateway.services.linking.endings import MOST_ANSWERS, MOST_CHALLENGES, OPENS_FOR
from gateway.services.linking.steps import LinkSteps, Shown
from gateway.services.linking.typed import checked
from gateway.services.linking.view import LinkView, challenge_of
from gateway.storage.base.database import Connection
from gateway.storage.base.ids import new_id
from gateway.storage.intake import participants
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.linking import links
from gateway.storage.linking.links import LinkRow

ANEW_AFTER = timedelta(seconds=60)
"""An SMS may take so long; an impatient person would have several sent, of which the last alone is good."""
_ANOTHERS = frozenset({BlockerCode.NIK_MISMATCH.value, BlockerCode.ACCOUNT_UNPROVED.value})
"""Whoever was signed in at the partner in this browser, or on this phone, was somebody else, as far as is known."""
_WATCH_EVERY_S, _WATCH_TIMES = 0.1, 100


class Linking(LinkSteps):
    """The participant's way to a link."""

    async def start(
        self, client_id: str, return_urls: tuple[str, ...], participant_id: str, return_url: str
    ) -> LinkView:
        """A challenge for a participant. One not finished yet is replaced, one that waits for an account is kept."""
        if return_url not in return_urls:
            raise InvalidRequest(
                "return_url is not on this client's list.",
                field="return_url",
                code="return_url_not_allowed",
                remedy="Use a return_url exactly as it was registered for this client.",
            )
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.find(connection, participant_id, lock=True)
            if person is None:
                raise NotFound("There is no incentive for this participant.")
            facts.must_be_known(person)
            capabilities = self._desks[person.partner].manifest.capabilities
            if capabilities.isdisjoint({Capability.LINK_REDIRECT, Capability.LINK_INPUTS}):
                raise NotSupported("This partner links no accounts.")
            current = await links.live(connection, person.id)
            if current is not None:
                if current.state is LinkState.WAITING:
                    return self._view(current, person)
                await self._make_way(connection, person, current, now)
            link_id = f"L{await new_id(connection, now)}"
            kind = places.account_index(person.partner)
            account = self._vault.open_indexed(
                places.account(person.participant_id), person.account_sealed, kind, person.account_index
            )
            link = await links.insert(
                connection,
                link_id=link_id,
                participant=person.id,
                client_id=client_id,
                partner=person.partner,
                account_index=person.account_index,
                account_sealed=self._vault.seal(places.link_account(link_id), account),
                connect_hash=hashed(self.connect_token(link_id, 1)),
                return_url=return_url,
                opens_until=now + OPENS_FOR,
                now=now,
            )
            await participants.link_began(connection, person.id, link.id, now)
        tracing.about(link.id)
        return self._view(link, person)

    async def _make_way(self, connection: Connection, person: ParticipantRow, current: LinkRow, now: datetime) -> None:
        """End a link that was not finished, that is in doubt, or that gives access to somebody else's account where
        that bars nobody: its participant wants another. Raises `Conflict` while it is used.
        """
        theirs = person.standing not in _ANOTHERS or self._desks[current.partner].manifest.link_exclusive
        if current.state is LinkState.ACTIVE and (current.doubted_at is not None or not theirs):
            await facts.ended(connection, person, current, LinkState.REVOKED, BlockerCode.LINK_REVOKED, now)
            return
        _refuse_while_used(current)
        await facts.ended(connection, person, current, LinkState.FAILED, BlockerCode.LINK_REQUIRED, now)

    async def view(self, link_id: str) -> LinkView:
        """Where a link stands."""
        link = await self._get(link_id)
        return self._view(link, await self._person(link.participant))

    async def unlink(self, link_id: str, actor: str) -> LinkView:
        """End a link on request, and where it stands now."""
        link = await self._end(link_id, actor)
        return self._view(link, await self._person(link.participant))

    def _view(self, link: LinkRow, person: ParticipantRow) -> LinkView:
        inputs = self._desks[link.partner].manifest.inputs
        url = f"{self._settings.public_url}/connect/{self.connect_token(link.id, link.challenge_no)}"
        return LinkView(
            link_id=link.id,
            participant_id=person.participant_id,
            partner=link.partner,
            state=link.state,
            ended_because=link.ended_because,
            partner_code=link.partner_code,
            challenge=challenge_of(link, inputs, url),
            created_at=link.created_at,
            updated_at=link.updated_at,
        )

    # The page a participant opens

    async def look(self, token: str, cookies: Mapping[str, str]) -> tuple[LinkRow, str]:
        """Somebody, or some program, loads `/connect/{token}`: the link, and its account with all but the last digits
        hidden. Nothing is spent. One that was opened is shown to the browser that did.
        """
        link = await self._by_token(token)
        if link.state is LinkState.CHALLENGED:
            in_time(link, self._clock.now())
        elif not is_of(link, cookies):
            raise other_browser(link)
        return link, self.masked_account(link)

    def masked_account(self, link: LinkRow) -> str:
        """The last four characters, for somebody who knows the rest."""
        account = self._account(link).reveal()
        return "•" * max(len(account) - 4, 0) + account[-4:]

    def start_token(self, link: LinkRow) -> str:
        """Stands in the form of the opening page."""
        return self._vault.token(f"start:{link.id}:{link.challenge_no}")

    async def begin(self, token: str, cookies: Mapping[str, str], csrf: str, language: str = "id") -> Shown:
        """The opening page's button was pressed; `language`: that of the text it showed."""
        link = await self._by_token(token)
        if not hmac.compare_digest(self.start_token(link).encode(), csrf.encode()):
            raise LinkStateInvalid
        return await self.open(token, cookies, language)

    async def again(self, state: str) -> str:
        """The browser that came back is not the one that began: a fresh challenge for the one at hand, whose path this
        is. What the other browser began is over.
        """
        async with self._database.connection() as connection:
            link = await links.by_state(connection, hashed(well_formed(state)))
        if link is None or link.state is not LinkState.OPENED or link.challenge_no >= MOST_CHALLENGES:
            raise LinkStateInvalid
        self._check_life(link)
        async with self._database.transaction() as connection:
            fresh = await self._challenge_again(connection, link)
        if fresh is None:
            raise LinkStateInvalid
        return f"/connect/{self.connect_token(fresh.id, fresh.challenge_no)}"

    async def _by_token(self, token: str) -> LinkRow:
        async with self._database.connection() as connection:
            link = await links.by_connect(connection, hashed(well_formed(token)))
        if link is None:
            raise LinkStateInvalid
        tracing.about(link.id)
        return link

    async def open(self, token: str, cookies: Mapping[str, str], language: str = "id") -> Shown:
        """A browser begins. The first one is bound and takes the first step at the partner; later the same browser only
        sees where things stand, or takes the first step that could not be taken.
        """
        link = await self._by_token(token)
        if link.state is not LinkState.CHALLENGED:
            if not is_of(link, cookies):
                raise other_browser(link)
            return await self._begin(link) if not_begun(link) else Shown(link=link)
        cookie = self._secret()
        opened = await self._open(link, hashed(cookie), language)
        return msgspec.structs.replace(await self._begin(opened), cookie=Secret(cookie))

    async def page(self, link_id: str, cookies: Mapping[str, str]) -> Shown:
        """The form's own address: where the link stands, for the browser that opened it."""
        link = await self._of_browser(link_id, cookies)
        return Shown(link=link)

    # What a browser brings back

    async def callback(self, partner: str, query: Mapping[str, str], cookies: Mapping[str, str]) -> Shown:
        """The partner sent a browser back. Nothing of it reaches adapter code before the state is known to be this
        partner's, alive and from this browser; the exchange is made once, a repeated arrival sees its result.
        """
        link, state = await self._stated(partner, query)
        tracing.about(link.id)
        if not is_of(link, cookies):
            raise OtherBrowser(link, state)
        if link.state is LinkState.OPENED:
            return Shown(link=await self._come_back(link, state, query))
        return Shown(link=await self._watch(link))

    async def _stated(self, partner: str, query: Mapping[str, str]) -> tuple[LinkRow, str]:
        """The link that a browser comes back for, and its state: ours first; where that was dropped, cut or changed on
        the way, the partner's echo of the same (decision X1).
        """
        async with self._database.connection() as connection:
            for state in (query.get("st", ""), query.get("state", "")):
                if is_formed(state):
                    link = await links.by_state(connection, hashed(state))
                    if link is not None and link.partner != partner:
                        break  # of another linking: no slip on the way
                    if link is not None:
                        return link, state
        raise LinkStateInvalid

    async def _come_back(self, link: LinkRow, state: str, query: Mapping[str, str]) -> LinkRow:
        self._check_life(link)
        partner = self._desks[link.partner].partner
        returned = partner.read_return({name: value for name, value in query.items() if name != "st"})
        if returned.state is not None and not hmac.compare_digest(returned.state.encode(), state.encode()):
            raise LinkStateInvalid
        if returned.refused is not None:
            return await self._settle(link, LinkRefused(code=returned.refused, partner_code=returned.partner_code))
        if returned.held:
            return await self._settle(link, LinkHeld(partner_code=returned.partner_code))
        if returned.code is None:
            raise InvalidRequest("The partner sent neither a code nor a reason.", code="link_return_unreadable")
        async with self._database.transaction() as connection:
            taken = await links.move(connection, link, LinkState.EXCHANGING, self._clock.now())
        if taken is None:
            return await self._watch(link)
        return await self._exchange(taken, returned.code, state)

    def _check_life(self, link: LinkRow) -> None:
        if link.lives_until is None or link.lives_until <= self._clock.now():
            raise LinkStateInvalid("The time for linking is over.")

    async def _watch(self, link: LinkRow) -> LinkRow:
        """The same arrival again: wait for the first one's result, within bounds."""
        for _ in range(_WATCH_TIMES):
            link = await self._get(link.id)
            if link.state is not LinkState.EXCHANGING:
                break
            await self._clock.sleep(_WATCH_EVERY_S)
        return link

    # What a participant types

    async def inputs(self, link_id: str, typed: Mapping[str, Secret]) -> LinkView:
        """Inputs from a client with screens of its own; they are passed on now and kept nowhere."""
        link = await self._get(link_id)
        desk = self._desks[link.partner]
        if link.state is LinkState.CHALLENGED:
            desk.require(Capability.LINK_INPUTS)
            typed = checked(desk, desk.manifest.first_inputs, typed)
            shown = await self._begin(await self._open(link, None))
            if shown.unavailable:
                raise PartnerUnavailable("The partner could not be asked.")
            link = shown.link
        if not link.wants or link.state not in (LinkState.OPENED, LinkState.UNLINKING):
            raise Conflict("The link asks for no inputs now.", code="link_wants_nothing")
        typed = checked(desk, link.wants, typed)
        if link.state is LinkState.UNLINKING:
            link = await self._answer_unlinking(link, typed)
        else:
            link = await self._take(link, typed)
        return self._view(link, await self._person(link.participant))

    async def submit(
        self, link_id: str, cookies: Mapping[str, str], csrf: str, typed: Mapping[str, Secret] | None
    ) -> Shown:
        """The gateway's own form was sent in; `typed` None: the participant refuses."""
        link = await self._of_form(link_id, cookies, csrf)
        if not link.wants or link.state not in (LinkState.OPENED, LinkState.UNLINKING):
            return Shown(link=await self._watch(link))
        if typed is None and link.state is LinkState.UNLINKING:
            return Shown(link=link)  # the form for this has no such button, and there is nothing to refuse
        if typed is None:
            return Shown(link=await self._settle(link, LinkRefused(code=BlockerCode.CONSENT_DENIED)))
        try:
            typed = checked(self._desks[link.partner], link.wants, typed)
            ends = link.state is LinkState.UNLINKING
            return Shown(link=await (self._answer_unlinking if ends else self._take)(link, typed))
        except InvalidRequest as error:
            return Shown(link=link, rejected_input=error.field or "")
        except Conflict:
            return Shown(link=await self._watch(link))
        except PartnerError:
            return Shown(link=await self._get(link.id), unavailable=True)

    def anew_from(self, link: LinkRow) -> datetime | None:
        """From when on the form may begin anew, for a code that did not come; None: there is nothing to begin again."""
        first = self._desks[link.partner].manifest.first_inputs
        if link.state is not LinkState.OPENED or not link.wants or tuple(link.wants) == tuple(first):
            return None
        at = link.updated_at + ANEW_AFTER
        lives = link.lives_until is not None and at < link.lives_until
        return at if lives and link.answers < MOST_ANSWERS else None

    async def anew(self, link_id: str, cookies: Mapping[str, str], csrf: str) -> Shown:
        """The participant asks for another code: the form begins anew, which has the partner send one. Asked
        too early, it stays as it is.
        """
        link = await self._of_form(link_id, cookies, csrf)
        at, now = self.anew_from(link), self._clock.now()
        if at is None or now < at:
            return Shown(link=link)
        async with self._database.transaction() as connection:
            taken = await links.move(connection, link, LinkState.EXCHANGING, now, answers=link.answers + 1)
        if taken is None:
            return Shown(link=await self._watch(link))
        return await self._begin(await self._reopen(taken, [], again=False, carry={}))

    async def _take(self, link: LinkRow, typed: Mapping[str, Secret]) -> LinkRow:
        tracing.about(link.id)
        now = self._clock.now()
        self._check_life(link)
        if link.answers >= MOST_ANSWERS:
            return await self._settle(link, LinkRefused(code=BlockerCode.CONSENT_DENIED))
        async with self._database.transaction() as connection:
            taken = await links.move(connection, link, LinkState.EXCHANGING, now, answers=link.answers + 1)
        if taken is None:
            raise Conflict("Another answer is being passed on.", code="link_in_progress")
        return await self._answer(taken, typed)

    def csrf_token(self, link: LinkRow) -> str:
        """Stands in the form of this link in this browser only."""
        return self._vault.token(f"csrf:{link.id}:{(link.cookie_hash or b'').hex()}")

    async def _of_form(self, link_id: str, cookies: Mapping[str, str], csrf: str) -> LinkRow:
        link = await self._of_browser(link_id, cookies)
        if not hmac.compare_digest(self.csrf_token(link).encode(), csrf.encode()):
            raise LinkStateInvalid
        return link

    async def _of_browser(self, link_id: str, cookies: Mapping[str, str]) -> LinkRow:
        async with self._database.connection() as connection:
            link = await links.get(connection, link_id)
        if link is None:
            raise LinkStateInvalid
        tracing.about(link.id)
        check_cookie(link, cookies)
        return link


def not_begun(link: LinkRow) -> bool:
    """Opened, and the first step at the partner brought no answer yet."""
    return link.state is LinkState.OPENED and link.state_hash is None and not link.wants


def _refuse_while_used(link: LinkRow) -> None:
    match link.state:
        case LinkState.ACTIVE:
            raise Conflict("The participant has an active link.", code="link_active", remedy="Delete that link first.")
        case LinkState.UNLINKING:
            raise Conflict(
                "The last link is being given back.",
                code="link_unlinking",
                remedy="It waits for its participant: POST /v1/links/{link_id}/inputs with what its challenge asks for."
                if link.wants
                else "Try again shortly.",
            )
        case LinkState.EXCHANGING:
            raise Conflict(
                "The participant is being linked at this moment.", code="link_in_progress", remedy="Read the link."
            )
        case _:
            return
