"""LinkAja's JSON field for field, the bytes of each request body, and LinkAja's forms of phones, amounts and times
(wallets.md 4, 12.5).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from contracts.errors import PartnerProtocolError
from contracts.identity import IdentityQuery
from contracts.linking import LinkStart
from contracts.money import parse_decimal_string
from contracts.payout import PayoutOrder
from contracts.plan import Response
from contracts.secret import Secret

_E164 = re.compile(r"\+(628[0-9]{7,12})", re.ASCII)
_NUMBER = re.compile(r"(?:0|\+?62)(8[0-9]{7,12})", re.ASCII)
_CODE = re.compile(r"[0-9]{2,3}", re.ASCII)
_MAX_RUPIAH = 9_999_999_999


class LinkAjaMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One JSON object of LinkAja's; its repr shows no values."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class LinkAjaClientCredentials(LinkAjaMessage, frozen=True, kw_only=True):
    """B2B token request (SNAP)."""

    grant_type: str


class LinkAjaAuthCode(LinkAjaMessage, frozen=True, kw_only=True):
    """Customer token request after linking (service 74)."""

    grant_type: str
    auth_code: str


class LinkAjaRefreshGrant(LinkAjaMessage, frozen=True, kw_only=True):
    """Customer token request with a refresh token (service 74)."""

    grant_type: str
    refresh_token: str


class LinkAjaTokens(LinkAjaMessage, frozen=True, kw_only=True):
    """Request of /v1/oauth/refresh."""

    access_token: str
    refresh_token: str


class LinkAjaBindingInfo(LinkAjaMessage, frozen=True, kw_only=True):
    """`additionalInfo` of a binding (wallets.md 4.5)."""

    partner_redirect_url: str
    state: str
    scope: str


class LinkAjaBinding(LinkAjaMessage, frozen=True, kw_only=True):
    """Service 07."""

    merchant_id: str
    msisdn: str
    additional_info: LinkAjaBindingInfo


class LinkAjaUnbinding(LinkAjaMessage, frozen=True, kw_only=True):
    """Service 09, SNAP's mandatory field (assumed, decisions L12)."""

    merchant_id: str


class LinkAjaKyc(LinkAjaMessage, frozen=True, kw_only=True):
    """Request of /v1/custbind/verify/kyc (assumed, decisions L3)."""

    token: str
    nik: str


class LinkAjaCashIn(LinkAjaMessage, frozen=True, kw_only=True):
    """Request of /v1/cashin/inquiry."""

    token: str
    amount: str
    merchant_trx_id: str = msgspec.field(name="merchantTrxID")
    trx_date: str


class LinkAjaConfirm(LinkAjaMessage, frozen=True, kw_only=True):
    """Request of /v1/cashin/confirm."""

    token: str
    amount: str
    merchant_trx_id: str = msgspec.field(name="merchantTrxID")
    trx_date: str
    session_id: str = msgspec.field(name="sessionID")


class LinkAjaFrozen(LinkAjaMessage, frozen=True, kw_only=True):
    """What of a confirm stays the same over all attempts: neither the customer's token, which may be refreshed in
    between, nor the session.
    """

    amount: str
    merchant_trx_id: str = msgspec.field(name="merchantTrxID")
    trx_date: str


class LinkAjaCheck(LinkAjaMessage, frozen=True, kw_only=True):
    """Request of /v1/cashin/check."""

    merchant_trx_id: str = msgspec.field(name="merchantTrxID")


class LinkAjaReportRow(LinkAjaMessage, frozen=True, kw_only=True):
    """One booking of the day's report (assumed, decisions S4)."""

    merchant_trx_id: str | None = msgspec.field(name="merchantTrxID", default=None)
    link_ref_num: str | None = None
    msisdn: str | None = None
    amount: str
    type: str
    trx_date: str


class LinkAjaReport(LinkAjaMessage, frozen=True, kw_only=True):
    """`data` of a report page (assumed, decisions S4)."""

    rows: list[LinkAjaReportRow]
    page: int
    pages: int


class LinkAjaAnswer(LinkAjaMessage, frozen=True, kw_only=True):
    """An answer of the partner API: its one code, and the fields of `data`, or of the top level where there is none."""

    code: str
    fields: dict[str, Any]

    def text(self, name: str) -> str:
        """A string field; a missing or other-typed one is a `PartnerProtocolError`."""
        value = self.optional_text(name)
        if value is None:
            raise PartnerProtocolError(f"field {name} is missing")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string field, or None where it is missing, empty or null; any other type is a `PartnerProtocolError`."""
        value = self.fields.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise PartnerProtocolError(f"field {name} is not a string")
        return value


def answer(reply: Response) -> LinkAjaAnswer:
    """The answer of the partner API, wherever its parts stand (wallets.md 4.8; decisions L4).

    The code is `responseCode`, or the top level's two- or three-digit `status` (below `data`, `status` is the
    cash-in's own). Two codes that differ are no answer.
    """
    body = json_object(reply)
    data = body.get("data")
    if data is not None and not isinstance(data, dict):
        raise PartnerProtocolError("field data is not an object")
    fields = body if data is None else data
    said = [part["responseCode"] for part in (body, fields) if "responseCode" in part]
    status = body.get("status")
    if isinstance(status, str) and _CODE.fullmatch(status) is not None:
        said.append(status)
    if not said or any(not isinstance(code, str) or code != said[0] for code in said):
        raise PartnerProtocolError(f"HTTP {reply.status} without one code")
    if _CODE.fullmatch(said[0]) is None:
        raise PartnerProtocolError(f"HTTP {reply.status} without a code of digits")
    return LinkAjaAnswer(code=said[0], fields=fields)


def json_object(reply: Response) -> dict[str, Any]:
    """The body as a JSON object."""
    try:
        body = msgspec.json.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PartnerProtocolError(f"HTTP {reply.status} without JSON") from None
    if not isinstance(body, dict):
        raise PartnerProtocolError(f"HTTP {reply.status} without a JSON object")
    return body


def msisdn(account: Secret) -> str:
    """`+6281..` as `6281..` (wallets.md 6)."""
    found = _E164.fullmatch(account.reveal())
    if found is None:
        raise ValueError("a LinkAja account is an Indonesian mobile number in E.164")
    return found.group(1)


def account_of(number: str) -> Secret:
    """LinkAja's `6281..` (08.. and +62.. are taken too) in our form."""
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise PartnerProtocolError("field msisdn is not a mobile number")
    return Secret(f"+62{found.group(1)}")


def padded_amount(amount_rupiah: int) -> str:
    """`50000` as `000005000000`: ten digits of rupiah and two of a fraction (wallets.md 4.7)."""
    if not 0 < amount_rupiah <= _MAX_RUPIAH:
        raise ValueError("a cash-in is 1 to 9,999,999,999 rupiah")
    return f"{amount_rupiah:010d}00"


def trx_date(created_at: datetime) -> str:
    """`2026-01-02T03:04:05+00:00`, of the payout and not of the attempt (wallets.md 4.7)."""
    return created_at.astimezone(UTC).isoformat(timespec="seconds")


CLIENT_CREDENTIALS = msgspec.json.encode(LinkAjaClientCredentials(grant_type="client_credentials"))
"""Body of a B2B token request."""


def auth_code(code: Secret) -> bytes:
    """Body that exchanges an authCode (wallets.md 4.5)."""
    return msgspec.json.encode(LinkAjaAuthCode(grant_type="AUTHORIZATION_CODE", auth_code=code.reveal()))


def refresh_grant(refresh_token: Secret) -> bytes:
    """Body that asks for a fresh customer token (decisions L14)."""
    return msgspec.json.encode(LinkAjaRefreshGrant(grant_type="REFRESH_TOKEN", refresh_token=refresh_token.reveal()))


def tokens(access: Secret, refresh: Secret) -> bytes:
    """Body that refreshes our legacy token (wallets.md 4.2)."""
    return msgspec.json.encode(LinkAjaTokens(access_token=access.reveal(), refresh_token=refresh.reveal()))


def binding(start: LinkStart, merchant_id: str) -> bytes:
    """Body that begins a link (wallets.md 4.5, V15)."""
    return msgspec.json.encode(
        LinkAjaBinding(
            merchant_id=merchant_id,
            msisdn=msisdn(start.account),
            additional_info=LinkAjaBindingInfo(
                partner_redirect_url=start.redirect_uri, state=start.state, scope="DIRECT_DEBIT_TRANSACTION"
            ),
        )
    )


def unbinding(merchant_id: str) -> bytes:
    """Body that gives a link back."""
    return msgspec.json.encode(LinkAjaUnbinding(merchant_id=merchant_id))


def kyc(query: IdentityQuery) -> bytes:
    """Body of the NIK check."""
    return msgspec.json.encode(LinkAjaKyc(token=query.grant.access_token.reveal(), nik=query.nik.reveal()))


def inquiry(order: PayoutOrder, token: Secret) -> bytes:
    """Body of the inquiry that opens a session."""
    return msgspec.json.encode(
        LinkAjaCashIn(
            token=token.reveal(),
            amount=padded_amount(order.amount_rupiah),
            merchant_trx_id=order.reference,
            trx_date=trx_date(order.created_at),
        )
    )


def confirm(order: PayoutOrder, token: Secret, session: str) -> bytes:
    """Body of the confirm: the inquiry's, and its session."""
    return msgspec.json.encode(
        LinkAjaConfirm(
            token=token.reveal(),
            amount=padded_amount(order.amount_rupiah),
            merchant_trx_id=order.reference,
            trx_date=trx_date(order.created_at),
            session_id=session,
        )
    )


def frozen(order: PayoutOrder) -> bytes:
    """The part of every confirm of this payout that never changes."""
    return msgspec.json.encode(
        LinkAjaFrozen(
            amount=padded_amount(order.amount_rupiah),
            merchant_trx_id=order.reference,
            trx_date=trx_date(order.created_at),
        )
    )


def check(order: PayoutOrder) -> bytes:
    """Body of the look-up."""
    return msgspec.json.encode(LinkAjaCheck(merchant_trx_id=order.reference))


def rupiah_of(text: str) -> int:
    """Amounts come back as plain rupiah (wallets.md 4.7)."""
    try:
        return parse_decimal_string(text)
    except ValueError:
        raise PartnerProtocolError("field amount is not a whole amount of rupiah") from None


def report(said: LinkAjaAnswer) -> LinkAjaReport:
    """A page of the day's report."""
    try:
        return msgspec.convert(said.fields, LinkAjaReport)
    except msgspec.ValidationError:  # its text may quote the value
        raise PartnerProtocolError("field data of the report cannot be read") from None
