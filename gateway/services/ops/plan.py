"""The burn-down: how fast each partner's work shrinks, and when it will be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from contracts.partner import Manifest
from contracts.quotas import quota_of
from gateway.clock import Clock, jakarta_day
from gateway.services.ops import standstill
from gateway.services.ops.standstill import WAITING, Because, Standstill
from gateway.storage.base.database import Database
from gateway.storage.ops import backlog
from gateway.storage.ops.backlog import Sample

SAMPLE_S = 10
RATE_OVER = timedelta(minutes=10)
"""The rate is taken over so long, or as far back as there are samples."""
_UNEVEN, _UNEVEN_S, _NEAR = 2, 1.0, 0.05
"""So many incentives more or less than the quota lets through, or what it lets through in so many seconds, or such a
share, are still as many as it does: a sample is taken a moment late, ends come in groups, the first call waits.
"""
_SHARE_OF_QUOTA = 0.25
"""What began at an unknown time between two samples may have gone as fast as the quota where so much of it ended."""
CALLS_A_PAYOUT = 2
"""Of each payout, where one quota counts all of its calls: it asks or creates, then transfers or approves."""
PREFIXES = {"verification": "identity.", "payout": "payout."}


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of work at one partner."""

    partner: str
    stage: str
    """`verification` or `payout`."""
    due: int
    """Incentives still to be done that wait for nobody but the gateway and the partner."""
    blocked: int
    """Incentives that wait for a person."""
    per_s: float
    """Incentives ended a second, lately."""
    quota_per_s: float | None
    """At most so many a second by the partner's quota, or by our own where none is known; null: no such partner."""
    basis: str
    """What `done_at` rests on: `observed`, `quota` (nothing has ended yet), or `none`; `held`: the partner is held or
    paused at this stage, and nothing is done there meanwhile; `standing`: it stands still for another reason.
    """
    done_at: datetime | None
    """When the last of what is due will have ended at that rate; null: it can't be told."""
    stands: Standstill | None = None
    """Since when and why nothing of it moves; null: it moves, or nothing is due."""


class BurnDown(msgspec.Struct, frozen=True, kw_only=True):
    """The forecasts, with the samples that a picture is drawn from."""

    as_of: datetime
    forecasts: list[Forecast]
    samples: list[Sample]


def stopped(one: Forecast, stands: Standstill | None) -> Forecast:
    """Nothing is forecast of what does not move."""
    if stands is None or not one.due:
        return one
    basis = "held" if stands.because in (Because.HELD, Because.PAUSED, Because.RECOVERING) else "standing"
    return msgspec.structs.replace(one, basis=basis, done_at=None, stands=stands)


class Planner:
    """Measures the backlog, and says when it will be done."""

    def __init__(
        self, database: Database, clock: Clock, manifests: Mapping[str, Manifest], quotas: Mapping[str, float]
    ) -> None:
        self._database = database
        self._clock = clock
        self._manifests = manifests
        self._quotas = quotas
        self._sampled: datetime | None = None

    async def tick(self) -> int:
        """Take a sample, unless another worker has: for a worker's loop. Nothing more to do at once: 0."""
        now = self._clock.now()
        at = datetime.fromtimestamp(now.timestamp() // SAMPLE_S * SAMPLE_S, tz=now.tzinfo)
        if at == self._sampled:
            return 0
        async with self._database.transaction() as connection:
            found = await backlog.measure(connection, at, jakarta_day(now), WAITING)
            if await backlog.keep(connection, found or self._nothing(at)):
                await backlog.purge(connection, now)
        self._sampled = at
        return 0

    def _nothing(self, at: datetime) -> list[Sample]:
        """Before anything was handed over: that a worker works is seen by its samples alone."""
        return [
            Sample(at=at, partner=partner, stage=stage, due=0, blocked=0, ended=0)
            for partner in self._manifests
            for stage in PREFIXES
        ]

    async def burn_down(
        self, over: timedelta = timedelta(hours=1), stands: Sequence[Standstill] | None = None
    ) -> BurnDown:
        """What is due now, and the samples of the last `over`. `stands`: what stands still, where that is known."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            present = await backlog.measure(connection, now, jakarta_day(now), WAITING)
            past = await backlog.samples(connection, now - max(over, RATE_OVER))
            if stands is None:
                stands = await standstill.read(connection, now)
        still = {(one.partner, one.stage): one for one in stands}
        found = [forecast(past, sample, self._quota(sample)) for sample in present]
        return BurnDown(
            as_of=now,
            forecasts=behind_checks([stopped(one, still.get((one.partner, one.stage))) for one in found]),
            samples=[sample for sample in past if sample.at >= now - over],
        )

    def _quota(self, sample: Sample) -> float | None:
        """Incentives a second that the partner's quota lets through."""
        manifest, prefix = self._manifests.get(sample.partner), PREFIXES[sample.stage]
        if manifest is None:
            return None
        agreed = self._quotas.get(sample.partner)
        parts = [quota for quota in manifest.quotas if any(name.startswith(prefix) for name in quota.operations)]
        found = []
        for quota in parts or [quota_of(manifest, prefix)]:
            whole = agreed is not None or any(prefix.startswith(name) for name in quota.operations)
            calls = CALLS_A_PAYOUT if whole and sample.stage == "payout" else 1
            found.append((quota.per_s if agreed is None else agreed) / calls)
        return min(found)


def forecast(past: Sequence[Sample], present: Sample, quota_per_s: float | None) -> Forecast:
    """When what is due now will be done: at the rate of the last minutes, else at the partner's quota."""
    ended, seconds, whole = _pace(past, present)
    per_s = ended / seconds if seconds > 0 else 0.0
    basis, rate = ("observed", per_s) if per_s > 0 else ("quota", quota_per_s or 0.0)
    if per_s == 0 and (waited_s := _waited_s(past, present)) > SAMPLE_S and waited_s * rate > _UNEVEN:
        rate = 0.0  # by the quota some would have ended: something else bounds it
    if quota_per_s is not None:
        by_quota, uneven = quota_per_s * seconds, max(_UNEVEN, quota_per_s * _UNEVEN_S, _NEAR * ended)
        least = by_quota - uneven if whole else min(by_quota - uneven, _SHARE_OF_QUOTA * by_quota)
        if least <= ended <= by_quota + uneven:
            rate = quota_per_s  # as fast as it may: a count of a few seconds knows that less well than the quota does
    done_at = present.at if present.due <= 0 else present.at + timedelta(seconds=present.due / rate) if rate else None
    return Forecast(
        partner=present.partner,
        stage=present.stage,
        due=max(present.due, 0),
        blocked=present.blocked,
        per_s=per_s,
        quota_per_s=quota_per_s,
        basis=basis if rate else "none",
        done_at=done_at,
    )


def behind_checks(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """Payouts are not done before the NIK checks at their partner are: who is checked last is paid after that."""
    checks = {one.partner: one for one in forecasts if one.stage == "verification" and one.due > 0}
    found = []
    for one in forecasts:
        check = checks.get(one.partner)
        if one.stage == "payout" and check is not None and one.done_at is not None:
            later = None if check.done_at is None else max(one.done_at, check.done_at)
            one = msgspec.structs.replace(one, done_at=later)
        found.append(one)
    return found


def _waited_s(past: Sequence[Sample], present: Sample) -> float:
    """How long something has been due of which nothing has ended since."""
    now = (present.partner, present.stage, present.ended)
    since = [one.at for one in past if (one.partner, one.stage, one.ended) == now and one.due > 0]
    return (present.at - min(since)).total_seconds() if since else 0.0


def _pace(past: Sequence[Sample], present: Sample) -> tuple[int, float, bool]:
    """How many have ended, in how many seconds, since the oldest sample in the window that already saw this work go
    on: what was done before nothing was due any more was other work, and the pause between is no part of its pace.
    Last, whether there is such a sample: where there is none, it may have gone on for a part of these seconds only.
    """
    before = [
        sample
        for sample in past
        if sample.partner == present.partner
        and sample.stage == present.stage
        and present.at - RATE_OVER <= sample.at < present.at
    ]
    before = before[max((n for n, sample in enumerate(before) if sample.due <= 0), default=0) :]
    if not before:
        return 0, 0.0, False
    # What stood still before the work began says nothing of its pace, nor does the sample in which it did: it counts
    # only where there is no later one.
    going = next((sample for sample in before if before[0].ended < sample.ended < present.ended), None)
    still = [sample for sample in before if sample.ended < present.ended]
    first = going or (still[-1] if still else before[0])
    return max(present.ended - first.ended, 0), (present.at - first.at).total_seconds(), going is not None
