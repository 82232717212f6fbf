"""Two people swap codes, access and accounts: whatever a partner lets through, no match is had for another account."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contracts.errors import OutcomeUnknown, PartnerError
from contracts.identity import IdentityAnswer, Verdict
from contracts.linking import Grant, LinkGranted, LinkInputs, LinkRedirect, LinkRefused
from contracts.partner import Capability
from contracts.secret import Secret
from mock_partners.kit.world import Account
from tests.contract.people import Person
from tests.contract.recording import question, verify
from tests.contract.stage import NIK, OTHER_NIK, Stage, outcome_or_error


def two(stage: Stage) -> tuple[Account, Account]:
    """Two people with accounts of their own."""
    return stage.account(holder_name="SITI AMINAH"), stage.account(holder_name="BUDI SANTOSO", nik_on_file=OTHER_NIK)


async def no_match(stage: Stage, account: Account, grant: Grant) -> None:
    """Neither NIK is called a match on this account under this access."""
    for nik in (NIK, OTHER_NIK):
        said = await outcome_or_error(verify(stage, question(stage, account, grant, nik=nik)))
        assert isinstance(said, IdentityAnswer | PartnerError), said
        assert not isinstance(said, IdentityAnswer) or said.verdict is not Verdict.MATCH


def mixed(one: Grant, other: Grant) -> Iterator[Grant]:
    """One person's access with each part of the other's in its place."""
    yield other
    yield msgspec.structs.replace(one, access_token=other.access_token)
    for name in one.extra:
        yield msgspec.structs.replace(other, extra={**other.extra, name: one.extra[name]})


async def test_each_one_s_own_access_matches(stage: Stage) -> None:
    for account, nik in zip(two(stage), (NIK, OTHER_NIK), strict=True):
        grant = await Person(stage, account).grant()
        assert (await verify(stage, question(stage, account, grant, nik=nik))).verdict is Verdict.MATCH


async def test_a_code_of_one_page_handed_in_under_the_other_s_state(stage: Stage) -> None:
    declared, consenting = two(stage)
    mine, other = Person(stage, declared), Person(stage, consenting)
    step, elsewhere = await mine.begin(), await other.begin()
    if not isinstance(step, LinkRedirect):
        assert isinstance(elsewhere, LinkInputs) and stage.can(Capability.LINK_INPUTS)
        return
    assert isinstance(elsewhere, LinkRedirect)
    code = stage.partner.read_return(await other.visit(elsewhere.url))
    for kept in (step, msgspec.structs.replace(step, carry=elsewhere.carry)):
        end = await outcome_or_error(mine.exchange(kept, code))
        if isinstance(end, LinkGranted):
            await no_match(stage, declared, end.grant)
            return
        assert isinstance(end, PartnerError | OutcomeUnknown | LinkRefused), end


async def test_the_other_s_card_and_otp_do_not_open_an_account(stage: Stage) -> None:
    declared, consenting = two(stage)
    mine = Person(stage, declared, card_no=consenting.card_no)
    step = await mine.begin()
    if isinstance(step, LinkInputs):
        other = Person(stage, consenting)
        theirs = await other.begin()
        assert isinstance(theirs, LinkInputs)
        await other.to_the_last_input(theirs)
        mine.typed["otp"] = other.types("otp")
        again = await mine.answer(step)
        assert isinstance(again, LinkInputs) and again.again, "a card or an OTP of somebody else is typed again"


async def test_the_other_s_access_proves_nothing_of_this_account(stage: Stage) -> None:
    declared, consenting = two(stage)
    own, others = await Person(stage, declared).grant(), await Person(stage, consenting).grant()
    for grant in mixed(own, others):
        await no_match(stage, declared, grant)


async def test_the_other_s_account_is_not_proved_by_one_s_own_access(stage: Stage) -> None:
    declared, consenting = two(stage)
    own = await Person(stage, declared).grant()
    await no_match(stage, consenting, own)
    stranger = stage.stranger()
    await no_match(stage, stranger, own)
    assert (await verify(stage, question(stage, declared, own))).verdict is Verdict.MATCH


async def test_a_difference_of_names_is_never_a_mismatch(stage: Stage) -> None:
    """Where the name proves the account, another name leaves it unproved; elsewhere it says nothing at all."""
    account = stage.account(holder_name="SITI AMINAH")
    grant = await Person(stage, account).grant()
    namesake = stage.account(holder_name="SITI MARYAM", nik_on_file="")
    query = msgspec.structs.replace(question(stage, account, grant), account=Secret(namesake.account))
    said = await outcome_or_error(verify(stage, query))
    assert isinstance(said, PartnerError) or said.verdict in (Verdict.ACCOUNT_UNPROVED, Verdict.ACCOUNT_NOT_FOUND)
