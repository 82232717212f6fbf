"""Consent pages as a person walks through them (decisions X4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import pytest

from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.http import MockApp
from mock_partners.kit.pages import End, Page, Pages, Step
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

PHONE = "+6281100000001"
STEPS = (Step.AGREE, Step.PHONE, Step.OTP, Step.PIN)


@dataclass
class Stage:
    clock: Clock
    world: World
    pages: Pages
    http: httpx.AsyncClient
    ends: list[tuple[object, End]] = field(default_factory=list)

    def open(self, *steps: Step, pin: str = "123456") -> str:
        return self.pages.open("binding", phone=PHONE, pin=pin, steps=steps or STEPS)

    async def put(self, path: str, **fields: str) -> httpx.Response:
        return await self.http.post(path, data={"action": "continue", **fields})

    def otp(self) -> str:
        return self.world.sms.newest_first(PHONE)[0]["code"]


def make(once: bool = False, brand: str = "OVO") -> Stage:
    clock, world = Clock(), World("ovo")
    clock.freeze(datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA))
    ends: list[tuple[object, End]] = []

    def finish(page: Page, end: End) -> str:
        ends.append((page.subject, end))
        return f"https://gw.test/cb?st=1&end={end.value}"

    pages = Pages(world, clock, Waits(link_life_s=60), prefix="/page", brand=brand, finish=finish, once=once)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(MockApp(pages.routes())), base_url="http://ovo")
    return Stage(clock, world, pages, http, ends)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = make()
    yield made
    await made.http.aclose()


async def test_a_person_agrees(stage: Stage) -> None:
    path = stage.open()
    first = await stage.http.get(path)
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert 'name="agree"' in first.text
    assert 'name="phone"' in (await stage.put(path, agree="yes")).text
    assert 'name="otp"' in (await stage.put(path, phone="0811-0000-0001")).text
    assert 'name="pin"' in (await stage.put(path, otp=stage.otp())).text
    last = await stage.put(path, pin="123456")
    assert (last.status_code, last.headers["location"]) == (302, "https://gw.test/cb?st=1&end=agreed")
    assert (await stage.put(path, pin="123456")).status_code == 410
    assert (await stage.http.get(path)).status_code == 410
    assert stage.ends == [("binding", End.AGREED)]


async def test_every_step_can_be_refused(stage: Stage) -> None:
    path = stage.open()
    await stage.put(path, agree="yes")
    refused = await stage.http.post(path, data={"action": "deny"})
    assert refused.headers["location"].endswith("end=denied")
    assert stage.ends == [("binding", End.DENIED)]


@pytest.mark.parametrize("step", [Step.PIN, Step.OTP])
async def test_three_wrong_codes_lock_the_page(stage: Stage, step: Step) -> None:
    path = stage.open(step)
    await stage.http.get(path)
    for _ in range(2):
        wrong = await stage.put(path, **{step.value: "000000"})
        assert wrong.status_code == 200
        assert "salah" in wrong.text
    assert (await stage.put(path, **{step.value: "000000"})).headers["location"].endswith("end=locked")
    assert stage.ends == [("binding", End.LOCKED)]


async def test_an_account_without_a_pin_takes_none(stage: Stage) -> None:
    path = stage.open(Step.PIN, pin="")
    assert "PIN salah" in (await stage.put(path, pin="")).text


async def test_two_wrong_pins_may_be_corrected_and_other_slips_count_nothing(stage: Stage) -> None:
    path = stage.open(Step.AGREE, Step.PHONE, Step.PIN)
    for _ in range(4):
        assert "menyetujui" in (await stage.put(path)).text
    await stage.put(path, agree="yes")
    for _ in range(4):
        assert "tidak sesuai" in (await stage.put(path, phone="0812")).text
    await stage.put(path, phone=PHONE)
    await stage.put(path, pin="1")
    await stage.put(path, pin="2")
    assert (await stage.http.post(path, data={"pin": "123456"})).status_code == 200
    assert (await stage.put(path, pin="123456")).headers["location"].endswith("end=agreed")


async def test_the_otp_is_sent_when_its_step_is_reached_and_only_once_within_its_life(stage: Stage) -> None:
    path = stage.open(Step.AGREE, Step.OTP)
    assert stage.world.sms.newest_first(PHONE) == []
    await stage.http.get(path)
    assert stage.world.sms.newest_first(PHONE) == []
    stage.clock.shift(1)
    await stage.put(path, agree="yes")
    await stage.http.get(path)
    sent = stage.world.sms.newest_first(PHONE)
    assert [sms["sent_at"] for sms in sent] == ["2026-01-15T12:00:01+07:00"]


async def test_a_page_lives_as_long_as_the_waits_say(stage: Stage) -> None:
    path = stage.open(Step.AGREE)
    stage.clock.shift(59.9)
    assert (await stage.http.get(path)).status_code == 200
    stage.clock.shift(0.1)
    assert (await stage.http.get(path)).status_code == 410
    assert (await stage.put(path, agree="yes")).status_code == 410
    assert (await stage.http.get("/page/unknown")).status_code == 410
    assert stage.ends == []


async def test_a_page_of_the_once_kind_opens_once() -> None:
    stage = make(once=True)
    async with stage.http:
        path = stage.open(Step.AGREE, Step.PIN)
        assert (await stage.http.get(path)).status_code == 200
        assert (await stage.http.get(path)).status_code == 410
        assert 'name="pin"' in (await stage.put(path, agree="yes")).text
        assert (await stage.put(path, pin="123456")).status_code == 302


async def test_nothing_on_a_page_comes_from_elsewhere_and_texts_are_escaped() -> None:
    stage = make(brand="<OVO & co>")
    async with stage.http:
        path = stage.open()
        for fields in ({}, {"agree": "yes"}, {"phone": PHONE}):
            text = (await stage.put(path, **fields)).text
            assert "&lt;OVO &amp; co&gt;" in text
            assert not re.search(r"https?://|<script|src=|<OVO", text)
            assert 'lang="id"' in text
            assert "width=device-width" in text
            assert text.count("<form") == 1
