"""LinkAja's payout, legacy cash-in (wallets.md 4.7): inquiry, confirm, check, and the day's report."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date
from typing import Any

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Abort, Call, Reply, json_reply
from mock_partners.kit.payouts import Answer, Duplicate, Payout, Payouts, State
from mock_partners.kit.snap.signatures import parse_timestamp
from mock_partners.kit.snap.tokens import Tokens
from mock_partners.kit.statements import listed, page
from mock_partners.kit.world import BALANCE_CAP_RUPIAH, MONTHLY_CAP_RUPIAH, Account, Booking, Kind, World
from mock_partners.linkaja.legacy import Refused, text_of

SESSION_LIFE_S = 300.0
REFERENCE = ".{1,64}"
REFUSALS = frozenset({"14", "15", "51", "62"})
"""Codes of a confirm that make its `check` say FAILED; after 30, 40 and 94 nothing was asked of this reference."""
STATUS = {
    State.BOOKED: "COMPLETED",
    State.REVERSED: "COMPLETED",
    State.PENDING: "PENDING",
    State.FAILED: "FAILED",
}
"""`check` of a reversed cash-in goes on saying COMPLETED; only the report shows the reversal (assumed)."""
ROW_TYPE = {Kind.CREDIT: "CASHIN", Kind.REVERSAL: "REVERSAL", Kind.FEE: "FEE", Kind.OTHER: "ADJUSTMENT"}


@dataclass(frozen=True, repr=False)
class Session:
    """What an inquiry promised a confirm for."""

    account: Account
    amount_rupiah: int
    reference: str
    expires_s: float


@dataclass(repr=False)
class Desk:
    """Sessions, and the references whose confirm was received and refused (decisions L5)."""

    sessions: dict[str, Session] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


@dataclass(frozen=True, repr=False)
class Request:
    """The fields that inquiry and confirm share."""

    account: Account
    amount_rupiah: int
    reference: str


def msisdn(account: Account) -> str:
    """The phone as LinkAja prints it: 62812..."""
    return account.phone.removeprefix("+")


class CashIn:
    """The handlers of `/v1/cashin`; payouts and desk are kept in the world."""

    def __init__(
        self, world: World, clock: Clock, payouts: Payouts, customers: Tokens
    ) -> None:  # fmt: skip
        self._world, self._clock, self._payouts, self._customers = world, clock, payouts, customers
        self._desk = world.keep("cashin", Desk)

    def account_of(self, token: str) -> Account:
        """Whose customer token it is (decisions L1), or code 14."""
        known = self._customers.find(token)
        if known is None or known.expires_s <= self._clock.seconds():
            raise Refused("14", "Customer Not Found")
        account: Account = known.subject.account
        return account

    async def inquire(self, _call: Call, body: dict[str, Any]) -> Reply:
        """POST /v1/cashin/inquiry: who would be paid, and a session to confirm it with; nothing moves."""
        asked = self._read(body)
        self._check(asked)
        session_id = self._open(asked)
        account = asked.account
        room = min(
            BALANCE_CAP_RUPIAH[account.kyc] - account.balance_rupiah,
            MONTHLY_CAP_RUPIAH[account.kyc] - account.monthly_in_rupiah,
        )
        told = {
            "responseCode": "00", "responseMessage": "Success", "custName": account.holder_name.upper(),
            "msisdn": msisdn(account), "amount": str(asked.amount_rupiah), "cashInLimit": str(room),
            "merchantTrxID": asked.reference, "sessionID": session_id,
        }  # fmt: skip
        return json_reply(200, told)

    async def confirm(self, _call: Call, body: dict[str, Any]) -> Reply:
        """POST /v1/cashin/confirm: moves the money of a session; repeated references as decisions L6 say."""
        session_id = text_of(body, "sessionID", REFERENCE)
        reference = text_of(body, "merchantTrxID", REFERENCE)
        try:
            asked = self._read(body)
            payout = self._repeated(asked, session_id)
            if payout is not None:
                return self._confirmed(payout)
            self._check_session(asked, session_id)
            self._check(asked)
            answer = await self._payouts.accept(
                reference, asked.account, asked.amount_rupiah, parameters=(asked.amount_rupiah, asked.account.account),
                partner_reference=f"LJ{self._world.number():010d}", details=session_id,
            )  # fmt: skip
            if answer is None:
                raise Refused("51", "Insufficient Partner Deposit")
        except Refused as refused:
            known = self._payouts.get(reference)
            if refused.code in REFUSALS and (known is None or known.state is State.VOID):
                self._desk.refused.add(reference)
            raise
        self._desk.refused.discard(reference)
        match answer:
            case Answer.LOST:
                raise Abort
            case Answer.TIMEOUT:
                raise Refused("89", "Timeout")
        payout = self._payouts.get(reference)
        assert payout is not None
        return self._confirmed(payout)

    def _repeated(self, asked: Request, session_id: str) -> Payout | None:
        """The payout to tell again; None for a new reference, code 94 for one that is somebody else's."""
        payout = self._payouts.get(asked.reference)
        match self._payouts.duplicate(asked.reference, (asked.amount_rupiah, asked.account.account)):
            case Duplicate.NEW:
                return None
            case Duplicate.PENDING:
                return payout
            case Duplicate.BOOKED if payout is not None and payout.details == session_id:
                return payout
        raise Refused("94", "Duplicate merchantTrxID")

    @staticmethod
    def _confirmed(payout: Payout) -> Reply:
        """The answer of record: a time-out that was answered first is not told again."""
        told = {"merchantTrxID": payout.reference}
        if payout.state is State.PENDING:
            return json_reply(200, {"data": {"responseCode": "26", "responseMessage": "In Process", **told}})
        done = {"responseCode": "00", "responseMessage": "Success", "linkRefNum": payout.partner_reference, **told}
        return json_reply(200, {"data": done})

    async def check(self, _call: Call, body: dict[str, Any]) -> Reply:
        """POST /v1/cashin/check: COMPLETED, PENDING, FAILED, or code 25 without a status (decisions L5)."""
        reference = text_of(body, "merchantTrxID", REFERENCE)
        payout = self._payouts.look_up(reference)
        if payout is not None:
            told = {"responseCode": "00", "status": STATUS[payout.state], "linkRefNum": payout.partner_reference}
        elif reference in self._desk.refused:
            told = {"responseCode": "00", "status": "FAILED"}
        else:
            told = {"responseCode": "25"}
        return json_reply(200, {"data": told})

    async def report(self, call: Call, _body: dict[str, Any]) -> Reply:
        """GET /v1/cashin/report: every booking of one Jakarta day, newest first (decisions L13, S4, X12)."""
        query = call.query_values()
        day_text = text_of(query, "date", "[0-9]{4}-[0-9]{2}-[0-9]{2}")
        number = int(text_of({"page": "1", **query}, "page", "[1-9][0-9]{0,5}"))
        try:
            day = date.fromisoformat(day_text)
        except ValueError:
            raise Refused("30", "Format Error: date") from None
        found = page(listed(self._world, day), number)
        data = {"rows": [_row(booking) for booking in found.rows], "page": number, "pages": found.pages}
        return json_reply(200, {"status": "00", "data": data})

    def _read(self, body: dict[str, Any]) -> Request:
        token = text_of(body, "token", ".{1,2048}")
        amount = int(text_of(body, "amount", "[0-9]{10}00")) // 100
        reference = text_of(body, "merchantTrxID", REFERENCE)
        if parse_timestamp(text_of(body, "trxDate", ".{1,35}")) is None:
            raise Refused("30", "Format Error: trxDate")
        if not amount:
            raise Refused("30", "Format Error: amount")
        return Request(self.account_of(token), amount, reference)

    def _check(self, asked: Request) -> None:
        """Blocked is 62, both ceilings are 15, at inquiry and at confirm (decisions L8)."""
        if not asked.account.active:
            raise Refused("62", "Account Blocked")
        if self._world.cap_hit(asked.account, asked.amount_rupiah, self._clock.now()) is not None:
            raise Refused("15", "Balance Limit Exceeded")

    def _open(self, asked: Request) -> str:
        now_s = self._clock.seconds()
        sessions = self._desk.sessions
        while sessions:
            oldest = next(iter(sessions))
            if sessions[oldest].expires_s > now_s:
                break
            del sessions[oldest]
        session_id = f"PD5I{self._world.rng.getrandbits(64):016x}"
        sessions[session_id] = Session(asked.account, asked.amount_rupiah, asked.reference, now_s + SESSION_LIFE_S)
        return session_id

    def _check_session(self, asked: Request, session_id: str) -> None:
        session = self._desk.sessions.get(session_id)
        if session is None or session.expires_s <= self._clock.seconds():
            raise Refused("40", "Session Expired")
        if (session.account, session.amount_rupiah, session.reference) != (
            asked.account, asked.amount_rupiah, asked.reference,
        ):  # fmt: skip
            raise Refused("40", "Session Of Another Request")


def _row(booking: Booking) -> dict[str, str]:
    return {
        "merchantTrxID": booking.reference,
        "linkRefNum": booking.partner_reference,
        "msisdn": booking.account.removeprefix("+"),
        "amount": str(booking.amount_rupiah),
        "type": ROW_TYPE[booking.kind],
        "trxDate": booking.booked_at.astimezone(UTC).isoformat(timespec="seconds"),
    }
