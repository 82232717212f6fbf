"""When a crowd of equal refusals is about the partner and not about each person: pure functions with fixed limits.

What one partner says at one stage is weighed: `weigh` looks for too many refusals among the last answers. Limits come
from priors of how refusal rates differ between batches, which are never learned: a fault must not become what is
normal. All figures are *assumed*.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import exp, lgamma
from typing import NamedTuple

from contracts.incentive import BlockerCode


class Table(enum.Enum):
    """How refusals are spread over batches, by what is known about the accounts: a prior for `weigh`."""

    KNOWN = "known"
    """Accounts of which the partner said something good within 30 days: 0.3 % refused on average, 2 % at worst."""
    USUAL = "usual"
    """New people: 7 %, in clusters of up to 37 %."""
    HIGH = "high"
    """New people where many are refused: 30 %, up to 66 %."""


class Level(enum.IntEnum):
    """What the last answers give reason for."""

    CALM = 0
    SUSPICION = 1
    """The work goes on; nothing that is hard to undo follows from a refusal meanwhile."""
    HOLD = 2
    """The stage is held at once."""


class Prior(NamedTuple):
    """Beta(a, b) over batches' rates, and how unlikely a count must be for each level."""

    a: float
    b: float
    suspicion: float
    hold: float


PRIORS = {
    Table.KNOWN: Prior(0.5, 166.0, 1e-3, 1e-5),
    Table.USUAL: Prior(0.6, 8.0, 1e-2, 1e-4),
    Table.HIGH: Prior(3.0, 7.0, 1e-2, 1e-4),
}
WINDOWS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
"""How many of the last answers are looked at, one count after the other."""
RING = WINDOWS[-1]
"""How many answers of a stream are kept."""
RING_LIFE_S = 6 * 3_600.0
ONCE_S = 86_400.0
"""An account counts once in a stage within this time."""
GOOD_FOR_S = 30 * 86_400.0
"""How long a good word makes an account known good."""

LOOKS_S = (1_800.0, 86_400.0, 7 * 86_400.0, 30 * 86_400.0)
"""How long after a refusal the partner is asked once more, look by look: whoever was refused by a slip that was too
small for a crowd is not refused for good. An installation may shorten the first two."""
OF_A_PERSON = frozenset(
    {
        BlockerCode.NIK_MISMATCH,
        BlockerCode.KYC_INCOMPLETE,
        BlockerCode.ACCOUNT_NOT_FOUND,
        BlockerCode.ACCOUNT_BLOCKED,
        BlockerCode.ACCOUNT_UNPROVED,
        BlockerCode.PARTNER_REJECTED,
        BlockerCode.LINK_REVOKED,
    }
)
"""What is weighed: words that blame an account or the person behind it. Limits heal with time; our deposit is ours."""
HARD_LOOK = 1
"""Which of `LOOKS_S` must have passed since a refusal was said first, with the partner still saying so, before anything
follows that is hard to undo: a grant deleted, an account given back or let go to another."""


def next_look(now: datetime, looks: int, looks_s: Sequence[float], last_at: datetime) -> datetime | None:
    """When a refusal is asked about again, after it was `looks` times; once more at `last_at` at the latest, None after
    that.
    """
    at = now + timedelta(seconds=looks_s[looks]) if looks < len(looks_s) else None
    if now < last_at:
        return last_at if at is None else min(at, last_at)
    return at if at is not None and at < last_at + timedelta(days=1) else None


def tails(n: int, a: float, b: float) -> list[float]:
    """P(X >= c) for c from 0 to n and X beta-binomial(n, a, b)."""

    def beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    whole = lgamma(n + 1) - beta(a, b)
    found, more = [], 0.0
    for k in range(n, -1, -1):
        more += exp(whole - lgamma(k + 1) - lgamma(n - k + 1) + beta(k + a, n - k + b))
        found.append(more)
    return found[::-1]


@functools.cache
def limits(table: Table) -> Mapping[int, tuple[int | None, int | None]]:
    """By window: the fewest refusals for a suspicion, and for a hold; None where no count is unlikely enough."""
    prior = PRIORS[table]

    def fewest(at_least: Sequence[float], alpha: float) -> int | None:
        return next((c for c in range(1, len(at_least)) if at_least[c] <= alpha), None)

    found = {n: tails(n, prior.a, prior.b) for n in WINDOWS}
    return {n: (fewest(one, prior.suspicion), fewest(one, prior.hold)) for n, one in found.items()}


def weigh(refused: Sequence[bool], table: Table) -> Level:
    """The level that a stream's last answers give, the newest last; looked at when a refusal comes."""
    level, count, at = Level.CALM, 0, 0
    for n, (suspicion, hold) in limits(table).items():
        if n > len(refused):
            break
        count += sum(refused[-n : len(refused) - at] if at else refused[-n:])
        at = n
        if hold is not None and count >= hold:
            return Level.HOLD
        if suspicion is not None and count >= suspicion:
            level = Level.SUSPICION
    return level
