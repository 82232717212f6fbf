"""Our own tokens and keys: fetched, run out, refused; every call is admitted by what signs it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import pytest

from contracts.errors import Hint, NotSupported, OutcomeUnknown, PartnerError, PartnerUnavailable, SignatureInvalid
from contracts.linking import Grant
from contracts.partner import AccessToken, Context, Partner
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Plan
from contracts.secret import Secret
from gateway.clock import jakarta_day
from mock_partners.kit.world import Account
from tests.contract.recording import Recording, question, record
from tests.contract.stage import Stage, outcome_or_error

Linked = Callable[..., Awaitable[tuple[Account, Grant]]]
Sent = tuple[str, str, Mapping[str, str], bytes]
SIGNED_BY = ("x-signature", "digest")
"""Headers that bind the body. Iris and GoPay ID send an API key or a token only (wallets.md 2.5, 2.6), and so does
whoever takes a bearer token by client credentials.
"""


async def test_a_token_is_fetched_and_lives(stage: Stage) -> None:
    for name, declared in stage.manifest.tokens.items():
        token = await stage.token(name)
        assert token.value and token.life_s == declared.life_s
        assert bool(token.refresh) == declared.refreshable


async def test_a_token_may_be_fetched_twice(stage: Stage) -> None:
    for name in stage.manifest.tokens:
        one = await stage.token(name)
        stage.tokens.clear()
        assert (await stage.token(name)).value != one.value


async def test_a_held_token_is_refreshed_or_fetched_anew(stage: Stage) -> None:
    """Also one that the partner no longer knows: the plan falls back to a new token."""
    for name in stage.manifest.tokens:
        held = await stage.token(name)
        for last in (held, AccessToken(value=Secret("gone"), life_s=0.0, refresh=Secret("gone"))):
            fresh = await stage.run(
                "fetch_token", lambda ctx, n=name, h=last: stage.partner.fetch_token(ctx, n, h),
                context=stage.bare_context(),
            )  # fmt: skip
            assert fresh.value and fresh.value != last.value


def test_a_token_of_no_name_is_refused(stage: Stage) -> None:
    with pytest.raises((NotSupported, KeyError)):
        next(stage.partner.fetch_token(stage.bare_context(), "nobody", None))


def calls(stage: Stage, account: Account, grant: Grant) -> Mapping[str, Callable[[Context], Plan[object]]]:
    """Operations that need a token of ours and change nothing before they are admitted."""
    order, partner = stage.order(account, grant), stage.partner
    order = msgspec.structs.replace(order, partner_reference="77777777777777")
    day = jakarta_day(stage.now())
    possible: dict[str, Callable[[Context], Plan[object]]] = {
        "payout": lambda ctx: partner.payout(ctx, order),
        "find_payout": lambda ctx: partner.find_payout(ctx, order),
        "verify_nik": lambda ctx: partner.verify_nik(ctx, question(stage, account, grant)),
        "statement": lambda ctx: partner.statement(ctx, day, None),
        "balance": partner.balance,
        "link_health": lambda ctx: partner.link_health(ctx, grant),
    }
    return {name: make for name, make in possible.items() if stage.manifest.needs.get(name) and _shows(stage, make)}


def _shows(stage: Stage, make: Callable[[Context], Plan[object]]) -> bool:
    """Whether the first request shows a token of ours: a later one may, and then the first is admitted without."""
    return "shown-first" in "".join(_first_headers(stage, make).values())


def _signed(stage: Stage, make: Callable[[Context], Plan[object]]) -> bool:
    """Whether the first request is signed with a key of ours, its body with it."""
    return bool({name.lower() for name in _first_headers(stage, make)} & set(SIGNED_BY))


def _first_headers(stage: Stage, make: Callable[[Context], Plan[object]]) -> Mapping[str, str]:
    tokens = dict.fromkeys(stage.manifest.tokens, Secret("shown-first"))
    plan = make(msgspec.structs.replace(stage.bare_context(), tokens=tokens))
    headers = next(plan).headers
    plan.close()
    return headers


def _refused(said: object) -> bool:
    """Nothing was done: could not tell, or, where the first request is the WRITE, not accepted."""
    return isinstance(said, PartnerError) or isinstance(said, Outcome) and said.kind is OutcomeKind.NOT_ACCEPTED


@pytest.mark.parametrize("how", ["made up", "run out"])
async def test_a_refused_token_says_that_it_is_ours(stage: Stage, linked: Linked, how: str) -> None:
    """The gateway then drops it and asks again; nothing has been done."""
    account, grant = await linked()
    for operation, make in calls(stage, account, grant).items():
        ctx = await stage.context(operation)
        if how == "made up":
            ctx = msgspec.structs.replace(ctx, tokens={name: Secret("made-up") for name in ctx.tokens})
        else:
            life_s = max(stage.manifest.tokens[name].life_s for name in ctx.tokens)
            await stage.pass_time(life_s + 1)
            ctx = msgspec.structs.replace(ctx, now=stage.now())
            stage.tokens.clear()
        said = await outcome_or_error(stage.run(operation, make, context=ctx))
        assert _refused(said) and said.hint is Hint.OUR_TOKEN, operation
    assert stage.world.books == []


async def test_wrong_keys_open_nothing(stage: Stage, linked: Linked) -> None:
    """With each of our credentials changed no plan gets anywhere, and nobody's link or payout is blamed for it. A token
    that is held opens what is not signed until it has run out; no other one is given.
    """
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))
    held = {operation: await stage.context(operation) for operation in calls(stage, account, grant)}
    stage.spoil()
    for name in stage.manifest.tokens:
        stage.tokens.pop(name, None)
        error = await outcome_or_error(stage.token(name))
        assert isinstance(error, PartnerUnavailable) and error.hint is Hint.CREDENTIALS, name
    for operation, make in calls(stage, account, grant).items():
        if not _signed(stage, make):
            continue
        ctx = msgspec.structs.replace(held[operation], credentials=stage.credentials)
        assert isinstance(await outcome_or_error(stage.run(operation, make, context=ctx)), PartnerError), operation
    if stage.manifest.two_step:
        sent = await stage.send(order)
        assert (sent.kind, sent.hint) == (OutcomeKind.NOT_ACCEPTED, Hint.CREDENTIALS)
    assert stage.world.books == []


async def test_each_key_is_needed(partner: Partner) -> None:
    """With one key changed a participant's whole story cannot be told: it signs, opens or verifies some step."""
    for name, credential in partner.manifest.credentials.items():
        if credential.secret or credential.pem:
            try:
                await record(partner, changed=name)
            except (PartnerError, OutcomeUnknown, SignatureInvalid, AssertionError):
                continue
            pytest.fail(f"{name} signs, opens or verifies nothing: adapter or mock does not look at it")


async def test_a_body_changed_on_the_way_is_refused(stage: Stage, linked: Linked) -> None:
    """What is signed is the body that was sent: with another reference in it nothing is paid."""
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))
    changed: list[str] = []

    def forward(method: str, target: str, headers: Mapping[str, str], content: bytes) -> Sent:
        names = {name.lower() for name in headers}
        if content and names & set(SIGNED_BY) and order.reference.encode() in content:
            changed.append(target)
            content = content.replace(order.reference.encode(), order.reference[::-1].encode())
        return method, target, headers, content

    await stage.find(order)
    stage.sender.forward = forward
    said = await outcome_or_error(stage.send(order))
    if changed:
        assert isinstance(said, PartnerError | OutcomeUnknown) or said.kind in {
            OutcomeKind.UNKNOWN, OutcomeKind.NOT_ACCEPTED,
        }  # fmt: skip
        assert stage.world.books == []
    else:
        sent = {name.lower() for request, _ in stage.tape[-1].exchanges for name in request.headers}
        assert isinstance(said, Outcome) and not sent & set(SIGNED_BY)


@pytest.mark.parametrize("spoil", ["signature", "stale", "target"])
async def test_a_spoilt_request_is_refused(stage: Stage, linked: Linked, spoil: str) -> None:
    """A mock that took these would let a wrong signer pass every other test."""
    account, grant = await linked()
    order = await stage.prepare(stage.order(account, grant))

    def forward(method: str, target: str, headers: Mapping[str, str], content: bytes) -> Sent:
        lower = {name.lower(): name for name in headers}
        binding = [name for name in SIGNED_BY if name in lower]
        changed = dict(headers)
        if spoil == "signature":
            for name in (*binding, "authorization"):
                if name in lower:
                    value = changed[lower[name]]
                    at = value.rindex("=", 0, -4) - 3 if "signature=" in value else 5 if name == "x-signature" else -3
                    changed[lower[name]] = value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 or None :]
        elif spoil == "stale" and binding:
            name = "x-timestamp" if "x-timestamp" in lower else "date"
            changed[lower[name]] = changed[lower[name]].replace("2026", "2025")
        elif spoil == "target" and binding:
            target = target + ("&" if "?" in target else "?") + "x=1"
        return method, target, changed, content

    for operation, make in calls(stage, account, grant).items():
        if spoil != "signature" and not _signed(stage, make):
            continue  # nothing binds the time or the address
        ctx = await stage.context(operation)
        stage.sender.forward = forward
        assert _refused(await outcome_or_error(stage.run(operation, make, context=ctx))), operation
        stage.sender.forward = lambda *request: request
    if spoil == "signature":
        stage.sender.forward = forward
        said = await outcome_or_error(stage.send(order))
        assert isinstance(said, PartnerError) or said.kind in {OutcomeKind.UNKNOWN, OutcomeKind.NOT_ACCEPTED}
    assert stage.world.books == []


async def test_the_same_request_twice_is_refused_where_numbers_are_unique(stage: Stage, linked: Linked) -> None:
    """X-EXTERNAL-ID holds for a Jakarta day: an attempt is never sent again byte for byte."""
    account, grant = await linked()
    for operation, make in calls(stage, account, grant).items():
        ctx = await stage.context(operation)
        await outcome_or_error(stage.run(operation, make, context=ctx))
        first = stage.tape[-1]
        again = await outcome_or_error(stage.run(operation, make, context=ctx))
        unique = any(name.lower() == "x-external-id" for request, _ in first.exchanges for name in request.headers)
        assert not unique or isinstance(again, PartnerError | OutcomeUnknown), operation


def test_bodies_are_compact_json(recording: Recording) -> None:
    for request in recording.requests:
        if request.content:
            wanted = json.dumps(json.loads(request.content), separators=(",", ":"), ensure_ascii=False).encode()
            assert request.content == wanted
