"""Atoms of partners in trouble: tokens refused out of place, keys that change, words that contradict each other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mock_partners.bni import CREDENTIALS
from mock_partners.kit.scenario import parse_scenario
from mock_partners.pytest import PartnerInProcess
from tests.mock_partners.kit.staged import NOON, Stage, shows, toml
from tests.mock_partners.linkaja.conftest import LinkAja, linkaja

__all__ = ["linkaja"]


@shows("refuse_token")
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("service_00", {"responseCode": "4010000", "responseMessage": "Unauthorized. [Token]"}),
        ("invalid_00", {"responseCode": "4010001", "responseMessage": "Invalid Token (B2B)"}),
        ("service_73", {"responseCode": "4017301", "responseMessage": "Invalid Token (B2B)"}),
        ("called", {"responseCode": "4011700", "responseMessage": "Unauthorized. [Token]"}),
        ("gateway", {"message": "Invalid authentication credentials"}),
    ],
)
async def test_a_token_is_refused_before_the_service_is_known(stage: Stage, how: str, told: dict[str, str]) -> None:
    await stage.begin(f'refuse_token = "{how}"', 'operation = "payout"')
    reply = await stage.transfer_reply()
    assert (reply.status_code, reply.json(), stage.booked()) == (401, told, [])


@shows("accept_key")
async def test_two_keys_of_the_client_are_good_until_one_is_not(stage: Stage) -> None:
    first, following = stage.snap, copy.copy(stage.snap)
    following.pem = CREDENTIALS["next_keys"]["private_key_pem"]
    for key in (first, following):
        assert (await key.authenticate()).status_code == 200
    for accepted, answers in (("next", [401, 200]), ("first", [200, 401])):
        stage.partner.set_scenario(toml(f'accept_key = "{accepted}"', 'operation = "token"'))
        assert [(await key.authenticate()).status_code for key in (first, following)] == answers


@shows("fail_code", "then_completes_s")
async def test_iris_says_failed_and_then_completed(mock_partner: Callable[..., PartnerInProcess]) -> None:
    """In the order of `updated_at`, with the money booked all the same (decisions G8)."""
    do = 'fail_code = "006"\nthen_completes_s = 30'
    world = [{"account": "+6281234567890"}]
    gopay = mock_partner("gopay", world, scenario=toml(do, 'operation = "payout"'), frozen_at=NOON)

    async def iris(path: str, key: str, body: object) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        auth = (gopay.credentials[key], "")
        told: dict[str, Any] = (await gopay.http.post(path, json=body, auth=auth, headers=headers)).json()
        return told

    asked = {
        "beneficiary_name": "Budi", "beneficiary_account": "081234567890", "beneficiary_bank": "gopay",
        "amount": "600000", "notes": "R1",
    }  # fmt: skip
    made = await iris("/iris/api/v1/payouts", "iris_creator_key", {"payouts": [asked]})
    number = made["payouts"][0]["reference_no"]
    assert await iris("/iris/api/v1/payouts/approve", "iris_approver_key", {"reference_nos": [number]}) == {
        "status": "ok"
    }
    await gopay.advance(60)
    notices = [msgspec.json.decode(one.body) for one in gopay.notices]
    told = [(notice["status"], notice.get("error_code")) for notice in notices]
    assert told == [("processed", None), ("failed", "006"), ("completed", None)]
    moments = [notice["updated_at"] for notice in notices]
    assert moments == sorted(moments)
    assert [(one.partner_reference, one.kind.value) for one in gopay.world.books] == [(number, "credit")]


@shows("expire_session")
async def test_a_cash_in_session_that_has_expired(linkaja: LinkAja) -> None:
    linkaja.account()
    token = await linkaja.token()
    text = toml("expire_session = true", 'operation = "payout"\nnth = 1')
    linkaja.world.kept()["backstage"].set_scenario(parse_scenario(text))
    assert [await linkaja.pay(token), await linkaja.pay(token, "R2")] == ["40", "00"]
    assert [booking.reference for booking in linkaja.world.books] == ["R2"]


async def test_the_partners_clock_is_off_and_clients_go_on_working(stage: Stage) -> None:
    """Bookings go by it; X-TIMESTAMP is judged by the machine's (decisions X6, X12); set twice it is off no more."""
    await stage.begin("fee_rupiah = 1", 'operation = "payout"')
    for _ in range(2):
        stage.partner.set_scenario('title = "behind"\n[clock]\nskew_s = -900\n')
    assert await stage.pay() == "2001700"
    assert stage.world.books[0].booked_at.isoformat() == "2026-01-15T11:45:00+07:00"


async def test_the_log_tells_how_long_a_call_took_by_the_partners_clock(stage: Stage) -> None:
    await stage.begin("advance_clock_s = 2", 'operation = "payout"')
    assert await stage.pay() == "2001700"
    await stage.status()
    assert [call["took_ms"] for call in stage.partner.requests()[-2:]] == [2_000, 0]
