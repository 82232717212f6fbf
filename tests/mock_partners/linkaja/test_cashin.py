"""LinkAja's cash-in: sessions, envelopes, caps, duplicates, every pay behaviour, report, and a restarted app."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from mock_partners.kit.waits import Waits
from mock_partners.linkaja import create_app
from tests.mock_partners.linkaja.conftest import CHECK, CONFIRM, GATEWAY, INQUIRY, NUMBER, LinkAja, cashin


@pytest.fixture
async def token(linkaja: LinkAja) -> str:
    """The customer token of a linked account."""
    linkaja.account()
    return await linkaja.token()


async def scripted(linkaja: LinkAja, behaviour: str) -> str:
    linkaja.account(behaviour=behaviour)
    return await linkaja.token()


async def test_the_envelopes_are_as_inconsistent_as_documented(linkaja: LinkAja, token: str) -> None:
    told = await linkaja.legacy.post(INQUIRY, cashin(token))
    session = told.pop("sessionID")
    assert session.startswith("PD5I")
    assert told == {
        "responseCode": "00", "responseMessage": "Success", "custName": "BUDI SANTOSO", "msisdn": NUMBER,
        "amount": "600000", "cashInLimit": "20000000", "merchantTrxID": "R1",
    }  # fmt: skip
    assert await linkaja.books() == []
    told = await linkaja.legacy.post(CONFIRM, {**cashin(token), "sessionID": session})
    number = told["data"].pop("linkRefNum")
    assert told == {"data": {"responseCode": "00", "responseMessage": "Success", "merchantTrxID": "R1"}}
    told = await linkaja.legacy.post(CHECK, {"merchantTrxID": "R1"})
    assert told == {"data": {"responseCode": "00", "status": "COMPLETED", "linkRefNum": number}}
    assert await linkaja.books() == [("R1", 600_000, "credit")]
    assert linkaja.world.deposit_rupiah == 10**12 - 600_000
    assert (await linkaja.inquire(token, "R2"))["cashInLimit"] == "19400000"


async def test_an_unknown_or_only_inquired_reference_has_no_status(linkaja: LinkAja, token: str) -> None:
    assert await linkaja.legacy.post(CHECK, {"merchantTrxID": "R1"}) == {"data": {"responseCode": "25"}}
    await linkaja.session(token)
    assert await linkaja.legacy.post(CHECK, {"merchantTrxID": "R1"}) == {"data": {"responseCode": "25"}}


async def test_a_session_lives_five_minutes(linkaja: LinkAja, token: str) -> None:
    session = await linkaja.session(token)
    linkaja.clock.shift(300)
    assert (await linkaja.confirm(token, session))["responseCode"] == "40"
    assert await linkaja.check() == "25"
    session = await linkaja.session(token)
    linkaja.clock.shift(299)
    assert (await linkaja.confirm(token, session))["responseCode"] == "00"


async def test_a_session_is_for_its_own_request(linkaja: LinkAja, token: str) -> None:
    linkaja.account("+6281100000002")
    other = await linkaja.token("6281100000002")
    session = await linkaja.session(token)
    told = [
        await linkaja.confirm(token, "PD5I-0001"),
        await linkaja.confirm(token, session, amount="000060000100"),
        await linkaja.confirm(token, session, "R2"),
        await linkaja.confirm(other, session),
    ]
    assert [data["responseCode"] for data in told] == ["40"] * 4
    assert await linkaja.books() == []
    assert (await linkaja.confirm(token, session))["responseCode"] == "00"


async def test_a_repeated_reference(linkaja: LinkAja, token: str) -> None:
    session = await linkaja.session(token)
    first = await linkaja.confirm(token, session)
    assert await linkaja.confirm(token, session) == first
    assert (await linkaja.confirm(token, session, amount="000000000100"))["responseCode"] == "94"
    assert await linkaja.pay(token) == "94"
    linkaja.account("+6281100000002")
    assert await linkaja.pay(await linkaja.token("6281100000002")) == "94"
    await linkaja.later(86_400)
    assert await linkaja.confirm(token, session) == first
    assert len(await linkaja.books()) == 1
    assert await linkaja.check() == "COMPLETED"


async def test_a_refreshed_token_is_the_same_customer(linkaja: LinkAja) -> None:
    linkaja.account()
    linked = await linkaja.link()
    body = {"grantType": "REFRESH_TOKEN", "refreshToken": linked["refreshToken"]}
    fresh = (await linkaja.customer_token(body)).json()["accessToken"]
    session = await linkaja.session(linked["accessToken"])
    first = await linkaja.confirm(fresh, session)
    assert first["responseCode"] == "00"
    assert await linkaja.confirm(linked["accessToken"], session) == first


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"token": "x"}, "14"),
        ({"token": ""}, "30"),
        ({"amount": "600000"}, "30"),
        ({"amount": "000060000050"}, "30"),
        ({"amount": "000000000000"}, "30"),
        ({"amount": "0000600000 00"}, "30"),
        ({"amount": 600000}, "30"),
        ({"merchantTrxID": ""}, "30"),
        ({"merchantTrxID": "x" * 65}, "30"),
        ({"trxDate": "2026-01-15"}, "30"),
        ({"trxDate": "2026-01-15T05:00:00"}, "30"),
    ],
)
async def test_refused_inquiries_and_confirms(
    linkaja: LinkAja, token: str, changes: dict[str, Any], expected: str
) -> None:
    told = await linkaja.inquire(token, **changes)
    assert told["responseCode"] == expected
    assert set(told) == {"responseCode", "responseMessage"}
    session = await linkaja.session(token)
    assert (await linkaja.confirm(token, session, **changes))["responseCode"] == expected
    assert await linkaja.books() == []
    assert await linkaja.check() == ("FAILED" if expected == "14" else "25")


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"kyc": "basic", "balance_rupiah": 1_400_000}, 600_000),
        ({"balance_rupiah": 19_400_000}, 600_000),
        ({"monthly_in_rupiah": 39_400_000, "balance_rupiah": 0}, 600_000),
    ],
)
async def test_ceilings_of_balance_and_month(linkaja: LinkAja, changes: dict[str, Any], amount: int) -> None:
    account = linkaja.account(**changes)
    token = await linkaja.token()
    over = f"{amount + 1:010d}00"
    assert (await linkaja.inquire(token, amount=over))["responseCode"] == "15"
    assert (await linkaja.inquire(token))["cashInLimit"] == str(amount)
    late = await linkaja.session(token, "R2", amount="000000000100")
    assert await linkaja.pay(token) == "00"
    assert (await linkaja.confirm(token, late, "R2", amount="000000000100"))["responseCode"] == "15"
    assert await linkaja.check("R2") == "FAILED"
    assert account.balance_rupiah == changes["balance_rupiah"] + amount


async def test_an_account_blocked_since_the_link(linkaja: LinkAja, token: str) -> None:
    session = await linkaja.session(token)
    linkaja.world.accounts["+6281100000001"].status = "blocked"
    assert (await linkaja.inquire(token))["responseCode"] == "62"
    assert (await linkaja.confirm(token, session))["responseCode"] == "62"
    assert await linkaja.check() == "FAILED"


async def test_a_customer_who_unlinked_is_not_found(linkaja: LinkAja, token: str) -> None:
    session = await linkaja.session(token)
    linkaja.unlink_in_the_app()
    assert (await linkaja.inquire(token))["responseCode"] == "14"
    assert (await linkaja.confirm(token, session))["responseCode"] == "14"
    assert await linkaja.books() == []


async def test_a_short_deposit_is_told_and_the_reference_stays_free(linkaja: LinkAja, token: str) -> None:
    linkaja.world.deposit_rupiah = 599_999
    assert await linkaja.pay(token) == "51"
    assert await linkaja.check() == "FAILED"
    linkaja.world.deposit_rupiah = 600_000
    assert await linkaja.pay(token) == "00"
    assert await linkaja.check() == "COMPLETED"
    assert linkaja.world.deposit_rupiah == 0


async def test_lost_answer_books_and_resets(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:lost_answer")
    session = await linkaja.session(token)
    with pytest.raises(httpx.ReadError):
        await linkaja.confirm(token, session)
    assert await linkaja.check() == "COMPLETED"
    assert (await linkaja.confirm(token, session))["responseCode"] == "00"
    assert await linkaja.pay(token) == "94"
    assert await linkaja.pay(token, "R2") == "00"
    assert [line[0] for line in await linkaja.books()] == ["R1", "R2"]


async def test_timeout_no_credit_books_nothing_and_a_resend_is_new(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:timeout_no_credit")
    assert await linkaja.pay(token) == "89"
    assert [await linkaja.check() for _ in range(4)] == ["25"] * 4
    assert await linkaja.books() == []
    assert (await linkaja.report())["data"]["rows"] == []
    assert linkaja.world.deposit_rupiah == 10**12
    linkaja.world.deposit_rupiah = 0
    assert await linkaja.pay(token) == "51"
    assert await linkaja.check() == "FAILED"
    linkaja.world.deposit_rupiah = 600_000
    assert await linkaja.pay(token) == "00"
    assert await linkaja.pay(token) == "94"


async def test_a_refused_confirm_is_forgotten_once_the_reference_is_taken(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:false_not_found")
    linkaja.world.deposit_rupiah = 0
    assert await linkaja.pay(token) == "51"
    assert await linkaja.check() == "FAILED"
    linkaja.world.deposit_rupiah = 600_000
    assert await linkaja.pay(token) == "89"
    assert [await linkaja.check() for _ in range(3)] == ["25", "25", "COMPLETED"]


async def test_false_not_found_hides_a_booked_cash_in_from_two_checks(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:false_not_found")
    assert await linkaja.pay(token) == "89"
    assert await linkaja.pay(token) == "94"
    session = await linkaja.session(token)
    linkaja.unlink_in_the_app()
    assert (await linkaja.confirm(token, session))["responseCode"] == "14"
    assert len(await linkaja.books()) == 1
    assert [await linkaja.check() for _ in range(4)] == ["25", "25", "COMPLETED", "COMPLETED"]


@pytest.mark.parametrize(
    ("behaviour", "end", "lines"),
    [("pay:pending_then_success", "COMPLETED", 1), ("pay:pending_then_failed", "FAILED", 0)],
)
async def test_pending_settles_at_a_check(linkaja: LinkAja, behaviour: str, end: str, lines: int) -> None:
    token = await scripted(linkaja, behaviour)
    session = await linkaja.session(token)
    told = await linkaja.confirm(token, session)
    assert told == {"responseCode": "26", "responseMessage": "In Process", "merchantTrxID": "R1"}
    assert await linkaja.confirm(token, session) == told
    assert await linkaja.pay(token) == "26"
    assert await linkaja.pay(token, amount="000000000100") == "94"
    assert [await linkaja.check() for _ in range(3)] == ["PENDING"] * 3
    assert await linkaja.pending() == {"unsettled": 1, "scheduled": 0, "undelivered": 0}
    linkaja.clock.shift(5)
    assert await linkaja.check() == end
    assert await linkaja.pending() == {"unsettled": 0, "scheduled": 0, "undelivered": 0}
    assert len(await linkaja.books()) == lines
    assert linkaja.world.deposit_rupiah == 10**12 - 600_000 * lines
    assert await linkaja.pay(token, "R2") == "00"
    assert await linkaja.pay(token) == ("94" if lines else "26")


async def test_slow_answers_after_three_seconds(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:slow")
    asked = asyncio.create_task(linkaja.pay(token))
    while not linkaja.world.books:
        await asyncio.sleep(0)
    linkaja.clock.shift(2.9)
    assert await linkaja.scheduler.run_due() == 0
    assert not asked.done()
    linkaja.clock.shift(0.1)
    assert await linkaja.scheduler.run_due() == 1
    assert await asked == "00"


async def test_a_reversal_shows_in_the_report_and_not_in_the_check(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:reversed_later")
    assert await linkaja.pay(token) == "00"
    assert (await linkaja.pending())["scheduled"] == 1
    linkaja.clock.shift(60)
    await linkaja.scheduler.run_due()
    assert await linkaja.check() == "COMPLETED"
    assert await linkaja.books() == [("R1", 600_000, "credit"), ("R1", 600_000, "reversal")]
    assert (linkaja.world.accounts["+6281100000001"].balance_rupiah, linkaja.world.deposit_rupiah) == (0, 10**12)
    told = await linkaja.report()
    second, first = told["data"].pop("rows")
    assert told == {"status": "00", "data": {"page": 1, "pages": 1}}
    assert first == {
        "merchantTrxID": "R1", "linkRefNum": second["linkRefNum"], "msisdn": NUMBER, "amount": "600000",
        "type": "CASHIN", "trxDate": "2026-01-15T05:00:00+00:00",
    }  # fmt: skip
    assert second == {**first, "trxDate": "2026-01-15T05:01:00+00:00", "type": "REVERSAL"}
    assert await linkaja.pay(token) == "94"


async def test_the_report_comes_in_pages_of_a_thousand_per_jakarta_day(linkaja: LinkAja) -> None:
    account = linkaja.account()
    for number in range(2_001):
        linkaja.world.credit(account, 1, reference=f"P{number}", partner_reference="x", at=linkaja.clock.now())
    await linkaja.later(43_200)
    linkaja.world.credit(account, 1, reference="next", partner_reference="x", at=linkaja.clock.now())
    seen: list[str] = []
    for page, rows in ((1, 1_000), (2, 1_000), (3, 1), (4, 0)):
        data = (await linkaja.report(f"date=2026-01-15&page={page}"))["data"]
        assert (data["page"], data["pages"], len(data["rows"])) == (page, 3, rows)
        seen += [row["merchantTrxID"] for row in data["rows"]]
    assert seen == [f"P{number}" for number in reversed(range(2_001))]
    rows_of_next_day = (await linkaja.report("date=2026-01-16"))["data"]["rows"]
    assert [row["merchantTrxID"] for row in rows_of_next_day] == ["next"]
    assert (await linkaja.report("date=2026-01-17"))["data"] == {"rows": [], "page": 1, "pages": 1}


@pytest.mark.parametrize("query", ["page=1", "date=2026-02-30", "date=20260115", "date=2026-01-15&page=0"])
async def test_report_parameters(linkaja: LinkAja, query: str) -> None:
    assert (await linkaja.report(query))["status"] == "30"


async def test_a_restarted_mock_goes_on_where_it_was(linkaja: LinkAja) -> None:
    token = await scripted(linkaja, "pay:pending_then_success")
    session = await linkaja.session(token)
    app = create_app(
        linkaja.world, clock=linkaja.clock, waits=Waits(), notify_base=GATEWAY, scheduler=linkaja.scheduler
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linkaja") as http:
        linkaja.legacy.client = linkaja.http = http
        assert (await linkaja.confirm(token, session))["responseCode"] == "26"
        linkaja.clock.shift(5)
        assert [await linkaja.check() for _ in range(3)] == ["PENDING", "PENDING", "COMPLETED"]
