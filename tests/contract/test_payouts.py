"""Paying: what the partner books is what was ordered, once, whatever happens to the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import pytest

from contracts.errors import Hint, NotSupported, OutcomeUnknown, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import Grant
from contracts.observation import Said, StatementKind, StatementLine, fold
from contracts.partner import Capability
from contracts.payout import Outcome, OutcomeKind, PayoutOrder, PayoutState
from contracts.plan import Effect
from contracts.secret import Secret
from gateway.clock import jakarta_day
from mock_partners.kit.world import Account, Kind
from tests.contract.recording import write_of
from tests.contract.stage import FINAL, WAITS, Stage

Linked = Callable[..., Awaitable[tuple[Account, Grant]]]
AMOUNTS = (1, 99, 100, 50_000, 600_000, 1_234_567)


def end(stage: Stage, said: Iterable[Outcome]) -> PayoutState | None:
    """What it all amounts to, in any order; the partner must not contradict itself."""
    words = (Said(outcome.kind, outcome.said_at) for outcome in said)
    folded = fold(words, completed_can_fail=stage.manifest.completed_can_fail)
    assert not folded.contradiction
    return folded.state


def credited(stage: Stage, order: PayoutOrder) -> list[tuple[str, int]]:
    return [(line.account, line.amount_rupiah) for line in stage.books(order) if line.kind is Kind.CREDIT]


def agrees(said: Iterable[Outcome], order: PayoutOrder) -> None:
    """Where the partner says what it booked, it is ours."""
    succeeded = [outcome for outcome in said if outcome.kind is OutcomeKind.SUCCEEDED]
    assert {outcome.amount_rupiah for outcome in succeeded} <= {None, order.amount_rupiah}
    assert {outcome.account for outcome in succeeded} <= {None, order.account}


async def test_a_payout_is_booked_once_and_exactly(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    for amount in (*AMOUNTS, stage.manifest.min_amount_rupiah):
        before = account.balance_rupiah
        order = stage.order(account, grant, amount)
        said = await stage.pay(order)
        assert end(stage, said) is PayoutState.SUCCEEDED
        assert credited(stage, order) == [(account.account, amount)]
        assert account.balance_rupiah == before + amount
        agrees(said, order)
    assert len(stage.world.books) == len(AMOUNTS) + 1


async def test_money_leaves_with_the_last_request(stage: Stage, linked: Linked) -> None:
    """Until the WRITE is answered nothing is booked; a two-step partner moves nothing before the approval."""
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))
    assert stage.world.books == [] and stage.world.deposit_rupiah == 10**12
    await stage.send(order)
    take = stage.tape[-1]
    assert write_of(take) == len(take.exchanges) - 1
    assert [exchange.effect for exchange in stage.journal[-len(take.exchanges) :]].count("write") == 1


async def test_the_partner_s_number_comes_with_the_payout(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))
    said = await stage.follow(order, await stage.send(order))
    numbers = {outcome.partner_reference for outcome in said} - {None}
    assert numbers == {line.partner_reference for line in stage.books(order)}


async def test_an_unknown_reference_is_no_verdict(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    order = stage.order(account, grant)
    for asked in (order, msgspec.structs.replace(order, partner_reference="77777777777777")):
        outcome = await stage.find(asked)
        assert outcome.kind in {OutcomeKind.NOT_FOUND, OutcomeKind.UNKNOWN}
        assert (outcome.kind is OutcomeKind.NOT_FOUND) == stage.manifest.absence.by_lookup
        assert end(stage, [outcome]) is None


async def test_a_lost_answer_is_found_and_paid_once(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="pay:lost_answer")
    order = await stage.prepare(stage.order(account, grant))
    sent = await stage.send(order)
    assert sent.kind is OutcomeKind.UNKNOWN
    said = await stage.follow(order, sent)
    assert end(stage, said) is PayoutState.SUCCEEDED
    assert credited(stage, order) == [(account.account, order.amount_rupiah)]
    agrees(said, order)


async def test_a_time_out_without_a_credit_is_sent_again(stage: Stage, linked: Linked) -> None:
    """The first attempt booked nothing, which look-ups alone do not say; the second one, the same order, pays once."""
    account, grant = await linked(behaviour="pay:timeout_no_credit")
    order = await stage.prepare(stage.order(account, grant))
    sent = await stage.send(order)
    assert sent.kind is OutcomeKind.UNKNOWN
    for _ in range(3):
        await stage.settle()
        found = await stage.find(order)
        assert found.kind in {OutcomeKind.NOT_FOUND, OutcomeKind.QUEUED}
        assert (found.kind is OutcomeKind.QUEUED) == stage.manifest.two_step
    assert stage.books(order) == []
    said = await stage.follow(order, await stage.send(order))
    assert end(stage, said) is PayoutState.SUCCEEDED
    assert credited(stage, order) == [(account.account, order.amount_rupiah)]


async def test_a_false_not_found_ends_nothing(stage: Stage, linked: Linked) -> None:
    """The money is there while two look-ups deny it."""
    account, grant = await linked(behaviour="pay:false_not_found")
    order = await stage.prepare(stage.order(account, grant))
    sent = await stage.send(order)
    looks = [await stage.find(order), await stage.find(order)]
    assert sent.kind is OutcomeKind.UNKNOWN
    assert {look.kind for look in looks} <= {OutcomeKind.NOT_FOUND, OutcomeKind.UNKNOWN}
    assert end(stage, [sent, *looks]) is None
    said = await stage.follow(order, looks[-1])
    assert end(stage, said) is PayoutState.SUCCEEDED
    assert len(credited(stage, order)) == 1


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [("pay:pending_then_success", PayoutState.SUCCEEDED), ("pay:pending_then_failed", PayoutState.REJECTED)],
)
async def test_pending_is_no_end(stage: Stage, linked: Linked, behaviour: str, state: PayoutState) -> None:
    account, grant = await linked(behaviour=behaviour)
    order = await stage.prepare(stage.order(account, grant))
    sent = await stage.send(order)
    assert sent.kind is OutcomeKind.PENDING
    looks = [await stage.find(order), await stage.find(order)]
    assert [look.kind for look in looks] == [OutcomeKind.PENDING, OutcomeKind.PENDING]
    assert stage.books(order) == []
    said = await stage.follow(order, looks[-1])
    assert end(stage, said) is state
    assert len(credited(stage, order)) == (state is PayoutState.SUCCEEDED)
    if state is PayoutState.REJECTED:
        assert all(outcome.technical or outcome.reason_may_follow for outcome in said if outcome.kind in FINAL)


async def test_a_slow_answer_is_an_answer(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="pay:slow")
    order = await stage.prepare(stage.order(account, grant))
    sent = await stage.send(order)
    assert sent.kind in {OutcomeKind.SUCCEEDED, OutcomeKind.PENDING}
    assert end(stage, await stage.follow(order, sent)) is PayoutState.SUCCEEDED
    assert len(credited(stage, order)) == 1


async def test_a_payout_given_back_is_reversed(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="pay:reversed_later")
    order = await stage.prepare(stage.order(account, grant))
    said = await stage.follow(order, await stage.send(order))
    assert end(stage, said) is PayoutState.SUCCEEDED
    await stage.find(order)
    before = stage.tape[-1].replies
    await stage.pass_time(WAITS.reversal_s + 1)
    said += [await stage.find(order), *stage.told(order)]
    tells = stage.tape[-1].replies != before  # a look-up that says the same as before has no word for it
    lines = [line for line in await statement(stage) if line.reference == order.reference]
    kinds = {line.kind for line in lines}  # in whatever order they are listed
    assert (len(lines), kinds) == (2, {StatementKind.CREDIT, StatementKind.REVERSAL})
    assert {line.amount_rupiah for line in lines} == {order.amount_rupiah}
    assert end(stage, said) is (PayoutState.REVERSED if tells else PayoutState.SUCCEEDED)


async def test_a_blocked_account_is_never_paid(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    account.status = "blocked"
    order = stage.order(account, grant)
    said = await stage.pay(order)
    assert end(stage, said) is PayoutState.REJECTED
    assert reasons(said) == {BlockerCode.ACCOUNT_BLOCKED}
    assert stage.world.books == [] and stage.world.deposit_rupiah == 10**12


def reasons(said: Iterable[Outcome]) -> set[BlockerCode | None]:
    """Why it was rejected, by whichever word carried the reason."""
    return {outcome.reason for outcome in said if outcome.kind is OutcomeKind.REJECTED} - {None}


async def test_an_account_that_does_not_exist_is_never_paid(stage: Stage) -> None:
    """Refused as such, or, where the payout proves the link, because the access is nobody's."""
    account = stage.stranger()
    grant = Grant(access_token=Secret("nobodys-token-0001"), refresh_token=Secret("nobodys-refresh-0001"))
    order = stage.order(account, grant)
    if stage.manifest.payout_proves_link:
        with pytest.raises(PartnerUnavailable) as refused:
            await stage.run("payout", lambda ctx: stage.partner.payout(ctx, order))
        assert refused.value.hint is Hint.CUSTOMER_TOKEN
    else:
        said = await stage.pay(order)
        assert end(stage, said) is PayoutState.REJECTED
        assert reasons(said) == {BlockerCode.ACCOUNT_NOT_FOUND}
    assert stage.world.books == []


async def test_a_wallet_s_balance_cap_is_the_participant_s(stage: Stage, linked: Linked) -> None:
    """E-money may hold Rp 20 million; a bank account has no cap."""
    account, grant = await linked(balance_rupiah=19_500_000)
    order = stage.order(account, grant, 600_000)
    said = await stage.pay(order)
    capped = stage.manifest.account_is_phone
    assert end(stage, said) is (PayoutState.REJECTED if capped else PayoutState.SUCCEEDED)
    assert reasons(said) == ({BlockerCode.BALANCE_LIMIT} if capped else set())
    assert len(stage.books(order)) == (not capped)


async def test_a_short_deposit_is_ours(stage: Stage, linked: Linked) -> None:
    """Never the participant's fault, and nothing is booked: the same order pays once there is money."""
    account, grant = await linked()
    deposit, stage.world.deposit_rupiah = stage.world.deposit_rupiah, 599_999
    order = stage.order(account, grant)
    try:
        prepared = await stage.prepare(order)
        said = await stage.follow(prepared, await stage.send(prepared))
    except PartnerUnavailable as error:
        assert error.hint is Hint.FLOAT_SHORT
        said = []
    assert {outcome.kind for outcome in said} <= {OutcomeKind.NOT_ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.PENDING}
    assert {outcome.hint for outcome in said if outcome.kind is OutcomeKind.NOT_ACCEPTED} <= {Hint.FLOAT_SHORT}
    assert reasons(said) <= {BlockerCode.PARTNER_FLOAT_SHORT}
    assert stage.world.books == []
    stage.world.deposit_rupiah = deposit
    again = order if not reasons(said) else stage.order(account, grant)
    assert end(stage, await stage.pay(again)) is PayoutState.SUCCEEDED
    assert len(stage.world.books) == 1


async def test_sending_again_never_pays_twice(stage: Stage, linked: Linked) -> None:
    """A booked order that is sent again is looked up, not believed and not paid again."""
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))
    await stage.follow(order, await stage.send(order))
    for _ in range(2):
        again = await stage.send(order)
        assert again.kind in {OutcomeKind.UNKNOWN, OutcomeKind.SUCCEEDED}
        assert end(stage, await stage.follow(order, again)) is PayoutState.SUCCEEDED
    assert len(credited(stage, order)) == 1 == len(stage.world.books)


async def test_sending_a_pending_order_again_never_pays_twice(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="pay:pending_then_success")
    order = await stage.prepare(stage.order(account, grant))
    assert (await stage.send(order)).kind is OutcomeKind.PENDING
    again = await stage.send(order)
    assert again.kind in {OutcomeKind.UNKNOWN, OutcomeKind.PENDING}
    assert end(stage, await stage.follow(order, again)) is PayoutState.SUCCEEDED
    assert len(credited(stage, order)) == 1 == len(stage.world.books)


async def test_one_reference_never_pays_two_amounts(stage: Stage, linked: Linked) -> None:
    """A booked reference with another amount is refused by the partner, and no success to us."""
    account, grant = await linked()
    order = stage.order(account, grant)
    await stage.pay(order)
    other = msgspec.structs.replace(order, amount_rupiah=order.amount_rupiah + 1)
    try:
        sent = await (_create(stage, other) if stage.manifest.two_step else stage.send(other))
    except PartnerError:
        sent = Outcome(kind=OutcomeKind.UNKNOWN)
    assert sent.kind is OutcomeKind.UNKNOWN
    assert credited(stage, order) == [(account.account, order.amount_rupiah)]
    assert len(stage.world.books) == 1


async def _create(stage: Stage, order: PayoutOrder) -> Outcome:
    try:
        return await stage.run("prepare", lambda ctx: stage.partner.prepare(ctx, order))
    except OutcomeUnknown:
        return Outcome(kind=OutcomeKind.UNKNOWN)


async def test_orders_are_told_apart(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    orders = [stage.order(account, grant, 100_000 + n) for n in range(3)]
    for order in orders:
        await stage.pay(order)
    assert [credited(stage, order) for order in orders] == [[(account.account, 100_000 + n)] for n in range(3)]


async def test_a_body_that_is_not_the_stored_one_is_not_sent(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    order = stage.order(account, grant)
    make = stage.partner.prepare if stage.manifest.two_step else stage.partner.payout
    operation = "prepare" if stage.manifest.two_step else "payout"
    with pytest.raises(PartnerProtocolError):
        await stage.run(operation, lambda ctx: make(ctx, order), frozen_hash=b"\x00" * 32)
    assert stage.world.books == []
    assert all(exchange.effect == Effect.READ.value for exchange in stage.journal if exchange.operation[:6] == "payout")


async def test_attempts_differ_only_in_what_signs_them(stage: Stage, linked: Linked) -> None:
    """Two attempts at one order over the wire: the frozen part is the same, and all but it is a session or token."""
    account, grant = await linked(behaviour="pay:timeout_no_credit")
    order = await stage.prepare(stage.order(account, grant))
    await stage.send(order)
    await stage.pass_time(7_200)
    stage.tokens.clear()
    await stage.send(order)
    takes = [take for take in stage.tape if take.operation in ("payout", "approve")]
    first, second = (take.exchanges[-1][0] for take in takes[-2:])
    assert first.headers != second.headers or stage.manifest.two_step
    if first.frozen is None:
        assert first.content == second.content
    else:
        assert first.frozen == second.frozen
        one, two = json.loads(first.content), json.loads(second.content)
        changed = {name for name in one if one[name] != two.get(name)}
        assert changed <= set(one) - set(json.loads(first.frozen))


async def statement(stage: Stage) -> list[StatementLine]:
    """All pages of today's statement."""
    lines: list[StatementLine] = []
    cursor = None
    day = jakarta_day(stage.now())
    for _ in range(1_000):
        page = await stage.run("statement", lambda ctx, c=cursor: stage.partner.statement(ctx, day, c))
        lines += page.lines
        cursor = page.next_cursor
        if cursor is None:
            return lines
    raise AssertionError("the statement does not end")


async def test_the_statement_is_the_books(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    orders = [stage.order(account, grant, 100_000 + n) for n in range(4)]
    for order in orders:
        await stage.pay(order)
    lines = [line for line in await statement(stage) if line.kind is StatementKind.CREDIT]
    shown = [(line.reference, line.amount_rupiah, line.partner_reference) for line in lines]
    books = [(book.reference, book.amount_rupiah, book.partner_reference) for book in stage.world.books]
    assert sorted(shown) == sorted(books), "in whatever order the partner lists them (decisions X12)"
    assert {line.account for line in lines} <= {None, orders[0].account}
    assert all(jakarta_day(line.booked_at) == jakarta_day(stage.now()) for line in lines)


async def test_the_statement_is_of_one_jakarta_day(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    first, second = stage.order(account, grant), stage.order(account, grant)
    await stage.pay(first)
    await stage.pass_time(13 * 3_600)
    stage.tokens.clear()
    await stage.pay(second)
    assert [line.reference for line in await statement(stage)] == [second.reference]


async def test_a_long_statement_has_every_line_once(stage: Stage, linked: Linked, long: bool) -> None:
    """More bookings than one page of any partner holds."""
    account, grant = await linked(balance_rupiah=0)
    order = stage.order(account, grant, 1)
    await stage.pay(order)
    (booked,) = stage.world.books
    wanted = 3_500 if long else 1_100
    for n in range(wanted):
        stage.world.credit(
            account, n + 2, reference=order.reference, partner_reference=booked.partner_reference, at=stage.clock.now()
        )
    amounts = sorted(line.amount_rupiah for line in await statement(stage))
    if stage.manifest.completed_can_fail:
        assert len(amounts) == wanted + 1  # Iris prints the payout's own amount on each line
    else:
        assert amounts == list(range(1, wanted + 2))


async def test_the_balance_is_the_deposit(stage: Stage, linked: Linked) -> None:
    account, grant = await linked()
    await stage.pay(stage.order(account, grant))
    if not stage.can(Capability.BALANCE):
        with pytest.raises(NotSupported):
            stage.partner.balance(stage.bare_context())
        return
    balance = await stage.run("balance", stage.partner.balance)
    assert balance.amount_rupiah == stage.world.deposit_rupiah == 10**12 - 600_000


async def test_a_withdrawn_instruction_moves_nothing(stage: Stage, linked: Linked) -> None:
    """Two-step partners: what was withdrawn cannot be approved any more."""
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))
    if not stage.manifest.two_step:
        with pytest.raises(NotSupported):
            stage.partner.withdraw(stage.bare_context(), order)
        return
    outcome = await stage.run("withdraw", lambda ctx: stage.partner.withdraw(ctx, order))
    assert outcome.kind is OutcomeKind.REJECTED and outcome.technical
    sent = await stage.send(order)
    assert sent.kind is OutcomeKind.UNKNOWN
    assert (await stage.find(order)).kind is OutcomeKind.REJECTED
    await stage.settle()
    assert stage.world.books == []


async def test_an_instruction_made_twice_is_one(stage: Stage, linked: Linked) -> None:
    """Two-step partners: the same key and body give the same number; another body under the key is no number."""
    account, grant = await linked()
    order = stage.order(account, grant)
    if not stage.manifest.two_step:
        assert await stage.prepare(order) == order
        return
    first, second = await stage.prepare(order), await stage.prepare(order)
    assert first.partner_reference == second.partner_reference
    end(stage, await stage.follow(first, await stage.send(first)))
    assert len(stage.world.books) == 1


async def test_a_journal_line_tells_what_left(stage: Stage, linked: Linked) -> None:
    account, grant = await linked(behaviour="pay:lost_answer")
    order = await stage.prepare(stage.order(account, grant))
    await stage.send(order)
    line = stage.journal[-1]
    assert (line.effect, line.status, line.left_us) == ("write", None, True)
    assert line.error is not None
