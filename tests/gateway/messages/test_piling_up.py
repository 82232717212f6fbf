"""More than may wait is refused, or asked for again by mistake: the others, and what is new, go on."""

from __future__ import annotations

import asyncio
import random

import pytest

from contracts.events import EventType
from gateway.services.messages import delivery
from tests.gateway.messages.receiver import Receiver, receiving
from tests.gateway.messages.test_delivery import Desk, desk
from tests.gateway.messages.test_refused_for_good import pass_by

__all__ = ["desk"]


@pytest.mark.parametrize(("seed", "most", "page"), [(1, 8, 4), (2, 30, 7), (3, 12, 30)])
async def test_what_is_refused_by_the_thousand_keeps_the_others_waiting_for_an_hour_at_most(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seed: int, most: int, page: int
) -> None:
    """Everybody links within a day, and a receiver cannot read one type: until three days were over nobody's payment
    was told. What was given up is delivered once the receiver is mended and its owner asks for it.
    """
    monkeypatch.setattr(delivery, "MOST_WAITING", most)
    monkeypatch.setattr(delivery, "PAGE", page)
    rng = random.Random(seed)
    mended = False

    async def manner(receiver: Receiver) -> int:
        return 400 if not mended and receiver.message["type"] == EventType.LINK_CHANGED.value else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        kinds = [EventType.LINK_CHANGED] * (2 * most + page) + [EventType.PAYOUT_CHANGED] * most
        rng.shuffle(kinds)
        for n, kind in enumerate(kinds):
            await desk.tell(range(n, n + 1), kind)
        rounds = 3 * len(kinds) // most  # of its subjects some wait behind what is refused
        await pass_by(desk, worker, 1.2 * rounds, 300)
        fine = {n for n, kind in enumerate(kinds) if kind is EventType.PAYOUT_CHANGED}
        told = {message["data"]["n"] for message in receiver.firsts()}
        assert rounds < 36 and fine <= told
        view = await desk.webhooks.get("core", endpoint)
        assert view.dead_letters > 0 and view.disabled_at is None
        mended = True
        await desk.webhooks.replay("core", endpoint, None, None, dead=True, actor="core")
        await pass_by(desk, worker, 13, 600)
        assert {message["data"]["n"] for message in receiver.firsts()} == set(range(len(kinds)))
        assert (await desk.webhooks.get("core", endpoint)).dead_letters == 0
        await worker.close()


async def test_of_a_receiver_that_is_down_nothing_is_given_up_early(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much waited when it went down: it takes nothing that this would let go on."""
    monkeypatch.setattr(delivery, "MOST_WAITING", 8)
    down = False

    async def manner(receiver: Receiver) -> int:
        return 503 if down or receiver.message["type"] == EventType.LINK_CHANGED.value else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        await desk.tell(range(12), EventType.LINK_CHANGED)
        await desk.tell(range(12, 13))
        await desk.deliver(worker)
        down = True
        await desk.tell(range(13, 20))
        await pass_by(desk, worker, 20, 600)
        view = await desk.webhooks.get("core", endpoint)
        assert view.dead_letters == 0 and view.waiting >= 12
        await worker.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_range_that_was_asked_for_by_mistake_is_broken_off(desk: Desk, seed: int) -> None:
    """Also while a page of it is under way; another one may be asked for at once, and is not taken for the first."""
    rng = random.Random(seed)
    again = asyncio.Event()
    slow = False

    async def manner(receiver: Receiver) -> int:
        if slow and not again.is_set():
            again.set()
            view = await desk.webhooks.end_replay("core", endpoint, actor="core")
            assert view.replay_cursor is None
            if seed:
                view = await desk.webhooks.replay("core", endpoint, cursors[later], None, dead=False, actor="core")
                assert view.replay_cursor == cursors[later]
        return 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        total = delivery.PAGE + 40
        for n in range(total):
            await desk.tell(range(n, n + 1))
        await desk.deliver(worker)
        cursors = [message["cursor"] for message in sorted(receiver.firsts(), key=lambda one: one["data"]["n"])]
        later = total - rng.randrange(2, 9)
        slow, before = True, len(receiver.taken)
        assert (await desk.webhooks.replay("core", endpoint, None, None, dead=False, actor="core")).replay_cursor
        await desk.tell(range(total, total + 1))
        await desk.deliver(worker)
        view = await desk.webhooks.get("core", endpoint)
        assert (view.replay_cursor, view.waiting) == (None, 0)
        twice = [message["data"]["n"] for _, message in receiver.taken[before:]]
        told = [*range(delivery.PAGE), *(range(later + 1, total) if seed else ()), total]
        assert sorted(twice) == told
        assert (await desk.webhooks.end_replay("core", endpoint, actor="core")).replay_cursor is None
        await worker.close()
