"""Runs a partner's operations one by one, each with what has to go before it, and records every plan."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import msgspec

from contracts.errors import GatewayError, InvalidRequest
from contracts.identity import IdentityQuery
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkGranted,
    LinkInputs,
    LinkRedirect,
    LinkStart,
    LinkStep,
    UnlinkOrder,
)
from contracts.nik import Nik
from contracts.partner import Partner
from contracts.payout import Outcome, OutcomeKind, PayoutOrder
from contracts.secret import Secret
from gateway.clock import Clock, jakarta_day, start_of_jakarta_day
from gateway.partners.desk import Desk
from gateway.partners.executor import Exchange, Executor, Transport
from gateway.partners.tokens import Tokens
from gateway.security.vault import Vault
from gateway.settings import Waits
from gateway.workbench.cassette import Cassette, keep
from gateway.workbench.people import Details, Person
from gateway.workbench.recorder import Recorder

INSTANCE = "99"
"""Begins every reference of the workbench, so that none is ever taken for a payout of an installation."""
_MOST_STEPS, _MOST_LOOKS, _MOST_PAGES = 12, 4, 20


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line leaves open or sets."""

    amount_rupiah: int = 600_000
    reference: str | None = None
    """Look this payout up instead of making one."""
    partner_reference: str | None = None
    day: date | None = None
    """Whose statement is read; of a payout that is looked up, the day it was made on."""
    pays_first: bool = True
    """Whether a look-up or a statement may make a payout first, so that there is something to be seen."""
    redirect_base: str = "http://127.0.0.1:8000"
    pause_s: float = 1.0
    """Between two look-ups."""


class Bench:
    """One partner, one person, and what has been reached with them so far."""

    def __init__(
        self,
        partner: Partner,
        *,
        credentials: Mapping[str, Secret],
        hosts: Mapping[str, str],
        senders: Mapping[str, Transport],
        person: Person,
        clock: Clock,
        wishes: Wishes,
    ) -> None:
        self.recorder = Recorder(partner)
        self.manifest = partner.manifest
        self.wishes = wishes
        self.hosts = hosts
        self._credentials = credentials
        self._clock = clock
        self._person = person
        self._random = random.SystemRandom()
        self._desk = Desk(
            self.recorder.as_partner(),
            credentials=credentials,
            hosts=hosts,
            executor=Executor(partner.manifest.slug, senders, clock, _NoJournal()),
            tokens=Tokens(None, Vault(secrets.token_bytes(32)), clock),
            clock=clock,
            waits=Waits(),
        )
        self._link_id = f"W{self._random.randbytes(8).hex()}"
        self._step: LinkStep | None = None
        self._grant = person.grant()
        self._order: PayoutOrder | None = None
        self.linked = self._grant is not None
        """Whether there was an access before."""

    def cassette(self, against: str) -> Cassette | None:
        """All that was recorded, hidden; None if no plan was begun."""
        takes = self.recorder.takes
        return keep(takes, self.manifest, self._credentials, against=against) if takes else None

    async def _who(self) -> Details:
        who = await self._person.details()
        if re.fullmatch(self.manifest.account_pattern, who.account.reveal()) is None:
            raise InvalidRequest(f"The account is not in {self.manifest.name}'s form: {self.manifest.account_pattern}.")
        return who

    async def _run(self, operation: str, *arguments: Any, frozen: bytes | None = None) -> Any:
        """Run one plan; how it ended is noted on its take also where it ended with an error."""
        try:
            return await self._desk.run(
                operation,
                lambda ctx: getattr(self._desk.partner, operation)(ctx, *arguments),
                subject="workbench",
                frozen_hash=None if frozen is None else hashlib.sha256(frozen).digest(),
            )
        except GatewayError as error:
            if self.recorder.takes and self.recorder.takes[-1].operation == operation:
                self.recorder.takes[-1].error = error
            raise

    def _reference(self) -> str:
        return f"{INSTANCE}{self._random.randrange(10**17):017d}"

    async def tokens(self) -> None:
        """Fetch each of our own tokens, and again from the first where it can be refreshed."""
        for name, token in self.manifest.tokens.items():
            held = await self._desk.run_bare(_fetching(self._desk.partner, name, None), subject="workbench")
            if token.refreshable:
                await self._desk.run_bare(_fetching(self._desk.partner, name, held), subject="workbench")

    # --- linking ---

    @property
    def _redirect_uri(self) -> str:
        return f"{self.wishes.redirect_base}/callbacks/{self.manifest.slug}/link?st={self._state}"

    @property
    def _state(self) -> str:
        return f"{self._link_id:_>32}"

    async def begin(self) -> LinkStep:
        """First step of linking."""
        who = await self._who()
        start = LinkStart(
            link_id=self._link_id, reference=self._reference(), account=who.account, phone=who.phone, name=who.name,
            state=self._state, redirect_uri=self._redirect_uri,
        )  # fmt: skip
        self._step = await self._run("begin_link", start)
        return self._step

    async def grant(self) -> Grant:
        """The participant's access: the one there is, or linking from where it stands to its end."""
        step = self._step
        for _ in range(_MOST_STEPS):
            if self._grant is not None:
                return self._grant
            if step is None:
                step = await self.begin()
            elif isinstance(step, LinkInputs):
                step = await self._answer(step)
            elif isinstance(step, LinkRedirect):
                step = await self._come_back(step)
            if isinstance(step, LinkGranted):
                self._grant = step.grant
            elif not isinstance(step, LinkInputs | LinkRedirect):
                raise InvalidRequest(f"There is no link: {self.manifest.name} said {step}.")
        raise InvalidRequest("Linking did not end.")

    async def _answer(self, step: LinkInputs) -> LinkStep:
        who = await self._who()
        answer = LinkAnswer(
            link_id=self._link_id, reference=self._reference(), account=who.account, phone=who.phone, name=who.name,
            inputs=await self._typed(step), carry=step.carry,
        )  # fmt: skip
        made: LinkStep = await self._run("answer_link", answer)
        return made

    async def _typed(self, step: LinkInputs) -> dict[str, Secret]:
        return {name: Secret(await self._person.types(name)) for name in step.names}

    async def _come_back(self, step: LinkRedirect) -> LinkStep:
        back = self._desk.partner.read_return(await self._person.visits(step.url, self._redirect_uri))
        if back.code is None:
            raise InvalidRequest(f"The page of {self.manifest.name} brought no code back ({back.partner_code}).")
        who = await self._who()
        finish = LinkFinish(
            link_id=self._link_id, reference=self._reference(), code=back.code, carry=step.carry,
            redirect_uri=self._redirect_uri, phone=who.phone, account=who.account,
        )  # fmt: skip
        made: LinkStep = await self._run("finish_link", finish)
        return made

    async def health(self) -> None:
        """Ask whether the link stands."""
        await self._run("link_health", await self.grant())

    async def refresh(self) -> None:
        """Refresh the participant's access."""
        fresh: Grant | None = await self._run("refresh_grant", await self.grant())
        if fresh is None:
            raise InvalidRequest(f"{self.manifest.name} says that the link is gone.", remedy="Link again.")
        self._grant = fresh

    async def unlink(self) -> None:
        """Give the link back, with the OTP that some want for it."""
        grant, who = await self.grant(), await self._who()
        order = UnlinkOrder(
            link_id=self._link_id, reference=self._reference(), account=who.account, phone=who.phone, grant=grant
        )
        step = await self._run("unlink", order)
        if isinstance(step, LinkInputs):
            inputs = await self._typed(step)
            again = msgspec.structs.replace(order, reference=self._reference(), inputs=inputs, carry=step.carry)
            await self._run("unlink", again)
        self._grant, self._step = None, None

    async def verify(self) -> None:
        """Ask whether the person's NIK is the one on the account."""
        grant, who = await self.grant(), await self._who()
        nik = Nik(await self._person.types("nik"))
        query = IdentityQuery(reference=self._reference(), nik=nik, account=who.account, phone=who.phone, grant=grant)
        await self._run("verify_nik", query)

    # --- money ---

    async def _new_order(self) -> PayoutOrder:
        return await self._an_order(await self.grant() if self.manifest.payout_proves_link else None)

    async def _an_order(self, grant: Grant | None) -> PayoutOrder:
        who = await self._who()
        return PayoutOrder(
            reference=self._reference(), amount_rupiah=self.wishes.amount_rupiah, account=who.account, phone=who.phone,
            name=who.name, created_at=self._clock.now(), grant=grant,
        )  # fmt: skip

    async def prepare(self) -> PayoutOrder:
        """Create an instruction at a two-step partner; the order with the partner's number."""
        order = await self._new_order()
        outcome: Outcome = await self._run("prepare", order, frozen=self._frozen(order))
        if outcome.kind is not OutcomeKind.QUEUED:
            raise InvalidRequest(
                f"Nothing stands at {self.manifest.name} that could be approved: {outcome.kind.value}."
            )
        self._order = msgspec.structs.replace(order, partner_reference=outcome.partner_reference)
        return self._order

    def _frozen(self, order: PayoutOrder) -> bytes:
        return self._desk.partner.frozen_body(self._desk.bare_context(), order)

    async def pay(self) -> PayoutOrder:
        """Pay in the partner's one or two steps."""
        if self.manifest.two_step:
            order = await self.prepare()
            await self._run("approve", order)
        else:
            order = await self._new_order()
            self._order = msgspec.structs.replace(order, first_sent_at=order.created_at)
            await self._run("payout", order, frozen=self._frozen(order))
        return order

    async def reject(self) -> None:
        """Create an instruction and take it back."""
        order = await self.prepare()
        self._order = None
        await self._run("withdraw", order)

    async def find(self) -> None:
        """Look a payout up: one that was named once, one just made until the partner says something final, or four
        times.
        """
        order = await self._wanted()
        named = self.wishes.reference is not None or self.wishes.partner_reference is not None
        for look in range(1 if named else _MOST_LOOKS):
            if look:
                await self._clock.sleep(self.wishes.pause_s)
            outcome: Outcome = await self._run("find_payout", order)
            if outcome.kind not in (OutcomeKind.PENDING, OutcomeKind.UNKNOWN):
                break

    async def _wanted(self) -> PayoutOrder:
        wishes = self.wishes
        if wishes.reference is not None or wishes.partner_reference is not None:
            order = await self._an_order(None)
            made = start_of_jakarta_day(wishes.day) if wishes.day else order.created_at
            return msgspec.structs.replace(
                order, reference=wishes.reference or order.reference, partner_reference=wishes.partner_reference,
                created_at=made, first_sent_at=made,
            )  # fmt: skip
        if self._order is None and not wishes.pays_first:
            raise InvalidRequest("Name the payout: --reference, or --partner-reference.")
        if self._order is None:
            await self.pay()
        assert self._order is not None
        return self._order

    async def statement(self) -> None:
        """Read a day's statement to its last page."""
        if self._order is None and self.wishes.pays_first:
            await self.pay()
        day, cursor = self.wishes.day or jakarta_day(self._clock.now()), None
        for _ in range(_MOST_PAGES):
            cursor = (await self._run("statement", day, cursor)).next_cursor
            if cursor is None:
                break

    async def balance(self) -> None:
        """Read what is left of our deposit."""
        await self._run("balance")


class _NoJournal:
    """The recorder keeps everything already."""

    def write(self, exchange: Exchange) -> None:
        return


def _fetching(partner: Partner, name: str, held: Any) -> Callable[[Any], Any]:
    return lambda ctx: partner.fetch_token(ctx, name, held)
