"""Linking by the gateway's own form: what is typed goes to the partner in the same request and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from contracts.incentive import BlockerCode
from contracts.linking import LinkInputs, LinkRefused, Unlinked
from contracts.secret import Secret
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import HOME, World, csrf, press
from tests.turns import in_turn

CARD, WRONG_OTP, OTP = "5371769900000009", "111222", "246813"
BEGIN = LinkInputs(names=("card_no",))
ASK_OTP = LinkInputs(names=("otp",), carry={"charge": Secret("charge-token")})
ASK_AGAIN = LinkInputs(names=("otp",), carry={"charge": Secret("charge-token")}, again=True)


class Form:
    """The gateway's form in one browser."""

    def __init__(self, world: World, link: dict[str, Any]) -> None:
        self.world = world
        self.link_id = link["link_id"]
        self.browser = world.browser()
        self.page = ""

    async def open(self, url: str) -> None:
        reply = await press(self.browser, url)
        if reply.status_code == 303:
            reply = await self.browser.get(reply.headers["location"])
        assert reply.status_code == 200, reply.text
        self.page = reply.text

    async def send(self, **fields: str) -> httpx.Response:
        """Send the form in, and load the page it leads to where that is the gateway's own."""
        body = {"csrf": csrf(self.page), "action": "continue", **fields}
        reply = await self.browser.post(f"/connect/{self.link_id}/inputs", data=body)
        if reply.status_code == 303 and reply.headers["location"].startswith("/connect/"):
            shown = await self.browser.get(reply.headers["location"])
            assert shown.status_code == 200
            self.page = shown.text
        elif reply.status_code != 303 and "csrf" in reply.text:
            self.page = reply.text
        return reply


async def form(world: World, pid: str) -> Form:
    link = await world.start(pid)
    world.banks["bank"].always["begin"] = BEGIN
    opened = Form(world, link)
    await opened.open(link["challenge"]["url"])
    return opened


async def test_card_and_otp_are_passed_on_and_found_nowhere(world: World) -> None:
    pid = await world.person("bank")
    opened = await form(world, pid)
    assert "Nomor kartu" in opened.page and 'name="viewport"' in opened.page
    assert "<script" not in opened.page and "http" not in opened.page.replace(HOME.split("?")[0], "").replace(
        "http-equiv", ""
    )
    world.banks["bank"].will("answer", httpx.ReadError("reset"), ASK_OTP, ASK_AGAIN, granted("card-token-1"))
    with capture_logs() as logged:
        await opened.send(card_no=CARD)
        assert (await opened.send(card_no=CARD)).status_code == 303
        assert "Kode OTP" in opened.page and "Nomor kartu" not in opened.page
        assert (await opened.send(otp=WRONG_OTP)).status_code == 303
        assert "Periksa dan coba lagi" in opened.page
        done = await opened.send(otp=OTP)
        await world.verification.tick()
    assert done.headers["location"] == f"{HOME}&link_id={opened.link_id}&outcome=linked"
    assert "https://core.example.test" in done.headers["content-security-policy"]
    sent = [content for name, content in world.banks["bank"].sent if name == "answer"]
    assert [content["inputs"] for content in sent] == [{"card_no": CARD}] * 2 + [{"otp": WRONG_OTP}, {"otp": OTP}]
    assert [content["carry"] for content in sent] == [{}] * 2 + [{"charge": "charge-token"}] * 2
    assert await world.incentive(pid) == ("scheduled", None)

    stored, said = await world.everything(), repr(logged)
    niks = [content["nik"] for name, content in world.banks["bank"].sent if name == "verify"]
    for secret in (CARD, WRONG_OTP, OTP, "card-token-1", "charge-token", "+6281200000001", "Siti Percobaan", *niks):
        assert secret not in stored and secret not in said and secret not in opened.page, secret
    assert len(niks) == 1 and logged


async def test_reload_and_double_submit_send_nothing_again(world: World) -> None:
    opened = await form(world, await world.person("bank"))
    goes_on = asyncio.Event()

    async def slow() -> Any:
        await goes_on.wait()
        return ASK_OTP

    world.banks["bank"].will("answer", slow)
    twice = [asyncio.create_task(opened.send(card_no=CARD)) for _ in range(2)]
    while not world.banks["bank"].calls("answer"):
        await asyncio.sleep(0.01)
    goes_on.set()
    # Whichever comes after the partner has answered finds a form that asks for something else.
    assert sorted(reply.status_code for reply in await asyncio.gather(*twice)) in ([303, 303], [303, 422])
    assert world.banks["bank"].calls("answer") == 1
    before = await world.everything()
    assert (await opened.browser.get(f"/connect/{opened.link_id}/inputs")).status_code == 200
    assert (await opened.send(card_no=CARD)).status_code == 422
    assert await world.everything() == before
    assert world.banks["bank"].calls("answer") == 1


@in_turn(
    "fields",
    [{}, {"card_no": ""}, {"card_no": "123"}, {"card_no": CARD + "0"}, {"otp": OTP}, {"card_no": CARD, "otp": OTP}],
)
async def test_what_cannot_be_right_is_not_passed_on(world: World, fields: dict[str, str]) -> None:
    opened = await form(world, await world.person("bank"))
    before = await world.everything()
    reply = await opened.send(**fields)
    assert reply.status_code == 422
    assert all(value not in reply.text for value in fields.values() if value)
    assert await world.everything() == before and not world.banks["bank"].calls("answer")


@pytest.mark.parametrize(
    ("card", "otp"),
    [
        ("5371 7699 0000 0009", "246 813"),
        ("5371-7699-0000-0009", "246-813"),
        (CARD.translate({ord("0") + n: 0xFF10 + n for n in range(10)}), "２４６８１３"),
        ("\u200e5371769900000009\u200f", "٢٤٦٨١٣"),
        ("5371\u00a07699\u00a00000\u00a00009", "\ufeff246813"),
    ],
)  # fmt: skip
async def test_digits_are_taken_as_people_type_and_paste_them(world: World, card: str, otp: str) -> None:
    opened = await form(world, await world.person("bank"))
    world.banks["bank"].will("answer", ASK_OTP, granted())
    assert (await opened.send(card_no=card)).status_code == 303
    assert (await opened.send(otp=otp)).headers["location"].endswith("outcome=linked")
    sent = [content["inputs"] for name, content in world.banks["bank"].sent if name == "answer"]
    assert sent == [{"card_no": CARD}, {"otp": OTP}]


async def test_only_the_form_of_this_browser_counts(world: World) -> None:
    opened = await form(world, await world.person("bank"))
    other = await form(world, await world.person("bank", "+6281200000002"))
    before = await world.everything()
    address = f"/connect/{opened.link_id}/inputs"
    body = {"csrf": csrf(opened.page), "card_no": CARD, "action": "continue"}
    assert (await world.browser().post(address, data=body)).status_code == 400
    assert (await other.browser.post(address, data=body)).status_code == 400
    for token in (csrf(other.page), "", "x" * 32):
        assert (await opened.browser.post(address, data={**body, "csrf": token})).status_code == 400
    assert (await opened.browser.post(address, content=b"x" * 5_000)).status_code == 413
    swapped = await opened.send(**{CARD: "card_no"})
    assert swapped.status_code == 422 and "Isian tidak sesuai" in swapped.text and CARD not in swapped.text
    assert (await world.browser().get(address)).status_code == 400
    assert (await opened.browser.get("/connect/L1/inputs")).status_code == 400
    assert await world.everything() == before and not world.banks["bank"].calls("answer")


async def test_the_participant_refuses_or_is_locked_out(world: World) -> None:
    refuses = await world.person("bank")
    opened = await form(world, refuses)
    reply = await opened.send(action="deny")
    assert reply.headers["location"].endswith("outcome=failed")
    assert await world.incentive(refuses) == ("awaiting_link", "consent_denied")

    locked = await world.person("bank", "+6281200000002")
    opened = await form(world, locked)
    refused = LinkRefused(code=BlockerCode.CONSENT_DENIED)
    world.banks["bank"].will("answer", ASK_OTP, ASK_AGAIN, ASK_AGAIN, refused)
    await opened.send(card_no=CARD)
    for _ in range(3):
        reply = await opened.send(otp=WRONG_OTP)
    assert reply.headers["location"].endswith("outcome=failed")
    assert await world.incentive(locked) == ("awaiting_link", "consent_denied")
    # A new link lifts it.
    await world.start(locked)
    assert await world.incentive(locked) == ("awaiting_link", "link_pending")


async def test_forms_are_taken_ten_times(world: World) -> None:
    pid = await world.person("bank")
    opened = await form(world, pid)
    world.banks["bank"].always["answer"] = LinkInputs(names=("card_no",), again=True)
    for _ in range(10):
        assert (await opened.send(card_no=CARD)).status_code == 303
    reply = await opened.send(card_no=CARD)
    assert reply.headers["location"].endswith("outcome=failed")
    assert world.banks["bank"].calls("answer") == 10
    assert await world.incentive(pid) == ("awaiting_link", "consent_denied")


async def test_a_code_that_does_not_come_is_asked_for_again_after_a_minute(world: World) -> None:
    opened = await form(world, await world.person("bank"))
    assert 'value="anew"' not in opened.page, "nothing was sent yet"
    world.banks["bank"].will("answer", ASK_OTP, ASK_OTP, granted())
    await opened.send(card_no=CARD)
    assert 'class="quiet later w60" name="action" value="anew"' in opened.page and "10.05.05 WIB" in opened.page
    world.clock.forward(38)
    assert (await opened.send(action="anew")).status_code == 303
    assert 'w25"' in opened.page and "Kode OTP" in opened.page and world.banks["bank"].calls("begin") == 1
    world.clock.forward(22)
    opened.page = (await opened.browser.get(f"/connect/{opened.link_id}/inputs")).text
    assert 'class="quiet" name="action" value="anew"' in opened.page and "WIB" not in opened.page
    body = {"csrf": "A" * 32, "action": "anew"}
    assert (await opened.browser.post(f"/connect/{opened.link_id}/inputs", data=body)).status_code == 400
    await opened.send(action="anew")
    assert "Nomor kartu" in opened.page and 'value="anew"' not in opened.page
    await opened.send(card_no=CARD)
    assert (await opened.send(otp=OTP)).headers["location"].endswith("outcome=linked")
    assert world.banks["bank"].calls("answer") == 3 and world.banks["bank"].calls("begin") == 2


async def test_codes_are_sent_no_oftener_than_forms_are_taken(world: World) -> None:
    opened = await form(world, await world.person("bank"))
    world.banks["bank"].always["answer"] = ASK_OTP
    for sent in range(1, 5):
        await opened.send(card_no=CARD)
        world.clock.forward(61)
        await opened.send(action="anew")
        assert world.banks["bank"].calls("answer") == sent and "Nomor kartu" in opened.page
    await opened.send(card_no=CARD)
    await opened.send(otp=WRONG_OTP)
    assert (await world.one("SELECT answers FROM links"))["answers"] == 10
    assert 'value="anew"' not in opened.page


async def test_an_answer_without_a_reply_begins_the_form_anew(world: World) -> None:
    opened = await form(world, await world.person("bank"))
    world.banks["bank"].will("answer", ASK_OTP, httpx.ReadError("reset"), httpx.ConnectError("refused"), granted())
    await opened.send(card_no=CARD)
    assert (await opened.send(otp=OTP)).status_code == 303
    assert "Nomor kartu" in opened.page and "Kode OTP" not in opened.page
    # Nothing left: what was asked is asked again.
    reply = await opened.send(card_no=CARD)
    assert reply.status_code == 503 and "Nomor kartu" in reply.text
    assert (await opened.send(card_no=CARD)).headers["location"].endswith("outcome=linked")
    assert world.banks["bank"].sent[-1][1]["carry"] == {}


async def test_an_otp_that_the_partner_sends_at_once_is_sent_again(world: World) -> None:
    """A wallet that asks nothing before it sends its OTP: an answer that was lost has used the first one up."""
    link = await world.start(await world.person("bank"))
    second = LinkInputs(names=("otp",), carry={"charge": Secret("second-token")})
    world.banks["bank"].will("begin", ASK_OTP, second)
    world.banks["bank"].will("answer", httpx.ReadError("reset"), granted())
    opened = Form(world, link)
    await opened.open(link["challenge"]["url"])
    assert (await opened.send(otp=WRONG_OTP)).status_code == 303
    assert "Kode OTP" in opened.page
    assert (await opened.send(otp=OTP)).headers["location"].endswith("outcome=linked")
    carried = [content["carry"] for name, content in world.banks["bank"].sent if name == "answer"]
    assert carried == [{"charge": "charge-token"}, {"charge": "second-token"}]


async def test_a_client_with_screens_of_its_own(world: World) -> None:
    pid = await world.person("bank")
    link = await world.start(pid)
    address = f"/v1/links/{link['link_id']}/inputs"
    world.banks["bank"].will("begin", BEGIN)
    world.banks["bank"].will("answer", ASK_OTP, ASK_AGAIN, granted())
    before = await world.everything()
    bad: list[tuple[dict[str, Any], int]] = [
        ({"inputs": {"card_no": "12"}}, 422),
        ({"inputs": {"otp": OTP}}, 422),
        ({"inputs": {CARD: "card_no"}}, 422),
        ({"inputs": {}}, 422),
        ({"inputs": {"card_no": 5}}, 422),
        ({"card_no": CARD}, 422),
    ]
    for body, status in bad:
        reply = await world.api.post(address, json=body)
        assert reply.status_code == status and CARD not in reply.text, body
    assert await world.everything() == before
    first = await world.api.post(address, json={"inputs": {"card_no": CARD}})
    assert first.status_code == 200, first.text
    assert first.json()["state"] == "opened"
    assert [asked["name"] for asked in first.json()["challenge"]["inputs"]] == ["otp"]
    again = await world.api.post(address, json={"inputs": {"otp": WRONG_OTP}})
    assert again.json()["challenge"]["again"] is True
    done = await world.api.post(address, json={"inputs": {"otp": OTP}})
    assert (done.json()["state"], done.json()["challenge"]) == ("active", None)
    more = await world.api.post(address, json={"inputs": {"otp": OTP}})
    assert (more.status_code, more.json()["code"]) == (409, "link_wants_nothing")
    assert CARD not in first.text and OTP not in done.text and OTP not in more.text


async def test_a_partner_that_links_by_redirect_takes_no_inputs(world: World) -> None:
    link = await world.start(await world.person("shared"))
    before = await world.everything()
    reply = await world.api.post(f"/v1/links/{link['link_id']}/inputs", json={"inputs": {"card_no": CARD}})
    assert (reply.status_code, reply.json()["code"]) == (422, "not_supported")
    assert await world.everything() == before


async def test_giving_a_link_back_may_want_an_otp(world: World) -> None:
    pid = await world.person("bank")
    link = await world.start(pid)
    address = f"/v1/links/{link['link_id']}"
    world.banks["bank"].will("begin", BEGIN)
    world.banks["bank"].will("answer", granted("card-token"))
    await world.api.post(f"{address}/inputs", json={"inputs": {"card_no": CARD}})
    world.banks["bank"].will("unlink", ASK_OTP, ASK_AGAIN, Unlinked())
    asked = await world.api.delete(address)
    assert asked.status_code == 202 and [one["name"] for one in asked.json()["challenge"]["inputs"]] == ["otp"]
    assert await world.linking.tick_unlinking() == 0
    busy = await world.api.post("/v1/links", json={"participant_id": pid, "return_url": HOME})
    assert busy.json()["code"] == "link_unlinking" and "/inputs" in busy.json()["remedy"], "time alone ends nothing"
    wrong = await world.api.post(f"{address}/inputs", json={"inputs": {"otp": WRONG_OTP}})
    assert wrong.json()["state"] == "unlinking" and wrong.json()["challenge"]["again"] is True
    right = await world.api.post(f"{address}/inputs", json={"inputs": {"otp": OTP}})
    assert right.json()["state"] == "unlinked"
    assert await world.facts(pid) == (False, False, "link_required")
    assert (await world.link(link["link_id"]))["grant_sealed"] is None
    again = await world.api.delete(address)
    assert (again.status_code, again.json()["state"]) == (200, "unlinked")


async def test_a_link_whose_otp_nobody_types_stays(world: World) -> None:
    pid = await world.person("bank")
    link = await world.start(pid)
    address = f"/v1/links/{link['link_id']}"
    world.banks["bank"].will("begin", BEGIN)
    world.banks["bank"].will("answer", granted("card-token"))
    await world.api.post(f"{address}/inputs", json={"inputs": {"card_no": CARD}})
    await world.verification.tick()
    world.banks["bank"].will("unlink", ASK_OTP)
    await world.api.delete(address)
    world.clock.forward(901)
    assert await world.linking.tick_expiry() == 1
    assert (await world.link(link["link_id"]))["state"] == "active"
    assert await world.incentive(pid) == ("scheduled", None)
