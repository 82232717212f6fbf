"""When a crowd of equal refusals is about the partner and not about each person: pure, and nothing is learned.

A refusal that would end something for a person is provisional until a second look agrees. What is said meanwhile by one
partner, at one stage, is weighed: `weigh` looks for too many refusals among the last answers, `Trial` settles by asking
about people known to be good (canaries) whether the partner or the people are the cause. Limits come from fixed priors
of how refusal rates differ between batches: a fault must not teach itself to be normal. All figures are *assumed*.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from math import exp, lgamma
from typing import NamedTuple

import msgspec


class Whom(enum.Enum):
    """Whom a partner's code speaks of."""

    PERSON = "person"
    OURS = "ours"
    """Our limit, account, deposit or credentials: it never blames a person."""
    AMBIGUOUS = "ambiguous"
    """One or the other: weighed like a word about a person, and told as either."""


class Table(enum.Enum):
    """How refusals are spread over batches, by what is known about the accounts: a prior for `weigh`."""

    KNOWN = "known"
    """Of whom this partner said something good within 30 days: 0.3 % refused on average, 2 % in the worst batches."""
    USUAL = "usual"
    """New people: 7 %, in clusters of up to 37 %."""
    HIGH = "high"
    """New people where many are refused: 30 %, up to 66 %."""


class Level(enum.IntEnum):
    """What the last answers give reason for."""

    CALM = 0
    SUSPICION = 1
    """Canaries are asked; no refusal becomes an end meanwhile; the work goes on."""
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
"""Of so many last answers each is looked at."""
RING = WINDOWS[-1]
"""So many answers of a stream are kept."""
RING_LIFE_S = 6 * 3_600.0
ONCE_S = 86_400.0
"""An account counts once in a stream within this time, and is a canary at most once."""
GOOD_FOR_S = 30 * 86_400.0
"""How long a good word makes an account known good."""
SECOND_LOOKS_S = (1_800.0, 7_200.0, 28_800.0, 86_400.0)
"""After the first word. One look is enough where the same stage gave a good answer lately; else all of them agree."""
GOOD_ANSWER_WITHIN_S = 600.0
"""How near the second look the stage must have given somebody a good answer."""
ASKED_AGAIN_DAYS = (1, 7, 30)
"""After an end, while the person's money still waits."""
CANARIES_AT_ONCE = 3
CANARY_EVERY_S = 3.0
CANARY_AFTER_BAD_S = 1.0
HELD_CANARY_S = (15.0, 30.0, 60.0, 120.0)
"""After each bad one of a confirmed hold; the last for as long as it takes."""
OURS_CANARY_S = (600.0, 1_200.0, 2_400.0, 3_600.0)
BAD_SCORE, GOOD_SCORE = 2.7, -0.34
"""Log-likelihood of one bad or good canary: 30 % bad against 2 %."""
TROUBLE_AT, SOUND_AT = 4.0, -3.3


def tail(n: int, c: int, a: float, b: float) -> float:
    """P(X >= c) for X beta-binomial(n, a, b)."""

    def beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    return sum(
        exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + beta(k + a, n - k + b) - beta(a, b))
        for k in range(c, n + 1)
    )


@functools.cache
def limits(table: Table) -> Mapping[int, tuple[int | None, int | None]]:
    """By window: the fewest refusals for a suspicion, and for a hold; None where no count is unlikely enough."""
    prior = PRIORS[table]

    def fewest(n: int, alpha: float) -> int | None:
        return next((c for c in range(1, n + 1) if tail(n, c, prior.a, prior.b) <= alpha), None)

    return {n: (fewest(n, prior.suspicion), fewest(n, prior.hold)) for n in WINDOWS}


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


class Verdict(enum.Enum):
    """What canaries tell so far."""

    OPEN = "open"
    TROUBLE = "trouble"
    SOUND = "sound"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A sequential test over canaries' answers."""

    score: float = 0.0
    asked: int = 0
    bad: int = 0

    def after(self, *, good: bool) -> Trial:
        """With one more answer; what is settled stays settled until a new trial."""
        return Trial(
            score=self.score + (GOOD_SCORE if good else BAD_SCORE), asked=self.asked + 1, bad=self.bad + (not good)
        )

    @property
    def verdict(self) -> Verdict:
        """Two bad ones among few are trouble, ten good ones in a row are not."""
        if self.score >= TROUBLE_AT:
            return Verdict.TROUBLE
        return Verdict.SOUND if self.score <= SOUND_AT else Verdict.OPEN
