"""Atoms on the connection, the door and the answer, each seen at the BNI mock."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.mock_partners.kit.staged import OTHER, TRANSFER, Stage, shows

PAYOUT = 'operation = "payout"'


@shows("delay_s")
async def test_delay_comes_before_the_work(stage: Stage) -> None:
    await stage.begin("delay_s = 0.2", PAYOUT)
    began = time.monotonic()
    assert await stage.pay() == "2001700"
    assert time.monotonic() - began >= 0.2


@shows("slow_answer_s", "trickle_s")
async def test_a_slow_answer_and_a_trickled_one_are_whole(stage: Stage) -> None:
    await stage.begin("slow_answer_s = 0.1\ntrickle_s = 0.1", PAYOUT)
    began = time.monotonic()
    assert await stage.pay() == "2001700"
    assert time.monotonic() - began >= 0.2


@shows("drop_before_booking")
async def test_a_drop_before_booking_books_nothing(stage: Stage) -> None:
    await stage.begin("drop_before_booking = true", f"{PAYOUT}\nnth = 1")
    with pytest.raises(httpx.ReadError):
        await stage.transfer_reply()
    assert stage.booked() == []
    assert await stage.status() == "4043601"
    assert await stage.pay() == "2001700"


@shows("drop_after_booking")
async def test_a_drop_after_booking_has_booked(stage: Stage) -> None:
    await stage.begin("drop_after_booking = true", f"{PAYOUT}\nnth = 1")
    with pytest.raises(httpx.ReadError):
        await stage.transfer_reply()
    assert stage.booked() == [("R1", 600_000, "credit")]
    assert await stage.status() == "00"
    assert await stage.pay() == "4091701"


@shows("close_without_answer")
async def test_a_closed_connection_has_booked(stage: Stage) -> None:
    await stage.begin("close_without_answer = true", PAYOUT)
    with pytest.raises(httpx.RemoteProtocolError):
        await stage.transfer_reply()
    assert len(stage.booked()) == 1


@shows("cut_answer")
async def test_half_an_answer_has_booked(stage: Stage) -> None:
    await stage.begin("cut_answer = true", PAYOUT)
    with pytest.raises(httpx.RemoteProtocolError):
        await stage.transfer_reply()
    assert len(stage.booked()) == 1


@shows("code", "message")
async def test_a_code_refuses_without_booking_and_after_the_checks(stage: Stage) -> None:
    await stage.begin('code = "403xx14"\nmessage = "Insufficient Funds"', PAYOUT)
    reply = await stage.transfer_reply()
    assert reply.status_code == 403
    assert reply.json() == {"responseCode": "4031714", "responseMessage": "Insufficient Funds"}
    assert stage.booked() == []
    unsigned = await stage.snap.post(TRANSFER, stage.transfer(), headers={"x_signature": "bad"})
    assert unsigned.json()["responseCode"] == "4011700"


@shows("status", "body", "headers")
async def test_status_body_and_headers_in_place_of_the_work(stage: Stage) -> None:
    do = 'status = 418\nbody = \'{"of":"{partnerReferenceNo}","sum":"{amount.value}","keep":"{unknown}"}\''
    await stage.begin(do + '\nheaders = { "X-Note" = "staged" }', PAYOUT)
    reply = await stage.transfer_reply("R7")
    assert (reply.status_code, reply.headers["X-Note"]) == (418, "staged")
    assert reply.json() == {"of": "R7", "sum": "600000.00", "keep": "{unknown}"}
    assert stage.booked() == []


@shows("booked")
async def test_booked_does_the_work_behind_the_other_answer(stage: Stage) -> None:
    await stage.begin('code = "504xx00"\nbooked = true', PAYOUT)
    assert await stage.pay() == "5041700"
    assert len(stage.booked()) == 1


@shows("repeat_previous_answer")
async def test_the_previous_answer_is_sent_once_more(stage: Stage) -> None:
    await stage.begin("repeat_previous_answer = true", f"{PAYOUT}\nnth = 2")
    first, second = await stage.transfer_reply("R1"), await stage.transfer_reply("R2", OTHER)
    assert second.content == first.content
    assert [reference for reference, _, _ in stage.booked()] == ["R1", "R2"]


@shows("answer_code")
async def test_another_code_after_booking(stage: Stage) -> None:
    await stage.begin('answer_code = "403xx18"', PAYOUT)
    assert await stage.pay() == "4031718"
    assert len(stage.booked()) == 1


@shows("unlisted_code")
async def test_a_code_that_no_table_lists(stage: Stage) -> None:
    await stage.begin("unlisted_code = true", PAYOUT)
    assert await stage.pay() == "2001799"


@shows("http_status")
async def test_the_http_status_disagrees_with_the_code(stage: Stage) -> None:
    await stage.begin("http_status = 500", PAYOUT)
    reply = await stage.transfer_reply()
    assert (reply.status_code, reply.json()["responseCode"]) == (500, "2001700")


@shows("code_as_int")
async def test_the_code_as_a_number(stage: Stage) -> None:
    await stage.begin("code_as_int = true", PAYOUT)
    assert (await stage.transfer_reply()).json()["responseCode"] == 2_001_700


@shows("set", "remove", "wrong_type")
async def test_fields_are_set_removed_and_retyped(stage: Stage) -> None:
    do = (
        'set = { "additionalInfo.deep.note" = "x", referenceNo = 7 }\nremove = ["currency", "nowhere"]\n'
        'wrong_type = ["amount.value", "partnerReferenceNo", "additionalInfo"]'
    )
    await stage.begin(do, PAYOUT)
    told = (await stage.transfer_reply()).json()
    assert told["referenceNo"] == 7
    assert "currency" not in told
    assert told["amount"]["value"] == 600_000.0
    assert told["partnerReferenceNo"] == ["R1"]
    assert told["additionalInfo"] == [{"deep": {"note": "x"}}]


@shows("wrong_amount_rupiah")
@pytest.mark.parametrize("operation", ["payout", "status", "statement", "balance"])
async def test_a_wrong_amount_wherever_one_is_shown(stage: Stage, operation: str) -> None:
    await stage.begin("wrong_amount_rupiah = 1", f'operation = "{operation}"')
    paid = await stage.transfer_reply()
    replies: dict[str, Any] = {
        "payout": lambda: paid.json()["amount"]["value"],
        "status": lambda: status["amount"]["value"],
        "statement": lambda: rows[0]["amount"]["value"],
        "balance": lambda: balance["accountInfos"][0]["availableBalance"]["value"],
    }
    status, rows = (await stage.status_reply()).json(), await stage.rows()
    balance = (await stage.balance()).json()
    assert {name for name, value in replies.items() if value() == "1.00"} == {operation}
    assert stage.booked() == [("R1", 600_000, "credit")]


DAMAGE = {
    "truncated": lambda reply: len(reply.content) == int(reply.headers["Content-Length"]) > 50,
    "html": lambda reply: reply.headers["Content-Type"].startswith("text/html") and reply.text.startswith("<html>"),
    "empty_body": lambda reply: reply.content == b"",
    "not_json": lambda reply: reply.content.endswith(b",}"),
    "not_utf8": lambda reply: b"\xff\xfe" in reply.content,
}


@shows(*DAMAGE)
@pytest.mark.parametrize("atom", DAMAGE)
async def test_answers_that_are_no_json(stage: Stage, atom: str) -> None:
    await stage.begin(f"{atom} = true", PAYOUT)
    reply = await stage.transfer_reply()
    assert reply.status_code == 200
    assert DAMAGE[atom](reply)
    with pytest.raises(ValueError):
        json.loads(reply.content.decode())
    assert len(stage.booked()) == 1


@shows("not_an_object")
async def test_a_list_around_the_answer(stage: Stage) -> None:
    await stage.begin("not_an_object = true", PAYOUT)
    assert (await stage.transfer_reply()).json()[0]["responseCode"] == "2001700"


@shows("duplicate_keys")
async def test_every_key_twice(stage: Stage) -> None:
    await stage.begin("duplicate_keys = true", PAYOUT)
    pairs = json.loads((await stage.transfer_reply()).content, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert names[0::2] == names[1::2]
    assert dict(pairs)["responseCode"] == "2001700"


@shows("content_type", "set_headers")
async def test_headers_of_the_answer(stage: Stage) -> None:
    await stage.begin('content_type = "text/plain"\nset_headers = { "X-TIMESTAMP" = "never" }', PAYOUT)
    reply = await stage.transfer_reply()
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.headers["X-TIMESTAMP"] == "never"


@shows("rate_limit")
async def test_too_many_requests(stage: Stage) -> None:
    await stage.begin("rate_limit = { calls = 2, per_s = 10, retry_after_s = 7 }", PAYOUT)
    stage.partner.freeze()
    codes = [await stage.pay(f"R{number}") for number in (1, 2)]
    refused = await stage.transfer_reply("R3")
    assert [*codes, refused.json()["responseCode"]] == ["2001700", "2001700", "4291700"]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert (await stage.status_reply()).status_code == 200
    await stage.partner.advance(10)
    assert await stage.pay("R3") == "2001700"


@shows("outage")
@pytest.mark.parametrize(("kind", "status"), [("bad_gateway", 502), ("unavailable", 503), ("gateway_timeout", 504)])
async def test_an_outage_answers_before_any_check(stage: Stage, kind: str, status: int) -> None:
    await stage.begin(f'outage = "{kind}"')
    reply = await stage.snap.post(TRANSFER, {}, headers={"x_signature": "bad"})
    assert reply.status_code == status
    assert reply.text.startswith("<html>")
    assert stage.booked() == []


@shows("maintenance", "cut_off")
async def test_maintenance_and_cut_off_have_hours(stage: Stage) -> None:
    stage.partner.freeze(stage.clock.now().replace(hour=23, minute=30))
    await stage.begin("cut_off = true", f"{PAYOUT}\nbetween = [23:00:00, 01:00:00]")
    assert await stage.pay() == "4031706"
    await stage.partner.advance(91 * 60)
    await stage.snap.authenticate()
    assert await stage.pay() == "2001700"
    await stage.begin("maintenance = true")
    reply = await stage.balance()
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "3600")
