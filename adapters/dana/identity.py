"""DANA's profile query: whose account a token is of, and whether the NIK there is ours (decisions D7-D9, X10)."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters import accounts, answers, rsa
from adapters.dana.wire import DanaSigned
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.linking import LinkHealth
from contracts.partner import Context
from contracts.plan import Response
from contracts.secret import Secret

DONE, BLOCKED = ("S", "SUCCESS"), ("F", "USER_STATUS_ABNORMAL")
HINTS: dict[tuple[str, str], Hint] = {
    ("F", "ACCESS_TOKEN_INVALID"): Hint.CUSTOMER_TOKEN,
    **{("F", code): Hint.CREDENTIALS for code in ("RESOURCE_NOT_DEFINED", "INVALID_SIGNATURE", "AUTHENTICATION_FAIL")},
}
"""`resultStatus` and `resultCode` (D7: SUCCESS and RESOURCE_NOT_DEFINED seen, the rest assumed)."""

KYC: dict[str, Verdict | None] = {
    "KYC_VERIFIED": None,
    "KYC_NOT_VERIFIED": Verdict.KYC_INCOMPLETE,
    "KYC_IN_REVIEW": Verdict.PENDING,
}
"""`USER_KYC` (D7, values assumed); None: the number decides."""


def verdict(ctx: Context, query: IdentityQuery, reply: Response) -> IdentityAnswer:
    """Whether the NIK is the one on the declared account; what DANA tells of the holder ends here."""
    code, told = _told(ctx, reply)
    if code == BLOCKED:
        return IdentityAnswer(verdict=Verdict.ACCOUNT_BLOCKED, partner_code=code[1])
    if _holder(told) != query.account:
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=code[1])
    status = answers.written(told.get("USER_KYC")).upper()
    if status not in KYC:
        raise PartnerProtocolError("resource USER_KYC is missing or has an unlisted value")
    if (running := KYC[status]) is not None:
        return IdentityAnswer(verdict=running, partner_code=status)
    same = accounts.same_nik(query.nik, told.get("KTP_NUMBER"), "resource KTP_NUMBER")
    return IdentityAnswer(verdict=Verdict.MATCH if same else Verdict.MISMATCH, partner_code=status)


def health(ctx: Context, account: Secret, reply: Response) -> LinkHealth:
    """Whether the link stands. A customer who has another number by now is no longer to be reached at the declared
    one: that account is closed to us, whoever has the number.
    """
    try:
        code, told = _told(ctx, reply)
    except PartnerUnavailable as refused:
        if refused.hint is not Hint.CUSTOMER_TOKEN:
            raise
        return LinkHealth.REVOKED
    return LinkHealth.ACTIVE if code == DONE and _holder(told) == account else LinkHealth.BLOCKED


def _holder(told: dict[str, Any]) -> Secret:
    """The account of whoever gave access, of which only the digits count (decision D8)."""
    account = accounts.mobile(answers.written(told.get("LOGIN_ID")))
    if account is None:
        raise PartnerProtocolError("resource LOGIN_ID is missing or no whole mobile number")
    return account


def _told(ctx: Context, reply: Response) -> tuple[tuple[str, str], dict[str, Any]]:
    """What DANA said, and of a success its resources by type; raises where it could not or would not tell."""
    if reply.status != 200:
        raise answers.no_answer(reply, "no profile", Hint.CREDENTIALS)
    answers.json_object(reply, Hint.CREDENTIALS)
    try:
        signed = msgspec.json.decode(reply.content.removeprefix(b"\xef\xbb\xbf"), type=DanaSigned)
        text = bytes(signed.response).decode()
    except ValueError:
        raise answers.no_answer(reply, "no signed answer", Hint.CREDENTIALS) from None
    if not rsa.valid(ctx.credential("dana_public_key_pem"), text, signed.signature):
        raise PartnerProtocolError("an answer that DANA did not sign")
    response = answers.decoded(text.encode())
    head = answers.at(response, "head")
    if (request := answers.at(head, "reqMsgId")) not in (None, "", ctx.external_id(0)):
        raise PartnerProtocolError("field head.reqMsgId is not ours")
    now = request or answers.of_now(answers.said_at(answers.at(head, "respTime")) or ctx.now, ctx.now)
    if not now or answers.at(head, "clientId") not in (None, "", ctx.credential("client_id")):
        raise PartnerProtocolError("an answer to another merchant, or of another time and to no request")
    body = answers.at(response, "body")
    said = (answers.at(body, "resultInfo", name) for name in ("resultStatus", "resultCode"))
    status, result = (answers.written(word).upper() for word in said)
    if (code := (status, result)) not in (DONE, BLOCKED):
        plain = answers.plain(result)
        raise answers.unavailable(reply, f"resultCode {plain}", HINTS.get(code, Hint.NONE), plain)
    rows = answers.at(body, "userResourceInfos") if code == DONE else None
    return code, answers.unambiguous(
        (answers.written(answers.at(row, "resourceType")), answers.at(row, "value"))
        for row in (answers.items(rows, "userResourceInfos") if rows else ())
    )
