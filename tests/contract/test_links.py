"""Linking: the participant's way through the partner's pages or the gateway's form, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from contracts.errors import Hint, NotSupported, OutcomeUnknown, PartnerError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import (
    Grant,
    LinkGranted,
    LinkHealth,
    LinkHeld,
    LinkInputs,
    LinkRedirect,
    LinkRefused,
    LinkStep,
    Unlinked,
)
from contracts.partner import Capability
from contracts.secret import Secret
from mock_partners.kit.world import Account
from tests.contract.people import Person
from tests.contract.recording import question, verify
from tests.contract.stage import OTHER_NIK, Stage, outcome_or_error

Linked = Callable[..., Awaitable[tuple[Account, Grant]]]


async def test_a_participant_who_agrees_is_linked(stage: Stage) -> None:
    step = await Person(stage, stage.account()).link()
    assert isinstance(step, LinkGranted)
    assert step.grant.access_token
    assert step.grant.expires_at is None or step.grant.expires_at > stage.now()
    assert bool(step.grant.refresh_token) == stage.can(Capability.GRANT_REFRESH)


async def test_the_first_step_is_as_declared(stage: Stage) -> None:
    """Either a page of the partner's, or the inputs that the manifest names."""
    step = await Person(stage, stage.account()).begin()
    if stage.can(Capability.LINK_REDIRECT):
        assert isinstance(step, LinkRedirect) and step.url.startswith(("https://", "http://"))
    else:
        assert isinstance(step, LinkInputs) and step.names == stage.manifest.first_inputs


async def test_the_partner_echoes_our_state_or_nothing(stage: Stage) -> None:
    person = Person(stage, stage.account())
    step = await person.begin()
    if isinstance(step, LinkRedirect):
        back = stage.partner.read_return(await person.visit(step.url))
        assert back.state in (None, person.state) and back.code is not None
    else:
        assert isinstance(step, LinkInputs)


async def test_a_participant_who_refuses_is_not_linked(stage: Stage) -> None:
    """On the partner's page a button; on the gateway's form three wrong OTPs."""
    person = Person(stage, stage.account(), refuses=True, otp="000000")
    step = await person.link()
    assert isinstance(step, LinkRefused) and step.code is BlockerCode.CONSENT_DENIED


async def test_a_participant_who_is_locked_out_is_not_linked(stage: Stage) -> None:
    """Three wrong PINs where there is a PIN, three wrong OTPs elsewhere."""
    step = await Person(stage, stage.account(), pin="999999", otp="000000").link()
    assert isinstance(step, LinkRefused) and step.code is BlockerCode.CONSENT_DENIED


async def test_an_input_that_comes_too_late_ends_the_link(stage: Stage) -> None:
    """An OTP lives five minutes; a page's code is exchanged at once or not at all."""
    person = Person(stage, stage.account())
    step = await person.begin()
    if isinstance(step, LinkInputs):
        step = await person.to_the_last_input(step)
        await stage.pass_time(301)
        step = await person.answer(step)
        assert isinstance(step, LinkRefused) and step.code is BlockerCode.CONSENT_ABANDONED
    else:
        assert isinstance(step, LinkRedirect)
        query = await person.visit(step.url)
        await stage.pass_time(3_600)
        stage.tokens.clear()
        assert not isinstance(await outcome_or_error(person.come_back(step, query)), LinkGranted)


async def test_a_wrong_first_input_may_be_typed_again(stage: Stage) -> None:
    account = stage.account()
    person = Person(stage, account, card_no="1111111111119911", otp="000000")
    step = await person.begin()
    if stage.can(Capability.LINK_REDIRECT):
        assert isinstance(step, LinkRedirect), "the partner's own page asks again"
        return
    assert isinstance(step, LinkInputs)
    again = await person.answer(step)
    assert isinstance(again, LinkInputs) and again.again and again.names == step.names
    person.typed.clear()
    after = await person.answer(again)
    assert isinstance(after, LinkGranted) or (isinstance(after, LinkInputs) and not after.again)


async def test_an_unknown_account_is_refused_as_such(stage: Stage) -> None:
    step = await Person(stage, stage.stranger()).link()
    assert isinstance(step, LinkRefused) and step.code is BlockerCode.ACCOUNT_NOT_FOUND


async def test_a_blocked_account_is_refused_as_such(stage: Stage) -> None:
    step = await Person(stage, stage.account(status="blocked")).link()
    assert isinstance(step, LinkRefused) and step.code is BlockerCode.ACCOUNT_BLOCKED


async def test_an_account_linked_to_someone_else_is_held_where_linking_is_exclusive(stage: Stage) -> None:
    """Held is not final: once the other link is given back, the same person links."""
    account = stage.account()
    first, second = Person(stage, account), Person(stage, account)
    grant = await first.grant()
    step = await second.link()
    assert isinstance(step, LinkHeld if stage.manifest.link_exclusive else LinkGranted)
    assert isinstance(await first.unlink(grant), Unlinked)
    assert isinstance(await Person(stage, account).link(), LinkGranted)


async def test_two_at_once_end_with_one_link_where_linking_is_exclusive(stage: Stage) -> None:
    """Both go through the pages before either code is exchanged."""
    account = stage.account()
    people = [Person(stage, account), Person(stage, account)]
    first: list[tuple[Person, LinkStep]] = [(person, await person.begin()) for person in people]
    ends = []
    visited = [(person, step, await person.visit(step.url)) for person, step in first if isinstance(step, LinkRedirect)]
    for person, step, query in visited:
        ends.append(await person.come_back(step, query))
    granted = sum(isinstance(step, LinkGranted) for step in ends)
    assert granted == (1 if stage.manifest.link_exclusive else len(visited))
    assert all(isinstance(step, LinkGranted | LinkHeld) for step in ends)


async def test_a_code_works_once(stage: Stage) -> None:
    """The second exchange gives no grant; it may be called a refusal or unknown, never a link."""
    person = Person(stage, stage.account())
    step = await person.begin()
    if isinstance(step, LinkRedirect):
        query = await person.visit(step.url)
        assert isinstance(await person.come_back(step, query), LinkGranted)
        again = await outcome_or_error(person.come_back(step, query))
    else:
        assert isinstance(step, LinkInputs)
        step = await person.to_the_last_input(step)
        assert isinstance(await person.answer(step), LinkGranted)
        again = await outcome_or_error(person.answer(step))
    assert isinstance(again, LinkRefused | PartnerError | OutcomeUnknown)


@pytest.mark.parametrize("code", ["", "null", "x" * 3_000, "not a code\r\nx: y", "'\"<>"])
async def test_a_made_up_return_is_no_link(stage: Stage, code: str) -> None:
    """Whoever types an address at the callback gets nowhere, and nothing that was typed is quoted."""
    person = Person(stage, stage.account())
    step = await person.begin()
    if stage.can(Capability.LINK_INPUTS):
        with pytest.raises(NotSupported):
            stage.partner.read_return({"authCode": code})
        return
    assert isinstance(step, LinkRedirect)
    for query in ({}, {"authCode": code}, {"authCode": code, "success": "true"}, {"error": code}, {"errorCode": code},
                  {"errorResponse": code}, {"responseCode": code}, {"result": code}, {"code": code}):  # fmt: skip
        try:
            end = await outcome_or_error(person.come_back(step, query))
        except ValueError as error:
            raise AssertionError("a typed address is no error of ours") from error
        assert isinstance(end, LinkRefused | PartnerError | OutcomeUnknown)
        assert code == "" or code == "null" or code not in f"{end!r}{end}"


async def test_a_link_in_use_is_alive(stage: Stage, linked: Linked) -> None:
    """Asked with the partner's own call where it has one, and by every call under the participant's token."""
    account, grant = await linked()
    if stage.can(Capability.LINK_STATUS):
        health = await stage.run("link_health", lambda ctx: stage.partner.link_health(ctx, grant))
        assert health is LinkHealth.ACTIVE
        broken = msgspec.structs.replace(grant, access_token=Secret("nobodys-token-0001"))
        health = await stage.run("link_health", lambda ctx: stage.partner.link_health(ctx, broken))
        assert health is LinkHealth.REVOKED
    assert (await verify(stage, question(stage, account, grant))).partner_code


async def test_a_link_given_back_is_gone(stage: Stage) -> None:
    """Idempotent; afterwards the token is refused wherever it is used, and no verdict comes of it."""
    account = stage.account()
    person = Person(stage, account)
    grant = await person.grant()
    assert isinstance(await person.unlink(grant), Unlinked)
    assert isinstance(await person.unlink(grant), Unlinked)
    if stage.can(Capability.LINK_STATUS):
        assert await stage.run("link_health", lambda ctx: stage.partner.link_health(ctx, grant)) is LinkHealth.REVOKED
    gone = await outcome_or_error(verify(stage, question(stage, account, grant, nik=OTHER_NIK)))
    assert "MISMATCH" not in repr(gone)
    if isinstance(gone, PartnerUnavailable):
        assert gone.hint is Hint.CUSTOMER_TOKEN


async def test_a_grant_is_refreshed_and_a_revoked_one_is_not(stage: Stage) -> None:
    person = Person(stage, stage.account())
    grant = await person.grant()
    if not stage.can(Capability.GRANT_REFRESH):
        assert grant.refresh_token is None
        return
    fresh = await stage.run("refresh_grant", lambda ctx: stage.partner.refresh_grant(ctx, grant))
    assert fresh is not None and fresh.access_token and fresh.refresh_token
    assert fresh.expires_at is not None and fresh.expires_at > stage.now()
    assert (await verify(stage, question(stage, person.account, fresh))).partner_code
    broken = msgspec.structs.replace(fresh, refresh_token=Secret("nobodys-refresh-0001"))
    assert await stage.run("refresh_grant", lambda ctx: stage.partner.refresh_grant(ctx, broken)) is None


async def test_our_own_bad_key_never_ends_a_participant_s_link(stage: Stage) -> None:
    """A refresh that is refused because our signature is wrong says nothing about the link."""
    person = Person(stage, stage.account())
    grant = await person.grant()
    if not stage.can(Capability.GRANT_REFRESH):
        with pytest.raises(NotSupported):
            stage.partner.refresh_grant(stage.bare_context(), grant)
        return
    stage.spoil()
    with pytest.raises(PartnerError):
        await stage.run("refresh_grant", lambda ctx: stage.partner.refresh_grant(ctx, grant))


async def test_our_own_bad_key_never_makes_a_link_look_given_back(stage: Stage) -> None:
    """Giving back may say *already gone* where the customer's token is refused, and not where our signature is."""
    person = Person(stage, stage.account())
    grant = await person.grant()
    stage.spoil()
    if not stage.can(Capability.UNLINK):
        with pytest.raises(NotSupported):
            await person.unlink(grant)
        return
    said = await outcome_or_error(person.unlink(grant))
    # Where nothing but a token that is still good is shown, the link is really given back.
    assert isinstance(said, PartnerError | OutcomeUnknown) or stage.tape[-1].replies[-1].status < 300


async def test_an_expired_grant_is_never_taken_for_unlinked(stage: Stage) -> None:
    """A token that has only run out must be refreshed first: the link stands at the partner."""
    person = Person(stage, stage.account())
    grant = await person.grant()
    if grant.expires_at is None:
        assert not stage.can(Capability.GRANT_REFRESH), "what never ends is not refreshed"
        return
    await stage.pass_time((grant.expires_at - stage.now()).total_seconds() + 1)
    stage.tokens.clear()
    with pytest.raises(PartnerUnavailable) as raised:
        await person.unlink(grant)
    assert raised.value.hint is Hint.CUSTOMER_TOKEN
    if not stage.can(Capability.GRANT_REFRESH):
        return  # the participant links again
    fresh = await stage.run("refresh_grant", lambda ctx: stage.partner.refresh_grant(ctx, grant))
    assert fresh is not None and isinstance(await person.unlink(fresh), Unlinked)


async def test_what_is_kept_between_steps_is_secret(stage: Stage) -> None:
    """`carry` holds no PIN, OTP or card number, and shows none of its values."""
    person = Person(stage, stage.account())
    step = await person.begin()
    if isinstance(step, LinkInputs):
        step = await person.to_the_last_input(step)
    assert isinstance(step, LinkInputs | LinkRedirect)
    kept = {value.reveal() for value in step.carry.values()}
    assert not kept & {person.account.card_no, person.account.pin, person.types("otp")}
    assert all(isinstance(value, Secret) for value in step.carry.values())
    assert not [value for value in kept if value in repr(step)]
