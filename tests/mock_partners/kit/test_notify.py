"""Notifications: retried on schedule with the same bytes, given up at the end, counted meanwhile."""

from __future__ import annotations

from datetime import datetime

import httpx
import pytest

from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import MockApp
from mock_partners.kit.notify import HttpSender, Notice, Notifier
from mock_partners.kit.server import bind
from mock_partners.kit.world import World

NOTICE = Notice("POST", "/callbacks/gopay/iris", b'{"a": 1}', {"Iris-Signature": "x"})


class Recorder:
    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, Notice]] = []

    async def __call__(self, url: str, notice: Notice) -> int | None:
        self.sent.append((url, notice))
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("answers", "tries", "given_up"),
    [((200,), 1, 0), ((202,), 1, 0), ((500, None, 204), 3, 0), ((302, 404, None), 3, 1)],
)
async def test_retries(answers: tuple[int | None, ...], tries: int, given_up: int) -> None:
    clock = Clock()
    clock.freeze(datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA))
    scheduler, send = Scheduler(clock, auto=False), Recorder(*answers)
    notifier = Notifier(scheduler, "http://gw.test/", send)
    notifier.post(NOTICE, after_s=1, retries_s=(1, 2))
    moments = []
    while (due_s := scheduler.next_due_s()) is not None:
        assert scheduler.pending()["undelivered"] == 1
        moments.append(due_s - datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA).timestamp())
        clock.shift(due_s - clock.seconds())
        await scheduler.run_due()
    assert moments == [1, 2, 4][:tries]
    assert send.sent == [("http://gw.test/callbacks/gopay/iris", NOTICE)] * tries
    assert notifier.given_up == given_up
    assert scheduler.pending()["undelivered"] == 0


async def test_nobody_listening_is_no_answer() -> None:
    with bind(0) as sock:
        address = "http://{}:{}/x".format(*sock.getsockname())
    sender = HttpSender()
    assert await sender(address, NOTICE) is None


async def test_control_routes() -> None:
    clock, world = Clock(), World("ovo")
    clock.freeze(datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA))
    app = MockApp(control_routes(world, clock, Scheduler(clock, auto=False), unsettled=lambda: 3))
    first, second = (world.sms.send("+6281100000001", clock.now()) for _ in range(2))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ovo") as http:
        assert (await http.get("/__mock__/books")).content == b""
        assert (await http.get("/__mock__/pending")).json() == {"unsettled": 3, "scheduled": 0, "undelivered": 0}
        for spelling in ("+6281100000001", "%2B6281100000001", "081100000001"):
            sent = (await http.get(f"/__mock__/sms?phone={spelling}")).json()
            assert [sms["code"] for sms in sent] == [second, first]
        assert (await http.get("/__mock__/sms")).status_code == 400
        health = (await http.get("/__mock__/health")).json()
    assert health == {"status": "ok", "partner": "ovo", "now": "2026-01-15T12:00:00+07:00"}
