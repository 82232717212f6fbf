"""A receiver that refuses some events as often as they are sent (their kind, their size) has all others meanwhile."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from contracts.errors import Conflict, InvalidRequest
from contracts.events import EventType
from gateway.services.messages import delivery
from gateway.services.messages.delivery import Deliverer
from gateway.services.messages.post import Post
from tests.gateway.messages.receiver import Receiver, receiving
from tests.gateway.messages.test_delivery import LOOPBACK, SUBJECTS, Desk, desk

__all__ = ["desk"]


async def pass_by(desk: Desk, worker: Deliverer, hours: float, step_s: float) -> None:
    """Time goes by in steps; calls are signed for a time that has not come."""
    steps = int(hours * 3_600 / step_s)
    for _ in range(steps):
        desk.clock.ahead += timedelta(seconds=step_s)
        await desk.deliver(worker)


@pytest.mark.parametrize("refused", [1, 12, 40])
async def test_what_a_receiver_never_takes_keeps_nothing_else_waiting(desk: Desk, refused: int) -> None:
    """Each round has events of its own, as where little happens; those of some subjects are refused for good."""
    rng = random.Random(refused)
    bad = {f"s{n}" for n in rng.sample(range(SUBJECTS), refused)}

    async def manner(receiver: Receiver) -> int:
        return 413 if receiver.message["subject"] in bad else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        fine: set[int] = set()
        for number in range(24):
            subject = rng.choice(sorted(bad)) if number % 2 == 0 else f"s{rng.randrange(SUBJECTS)}"
            n = int(subject[1:]) + SUBJECTS * number
            await desk.tell(range(n, n + 1))
            fine |= {n} - {n for _ in range(subject in bad)}
            await pass_by(desk, worker, 0.05, 60)
        await pass_by(desk, worker, 1, 300)
        assert {message["data"]["n"] for message in receiver.firsts()} == fine
        view = await desk.webhooks.get("core", endpoint)
        assert view.disabled_at is None and 0 < view.waiting <= 24
        await worker.close()


async def test_a_dead_receiver_is_tried_seldom_and_little_piles_up(desk: Desk) -> None:
    async def manner(receiver: Receiver) -> int:
        return 500

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        for hour in range(6):
            await desk.tell(range(hour * 100, hour * 100 + 100))
            await pass_by(desk, worker, 1, 300)
        view = await desk.webhooks.get("core", endpoint)
        assert receiver.calls <= 2 * 6 * 12 + 4 * delivery.CALLS_AT_ONCE, "two calls in five minutes"
        assert view.waiting <= delivery.MOST_WAITING + delivery.PAGE
        await worker.close()


async def test_events_of_others_are_passed_by_without_a_rest(desk: Desk) -> None:
    """A failing endpoint that is called for one type, behind thousands of events of another."""

    async def manner(receiver: Receiver) -> int:
        return 500 if receiver.message["subject"] == "s0" else 200

    async with receiving(manner) as receiver:
        await desk.endpoint(receiver, EventType.CASE_OPENED)
        receiver.secret = ""
        worker = desk.worker()
        await desk.tell(range(1), EventType.CASE_OPENED)
        await desk.deliver(worker)
        await desk.tell(range(1, 1_500))
        await desk.tell(range(1_500, 1_501), EventType.CASE_OPENED)
        desk.clock.ahead += timedelta(seconds=3)
        await desk.deliver(worker)
        assert [message["data"]["n"] for message in receiver.firsts()] == [1_500]
        await worker.close()


async def test_a_file_of_others_is_passed_by_in_one_round(desk: Desk) -> None:
    """A page a round is a few hundred events a second: who wants one of ten thousand would be told hours late."""
    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver, EventType.BATCH_APPROVED)
        worker = desk.worker()
        await desk.tell(range(25 * delivery.PAGE))
        await desk.tell(range(1), EventType.BATCH_APPROVED)
        await desk.tell(range(1, 3))
        assert await worker.tick() == 1
        await worker.settle()
        assert [message["type"] for _, message in receiver.taken] == ["batch.approved"]
        await desk.tell(range(2 * delivery.PAGE))
        assert await worker.tick() == 1
        await worker.settle()
        assert await worker.tick() == 0, "its place is behind them"
        assert (await desk.webhooks.get("core", endpoint)).waiting == 0
        await worker.close()


async def test_an_endpoint_is_disabled_by_a_call_in_vain_and_by_no_event_of_others(desk: Desk) -> None:
    """Down for three days, then mended, and nothing to tell it of for a week."""
    broken = True

    async def manner(receiver: Receiver) -> int:
        return 500 if broken else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver, EventType.CASE_OPENED)
        receiver.secret = ""
        worker = desk.worker()
        await desk.tell(range(1), EventType.CASE_OPENED)
        await pass_by(desk, worker, 80, 3_600)
        assert (await desk.webhooks.get("core", endpoint)).dead_letters == 1
        broken = False
        for number in range(1, 8):
            await desk.tell(range(number, number + 1))
            await pass_by(desk, worker, 24, 43_200)
        assert (await desk.webhooks.get("core", endpoint)).disabled_at is None
        await desk.tell(range(8, 9), EventType.CASE_OPENED)
        await desk.deliver(worker)
        assert [message["data"]["n"] for message in receiver.firsts()] == [8]
        await worker.close()


async def test_a_range_goes_on_beside_what_is_refused(desk: Desk) -> None:
    bad: set[str] = set()

    async def manner(receiver: Receiver) -> int:
        return 400 if receiver.message["subject"] in bad else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        worker = desk.worker()
        await desk.tell(range(8))
        await desk.deliver(worker)
        assert len(receiver.taken) == 8
        receiver.secret = ""
        bad.add("s3")
        await desk.webhooks.replay("core", endpoint, None, None, dead=False, actor="core")
        await pass_by(desk, worker, 1, 30)
        again = [message["data"]["n"] for _, message in receiver.taken[8:]]
        assert sorted(again) == [0, 1, 2, 4, 5, 6, 7]
        assert (await desk.webhooks.get("core", endpoint)).waiting == 1
        await worker.close()


async def test_who_mends_a_receiver_and_says_so_has_what_waits_at_once(desk: Desk) -> None:
    broken = True

    async def manner(receiver: Receiver) -> int:
        return 500 if broken else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        await desk.tell(range(3))
        await pass_by(desk, worker, 30, 1_800)
        assert (await desk.webhooks.get("core", endpoint)).waiting == 3
        broken = False
        await desk.webhooks.enable("core", endpoint, actor="core")
        await desk.deliver(worker)
        assert [message["data"]["n"] for message in receiver.firsts()] == [0, 1, 2]
        await worker.close()


@pytest.mark.parametrize(
    "said",
    [
        b"Content-Length: 99\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\nzz\r\nok",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", b"\r\n", b"Content-Length: 0\r\n\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("status", "error"), [(200, None), (204, None), (500, "HTTP 500"), (404, "HTTP 404")])
async def test_what_a_receiver_writes_behind_its_status_matters_to_nobody(
    said: bytes, status: int, error: str | None
) -> None:
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        head, end, body = said.partition(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\n%b%b" % (status, head, end))
        await asyncio.sleep(0.05)
        writer.write(body)
        if said.endswith(b"chunked\r\n\r\n"):
            await asyncio.sleep(0.7)  # longer than it is waited for
        writer.close()
        done.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    post = Post(LOOPBACK, timeout_s=0.5)
    told = await post.send(f"http://127.0.0.1:{port}/", ["whsec_" + "a" * 32], "msg_1", datetime.now(UTC), b"{}")
    await done.wait()
    await post.close()
    server.close()
    assert (told.status, told.error) == (status, error)


async def test_what_the_old_address_says_is_no_word_of_the_new_one(desk: Desk) -> None:
    """Changed in the moment in which the old one is called: it asks to be left alone for hours, or says it is gone."""
    for status in (503, 410):
        held = asyncio.Event()

        async def manner(receiver: Receiver, held: asyncio.Event = held, status: int = status) -> int:
            await held.wait()
            return status

        async with receiving(manner) as old, receiving() as new:
            old.retry_after = "36000"
            endpoint = await desk.endpoint(old)
            new.secret = old.secret
            await desk.tell(range(3))
            worker = desk.worker()
            await worker.tick()
            async with asyncio.timeout(5):
                while old.calls < 3:
                    await asyncio.sleep(0.01)
            await desk.webhooks.change("core", endpoint, new.url, None, actor="core")
            await worker.tick()  # the same worker calls the new one, while the old one has not answered yet
            held.set()
            await worker.settle()
            await desk.deliver(worker)
            assert (await desk.webhooks.get("core", endpoint)).failing_since is None
            assert sorted(message["data"]["n"] for message in new.firsts()) == [0, 1, 2], status
            await desk.webhooks.delete("core", endpoint, actor="core")
            await worker.close()


async def test_what_was_forgotten_is_not_called_delivered(desk: Desk) -> None:
    """Neither a range nor an endpoint that was disabled for longer than events are kept goes on without a word."""
    endpoint = await desk.endpoint("http://127.0.0.1:9/hook")
    await desk.tell(range(1))
    async with desk.store.connection() as connection:
        await connection.execute("UPDATE events_purged SET tx = pg_current_xact_id(), seq = 1")
    with pytest.raises(InvalidRequest) as early:
        await desk.webhooks.replay("core", endpoint, "MS4x", None, dead=False, actor="core")
    assert (early.value.code, early.value.field) == ("cursor_too_old", "after")
    with pytest.raises(Conflict) as long_ago:
        await desk.webhooks.enable("core", endpoint, actor="core")
    assert long_ago.value.code == "cursor_too_old"
    await desk.webhooks.replay("core", endpoint, None, None, dead=True, actor="core")


@pytest.mark.parametrize("most", [delivery.MOST_WAITING, 8])
async def test_who_no_longer_wants_a_type_is_rid_of_what_waits_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A receiver that refuses one type for good: it would have been sent for three days more, with everything of its
    subjects behind it, and once enough of it waits with everything else.
    """
    monkeypatch.setattr(delivery, "MOST_WAITING", most)

    async def manner(receiver: Receiver) -> int:
        return 400 if receiver.message["type"] == EventType.CASE_OPENED.value else 200

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        await desk.tell(range(20), EventType.CASE_OPENED)
        await desk.tell(range(20, 40))
        await pass_by(desk, worker, 0.5, 300)
        rng = random.Random(most)
        late = sorted(rng.sample(range(40), 10))
        for n in late:
            await desk.tell(range(n + 40, n + 41))
        view = await desk.webhooks.get("core", endpoint)
        assert view.waiting >= min(most, 20)
        wanted = [EventType.INCENTIVE_CHANGED, EventType.CASE_CLOSED]
        await desk.webhooks.change("core", endpoint, None, wanted, actor="core")
        calls = receiver.calls
        await pass_by(desk, worker, 0.2, 300)
        view = await desk.webhooks.get("core", endpoint)
        assert (view.waiting, view.failing_since) == (0, None)
        fine = {*range(20, 40), *(n + 40 for n in late)}
        assert {message["data"]["n"] for message in receiver.firsts()} == fine
        assert receiver.calls - calls <= len(fine), "nothing of the type is sent any more"
        await worker.close()


async def test_a_call_that_is_under_way_keeps_nothing_of_a_type_that_is_no_longer_wanted(desk: Desk) -> None:
    meanwhile = asyncio.Event()

    async def manner(receiver: Receiver) -> int:
        await desk.webhooks.change("core", endpoint, None, [EventType.CASE_CLOSED], actor="core")
        meanwhile.set()
        return 400

    async with receiving(manner) as receiver:
        endpoint = await desk.endpoint(receiver)
        receiver.secret = ""
        worker = desk.worker()
        await desk.tell(range(1), EventType.CASE_OPENED)
        await desk.deliver(worker)
        assert meanwhile.is_set()
        assert (await desk.webhooks.get("core", endpoint)).waiting == 0
        assert receiver.calls == 1
        await worker.close()
