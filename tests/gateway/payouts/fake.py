"""A partner made for tests: books in memory, answers as scripted, over the real executor and desk.

`Bank` plays the far side: each request pops the next act of its operation and, without one, behaves well. The adapter
(`FakePartner`) is as small as an adapter can be; one-step or two-step by choice.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import msgspec

from contracts.errors import Hint, PartnerUnavailable
from contracts.identity import ProofBy
from contracts.incentive import BlockerCode
from contracts.linking import LinkHealth
from contracts.observation import Balance, StatementKind, StatementLine, StatementPage
from contracts.partner import (
    AbsenceRule,
    Capability,
    Context,
    Host,
    Lifetimes,
    LookupSchedule,
    Manifest,
    Mark,
)
from contracts.payout import (
    Outcome,
    PayoutOrder,
    Refusal,
    not_accepted,
    not_found,
    pending,
    queued,
    rejected,
    reversed_,
    succeeded,
    unknown,
)
from contracts.plan import Effect, Plan, Request, Response
from contracts.secret import Secret
from gateway.clock import jakarta_day
from gateway.partners.transport import Reply

Act = dict[str, Any]


class VirtualClock:
    """Time that moves only when told."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def go_to(self, at: datetime) -> None:
        assert at >= self._now
        self._now = at


def manifest(slug: str = "fake", *, two_step: bool = False, **changes: Any) -> Manifest:
    """A manifest with round numbers."""
    capabilities = {Capability.FIND_PAYOUT, Capability.STATEMENT, Capability.LINK_REDIRECT}
    capabilities.add(Capability.PAYOUT_TWO_STEP if two_step else Capability.PAYOUT_ONE_STEP)
    values: dict[str, Any] = {
        "slug": slug,
        "name": slug,
        "documents": "none",
        "read_on": date(2026, 11, 24),
        "capabilities": frozenset(capabilities),
        "hosts": {"api": Host(sandbox_url="http://127.0.0.1:1", source="test")},
        "credentials": {},
        "tokens": {},
        "needs": {},
        "quotas": (),
        "account_pattern": r"[0-9]{10}",
        "account_example": "0123456789",
        "account_is_phone": False,
        "account_proof": ProofBy.ASKED,
        "link_exclusive": False,
        "inputs": {},
        "first_inputs": (),
        "min_amount_rupiah": 1,
        "max_amount_rupiah": 10_000_000,
        "payout_proves_link": True,
        "payout_needs_live_link": False,
        "completed_can_fail": two_step,
        "lookups": LookupSchedule(first_s=60, factor=3, max_s=3600, horizon_s=86_400, mark=Mark.ASSUMED, source="test"),
        "absence": AbsenceRule(by_lookup=not two_step, after_s=3600, lookups=4, mark=Mark.ASSUMED, source="test"),
        "lifetimes": Lifetimes(
            reference_s=None,
            external_id="none",
            create_key_s=86_400.0 if two_step else None,
            lookup_reach_s=5_000_000,
            mark=Mark.ASSUMED,
            source="test",
        ),
        "confirm_rejection_s": 30.0,
        "reason_wait_s": 600.0 if two_step else 0.0,
        "verification_retry_s": 60.0,
        "verification_tries": 5,
        "callbacks": (),
        "facts": (),
    }
    return Manifest(**(values | changes))


class Bank:
    """The far side: what was booked, what stands queued, and what it will answer next."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.acts: dict[str, deque[Act]] = defaultdict(deque)
        self.booked: list[dict[str, Any]] = []
        self.queued: dict[str, dict[str, Any]] = {}
        self.seen: list[str] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.before: Callable[[str], Awaitable[None]] | None = None
        """Called with the operation before it is answered: for races and kills."""

    def script(self, operation: str, *acts: Act | str) -> None:
        """What the next requests of an operation get."""
        self.acts[operation] += [{"act": act} if isinstance(act, str) else act for act in acts]

    def credits(self, reference: str) -> int:
        """How often a reference was credited and not given back."""
        return sum(1 if b["kind"] == "credit" else -1 for b in self.booked if b["reference"] == reference)

    def book(self, reference: str, amount: int, account: str, kind: str = "credit") -> None:
        self.booked.append(
            {
                "reference": reference,
                "amount": amount,
                "account": account,
                "kind": kind,
                "at": self.clock.now(),
                "number": f"N{reference}",
            }
        )

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        operation = target.lstrip("/")
        self.seen.append(operation)
        self.bodies.append((operation, content))
        if self.before is not None:
            await self.before(operation)
        act = self.acts[operation].popleft() if self.acts[operation] else {"act": "ok"}
        return self._answer(operation, act, json.loads(content))

    def _answer(self, operation: str, act: Act, body: dict[str, Any]) -> Reply:
        name = act["act"]
        if name == "refused_connection":
            raise httpx.ConnectError("ConnectError")
        if name in ("reset", "lost"):
            if name == "lost":
                self._do(operation, body)
            raise httpx.ReadError("ReadError")
        if name == "garbage":
            return Reply(200, {}, b"<html>")
        if name == "say":
            return _json({k: v for k, v in act.items() if k != "act"})
        return _json(self._do(operation, body) if name == "ok" else {"kind": name} | act)

    def _do(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        reference = body.get("reference", "")
        if operation == "transfer":
            if not self.credits(reference):
                self.book(reference, body["amount"], body["account"])
            return {"kind": "succeeded", "amount": body["amount"], "account": body["account"]}
        if operation == "create":
            self.queued.setdefault(reference, body)
            return {"kind": "queued", "number": f"N{reference}"}
        if operation == "approve":
            found = self.queued.pop(body["number"][1:], None)
            if found is not None:
                self.book(found["reference"], found["amount"], found["account"])
            return {"kind": "pending", "number": body["number"]}
        if operation == "reject":
            self.queued.pop(body["number"][1:], None)
            return {"kind": "rejected", "technical": True, "refusal": "withdrawn"}
        if operation == "status":
            return self._status(reference)
        if operation == "statement":
            return self._statement(body)
        return {"kind": "ok"}

    def _status(self, reference: str) -> dict[str, Any]:
        mine = [b for b in self.booked if b["reference"] == reference]
        if any(b["kind"] == "reversal" for b in mine):
            return {"kind": "reversed"}
        if mine:
            return {"kind": "succeeded", "amount": mine[0]["amount"], "account": mine[0]["account"]}
        if reference in self.queued:
            return {"kind": "queued", "number": f"N{reference}"}
        return {"kind": "not_found"}

    def _statement(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = [b for b in self.booked if str(jakarta_day(b["at"])) == body["day"]]
        page, size = int(body["cursor"] or 0), 3
        part = lines[page * size : (page + 1) * size]
        more = len(lines) > (page + 1) * size
        return {"lines": [b | {"at": b["at"].isoformat()} for b in part], "next": str(page + 1) if more else None}


def _json(value: dict[str, Any]) -> Reply:
    return Reply(200, {}, json.dumps(value).encode())


def _read(reply: Response) -> dict[str, Any]:
    try:
        return json.loads(reply.content)  # type: ignore[no-any-return]
    except json.JSONDecodeError:
        raise PartnerUnavailable("unreadable") from None


class FakePartner:
    """The adapter to `Bank`."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.callbacks: Any = None

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        return msgspec.json.encode(
            {
                "reference": order.reference,
                "amount": order.amount_rupiah,
                "account": order.account.reveal(),
                "name": order.name.reveal(),
                "on": order.created_at.isoformat(),
            }
        )

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        reply = yield self._request("inquiry", Effect.READ, {"reference": order.reference})
        said = _read(reply)
        if said["kind"] == "unavailable":
            raise PartnerUnavailable("busy", hint=Hint(said.get("hint", "none")))
        if said["kind"] == "rejected":
            return _outcome(said)
        reply = yield self._request("transfer", Effect.WRITE, self.frozen_body(ctx, order), 30.0)
        return _outcome(_read(reply))

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        reply = yield self._request("create", Effect.WRITE, self.frozen_body(ctx, order), 30.0)
        return _outcome(_read(reply))

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        reply = yield self._request("approve", Effect.WRITE, {"number": order.partner_reference}, 30.0)
        return _outcome(_read(reply))

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        reply = yield self._request("reject", Effect.WRITE, {"number": order.partner_reference}, 30.0)
        return _outcome(_read(reply))

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        reply = yield self._request("status", Effect.READ, {"reference": order.reference})
        return _outcome(_read(reply))

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        reply = yield self._request("statement", Effect.READ, {"day": str(day), "cursor": cursor})
        said = _read(reply)
        if "lines" not in said:
            raise PartnerUnavailable("no statement")
        return StatementPage(
            lines=tuple(map(_line, said["lines"])), next_cursor=said["next"], proves_absence=said.get("proves", True)
        )

    def balance(self, ctx: Context) -> Plan[Balance]:
        raise NotImplementedError

    def _request(
        self, operation: str, effect: Effect, body: bytes | dict[str, Any], timeout_s: float = 15.0
    ) -> Request:
        return Request(
            operation=f"payout.{operation}",
            effect=effect,
            host="api",
            method="POST",
            target=f"/{operation}",
            headers={"content-type": "application/json"},
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            timeout_s=timeout_s,
        )


def _line(line: dict[str, Any]) -> StatementLine:
    return StatementLine(
        kind=StatementKind(line["kind"]),
        amount_rupiah=line["amount"],
        reference=line["reference"],
        partner_reference=line["number"],
        account=Secret(line["account"]) if line["account"] else None,
        booked_at=datetime.fromisoformat(line["at"]),
    )


def _outcome(said: dict[str, Any]) -> Outcome:
    kind = said["kind"]
    said_at = datetime.fromisoformat(said["said_at"]) if "said_at" in said else None
    if kind == "succeeded":
        account = said.get("account")
        return succeeded(
            amount_rupiah=said.get("amount"), account=Secret(account) if account else None, said_at=said_at,
            partner_reference=said.get("number"),
        )  # fmt: skip
    if kind == "pending":
        return pending(partner_reference=said.get("number"))
    if kind == "queued":
        return queued(said["number"])
    if kind == "rejected":
        reason = said.get("reason")
        return rejected(
            BlockerCode(reason) if reason else None,
            technical=said.get("technical", False),
            reason_may_follow=said.get("reason_may_follow", False),
            detail=said.get("detail"),
            refusal=Refusal(said["refusal"]) if "refusal" in said else None,
            said_at=said_at,
        )
    if kind == "reversed":
        return reversed_(said_at=said_at)
    if kind == "not_accepted":
        return not_accepted(Hint(said.get("hint", "throttled")), retry_after_s=said.get("retry_after_s"))
    if kind == "not_found":
        return not_found()
    return unknown(partner_code=said.get("code"))


class Links:
    """Account linking as sending sees it."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.proved: list[str] = []
        self.health = LinkHealth.ACTIVE
        self.on_prove: Callable[[str], Awaitable[None]] | None = None
        self.renews = True
        self.unavailable = False

    async def prove(self, link_id: str) -> LinkHealth:
        self.proved.append(link_id)
        if self.on_prove is not None:
            await self.on_prove(link_id)
        return self.health

    async def customer_token_refused(self, link_id: str) -> bool:
        self.refused.append(link_id)
        if self.unavailable:
            raise PartnerUnavailable("busy")
        return self.renews


NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
"""12:00 in Jakarta."""
