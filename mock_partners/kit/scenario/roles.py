"""What a call is for, in one word at every partner: `payout` is BNI's transfer-intrabank and LinkAja's cashin/confirm.

Each partner's `scenario.toml` has its own; the paths are those of snap-bni.md 2.2-2.4 and wallets.md 2.3-2.7, 3.1-3.6,
4.2, 4.5, 4.7. `charge` takes money from a customer, `deposit` tells where to fill the programme's account.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources

from mock_partners.registry import PARTNERS

WORDS = (
    "token", "customer-token", "sdk-token", "lookup", "link", "link-status", "otp", "unlink", "page", "inquiry",
    "verify", "payout-create", "payout", "payout-reject", "status", "statement", "balance", "deposit", "banks",
    "beneficiaries", "ping", "charge",
)  # fmt: skip
"""The words, in the order in which they are listed."""


def _told(partner: str, table: str) -> dict[str, tuple[str, ...]]:
    """One table of a partner's own `scenario.toml`."""
    text = resources.files("mock_partners").joinpath(partner, "scenario.toml").read_text("utf-8")
    return {name: tuple(ends) for name, ends in tomllib.loads(text)[table].items()}


def _united() -> dict[str, tuple[str, ...]]:
    told = [_told(partner, "words") for partner in PARTNERS]
    for partner, words in zip(PARTNERS, told, strict=True):
        if strange := words.keys() - set(WORDS):
            raise ValueError(
                f"mock_partners/{partner}/scenario.toml, [words]: {', '.join(sorted(strange))} is no word of a"
                f" scenario; there are {', '.join(WORDS)}"
            )
    return {word: tuple(dict.fromkeys(end for words in told for end in words.get(word, ()))) for word in WORDS}


ROLES: dict[str, tuple[str, ...]] = _united()
"""A word and the ends of the paths that it means, of all partners."""
REACH: dict[str, dict[str, tuple[str, ...]]] = {partner: _told(partner, "reach") for partner in PARTNERS}
"""Of each partner, what a scenario can change there and at which of its operations; `*` is any call."""
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
    """`end` equals the path or what follows one of its slashes; one that begins with a slash is the whole path. `*`
    stands for one part of it.
    """
    if " " in end:
        wanted_method, _, end = end.partition(" ")
        if wanted_method.upper() != method:
            return False
    wanted, given = end.strip("/").split("/"), path.strip("/").split("/")
    if len(wanted) > len(given) or (end.startswith("/") and len(wanted) < len(given)):
        return False
    return all(one in ("*", other) for one, other in zip(reversed(wanted), reversed(given), strict=False))
