"""The steps of linking at the partner: begin, exchange a code, pass on what was typed; and what each result changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import structlog

from contracts.brake import OF_A_PERSON
from contracts.errors import LinkStateInvalid, OutcomeUnknown, PartnerError
from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkGranted,
    LinkHeld,
    LinkInputs,
    LinkRedirect,
    LinkRefused,
    LinkStart,
    LinkState,
)
from contracts.secret import Secret
from gateway.security import places
from gateway.security.clients import hashed
from gateway.security.limits import Rate, TooManyRequests
from gateway.security.sealed import open_map, seal_map
from gateway.services.brake import brake
from gateway.services.kept import kept
from gateway.services.linking import facts, proof
from gateway.services.linking.bound import in_time
from gateway.services.linking.upkeep import KEPT_TRIES
from gateway.services.linking.withdrawal import LinkWithdrawals
from gateway.storage.brake import refusals
from gateway.storage.brake.refusals import NewRefusal
from gateway.storage.intake import participants
from gateway.storage.linking import consents, links, proofs
from gateway.storage.linking.links import LinkRow

_log = structlog.get_logger(__name__)
BEGINS_WITHIN = timedelta(minutes=10)
BEGINS = Rate("link-begin", 8, 8 / 600)
"""Of one person or account: the partner may send an SMS for each. Counted in the store, so that it holds on all nodes,
also without Redis.
"""
_START_AGAIN = LinkRefused(code=BlockerCode.LINK_REQUIRED)
"""The exchange brought no readable answer. Its code is used up, so it is neither repeated nor looked up: linking moves
no money, and the participant, who is not to blame, may start again at once.
"""


CONSENT_VERSION = "2026-11-29"
"""Of the text that the opening page shows (gateway/pages/start.html): a change of what it says is a new version. Kept
with the language in which it was shown.
"""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser is to be shown."""

    link: LinkRow
    redirect: str | None = None
    """Send it to the partner."""
    cookie: Secret | None = None
    """To be set: binds this browser to the link."""
    unavailable: bool = False
    """The partner could not be asked; nothing was done, the same step may be tried again."""
    rejected_input: str | None = None
    """What was typed for this input cannot be right; it was not passed on. Empty: an input that the page has not."""


class LinkSteps(LinkWithdrawals):
    """Takes a link from one step to the next; the caller has checked who asks."""

    async def _open(self, link: LinkRow, cookie_hash: bytes | None, language: str = "id") -> LinkRow:
        """A challenge is opened, once: the link's life begins, and what the participant was told is on record. Without
        a cookie it is a client with screens of its own that told them.
        """
        now = self._clock.now()
        in_time(link, now)
        async with self._database.transaction() as connection:
            await participants.get(connection, link.participant, lock=True)
            begun, first = await links.begun_lately(connection, link, now - BEGINS_WITHIN)
            if begun >= BEGINS.burst:
                raise TooManyRequests(BEGINS, ((first or now) + BEGINS_WITHIN - now).total_seconds())
            opened = await links.move(
                connection,
                link,
                LinkState.OPENED,
                now,
                cookie_hash=cookie_hash,
                state_hash=None,
                opens_until=None,
                lives_until=now + timedelta(seconds=self._settings.waits.link_life_s),
            )
            if opened is None:
                raise LinkStateInvalid
            channel = "page" if cookie_hash is not None else "client"
            await consents.consented(connection, link.id, f"{CONSENT_VERSION}/{language}", channel, now)
        return opened

    async def _begin(self, link: LinkRow) -> Shown:
        """The first step. One that brought no readable answer may be taken again under a fresh reference: no money
        moves, and a beginning that nobody goes on with lapses at the partner.
        """
        desk = self._desks[link.partner]
        person = await self._person(link.participant)
        state = self._secret()
        start = LinkStart(
            link_id=link.id,
            reference=await self._reference(),
            account=self._account(link),
            phone=self._phone(person),
            name=self._name(person),
            state=state,
            redirect_uri=self._redirect_uri(link.partner, state),
        )
        try:
            step = await desk.run("begin_link", lambda context: desk.begin_link(context, start), subject=link.id)
        except (PartnerError, OutcomeUnknown) as error:
            _log.info("link_not_begun", link=link.id, partner_code=error.partner_code)
            return Shown(link=link, unavailable=True)
        match step:
            case LinkRedirect():
                begun = await self._begun(link, hashed(state), (), step.carry)
                # Only the page that was begun last is sent to the partner: its state is the one stored.
                return Shown(link=begun or await self._get(link.id), redirect=step.url if begun else None)
            case LinkInputs():
                begun = await self._begun(link, None, step.names, step.carry)
                return Shown(link=begun or await self._get(link.id))
            case LinkGranted():
                raise ValueError("a link is not granted before the participant did anything")
            case _:
                return Shown(link=await self._settle(link, step))

    async def _begun(
        self, link: LinkRow, state_hash: bytes | None, wants: tuple[str, ...], carry: Mapping[str, Secret]
    ) -> LinkRow | None:
        sealed = seal_map(self._vault, link.id, carry)
        async with self._database.transaction() as connection:
            return await links.begun(
                connection, link, self._clock.now(), state_hash=state_hash, wants=list(wants), carry_sealed=sealed
            )

    async def _exchange(self, link: LinkRow, code: Secret, state: str) -> LinkRow:
        """Swap the code for a grant; the caller has taken the link to `exchanging`."""
        desk = self._desks[link.partner]
        finish = LinkFinish(
            link_id=link.id,
            reference=await self._reference(),
            code=code,
            carry=open_map(self._vault, link.id, link.carry_sealed),
            redirect_uri=self._redirect_uri(link.partner, state),
            phone=self._phone(await self._person(link.participant)),
            account=self._account(link),
        )
        try:
            step = await desk.run(
                "finish_link", lambda context: desk.partner.finish_link(context, finish), subject=link.id
            )
        except OutcomeUnknown as error:
            _log.warning("link_exchange_unknown", link=link.id, partner_code=error.partner_code)
            step = msgspec.structs.replace(_START_AGAIN, partner_code=error.partner_code)
            return await self._settle(link, step, unanswered=True)
        except PartnerError:
            # Nothing left us: the code is as good as before, and the browser may come back with it.
            await self._reopen(link, link.wants, again=False)
            raise
        if isinstance(step, LinkRedirect | LinkInputs):
            _log.warning("link_exchange_unfinished", link=link.id)
            step = _START_AGAIN
        return await self._settle(link, step)

    async def _answer(self, link: LinkRow, typed: Mapping[str, Secret]) -> LinkRow:
        """Pass on what the participant typed; the caller has taken the link to `exchanging`."""
        desk = self._desks[link.partner]
        person = await self._person(link.participant)
        answer = LinkAnswer(
            link_id=link.id,
            reference=await self._reference(),
            account=self._account(link),
            phone=self._phone(person),
            name=self._name(person),
            inputs=typed,
            carry=open_map(self._vault, link.id, link.carry_sealed),
        )
        try:
            step = await desk.run(
                "answer_link", lambda context: desk.partner.answer_link(context, answer), subject=link.id
            )
        except OutcomeUnknown as error:
            # What was typed is gone with the request that held it: the form begins anew, with what the partner does
            # for it (an OTP that it sends by itself, say).
            _log.warning("link_answer_unknown", link=link.id, partner_code=error.partner_code)
            return (await self._begin(await self._reopen(link, [], again=False, carry={}))).link
        except PartnerError:
            await self._reopen(link, link.wants, again=False)
            raise
        if isinstance(step, LinkInputs):
            return await self._reopen(link, list(step.names), again=step.again, carry=step.carry)
        if isinstance(step, LinkRedirect):
            _log.warning("link_answer_unfinished", link=link.id)
            step = _START_AGAIN
        return await self._settle(link, step)

    async def _reopen(
        self, link: LinkRow, wants: list[str], *, again: bool, carry: Mapping[str, Secret] | None = None
    ) -> LinkRow:
        """`carry`: what the next step needs, sealed when it is written; None: what there is stands."""

        async def write() -> LinkRow:
            changes = {} if carry is None else {"carry_sealed": seal_map(self._vault, link.id, carry)}
            async with self._database.transaction() as connection:
                opened = await links.move(
                    connection,
                    link,
                    LinkState.OPENED,
                    self._clock.now(),
                    wants=wants,
                    last_input_wrong=again,
                    **changes,
                )
            return opened or await self._get(link.id)

        return await kept(self._clock, write, tries=KEPT_TRIES)

    async def _settle(
        self, link: LinkRow, step: LinkGranted | LinkHeld | LinkRefused, *, unanswered: bool = False
    ) -> LinkRow:
        """What a step's result changes; a link that has ended meanwhile stays as it is. `unanswered`: the partner may
        have linked, and its answer was lost. The database's absence loses none: a code is exchanged once.
        """
        return await kept(self._clock, lambda: self._write(link, step, unanswered=unanswered), tries=KEPT_TRIES)

    async def _write(self, link: LinkRow, step: LinkGranted | LinkHeld | LinkRefused, *, unanswered: bool) -> LinkRow:
        if isinstance(step, LinkGranted):
            return await self._grant(link, step.grant)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await participants.get(connection, link.participant, lock=True)
            match step:
                case LinkRefused():
                    moved = await facts.ended(
                        connection, person, link, LinkState.FAILED, step.code, now,
                        partner_code=step.partner_code, unanswered=unanswered,
                    )  # fmt: skip
                    if moved is not None and step.code in OF_A_PERSON:
                        await brake.refused(connection, now, _refusal(link, step), ())
                case LinkHeld():
                    moved = await facts.held(connection, person, link, step.partner_code, now)
        if moved is None:
            _log.warning("link_step_came_too_late", link=link.id, step=type(step).__name__)
        return moved or await self._get(link.id)

    async def _grant(self, link: LinkRow, grant: Grant) -> LinkRow:
        """Take the access, unless its token is known under another account (decision X10)."""
        now = self._clock.now()
        index = self._vault.index(places.grant_index(link.partner), grant.access_token.reveal())
        async with self._database.transaction() as connection:
            person, others = await proof.others_with(connection, link, index)
            if others and not await proofs.proved(connection, person):
                moved = await proof.refuse(connection, person, link, index, now)
            else:
                moved = await facts.granted(connection, self._vault, person, link, grant, now)
            if moved is not None:
                await proof.doubt(connection, link, others, now)
                await refusals.good(connection, link.partner, HoldStage.LINK, known=False, answers=1)
        if moved is None:
            _log.warning("link_step_came_too_late", link=link.id, step="LinkGranted")
        return moved or await self._get(link.id)

    def _redirect_uri(self, partner: str, state: str) -> str:
        return f"{self._settings.public_url}/callbacks/{partner}/link?st={state}"


def _refusal(link: LinkRow, step: LinkRefused) -> NewRefusal:
    """What is weighed of somebody who may not link; who was refused is asked again by being invited."""
    return NewRefusal(
        partner=link.partner,
        stage=HoldStage.LINK,
        known=False,
        participant=link.participant,
        account_index=link.account_index,
        code=step.code,
        partner_code=step.partner_code,
    )
