"""One adapter and the mock of its partner on one frozen clock, joined by the gateway's own executor."""

from __future__ import annotations

import hashlib
import importlib
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from contracts.errors import OutcomeUnknown, PartnerError
from contracts.observation import PayoutNotice
from contracts.partner import AccessToken, Capability, Context, Notification, Partner
from contracts.payout import Outcome, OutcomeKind, PayoutOrder, unknown
from contracts.plan import Plan, Request, Response
from contracts.secret import Secret
from gateway.partners.executor import Exchange, Executor, Transport
from gateway.partners.transport import Reply
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.notify import Notice
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, Booking, World
from tests.mock_partners.wire import must_be_written

T = TypeVar("T")
NOON = datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA)
"""Never the machine's own day, so that a date read off the machine shows in the bytes."""
GATEWAY = "https://gateway.test"
MOCK = "https://partner.test"
NIK, OTHER_NIK = "3174052209989901", "3174056209989902"
PIN = "246813"
WAITS = Waits(settlement_s=5.0, reversal_s=60.0)
Forward = Callable[[str, str, Mapping[str, str], bytes], tuple[str, str, Mapping[str, str], bytes]]


@dataclass
class Take:
    """One run of a plan as it really went: `make` begins it again, byte for byte the same."""

    operation: str
    make: Callable[[], Plan[Any]]
    exchanges: list[tuple[Request, Response]] = field(default_factory=list)
    result: Any = None

    @property
    def replies(self) -> list[Response]:
        return [reply for _, reply in self.exchanges]


class InProcess:
    """The transport to a mock application in this process; `forward` may spoil a request on its way."""

    def __init__(self, app: Any) -> None:
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        self.forward: Forward = lambda *request: request

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        method, target, headers, content = self.forward(method, target, headers, content)
        url = httpx.URL(MOCK + target)
        assert url.raw_path == target.encode(), "a target is sent as it was signed"
        reply = await self._http.send(httpx.Request(method, url, headers=dict(headers), content=content))
        must_be_written(reply.content)
        return Reply(reply.status_code, dict(reply.headers.items()), reply.content)


class Virtual(Scheduler):
    """Due work runs when the test lets time pass; an answer that the partner delays passes the time by itself."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, auto=False)

    async def sleep(self, delay_s: float) -> None:
        self.clock.shift(delay_s)


class Stage:
    """A small world of one partner with the adapter in front of it; `tape` holds every plan that was run."""

    def __init__(self, partner: Partner) -> None:
        self.partner = partner
        self.manifest = partner.manifest
        slug = partner.manifest.slug
        package = importlib.import_module(f"mock_partners.{slug}")
        self.clock = Clock()
        self.clock.freeze(NOON)
        self.scheduler = Virtual(self.clock)
        self.world = World(slug)
        self.notices: list[Notice] = []
        self.app = package.create_app(
            self.world, clock=self.clock, waits=WAITS, notify_base=GATEWAY, scheduler=self.scheduler, send=self._receive
        )
        self.credentials = credentials(partner, package.CREDENTIALS["credentials"])
        self.sender = InProcess(self.app)
        self.journal: list[Exchange] = []
        self.tokens: dict[str, AccessToken] = {}
        self.tape: list[Take] = []
        self._count = itertools.count(1)
        self.use(self.sender)

    def use(self, sender: Transport) -> None:
        """Reach the partner through another transport."""
        self._executor = Executor(self.manifest.slug, dict.fromkeys(self.manifest.hosts, sender), self, self)

    # --- what the executor asks for: a clock and a journal ---

    def now(self) -> datetime:
        return self.clock.now().astimezone(UTC)

    def monotonic(self) -> float:
        return self.clock.seconds()

    def write(self, exchange: Exchange) -> None:
        self.journal.append(exchange)

    # --- running plans ---

    def number(self) -> int:
        return next(self._count)

    def reference(self) -> str:
        """A fresh reference of ours, 19 digits."""
        return f"10{self.number():017d}"

    def bare_context(self) -> Context:
        return Context(
            now=self.now(),
            serial=f"26{self.number():015d}",
            credentials=self.credentials,
            tokens={},
            hosts=dict.fromkeys(self.manifest.hosts, MOCK),
        )

    async def context(self, operation: str) -> Context:
        """A fresh context with the tokens that the manifest says the operation needs, and no others."""
        bare = self.bare_context()
        names = self.manifest.needs.get(operation, ())
        tokens = {name: (await self.token(name)).value for name in names}
        return msgspec.structs.replace(bare, tokens=tokens)

    async def token(self, name: str) -> AccessToken:
        """One of our tokens, fetched at its first use."""
        if name not in self.tokens:
            self.tokens[name] = await self.run(
                "fetch_token", lambda ctx: self.partner.fetch_token(ctx, name, None), context=self.bare_context()
            )
        return self.tokens[name]

    async def run(
        self,
        operation: str,
        make: Callable[[Context], Plan[T]],
        *,
        context: Context | None = None,
        frozen_hash: bytes | None = None,
    ) -> T:
        """Run one operation as the gateway does; what went over the wire is on the tape."""
        ctx = context or await self.context(operation)
        take = Take(operation, lambda: make(ctx))
        self.tape.append(take)
        result: T = await self._executor.run(_taped(take), subject=operation, frozen_hash=frozen_hash)
        take.result = result
        return result

    def spoil(self, *names: str) -> None:
        """Change these credentials, or every key and secret, as after a rotation that we slept through."""
        wanted = self.manifest.credentials
        for name in names or [name for name, wish in wanted.items() if wish.secret or wish.pem]:
            self.credentials[name] = spoilt(self.credentials[name], pem=wanted[name].pem)

    # --- time and notifications ---

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what the partner has scheduled for it happen in its order."""
        end = self.clock.seconds() + seconds
        for _ in range(10_000):
            due = self.scheduler.next_due_s()
            if due is None or due > end:
                break
            self.clock.shift(max(0.0, due - self.clock.seconds()))
            await self.scheduler.run_due()
        else:
            raise AssertionError("the partner's schedule does not end")
        self.clock.shift(end - self.clock.seconds())

    async def settle(self) -> None:
        """Let a settlement happen, without reaching a reversal."""
        await self.pass_time(WAITS.settlement_s + 1)

    async def _receive(self, url: str, notice: Notice) -> int:
        assert url == GATEWAY + notice.path
        self.notices.append(notice)
        return 200

    def notifications(self) -> list[Notification]:
        """What the partner has sent, as the gateway receives it: the kind by the manifest's routes."""
        return [self.received(notice) for notice in self.notices]

    def received(self, notice: Notice) -> Notification:
        prefix = f"/callbacks/{self.manifest.slug}"
        routes = {(route.method, prefix + route.path): route.kind for route in self.manifest.callbacks}
        return Notification(
            kind=routes[notice.method, notice.path],
            method=notice.method,
            target=notice.path,
            headers={name.lower(): value for name, value in notice.headers.items()},
            body=notice.body,
        )

    # --- accounts and payouts ---

    def account(self, **changes: Any) -> Account:
        """A new account at the partner: active, verified, with the NIK on file, unless said otherwise."""
        number = self.number()
        phone = f"+62812{number:08d}"
        values: dict[str, Any] = {
            "account": phone if self.manifest.account_is_phone else f"70000{number:05d}",
            "phone": phone,
            "holder_name": "SITI AMINAH",
            "nik_on_file": NIK,
            "kyc": "full",
            "status": "active",
            "pin": PIN,
            "card_no": f"194634000000{9900 + number % 100}",
            **changes,
        }
        values["behaviour"] = Behaviour(values.get("behaviour", ""))
        account = Account(partner=self.manifest.slug, **values)
        self.world.accounts[account.account] = account
        return account

    def stranger(self) -> Account:
        """Somebody whom the partner does not know."""
        account = self.account()
        del self.world.accounts[account.account]
        return account

    def order(self, account: Account, grant: Any, amount_rupiah: int = 600_000) -> PayoutOrder:
        return PayoutOrder(
            reference=self.reference(),
            amount_rupiah=amount_rupiah,
            account=Secret(account.account),
            phone=Secret(account.phone),
            name=Secret(account.holder_name),
            created_at=self.now(),
            grant=grant,
        )

    async def prepare(self, order: PayoutOrder) -> PayoutOrder:
        """The order as it stands before the WRITE that moves money: at a two-step partner with its number."""
        if not self.manifest.two_step:
            return order
        outcome = await self.run(
            "prepare", lambda ctx: self.partner.prepare(ctx, order), frozen_hash=self.frozen(order)
        )
        assert outcome.kind is OutcomeKind.QUEUED and outcome.partner_reference
        return msgspec.structs.replace(order, partner_reference=outcome.partner_reference)

    def frozen(self, order: PayoutOrder) -> bytes:
        """The hash that is stored before the first byte leaves."""
        return hashlib.sha256(self.partner.frozen_body(self.bare_context(), order)).digest()

    async def send(self, order: PayoutOrder) -> Outcome:
        """The WRITE that moves money; no readable verdict is `unknown`, as the gateway takes it."""
        if self.manifest.two_step:
            make, operation, frozen = self.partner.approve, "approve", None
        else:
            make, operation, frozen = self.partner.payout, "payout", self.frozen(order)
        try:
            return await self.run(operation, lambda ctx: make(ctx, order), frozen_hash=frozen)
        except OutcomeUnknown:
            return unknown()

    async def find(self, order: PayoutOrder) -> Outcome:
        return await self.run("find_payout", lambda ctx: self.partner.find_payout(ctx, order))

    async def follow(self, order: PayoutOrder, sent: Outcome) -> list[Outcome]:
        """All that the partner says until it says something final: by its answer, look-ups and notifications."""
        said = [sent]
        for _ in range(8):
            if said[-1].kind in FINAL:
                break
            await self.settle()
            said.append(await self.find(order))
        return said + self.told(order)

    def told(self, order: PayoutOrder) -> list[Outcome]:
        """The outcomes that notifications brought about this order."""
        notices = [self.partner.callbacks.read(note) for note in self.notifications()]
        ours = (order.reference, order.partner_reference)
        return [
            notice.outcome
            for notice in notices
            if isinstance(notice, PayoutNotice) and (notice.reference or notice.partner_reference) in ours
        ]

    async def pay(self, order: PayoutOrder) -> list[Outcome]:
        """Pay an order and follow it to its end."""
        order = await self.prepare(order)
        return await self.follow(order, await self.send(order))

    def books(self, order: PayoutOrder) -> list[Booking]:
        """What the partner has booked under the order's reference."""
        return [booking for booking in self.world.books if booking.reference == order.reference]

    def can(self, capability: Capability) -> bool:
        return capability in self.manifest.capabilities


FINAL = frozenset({OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED, OutcomeKind.REVERSED, OutcomeKind.NOT_ACCEPTED})


def credentials(partner: Partner, given: Mapping[str, str]) -> dict[str, Secret]:
    """What the adapter needs, out of what the partner hands over; a missing name is a KeyError."""
    wanted = partner.manifest.credentials
    return {
        name: Secret(given[name] if credential.default is None else given.get(name, credential.default))
        for name, credential in wanted.items()
    }


def spoilt(value: Secret, *, pem: bool) -> Secret:
    """Another credential of the same form: a key of someone else, or one changed character."""
    if not pem:
        text = value.reveal()
        return Secret(text[:-1] + ("1" if text[-1] != "1" else "2"))
    private = "PRIVATE" in value.reveal()
    return Secret(_other_key(private=private))


@cache
def _other_key(*, private: bool) -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    if private:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _taped(take: Take) -> Plan[Any]:
    plan = take.make()
    try:
        request = next(plan)
        while True:
            reply = yield request
            take.exchanges.append((request, reply))
            request = plan.send(reply)
    except StopIteration as stop:
        return stop.value
    finally:
        plan.close()


async def outcome_or_error(running: Awaitable[Any]) -> Any:
    """The result, or the partner's error as a value."""
    try:
        return await running
    except (PartnerError, OutcomeUnknown) as error:
        return error
