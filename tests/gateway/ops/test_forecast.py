"""Short runs are forecast as well as long ones: drawn at random, on no clock."""

from __future__ import annotations

import bisect
import random
from datetime import UTC, datetime, timedelta

import pytest

from gateway.services.ops.plan import forecast
from gateway.storage.ops.backlog import Sample

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def at(after_s: float) -> datetime:
    return BEGAN + timedelta(seconds=after_s)


def sample_at(after_s: float, due: int, ended: int) -> Sample:
    return Sample(at=at(after_s), partner="ovo", stage="payout", due=due, blocked=0, ended=ended)


def worst_of_a_run(seed: int, quota_per_s: float, bound_per_s: float, lasts_s: float) -> float:
    """The greatest error after a tenth, as a share of the run, of a run that `bound_per_s` bounds: it begins anywhere
    between two samples, its ends are told in groups, a sample is up to half a second late, and it is asked at any time.
    """
    rng = random.Random(seed)
    whole, begins = int(bound_per_s * lasts_s), rng.uniform(20, 30)
    told = [0.0]
    for n in range(whole):  # a group is told once its last is there
        told.append(max(told[-1], begins + (n + 1) / bound_per_s + rng.uniform(0.0, 0.5)))
    ends_at, past, worst = told[-1], list[Sample](), 0.0
    sampled = [(t, t + rng.uniform(0.0, 0.5)) for t in range(0, int(ends_at), 10)]
    for asked in sorted(rng.uniform(begins, ends_at) for _ in range(60)):
        for t, seen in sampled:
            if seen <= asked and (not past or past[-1].at < at(t)):
                done = bisect.bisect(told, seen) - 1
                past.append(sample_at(t, whole - done if seen >= begins else 0, done))
        done = bisect.bisect(told, asked) - 1
        found = forecast(past, sample_at(asked, whole - done, done), quota_per_s)
        if done >= whole / 10 and found.due:
            assert found.done_at is not None
            worst = max(worst, abs((found.done_at - at(ends_at)).total_seconds()) / (ends_at - begins))
    return worst


@pytest.mark.parametrize("seed", range(40))
def test_a_short_run_at_the_quotas_pace_is_forecast_within_a_twentieth(seed: int) -> None:
    rng = random.Random(seed)
    quota, lasts_s = rng.choice([3.0, 4.0, 5.5, 7.5, 25.0, rng.uniform(2, 50)]), rng.uniform(40, 120)
    assert worst_of_a_run(seed, quota, quota, lasts_s) <= 0.05


@pytest.mark.parametrize("seed", range(10))
def test_a_quota_that_is_not_reached_bounds_no_run_of_minutes(seed: int) -> None:
    """Something else does, at half to nine tenths of it."""
    rng = random.Random(seed)
    quota = rng.uniform(3, 50)
    assert worst_of_a_run(seed, quota, quota * rng.uniform(0.5, 0.9), rng.uniform(300, 600)) <= 0.05
