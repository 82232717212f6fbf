"""Inbound notifications: taken only as the partner sent them, and read for no more than they say."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry import PARTNERS
from contracts.errors import NotSupported, PartnerProtocolError, SignatureInvalid
from contracts.linking import Grant
from contracts.observation import IdentityNotice, LinkNotice, NoNotice, PayoutNotice
from contracts.partner import CallbackRoute, Context, Notification, Partner
from contracts.payout import OutcomeKind
from mock_partners.kit.world import Account
from tests.contract.people import Person
from tests.contract.recording import Recording, question, verify
from tests.contract.replay import JUNK, leaves, logged, put
from tests.contract.stage import WAITS, Stage
from tests.partners import each

Linked = Callable[..., Awaitable[tuple[Account, Grant]]]
NOTICES = {"link": LinkNotice, "payout": PayoutNotice, "identity": IdentityNotice}
SENT = each("notices")
"""By partner, what tells its notifications apart from damaged ones (tests/partners)."""
UNSIGNED = frozenset({"identity"})
"""What nobody signs is a hint at most."""
HEX = re.compile(r"[0-9a-f]+")
BODIES = (
    b"", b"null", b"[]", b"{}", b'"x"', b"\xff", b"[" * 30_000, b'{"a":' * 20_000, b'{"additionalInfo":7}',
    b'{"status":"completed"}', b'{"status":7,"reference_no":"x"}', b"<html></html>",
)  # fmt: skip


async def everything(stage: Stage) -> list[Notification]:
    """What a partner sends about a link, a KYC that completes, and payouts that succeed, fail and are given back."""
    for behaviour in ("verify:in_progress", "pay:pending_then_failed", "pay:reversed_later"):
        account = stage.account(behaviour=behaviour)
        person = Person(stage, account)
        grant = await person.grant()
        for _ in range(3):
            await verify(stage, question(stage, account, grant))
        await stage.pay(stage.order(account, grant))
        await stage.pass_time(WAITS.reversal_s + 1)
        await person.unlink(grant)
    await stage.settle()
    return stage.notifications()


async def test_every_declared_kind_is_sent_verified_read_and_acknowledged(stage: Stage) -> None:
    sent = await everything(stage)
    assert {note.kind for note in sent} == {route.kind for route in stage.manifest.callbacks}
    callbacks = stage.partner.callbacks
    for note in sent:
        callbacks.verify(stage.bare_context(), note)
        assert isinstance(callbacks.read(note), NOTICES[note.kind])
        status, body = callbacks.reply(note)
        assert 200 <= status < 300 and isinstance(json.loads(body), dict)


async def test_payout_notices_say_what_look_ups_say(stage: Stage) -> None:
    """And carry the reason that a look-up has not."""
    kinds: set[OutcomeKind] = set()
    for note in await everything(stage):
        notice = stage.partner.callbacks.read(note)
        if isinstance(notice, PayoutNotice):
            assert notice.reference or notice.partner_reference
            assert notice.outcome.amount_rupiah in (None, 600_000)
            kinds.add(notice.outcome.kind)
            if notice.outcome.kind is OutcomeKind.REJECTED:
                assert notice.outcome.technical or notice.outcome.reason is not None
    declared = "payout" in {route.kind for route in stage.manifest.callbacks}
    assert ({OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED} <= kinds) == declared


async def test_a_redelivery_is_one_event_and_two_events_are_two(stage: Stage) -> None:
    key = stage.partner.callbacks.dedupe_key
    sent = await everything(stage)
    keys = [key(note) for note in sent]
    assert keys == [key(msgspec.structs.replace(note)) for note in sent]
    different = {(note.kind, note.body, note.headers.get("x-external-id"), note.headers.get("authorization"))
                 for note in sent}  # fmt: skip
    assert len(set(keys)) == len(different)
    assert all(0 < len(each) <= 128 and each.isascii() and each.isprintable() for each in keys)


def spoilt_copies(note: Notification, told: Any) -> Iterator[Notification]:
    """One thing changed in each: a byte of the body, of a signature, the address, the method, the time."""
    for at in (0, len(note.body) // 2, len(note.body) - 2):
        body = bytearray(note.body)
        body[at] ^= 1
        yield msgspec.structs.replace(note, body=bytes(body))
    yield msgspec.structs.replace(note, body=b"")
    yield msgspec.structs.replace(note, body=note.body + b"{}")
    yield msgspec.structs.replace(note, headers={})
    name = told.SIGNATURE[note.kind]
    value = note.headers[name]
    other_case = value[::-1] if HEX.fullmatch(value) else value.swapcase()  # hex has no case
    for other in ("", value[:-1], value[1:] + value[:1], other_case, "é" + value, value + "=", "0" * 128):
        yield msgspec.structs.replace(note, headers={**note.headers, name: other})
    if (time := told.TIME.get(note.kind)) is not None:
        for at in ("", "now", "2026-01-15T12:00:00", "2026-01-15T12:00:01+07:00"):
            yield msgspec.structs.replace(note, headers={**note.headers, time: at})
    if note.kind in told.SIGNS_ADDRESS:
        yield msgspec.structs.replace(note, target=note.target + "/")
        yield msgspec.structs.replace(note, target="/callbacks/elsewhere")


def taken(partner: Partner, ctx: Context, note: Notification) -> bool:
    """Whether it passes as the partner's own."""
    try:
        partner.callbacks.verify(ctx, note)
    except SignatureInvalid as refused:
        assert not [value for value in note.headers.values() if len(value) > 20 and value in logged(refused)]
        return False
    return True


async def test_a_spoilt_notification_is_refused_or_is_only_a_hint(stage: Stage) -> None:
    """What a partner does not sign may start a look-up and nothing else."""
    ctx_of, partner = stage.bare_context, stage.partner
    for note in await everything(stage):
        for copy in spoilt_copies(note, SENT[stage.manifest.slug]):
            if copy.headers != note.headers or copy != note:
                assert not taken(partner, ctx_of(), copy) or note.kind in UNSIGNED
        if note.kind in UNSIGNED:
            assert isinstance(partner.callbacks.read(note), IdentityNotice)
            assert not taken(partner, ctx_of(), msgspec.structs.replace(note, headers={}))


async def test_a_notification_under_another_key_is_refused(stage: Stage) -> None:
    sent = await everything(stage)
    stage.spoil()
    assert not [note for note in sent if note.kind not in UNSIGNED and taken(stage.partner, stage.bare_context(), note)]


async def test_a_stale_notification_is_refused_where_it_is_dated(stage: Stage) -> None:
    """An old one that someone kept; undated ones are told apart by their events alone."""
    sent = [note for note in await everything(stage) if note.kind in SENT[stage.manifest.slug].TIME]
    for seconds in (-3_600, 3_600):
        ctx = stage.bare_context()
        now = max(ctx.now.timestamp(), 0) + seconds * 24
        moved = msgspec.structs.replace(ctx, now=ctx.now.fromtimestamp(now, ctx.now.tzinfo))
        assert not [note for note in sent if taken(stage.partner, moved, note)]


async def test_no_kind_passes_for_another(stage: Stage) -> None:
    sent = await everything(stage)
    for note in sent:
        for kind in ("link", "payout", "nobody", ""):
            if kind != note.kind:
                assert not taken(stage.partner, stage.bare_context(), msgspec.structs.replace(note, kind=kind))


async def test_another_partner_s_notifications_are_refused(stage: Stage) -> None:
    """Whatever any partner sends is refused by every other one."""
    for slug, other in PARTNERS.items():
        if slug == stage.manifest.slug or not other.manifest.callbacks:
            continue
        for note in await everything(Stage(other)):
            if not taken(stage.partner, stage.bare_context(), note):
                continue
            assert isinstance(stage.partner.callbacks.read(note), IdentityNotice), "a hint at most"


def test_what_nobody_signed_is_refused(recording: Recording, partner: Partner) -> None:
    ctx = recording.stage.bare_context()
    routes = partner.manifest.callbacks or (CallbackRoute(kind="payout", method="POST", path="/any"),)
    for route in routes:
        for body in BODIES:
            note = Notification(kind=route.kind, method=route.method, target=route.path, headers={}, body=body)
            assert not taken(partner, ctx, note)
            if not partner.manifest.callbacks:
                for ask in (partner.callbacks.read, partner.callbacks.dedupe_key, partner.callbacks.reply):
                    with pytest.raises(NotSupported):
                        ask(note)


async def test_a_body_that_cannot_be_read_says_nothing(stage: Stage) -> None:
    """Verified and yet unreadable, as after a change at the partner: an error of its own, quoting nothing."""
    sent = await everything(stage)
    for note in {note.kind: note for note in sent}.values():
        document = json.loads(note.body)
        bodies = list(BODIES)
        bodies += [json.dumps(put(document, path, junk)).encode() for path in leaves(document) for junk in JUNK]
        for body in bodies:
            copy = msgspec.structs.replace(note, body=body)
            assert len(stage.partner.callbacks.dedupe_key(copy)) <= 128
            try:
                notice = stage.partner.callbacks.read(copy)
            except PartnerProtocolError as error:
                values = [value for value in document.values() if isinstance(value, str) and len(value) > 8]
                assert not [value for value in values if value in logged(error)]
            else:
                assert isinstance(notice, NOTICES[note.kind] | NoNotice)


async def test_nothing_private_is_kept_of_a_notification(stage: Stage) -> None:
    sent = await everything(stage)
    private = {account.phone for account in stage.world.accounts.values()}
    private |= {note.headers["authorization"] for note in sent if "authorization" in note.headers}
    for note in sent:
        shown = stage.partner.callbacks.dedupe_key(note) + repr(stage.partner.callbacks.read(note))
        assert not [text for text in private if text in shown]


@given(body=st.binary(max_size=200), signature=st.text(max_size=140), kind=st.sampled_from(["link", "payout", "x"]))
def test_noise_is_never_verified(recording: Recording, body: bytes, signature: str, kind: str) -> None:
    at = recording.stage.now().isoformat()
    headers = {name: signature for told in SENT.values() for name in told.SIGNATURE.values()}
    headers |= {name: at for told in SENT.values() for name in told.TIME.values()}
    note = Notification(kind=kind, method="POST", target="/callbacks/x", headers=headers, body=body)
    assert not taken(recording.stage.partner, recording.stage.bare_context(), note)
