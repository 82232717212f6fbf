"""What a call is for, in one word at every partner: `payout` is BNI's transfer-intrabank and LinkAja's cashin/confirm.

The paths are those of snap-bni.md 2.2-2.4 and wallets.md 2.3-2.7, 3.1-3.6, 4.2, 4.5, 4.7. `charge` takes money from a
customer, `deposit` tells where to fill the programme's account.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

ROLES: dict[str, tuple[str, ...]] = {
    "token": ("access-token/b2b", "v1/oauth/create", "v1/oauth/refresh", "api/oauth/token"),
    "customer-token": ("access-token/b2b2c", "verify/sessionid"),
    "sdk-token": ("gopay-id/token",),
    "lookup": ("account/lookup",),
    "link": ("registration-account-binding", "get-auth-code", "POST v2/pay/account", "custbind/authorize"),
    "link-status": ("registration-account-inquiry", "GET v2/pay/account/*"),
    "otp": ("v1.0/otp", "otp-verification"),
    "unlink": ("registration-account-unbinding", "pay/account/*/unbind"),
    "page": ("{page_id}", "redirect/*/link", "app/error"),
    "inquiry": (
        "account-inquiry-internal", "account-inquiry-external", "emoney/account-inquiry", "cashin/inquiry",
        "account_validation", "getinhouseinquiry", "getinterbankinquiry",
    ),
    "verify": ("account-kyc-verification", "v2.0/emoney/account-inquiry", "verify/kyc", "submissions/current"),
    "payout-create": ("POST iris/api/v1/payouts",),
    "payout": (
        "transfer-intrabank", "transfer-interbank", "transfer-rtgs", "transfer-skn", "payouts/approve", "emoney/topup",
        "cashin/confirm", "dopayment", "getinterbankpayment",
    ),
    "payout-reject": ("payouts/reject",),
    "status": ("transfer/status", "GET iris/api/v1/payouts/*", "topup-status", "cashin/check", "getpaymentstatus"),
    "statement": ("bank-statement", "v1/statements", "account/history", "cashin/report"),
    "balance": ("balance-inquiry", "v1/balance", "account/balance", "getbalance"),
    "deposit": ("v1/channels", "v1/bank_accounts", "bank_accounts/*/balance"),
    "banks": ("beneficiary_banks",),
    "beneficiaries": ("v1/beneficiaries", "beneficiaries/*"),
    "ping": ("v1/ping",),
    "charge": ("pos",),
}  # fmt: skip
"""A word of its own or the end of a path, with the method before it where that matters."""
_PARAMETER = re.compile(r"\{(\w+):\w+\}")


@cache
def concerns(wanted: str, operation: str) -> bool:
    """Whether a rule's word means an operation such as `POST /v1/payouts/{number:str}`."""
    method, _, path = operation.partition(" ")
    path = _PARAMETER.sub(r"{\1}", path)
    return any(_is_end(end, method, path) for end in ROLES.get(wanted, (wanted,)))


def roles_of(operation: str) -> list[str]:
    """The words for an operation."""
    return [role for role in ROLES if concerns(role, operation)]


def unmatched(wanted: Iterable[str], operations: Iterable[str]) -> list[str]:
    """Which of a rule's words mean none of a partner's operations."""
    known = tuple(operations)
    return [word for word in wanted if not any(concerns(word, operation) for operation in known)]


def _is_end(end: str, method: str, path: str) -> bool:
    """`end` equals the path or what follows one of its slashes; `*` stands for one part of it."""
    if " " in end:
        wanted_method, _, end = end.partition(" ")
        if wanted_method.upper() != method:
            return False
    wanted, given = end.strip("/").split("/"), path.strip("/").split("/")
    if len(wanted) > len(given):
        return False
    return all(one in ("*", other) for one, other in zip(reversed(wanted), reversed(given), strict=False))
