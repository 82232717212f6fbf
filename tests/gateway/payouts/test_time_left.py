"""A plan's WRITE leaves only while its whole answer fits before the attempt's deadline."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from contracts.errors import PartnerUnavailable
from contracts.plan import Effect, Request, Response
from gateway.services.payouts.sending import WRITE_S, Left, within
from gateway.services.reconciliation.statements import Statements
from gateway.storage.base.clocks import ClockOff
from tests.gateway.payouts.fake import VirtualClock
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

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


async def test_a_clock_that_is_set_after_the_claim_lets_nothing_leave(town: Town) -> None:
    """Nor judge a payout, nor read a day."""
    bank, on_time = town.partner(), Mock()
    resources = dataclasses.replace(town.resources, on_time=on_time)
    await town.due()
    worker, statements = Ticking(resources, town.links, worker="w1", grouped=False), Statements(resources)
    (leased,) = await worker.claim("fake", 1)
    on_time.side_effect = ClockOff("an hour")
    with pytest.raises(ClockOff):
        await worker.send(leased)
    assert bank.seen == []
    (row,) = await town.fetch("SELECT state, attempt, first_sent_at FROM payouts")
    assert row == {"state": "reserved", "attempt": 0, "first_sent_at": None}
    with pytest.raises(ClockOff):
        await statements.tick("fake")
    assert bank.seen == []
    on_time.side_effect = None
    assert await statements.tick("fake") > 0
    on_time.side_effect, statements._unlisted = ClockOff("an hour"), Mock()
    with pytest.raises(ClockOff):
        await statements.tick("fake")
    statements._unlisted.settle.assert_not_called()
    on_time.side_effect = None
    await worker.send(leased)
    assert bank.seen.count("transfer") == 1
