"""What a call is for, in one word at every partner: `payout` is BNI's transfer-intrabank and LinkAja's cashin/confirm.

The paths are those of snap-bni.md 2.3, 2.4 and wallets.md 2.3-2.6, 3.1, 4.2, 4.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

ROLES: dict[str, tuple[str, ...]] = {
    "token": ("access-token/b2b", "v1/oauth/create", "v1/oauth/refresh", "api/oauth/token"),
    "customer-token": ("access-token/b2b2c",),
    "link": ("registration-account-binding", "get-auth-code"),
    "link-status": ("registration-account-inquiry",),
    "otp": ("v1.0/otp", "otp-verification"),
    "unlink": ("registration-account-unbinding",),
    "page": ("{page_id}",),
    "inquiry": ("account-inquiry-internal", "emoney/account-inquiry", "cashin/inquiry", "account_validation"),
    "verify": ("account-kyc-verification", "emoney/account-inquiry", "custbind/verify/kyc", "submissions/current"),
    "payout-create": ("POST iris/api/v1/payouts",),
    "payout": ("transfer-intrabank", "payouts/approve", "emoney/topup", "cashin/confirm"),
    "status": ("transfer/status", "GET iris/api/v1/payouts/*", "emoney/topup-status", "cashin/check"),
    "statement": ("bank-statement", "v1/statements", "account/history", "cashin/report"),
    "balance": ("balance-inquiry", "v1/balance", "account/balance"),
}
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
