"""A plan's WRITE leaves only while its whole answer fits before the attempt's deadline."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import pytest

from contracts.errors import PartnerUnavailable
from contracts.plan import Effect, Request, Response
from gateway.services.payouts.sending import WRITE_S, Left, within
from tests.gateway.payouts.fake import VirtualClock

START = datetime(2026, 11, 24, 3, tzinfo=UTC)


def asking(effect: Effect, timeout_s: float) -> Generator[Request, Response, str]:
    """A plan of one request."""
    yield Request(
        operation="payout.transfer",
        effect=effect,
        host="api",
        method="POST",
        target="/",
        headers={},
        timeout_s=timeout_s,
    )
    return "answered"


@pytest.mark.parametrize("takes_s", [1.0, WRITE_S, WRITE_S + 10.0], ids=["a short one", "as all", "a long one"])
@pytest.mark.parametrize("spare_s", [-0.001, 0.0])
def test_a_write_leaves_only_while_it_can_still_be_answered(takes_s: float, spare_s: float) -> None:
    clock, left = VirtualClock(START), Left()
    deadline = clock.now() + timedelta(seconds=max(takes_s, WRITE_S) + spare_s)
    plan = within(asking(Effect.WRITE, takes_s), clock, deadline, left)
    if spare_s < 0.0:
        with pytest.raises(PartnerUnavailable):
            next(plan)
    else:
        assert next(plan).timeout_s == takes_s
    assert left.wrote is (spare_s >= 0.0)


def test_a_read_leaves_whenever_it_likes() -> None:
    clock, left = VirtualClock(START), Left()
    assert next(within(asking(Effect.READ, 60.0), clock, clock.now(), left)).effect is Effect.READ
    assert left.wrote is False
