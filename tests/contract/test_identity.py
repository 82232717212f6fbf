"""NIK checks: a dated word of the partner about a NIK and an account, never a guess."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from contracts.errors import Hint, PartnerUnavailable
from contracts.identity import Verdict
from contracts.linking import Grant
from contracts.secret import Secret
from mock_partners.kit.behaviour import TROUBLED_CHECKS
from mock_partners.kit.world import Account
from tests.contract.recording import question, verify
from tests.contract.stage import NIK, OTHER_NIK, Stage

Linked = Callable[..., Awaitable[tuple[Account, Grant]]]


async def test_the_nik_on_file_matches_and_no_other(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    said = [(await verify(stage, question(stage, account, grant, nik=nik))).verdict for nik in (NIK, OTHER_NIK, NIK)]
    assert said == [Verdict.MATCH, Verdict.MISMATCH, Verdict.MATCH]


async def test_one_digit_is_enough_for_a_mismatch(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    for place in (0, 5, 15):
        digits = list(NIK)
        digits[place] = str((int(digits[place]) + 1) % 10)
        answer = await verify(stage, question(stage, account, grant, nik="".join(digits)))
        assert answer.verdict is Verdict.MISMATCH


async def test_another_name_is_no_mismatch(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(holder_name="ST. AMINAH BINTI UMAR")
    assert (await verify(stage, question(stage, account, grant))).verdict is Verdict.MATCH


@pytest.mark.parametrize("changes", [{"kyc": "basic"}, {"nik_on_file": ""}], ids=["basic", "no_nik"])
async def test_an_account_without_a_verified_nik(stage: Stage, linked: Linked, changes: dict[str, str]) -> None:
    account, grant = await linked(**changes)
    assert (await verify(stage, question(stage, account, grant))).verdict is Verdict.KYC_INCOMPLETE


async def test_a_running_kyc_is_pending_until_it_is_done(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="verify:in_progress")
    said = [(await verify(stage, question(stage, account, grant))).verdict for _ in range(TROUBLED_CHECKS + 1)]
    assert said == [Verdict.PENDING] * TROUBLED_CHECKS + [Verdict.MATCH]


async def test_trouble_at_the_partner_is_no_verdict(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="verify:unavailable_twice")
    for _ in range(TROUBLED_CHECKS):
        with pytest.raises(PartnerUnavailable) as raised:
            await verify(stage, question(stage, account, grant, nik=OTHER_NIK))
        assert raised.value.hint in {Hint.NONE, Hint.LATER}
    assert (await verify(stage, question(stage, account, grant))).verdict is Verdict.MATCH


async def test_a_blocked_account_is_no_mismatch(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    account.status = "blocked"
    try:
        answer = await verify(stage, question(stage, account, grant, nik=NIK))
    except PartnerUnavailable:
        return
    assert answer.verdict in {Verdict.ACCOUNT_BLOCKED, Verdict.MATCH}


async def test_somebody_else_s_access_is_no_verdict_on_the_nik(stage: Stage, linked: Linked) -> None:
    """A token that is nobody's says nothing about the person."""
    account, grant = await linked()
    broken = Grant(access_token=Secret("nobodys-token-0001"), refresh_token=grant.refresh_token)
    try:
        answer = await verify(stage, question(stage, account, broken))
    except PartnerUnavailable as error:
        assert error.hint is Hint.CUSTOMER_TOKEN
    else:
        assert answer.verdict is Verdict.ACCOUNT_NOT_FOUND


async def test_the_answer_holds_no_data_of_the_holder(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    answer = await verify(stage, question(stage, account, grant))
    assert set(answer.__struct_fields__) == {"verdict", "partner_code"}
    assert NIK not in repr(answer) and account.holder_name not in repr(answer)
