"""OVO's NIK check, top-ups, caps, duplicates, every pay behaviour, deposit, history, and a restarted app."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from mock_partners.kit.waits import Waits
from mock_partners.ovo import create_app
from tests.mock_partners.ovo.conftest import (
    BALANCE,
    GATEWAY,
    HISTORY,
    INQUIRY,
    NIK,
    NUMBER,
    OTHER_NIK,
    PHONE,
    STATUS,
    TOPUP,
    Ovo,
    code,
    topup,
)

ONE = {"value": "1.00", "currency": "IDR"}


async def nik_check(ovo: Ovo, token: str, nik: str = NIK, kind: str = "KTP", **changes: Any) -> str:
    """identificationMatch, or the response code of a refusal."""
    body = {
        "partnerReferenceNo": "K", "customerNumber": NUMBER, "amount": ONE,
        "additionalInfo": {"identificationType": kind, "identificationNo": nik}, **changes,
    }  # fmt: skip
    headers = {"authorization_customer": f"Bearer {token}"} if token else {}
    reply = await ovo.snap.post(INQUIRY, body, headers=headers)
    assert NIK not in reply.text
    assert OTHER_NIK not in reply.text
    told = code(reply)
    return str(reply.json()["additionalInfo"]["identificationMatch"]) if told == "2003700" else told


async def inquire(ovo: Ovo, **changes: Any) -> str:
    return code(await ovo.snap.post(INQUIRY, {**topup(), **changes}))


async def history(ovo: Ovo, query: str = "date=2026-01-15") -> httpx.Response:
    return await ovo.snap.get(f"{HISTORY}?{query}")


async def test_the_nik_check_compares_and_never_tells(ovo: Ovo) -> None:
    ovo.account()
    token = (await ovo.link())["accessToken"]
    assert await nik_check(ovo, token) == "MATCH"
    assert await nik_check(ovo, token, OTHER_NIK) == "NOT_MATCH"
    assert await nik_check(ovo, token, customerNumber="") == "MATCH"


@pytest.mark.parametrize("changes", [{"kyc": "basic"}, {"nik_on_file": ""}, {"nik_on_file": "", "kyc": "basic"}])
async def test_without_a_ktp_there_is_nothing_to_compare(ovo: Ovo, changes: dict[str, str]) -> None:
    account = ovo.account(**changes)
    token = (await ovo.link())["accessToken"]
    assert await nik_check(ovo, token) == "NOT_AVAILABLE"
    account.kyc, account.nik_on_file = "full", NIK
    assert await nik_check(ovo, token) == "MATCH"


async def test_the_nik_check_wants_the_customers_own_token(ovo: Ovo) -> None:
    ovo.account()
    ovo.account("+6281100000002")
    token = (await ovo.link())["accessToken"]
    assert await nik_check(ovo, "") == "4033705"
    assert await nik_check(ovo, "x") == "4013702"
    assert await nik_check(ovo, ovo.snap.token) == "4013702"
    assert await nik_check(ovo, token, customerNumber="081100000002") == "4013702"
    assert await nik_check(ovo, token, customerNumber="081100000009") == "4043711"
    assert await nik_check(ovo, token, nik="31740522099899") == "4003701"
    assert await nik_check(ovo, token, kind="SIM") == "4003701"
    assert await nik_check(ovo, token, kind="") == "4003702"
    ovo.world.accounts[PHONE].status = "blocked"
    assert await nik_check(ovo, token) == "4033718"


@pytest.mark.parametrize(
    ("behaviour", "first"), [("verify:unavailable_twice", "5003700"), ("verify:in_progress", "IN_PROGRESS")]
)
async def test_troubled_nik_checks_are_two_and_plain_inquiries_do_not_count(
    ovo: Ovo, behaviour: str, first: str
) -> None:
    ovo.account(behaviour=behaviour)
    token = (await ovo.link())["accessToken"]
    for _ in range(3):
        assert await inquire(ovo) == "2003700"
    assert [await nik_check(ovo, token) for _ in range(3)] == [first, first, "MATCH"]


async def test_a_nik_check_is_not_about_room_for_money(ovo: Ovo) -> None:
    ovo.account(balance_rupiah=20_000_000)
    token = (await ovo.link())["accessToken"]
    assert await nik_check(ovo, token) == "MATCH"
    assert await inquire(ovo, amount=ONE) == "4033702"


async def test_an_inquiry_answers_as_assumed(ovo: Ovo) -> None:
    ovo.account()
    reply = await ovo.snap.post(INQUIRY, topup())
    assert code(reply) == "2003700"
    told = reply.json()
    assert told.pop("responseMessage")
    assert told.pop("referenceNo")
    assert told == {
        "responseCode": "2003700", "partnerReferenceNo": "R1", "customerNumber": NUMBER,
        "customerName": "BUDI SANTOSO", "minAmount": ONE, "maxAmount": {"value": "10000000.00", "currency": "IDR"},
        "amount": {"value": "600000.00", "currency": "IDR"}, "feeAmount": {"value": "0.00", "currency": "IDR"},
        "additionalInfo": {},
    }  # fmt: skip
    assert await ovo.books() == []


async def test_a_topup_is_booked_once_and_answers_as_documented(ovo: Ovo) -> None:
    account = ovo.account()
    reply = await ovo.snap.post(TOPUP, topup())
    assert code(reply) == "2003800"
    told = reply.json()
    assert told.pop("responseMessage")
    assert told.pop("referenceNo")
    assert told == {
        "responseCode": "2003800", "partnerReferenceNo": "R1", "customerNumber": NUMBER,
        "amount": {"value": "600000.00", "currency": "IDR"},
    }  # fmt: skip
    reply = await ovo.snap.post(STATUS, {"originalPartnerReferenceNo": "R1", "serviceCode": "38"})
    assert code(reply) == "2003900"
    told = reply.json()
    assert (told["latestTransactionStatus"], told["amount"]["value"]) == ("00", "600000.00")
    assert await ovo.books() == [("R1", 600_000, "credit")]
    assert account.balance_rupiah == 600_000
    assert ovo.world.deposit_rupiah == 10**12 - 600_000


async def test_a_repeated_reference(ovo: Ovo) -> None:
    ovo.account()
    ovo.account("+6281100000002")
    assert await ovo.pay() == "2003800"
    assert await ovo.pay() == "4093801"
    assert await ovo.pay(amount=ONE) == "4043818"
    assert await ovo.pay(number="081100000002") == "4043818"
    assert await ovo.pay(notes="other", transactionDate="2026-01-16T09:00:00+07:00") == "4093801"
    ovo.clock.shift(86_400 * 70)
    await ovo.snap.authenticate()
    assert await ovo.pay() == "4093801"
    assert len(await ovo.books()) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partnerReferenceNo": ""}, "4003802"),
        ({"partnerReferenceNo": "1" * 65}, "4003801"),
        ({"amount": {"value": "600000", "currency": "IDR"}}, "4003801"),
        ({"amount": {"value": "600000.50", "currency": "IDR"}}, "4003801"),
        ({"amount": {"value": 600000, "currency": "IDR"}}, "4003801"),
        ({"amount": {"value": "0.00", "currency": "IDR"}}, "4003801"),
        ({"amount": {"value": "600000.00", "currency": "USD"}}, "4003801"),
        ({"amount": None}, "4003802"),
        ({"customerNumber": "6281100000001"}, "4003801"),
        ({"customerNumber": "+6281100000001"}, "4003801"),
        ({"customerNumber": None}, "4003802"),
        ({"transactionDate": "2026-01-15 12:00"}, "4003801"),
        ({"notes": "x" * 256}, "4003801"),
        ({"sessionId": 5}, "4003801"),
        ({"customerNumber": "081199999999"}, "4043811"),
        ({"customerNumber": "081100000009"}, "4033818"),
        ({"amount": {"value": "10000001.00", "currency": "IDR"}}, "4033802"),
    ],
)
async def test_refused_topups_change_nothing(ovo: Ovo, changes: dict[str, Any], expected: str) -> None:
    ovo.account()
    ovo.account("+6281100000009", status="blocked")
    assert await ovo.pay(**changes) == expected
    assert await ovo.books() == []
    assert ovo.world.deposit_rupiah == 10**12
    assert await ovo.status() == "4043901"
    if not {"partnerReferenceNo", "notes", "sessionId"} & changes.keys():
        assert await inquire(ovo, **changes) == expected[:3] + "37" + expected[5:]


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"kyc": "basic", "balance_rupiah": 1_400_000}, 600_000),
        ({"balance_rupiah": 19_400_000}, 600_000),
        ({"monthly_in_rupiah": 39_400_000, "balance_rupiah": 0}, 600_000),
    ],
)
async def test_ceilings_of_balance_and_month(ovo: Ovo, changes: dict[str, Any], amount: int) -> None:
    account = ovo.account(**changes)
    over = {"value": f"{amount + 1}.00", "currency": "IDR"}
    assert await inquire(ovo, amount=over) == "4033702"
    assert await ovo.pay(amount=over) == "4033802"
    assert await inquire(ovo) == "2003700"
    assert await ovo.pay() == "2003800"
    assert await ovo.pay("R2", amount=ONE) == "4033802"
    assert account.balance_rupiah == changes["balance_rupiah"] + amount


async def test_a_short_deposit_is_told_and_the_reference_stays_free(ovo: Ovo) -> None:
    ovo.account()
    ovo.world.deposit_rupiah = 599_999
    assert await ovo.pay() == "4033814"
    ovo.world.deposit_rupiah = 600_000
    assert await ovo.pay() == "2003800"
    told = (await ovo.snap.get(BALANCE)).json()
    assert told.pop("responseMessage")
    zero = {"value": "0.00", "currency": "IDR"}
    assert told == {
        "responseCode": "2001100", "accountInfos": [{"balanceType": "DEPOSIT", "availableBalance": zero}],
    }  # fmt: skip


async def test_lost_answer_books_and_resets(ovo: Ovo) -> None:
    ovo.account(behaviour="pay:lost_answer")
    with pytest.raises(httpx.ReadError):
        await ovo.pay()
    assert await ovo.status() == "00"
    assert await ovo.pay() == "4093801"
    assert await ovo.pay("R2") == "2003800"
    assert [line[0] for line in await ovo.books()] == ["R1", "R2"]


async def test_timeout_no_credit_books_nothing_and_a_resend_is_new(ovo: Ovo) -> None:
    ovo.account(behaviour="pay:timeout_no_credit")
    assert await ovo.pay() == "5043800"
    assert [await ovo.status() for _ in range(4)] == ["4043901"] * 4
    assert await ovo.books() == []
    assert (await history(ovo)).json()["detailData"] == []
    assert ovo.world.deposit_rupiah == 10**12
    assert await ovo.pay() == "2003800"
    assert await ovo.pay() == "4093801"


async def test_false_not_found_hides_a_booked_topup_from_two_look_ups(ovo: Ovo) -> None:
    ovo.account(behaviour="pay:false_not_found")
    assert await ovo.pay() == "5043800"
    assert await ovo.pay() == "4093801"
    assert len(await ovo.books()) == 1
    assert [await ovo.status() for _ in range(4)] == ["4043901", "4043901", "00", "00"]


@pytest.mark.parametrize(
    ("behaviour", "end", "lines"), [("pay:pending_then_success", "00", 1), ("pay:pending_then_failed", "06", 0)]
)
async def test_pending_settles_at_a_look_up(ovo: Ovo, behaviour: str, end: str, lines: int) -> None:
    ovo.account(behaviour=behaviour)
    assert await ovo.pay() == "2023800"
    assert await ovo.pay() == "2023800"
    assert await ovo.pay(amount=ONE) == "4043818"
    assert [await ovo.status() for _ in range(3)] == ["03"] * 3
    assert await ovo.pending() == {"unsettled": 1, "scheduled": 0, "undelivered": 0}
    ovo.clock.shift(5)
    assert await ovo.status() == end
    assert await ovo.pending() == {"unsettled": 0, "scheduled": 0, "undelivered": 0}
    assert len(await ovo.books()) == lines
    assert ovo.world.deposit_rupiah == 10**12 - 600_000 * lines
    assert await ovo.pay("R2") == "2003800"


async def test_slow_answers_after_three_seconds(ovo: Ovo) -> None:
    ovo.account(behaviour="pay:slow")
    asked = asyncio.create_task(ovo.pay())
    while not ovo.world.books:
        await asyncio.sleep(0)
    ovo.clock.shift(2.9)
    assert await ovo.scheduler.run_due() == 0
    assert not asked.done()
    ovo.clock.shift(0.1)
    assert await ovo.scheduler.run_due() == 1
    assert await asked == "2003800"


async def test_a_reversal_shows_in_status_history_and_books(ovo: Ovo) -> None:
    account = ovo.account(behaviour="pay:reversed_later")
    assert await ovo.pay() == "2003800"
    assert await ovo.status() == "00"
    assert (await ovo.pending())["scheduled"] == 1
    ovo.clock.shift(60)
    await ovo.scheduler.run_due()
    assert await ovo.status() == "04"
    assert await ovo.books() == [("R1", 600_000, "credit"), ("R1", 600_000, "reversal")]
    assert (account.balance_rupiah, ovo.world.deposit_rupiah) == (0, 10**12)
    second, first = (await history(ovo)).json()["detailData"]
    assert first == {
        "partnerReferenceNo": "R1", "referenceNo": second["referenceNo"], "customerNumber": NUMBER,
        "dateTime": "2026-01-15T12:00:00+07:00", "amount": {"value": "600000.00", "currency": "IDR"}, "type": "TOPUP",
    }  # fmt: skip
    assert second == {**first, "dateTime": "2026-01-15T12:01:00+07:00", "type": "REVERSAL"}
    assert await ovo.pay() == "4093801"


async def test_history_comes_in_pages_of_a_thousand_per_jakarta_day(ovo: Ovo) -> None:
    account = ovo.account()
    for number in range(2_001):
        ovo.world.credit(account, 1, reference=f"P{number}", partner_reference="x", at=ovo.clock.now())
    ovo.clock.shift(43_200)
    await ovo.snap.authenticate()
    ovo.world.credit(account, 1, reference="next", partner_reference="x", at=ovo.clock.now())
    seen: list[str] = []
    for page, rows, more in ((1, 1_000, "Y"), (2, 1_000, "Y"), (3, 1, "N"), (4, 0, "N")):
        told = (await history(ovo, f"date=2026-01-15&page={page}")).json()
        assert told["additionalInfo"] == {"page": str(page), "hasMore": more}
        assert len(told["detailData"]) == rows
        seen += [row["partnerReferenceNo"] for row in told["detailData"]]
    assert seen == [f"P{number}" for number in reversed(range(2_001))]
    assert [row["partnerReferenceNo"] for row in (await history(ovo, "date=2026-01-16")).json()["detailData"]] == [
        "next"
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page=1", "4001202"),
        ("date=2026-02-30", "4001201"),
        ("date=20260115", "4001201"),
        ("date=2026-01-15&page=0", "4001201"),
    ],
)
async def test_history_parameters(ovo: Ovo, query: str, expected: str) -> None:
    assert code(await history(ovo, query)) == expected


async def test_a_restarted_mock_goes_on_where_it_was(ovo: Ovo) -> None:
    ovo.account(behaviour="pay:pending_then_success")
    token = (await ovo.link())["accessToken"]
    assert await ovo.pay() == "2023800"
    app = create_app(ovo.world, clock=ovo.clock, waits=Waits(), notify_base=GATEWAY, scheduler=ovo.scheduler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ovo") as http:
        ovo.snap.client = ovo.http = http
        assert await nik_check(ovo, token) == "MATCH"
        assert await ovo.pay() == "2023800"
        ovo.clock.shift(5)
        assert [await ovo.status() for _ in range(3)] == ["03", "03", "00"]
