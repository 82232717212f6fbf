"""Iris' legacy Payouts API, `/iris/api/v1` (wallets.md 2.6): two steps under two keys, and the side calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mock_partners.gopay import iris_fields
from mock_partners.gopay.banks import GOPAY, NAMES, customer
from mock_partners.gopay.credentials import VALUES
from mock_partners.gopay.iris_fields import IrisRefusal
from mock_partners.gopay.payouts import Approval, Payout, Payouts, utc
from mock_partners.kit.basic import basic_ok
from mock_partners.kit.behaviour import SLOW_S
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.http import Abort, Call, Handler, Reply, Route, json_reply
from mock_partners.kit.statements import listed
from mock_partners.kit.world import Booking, Kind, World, normal_phone

CREATOR, APPROVER = VALUES["iris_creator_key"], VALUES["iris_approver_key"]
EITHER = (CREATOR, APPROVER)
KEY_LIFE = timedelta(hours=24)
DENIED = "HTTP Basic: Access denied"
"""To a key that nobody has: Midtrans' Node client looks for its last word (the rest is recalled)."""
FORBIDDEN = "You are not authorized to perform this action"
APPROVING, REJECTING = "An error occurred when approving payouts", "An error occurred when rejecting payouts"
STATEMENT_KINDS = {
    Kind.CREDIT: ("Payout", "debit"), Kind.REVERSAL: ("Refund", "credit"), Kind.FEE: ("Payout fee", "debit"),
    Kind.OTHER: ("Adjustment", "debit"),
}  # fmt: skip
"""Type and direction of a statement's row (decisions S2)."""
NOT_FOUND = ("Payouts not found. Please check reference nos",)
UNKNOWN = "Specified payout not found"
"""Of one payout Midtrans' Go clients read `errors` as a text; of an approval as a list."""
VALIDATING = "An error occured when doing account validation"
IrisHandler = Callable[[Call], Awaitable[Reply]]


@dataclass(repr=False)
class Keys:
    """The X-Idempotency-Key store: what was asked under a key and the answer; purged at midnight UTC."""

    answered: dict[str, tuple[Any, Reply, datetime]] = field(default_factory=dict)
    purged_on: date = date.min

    def purge(self, now: datetime) -> None:
        """Forgets the keys that were older than 24 h at the last midnight UTC."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight.date() == self.purged_on:
            return
        self.purged_on = midnight.date()
        for key in [key for key, (_, _, at) in self.answered.items() if midnight - at > KEY_LIFE]:
            del self.answered[key]


@dataclass(repr=False)
class Beneficiaries:
    """The merchant's address book, by alias."""

    by_alias: dict[str, dict[str, str]] = field(default_factory=dict)


class Iris:
    """The handlers of the Iris host; `keys` and `book` outlive a restarted app, as the payouts do."""

    def __init__(
        self, world: World, clock: Clock, scheduler: Scheduler, payouts: Payouts, keys: Keys, book: Beneficiaries
    ) -> None:  # fmt: skip
        self._world, self._clock, self._scheduler = world, clock, scheduler
        self._payouts, self._keys, self._book = payouts, keys, book

    def routes(self) -> list[Route]:
        """Every call of the host, with the API keys that it takes."""

        def call(method: Any, path: str, keys: tuple[str, ...], handler: IrisHandler) -> Route:
            return Route(method, f"/iris/api/v1/{path}", _guarded(keys, handler))

        return [
            Route("GET", "/iris/api/v1/ping", self._ping),
            call("POST", "payouts", (CREATOR,), self._create),
            call("POST", "payouts/approve", (APPROVER,), self._approve),
            call("POST", "payouts/reject", (APPROVER,), self._reject),
            call("GET", "payouts/{reference_no:str}", EITHER, self._get),
            call("GET", "balance", EITHER, self._balance),
            call("GET", "statements", EITHER, self._statement),
            call("GET", "bank_accounts", EITHER, self._facilitators_only),
            call("GET", "bank_accounts/{bank_account_id:str}/balance", EITHER, self._facilitators_only),
            call("GET", "beneficiary_banks", EITHER, self._banks),
            call("GET", "channels", EITHER, self._channels),
            call("GET", "account_validation", EITHER, self._validate_account),
            call("GET", "beneficiaries", EITHER, self._list_beneficiaries),
            call("POST", "beneficiaries", (CREATOR,), self._create_beneficiary),
            call("PATCH", "beneficiaries/{alias:str}", (CREATOR,), self._update_beneficiary),
        ]

    async def _ping(self, call: Call) -> Reply:
        return Reply(200, b"pong", {"Content-Type": "text/plain"})

    async def _create(self, call: Call) -> Reply:
        """Queues payouts; the same key with a JSON-equal body gets the first answer's bytes (decisions G7)."""
        now, key, body = self._clock.now(), iris_fields.idempotency_key(call), iris_fields.read(call)
        self._keys.purge(now)
        if key in self._keys.answered:
            first, reply, _ = self._keys.answered[key]
            if first == body:
                return reply
            raise IrisRefusal(400, "idempotency-key is not unique", "idempotency-key is not unique")
        created = [self._payouts.create(asked, key) for asked in iris_fields.instructions(body)]
        rows = [{"status": payout.status.value, "reference_no": payout.reference_no} for payout in created]
        reply = json_reply(201, {"payouts": rows})
        if key:
            self._keys.answered[key] = (body, reply, now)
        return reply

    async def _approve(self, call: Call) -> Reply:
        """Approves all payouts named or none; `otp` is taken and not looked at (decisions G10)."""
        payouts = self._named(iris_fields.read(call), APPROVING)
        told = {self._payouts.approve(payout) for payout in payouts}
        if Approval.LOST in told:
            raise Abort
        if Approval.TIMEOUT in told:
            return json_reply(504, {"error_message": "Timeout"})
        if Approval.SLOW in told:
            await self._scheduler.sleep(SLOW_S)
        return json_reply(202, {"status": "ok"})

    async def _reject(self, call: Call) -> Reply:
        body = iris_fields.read(call)
        iris_fields.reason(body, REJECTING)
        for payout in self._named(body, REJECTING):
            self._payouts.reject(payout)
        return json_reply(202, {"status": "ok"})

    def _named(self, body: dict[str, Any], doing: str) -> list[Payout]:
        """The queued payouts of `reference_nos`; one that is unknown or not queued refuses them all."""
        numbers = iris_fields.reference_nos(body, doing)
        if any(self._payouts.get(number) is None for number in numbers):
            raise IrisRefusal(400, doing, NOT_FOUND)
        found = {number: self._payouts.queued(number) for number in numbers}
        payouts = [payout for payout in found.values() if payout is not None]
        if gone := [number for number, payout in found.items() if payout is None]:
            raise IrisRefusal(400, doing, (f"Reference nos '{', '.join(gone)}' are not queued",))
        return payouts

    async def _get(self, call: Call) -> Reply:
        """One payout; no field says why it failed (wallets.md 2.6 point 3)."""
        payout = self._payouts.look_up(call.params["reference_no"])
        if payout is None:
            raise IrisRefusal(404, UNKNOWN, UNKNOWN)
        details = {
            "amount": payout.amount,
            "beneficiary_name": payout.asked.beneficiary_name,
            "beneficiary_account": payout.asked.beneficiary_account,
            "beneficiary_email": payout.asked.beneficiary_email,
            "bank": NAMES[payout.asked.bank],
            "reference_no": payout.reference_no,
            "notes": payout.asked.notes,
            "status": payout.status.value,
            "created_by": "Creator",
            "created_at": utc(payout.created_at),
            "updated_at": utc(payout.updated_at),
        }
        return json_reply(200, details)

    async def _balance(self, call: Call) -> Reply:
        return json_reply(200, {"balance": f"{self._world.deposit_rupiah}.00"})

    async def _statement(self, call: Call) -> Reply:
        """Bookings of the Jakarta days of a GET's JSON body or query, newest first (decisions S2, X12)."""
        first, days = iris_fields.period(call, self._clock.today())
        return json_reply(200, [self._row(booking) for booking in listed(self._world, first, days)])

    def _row(self, booking: Booking) -> dict[str, str]:
        """What was booked, which a scenario may have changed; a row of somebody else's has no payout behind it."""
        payout = self._payouts.get(booking.partner_reference)
        kind, side = STATEMENT_KINDS[booking.kind]
        bank = payout.asked.bank if payout is not None else GOPAY
        return {
            "reference_no": booking.partner_reference.replace("-", ""),
            "beneficiary_name": payout.asked.beneficiary_name if payout is not None else "",
            "beneficiary_account": "0" + booking.account.removeprefix("+62") if bank == GOPAY else booking.account,
            "account": NAMES[bank],
            "type": kind,
            "amount": f"{booking.amount_rupiah}.00",
            "status": side,
            "created_at": utc(booking.booked_at),
            "notes": payout.asked.notes if payout is not None else booking.reference,
        }

    async def _banks(self, call: Call) -> Reply:
        return json_reply(200, {"beneficiary_banks": [{"code": code, "name": name} for code, name in NAMES.items()]})

    async def _facilitators_only(self, call: Call) -> Reply:
        """Calls of merchants who pay from bank accounts of their own, which this one is not."""
        raise IrisRefusal(401, FORBIDDEN, FORBIDDEN)

    async def _channels(self, call: Call) -> Reply:
        channel = {"id": 1, "virtual_account_type": "mandiri_bill_key", "virtual_account_number": "991385480006"}
        return json_reply(200, [channel])

    async def _validate_account(self, call: Call) -> Reply:
        """The name behind a number, also of a blocked account (with bank=gopay: assumed)."""
        asked = call.query_values()
        bank, number = asked.get("bank", ""), asked.get("account", "")
        request_id = f"{self._world.rng.getrandbits(64):016x}"
        problems: dict[str, list[str]] = {}
        if bank not in NAMES:
            problems["bank"] = ["Bank is not included in the list"]
        found = customer(self._world, bank, number)
        if found is None:
            problems["account"] = ["Account does not exist"]
        if problems or found is None:
            return json_reply(400, {"id": request_id, "error_message": VALIDATING, "errors": problems})
        details = {"id": request_id, "account_name": found.holder_name, "account_no": number, "bank_name": bank}
        return json_reply(200, details)

    async def _list_beneficiaries(self, call: Call) -> Reply:
        return json_reply(200, list(self._book.by_alias.values()))

    async def _create_beneficiary(self, call: Call) -> Reply:
        entry = iris_fields.beneficiary(iris_fields.read(call))
        twins = {(other["bank"], normal_phone(other["account"])) for other in self._book.by_alias.values()}
        if entry["alias_name"] in self._book.by_alias or (entry["bank"], normal_phone(entry["account"])) in twins:
            raise IrisRefusal(400, "An error occurred when creating beneficiary", ("Account has already been taken",))
        self._book.by_alias[entry["alias_name"]] = entry
        return json_reply(201, {"status": "created"})

    async def _update_beneficiary(self, call: Call) -> Reply:
        alias = call.params["alias"]
        if alias not in self._book.by_alias:
            raise IrisRefusal(404, "Beneficiary not found")
        entry = iris_fields.beneficiary(iris_fields.read(call))
        del self._book.by_alias[alias]
        self._book.by_alias[entry["alias_name"]] = entry
        return json_reply(200, {"status": "updated"})


def no_such_payout_path(_path: str, status: int) -> Reply:
    """An unknown path of the Iris host, in its envelope (assumed)."""
    return json_reply(status, {"error_message": "Not Found", "errors": []})


def _guarded(keys: tuple[str, ...], handler: IrisHandler) -> Handler:
    """Checks the key, then the headers, then asks the handler; refusals become Iris' envelope."""

    async def admitted(call: Call) -> Reply:
        try:
            if not any(basic_ok(call, key) for key in keys):
                message = FORBIDDEN if any(basic_ok(call, key) for key in EITHER) else DENIED
                raise IrisRefusal(401, message, message)
            iris_fields.check_headers(call)
            return await handler(call)
        except IrisRefusal as refusal:
            return json_reply(refusal.status, {"error_message": refusal.message, "errors": refusal.errors})

    return admitted
