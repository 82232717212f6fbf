"""Payouts to DANA balances (decisions D2, D11-D14)."""

from __future__ import annotations

import httpx
import pytest

from mock_partners.kit.behaviour import Behaviour
from tests.mock_partners.dana.conftest import NUMBER, SECRETS, Dana

INQUIRY, TOPUP = "/rest/v1.0/emoney/account-inquiry", "/rest/v1.0/emoney/topup"


async def test_inquiry_topup_status_history(dana: Dana) -> None:
    account = dana.account()
    told = await dana.post(INQUIRY, dana.payout("I1"))
    assert (told["responseCode"], told["customerName"], told["feeAmount"]["value"]) == (
        "2003700",
        "BUDI SANTOSO",
        "0.00",
    )
    first = await dana.post(TOPUP, dana.payout())
    assert first["responseCode"] == "2003800"
    assert (await dana.status(), await dana.history()) == ("00", [("R1", "TOPUP")])
    assert (account.balance_rupiah, dana.world.deposit_rupiah) == (600_000, 10**12 - 600_000)
    again = await dana.post(TOPUP, dana.payout())
    assert (again["responseCode"], again["referenceNo"]) == ("2003800", first["referenceNo"])
    assert await dana.pay("R1", NUMBER, "600001.00") == "4043818"
    assert len(dana.world.books) == 1


@pytest.mark.parametrize(
    ("behaviour", "codes", "statuses", "booked"),
    [
        ("pay:pending_then_success", ["2023800", "2023800"], ["03", "03"], 0),
        ("pay:timeout_no_credit", ["5043800", "2003800"], ["00"], 1),
        ("pay:false_not_found", ["5043800", "2003800"], ["4043901", "4043901", "00"], 1),
    ],
)
async def test_behaviours(dana: Dana, behaviour: str, codes: list[str], statuses: list[str], booked: int) -> None:
    dana.account(behaviour=Behaviour(behaviour))
    assert [await dana.pay() for _ in codes] == codes
    assert [await dana.status() for _ in statuses] == statuses
    assert len(dana.world.books) == booked


async def test_a_failed_reference_stays_failed(dana: Dana) -> None:
    """Idempotent, also in failure: 5003800, and the reference is never new (decisions D12)."""
    dana.account(behaviour=Behaviour.PENDING_THEN_FAILED)
    assert await dana.pay() == "2023800"
    dana.clock.shift(5)
    assert [await dana.status() for _ in range(3)] == ["03", "03", "06"]
    assert [await dana.pay(), await dana.pay("R1", NUMBER, "1.00"), await dana.pay("R2")] == [
        "5003800", "4043818", "2003800",
    ]  # fmt: skip


async def test_a_reversal(dana: Dana) -> None:
    dana.account(behaviour=Behaviour.REVERSED_LATER)
    assert await dana.pay() == "2003800"
    dana.clock.shift(60)
    await dana.scheduler.run_due()
    assert (await dana.status(), await dana.history()) == ("04", [("R1", "REVERSAL"), ("R1", "TOPUP")])


async def test_a_lost_answer(dana: Dana) -> None:
    dana.account(behaviour=Behaviour.LOST_ANSWER)
    with pytest.raises(httpx.ReadError):
        await dana.pay()
    assert (await dana.status(), await dana.pay()) == ("00", "2003800")


@pytest.mark.parametrize(
    ("number", "value", "deposit", "expected"),
    [
        ("6281199999999", "600000.00", 10**12, "4033805"),
        ("6281100000002", "600000.00", 10**12, "4033805"),
        ("62800940405", "600000.00", 10**12, "4040405"),
        (NUMBER, "20000001.00", 10**12, "4033802"),
        (NUMBER, "600000.00", 599_999, "4033814"),
        (NUMBER, "600000.50", 10**12, "4003801"),
        ("081100000001", "600000.00", 10**12, "4003801"),
    ],
)
async def test_refusals_keep_nothing(dana: Dana, number: str, value: str, deposit: int, expected: str) -> None:
    dana.account()
    dana.account("+6281100000002", status="blocked")
    dana.world.deposit_rupiah = deposit
    expected = "4043805" if number.startswith("6280094") else expected
    assert await dana.pay("R1", number, value) == expected
    assert (await dana.status(), dana.world.books) == ("4043901", [])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-SIGNATURE": "AAAA"}, "4013800"),
        ({"X-PARTNER-ID": "other"}, "4013800"),
        ({"X-TIMESTAMP": "2026-01-15T11:44:59+07:00"}, "4013800"),
        ({"CHANNEL-ID": ""}, "4003802"),
        ({"CHANNEL-ID": "c" * 65}, "4003801"),
    ],
)
async def test_admission(dana: Dana, headers: dict[str, str], expected: str) -> None:
    dana.account()
    assert (await dana.post(TOPUP, dana.payout(), **headers))["responseCode"] == expected
    assert dana.world.books == []


async def test_the_channel_of_danas_node_client_is_taken(dana: Dana) -> None:
    """It is the partner's name and `-SERVER`, not the standard's five characters."""
    dana.account()
    told = await dana.post(TOPUP, dana.payout(), **{"CHANNEL-ID": f"{SECRETS['client_id']}-SERVER"})
    assert told["responseCode"] == "2003800"


async def test_an_external_id_is_used_once_a_day(dana: Dana) -> None:
    dana.account()
    told = [(await dana.post(TOPUP, dana.payout(), **{"X-EXTERNAL-ID": "e1"}))["responseCode"] for _ in range(2)]
    assert told == ["2003800", "4093800"]


@pytest.mark.parametrize("fee", ["0.00", "1.00", "2500.00"])
async def test_the_paths_of_danas_pages_and_any_fee(dana: Dana, fee: str) -> None:
    """Its pages and older SDKs write `/v1.0/emoney/..htm`, its acceptance tests a fee of 1.00 (dana.md 1, 5)."""
    dana.account()
    asked = dana.payout() | {"feeAmount": {"value": fee, "currency": "IDR"}}
    status = {"originalPartnerReferenceNo": "R1", "serviceCode": "38"}
    told = [
        await dana.post(f"/v1.0/emoney/{name}.htm", body)
        for name, body in (("account-inquiry", asked), ("topup", asked), ("topup-status", status))
    ]
    assert [each["responseCode"] for each in told] == ["2003700", "2003800", "2003900"]
    assert told[2]["latestTransactionStatus"] == await dana.status() == "00"
    assert [each.amount_rupiah for each in dana.world.books] == [600_000]


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        ("6281199999999", "4033705", "PAYEE_USER_NOT_EXIST"),
        ("6281100000002", "4033705", "PAYEE_USER_STATUS_DISABLE"),
        ("62800940411", "4043711", None),
        ("62800940318", "4033718", None),
    ],
)
async def test_a_payee_is_refused_in_danas_words(dana: Dana, number: str, code: str, word: str | None) -> None:
    """As its acceptance tests have it (dana.md 5); a number that names a code gets that one."""
    dana.account("+6281100000002", status="blocked")
    told = await dana.post(INQUIRY, dana.payout("R1", number))
    assert (told["responseCode"], told.get("additionalInfo", {}).get("resultMsg")) == (code, word)


async def test_a_fee_is_an_amount(dana: Dana) -> None:
    for fee in ("1.50", "-1.00", "1", ""):
        asked = dana.payout() | {"feeAmount": {"value": fee, "currency": "IDR"}}
        assert (await dana.post(TOPUP, asked))["responseCode"] in ("4003801", "4003802"), fee
