"""Midtrans' payouts over SNAP and the SDK's token (wallets.md 2.5, 2.7)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.mock_partners.signers import ENDPOINTS, Signer
from tests.mock_partners.wire import Got, Mock, Sent, start

BY_SERVICE = {endpoint.service: endpoint for endpoint in ENDPOINTS if endpoint.partner == "gopay"}


class Wallet:
    """A mock with a client that is logged in."""

    def __init__(self, mock: Mock) -> None:
        self.mock, self.signer = mock, Signer(mock)

    async def ask(self, service: str, *, external_id: str = "", **changes: Any) -> dict[str, Any]:
        if not self.signer.token:
            await self.signer.authenticate()
        endpoint = BY_SERVICE[service]
        sent = self.signer.sign(replace(endpoint, body={**endpoint.body, **changes}))
        got = await self.mock.send(sent.with_header("x-external-id", external_id) if external_id else sent)
        assert got.code
        return got.json

    async def code(self, service: str, **changes: Any) -> str:
        return str((await self.ask(service, **changes))["responseCode"])

    async def status(self, reference: str) -> str:
        told = await self.ask("36", originalPartnerReferenceNo=reference)
        return str(told.get("latestTransactionStatus") or told["responseCode"])

    def notified(self) -> list[tuple[str, str]]:
        key = self.mock.secrets["iris_merchant_key"].encode()
        told = []
        for notice in self.mock.notices:
            assert notice.headers["Iris-Signature"] == hashlib.sha512(notice.body + key).hexdigest()
            body = json.loads(notice.body)
            told.append((body["partner_reference_no"], body["status"]))
        return told


@pytest.fixture
def wallet() -> Wallet:
    return Wallet(start("gopay", settlement_s=5, reversal_s=60))


async def test_inquiry_top_up_status_and_notification(wallet: Wallet) -> None:
    known = await wallet.ask("37")
    assert (known["responseCode"], known["customerName"]) == ("2003700", "BUDI SANTOSO")
    paid = await wallet.ask("38", partnerReferenceNo="P1")
    assert (paid["responseCode"], paid["amount"]["value"]) == ("2003800", "50000.00")
    assert await wallet.status("P1") == "00"
    await wallet.mock.scheduler.run_due()
    assert wallet.notified() == [("P1", "completed")]
    assert await wallet.code("38", partnerReferenceNo="P1") == "4093801"
    assert await wallet.code("38", partnerReferenceNo="P1", amount={"value": "1.00", "currency": "IDR"}) == "4043818"
    assert await wallet.status("P2") == "4043601"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"customerNumber": "081999999999"}, "4043811"),
        ({"customerNumber": "08271939753"}, "4033818"),
        ({"amount": {"value": "20000001.00", "currency": "IDR"}}, "4033802"),
        ({"customerName": ""}, "4003802"),
        ({"notes": "not-allowed!"}, "4003801"),
        ({"notes": "n" * 101}, "4003801"),
        ({"notes": ""}, "4003802"),
        ({"additionalInfo": {}}, "4003802"),
        ({"additionalInfo": {"beneficiaryProvider": "another"}}, "4003801"),
        ({"external_id": "not-a-number"}, "4003801"),
    ],
)
async def test_refusals(wallet: Wallet, changes: dict[str, Any], expected: str) -> None:
    assert await wallet.code("38", **changes) == expected
    assert await wallet.status("38") == "4043601"


async def test_a_repeated_external_id_gets_its_success_again(wallet: Wallet) -> None:
    """Whatever is asked for with it; one that was refused has none and is a conflict (decisions X5)."""
    first = await wallet.ask("38", external_id="77", partnerReferenceNo="A1")
    again = await wallet.ask("38", external_id="77", partnerReferenceNo="A2")
    assert (first["responseCode"], again) == ("2003800", first)
    assert [booking.reference for booking in wallet.mock.world.books] == ["A1"]
    wallet.mock.world.deposit_rupiah = 0
    assert (await wallet.ask("38", external_id="78", partnerReferenceNo="A3"))["responseCode"] == "4033814"
    assert (await wallet.ask("38", external_id="78", partnerReferenceNo="A3"))["responseCode"] == "4093800"


async def test_a_short_deposit(wallet: Wallet) -> None:
    wallet.mock.world.deposit_rupiah = 49_999
    assert await wallet.code("38") == "4033814"


@pytest.mark.parametrize(
    ("behaviour", "answer", "statuses", "notices"),
    [
        ("pay:pending_then_success", "2023800", ["03", "03", "00"], ["completed"]),
        ("pay:pending_then_failed", "2023800", ["03", "03", "06"], ["failed"]),
        ("pay:timeout_no_credit", "5043800", ["4043601"], []),
        ("pay:false_not_found", "5043800", ["4043601", "4043601", "00"], ["completed"]),
        ("pay:reversed_later", "2003800", ["00"], ["completed", "failed"]),
    ],
)
async def test_behaviours(wallet: Wallet, behaviour: str, answer: str, statuses: list[str], notices: list[str]) -> None:
    account = wallet.mock.world.accounts["+628215023424"]
    account.behaviour = type(account.behaviour)(behaviour)
    assert await wallet.code("38") == answer
    wallet.mock.clock.shift(5)
    assert [await wallet.status("38") for _ in statuses] == statuses
    wallet.mock.clock.shift(60)
    await wallet.mock.scheduler.run_due()
    await wallet.mock.scheduler.run_due()
    assert [status for _, status in wallet.notified()] == notices


async def test_an_end_that_comes_by_itself_is_told_though_nobody_looks(wallet: Wallet) -> None:
    body = b'title = "x"\n[[rule]]\nname = "x"\nwhen = { operation = "payout" }\ndo = { settle_after_s = 30 }\n'
    assert (await wallet.mock.send(Sent("PUT", "/__mock__/scenario", body=body))).status == 200
    assert await wallet.code("38", partnerReferenceNo="P1") == "2023800"
    assert wallet.notified() == []
    wallet.mock.clock.shift(30)
    await wallet.mock.scheduler.run_due()
    await wallet.mock.scheduler.run_due()
    assert wallet.notified() == [("P1", "completed")]


def identity(wallet: Wallet, path: str, token: str, **headers: str) -> Sent:
    named = {"x-merchant-id": "PRAKERJA", "authorization": token}
    return Sent(
        "GET", f"/forward/gopay-id/{path}", headers=named | {k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_the_linking_token_is_exchanged_for_the_sdks(wallet: Wallet) -> None:
    token, path = wallet.mock.customer_token(), "identity/v1/gopay-id/token"

    async def ask(token: str, **headers: str) -> Got:
        return await wallet.mock.send(identity(wallet, path, token, **headers))

    got = await ask(token, request_id="1")
    assert (got.status, got.json["success"], got.json["data"]["expiresIn"]) == (200, True, 300)
    assert (await ask(token)).status == 400
    assert (await ask("another", request_id="1")).status == 401
    account = next(iter(wallet.mock.world.accounts.values()))
    account.behaviour = type(account.behaviour)("verify:unavailable_twice")
    assert [(await ask(token, request_id="1")).status for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize(("phone", "state"), [("+62800900091", "INITIATED"), ("+62800900092", "ERROR")])
async def test_submissions_that_stay_as_they_are(wallet: Wallet, phone: str, state: str) -> None:
    accounts = wallet.mock.world.accounts
    wallet.mock.world.accounts = {phone: accounts[phone]}
    token, path = wallet.mock.customer_token(), "kyc/inbound/v1/users/submissions/current"
    sent = identity(wallet, path, token, correlation_id="0b9e6d0a-0000-4000-8000-000000000001")
    for _ in range(3):
        got = await wallet.mock.send(sent)
        assert (got.status, got.json["data"]["status"]) == (200, state)
        assert "submissionData" not in got.json["data"]
