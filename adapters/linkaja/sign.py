"""LinkAja's endpoints: SNAP below /bi (wallets.md 4.4), elsewhere its older partner API under the gateway's own hmac
scheme (wallets.md 4.2), whose answers carry no service code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from adapters.snap.calls import PAYOUT_S, READ, TOKEN_S, WRITE, Bearer, Call, Side, encode, token_call
from contracts.partner import Context
from contracts.plan import Request
from contracts.secret import Secret

SNAP = Side(host="gateway")

TOKEN = token_call("token.snap", READ, "/bi/v1.0/access-token/b2b", "73")
BIND = Call("link.begin", READ, "/bi/v1.0/registration-account-binding", "07")  # a second one opens another page
EXCHANGE = token_call("link.exchange", WRITE, "/bi/v1.0/access-token/b2b2c", "74")  # a code works once
REFRESH = token_call("link.refresh", READ, "/bi/v1.0/access-token/b2b2c", "74")  # decisions L14
UNBIND = Call("unlink", WRITE, "/bi/v1.0/registration-account-unbinding", "09")  # decisions L12

CREATE_TOKEN = Call(
    "token.legacy", READ, "/v1/oauth/create", method="GET", bearer=Bearer.NONE, timeout_s=TOKEN_S
)  # 4.2
REFRESH_TOKEN = Call("token.legacy.refresh", READ, "/v1/oauth/refresh", bearer=Bearer.GIVEN, timeout_s=TOKEN_S)  # 4.2
KYC = Call("identity.verify", READ, "/v1/custbind/verify/kyc")  # assumed: decisions L3
INQUIRY = Call("payout.inquiry", READ, "/v1/cashin/inquiry")  # opens a session: 4.7
CONFIRM = Call("payout.transfer", WRITE, "/v1/cashin/confirm", timeout_s=PAYOUT_S)  # moves the money: 4.7
CHECK = Call("payout.status", READ, "/v1/cashin/check")  # 4.7
REPORT = Call("statement", READ, "/v1/cashin/report", method="GET")  # decisions L13, S4

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(now: datetime) -> str:
    """`Fri, 02 Jan 2026 03:04:05 UTC` (wallets.md 4.2), whatever the machine's language."""
    at = now.astimezone(UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} {at:%H:%M:%S} UTC"


def digest(content: bytes) -> str:
    """`SHA-256=` and base64 of the bytes sent; of nothing for a GET."""
    return f"SHA-256={base64.b64encode(hashlib.sha256(content).digest()).decode()}"


def hmac_signature(secret: str, *, method: str, target: str, at: str, body_digest: str) -> str:
    """Base64 of HMAC-SHA256 over date, request line and digest; the request line has the query (decisions L10)."""
    text = f"date: {at}\n{method} {target} HTTP/1.1\ndigest: {body_digest}"
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


def ask(
    ctx: Context,
    call: Call,
    body: object = None,
    *,
    query: str = "",
    bearer: Secret | None = None,
    frozen: bytes | None = None,
) -> Request:
    """A call to the partner API under our `Access-Token`; only creating one goes without (wallets.md 4.2)."""
    target = call.target + query
    content = b"" if body is None else encode(body)
    at, body_digest = http_date(ctx.now), digest(content)
    signature = hmac_signature(
        ctx.credential("hmac_secret"), method=call.method, target=target, at=at, body_digest=body_digest
    )
    headers = {
        "Content-Type": "application/json",
        "Date": at,
        "Digest": body_digest,
        "Authorization": (
            f'hmac username="{ctx.credential("hmac_username")}", algorithm="hmac-sha256", '
            f'headers="date request-line digest", signature="{signature}"'
        ),
    }
    if call.bearer is not Bearer.NONE:
        headers["Access-Token"] = bearer.reveal() if bearer is not None else ctx.token("legacy")
    return call.request(SNAP.host, target, headers, content, frozen)
