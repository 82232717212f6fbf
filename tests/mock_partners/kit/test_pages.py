"""Consent pages as a person walks through them (decisions X4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec

import httpx
import pytest

from mock_partners.gopay.look import LOOK
from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.http import MockApp
from mock_partners.kit.look import Look, Step
from mock_partners.kit.pages import End, Page, Pages
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World
from mock_partners.registry import PARTNERS

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


def make(once: bool = False, look: Look = LOOK) -> Stage:
    clock, world = Clock(), World("ovo")
    clock.freeze(datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA))
    ends: list[tuple[object, End]] = []

    def finish(page: Page, end: End) -> str:
        ends.append((page.subject, end))
        return f"https://gw.test/cb?st=1&end={end.value}"

    pages = Pages(world, clock, Waits(link_life_s=60), prefix="/page", look=look, finish=finish, once=once)
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
    stage = make(look=replace(LOOK, brand="<OVO & co>"))
    async with stage.http:
        path = stage.open()
        for fields in ({}, {"agree": "yes"}, {"phone": PHONE}):
            text = (await stage.put(path, **fields)).text
            assert "&lt;OVO &amp; co&gt;" in text
            assert not re.search(r"https?://|<script|src=|<OVO", text)
            assert 'lang="id"' in text
            assert "width=device-width" in text
            assert text.count("<form") == 1


async def test_a_form_that_was_sent_before_counts_nothing(stage: Stage) -> None:
    """The back button, or a second click, sends the form of a step that is over: the page shows where it is."""
    path = stage.open(Step.AGREE, Step.OTP, Step.PIN)
    await stage.put(path, step="agree", agree="yes")
    for _ in range(3):
        assert 'name="otp"' in (await stage.put(path, step="agree", agree="yes")).text
    assert "Sisa percobaan: 2" in (await stage.put(path, step="otp", otp="0")).text
    assert 'name="pin"' in (await stage.put(path, step="otp", otp=stage.otp())).text
    ends = [await stage.put(path, step="pin", pin="123456") for _ in range(2)]
    assert [end.headers["location"] for end in ends] == ["https://gw.test/cb?st=1&end=agreed"] * 2
    assert stage.ends == [("binding", End.AGREED)]
    assert (await stage.put(path, step="otp", otp=stage.otp())).status_code == 410
    assert (await stage.http.get(path)).status_code == 410


LOOKS = {
    name: import_module(f"mock_partners.{name}.look").LOOK
    for name in PARTNERS
    if find_spec(f"mock_partners.{name}.look")
}


@pytest.mark.parametrize("name", LOOKS)
async def test_every_look_has_labels_errors_and_a_way_out(name: str) -> None:
    look = LOOKS[name]
    stage = make(look=look)
    async with stage.http:
        path = stage.open(*look.words, pin="123456")
        for step in look.words:
            text = (await stage.http.get(path)).text
            assert f"<footer>Halaman tiruan untuk pengujian, bukan halaman resmi {look.brand}." in text
            assert re.search(rf'<label for="{step.value}">\w|<label class="tick">', text)
            assert f'value="deny" formnovalidate>{look.refuse}</button>' in text
            assert not re.search("{(merchant|phone)}", text)
            wrong = (await stage.put(path, step=step.value)).text
            assert 'role="alert" id="problem"' in wrong
            assert 'aria-describedby="problem"' in wrong
            answers = {"agree": "yes", "phone": PHONE, "otp": "", "pin": "123456"}
            answers["otp"] = stage.otp() if step is Step.OTP else ""
            await stage.put(path, step=step.value, **{step.value: answers[step.value]})
        assert stage.ends == [("binding", End.AGREED)]
        end = await stage.http.get(path)
        assert look.gone.title in end.text
