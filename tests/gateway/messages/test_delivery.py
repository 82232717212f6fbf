"""Webhooks: each event at least once, in order per subject, verified; nobody waits for a receiver that fails."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest

from contracts.errors import InvalidRequest, NotFound
from contracts.events import EventType
from gateway.clock import SystemClock
from gateway.security.clients import register
from gateway.security.vault import Vault
from gateway.services.messages import delivery
from gateway.services.messages.delivery import Deliverer
from gateway.services.messages.post import Post
from gateway.services.messages.webhooks import Webhooks
from gateway.storage.base.database import Database
from gateway.storage.messages import events
from tests.gateway.messages.receiver import Receiver, every_second_fails, fails, receiving, slow

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
VAULT = Vault(bytes(32))
AT = datetime(2026, 5, 1, tzinfo=UTC)
SUBJECTS = 97
DEAD = "http://127.0.0.1:9/hook"


class Ahead(SystemClock):
    """The system's clock, set forward as a test likes."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


class Desk:
    """A store with one client, and workers that come and go."""

    def __init__(self, store: Database) -> None:
        self.store, self.clock = store, Ahead()
        self.webhooks = Webhooks(store, self.clock, VAULT, LOOPBACK)
        self._workers = 0

    async def endpoint(self, receiver: Receiver | str, *types: EventType) -> str:
        url = receiver if isinstance(receiver, str) else receiver.url
        made = await self.webhooks.create("core", url, types, actor="core")
        if isinstance(receiver, Receiver):
            receiver.secret = made.secret
        return made.endpoint.webhook_endpoint_id

    def worker(self) -> Deliverer:
        self._workers += 1
        post = Post(LOOPBACK, timeout_s=2)
        return Deliverer(self.store, self.clock, VAULT, post, name=f"w{self._workers}")

    async def tell(self, numbers: range, kind: EventType = EventType.INCENTIVE_CHANGED) -> None:
        async with self.store.transaction() as connection:
            rows = [(kind, f"s{n % SUBJECTS}", {"n": n}) for n in numbers]
            await events.emit(connection, AT, rows)

    async def deliver(self, worker: Deliverer) -> None:
        """Until nothing is due."""
        for _ in range(1_000):
            if not await worker.tick():
                return
            await worker.settle()
        raise AssertionError("it does not end")


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    store = await Database.open(database, size=10)
    for name in ("core", "other"):
        await register(store, AT, name=name, scopes=["read"], organisation="*")
    yield Desk(store)
    await store.close()


def _complete(receiver: Receiver, total: int) -> None:
    numbers = [message["data"]["n"] for message in receiver.firsts()]
    assert sorted(numbers) == list(range(total))
    for subject in range(SUBJECTS):
        own = [n for n in numbers if n % SUBJECTS == subject]
        assert own == sorted(own), f"subject {subject} out of order"


async def test_thousands_of_events_to_a_slow_a_failing_and_a_dead_endpoint_while_workers_die(
    desk: Desk, long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = 10_000 if long else 1_200
    monkeypatch.setattr(delivery, "_FIRST_S", 0.02)
    monkeypatch.setattr(delivery, "_MOST_S", 0.2)
    monkeypatch.setattr(delivery, "_REST_MOST_S", 0.1)
    monkeypatch.setattr(delivery, "BUDGET_S", 0.7)
    async with receiving() as good, receiving(slow) as sluggish, receiving(every_second_fails) as flaky:
        live = [good, sluggish, flaky]
        for receiver in live:
            await desk.endpoint(receiver)
        dead = await desk.endpoint(DEAD)

        async def tell() -> None:
            for n in range(0, total, 50):
                await desk.tell(range(n, n + 50))
                await asyncio.sleep(0.01)

        def complete() -> bool:
            return telling.done() and all(len(receiver.ids) == total for receiver in live)

        async def work(worker: Deliverer, calls: int) -> None:
            """A worker's loop, and its sudden end after so many calls, however long they take: whatever it holds in
            memory is lost.
            """
            began = sum(receiver.calls for receiver in live)
            while sum(receiver.calls for receiver in live) - began < calls and not complete():
                await worker.tick()
                await asyncio.sleep(0.02)
            for task in worker._serving.values():
                task.cancel()
            await asyncio.gather(*worker._serving.values(), return_exceptions=True)
            await worker.close()
            # What it held is free once its time is over, and that is now.
            await _fetch(desk, "UPDATE webhook_endpoints SET lease_until = $1 WHERE leased_by LIKE $2 RETURNING id",
                         AT, f"{worker._name}.%")  # fmt: skip

        telling = asyncio.create_task(tell())
        rounds = 0
        while not complete():
            rounds += 1
            assert rounds <= total // 25, "each worker is there for calls enough"
            await asyncio.gather(work(desk.worker(), 400), work(desk.worker(), 800))
        await telling
        last = desk.worker()
        while await _fetch(desk, "SELECT FROM webhook_deliveries WHERE endpoint <> $1 LIMIT 1", dead):
            await last.tick()  # what was delivered leaves nothing behind once it is written down
            await asyncio.sleep(0.02)
        await last.close()
        for receiver in live:
            _complete(receiver, total)
            assert receiver.most_at_once <= 2 * delivery.CALLS_AT_ONCE  # a dead worker's calls may still be under way
        deaths = 2 * rounds
        assert len(good.taken) <= total + deaths * delivery.PAGE, "a death repeats one page at most"
        view = await desk.webhooks.get("core", dead)
        assert view.failing_since is not None and view.waiting <= delivery.MOST_WAITING + delivery.PAGE


async def _fetch(desk: Desk, sql: str, *values: object) -> list[dict[str, object]]:
    async with desk.store.connection() as connection:
        return [dict(row) for row in await connection.fetch(sql, *values)]


async def test_a_message_is_the_event_signed_and_filtered_by_type(desk: Desk) -> None:
    async with receiving() as receiver:
        await desk.tell(range(1))  # before there was an endpoint: not told
        await desk.endpoint(receiver, EventType.CASE_OPENED, EventType.PAYOUT_CHANGED)
        await desk.tell(range(1, 4))
        await desk.tell(range(4, 5), EventType.CASE_OPENED)
        worker = desk.worker()
        await desk.deliver(worker)
        await worker.close()
        ((key, message),) = receiver.taken
        async with desk.store.connection() as connection:
            last = (await events.read_after(connection, 0, 0, 100))[-1]
        assert key == f"msg_{last.tx}_{last.seq}"
        assert message["type"] == "case.opened" and message["data"] == {"n": 4} and message["subject"] == "s4"
        assert msgspec.convert(message["timestamp"], datetime) == AT
        assert receiver.headers[0]["content-type"] == "application/json"
        assert await _fetch(desk, "SELECT * FROM webhook_deliveries") == []


async def test_two_secrets_sign_during_a_rotation_and_then_one(desk: Desk) -> None:
    async with receiving() as old, receiving() as new:
        endpoint = await desk.endpoint(old)
        made = await desk.webhooks.rotate("core", endpoint, actor="core")
        async with desk.store.connection() as connection:
            await connection.execute("UPDATE webhook_endpoints SET url = $1", old.url)
        assert (await desk.webhooks.test("core", endpoint)).delivered, "the old secret still verifies"
        old.secret = made.secret
        assert (await desk.webhooks.test("core", endpoint)).delivered
        desk.clock.ahead = timedelta(hours=25)
        async with desk.store.connection() as connection:
            await connection.execute("UPDATE webhook_endpoints SET url = $1", new.url)
        await desk.webhooks.test("core", endpoint)
        assert new.calls == 1 and (await desk.webhooks.get("core", endpoint)).two_secrets_until is None
        stored = await _fetch(desk, "SELECT w::text AS line FROM webhook_endpoints w")
        assert made.secret not in str(stored)


async def test_a_subject_that_is_refused_waits_and_the_others_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_FIRST_S", 0.0)
    refusals = 0

    async def manner(receiver: Receiver) -> int:
        nonlocal refusals
        if receiver.message["subject"] == "s5" and refusals < 3:
            refusals += 1
            return 503
        return 200

    async with receiving(manner) as receiver:
        await desk.endpoint(receiver)
        await desk.tell(range(SUBJECTS * 2))
        worker = desk.worker()
        assert await worker.tick() == 1
        await worker.settle()
        missing = set(range(SUBJECTS * 2)) - {message["data"]["n"] for message in receiver.firsts()}
        assert missing == {5, 5 + SUBJECTS}
        for _ in range(5):
            await asyncio.sleep(2.1)  # it rests a little after a failure
            await desk.deliver(worker)
        await worker.close()
        _complete(receiver, SUBJECTS * 2)
        assert refusals == 3


async def test_what_is_refused_for_three_days_is_a_dead_letter_and_can_be_delivered_after_all(desk: Desk) -> None:
    broken = True

    async def manner(receiver: Receiver) -> int:
        return 500 if broken else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        await desk.tell(range(2))
        worker = desk.worker()
        calls = []
        for hours in range(0, 84, 2):
            desk.clock.ahead = timedelta(hours=hours)
            receiver.secret = ""  # signed for a time that has not come
            await desk.deliver(worker)
            calls.append(receiver.calls)
        assert calls[0] < calls[1] < calls[-1] < 60, "tried again and again, and ever less often"
        view = await desk.webhooks.get("core", endpoint)
        assert view.dead_letters == 2 and view.waiting == 0 and view.disabled_at is None
        letters = await desk.webhooks.dead_letters("core", endpoint, None, 10)
        assert [letter.subject for letter in letters] == ["s0", "s1"] and letters[0].last_error == "HTTP 500"

        broken = False
        await desk.webhooks.replay("core", endpoint, None, None, dead=True, actor="core")
        desk.clock.ahead = timedelta(hours=90)
        await desk.deliver(worker)
        assert len(receiver.taken) == 2
        assert (await desk.webhooks.get("core", endpoint)).dead_letters == 0
        await worker.close()


async def test_an_endpoint_that_fails_for_days_is_disabled_with_an_event_and_goes_on_where_it_was(desk: Desk) -> None:
    broken = True

    async def manner(receiver: Receiver) -> int:
        return 500 if broken else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver, EventType.INCENTIVE_CHANGED)
        receiver.secret = ""
        worker = desk.worker()
        told = 0
        for hours in range(0, 130, 3):
            desk.clock.ahead = timedelta(hours=hours)
            await desk.tell(range(told, told + 3))
            told += 3
            await desk.deliver(worker)
        view = await desk.webhooks.get("core", endpoint)
        assert view.disabled_because == "failing" and view.disabled_at is not None
        calls = receiver.calls
        desk.clock.ahead = timedelta(hours=140)
        await desk.deliver(worker)
        assert receiver.calls == calls, "a disabled endpoint is not called"
        (event,) = await _fetch(desk, "SELECT subject, data FROM events WHERE type = 'webhook.disabled'")
        assert event["subject"] == endpoint
        assert event["data"] == {"webhook_endpoint_id": endpoint, "because": "failing", "last_error": "HTTP 500"}

        broken = False
        await desk.webhooks.enable("core", endpoint, actor="core")
        await desk.webhooks.replay("core", endpoint, None, None, dead=True, actor="core")
        await desk.deliver(worker)
        assert len({key for key, _ in receiver.taken}) == told
        await worker.close()


async def test_gone_means_gone(desk: Desk) -> None:
    async def manner(receiver: Receiver) -> int:
        return 410

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        await desk.tell(range(1))
        worker = desk.worker()
        await desk.deliver(worker)
        await worker.close()
        assert (await desk.webhooks.get("core", endpoint)).disabled_because == "gone"
        assert receiver.calls == 1


@pytest.mark.parametrize("asks", ["7200", "an HTTP date", "soon"])
async def test_a_receiver_is_left_alone_as_long_as_it_asks(desk: Desk, asks: str) -> None:
    async def busy(receiver: Receiver) -> int:
        return 503

    worker = desk.worker()
    async with receiving(busy) as receiver:
        until = (desk.clock.now() + timedelta(hours=2)).astimezone(UTC)
        receiver.retry_after = format_datetime(until, usegmt=True) if "date" in asks else asks
        await desk.endpoint(receiver)
        await desk.tell(range(20))
        await desk.deliver(worker)
        first = receiver.calls
        assert first <= delivery.CALLS_AT_ONCE
        desk.clock.ahead = timedelta(hours=1, minutes=50)
        await desk.deliver(worker)
        assert (receiver.calls == first) is (asks != "soon"), "what cannot be read is no wish"
        desk.clock.ahead = timedelta(hours=2, minutes=5)
        await desk.deliver(worker)
        assert receiver.calls > first
    await worker.close()


async def test_another_address_has_what_waited_for_the_old_one_under_the_same_secret(desk: Desk) -> None:
    worker = desk.worker()
    async with receiving(fails) as old, receiving() as new:
        endpoint = await desk.endpoint(old)
        await desk.tell(range(3))
        await desk.deliver(worker)
        new.secret = old.secret
        with pytest.raises(InvalidRequest, match="Nothing"):
            await desk.webhooks.change("core", endpoint, None, None, actor="core")
        with pytest.raises(NotFound):
            await desk.webhooks.change("other", endpoint, new.url, None, actor="other")
        shown = await desk.webhooks.change("core", endpoint, new.url, None, actor="core")
        assert (shown.url, shown.failing_since) == (new.url, None)
        await desk.deliver(worker)
        assert sorted(message["data"]["n"] for message in new.firsts()) == [0, 1, 2]
        await desk.webhooks.change("core", endpoint, None, [EventType.CASE_OPENED], actor="core")
        await desk.tell(range(3, 6))
        await desk.deliver(worker)
        assert len(new.firsts()) == 3
    await worker.close()


async def test_a_range_is_delivered_again_beside_what_is_new(desk: Desk) -> None:
    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver)
        for n in range(6):
            await desk.tell(range(n, n + 1))
        worker = desk.worker()
        await desk.deliver(worker)
        cursors = [message["cursor"] for _, message in receiver.taken]
        await desk.webhooks.replay("core", endpoint, cursors[1], cursors[3], dead=False, actor="core")
        await desk.tell(range(6, 7))
        await desk.deliver(worker)
        await worker.close()
        numbers = [message["data"]["n"] for _, message in receiver.taken]
        assert sorted(numbers) == [0, 1, 2, 2, 3, 3, 4, 5, 6]


@pytest.mark.parametrize("manner", [fails, slow], ids=["failing", "slow"])
async def test_an_endpoint_holds_up_no_other(desk: Desk, manner: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """One receiver hangs in each of its calls; the other has had everything before the first of them ends."""
    held = asyncio.Event()

    async def hangs(receiver: Receiver) -> int:
        await held.wait()
        return 200

    async with receiving(hangs) as stuck, receiving() as good, receiving(manner) as third:  # type: ignore[arg-type]
        for receiver in (stuck, third, good):
            await desk.endpoint(receiver)
        await desk.tell(range(300))
        worker = desk.worker()
        async with asyncio.timeout(30):
            while len(good.firsts()) < 300:
                await worker.tick()
                await asyncio.sleep(0.01)
        assert stuck.taken == [] and stuck.calls <= delivery.CALLS_AT_ONCE
        held.set()
        await worker.settle()
        await worker.close()
