"""Iris' calls: keys, fields, idempotency, approval, rejection, statement and the side calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mock_partners.kit.clock import JAKARTA
from tests.mock_partners.gopay.conftest import PHONE, SECRETS, Gopay

pytestmark = pytest.mark.asyncio
NOT_FOUND = {
    "error_message": "An error occurred when approving payouts",
    "errors": ["Payouts not found. Please check reference nos"],
}
DENIED, FORBIDDEN = "HTTP Basic: Access denied", "You are not authorized to perform this action"
DAY = {"from_date": "2026-01-15", "to_date": "2026-01-15"}


async def statement(gopay: Gopay, first: str = "2026-01-15", last: str = "2026-01-15") -> list[tuple[str, str, str]]:
    reply = await gopay.iris("GET", "statements", {"from_date": first, "to_date": last})
    return [(row["type"], row["status"], row["notes"]) for row in reply.json()]


async def test_ping(gopay: Gopay) -> None:
    reply = await gopay.http.get("/iris/api/v1/ping")
    assert (reply.status_code, reply.text) == (200, "pong")


CALLS = [
    ("POST", "payouts", ("creator",)),
    ("POST", "payouts/approve", ("approver",)),
    ("POST", "payouts/reject", ("approver",)),
    ("GET", "payouts/nobody", ("creator", "approver")),
    ("GET", "balance", ("creator", "approver")),
    ("GET", "statements", ("creator", "approver")),
    ("GET", "beneficiary_banks", ("creator", "approver")),
    ("GET", "bank_accounts", ()),
    ("GET", "bank_accounts/b1/balance", ()),
    ("GET", "channels", ("creator", "approver")),
    ("GET", "account_validation", ("creator", "approver")),
    ("GET", "beneficiaries", ("creator", "approver")),
    ("POST", "beneficiaries", ("creator",)),
    ("PATCH", "beneficiaries/nobody", ("creator",)),
]


@pytest.mark.parametrize(("method", "path", "roles"), CALLS)
async def test_keys(gopay: Gopay, method: str, path: str, roles: tuple[str, ...]) -> None:
    for role in ("creator", "approver", "merchant"):
        reply = await gopay.iris(method, path, {}, key=f"iris_{role}_key")
        assert (reply.status_code == 401) is (role not in roles)
        if reply.status_code == 401:
            message = DENIED if role == "merchant" else FORBIDDEN
            assert reply.json() == {"error_message": message, "errors": message}
    for authorization in ("", "Bearer x", f"Basic {SECRETS['iris_creator_key']}"):
        assert (await gopay.iris(method, path, {}, Authorization=authorization)).status_code == 401


async def test_headers(gopay: Gopay) -> None:
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.9"):
        assert (await gopay.iris("GET", "balance", Accept=accept)).status_code == 200
    for accept in ("", "text/html"):
        assert (await gopay.iris("GET", "balance", Accept=accept)).status_code == 400
    assert (await gopay.iris("POST", "payouts", {}, Content_Type="text/plain")).status_code == 400
    assert (await gopay.iris("GET", "balance", Content_Type="text/plain")).status_code == 200


async def test_create_and_look_up(gopay: Gopay) -> None:
    gopay.account()
    number = await gopay.create()
    reply = await gopay.iris("GET", f"payouts/{number}", key="iris_approver_key")
    assert reply.json() == {
        "amount": "600000.00", "beneficiary_name": "Budi Santoso", "beneficiary_account": "081234567890",
        "beneficiary_email": "", "bank": "GoPay", "reference_no": number, "notes": "PAYOUT-0001", "status": "queued",
        "created_by": "Creator", "created_at": "2026-01-15T05:00:00Z", "updated_at": "2026-01-15T05:00:00Z",
    }  # fmt: skip
    reply = await gopay.iris("GET", "payouts/nobody")
    told = "Specified payout not found"
    assert (reply.status_code, reply.json()) == (404, {"error_message": told, "errors": told})
    assert (await gopay.iris("GET", "balance")).json() == {"balance": "1000000000000.00"}
    assert gopay.world.books == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"amount": "1.5"}, "Amount is not a number"),
        ({"amount": "1.005"}, "Amount is not a number"),
        ({"amount": 10000.5}, "Amount is not a number"),
        ({"amount": True}, "Amount is not a number"),
        ({"amount": None}, "Amount is not a number"),
        ({"amount": "-1"}, "Amount is not a number"),
        ({"amount": "1e5"}, "Amount is not a number"),
        ({"amount": ""}, "Amount is not a number"),
        ({"amount": "0.00"}, "Amount must be greater than 0"),
        ({"beneficiary_bank": "nobank"}, "Beneficiary bank is not included in the list"),
        ({"beneficiary_bank": None}, "Beneficiary bank is not included in the list"),
        ({"beneficiary_account": "+6281234567890"}, "Beneficiary account is invalid"),
        ({"beneficiary_account": "81234567890"}, "Beneficiary account is invalid"),
        ({"beneficiary_account": ""}, "Beneficiary account can't be blank"),
        ({"beneficiary_name": " "}, "Beneficiary name can't be blank"),
        ({"beneficiary_email": "nobody"}, "Beneficiary email is invalid"),
        ({"notes": "n" * 101}, "Notes is too long (maximum is 100 characters)"),
        ({"notes": None}, "Notes can't be blank"),
        ({"reference": "x"}, "reference is not permitted"),
        ({"bank_account_id": "mandiri38fd1f0e"}, "bank_account_id is not permitted"),
        ({"beneficiary_bank": "ovo", "beneficiary_account": "1"}, "Beneficiary account is invalid"),
        ({"beneficiary_bank": "bca", "beneficiary_account": "6111x1146"}, "Beneficiary account is not a number"),
        (
            {"beneficiary_bank": "bca", "beneficiary_account": "12345"},
            "Beneficiary account is too short (minimum is 6 characters)",
        ),
    ],
)
async def test_create_refusals_leave_no_trace(gopay: Gopay, changes: dict[str, Any], problem: str) -> None:
    bad = {"payouts": [gopay.instruction(), gopay.instruction(**changes)]}
    reply = await gopay.iris("POST", "payouts", bad, X_Idempotency_Key="K")
    assert reply.status_code == 400
    assert reply.json() == {"error_message": "An error occurred when creating payouts", "errors": [[], [problem]]}
    good = await gopay.iris("POST", "payouts", {"payouts": [gopay.instruction()]}, X_Idempotency_Key="K")
    assert good.status_code == 201


@pytest.mark.parametrize("amount", ["10000", "10000.0", "10000.00", 10000, 10000.0])
async def test_amounts(gopay: Gopay, amount: object) -> None:
    number = await gopay.create(amount=amount)
    assert (await gopay.iris("GET", f"payouts/{number}")).json()["amount"] == "10000.00"


@pytest.mark.parametrize("body", [None, [], {}, {"payouts": []}, {"payouts": {}}, {"payouts": [1]}])
async def test_create_bodies(gopay: Gopay, body: object) -> None:
    assert (await gopay.iris("POST", "payouts", body)).status_code == 400
    too_many = {"payouts": [gopay.instruction()] * 101}
    assert (await gopay.iris("POST", "payouts", too_many)).status_code == 400


async def test_a_batch_answers_in_order(gopay: Gopay) -> None:
    body = {"payouts": [gopay.instruction(notes=notes) for notes in ("A", "B", "C")]}
    rows = (await gopay.iris("POST", "payouts", body)).json()["payouts"]
    assert [row["status"] for row in rows] == ["queued"] * 3
    notes = [(await gopay.iris("GET", f"payouts/{row['reference_no']}")).json()["notes"] for row in rows]
    assert notes == ["A", "B", "C"]


async def test_idempotency(gopay: Gopay) -> None:
    body = {"payouts": [gopay.instruction()]}
    first = await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K")
    turned = {"payouts": [dict(reversed(gopay.instruction().items()))]}
    again = await gopay.iris("POST", "payouts", turned, X_Idempotency_Key="K")
    assert (again.status_code, again.content) == (201, first.content)
    different = {"payouts": [gopay.instruction(amount="600000")]}
    refused = await gopay.iris("POST", "payouts", different, X_Idempotency_Key="K")
    text = "idempotency-key is not unique"
    assert (refused.status_code, refused.json()) == (400, {"error_message": text, "errors": text})
    other = await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K2")
    assert other.json() != first.json()
    assert (await gopay.iris("POST", "payouts", body)).json() != (await gopay.iris("POST", "payouts", body)).json()
    assert (await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K" * 101)).status_code == 400
    await gopay.approve(first.json()["payouts"][0]["reference_no"])
    assert (await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K")).content == first.content


@pytest.mark.parametrize(
    ("asked_at", "kept_until"),
    [
        ("2026-01-15T12:00:00+07:00", "2026-01-17T07:00:00+07:00"),
        ("2026-01-15T07:00:00+07:00", "2026-01-17T07:00:00+07:00"),
    ],
)
async def test_keys_are_purged_at_midnight_utc_after_a_day(gopay: Gopay, asked_at: str, kept_until: str) -> None:
    body = {"payouts": [gopay.instruction()]}
    gopay.clock.freeze(datetime.fromisoformat(asked_at))
    first = await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K")
    gopay.clock.freeze(datetime.fromisoformat(kept_until).astimezone(JAKARTA))
    gopay.clock.shift(-1)
    assert (await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K")).content == first.content
    gopay.clock.shift(1)
    assert (await gopay.iris("POST", "payouts", body, X_Idempotency_Key="K")).json() != first.json()


async def test_approve(gopay: Gopay) -> None:
    gopay.account()
    first, second = await gopay.create("R1"), await gopay.create("R2")
    refused = await gopay.approve(first, "nobody")
    assert (refused.status_code, refused.json()) == (400, NOT_FOUND)
    assert await gopay.status(first) == "queued"
    reply = await gopay.approve(first, second, first, otp="335163")
    assert (reply.status_code, reply.json()) == (202, {"status": "ok"})
    assert [await gopay.status(number) for number in (first, second)] == ["approved"] * 2
    assert gopay.world.deposit_rupiah == 10**12 - 2 * 600_000
    again = await gopay.approve(first)
    assert (again.status_code, again.json()["errors"]) == (400, [f"Reference nos '{first}' are not queued"])
    bodies: list[dict[str, Any]] = [{}, {"reference_nos": []}, {"reference_nos": [1]}, {"reference_nos": first}]
    for body in bodies:
        assert (await gopay.iris("POST", "payouts/approve", body, key="iris_approver_key")).status_code == 400


async def test_reject(gopay: Gopay) -> None:
    gopay.account()
    number = await gopay.create()

    async def reject(**changes: Any) -> int:
        body = {"reference_nos": [number], "reject_reason": "withdrawn", **changes}
        return (await gopay.iris("POST", "payouts/reject", body, key="iris_approver_key")).status_code

    assert await reject(reject_reason="") == 400
    assert await reject(reference_nos=[number, "nobody"]) == 400
    assert await gopay.status(number) == "queued"
    assert await reject() == 202
    assert await reject() == 400
    assert (await gopay.approve(number)).status_code == 400
    await gopay.pass_time(60)
    assert await gopay.status(number) == "rejected"
    assert gopay.told(number) == ["rejected"]
    assert gopay.world.books == []
    assert gopay.world.deposit_rupiah == 10**12


async def test_statement(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:reversed_later")
    gopay.account("+6281234567891", status="blocked")
    await gopay.create("queued")
    done, failed = await gopay.create("done"), await gopay.create("failed", "+6281234567891")
    await gopay.approve(done, failed)
    assert await statement(gopay) == []
    await gopay.pass_time(5)
    assert await statement(gopay) == [("Payout", "debit", "done")]
    await gopay.pass_time(60)
    assert await statement(gopay) == [("Refund", "credit", "done"), ("Payout", "debit", "done")]
    row = (await gopay.iris("GET", "statements", DAY)).json()[1]
    assert row == {
        "reference_no": done, "beneficiary_name": "Budi Santoso", "beneficiary_account": "081234567890",
        "account": "GoPay", "type": "Payout", "amount": "600000.00", "status": "debit",
        "created_at": "2026-01-15T05:00:05Z", "notes": "done",
    }  # fmt: skip


async def test_statement_days_are_jakartas(gopay: Gopay) -> None:
    gopay.account()
    gopay.clock.freeze(datetime(2026, 1, 16, 0, 30, tzinfo=JAKARTA))
    await gopay.approve(await gopay.create("R1"))
    await gopay.pass_time(5)
    assert await statement(gopay) == []
    assert await statement(gopay, "2026-01-16", "2026-01-16") == [("Payout", "debit", "R1")]
    assert await statement(gopay, "2026-01-01", "2026-01-31") == [("Payout", "debit", "R1")]


@pytest.mark.parametrize(
    "body",
    [
        {"from_date": "2026-01-15"},
        {"from_date": "15-01-2026", "to_date": "15-01-2026"},
        {"from_date": "2026-01-15", "to_date": "2026-01-14"},
        {"from_date": "2026-01-01", "to_date": "2026-02-01"},
        {"from_date": 20260115, "to_date": 20260115},
    ],
)
async def test_statement_refusals(gopay: Gopay, body: object) -> None:
    assert (await gopay.iris("GET", "statements", body)).status_code == 400


@pytest.mark.parametrize("body", [None, {}, '{ "from_date": 2026-01-15, "to_date": 2026-01-15}'])
async def test_a_statement_that_names_no_days_is_of_a_month(gopay: Gopay, body: object) -> None:
    """The last is what Midtrans' Go client sends: a text that holds the dates."""
    gopay.account()
    await gopay.approve(await gopay.create("R1"))
    await gopay.pass_time(30 * 86_400)
    assert [row["notes"] for row in (await gopay.iris("GET", "statements", body)).json()] == ["R1"]
    await gopay.pass_time(86_400)
    assert (await gopay.iris("GET", "statements", body)).json() == []


async def test_the_days_of_a_statement_may_stand_in_the_query(gopay: Gopay) -> None:
    gopay.account()
    await gopay.approve(await gopay.create("R1"))
    await gopay.pass_time(5)
    for day, rows in (("2026-01-15", ["R1"]), ("2026-01-14", [])):
        reply = await gopay.iris("GET", f"statements?from_date={day}&to_date={day}")
        assert [row["notes"] for row in reply.json()] == rows
    assert (await gopay.iris("GET", "statements?from_date=2026-01-15")).status_code == 400


async def test_a_payout_to_another_bank(gopay: Gopay) -> None:
    """As Midtrans' Node, Go and PHP clients pay in their own tests; no wallet's ceiling holds there."""
    bank = {"beneficiary_bank": "bca", "beneficiary_account": "0611101146", "bank_account_id": None}
    number = await gopay.create("R1", amount=25_000_000, **bank)
    await gopay.approve(number)
    await gopay.pass_time(5)
    told = (await gopay.iris("GET", f"payouts/{number}")).json()
    assert (told["status"], told["bank"], told["amount"]) == ("completed", "Bank Central Asia ( BCA )", "25000000.00")
    row = (await gopay.iris("GET", "statements", DAY)).json()[0]
    assert (row["beneficiary_account"], row["account"]) == ("0611101146", "Bank Central Asia ( BCA )")
    assert [booking.account for booking in gopay.world.books] == ["0611101146"]


async def test_account_validation(gopay: Gopay) -> None:
    gopay.account()
    told = (await gopay.iris("GET", "account_validation?bank=gopay&account=081234567890")).json()
    assert told.pop("id")
    assert told == {"account_name": "BUDI SANTOSO", "account_no": "081234567890", "bank_name": "gopay"}
    for target in ("bank=gopay&account=081200000000", "bank=gopay&account=1", "bank=gopay"):
        reply = await gopay.iris("GET", f"account_validation?{target}")
        assert reply.status_code == 400
        assert reply.json()["error_message"] == "An error occured when doing account validation"
        assert reply.json()["errors"] == {"account": ["Account does not exist"]}
    assert (await gopay.iris("GET", "account_validation?bank=x&account=081234567890")).status_code == 400
    elsewhere = (await gopay.iris("GET", "account_validation?bank=mandiri&account=1111222233333")).json()
    assert (elsewhere["account_no"], elsewhere["bank_name"]) == ("1111222233333", "mandiri")
    assert elsewhere["account_name"]
    assert (await gopay.iris("GET", "account_validation?bank=mandiri&account=x")).status_code == 400


async def test_banks_and_channels(gopay: Gopay) -> None:
    banks = (await gopay.iris("GET", "beneficiary_banks")).json()
    assert {"code": "gopay", "name": "GoPay"} in banks["beneficiary_banks"]
    assert {"code": "bca", "name": "Bank Central Asia ( BCA )"} in banks["beneficiary_banks"]
    assert set((await gopay.iris("GET", "channels")).json()[0]) == {
        "id", "virtual_account_type", "virtual_account_number",
    }  # fmt: skip


async def test_beneficiaries(gopay: Gopay) -> None:
    entry = {"name": "Budi", "account": "081234567890", "bank": "gopay", "alias_name": "budi", "email": "b@e.test"}
    assert (await gopay.iris("POST", "beneficiaries", entry)).json() == {"status": "created"}
    twin = entry | {"alias_name": "budi2", "account": PHONE[1:]}
    assert (await gopay.iris("POST", "beneficiaries", twin)).status_code == 400
    for name in entry:
        assert (await gopay.iris("POST", "beneficiaries", entry | {name: ""})).status_code == 400
    assert (await gopay.iris("PATCH", "beneficiaries/nobody", entry)).status_code == 404
    elsewhere = entry | {"alias_name": "bca", "bank": "bca"}
    assert (await gopay.iris("POST", "beneficiaries", elsewhere)).status_code == 201
    short = await gopay.iris("POST", "beneficiaries", elsewhere | {"alias_name": "b", "account": "abc"})
    assert short.json() == {
        "error_message": "An error occurred when creating beneficiary",
        "errors": ["Account is too short (minimum is 6 characters)", "Account is not a number"],
    }
    changed = entry | {"alias_name": "santoso"}
    assert (await gopay.iris("PATCH", "beneficiaries/budi", changed)).json() == {"status": "updated"}
    assert (await gopay.iris("GET", "beneficiaries")).json() == [elsewhere, changed]
