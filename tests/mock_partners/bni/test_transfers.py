"""BNI's transfers: caps do not exist, duplicates, every pay behaviour, statement, balance, and a restarted app."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from mock_partners.bni import create_app
from mock_partners.kit.waits import Waits
from tests.mock_partners.bni.conftest import SECRETS, Bni, code

STATEMENT = "/snap-service/v1/bank-statement"


async def books(bni: Bni) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await bni.http.get("/__mock__/books")).text.splitlines()]


async def pending(bni: Bni) -> dict[str, int]:
    counts: dict[str, int] = (await bni.http.get("/__mock__/pending")).json()
    return counts


async def statement(bni: Bni, day: str = "2026-01-15", page: str = "1", **changes: Any) -> httpx.Response:
    body = {
        "partnerReferenceNo": "S", "accountNo": SECRETS["source_account"], "fromDateTime": f"{day}T00:00:00+07:00",
        "toDateTime": f"{day}T23:59:59+07:00", "additionalInfo": {"page": page}, **changes,
    }  # fmt: skip
    return await bni.snap.post(STATEMENT, body)


async def test_a_transfer_is_booked_once_and_answers_as_documented(bni: Bni) -> None:
    account = bni.account()
    reply = await bni.snap.post("/snap-service/v1/transfer-intrabank", bni.transfer())
    assert code(reply) == "2001700"
    told = reply.json()
    assert told.pop("responseMessage")
    assert told.pop("referenceNo")
    assert told == {
        "responseCode": "2001700", "partnerReferenceNo": "R1", "amount": {"value": "600000.00", "currency": "IDR"},
        "beneficiaryAccountNo": "7000000001", "currency": "IDR", "customerReference": "R1",
        "sourceAccountNo": SECRETS["source_account"], "transactionDate": "2026-01-15T12:00:00+07:00",
        "additionalInfo": {},
    }  # fmt: skip
    assert await bni.status() == "00"
    assert [(line["reference"], line["amount_rupiah"], line["kind"]) for line in await books(bni)] == [
        ("R1", 600_000, "credit")
    ]
    assert account.balance_rupiah == 600_000
    assert bni.world.deposit_rupiah == 10**12 - 600_000


async def test_a_repeated_reference(bni: Bni) -> None:
    bni.account()
    bni.account("7000000002")
    assert await bni.pay() == "2001700"
    assert await bni.pay() == "4091701"
    assert await bni.pay(amount={"value": "600001.00", "currency": "IDR"}) == "4041718"
    assert await bni.pay(account="7000000002") == "4041718"
    assert await bni.pay(sourceAccountNo="0114754574") == "4041718"
    assert await bni.pay(remark="other", transactionDate="2026-01-16T09:00:00+07:00") == "4091701"
    bni.clock.shift(86_400 * 70)
    await bni.snap.authenticate()
    assert await bni.pay() == "4091701"
    assert len(await books(bni)) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partnerReferenceNo": ""}, "4001701"),
        ({"partnerReferenceNo": "1" * 65}, "4001701"),
        ({"partnerReferenceNo": 1}, "4001701"),
        ({"amount": {"value": "600000", "currency": "IDR"}}, "4001701"),
        ({"amount": {"value": "600000.50", "currency": "IDR"}}, "4001701"),
        ({"amount": {"value": 600000, "currency": "IDR"}}, "4001701"),
        ({"amount": {"value": "0.00", "currency": "IDR"}}, "4001701"),
        ({"amount": {"value": "-5.00", "currency": "IDR"}}, "4001701"),
        ({"amount": {"value": "600000.00", "currency": "USD"}}, "4001701"),
        ({"amount": "600000.00"}, "4001701"),
        ({"beneficiaryAccountNo": ""}, "4001701"),
        ({"beneficiaryAccountNo": "70000 0001"}, "4001701"),
        ({"sourceAccountNo": None}, "4001701"),
        ({"transactionDate": "2026-01-15 12:00"}, "4001701"),
        ({"transactionDate": "2026-01-15T12:00:00"}, "4001701"),
        ({"remark": "x" * 51}, "4001701"),
        ({"customerReference": "1" * 31}, "4001701"),
        ({"sourceAccountNo": "0114754574"}, "4031714"),
        ({"sourceAccountNo": "0999999999"}, "4031715"),
        ({"beneficiaryAccountNo": "7999999999"}, "4041711"),
        ({"beneficiaryAccountNo": "7000000009"}, "4031718"),
    ],
)
async def test_refused_transfers_change_nothing(bni: Bni, changes: dict[str, Any], expected: str) -> None:
    bni.account()
    bni.account("7000000009", status="blocked")
    body = {**bni.transfer(), **changes}
    assert code(await bni.snap.post("/snap-service/v1/transfer-intrabank", body)) == expected
    assert await books(bni) == []
    assert bni.world.deposit_rupiah == 10**12
    assert await bni.status() == "4043601"


async def test_a_short_deposit_is_told_and_the_reference_stays_free(bni: Bni) -> None:
    bni.account()
    bni.world.deposit_rupiah = 599_999
    assert await bni.pay() == "4031714"
    bni.world.deposit_rupiah = 600_000
    assert await bni.pay() == "2001700"
    assert bni.world.deposit_rupiah == 0


async def test_a_bank_account_has_no_ceiling(bni: Bni) -> None:
    bni.account(kyc="basic", balance_rupiah=50_000_000)
    assert await bni.pay() == "2001700"


async def test_lost_answer_books_and_resets(bni: Bni) -> None:
    bni.account(behaviour="pay:lost_answer")
    with pytest.raises(httpx.ReadError):
        await bni.pay()
    assert await bni.status() == "00"
    assert await bni.pay() == "4091701"
    assert await bni.pay("R2") == "2001700"
    assert [line["reference"] for line in await books(bni)] == ["R1", "R2"]


async def test_timeout_no_credit_books_nothing_and_a_resend_is_new(bni: Bni) -> None:
    bni.account(behaviour="pay:timeout_no_credit")
    assert await bni.pay() == "5041700"
    for _ in range(5):
        assert await bni.status() == "4043601"
    assert await books(bni) == []
    assert bni.world.deposit_rupiah == 10**12
    assert (await statement(bni)).json()["detailData"] == []
    assert await bni.pay() == "2001700"
    assert await bni.pay() == "4091701"
    assert await bni.pay("R2") == "2001700"


async def test_false_not_found_hides_a_booked_payout_from_two_look_ups(bni: Bni) -> None:
    bni.account(behaviour="pay:false_not_found")
    assert await bni.pay() == "5041700"
    assert len(await books(bni)) == 1
    assert [await bni.status() for _ in range(4)] == ["4043601", "4043601", "00", "00"]


async def test_a_resend_after_false_not_found_does_not_pay_twice(bni: Bni) -> None:
    bni.account(behaviour="pay:false_not_found")
    assert await bni.pay() == "5041700"
    assert await bni.pay() == "4091701"
    assert len(await books(bni)) == 1


@pytest.mark.parametrize(
    ("behaviour", "end", "lines"), [("pay:pending_then_success", "00", 1), ("pay:pending_then_failed", "06", 0)]
)
async def test_pending_settles_after_two_look_ups_and_the_settlement_time(
    bni: Bni, behaviour: str, end: str, lines: int
) -> None:
    bni.account(behaviour=behaviour)
    assert await bni.pay() == "2021700"
    assert await bni.pay() == "2021700"
    assert await bni.pay(amount={"value": "1.00", "currency": "IDR"}) == "4041718"
    assert bni.world.deposit_rupiah == 10**12 - 600_000
    assert [await bni.status() for _ in range(4)] == ["03"] * 4
    assert await pending(bni) == {"unsettled": 1, "scheduled": 0, "undelivered": 0}
    bni.clock.shift(5)
    assert await bni.status() == end
    assert await pending(bni) == {"unsettled": 0, "scheduled": 0, "undelivered": 0}
    assert len(await books(bni)) == lines
    assert bni.world.deposit_rupiah == 10**12 - 600_000 * lines


async def test_pending_needs_two_look_ups_however_late(bni: Bni) -> None:
    bni.account(behaviour="pay:pending_then_success")
    assert await bni.pay() == "2021700"
    bni.clock.shift(600)
    assert [await bni.status() for _ in range(3)] == ["03", "03", "00"]


async def test_a_failed_reference_is_new_again_and_a_new_one_is_not_scripted(bni: Bni) -> None:
    bni.account(behaviour="pay:pending_then_failed")
    assert await bni.pay() == "2021700"
    bni.clock.shift(5)
    assert [await bni.status() for _ in range(3)] == ["03", "03", "06"]
    assert await bni.pay("R2") == "2001700"
    assert await bni.pay("R1") == "2021700"


async def test_slow_answers_after_three_seconds(bni: Bni) -> None:
    bni.account(behaviour="pay:slow")
    asked = asyncio.create_task(bni.pay())
    while not bni.world.books:
        await asyncio.sleep(0)
    bni.clock.shift(2.9)
    assert await bni.scheduler.run_due() == 0
    assert not asked.done()
    bni.clock.shift(0.2)
    assert await bni.scheduler.run_due() == 1
    assert await asked == "2001700"


async def test_reversed_later(bni: Bni) -> None:
    account = bni.account(behaviour="pay:reversed_later")
    assert await bni.pay() == "2001700"
    assert await bni.status() == "00"
    assert (await pending(bni))["scheduled"] == 1
    bni.clock.shift(60)
    await bni.scheduler.run_due()
    assert await bni.status() == "04"
    assert await bni.pay() == "4091701"
    assert (await pending(bni))["scheduled"] == 0
    assert [line["kind"] for line in await books(bni)] == ["credit", "reversal"]
    assert account.balance_rupiah == 0
    assert bni.world.deposit_rupiah == 10**12
    rows = (await statement(bni)).json()["detailData"]
    assert [(row["type"], row["additionalInfo"]["kind"]) for row in rows] == [
        ("CREDIT", "REVERSAL"),
        ("DEBIT", "TRANSFER"),
    ]
    assert await bni.pay("R2") == "2001700"


async def test_refused_writes_do_not_use_up_the_behaviour(bni: Bni) -> None:
    bni.account(behaviour="pay:timeout_no_credit")
    bni.world.deposit_rupiah = 0
    assert await bni.pay("R0") == "4031714"
    bni.world.deposit_rupiah = 10**9
    assert await bni.pay("R1") == "5041700"


async def test_a_restarted_app_goes_on_with_books_counters_tokens_and_references(bni: Bni) -> None:
    bni.account(behaviour="pay:false_not_found")
    assert await bni.pay() == "5041700"
    assert await bni.status() == "4043601"
    app = create_app(bni.world, clock=bni.clock, waits=Waits(), notify_base="http://none", scheduler=bni.scheduler)
    bni.snap.client = bni.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bni")
    assert await bni.status() == "4043601"
    assert await bni.status() == "00"
    assert await bni.pay() == "4091701"
    assert len(await books(bni)) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"originalPartnerReferenceNo": ""}, "4003601"),
        ({"serviceCode": ""}, "4003601"),
        ({"serviceCode": "99"}, "4003601"),
        ({"serviceCode": "18"}, "4043601"),
        ({"amount": {"value": "600000.50", "currency": "IDR"}}, "4003601"),
        ({"amount": {"value": "600000", "currency": "IDR"}}, "2003600"),
        ({"amount": {"value": "600000.00", "currency": "IDR"}, "transactionDate": "2026-01-15"}, "2003600"),
    ],
)
async def test_status_fields(bni: Bni, changes: dict[str, Any], expected: str) -> None:
    bni.account()
    await bni.pay()
    body = {"originalPartnerReferenceNo": "R1", "serviceCode": "17", **changes}
    assert code(await bni.snap.post("/snap-service/v1/transfer/status", body)) == expected


async def test_status_tells_amount_and_beneficiary_and_the_external_id(bni: Bni) -> None:
    bni.account()
    await bni.snap.post("/snap-service/v1/transfer-intrabank", bni.transfer(), headers={"x_external_id": "777"})
    body = {"originalPartnerReferenceNo": "R1", "serviceCode": "17"}
    told = (await bni.snap.post("/snap-service/v1/transfer/status", body)).json()
    assert told["amount"] == {"value": "600000.00", "currency": "IDR"}
    assert told["beneficiaryAccountNo"] == "7000000001"
    assert told["originalExternalId"] == "777"
    assert told["originalPartnerReferenceNo"] == "R1"
    assert told["originalReferenceNo"] == told["referenceNumber"]


async def test_a_statement_shows_a_booking_at_once_under_its_jakarta_day(bni: Bni) -> None:
    bni.account()
    assert await bni.pay() == "2001700"
    told = (await statement(bni)).json()
    assert told["responseCode"] == "2001400"
    assert told["additionalInfo"] == {"page": "1", "hasMore": "N"}
    assert told["detailData"] == [
        {
            "amount": {"value": "600000.00", "currency": "IDR"}, "transactionDate": "2026-01-15T12:00:00+07:00",
            "remark": "insentif", "transactionId": bni.world.books[0].partner_reference, "type": "DEBIT",
            "additionalInfo": {
                "partnerReferenceNo": "R1", "beneficiaryAccountNo": "7000000001", "kind": "TRANSFER",
            },
        }
    ]  # fmt: skip
    bni.clock.shift(12 * 3600 - 0.5)
    await bni.snap.authenticate()
    assert await bni.pay("R2") == "2001700"
    bni.clock.shift(1)
    assert await bni.pay("R3") == "2001700"

    async def references(**changes: Any) -> list[str]:
        rows = (await statement(bni, **changes)).json()["detailData"]
        return [row["additionalInfo"]["partnerReferenceNo"] for row in rows]

    assert await references() == ["R2", "R1"]
    assert await references(day="2026-01-16") == ["R3"]
    assert await references(toDateTime="2026-01-15T17:00:00Z") == ["R3", "R2", "R1"]
    assert await references(day="2026-01-14") == []


async def test_a_statement_has_pages_of_a_thousand_that_shift_with_each_booking(bni: Bni) -> None:
    account = bni.account()

    def book(count: int) -> None:
        for _ in range(count):
            number = bni.world.number()
            bni.world.credit(account, 1, reference=f"R{number}", partner_reference="x", at=bni.clock.now())

    book(1_000)
    first = (await statement(bni)).json()
    assert len(first["detailData"]) == 1_000
    assert first["additionalInfo"]["hasMore"] == "N"
    book(1)
    again, second = (await statement(bni)).json(), (await statement(bni, page="2")).json()
    assert again["detailData"][1:] == first["detailData"][:-1]
    assert again["additionalInfo"]["hasMore"] == "Y"
    assert second["detailData"] == first["detailData"][-1:]
    assert second["additionalInfo"] == {"page": "2", "hasMore": "N"}
    assert (await statement(bni, page="3")).json()["detailData"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"accountNo": "7000000001"},
        {"accountNo": ""},
        {"fromDateTime": "2026-01-16T00:00:00+07:00"},
        {"fromDateTime": "2025-12-15T00:00:00+07:00"},
        {"toDateTime": "2026-01-15"},
        {"additionalInfo": {"page": "0"}},
        {"additionalInfo": {"page": 1}},
        {"additionalInfo": "1"},
    ],
)
async def test_statement_refusals(bni: Bni, changes: dict[str, Any]) -> None:
    assert code(await statement(bni, **changes)) == "4001401"


async def test_account_inquiry(bni: Bni) -> None:
    bni.account()
    bni.account("7000000009", status="blocked")
    path = "/snap-service/v1/account-inquiry-internal"
    told = (await bni.snap.post(path, {"beneficiaryAccountNo": "7000000001"})).json()
    assert told["beneficiaryAccountName"] == "BUDI SANTOSO"
    assert told["beneficiaryAccountNo"] == "7000000001"
    expected = {"7000000009": "4001501", "": "4001501", "7999999999": "4041511"}
    for number, refusal in expected.items():
        assert code(await bni.snap.post(path, {"beneficiaryAccountNo": number})) == refusal


async def test_balance(bni: Bni) -> None:
    bni.account(behaviour="pay:pending_then_success")
    path = "/snap-service/v1/balance-inquiry"

    async def available(number: str) -> str:
        told = (await bni.snap.post(path, {"partnerReferenceNo": "1", "accountNo": number})).json()
        return str(told["accountInfos"][0]["availableBalance"]["value"])

    assert await available(SECRETS["source_account"]) == "1000000000000.00"
    assert await bni.pay() == "2021700"
    assert await available(SECRETS["source_account"]) == "999999400000.00"
    assert await available("0114754574") == "0.00"
    for number in ("", "7000000001"):
        assert code(await bni.snap.post(path, {"accountNo": number})) == "4001101"
