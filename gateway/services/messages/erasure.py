"""Erasing a person, on the word of two people: NIK, name, phone, account and grants go, with every index by which they
could be found, and the notifications that speak of them. What became of the money stays, under the core platform's own
id: ledger, payouts, observations, approvals, consents and the record of decisions hold nothing else of a person.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from contracts.errors import Conflict, InvalidRequest, NotFound
from gateway.clock import Clock, jakarta_day
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.intake.participants import known
from gateway.services.messages.inbox import opened
from gateway.storage.access import clients
from gateway.storage.base.database import Connection, Database
from gateway.storage.intake import erasures
from gateway.storage.intake.participants import ParticipantRow
from gateway.storage.messages import inbox
from gateway.storage.ops import audit

SECOND_WORD_WITHIN = timedelta(days=7)
"""A first word is forgotten after this."""
NOBODY = "cli"
"""Who acts where nobody is enrolled: one and the same for everybody."""
_CHUNK = 500
_TAIL = 9
"""Last digits of a phone or account by which it is known in a partner's spelling."""
_TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/=]{6,}")
"""What a token may consist of (RFC 6750 section 2.1)."""


class _Wanted(NamedTuple):
    """By what notifications about one person are known."""

    values: list[bytes]
    """In small letters."""
    tokens: set[tuple[str, bytes]]
    """By partner, the index of each grant."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is."""

    participant_id: str
    erased_at: datetime | None
    """None: a second person has to say the same."""
    notifications: int = 0
    """Gone with it."""


class Erasing:
    """Erases people."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database, self._clock, self._vault = database, clock, vault

    async def erase(self, participant_id: str, actor: str) -> Erased:
        """The first person's word is kept for seven days; a second person's erases.

        Raises `NotFound`, `InvalidRequest` where it cannot be known who asks, `Conflict` while anything of the person
        is not over.
        """
        if actor == NOBODY:
            raise InvalidRequest(
                "Two people erase, each signed in.", remedy="Enrol them with `gateway operators add`, and use --as."
            )
        now = self._clock.now()
        async with self._database.transaction() as connection:
            person = await known(connection, participant_id, lock=True)
            before = await erasures.get(connection, person.id)
            if before is not None and before.erased_at is not None:
                raise NotFound("This participant was erased.")
            if found := await erasures.in_the_way(connection, person.id, now, jakarta_day(now)):
                raise Conflict(
                    f"Not over yet: {', '.join(found)}.",
                    code="participant_open",
                    remedy="End it first: unlink, stop the participant's payments, close the case; then ask again.",
                )
            in_time = before is not None and before.asked_at >= now - SECOND_WORD_WITHIN
            if before is None or not in_time or not await clients.seconded(connection, before.asked_by, actor):
                await erasures.ask(connection, person.id, actor, now)
                await audit.record(connection, now, actor, "participant.erase.ask", participant_id, {})
                return Erased(participant_id=participant_id, erased_at=None)
            dropped = await self._notifications(connection, person)
            await erasures.erase(connection, person.id, actor, now)
            await audit.record(
                connection, now, actor, "participant.erase", participant_id, {"asked_by": before.asked_by}
            )
            return Erased(participant_id=participant_id, erased_at=now, notifications=dropped)

    async def _notifications(self, connection: Connection, person: ParticipantRow) -> int:
        """Drop what partners have sent in that names the person; raises `Conflict` while some of it waits."""
        wanted = await self._wanted(connection, person)
        where = await erasures.accounts(connection, person.id)
        after, count = 0, 0
        while rows := await inbox.since(connection, where.partners, where.since, after, _CHUNK):
            after = rows[-1].id
            found = [row.id for row in rows if self._names(row, wanted)]
            if await inbox.drop(connection, found) < len(found):
                raise Conflict(
                    "A partner's notification about this person is still to be applied.",
                    code="participant_open",
                    remedy="Ask again in a minute.",
                )
            count += len(found)
        return count

    async def _wanted(self, connection: Connection, person: ParticipantRow) -> _Wanted:
        pid = person.participant_id
        values = [
            self._vault.open(places.nik(pid), person.nik_sealed),
            self._vault.open(places.name(pid), person.name_sealed),
            self._vault.open(places.phone(pid), person.phone_sealed)[-_TAIL:],
            self._vault.open(places.account(pid), person.account_sealed)[-_TAIL:],
        ]
        kept = await erasures.links_kept(connection, person.id)
        values += [self._vault.open(places.link_account(one.id), one.account_sealed)[-_TAIL:] for one in kept]
        return _Wanted(
            values=[value.encode().lower() for value in values if value],
            tokens={(one.partner, one.grant_index) for one in kept if one.grant_index is not None},
        )

    def _names(self, row: inbox.InboxRow, wanted: _Wanted) -> bool:
        """Whether it has one of the values, as partners spell them (names mostly in capitals), or a token of theirs,
        of which the index alone is known.
        """
        note = opened(self._vault, row)
        text = b"\n".join([note.target.encode(), *(value.encode() for value in note.headers.values()), note.body])
        if any(value in text.lower() for value in wanted.values):
            return True
        if not any(partner == row.partner for partner, _ in wanted.tokens):
            return False
        kind, written = places.grant_index(row.partner), text.replace(b"\\/", b"/")
        return any(
            (row.partner, self._vault.index(kind, found.decode())) in wanted.tokens for found in _TOKEN.findall(written)
        )
