"""Plans are pure: bytes that depend on their inputs alone, one WRITE at most and last, nothing private in view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import MAX_AMOUNT_RUPIAH
from contracts.partner import Context, Manifest, Partner
from contracts.payout import PayoutOrder
from contracts.plan import Effect, Request
from contracts.secret import Secret
from gateway.clock import JAKARTA
from tests.contract.recording import Recording, write_of
from tests.contract.stage import Take
from tests.partners import each


def test_a_plan_that_is_begun_again_says_the_same(recording: Recording) -> None:
    for take in recording.takes:
        plan = take.make()
        request = next(plan)
        for index, (recorded, reply) in enumerate(take.exchanges):
            assert request == recorded
            if index + 1 < len(take.exchanges):
                request = plan.send(reply)
        with pytest.raises(StopIteration) as stop:
            plan.send(reply)
        assert stop.value.value == take.result


def test_a_write_is_the_last_request_of_its_plan(recording: Recording) -> None:
    for take in recording.takes:
        assert write_of(take) in (None, len(take.exchanges) - 1), take.operation


def test_reads_and_writes_are_told_apart(recording: Recording) -> None:
    """What is asked again must not change anything; what moves money or uses something up is a WRITE."""
    writes = {take.operation for take in recording.takes if write_of(take) is not None}
    reads = {take.operation for take in recording.takes} - writes
    money = {"prepare", "approve", "withdraw"} if recording.stage.manifest.two_step else {"payout"}
    uses_up = {"finish_link", "answer_link", "unlink"} & {take.operation for take in recording.takes}
    assert money | uses_up <= writes
    tokens = {"fetch_token"} if recording.stage.manifest.tokens else set[str]()
    assert tokens | {"verify_nik", "find_payout", "statement"} <= reads
    assert not writes & {"fetch_token", "verify_nik", "find_payout", "statement", "balance", "link_health"}


def test_the_bytes_hold_no_time_of_this_machine(recording: Recording) -> None:
    """The context's day is never the machine's; the machine's must not show anywhere, in no form."""
    machine = datetime.now(UTC)
    days = {at.strftime(form) for at in _near(machine) for form in ("%Y-%m-%d", "%Y%m%d", "%d %b %Y", "%d/%m/%Y")}
    days |= {str(int(at.timestamp()))[:6] for at in _near(machine)}
    for request in recording.requests:
        shown = request.target + repr(sorted(request.headers.items())) + request.content.decode()
        shown = shown.replace(request.headers.get("X-SIGNATURE", " "), "")
        assert not [day for day in days if day in shown], request.operation


def _near(machine: datetime) -> Iterator[datetime]:
    for hours in (-1, 0, 1):
        yield machine + timedelta(hours=hours)
        yield (machine + timedelta(hours=hours)).astimezone(JAKARTA)


def test_nothing_private_is_in_targets_or_names(recording: Recording) -> None:
    story = STORIES[recording.stage.manifest.slug]
    private = recording.secrets() - {recording.grant.extra[name].reveal() for name in getattr(story, "IN_PATHS", ())}
    for request in recording.requests:
        # Iris wants the account that a name is asked for in the query, which no journal keeps.
        target = request.target.split("?")[0] if request.operation == "identity.name" else request.target
        shown = [text for text in private if text in target + request.operation + request.host]
        assert not shown, "an address is logged: what is private goes into a body"
        assert not [text for text in private if text in repr(request)]


def test_headers_hold_no_data_of_the_person(recording: Recording) -> None:
    """Tokens stand in headers; who the participant is does not."""
    account = recording.person.account
    personal = {recording.query.nik.reveal(), account.account, account.phone, account.phone[3:], account.holder_name}
    personal |= {account.card_no, account.pin}
    for request in recording.requests:
        assert not [text for text in personal if text in repr(sorted(request.headers.items()))], request.operation


def test_pin_otp_and_card_leave_only_where_they_were_typed(recording: Recording) -> None:
    account = recording.person.account
    typed = {account.card_no, account.pin}
    for take in recording.takes:
        if take.operation not in ("answer_link", "unlink"):
            for request, _ in take.exchanges:
                assert not [text for text in typed if text.encode() in request.content], take.operation


def test_results_and_journal_show_nothing_private(recording: Recording) -> None:
    private = recording.secrets()
    shown = repr([take.result for take in recording.takes]) + repr(recording.stage.journal)
    assert not [text for text in private if text in shown]


def test_time_outs_and_answers_are_bounded(recording: Recording) -> None:
    for request in recording.requests:
        assert 0 < request.timeout_s <= 60
        assert 0 < request.max_response_bytes <= 64 * 1024 * 1024
        assert request.target.startswith("/") and request.target.isascii()


def _money_moves(recording: Recording) -> Take:
    operation = "prepare" if recording.stage.manifest.two_step else "payout"
    return recording.of(operation)[0]


def first_write(partner: Partner, ctx: Context, order: PayoutOrder, replies: Take) -> Request:
    """The first WRITE of paying the order, its READs answered as they were recorded, to this attempt's own numbers."""
    plan = partner.prepare(ctx, order) if partner.manifest.two_step else partner.payout(ctx, order)
    request = next(plan)
    for recorded, reply in replies.exchanges:
        if request.effect is Effect.WRITE:
            plan.close()
            return request
        then, now = (json.loads(each.content).get("partnerReferenceNo", "") for each in (recorded, request))
        content = reply.content.replace(then.encode(), now.encode()) if then else reply.content
        request = plan.send(msgspec.structs.replace(reply, content=content))
    raise AssertionError("a payout writes")


def other_attempt(recording: Recording, ctx: Context) -> Context:
    """The same operation later: another moment, another serial, other tokens."""
    tokens = {name: Secret(f"another-{name}") for name in recording.stage.manifest.tokens}
    return msgspec.structs.replace(ctx, now=ctx.now + timedelta(hours=31), serial="9" * 17, tokens=tokens)


def test_every_attempt_at_a_payout_has_the_same_body(partner: Partner, recording: Recording) -> None:
    """The stored hash holds for every attempt, and a two-step partner's second WRITE depends on the order alone."""
    take = _money_moves(recording)
    ctx = msgspec.structs.replace(recording.stage.bare_context(), tokens=_tokens(recording))
    later = other_attempt(recording, ctx)
    order = recording.order
    stored = partner.frozen_body(ctx, order)
    assert stored == partner.frozen_body(later, order)
    for attempt in (ctx, later):
        request = first_write(partner, attempt, order, take)
        sent = request.content if request.frozen is None else request.frozen
        assert sent == stored and hashlib.sha256(sent).digest() == recording.stage.frozen(order)
    one, two = (first_write(partner, attempt, order, take) for attempt in (ctx, later))
    assert one.headers != two.headers or not recording.stage.manifest.needs.get("payout"), "signed anew"
    if partner.manifest.two_step:
        contents = {next(partner.approve(attempt, order)).content for attempt in (ctx, later)}
        assert len(contents) == 1


def test_what_is_frozen_is_what_leaves(partner: Partner, recording: Recording) -> None:
    """Where only a part of the body is frozen, every value of it is in the bytes sent, and all that says what is paid
    is in it.
    """
    write = first_write(partner, _context(recording), recording.order, _money_moves(recording))
    sent, kept = json.loads(write.content), json.loads(partner.frozen_body(_context(recording), recording.order))
    if write.frozen is None:
        assert kept == sent
    else:
        assert kept.items() <= sent.items()
    assert recording.order.reference in json.dumps(kept)


def test_a_different_payout_has_a_different_body(partner: Partner, recording: Recording) -> None:
    order, ctx = recording.order, _context(recording)
    changed = [
        msgspec.structs.replace(order, amount_rupiah=order.amount_rupiah + 1),
        msgspec.structs.replace(order, reference="1" * 19),
    ]
    bodies = {partner.frozen_body(ctx, other) for other in (order, *changed)}
    assert len(bodies) == 3


def test_the_partner_is_told_our_reference(partner: Partner, recording: Recording) -> None:
    """The reference in the body, or as the key, is the stored one: never the attempt's own number."""
    order = recording.order
    for attempt in (_context(recording), other_attempt(recording, _context(recording))):
        write = first_write(partner, attempt, order, _money_moves(recording))
        assert order.reference in write.content.decode()
        keys = [value for name, value in write.headers.items() if name.lower() == "x-idempotency-key"]
        assert all(key == order.reference for key in keys)
        assert bool(keys) == (partner.manifest.lifetimes.create_key_s is not None)
        look = next(partner.find_payout(attempt, order))
        wanted = order.partner_reference if partner.manifest.two_step else order.reference
        assert wanted is not None and wanted in look.target + look.content.decode()


@given(amount=st.integers(1, MAX_AMOUNT_RUPIAH))
def test_an_amount_is_said_once_and_exactly(partner: Partner, recording: Recording, amount: int) -> None:
    """Its digits, with two decimals or none, in a text or as a whole number; never a float, never scaled."""
    amount = min(amount, partner.manifest.max_amount_rupiah)
    order = msgspec.structs.replace(recording.order, amount_rupiah=amount)
    kept = json.loads(partner.frozen_body(_context(recording), order))
    found = [value for value in _values(kept) if _is_amount(value, amount)]
    assert len(found) == 1


def _is_amount(value: object, amount: int) -> bool:
    """`50000`, `"50000"`, `"50000.00"`, or padded to twelve digits of which two are decimals."""
    return value in (f"{amount}", f"{amount}.00", f"{amount:010d}00") or (type(value) is int and value == amount)


def _values(value: Any) -> Iterator[Any]:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values(inner)
    if not isinstance(value, dict | list):
        yield value


def test_no_number_in_a_body_is_a_float(recording: Recording) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(f"a float in a body: {len(text)} characters")

    for request in recording.requests:
        if request.content:
            json.loads(request.content, parse_float=refuse)


STORIES = each("story")


def test_a_context_without_its_tokens_is_an_error_of_ours(partner: Partner, recording: Recording) -> None:
    """A token that the manifest forgot to ask for must show in a test, not at a partner."""
    bare = recording.stage.bare_context()
    needed = partner.manifest.needs
    for operation, plan in _plans(partner, recording, bare).items():
        if not needed.get(operation):
            next(plan, None)
        elif operation in getattr(STORIES[partner.manifest.slug], "TOKEN_LATER", ()):
            next(plan)
        else:
            with pytest.raises(KeyError):
                next(plan)
        plan.close()


def _plans(partner: Partner, recording: Recording, ctx: Context) -> dict[str, Any]:
    order = recording.order
    plans = {"find_payout": partner.find_payout(ctx, order), "verify_nik": partner.verify_nik(ctx, recording.query)}
    if partner.manifest.two_step:
        plans |= {"prepare": partner.prepare(ctx, order), "approve": partner.approve(ctx, order)}
    else:
        plans |= {"payout": partner.payout(ctx, order)}
    return plans


def _tokens(recording: Recording) -> dict[str, Secret]:
    return {name: token.value for name, token in recording.stage.tokens.items()}


def _context(recording: Recording) -> Context:
    return msgspec.structs.replace(recording.stage.bare_context(), tokens=_tokens(recording))


def test_external_numbers_differ_within_a_plan(recording: Recording, manifest: Manifest) -> None:
    for take in recording.takes:
        numbers = [request.headers[name] for request, _ in take.exchanges for name in request.headers
                   if name.lower() == "x-external-id"]  # fmt: skip
        assert len(set(numbers)) == len(numbers)
        assert all(len(number) <= 36 for number in numbers)
