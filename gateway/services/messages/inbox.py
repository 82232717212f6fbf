"""Partners' notifications: verified on the raw bytes, stored sealed, answered, and applied afterwards."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeAlias

import msgspec
import structlog

from contracts.errors import PartnerProtocolError, SignatureInvalid
from contracts.incentive import BlockerCode
from contracts.linking import LinkState
from contracts.observation import IdentityNotice, LinkNotice, NoNotice, Notice, PayoutNotice
from contracts.partner import Notification
from contracts.secret import Masked, Secret
from gateway import tracing
from gateway.clock import jakarta_day
from gateway.resources import Resources
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.each import each
from gateway.services.linking import proof
from gateway.services.linking.verification import Verification
from gateway.services.payouts.commits import Adds, OneByOne
from gateway.storage.base.database import GroupCommit
from gateway.storage.intake import participants
from gateway.storage.linking import links
from gateway.storage.messages import inbox
from gateway.storage.messages.inbox import Arrival, InboxRow
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase

WINDOW_S, ENOUGH = 0.004, 16
"""How long a commit gathers notifications, and how many close it at once: partners wait for the answer."""
_LEASE = timedelta(seconds=60)
_FIRST_RETRY_S = 1.0
_TRIES = 7
"""A notification may overtake the answer that tells us its token or number; a minute later it concerns nobody here."""
_LONGEST_KEY = 128
REFUSALS_ARE_A_CASE = 20
"""So many notifications of one kind refused in one Jakarta day."""
_log = structlog.get_logger(__name__)


class PayoutNotices(Protocol):
    """Where notifications about payouts go."""

    async def notice(self, partner: str, notice: PayoutNotice, event_key: str) -> str:
        """`applied`, or `no_such_payout`."""


Allowed: TypeAlias = Callable[[], Awaitable[None]]


async def _always() -> None:
    """No bound."""


class _Raw(Masked, frozen=True):
    """A notification as it is sealed."""

    method: str
    target: str
    headers: dict[str, str]
    body: str


class Inbox:
    """Takes notifications in and applies them, each event once."""

    def __init__(
        self, resources: Resources, verification: Verification, payouts: PayoutNotices, *, grouped: bool = True
    ) -> None:
        """`grouped` off: one database call at a time, for simulations."""
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks
        self._verification = verification
        self._payouts = payouts
        self._arrivals: Adds[Arrival, None] = (
            GroupCommit(self._store, window_s=WINDOW_S, enough=ENOUGH) if grouped else OneByOne(self._store)
        )

    async def accept(self, partner: str, note: Notification, allowed: Allowed = _always) -> tuple[int, bytes]:
        """Store a notification and acknowledge it as the partner wants; raises `SignatureInvalid`, nothing stored.
        `allowed` is asked before one that is not taken is counted, which is a write too; it may raise.
        """
        desk = self._desks[partner]
        callbacks = desk.partner.callbacks
        await self._verified(partner, note, allowed)
        event_key = self._event_key(partner, note)
        raw = _Raw(
            method=note.method,
            target=note.target,
            headers=dict(note.headers),
            body=base64.b64encode(note.body).decode(),
        )
        sealed = self._vault.seal(places.inbox_raw(partner, note.kind, event_key), msgspec.json.encode(raw).decode())
        await self._arrivals.add(Arrival(partner=partner, kind=note.kind, event_key=event_key, raw_sealed=sealed))
        return callbacks.reply(note)

    async def take_hint(self, partner: str, note: Notification, allowed: Allowed = _always) -> tuple[int, bytes]:
        """A notification that nobody vouches for: its token is looked up, and only what it asks for is written, however
        often it comes. Of one that names no token of ours nothing is kept, and the answer is the same.
        """
        callbacks = self._desks[partner].partner.callbacks
        await self._verified(partner, note, allowed)
        try:
            notice = callbacks.read(note)
        except PartnerProtocolError:
            await allowed()
            await self._count(partner, note.kind, "unreadable")
            return callbacks.reply(note)
        match notice:
            case IdentityNotice():
                await self._hint_identity(partner, notice.access_token)
            case LinkNotice():
                await self._hint_link(partner, notice)
            case _:
                await allowed()
                raise SignatureInvalid
        return callbacks.reply(note)

    async def _verified(self, partner: str, note: Notification, allowed: Allowed) -> None:
        desk = self._desks[partner]
        try:
            desk.partner.callbacks.verify(desk.bare_context(), note)
        except SignatureInvalid:
            await allowed()
            await self._count(partner, note.kind, "signature")
            raise

    async def _count(self, partner: str, kind: str, reason: str) -> None:
        """One more that was not taken; so many in a day are no stray visitor: a key was changed, or a form."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            times = await inbox.count_refused(connection, partner, kind, reason, jakarta_day(now))
            if times == REFUSALS_ARE_A_CASE:
                await cases.open_cases(connection, now, [_dropped(partner, kind, reason)])

    async def _store(self, arrivals: Sequence[Arrival]) -> Sequence[None]:
        """Commit a group; whoever delivered one of them is answered after it, or told that it failed."""
        async with self._database.connection() as connection:
            await inbox.store(connection, arrivals, self._clock.now())
        return [None] * len(arrivals)

    def _event_key(self, partner: str, note: Notification) -> str:
        try:
            key = self._desks[partner].partner.callbacks.dedupe_key(note)
        except PartnerProtocolError:
            key = ""  # verified, and unreadable: kept for the record
        if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
            return f"body:{hashlib.sha256(note.body).hexdigest()}"
        return key

    async def tick(self, limit: int = 50) -> int:
        """Apply what is due, the oldest first."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await inbox.lease(connection, now, now + _LEASE, limit)
        return await each("inbox", due, self._process)

    async def _process(self, row: InboxRow) -> None:
        try:
            notice = self._desks[row.partner].partner.callbacks.read(opened(self._vault, row))
        except PartnerProtocolError:
            await self._done(row, "unreadable")
            async with self._database.transaction() as connection:
                dropped = _dropped(row.partner, row.kind, "unreadable")
                await cases.open_cases(connection, self._clock.now(), [dropped])
            return
        result = await self._apply(row, notice)
        if result in _UNKNOWN and row.tries < _TRIES:
            until = self._clock.now() + timedelta(seconds=_FIRST_RETRY_S * 2.0 ** (row.tries - 1))
            async with self._database.connection() as connection:
                await inbox.put_off(connection, row.id, until, result)
            return
        await self._done(row, result)

    async def _apply(self, row: InboxRow, notice: Notice) -> str:
        match notice:
            case PayoutNotice():
                return await self._payouts.notice(row.partner, notice, f"inbox:{row.kind}:{row.event_key}")
            case LinkNotice():
                return await self._hint_link(row.partner, notice)
            case IdentityNotice():
                return await self._hint_identity(row.partner, notice.access_token)
            case NoNotice():
                return "nothing"

    async def _hint_link(self, partner: str, notice: LinkNotice) -> str:
        """Enabled or disabled is only a hint: the look made after it decides (decision G4). That the customer has
        another number is no verdict either: the account is proved anew.
        """
        index = self._vault.index(places.grant_index(partner), notice.access_token.reveal())
        now = self._clock.now()
        async with self._database.transaction() as connection:
            known = await links.look_due(connection, partner, index, now)
        if known and notice.account_changed:
            async with self._database.connection() as connection:
                found = await links.by_grant(connection, partner, index)
            for link in found:
                tracing.about(link.id)
                async with self._database.transaction() as connection:
                    person = await participants.get(connection, link.participant, lock=True)
                    if person.link_id == link.id and person.link_active:
                        await proof.check_again(connection, person, link.id, now)
        return "applied" if known else "unknown_token"

    async def _hint_identity(self, partner: str, token: Secret) -> str:
        """A finished KYC is only a hint: the NIK is checked again where it has no verdict that holds."""
        index = self._vault.index(places.grant_index(partner), token.reveal())
        now = self._clock.now()
        async with self._database.connection() as connection:
            found = await links.by_grant(connection, partner, index)
        for link in found:
            tracing.about(link.id)
            if link.state is not LinkState.ACTIVE:
                continue
            async with self._database.transaction() as connection:
                person = await participants.get(connection, link.participant, lock=True)
                if person.link_id == link.id and person.link_active and not person.verified:
                    await self._verification.open_for(connection, person, link.id, now)
        return "applied" if found else "unknown_token"

    async def _done(self, row: InboxRow, result: str) -> None:
        tracing.applied(row.partner, row.kind, row.received_at, result)
        async with self._database.connection() as connection:
            await inbox.applied(connection, row.id, result, self._clock.now())
        if result != "applied":
            _log.info("notification_not_applied", notification=row.id, partner=row.partner, result=result)


def _dropped(partner: str, kind: str, reason: str) -> NewCase:
    detail = {
        "signature": f"{kind} notifications come under a signature that our keys do not explain, or too long after they"
        " were signed: has a key changed, or did they wait while we were away?",
        "unreadable": f"signed {kind} notifications cannot be read: has their form changed? They are kept, sealed",
    }[reason]
    return NewCase(code=BlockerCode.NOTIFICATION_DROPPED, partner=partner, detail=detail)


_UNKNOWN = frozenset({"unknown_token", "no_such_payout"})
"""What a notification concerns may become known a little later."""


def opened(vault: Vault, row: InboxRow) -> Notification:
    """A notification as it came; raises `SealBroken`."""
    text = vault.open(places.inbox_raw(row.partner, row.kind, row.event_key), row.raw_sealed)
    raw = msgspec.json.decode(text, type=_Raw)
    return Notification(
        kind=row.kind,
        method=raw.method,
        target=raw.target,
        headers=raw.headers,
        body=base64.b64decode(raw.body),
    )
