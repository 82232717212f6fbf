"""A partner that answers as a test tells it to: the gateway's own executor, desks and services run around it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from contracts.errors import PartnerProtocolError, SignatureInvalid
from contracts.identity import IdentityAnswer, IdentityQuery, ProofBy
from contracts.incentive import BlockerCode
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkGranted,
    LinkHealth,
    LinkReturn,
    LinkStart,
    LinkStep,
    UnlinkOrder,
    UnlinkStep,
)
from contracts.observation import IdentityNotice, LinkNotice, NoNotice, Notice, PayoutNotice
from contracts.partner import (
    AbsenceRule,
    CallbackRoute,
    Capability,
    Context,
    Host,
    InputField,
    Lifetimes,
    LookupSchedule,
    Manifest,
    Mark,
    Notification,
)
from contracts.payout import succeeded
from contracts.plan import Effect, Plan, Request, Response
from contracts.secret import Secret
from gateway.partners.transport import Reply

FIRST = "customer-token-1"
NOTICE_KEY = b"notice-key-that-protects-nothing"
C = Capability
REDIRECT = frozenset({C.LINK_REDIRECT, C.LINK_STATUS, C.UNLINK, C.VERIFY_NIK, C.NOTIFY_LINK, C.NOTIFY_KYC})
INPUTS = frozenset({C.LINK_INPUTS, C.UNLINK, C.VERIFY_NIK})


class FakeClock:
    """Stands still until told to go on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Silent:
    """A journal that keeps nothing."""

    def write(self, exchange: object) -> None:
        return


Said = Any
"""A value to be returned, a `PartnerError` for the plan to raise, an `httpx` error for the transport, or an async
function that gives one of them."""


class Bank:
    """What the partner says, in order, per operation; and what it was sent."""

    def __init__(self) -> None:
        self.next: defaultdict[str, deque[Said]] = defaultdict(deque)
        self.always: dict[str, Said] = {}
        self.before: dict[str, Exception] = {}
        """What the next plan of an operation raises before it sends anything."""
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self._said: list[Said] = []

    def will(self, operation: str, *said: Said) -> None:
        self.next[operation].extend(said)

    def calls(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.sent)

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        operation = target.removeprefix("/")
        self.sent.append((operation, json.loads(content)))
        said = self.next[operation].popleft() if self.next[operation] else self.always[operation]
        if callable(said):
            answer: Awaitable[Said] = said()
            said = await answer
        if isinstance(said, httpx.TransportError):
            raise said
        self._said.append(said)
        return Reply(200, {}, str(len(self._said) - 1).encode())

    def read(self, reply: Response) -> Any:
        said = self._said[int(reply.content)]
        if isinstance(said, Exception):
            raise said
        return said


class FakePartner:
    """A partner whose every operation is one request to the `Bank`."""

    def __init__(self, manifest: Manifest, bank: Bank) -> None:
        self.manifest = manifest
        self.bank = bank
        self.callbacks = FakeCallbacks()

    def _plan(self, operation: str, effect: Effect, **content: object) -> Plan[Any]:
        if operation in self.bank.before:
            raise self.bank.before.pop(operation)
        reply = yield Request(
            operation=operation,
            effect=effect,
            host="fake",
            method="POST",
            target=f"/{operation}",
            headers={},
            content=json.dumps(content).encode(),
        )
        return self.bank.read(reply)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        return self._plan("begin", Effect.WRITE, reference=start.reference, redirect_uri=start.redirect_uri)

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        inputs = {name: value.reveal() for name, value in answer.inputs.items()}
        carry = {name: value.reveal() for name, value in answer.carry.items()}
        return self._plan("answer", Effect.WRITE, reference=answer.reference, inputs=inputs, carry=carry)

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        if query.get("error") == "denied":
            return LinkReturn(refused=BlockerCode.CONSENT_DENIED, state=query.get("state"))
        code = query.get("code")
        return LinkReturn(
            code=Secret(code) if code else None, held=query.get("error") == "linked", state=query.get("state")
        )

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        carry = {name: value.reveal() for name, value in finish.carry.items()}
        return self._plan(
            "finish", Effect.WRITE, code=finish.code.reveal(), carry=carry, redirect_uri=finish.redirect_uri
        )

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        return self._plan("health", Effect.READ, token=grant.access_token.reveal())

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        return self._plan("refresh", Effect.WRITE, token=grant.access_token.reveal())

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        inputs = {name: value.reveal() for name, value in order.inputs.items()}
        return self._plan(
            "unlink",
            Effect.WRITE,
            token=order.grant.access_token.reveal(),
            account=order.account.reveal(),
            inputs=inputs,
        )

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        return self._plan(
            "verify",
            Effect.READ,
            reference=query.reference,
            nik=query.nik.reveal(),
            account=query.account.reveal(),
            token=query.grant.access_token.reveal(),
        )


class FakeCallbacks:
    """Notifications signed with one shared key; `{"token"}`, `{"kyc"}`, `{"payout"}` or nothing of ours."""

    def verify(self, ctx: Context, note: Notification) -> None:
        if note.kind == "hint":
            return
        expected = hmac.new(NOTICE_KEY, note.target.encode() + note.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, note.headers.get("x-signature", "")):
            raise SignatureInvalid

    def dedupe_key(self, note: Notification) -> str:
        return note.headers.get("x-event", "") or hashlib.sha256(note.body).hexdigest()

    def read(self, note: Notification) -> Notice:
        try:
            said = json.loads(note.body)
        except ValueError:
            raise PartnerProtocolError("not JSON") from None
        if "token" in said:
            return LinkNotice(access_token=Secret(said["token"]), account_changed=said.get("changed", False))
        if "kyc" in said:
            return IdentityNotice(access_token=Secret(said["kyc"]))
        if "payout" in said:
            return PayoutNotice(outcome=succeeded(), reference=said["payout"])
        return NoNotice()

    def reply(self, note: Notification) -> tuple[int, bytes]:
        return 202, b'{"taken":true}'


def signature(target: str, body: bytes) -> str:
    return hmac.new(NOTICE_KEY, target.encode() + body, hashlib.sha256).hexdigest()


def manifest(slug: str, capabilities: frozenset[Capability], *, exclusive: bool = False) -> Manifest:
    """A partner that links by redirect or inputs; the account is a phone."""
    return Manifest(
        slug=slug,
        name=slug.capitalize(),
        documents="none",
        read_on=date(2026, 1, 2),
        capabilities=capabilities,
        hosts={"fake": Host(sandbox_url="http://fake.test", source="test")},
        pages=("example.test",),
        credentials={},
        tokens={},
        needs={},
        quotas=(),
        account_pattern=r"\+62[0-9]{8,12}",
        account_example="+6281200000000",
        account_is_phone=True,
        account_proof=ProofBy.ECHOED,
        link_exclusive=exclusive,
        inputs={
            "card_no": InputField(pattern=r"[0-9]{16}", label_indonesian="Nomor kartu", label_english="Card number"),
            "otp": InputField(pattern=r"[0-9]{6}", label_indonesian="Kode OTP", label_english="OTP"),
        },
        first_inputs=("card_no",),
        min_amount_rupiah=1,
        max_amount_rupiah=10_000_000,
        payout_proves_link=False,
        payout_needs_live_link=False,
        completed_can_fail=False,
        lookups=LookupSchedule(first_s=1, factor=2, max_s=60, horizon_s=3600, mark=Mark.ASSUMED, source="test"),
        absence=AbsenceRule(by_lookup=True, after_s=60, lookups=4, mark=Mark.ASSUMED, source="test"),
        lifetimes=Lifetimes(
            reference_s=None,
            external_id="none",
            create_key_s=None,
            lookup_reach_s=86_400,
            mark=Mark.ASSUMED,
            source="test",
        ),
        confirm_rejection_s=1,
        reason_wait_s=0,
        verification_retry_s=2,
        verification_tries=3,
        callbacks=(
            CallbackRoute(kind="link", method="POST", path="/v1/notify"),
            CallbackRoute(kind="kyc", method="PUT", path="/v1/kyc", max_body_bytes=200),
            CallbackRoute(kind="hint", method="PUT", path="/v1/hint", max_body_bytes=200, signed=False),
        ),
        facts=(),
    )


def granted(token: str = FIRST, **more: Any) -> LinkGranted:
    return LinkGranted(grant=Grant(access_token=Secret(token), **more))
