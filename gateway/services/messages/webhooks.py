"""Webhook endpoints as their clients make, change and try them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.events import EventType
from contracts.secret import Masked
from gateway.clock import Clock
from gateway.cursors import cursor_of, numbers_of
from gateway.security import personal, places
from gateway.security.vault import Vault
from gateway.services.messages.delivery import message_id, secrets_of
from gateway.services.messages.post import Delivery, Network, Post, check_url
from gateway.storage.base.database import Connection, Database
from gateway.storage.base.ids import new_id
from gateway.storage.messages import events, webhooks
from gateway.storage.messages.webhooks import EndpointRow
from gateway.storage.ops import audit

MOST_ENDPOINTS = 10
BOTH_SIGN = timedelta(hours=24)
"""After a rotation the old secret signs beside the new one for so long."""
_SECRET_BYTES = 32


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint, without its secret."""

    webhook_endpoint_id: str
    url: str
    types: list[EventType]
    """The event types that it is called for; empty: all."""
    created_at: datetime
    disabled_at: datetime | None
    """Since when it is not called any more."""
    disabled_because: str | None
    """`failing`: nothing was delivered for five days; `gone`: it answered HTTP 410."""
    cursor: str
    """The last event that was taken up; also a cursor of `/v1/events`."""
    failing_since: datetime | None
    last_error: str | None
    waiting: int
    """Deliveries that are tried again or wait behind one. Where 5,000 do, later events wait too, until those that were
    refused for an hour are given up."""
    dead_letters: int
    """Deliveries given up after 72 hours, or sooner where too many waited; kept for 30 days."""
    two_secrets_until: datetime | None
    """While a rotation lasts, both secrets sign."""
    replay_cursor: str | None
    """How far a replay is; null: none is going on."""


class NewEndpointView(Masked, frozen=True, kw_only=True):
    """An endpoint with its secret, which is shown once."""

    endpoint: EndpointView
    secret: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was given up."""

    cursor: str
    subject: str
    tries: int
    since: datetime
    dead_at: datetime
    last_error: str | None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test delivery."""

    delivered: bool
    status: int | None
    error: str | None
    took_ms: int


class Webhooks:
    """What a client may do about its own endpoints, and the command line (client None) about all."""

    def __init__(self, database: Database, clock: Clock, vault: Vault, allowed: Sequence[Network]) -> None:
        self._database, self._clock, self._vault, self._allowed = database, clock, vault, tuple(allowed)

    async def create(self, client_id: str, url: str, types: Sequence[EventType], *, actor: str) -> NewEndpointView:
        """A new endpoint, called for what happens from now on; its secret is not shown again."""
        self._check(url)
        now, secret = self._clock.now(), _new_secret()
        async with self._database.transaction() as connection:
            # Serialised by the client's row: two at once must not pass the limit together.
            await connection.execute("SELECT 1 FROM clients WHERE id = $1 FOR UPDATE", client_id)
            standing = await webhooks.of_client(connection, client_id)
            _refuse_second(url, standing)
            if len(standing) >= MOST_ENDPOINTS:
                raise Conflict(
                    f"A client has at most {MOST_ENDPOINTS} webhook endpoints.",
                    code="too_many_endpoints",
                    remedy="Delete one that is no longer used.",
                )
            endpoint_id = f"we{await new_id(connection, now)}"
            sealed = self._vault.seal(places.webhook_secret(endpoint_id), secret)
            wanted = [kind.value for kind in dict.fromkeys(types)]
            await webhooks.insert(connection, endpoint_id, client_id, url, sealed, wanted, now)
            await audit.record(connection, now, actor, "webhook.create", endpoint_id, {"url": url})
            row = await self._own(connection, client_id, endpoint_id)
            return NewEndpointView(endpoint=await self._view(connection, row), secret=secret)

    def _check(self, url: str) -> None:
        check_url(url, self._allowed)
        personal.refuse(url, "url")

    async def all(self, client_id: str) -> list[EndpointView]:
        """The client's endpoints, oldest first."""
        async with self._database.connection() as connection:
            rows = await webhooks.of_client(connection, client_id)
            return [await self._view(connection, row) for row in rows]

    async def get(self, client_id: str | None, endpoint_id: str) -> EndpointView:
        """One of them; raises `NotFound`."""
        async with self._database.transaction() as connection:
            return await self._view(connection, await self._own(connection, client_id, endpoint_id))

    async def change(
        self, client_id: str | None, endpoint_id: str, url: str | None, types: Sequence[EventType] | None, *, actor: str
    ) -> EndpointView:
        """Another address, which what waits is delivered to at once, or other types: what waits of none of them is
        forgotten. None: as it was.
        """
        if url is None and types is None:
            raise InvalidRequest("Nothing is to be changed.", code="field_missing", remedy="Give url, types or both.")
        if url is not None:
            self._check(url)
        wanted = None if types is None else [kind.value for kind in dict.fromkeys(types)]
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            if url is not None:
                await connection.execute("SELECT 1 FROM clients WHERE id = $1 FOR UPDATE", row.client_id)
                others = await webhooks.of_client(connection, row.client_id)
                _refuse_second(url, [one for one in others if one.id != row.id])
            await webhooks.change(connection, row.id, url, wanted, now)
            await audit.record(connection, now, actor, "webhook.change", row.id, {"url": url, "types": wanted})
            return await self._view(connection, await self._own(connection, client_id, endpoint_id))

    async def delete(self, client_id: str | None, endpoint_id: str, *, actor: str) -> None:
        """Call it no more, and forget what waits for it."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            await webhooks.delete(connection, row.id)
            await audit.record(connection, now, actor, "webhook.delete", row.id, {"url": row.url})

    async def rotate(self, client_id: str | None, endpoint_id: str, *, actor: str) -> NewEndpointView:
        """A new secret; for 24 hours both sign. Raises `Conflict` while two sign already."""
        now, secret = self._clock.now(), _new_secret()
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            if row.old_until is not None and row.old_until > now:
                raise Conflict(
                    f"Two secrets sign until {row.old_until:%Y-%m-%dT%H:%M:%SZ}.",
                    code="rotation_open",
                    remedy="Rotate again after that; to be rid of both, delete the endpoint and make another.",
                )
            sealed = self._vault.seal(places.webhook_secret(row.id), secret)
            await webhooks.rotate(connection, row.id, sealed, row.secret_sealed, now + BOTH_SIGN)
            await audit.record(connection, now, actor, "webhook.rotate", row.id, {})
            row = await self._own(connection, client_id, endpoint_id)
            return NewEndpointView(endpoint=await self._view(connection, row), secret=secret)

    async def enable(self, client_id: str | None, endpoint_id: str, *, actor: str) -> EndpointView:
        """Call a disabled endpoint again, from the event at which it was disabled; one that fails, at once."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            await events.stay(connection)
            if await events.is_purged(connection, *await webhooks.behind(connection, row)):
                raise Conflict(
                    "Events that this endpoint was not called for yet were forgotten.", code="cursor_too_old",
                    remedy="Delete it and make another: that one is called for what happens from then on.",
                )  # fmt: skip
            await webhooks.enable(connection, row.id, now)
            await audit.record(connection, now, actor, "webhook.enable", row.id, {})
            return await self._view(connection, await self._own(connection, client_id, endpoint_id))

    async def replay(
        self, client_id: str | None, endpoint_id: str, after: str | None, until: str | None, *, dead: bool, actor: str
    ) -> EndpointView:
        """Deliver a range of events again, or the dead letters; raises `Conflict` while a range is being replayed."""
        now = self._clock.now()
        first = numbers_of(after, 2)
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            await events.stay(connection)
            if dead:
                await webhooks.revive(connection, row.id, now)
            else:
                if row.replay_tx is not None:
                    raise Conflict(
                        "A replay is going on.",
                        code="replay_open",
                        remedy="Wait until it is through, or end it (DELETE on the same address), then ask again.",
                    )
                if after and await events.is_purged(connection, first[0], first[1]):
                    raise InvalidRequest(
                        "Events behind the cursor were forgotten.", field="after", code="cursor_too_old",
                        remedy="Give a later cursor, or none for all events that there still are.",
                    )  # fmt: skip
                last = numbers_of(until, 2) if until else (row.tx, row.seq)
                last_tx, last_seq = min(last, (row.tx, row.seq))  # what comes after is delivered anyway
                if first >= (last_tx, last_seq):
                    raise InvalidRequest(
                        "The range holds no event that this endpoint was called for.",
                        field="after",
                        remedy="Give two cursors of /v1/events, the first one before the endpoint's own.",
                    )
                await webhooks.replay(connection, row.id, (first[0], first[1]), (last_tx, last_seq))
            await audit.record(connection, now, actor, "webhook.replay", row.id, {"after": after, "until": until})
            return await self._view(connection, await self._own(connection, client_id, endpoint_id))

    async def end_replay(self, client_id: str | None, endpoint_id: str, *, actor: str) -> EndpointView:
        """Deliver no more of a range again; what was delivered of it was, and what was refused of it waits on."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            if row.replay_tx is not None and row.replay_seq is not None:
                await webhooks.end_replay(connection, row.id)
                data = {"at": cursor_of(row.replay_tx, row.replay_seq)}
                await audit.record(connection, now, actor, "webhook.end_replay", row.id, data)
            return await self._view(connection, await self._own(connection, client_id, endpoint_id))

    async def dead_letters(
        self, client_id: str | None, endpoint_id: str, after: str | None, limit: int
    ) -> list[DeadLetter]:
        """The next dead letters, in the order of their events."""
        tx, seq = numbers_of(after, 2)
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            found = await webhooks.dead(connection, row.id, (tx, seq), limit)
        return [
            DeadLetter(
                cursor=cursor_of(one.tx, one.seq), subject=one.subject, tries=one.tries, since=one.since,
                dead_at=one.dead_at, last_error=one.error,
            )
            for one in found
            if one.dead_at is not None
        ]  # fmt: skip

    async def test(self, client_id: str | None, endpoint_id: str) -> Tried:
        """One call with an event of type `webhook.test` that is in no list; also to a disabled endpoint."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await self._own(connection, client_id, endpoint_id)
            number = await new_id(connection, now)
        data = {"webhook_endpoint_id": row.id}
        body = msgspec.json.encode({"type": "webhook.test", "timestamp": now, "data": data, "subject": row.id})
        post = Post(self._allowed)
        try:
            answer: Delivery = await post.send(
                row.url, secrets_of(self._vault, row, now), message_id((0, number)), now, body
            )
        finally:
            await post.close()
        return Tried(delivered=answer.error is None, status=answer.status, error=answer.error, took_ms=answer.took_ms)

    async def _own(self, connection: Connection, client_id: str | None, endpoint_id: str) -> EndpointRow:
        row = await webhooks.get(connection, client_id, endpoint_id)
        if row is None:
            raise NotFound("There is no such webhook endpoint.")
        return row

    async def _view(self, connection: Connection, row: EndpointRow) -> EndpointView:
        waiting, dead = await webhooks.counts(connection, row.id)
        until = row.old_until if row.old_until is not None and row.old_until > self._clock.now() else None
        at = None if row.replay_tx is None or row.replay_seq is None else cursor_of(row.replay_tx, row.replay_seq)
        return EndpointView(
            webhook_endpoint_id=row.id, url=row.url, types=[EventType(kind) for kind in row.types],
            created_at=row.created_at, disabled_at=row.disabled_at, disabled_because=row.disabled_because,
            cursor=cursor_of(row.tx, row.seq), failing_since=row.failing_since, last_error=row.last_error,
            waiting=waiting, dead_letters=dead, two_secrets_until=until,
            replay_cursor=at,
        )  # fmt: skip


def _refuse_second(url: str, standing: Sequence[EndpointRow]) -> None:
    if any(_place(row.url) == _place(url) for row in standing):
        raise Conflict(
            "The client has an endpoint with this url already: it would be told of everything twice.",
            code="endpoint_exists",
            remedy="Change its types with PATCH; if its secret is lost, ask for another with rotate-secret.",
        )


def _place(url: str) -> tuple[object, ...]:
    """What is called, whatever the capitals of a host and whether a usual port is named."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").removesuffix("."), port, parts.path or "/", parts.query


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
