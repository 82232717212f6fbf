"""LinkAja's JSON, field for field (wallets.md 4, 12.5): request bodies as integrators' code has them, and the partner
API's one kind of answer.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

import msgspec

from adapters import accounts, answers
from contracts.errors import Hint, PartnerProtocolError
from contracts.identity import IdentityQuery
from contracts.linking import LinkFinish, LinkStart
from contracts.partner import AccessToken, Context
from contracts.payout import PayoutOrder
from contracts.plan import Response
from contracts.secret import Masked, Secret

_CODE = re.compile(r"[0-9]{2,3}", re.ASCII)
_MAX_RUPIAH = 9_999_999_999

TOKEN = {"grantType": "client_credentials"}


def auth_code(finish: LinkFinish) -> object:
    """Exchanges an authCode (4.5)."""
    return {"grantType": "AUTHORIZATION_CODE", "authCode": finish.code}


def refresh_grant(token: Secret) -> object:
    """Asks for a fresh customer token (decisions L14)."""
    return {"grantType": "REFRESH_TOKEN", "refreshToken": token}


def tokens(held: AccessToken) -> object:
    """Refreshes our legacy token (4.2)."""
    return {"accessToken": held.value, "refreshToken": held.refresh}


def binding(ctx: Context, start: LinkStart) -> object:
    """Begins a link (4.5, V15)."""
    return {
        "merchantId": ctx.credential("merchant_id"),
        "msisdn": accounts.msisdn(start.account),
        "additionalInfo": {
            "partnerRedirectUrl": start.redirect_uri,
            "state": start.state,
            "scope": "DIRECT_DEBIT_TRANSACTION",
        },
    }


def unbinding(ctx: Context) -> object:
    """Gives a link back: SNAP's mandatory field (assumed, decisions L12)."""
    return {"merchantId": ctx.credential("merchant_id")}


def kyc(query: IdentityQuery) -> object:
    """The NIK check (assumed, decisions L3)."""
    return {"token": query.grant.access_token, "nik": query.nik}


def frozen(order: PayoutOrder) -> dict[str, object]:
    """What of every confirm of this payout never changes: neither the customer's token, which may be refreshed in
    between, nor the session. The date is the payout's, not the attempt's (4.7).
    """
    return {
        "amount": padded_amount(order.amount_rupiah),
        "merchantTrxID": order.reference,
        "trxDate": order.created_at.astimezone(UTC).isoformat(timespec="seconds"),
    }


def inquiry(order: PayoutOrder, token: Secret) -> dict[str, object]:
    """Opens a session (4.7)."""
    return {"token": token, **frozen(order)}


def confirm(order: PayoutOrder, token: Secret, session: str) -> object:
    """The inquiry's body, and its session (4.7)."""
    return {**inquiry(order, token), "sessionID": session}


def check(order: PayoutOrder) -> object:
    """Looks one cash-in up (4.7)."""
    return {"merchantTrxID": order.reference}


def padded_amount(amount_rupiah: int) -> str:
    """`50000` as `000005000000`: ten digits of rupiah and two of a fraction (wallets.md 4.7)."""
    if not 0 < amount_rupiah <= _MAX_RUPIAH:
        raise ValueError("a cash-in is 1 to 9,999,999,999 rupiah")
    return f"{amount_rupiah:010d}00"


class LinkAjaReportRow(Masked, frozen=True, rename="camel"):
    """One booking of the day's report (assumed, decisions S4)."""

    amount: Any
    type: Any
    trx_date: Any
    merchant_trx_id: Any = msgspec.field(name="merchantTrxID", default=None)
    link_ref_num: Any = None
    msisdn: Any = None


class LinkAjaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the partner API: its one code, and the fields of `data`, or of the top level where there is none."""

    code: str
    fields: dict[str, Any]

    def __repr__(self) -> str:
        return f"LinkAjaAnswer({self.code})"

    def text(self, name: str) -> str:
        """A string that is needed."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise PartnerProtocolError(f"field {name} is missing or not a string")
        return value

    def evidence(self, name: str) -> str | None:
        """A text or a number that may be missing, and is compared where it is there."""
        value = self.fields.get(name)
        if value in (None, ""):
            return None
        if not (text := answers.written(value)):
            raise PartnerProtocolError(f"field {name} is neither a text nor a number")
        return text


def answer(reply: Response, our_token: Hint = Hint.OUR_TOKEN) -> LinkAjaAnswer:
    """The answer of the partner API, wherever its parts stand (wallets.md 4.8; decisions L4).

    The code is `responseCode`, or the top level's two- or three-digit `status` (below `data`, `status` is the
    cash-in's own). Two codes that differ are no answer.
    """
    body = answers.json_object(reply, our_token)
    data = body.get("data")
    fields = body if data is None else data
    if not isinstance(fields, dict):
        raise answers.no_answer(reply, "field data is not an object", our_token)
    said = [answers.digits(part["responseCode"], 2) for part in (body, fields) if "responseCode" in part]
    status = answers.digits(body.get("status"), 2)
    http = type(body.get("status")) is int and len(status) > 2  # some write HTTP's own there, as a number
    if _CODE.fullmatch(status) is not None and not (http and said):
        said.append(status)
    if not said or any(code != said[0] for code in said):
        raise answers.no_answer(reply, "without one code", our_token)
    if _CODE.fullmatch(said[0]) is None:
        raise answers.no_answer(reply, "without a code of digits", our_token)
    return LinkAjaAnswer(code=said[0], fields=fields)
