"""Every failure of SNAP's table can be had at every mock by the account's number alone (snap-bni.md 1.8)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from mock_partners.gopay.payouts import MESSAGES as IRIS_MESSAGES
from mock_partners.kit.snap.magic import MESSAGES, named
from tests.mock_partners.signers import ENDPOINTS, Signer
from tests.mock_partners.wire import Mock, Sent, start
from tests.partners.kit import JSON, Endpoint, basic

NAMES = ("beneficiaryAccountNo", "customerNumber", "accountNo", "phoneNo", "msisdn")
SPELLINGS = {"phoneNo": "0800{}", "customerNumber": "0800{}"}


def magic(endpoint: Endpoint, code: str) -> Endpoint | None:
    """The call with a number that names a code in place of its account; None for a call that names no account."""
    name = next((name for name in NAMES if isinstance(endpoint.body, dict) and name in endpoint.body), None)
    if name is None or endpoint.service == "14":
        return None
    spelling = "62800{}" if str(endpoint.body[name]).startswith("62") else SPELLINGS.get(name)
    number = spelling.format(f"9{code}") if spelling else f"99999{code}"
    changed: dict[str, Any] = {**endpoint.body, name: number}
    if "partnerReferenceNo" in changed:
        changed["partnerReferenceNo"] = f"{endpoint.service}{code}"
    return replace(endpoint, body=changed)


CALLS = [endpoint for endpoint in ENDPOINTS if magic(endpoint, "40411")]


@pytest.mark.parametrize("endpoint", CALLS, ids=lambda endpoint: endpoint.id)
def test_every_failure_of_the_table(endpoint: Endpoint) -> None:
    async def ask() -> None:
        mock = start(endpoint.partner)
        signer = Signer(mock, endpoint.product)
        await signer.authenticate()
        for code in MESSAGES:
            asked = magic(endpoint, code)
            assert asked is not None
            got = await mock.send(signer.sign(asked, bearer=endpoint.bearer and None))
            assert got.code == f"{code[:3]}{endpoint.service}{code[3:]}"
            assert got.json["responseMessage"] == MESSAGES[code]
        assert not (await mock.send(Sent("GET", "/__mock__/books"))).body

    asyncio.run(ask())


def test_the_calls_are_those_that_name_an_account() -> None:
    assert {(call.partner, call.service) for call in CALLS} >= {
        ("bni", "15"), ("bni", "16"), ("bni", "17"), ("bni", "18"), ("bni", "22"), ("bni", "23"), ("bni", "97"),
        ("gopay", "37"), ("gopay", "38"), ("linkaja", "07"), ("ovo", "07"), ("ovo", "37"), ("ovo", "38"),
        ("dana", "37"), ("dana", "38"),
    }  # fmt: skip


@pytest.mark.parametrize("number", ["0115476117", "081234567890", "99999404", "9999940403x", "+6280094040300"])
def test_customers_numbers_are_not_magic(number: str) -> None:
    assert named(number) is None


async def iris(mock: Mock, key: str, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
    got = await mock.send(Sent(method, f"/iris/api/v1/{path}", headers=JSON | basic(mock.secrets[key]), body=body))
    return got.json


def test_every_error_code_of_iris() -> None:
    """A payout to 08009000CC fails with code 0CC, told by the notification alone (wallets.md 2.6)."""

    async def ask() -> dict[str, str]:
        mock, told = start("gopay", settlement_s=1), {}
        for code in IRIS_MESSAGES:
            payout = {
                "beneficiary_name": "B",
                "beneficiary_account": f"08009000{code[1:]}",
                "beneficiary_bank": "gopay",
            }
            asked = {"payouts": [{**payout, "amount": "1", "notes": "N"}]}
            made = await iris(mock, "iris_creator_key", "POST", "payouts", json.dumps(asked).encode())
            number = made["payouts"][0]["reference_no"]
            approval = f'{{"reference_nos":["{number}"]}}'.encode()
            assert await iris(mock, "iris_approver_key", "POST", "payouts/approve", approval) == {"status": "ok"}
            mock.notices.clear()
            for _ in range(4):
                mock.clock.shift(1)
                await mock.scheduler.run_due()
            assert (await iris(mock, "iris_creator_key", "GET", f"payouts/{number}"))["status"] == "failed"
            failed = next(notice.body.decode() for notice in mock.notices if b'"failed"' in notice.body)
            told[code] = failed.partition('"error_code":"')[2][:3]
        return told

    assert asyncio.run(ask()) == {code: code for code in IRIS_MESSAGES}
