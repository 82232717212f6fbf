"""What becomes of approved payouts: every behaviour, ceilings, notifications, books."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from mock_partners.kit.world import World
from tests.mock_partners.gopay.conftest import IRIS_PATH, PHONE, SECRETS, Gopay

pytestmark = pytest.mark.asyncio
OTHER = "+6281234567891"


async def books(gopay: Gopay) -> list[tuple[str, str, int]]:
    return [(line["kind"], line["reference"], line["amount_rupiah"]) for line in await gopay.control("books")]


CREDIT, REVERSAL = ("credit", "PAYOUT-0001", 600_000), ("reversal", "PAYOUT-0001", 600_000)


async def test_the_happy_way(gopay: Gopay) -> None:
    account = gopay.account()
    number = await gopay.create()
    assert (await gopay.approve(number)).status_code == 202
    assert await gopay.status(number) == "approved"
    assert (await gopay.control("pending"))["unsettled"] == 1
    await gopay.pass_time(2.5)
    assert await gopay.status(number) == "processed"
    assert await books(gopay) == []
    await gopay.pass_time(2.5)
    assert await gopay.status(number) == "completed"
    assert gopay.told(number) == ["processed", "completed"]
    (line,) = await gopay.control("books")
    assert line == {
        "reference": "PAYOUT-0001", "partner_reference": number, "account": PHONE, "amount_rupiah": 600_000,
        "kind": "credit", "booked_at": "2026-01-15T12:00:05+07:00",
    }  # fmt: skip
    assert account.balance_rupiah == 600_000
    assert (await gopay.iris("GET", "balance")).json() == {"balance": f"{10**12 - 600_000}.00"}
    assert await gopay.control("pending") == {"unsettled": 0, "scheduled": 0, "undelivered": 0}


async def test_notifications_are_signed_over_the_raw_body(gopay: Gopay) -> None:
    gopay.account(status="blocked")
    number = await gopay.create()
    await gopay.approve(number)
    await gopay.pass_time(5)
    for post in gopay.posts:
        assert (post.notice.method, post.path) == ("POST", IRIS_PATH)
        wanted = hashlib.sha512(post.notice.body + SECRETS["iris_merchant_key"].encode()).hexdigest()
        assert post.notice.headers["Iris-Signature"] == wanted
    assert gopay.posts[0].notice.body == (
        b'{"reference_no":"%s","amount":"600000.00","status":"processed","updated_at":"2026-01-15T05:00:02Z"}'
        % number.encode()
    )
    assert gopay.posts[1].body == {
        "reference_no": number, "amount": "600000.00", "status": "failed", "updated_at": "2026-01-15T05:00:05Z",
        "error_code": "012", "error_message": "Beneficiary account blocked",
    }  # fmt: skip


async def test_notification_retries(gopay: Gopay) -> None:
    gopay.account()
    gopay.statuses = [500] * 12
    await gopay.approve(await gopay.create())
    start_s = gopay.clock.seconds()
    await gopay.pass_time(60)
    for status, first_s in (("processed", 2.5), ("completed", 5.0)):
        posts = [post for post in gopay.posts if post.body["status"] == status]
        assert [post.at_s - start_s - first_s for post in posts] == pytest.approx([0, 1, 3, 7, 15, 31])
        assert len({post.notice.body for post in posts}) == 1
    assert (await gopay.control("pending"))["undelivered"] == 0


async def test_retries_come_out_of_order_by_themselves(gopay: Gopay) -> None:
    gopay.account()
    gopay.statuses = [None, None, 200]
    number = await gopay.create()
    await gopay.approve(number)
    await gopay.pass_time(40)
    assert gopay.told(number) == ["processed", "processed", "completed", "processed"]


async def test_some_notifications_come_twice_or_late(gopay: Gopay) -> None:
    gopay.account(kyc="full")
    numbers = [await gopay.create(f"R{index}") for index in range(1, 9)]
    await gopay.approve(*numbers)
    await gopay.pass_time(40)
    told = [gopay.told(number) for number in numbers]
    assert told[2] == ["processed", "processed", "completed", "completed"]
    assert told[4] == ["completed", "processed"]
    assert all(told[index] == ["processed", "completed"] for index in (0, 1, 3, 5, 6, 7))


@pytest.mark.parametrize(
    ("changes", "deposit", "reason"),
    [
        (None, 10**12, "002"),
        ({"status": "blocked"}, 10**12, "012"),
        ({"balance_rupiah": 19_400_001}, 10**12, "015"),
        ({"balance_rupiah": 19_400_000}, 10**12, ""),
        ({"monthly_in_rupiah": 39_400_001}, 10**12, "014"),
        ({"monthly_in_rupiah": 39_400_000}, 10**12, ""),
        ({"kyc": "basic", "balance_rupiah": 1_400_001}, 10**12, "015"),
        ({"kyc": "basic", "monthly_in_rupiah": 19_400_001}, 10**12, "014"),
        ({}, 599_999, "016"),
        ({}, 600_000, ""),
        ({"behaviour": "pay:pending_then_failed", "status": "blocked"}, 10**12, "012"),
    ],
)
async def test_what_settlement_meets(gopay: Gopay, changes: dict[str, Any] | None, deposit: int, reason: str) -> None:
    gopay.world.deposit_rupiah = deposit
    account = None if changes is None else gopay.account(**changes)
    before = account.balance_rupiah if account else 0
    number = await gopay.create()
    assert (await gopay.approve(number)).status_code == 202
    await gopay.pass_time(5)
    for _ in range(3):
        seen = await gopay.status(number)
    await gopay.scheduler.run_due()
    assert seen == ("failed" if reason else "completed")
    assert gopay.told(number) == ["processed", f"failed {reason}" if reason else "completed"]
    assert await books(gopay) == ([] if reason else [CREDIT])
    assert gopay.world.deposit_rupiah == deposit - (0 if reason else 600_000)
    if account:
        assert account.balance_rupiah == before + (0 if reason else 600_000)
    assert "error_code" not in (await gopay.iris("GET", f"payouts/{number}")).text


async def test_the_monthly_total_starts_anew(gopay: Gopay) -> None:
    gopay.account(monthly_in_rupiah=39_400_001)
    first = await gopay.create("R1")
    await gopay.approve(first)
    await gopay.pass_time(86_400 * 17)
    second = await gopay.create("R2")
    await gopay.approve(second)
    await gopay.pass_time(5)
    assert [await gopay.status(number) for number in (first, second)] == ["failed", "completed"]


async def test_a_state_is_seen_at_settlement_only(gopay: Gopay) -> None:
    account = gopay.account(status="blocked")
    number = await gopay.create()
    await gopay.approve(number)
    account.status = "active"
    await gopay.pass_time(5)
    assert await gopay.status(number) == "completed"


async def test_lost_answer(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:lost_answer")
    number = await gopay.create()
    with pytest.raises(httpx.ReadError):
        await gopay.approve(number)
    assert await gopay.status(number) == "approved"
    assert (await gopay.approve(number)).status_code == 400
    await gopay.pass_time(5)
    assert gopay.told(number) == ["processed", "completed"]
    assert await books(gopay) == [CREDIT]


async def test_timeout_no_credit(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:timeout_no_credit")
    number = await gopay.create()
    reply = await gopay.approve(number)
    assert (reply.status_code, reply.json()) == (504, {"error_message": "Timeout"})
    await gopay.pass_time(600)
    assert await gopay.status(number) == "queued"
    assert gopay.posts == []
    assert gopay.world.deposit_rupiah == 10**12
    assert (await gopay.approve(number)).status_code == 202
    await gopay.pass_time(5)
    assert await gopay.status(number) == "completed"
    assert await books(gopay) == [CREDIT]


async def test_false_not_found(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:false_not_found")
    number = await gopay.create()
    assert await gopay.status(number) == "queued"
    assert (await gopay.approve(number)).status_code == 504
    assert [await gopay.status(number) for _ in range(3)] == ["404", "404", "approved"]
    await gopay.pass_time(5)
    assert await gopay.status(number) == "completed"
    assert gopay.told(number) == ["processed", "completed"]
    assert await books(gopay) == [CREDIT]


@pytest.mark.parametrize(("kind", "end"), [("success", "completed"), ("failed", "failed 018")])
async def test_pending_then(gopay: Gopay, kind: str, end: str) -> None:
    gopay.account(behaviour=f"pay:pending_then_{kind}")
    number = await gopay.create()
    assert (await gopay.approve(number)).status_code == 202
    await gopay.pass_time(2.5)
    for _ in range(4):
        assert await gopay.status(number) == "processed"
    await gopay.pass_time(2.4)
    assert await gopay.status(number) == "processed"
    assert (await gopay.control("pending"))["unsettled"] == 1
    await gopay.pass_time(0.2)
    assert await gopay.status(number) == end.split()[0]
    assert (await gopay.control("pending"))["unsettled"] == 0
    await gopay.scheduler.run_due()
    assert gopay.told(number) == ["processed", end]
    assert await books(gopay) == ([CREDIT] if kind == "success" else [])
    assert gopay.world.deposit_rupiah == 10**12 - (600_000 if kind == "success" else 0)


async def test_pending_is_told_twice_however_late_the_first_look_up(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:pending_then_success")
    number = await gopay.create()
    await gopay.approve(number)
    await gopay.pass_time(600)
    assert [await gopay.status(number) for _ in range(3)] == ["processed", "processed", "completed"]


async def test_slow(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:slow")
    number = await gopay.create()
    start_s = gopay.clock.seconds()
    asked = asyncio.create_task(gopay.approve(number))
    while gopay.scheduler.next_due_s() is None:
        await asyncio.sleep(0)
    await gopay.pass_time(2.9)
    assert gopay.scheduler.next_due_s() == pytest.approx(start_s + 3)
    assert not asked.done()
    await gopay.pass_time(0.2)
    assert (await asked).status_code == 202
    await gopay.pass_time(2)
    assert await books(gopay) == [CREDIT]


async def test_reversed_later(gopay: Gopay) -> None:
    account = gopay.account(behaviour="pay:reversed_later")
    number = await gopay.create()
    await gopay.approve(number)
    await gopay.pass_time(5)
    assert await gopay.status(number) == "completed"
    assert (await gopay.control("pending"))["scheduled"] == 1
    await gopay.pass_time(60)
    assert await gopay.status(number) == "failed"
    assert gopay.told(number) == ["processed", "completed", "failed 025"]
    assert await books(gopay) == [CREDIT, REVERSAL]
    assert account.balance_rupiah == 0
    assert gopay.world.deposit_rupiah == 10**12


@pytest.mark.parametrize("behaviour", ["pay:lost_answer", "pay:timeout_no_credit", "pay:pending_then_failed"])
async def test_a_behaviour_is_for_the_first_payout_only(gopay: Gopay, behaviour: str) -> None:
    gopay.account(behaviour=behaviour)
    gopay.account(OTHER)
    rejected, first, second = [await gopay.create(reference) for reference in ("R0", "PAYOUT-0001", "R2")]
    await gopay.iris(
        "POST", "payouts/reject", {"reference_nos": [rejected], "reject_reason": "x"}, key="iris_approver_key"
    )
    try:
        await gopay.approve(first)
    except httpx.ReadError:
        assert behaviour == "pay:lost_answer"
    assert (await gopay.approve(second)).status_code == 202
    await gopay.pass_time(5)
    assert await gopay.status(second) == "completed"


async def test_a_restart_goes_on(gopay: Gopay) -> None:
    gopay.account(behaviour="pay:pending_then_success")
    number = await gopay.create()
    await gopay.approve(number)
    gopay.connect()
    await gopay.pass_time(5)
    gopay.connect()
    assert [await gopay.status(number) for _ in range(3)] == ["processed", "processed", "completed"]
    again = await gopay.create()
    assert again == number


async def test_the_same_calls_give_the_same_numbers(gopay: Gopay) -> None:
    first = [await gopay.create(f"R{index}") for index in range(3)]
    gopay.world = World("gopay")
    gopay.connect()
    await gopay.snap.authenticate()
    assert [await gopay.create(f"R{index}") for index in range(3)] == first
