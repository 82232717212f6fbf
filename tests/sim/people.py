"""What people do: participants at pages, the core platform at the API, operators at switches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import httpx

from contracts.batch import COLUMNS
from contracts.errors import GatewayError
from contracts.linking import LinkState
from contracts.secret import Secret
from gateway.demo.browser import Browser
from gateway.services.intake.batches import Decision
from gateway.services.intake.framing import CsvCells
from gateway.services.linking.bound import cookie_name
from gateway.services.linking.steps import Shown
from gateway.services.payouts.settlements import SettledAs
from mock_partners.kit.http import Abort
from mock_partners.kit.world import Account
from tests.sim.baton import Crash
from tests.sim.cohort import BANKS, Person
from tests.sim.partners import PUBLIC

if TYPE_CHECKING:
    from tests.sim.snapshot import Payout
    from tests.sim.town import Services, Town

HOME = "https://core.test/back"
CORE, APPROVERS = "core", ("approver-1", "approver-2")
_MOST_STEPS = 8
_MOST_RESUMES = 20
_UNLINKING_S = 600.0
"""Core is told that the partner has not let the old account go yet: it sends the person later, and not in vain."""
_LOOKS_AFTER = 2
"""After so many vain visits a person looks into the partner's app."""
_HOLDS = ("active", "unlinking", "exchanging")


class Gone(Exception):
    """The page did not answer, or said no: the person gives up for now."""


class Streets(httpx.AsyncBaseTransport):
    """Where a browser finds the partners' pages."""

    def __init__(self, town: Town) -> None:
        self._sides = {side.host: side for side in town.sides.values()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.url.raw_path.decode()
        try:
            answer = await self._sides[request.url.host].answer(request.method, target, headers, request.content)
        except Abort as lost:
            raise httpx.ReadError("reset") from lost
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def client_of(town: Town) -> httpx.AsyncClient:
    """One client for all browsers."""
    return httpx.AsyncClient(transport=Streets(town), trust_env=False)


async def asked(town: Town, what: Callable[[Services], Awaitable[object]]) -> object:
    """A request to the gateway; raises `Gone` for everything that a caller sees as no answer or no."""
    try:
        async with town.request() as services:
            return await what(services)
    except Crash:
        raise Gone("the gateway died under it") from None
    except GatewayError as error:
        raise Gone(f"{type(error).__name__} {error.code}") from None
    except town.accidents:
        raise Gone("500") from None


async def resume(town: Town, slug: str) -> None:
    """An operator reads why a partner is paused, and resumes it."""

    async def work(services: Services) -> None:
        view = next(one for one in await services.partners.all() if one.partner == slug)
        read = None if view.paused is None else view.paused.read
        await services.partners.resume(slug, actor="operator", read=read)

    for _ in range(_MOST_RESUMES):
        try:
            await asked(town, work)
            return
        except Gone as why:  # more was told while they read, or the process died
            town.trace(f"resume: {why}")
            await town.baton.rest(town.now_s + 5.0)


class Visit:
    """One person on the way to a link."""

    def __init__(self, town: Town, person: Person, client: httpx.AsyncClient) -> None:
        self._town, self._person, self._client = town, person, client
        self._cookies: dict[str, str] = {}

    async def run(self) -> None:
        """From the core platform's button to the end of the pages."""
        person, town = self._person, self._town
        calm, early = town.chance.over, False
        try:
            await self._run()
        except Gone as why:
            town.trace(f"gave up: {why}")
            early = "link_unlinking" in str(why)
        finally:
            person.visiting = False
            # One that outlasts the faults is none of those that follow them.
            person.visits += calm == town.chance.over and not early
            person.next_visit_s = town.now_s + (_UNLINKING_S if early else 30.0 * person.visits)

    async def _release(self) -> None:
        """Look into the partner's own app: a link that the gateway knows nothing of is in the way of a new one."""
        person, town = self._person, self._town
        account = town.sides[person.partner].world.accounts.get(person.account)
        if account is None or person.case == "shares":
            return
        sharing = {p.participant_id for p in town.people if (p.partner, p.account) == (person.partner, person.account)}
        known = {row.id for row in town.state.participants if row.participant_id in sharing}
        if any(link.participant in known and link.state in _HOLDS for link in town.state.links):
            return
        if await town.sides[person.partner].revoke(account):
            town.trace(f"{person.participant_id} ends the link in the partner's app")

    async def _run(self) -> None:
        person = self._person
        row = next((one for one in self._town.state.participants if one.participant_id == person.participant_id), None)
        if person.visits >= _LOOKS_AFTER or (row is not None and row.standing == "link_half_done"):  # it says so
            await self._release()
        view = await asked(self._town, lambda s: s.linking.start(CORE, (HOME,), person.participant_id, HOME))
        if view.challenge is None or view.challenge.url is None:  # type: ignore[attr-defined]
            return
        token = view.challenge.url.rsplit("/", 1)[1]  # type: ignore[attr-defined]
        shown = await self._shown(lambda s: s.linking.open(token, self._cookies))
        if shown.unavailable:
            shown = await self._shown(lambda s: s.linking.open(token, self._cookies))
        if shown.redirect is not None:
            await self._at_partner(shown)
        elif shown.link.wants:
            await self._form(shown)

    async def _shown(self, what: Callable[[Services], Awaitable[Shown]]) -> Shown:
        shown = await asked(self._town, what)
        assert isinstance(shown, Shown)
        if shown.cookie is not None:
            self._cookies = {cookie_name(shown.link): shown.cookie.reveal()}
        return shown

    def _account(self) -> Account:
        person = self._person
        found = self._town.sides[person.partner].world.accounts.get(person.account)
        if found is None:
            raise Gone("there is no such account")
        return found

    async def _at_partner(self, shown: Shown) -> None:
        """Through the partner's pages, and back with what the browser brings."""
        assert shown.redirect is not None
        browser = Browser(self._client, PUBLIC)
        denies = self._person.case == "denies"
        try:
            page = await browser.get(shown.redirect)
            for _ in range(_MOST_STEPS):
                if page.form is None:
                    break
                if denies and page.has_button("deny"):
                    page = await browser.submit(page, {}, "deny")
                    continue
                account = self._account()
                sms = self._town.sides[account.partner].world.sms.newest_first(account.phone)
                values = {"agree": "yes", "phone": account.phone, "pin": account.pin}
                values["otp"] = sms[0]["code"] if sms else ""
                self._town.pass_s(4.0)
                page = await browser.submit(page, values, "continue")
        except httpx.HTTPError as error:
            raise Gone(type(error).__name__) from None
        if not page.url.startswith(PUBLIC):
            raise Gone(f"the partner's page ended with {page.status}")
        query = dict(parse_qsl(urlsplit(page.url).query, keep_blank_values=True))
        partner = urlsplit(page.url).path.split("/")[2]
        for last in (False, False, True):
            try:
                shown = await self._shown(lambda s: s.linking.callback(partner, query, self._cookies))
            except Gone:
                state = await self._state(shown.link.id)
                if last or state is not LinkState.OPENED:
                    raise
                continue
            break
        if self._town.chance.order.random() < 0.2 and await self._state(shown.link.id) is not LinkState.EXCHANGING:
            await self._shown(lambda s: s.linking.callback(partner, query, self._cookies))

    async def _state(self, link_id: str) -> LinkState:
        view = await asked(self._town, lambda s: s.linking.view(link_id))
        return view.state  # type: ignore[attr-defined,no-any-return]

    async def _form(self, shown: Shown) -> None:
        """The gateway's own form."""
        for _ in range(_MOST_STEPS):
            link = shown.link
            if link.state is not LinkState.OPENED or not link.wants:
                return
            typed = self._typed(link.wants)
            if self._person.case == "denies":
                typed = None
            self._town.pass_s(4.0)
            shown = await self._submitted(link.id, typed)

    async def _submitted(self, link_id: str, typed: dict[str, Secret] | None) -> Shown:
        async def send(services: Services) -> Shown:
            page = await services.linking.page(link_id, self._cookies)
            if page.link.state is LinkState.EXCHANGING:
                raise Gone("someone else is at it")
            return await services.linking.submit(link_id, self._cookies, services.linking.csrf_token(page.link), typed)

        return await self._shown(send)

    def _typed(self, wants: list[str]) -> dict[str, Secret] | None:
        account = self._account()
        sms = self._town.sides[account.partner].world.sms.newest_first(account.phone)
        known = {"card_no": account.card_no, "otp": sms[0]["code"] if sms else "000000"}
        return {name: Secret(known[name]) for name in wants}


async def hand_over(town: Town) -> None:
    """The core platform submits the batch, again and again until it is told that it was received."""
    text = [",".join(COLUMNS)]
    for person in town.people:
        for row in person.rows:
            cells = {
                "programme": "sim", "purpose": row.purpose, "period": row.period,
                "participant_id": person.participant_id, "nik": person.nik, "full_name": person.name,
                "phone": person.phone, "partner": person.partner, "account": person.account,
                "amount_rupiah": str(row.amount_rupiah), "due_on": row.due_on.isoformat(),
                "deadline_on": row.deadline_on.isoformat(),
            }  # fmt: skip
            text.append(",".join(cells[name] for name in COLUMNS))

    async def body() -> AsyncIterator[bytes]:
        yield "\n".join(text).encode()

    async def keep(*_: object) -> None:
        """No answer is kept: each submission is a new request."""

    while not town.state.batches:
        try:
            await asked(town, lambda s: s.batches.receive(CORE, CsvCells(), body(), keep))
        except Gone as why:
            town.trace(f"batch not acknowledged: {why}")
        await town.look()


async def approve(town: Town, batch_id: str, approver: str) -> None:
    """One of two people approves what was received."""

    async def decide(services: Services) -> object:
        seen = await services.batches.get(batch_id)
        return await services.batches.decide(approver, batch_id, Decision.APPROVE, seen.batch.content_root)

    try:
        await asked(town, decide)
    except Gone as why:
        town.trace(f"approval not acknowledged: {why}")
    await put_up_lapsed(town)


async def put_up_lapsed(town: Town) -> None:
    """The core platform has what was approved before an account changed approved anew."""
    try:
        await asked(town, lambda s: s.batches.reapprove(CORE))
    except Gone as why:
        town.trace(f"nothing put up: {why}")


async def change_account(town: Town, person: Person) -> None:
    """The person names another account of theirs."""
    partner, account = person.spare[0]
    phone = person.phone if partner in BANKS else account
    try:
        await asked(
            town,
            lambda s: s.corrections.correct(
                person.participant_id,
                {"partner": Secret(partner), "account": Secret(account), "phone": Secret(phone)},
                CORE,
            ),
        )
    except Gone as why:
        town.trace(f"account not changed: {why}")
    await put_up_lapsed(town)
    move(town, person)


def move(town: Town, person: Person) -> None:
    """The person goes by the account that the store has of them, if it is another one of theirs."""
    row = next((t for t in town.state.participants if t.participant_id == person.participant_id), None)
    for partner, account in person.spare if row is not None else ():
        if row.account == town.account_index(partner, account):
            person.spare.remove((partner, account))
            person.partner, person.account, person.case = partner, account, "ok"
            person.visits, person.next_visit_s = 0, town.now_s
            return


async def settle(town: Town, payout: Payout) -> None:
    """Two operators settle what is in doubt: the partner, asked on paper, says what its books say."""
    paid = sum(
        (1 if kind == "credit" else -1) * (reference == payout.reference)
        for _, reference, _, kind, _ in town.books()
        if kind in ("credit", "reversal")
    )
    verdict = SettledAs.PAID if paid > 0 else SettledAs.REFUSED
    if verdict is SettledAs.REFUSED:
        town.sides[payout.partner].ends(payout.reference)
    try:
        made = await asked(
            town,
            lambda s: s.settlements.propose(
                payout.id, verdict, reason=None, document="letter", why="asked on paper", actor="operator"
            ),
        )
        await asked(town, lambda s: s.settlements.confirm(made.id, actor="another"))  # type: ignore[attr-defined]
    except Gone as why:
        town.bad(f"payout {payout.id} ({payout.state}) cannot be settled by a document: {why}")
    town.settled.add(payout.id)
    town.trace(f"payout {payout.id} is settled: {verdict.value}")
