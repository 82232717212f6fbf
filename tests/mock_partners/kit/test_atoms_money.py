"""Atoms on payouts, statements, memories and accounts, each seen at the BNI mock."""

from __future__ import annotations

import httpx
import pytest

from tests.mock_partners.kit.staged import ACCOUNT, OTHER, TRANSFER, Stage, shows

PAYOUT, STATEMENT = 'operation = "payout"', 'operation = "statement"'


@shows("behave")
@pytest.mark.parametrize(
    ("behaviour", "answer", "states"),
    [
        ("pay:lost_answer", "reset", ["00"]),
        ("pay:timeout_no_credit", "5041700", ["4043601"]),
        ("pay:false_not_found", "5041700", ["4043601", "4043601", "00"]),
    ],
)
async def test_a_call_behaves_like_a_scripted_account(
    stage: Stage, behaviour: str, answer: str, states: list[str]
) -> None:
    await stage.begin(f'behave = "{behaviour}"', f"{PAYOUT}\nnth = 1")
    if answer == "reset":
        with pytest.raises(httpx.ReadError):
            await stage.transfer_reply()
    else:
        assert await stage.pay() == answer
    assert [await stage.status() for _ in states] == states


@shows("pending_lookups")
async def test_pending_for_so_many_look_ups(stage: Stage) -> None:
    await stage.begin("pending_lookups = 3", PAYOUT)
    assert await stage.pay() == "2021700"
    assert [await stage.status() for _ in range(4)] == ["03", "03", "03", "00"]


@shows("pending_s")
async def test_pending_for_so_long(stage: Stage) -> None:
    await stage.begin("pending_s = 600", PAYOUT)
    stage.partner.freeze()
    assert await stage.pay() == "2021700"
    assert [await stage.status() for _ in range(5)] == ["03"] * 5
    await stage.partner.advance(600)
    assert await stage.status() == "00"


@shows("settle_after_s")
async def test_settling_without_a_look_up(stage: Stage) -> None:
    await stage.begin("settle_after_s = 60", PAYOUT)
    stage.partner.freeze()
    assert await stage.pay() == "2021700"
    assert [await stage.status() for _ in range(5)] == ["03"] * 5
    assert stage.booked() == []
    await stage.partner.advance(61)
    assert stage.booked() == [("R1", 600_000, "credit")]
    assert await stage.status() == "00"


@shows("fail")
async def test_failing_when_it_settles(stage: Stage) -> None:
    await stage.begin("fail = true\npending_lookups = 1", PAYOUT)
    before = stage.world.deposit_rupiah
    assert await stage.pay() == "2021700"
    assert [await stage.status(), await stage.status()] == ["03", "06"]
    assert stage.booked() == []
    assert stage.world.deposit_rupiah == before


@shows("not_found_lookups")
async def test_not_found_for_so_many_look_ups(stage: Stage) -> None:
    await stage.begin("not_found_lookups = 1", PAYOUT)
    assert await stage.pay() == "5041700"
    assert [await stage.status(), await stage.status()] == ["4043601", "00"]


@shows("reverse_after_s")
async def test_reversed_after_so_long_even_if_it_was_pending(stage: Stage) -> None:
    await stage.begin("reverse_after_s = 600\npending_lookups = 0", PAYOUT)
    stage.partner.freeze()
    assert await stage.pay() == "2021700"
    assert await stage.status() == "00"
    await stage.partner.advance(601)
    assert await stage.status() == "04"
    assert [kind for _, _, kind in stage.booked()] == ["credit", "reversal"]


@shows("book_twice", "fee_rupiah")
async def test_booked_twice_with_a_fee(stage: Stage) -> None:
    await stage.begin("book_twice = true\nfee_rupiah = 2500", PAYOUT)
    assert await stage.pay() == "2001700"
    assert [kind for _, _, kind in stage.booked()] == ["credit", "fee", "credit", "fee"]
    assert stage.world.accounts[ACCOUNT].balance_rupiah == 1_200_000


@shows("book_amount_rupiah")
async def test_another_amount_is_booked(stage: Stage) -> None:
    await stage.begin("book_amount_rupiah = 60000", PAYOUT)
    assert await stage.pay() == "2001700"
    assert stage.booked() == [("R1", 60_000, "credit")]


@shows("deposit_short", "set_deposit_rupiah")
async def test_the_deposit_runs_short(stage: Stage) -> None:
    await stage.begin("deposit_short = true", f"{PAYOUT}\nnth = 1")
    assert [await stage.pay("R1"), await stage.pay("R1")] == ["4031714", "2001700"]
    await stage.begin("set_deposit_rupiah = 599999", f"{PAYOUT}\nnth = 1")
    assert [await stage.pay("R2"), await stage.pay("R2")] == ["4031714", "4031714"]


async def three_paid(stage: Stage, do: str) -> Stage:
    await stage.begin(do, STATEMENT)
    for number in (1, 2, 3):
        assert await stage.pay(f"R{number}") == "2001700"
    return stage


@shows("omit_rows")
async def test_rows_are_left_out(stage: Stage) -> None:
    assert await (await three_paid(stage, "omit_rows = 2")).references() == ["R3", "R1"]


@shows("duplicate_rows")
async def test_rows_are_shown_twice(stage: Stage) -> None:
    assert await (await three_paid(stage, "duplicate_rows = 3")).references() == ["R3", "R3", "R2", "R1"]


@shows("late_rows_s")
async def test_rows_are_shown_late(stage: Stage) -> None:
    stage.partner.freeze()
    await three_paid(stage, "late_rows_s = 300")
    assert await stage.references() == []
    await stage.partner.advance(300)
    assert await stage.references() == ["R3", "R2", "R1"]


@shows("foreign_rows", "fee_rows_rupiah", "wrong_rows_rupiah")
async def test_foreign_fee_and_wrong_rows(stage: Stage) -> None:
    await three_paid(stage, "foreign_rows = 1\nfee_rows_rupiah = 2500\nwrong_rows_rupiah = 1")
    told = [(row["additionalInfo"]["kind"], row["amount"]["value"]) for row in await stage.rows()]
    assert told == [("TRANSFER", "12345.00")] + [("FEE", "2500.00"), ("TRANSFER", "1.00")] * 3
    assert len(stage.booked()) == 3


@shows("shuffle_rows")
async def test_rows_come_in_another_order_but_always_the_same(stage: Stage) -> None:
    await stage.begin("shuffle_rows = true", STATEMENT)
    for number in range(8):
        await stage.pay(f"R{number}")
    first, second = await stage.references(), await stage.references()
    assert first == second != sorted(first)
    assert sorted(first) == [f"R{number}" for number in range(8)]


@shows("oldest_first")
async def test_rows_come_oldest_first_on_demand(stage: Stage) -> None:
    assert await (await three_paid(stage, "oldest_first = true")).references() == ["R1", "R2", "R3"]


@shows("unlisted_rows")
async def test_a_row_of_a_kind_that_no_list_has(stage: Stage) -> None:
    await three_paid(stage, "unlisted_rows = 1")
    assert [row["additionalInfo"]["kind"] for row in await stage.rows()] == ["ADJUSTMENT"] + ["TRANSFER"] * 3
    assert len(stage.booked()) == 3


@shows("cut_references", "repeat_numbers")
async def test_references_are_cut_and_numbers_given_again(stage: Stage) -> None:
    await three_paid(stage, "cut_references = 1\nrepeat_numbers = 2")
    rows = await stage.rows()
    assert [row["additionalInfo"]["partnerReferenceNo"] for row in rows] == ["R", "R", "R"]
    assert [row["transactionId"] for row in rows] == ["000001", "000002", "000001"]
    assert [reference for reference, _, _ in stage.booked()] == ["R1", "R2", "R3"]


@shows("post_under_yesterday_s")
async def test_what_is_booked_after_midnight_is_posted_under_yesterday(stage: Stage) -> None:
    """Of yesterday's statement it is seen only once it was booked; today's never shows it."""
    stage.partner.freeze()
    await stage.begin("post_under_yesterday_s = 600", STATEMENT)
    assert await stage.pay("R1") == "2001700"
    await stage.partner.advance(12 * 3600 + 60)
    await stage.snap.authenticate()
    assert await stage.references() == ["R1"]
    assert await stage.pay("R2") == "2001700"
    await stage.partner.advance(600)
    assert await stage.pay("R3") == "2001700"
    assert await stage.references() == ["R2", "R1"]
    assert (await stage.rows())[0]["transactionDate"] == "2026-01-15T23:59:59+07:00"
    assert [row["additionalInfo"]["partnerReferenceNo"] for row in await stage.rows("2026-01-16")] == ["R3"]


@shows("page_rows", "grow_rows")
async def test_a_list_grows_between_its_pages(stage: Stage) -> None:
    """Newest first, so that page 2 begins with the last row of page 1."""
    await three_paid(stage, "page_rows = 2\ngrow_rows = 1")
    first, second = await stage.page("1"), await stage.page("2")
    assert [*first, *second] == ["R3", "R2", "R2", "R1"]


@shows("forget_references")
async def test_a_forgotten_reference_is_new(stage: Stage) -> None:
    await stage.begin("forget_references = true", f"{PAYOUT}\nnth = 3")
    assert [await stage.pay(), await stage.pay(), await stage.pay()] == ["2001700", "4091701", "2001700"]
    assert len(stage.booked()) == 2


@shows("forget_external_ids", "forget")
async def test_forgotten_external_ids_can_come_again(stage: Stage) -> None:
    once = {"x_external_id": "1"}
    await stage.begin("forget_external_ids = true", 'operation = "balance"')
    await stage.snap.post(TRANSFER, stage.transfer("R1"), headers=once)
    assert (await stage.snap.post(TRANSFER, stage.transfer("R2"), headers=once)).status_code == 409
    await stage.balance()
    assert (await stage.snap.post(TRANSFER, stage.transfer("R2"), headers=once)).status_code == 200
    await stage.begin('forget = ["links"]', 'operation = "balance"')
    assert stage.world.kept()["links"].bound_references == set()
    await stage.link()
    assert stage.world.kept()["links"].bound_references == {"B1"}
    await stage.balance()
    assert stage.world.kept()["links"].bound_references == set()


@shows("block_account", "unblock_account")
async def test_an_account_is_blocked_and_unblocked(stage: Stage) -> None:
    await stage.begin("block_account = true", f"{PAYOUT}\nnth = 2\nper = 'account'")
    assert [await stage.pay("R1"), await stage.pay("R2"), await stage.pay("R3")] == ["2001700", "4031718", "4031718"]
    assert await stage.pay("R4", OTHER) == "2001700"
    await stage.begin("unblock_account = true", 'operation = "status"\naccount = "+6281100000001"')
    await stage.status("R1")
    assert await stage.pay("R5") == "2001700"


@shows("remove_account")
async def test_an_account_vanishes(stage: Stage) -> None:
    await stage.begin("remove_account = true", PAYOUT)
    assert await stage.pay() == "4041711"


@shows("set_kyc", "set_name", "set_balance_rupiah", "set_monthly_in_rupiah")
async def test_an_account_changes(stage: Stage) -> None:
    do = 'set_kyc = "basic"\nset_name = "SITI"\nset_balance_rupiah = 5\nset_monthly_in_rupiah = 6'
    await stage.begin(do, 'operation = "inquiry"')
    body = {"beneficiaryAccountNo": ACCOUNT}
    told = (await stage.snap.post("/snap-service/v1/account-inquiry-internal", body)).json()
    account = stage.world.accounts[ACCOUNT]
    assert told["beneficiaryAccountName"] == "SITI"
    assert (account.kyc, account.balance_rupiah, account.monthly_in_rupiah) == ("basic", 5, 6)


@shows("nik_check")
@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("match", "Y"), ("mismatch", "N"), ("not_on_file", "U"), ("in_progress", "P"), ("unavailable", "5009700"),
    ],
)  # fmt: skip
async def test_the_nik_check_comes_out_as_wanted_once(stage: Stage, outcome: str, told: str) -> None:
    await stage.begin(f'nik_check = "{outcome}"', 'operation = "verify"\nnth = 1')
    token = await stage.link()
    sent = "3174056209989901" if outcome == "match" else "3174052209989901"
    assert await stage.check_nik(token, sent) == told
    assert await stage.check_nik(token, sent) == ("N" if outcome == "match" else "Y")
    assert stage.world.accounts[ACCOUNT].nik_on_file == "3174052209989901"


@shows("expire_tokens", "revoke_tokens")
async def test_tokens_expire_or_become_unknown(stage: Stage) -> None:
    await stage.begin("expire_tokens = true", f"{PAYOUT}\nnth = 1")
    assert [await stage.pay(), await stage.pay()] == ["4011701", "4011701"]
    await stage.begin("revoke_tokens = true", f"{PAYOUT}\nnth = 1")
    assert await stage.pay() == "4011703"
    await stage.snap.authenticate()
    assert await stage.pay() == "2001700"


@shows("expire_otp", "later_s")
@pytest.mark.parametrize("atom", ["expire_otp = true", "later_s = 301"])
async def test_a_call_that_comes_too_late(stage: Stage, atom: str) -> None:
    await stage.begin(atom, 'operation = "otp-verification"\nnth = 1')
    bound = (await stage.bind()).json()
    otp = await stage.newest_otp()
    assert await stage.verify_otp(bound, otp) == "4030412"
    assert await stage.verify_otp(bound, otp) == "2000400"


@shows("clock_skew_s")
async def test_a_partner_whose_clock_is_off_refuses_time_stamps(stage: Stage) -> None:
    await stage.begin("clock_skew_s = -901", f"{PAYOUT}\nnth = 1")
    assert [await stage.pay(), await stage.pay()] == ["4011700", "2001700"]


@shows("lose_sms")
async def test_an_sms_that_never_comes(stage: Stage) -> None:
    await stage.begin("lose_sms = true", 'operation = "link"\nnth = 1')
    assert (await stage.bind()).status_code == 200
    assert (await stage.http.get("/__mock__/sms", params={"phone": "+6281100000001"})).json() == []
    await stage.bind("B2")
    assert len(await stage.newest_otp()) == 6


@shows("goto", "advance_clock_s")
async def test_states_and_a_clock_that_jumps(stage: Stage) -> None:
    await stage.begin("delay_s = 0")
    stage.partner.set_scenario(
        """
        [[rule]]
        name = "goes down with the first payout"
        when = { operation = "payout", state = "start" }
        do = { goto = "down", advance_clock_s = 60 }
        [[rule]]
        name = "is down"
        when = { operation = "payout", state = "down" }
        do = { code = "500xx00", goto = "up" }
        """
    )
    stage.partner.freeze()
    before = stage.clock.seconds()
    assert [await stage.pay(f"R{number}") for number in (1, 2, 3)] == ["2001700", "5001700", "2001700"]
    assert stage.clock.seconds() == before + 60
    assert stage.mock.backstage.player is not None
    assert stage.mock.backstage.player.state == "up"
